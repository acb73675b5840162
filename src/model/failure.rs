//! Why a request gave no answer: one class, a sentence, and what a retry needs to know.
//!
//! Invariant: nothing here retries, waits or decides. A failure's text is safe to
//! show: bounded, on one line, without control characters, and without any key.

use std::fmt;
use std::time::Duration;

use super::headers::RateHeaders;
use crate::outcome::Usage;

/// The longest text of a provider that is passed on, in bytes.
pub const MAX_MESSAGE: usize = 2048;

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// No connection, or none that carried the request: DNS, TCP, TLS, proxy.
    Unreachable,
    /// The answer broke off: the connection was lost, or the stream ended without its last event.
    Interrupted,
    /// The provider failed: 408, 409, 425, 500, 502, 504 and their kin.
    ServerError,
    /// The provider has no capacity: 503, 529.
    Overloaded,
    /// Too many requests or tokens for now: 429.
    RateLimited,
    /// The key is wrong or may not do this: 401, 403.
    Unauthorized,
    /// A key is needed and there is none.
    MissingKey,
    /// Credit or a spending limit is used up: 402, 429 `insufficient_quota`.
    OutOfMoney,
    /// No such model or no such path: 404.
    NotFound,
    /// The provider does not take the request as it is: 400, 422 and their kin.
    BadRequest,
    /// The prompt does not fit the model's context window.
    ContextTooLong,
    /// The request (413) or the answer is larger than the bound.
    TooLarge,
    /// The model or the provider's filter declined.
    Refused,
    /// The answer was cut off at a token limit.
    Truncated,
    /// What came back is not the protocol: HTML, broken JSON, contradictory events.
    Protocol,
    /// The provider answered with a redirect, which is never followed.
    Redirected,
    /// Nothing came for the length of the idle timeout.
    Stalled,
    /// The deadline passed.
    TimedOut,
    /// A bug in this program.
    Bug,
}

impl Class {
    /// What an HTTP status alone says.
    pub fn of_status(status: u16) -> Class {
        match status {
            401 | 403 | 407 => Class::Unauthorized,
            402 => Class::OutOfMoney,
            404 | 410 => Class::NotFound,
            408 | 409 | 425 => Class::ServerError,
            413 => Class::TooLarge,
            429 => Class::RateLimited,
            503 | 529 => Class::Overloaded,
            300..=399 => Class::Redirected,
            400..=499 => Class::BadRequest,
            500..=599 => Class::ServerError,
            _ => Class::Protocol,
        }
    }

    /// The stable code, as it stands in causes: `rate_limited`.
    pub fn code(self) -> &'static str {
        match self {
            Class::Unreachable => "unreachable",
            Class::Interrupted => "interrupted",
            Class::ServerError => "server_error",
            Class::Overloaded => "overloaded",
            Class::RateLimited => "rate_limited",
            Class::Unauthorized => "unauthorized",
            Class::MissingKey => "missing_key",
            Class::OutOfMoney => "out_of_money",
            Class::NotFound => "not_found",
            Class::BadRequest => "bad_request",
            Class::ContextTooLong => "context_too_long",
            Class::TooLarge => "too_large",
            Class::Refused => "refused",
            Class::Truncated => "truncated",
            Class::Protocol => "protocol",
            Class::Redirected => "redirected",
            Class::Stalled => "idle_timeout",
            Class::TimedOut => "timeout",
            Class::Bug => "bug",
        }
    }

    /// True when the same request may well succeed a little later.
    ///
    /// A stalled stream and a broken answer count, since a fresh connection often
    /// cures both; a deadline that passed does not.
    pub fn is_transient(self) -> bool {
        match self {
            Class::Unreachable
            | Class::Interrupted
            | Class::ServerError
            | Class::Overloaded
            | Class::RateLimited
            | Class::Protocol
            | Class::Stalled => true,
            Class::Unauthorized
            | Class::MissingKey
            | Class::OutOfMoney
            | Class::NotFound
            | Class::BadRequest
            | Class::ContextTooLong
            | Class::TooLarge
            | Class::Refused
            | Class::Truncated
            | Class::Redirected
            | Class::TimedOut
            | Class::Bug => false,
        }
    }
}

/// One failed request.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// What kind it was.
    pub class: Class,
    /// What happened and, where something can be done, what to do; one line.
    pub message: String,
    /// The HTTP status, if a response came.
    pub status: Option<u16>,
    /// The least time to wait before asking again, if the provider said so.
    pub retry_after: Option<Duration>,
    /// What overrules the class: the provider's `x-should-retry`, or a reason of our own.
    pub should_retry: Option<bool>,
    /// The provider's own name of the request.
    pub request_id: Option<String>,
    /// The text that came before it failed: for people only, never a result.
    pub partial: String,
    /// What the failed request used, as far as the provider said.
    pub usage: Usage,
    /// The rate-limit headers of the response, if one came.
    pub rate: RateHeaders,
}

impl Failure {
    /// A failure before any response came.
    pub fn new(class: Class, message: impl Into<String>) -> Failure {
        Failure {
            class,
            message: message.into(),
            status: None,
            retry_after: None,
            should_retry: None,
            request_id: None,
            partial: String::new(),
            usage: Usage::default(),
            rate: RateHeaders::default(),
        }
    }

    /// The same, but trying again is of no use whatever its class.
    pub(super) fn for_good(self) -> Failure {
        Failure { should_retry: Some(false), ..self }
    }

    /// True when the same request may well succeed a little later; `x-should-retry` wins.
    pub fn is_transient(&self) -> bool {
        self.should_retry.unwrap_or_else(|| self.class.is_transient())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// A foreign text made safe to stand in a sentence: one line, no control or
/// direction characters, at most `limit` bytes and then `…`.
pub fn shown(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let mut blank = false;
    for character in text.trim().chars() {
        if character.is_whitespace() {
            blank = true;
            continue;
        }
        let escaped = match character {
            '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}' => true,
            other => other.is_control(),
        };
        let width = if escaped { character.escape_unicode().count() } else { character.len_utf8() };
        if out.len() + width + usize::from(blank) > limit {
            out.push('…');
            return out;
        }
        if blank {
            out.push(' ');
            blank = false;
        }
        if escaped { out.extend(character.escape_unicode()) } else { out.push(character) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_shown_on_one_line_without_control_characters() {
        assert_eq!(shown(" a\r\n\tb\x1b[31m\u{202E}c\0 ", 200), "a b\\u{1b}[31m\\u{202e}c\\u{0}");
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        assert_eq!(shown("ééé", 5), "éé…");
        assert_eq!(shown("a b", 2), "a…");
        assert_eq!(shown("", 0), "");
    }

    #[test]
    fn the_provider_has_the_last_word_on_retrying() {
        let mut failure = Failure::new(Class::ServerError, "");
        failure.should_retry = Some(false);
        assert!(!failure.is_transient());
        failure = Failure { class: Class::BadRequest, should_retry: Some(true), ..failure };
        assert!(failure.is_transient());
    }
}
