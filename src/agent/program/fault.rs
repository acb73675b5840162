//! What a program says is wrong, and what that means: a class, a time, whether to try again.
//!
//! Invariant: a class is read from a status, or from words that programs are known to use; where
//! neither is there, it is just a failure, and the program's words stand as they are.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use regex::Regex;

use crate::model::Class;

/// Why a program failed, by its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::agent) struct Fault {
    /// What kind, where that can be told.
    pub(in crate::agent) class: Option<Class>,
    /// The program's own words.
    pub(in crate::agent) message: String,
    /// The least time to wait before asking again, if it said so.
    pub(in crate::agent) retry_after: Option<Duration>,
    /// The program's own opinion about trying again, which overrules the class.
    pub(in crate::agent) retryable: Option<bool>,
}

impl Fault {
    /// A fault in these words, classified by an HTTP status where one is known, else by the words.
    pub(in crate::agent) fn new(status: Option<u16>, message: &str) -> Fault {
        let text = super::said(message);
        let class = by_words(message).or_else(|| status.or_else(|| status_in(message)).map(Class::of_status));
        Fault { class, retry_after: None, retryable: None, message: text }.waiting(message, Timestamp::now())
    }

    /// A fault of a class, whatever the words.
    pub(in crate::agent) fn of(class: Class, message: impl Into<String>) -> Fault {
        Fault { class: Some(class), message: message.into(), retry_after: None, retryable: None }
    }

    /// The same, with a wait that was said elsewhere.
    pub(in crate::agent) fn after(self, wait: Option<Duration>) -> Fault {
        Fault { retry_after: wait.or(self.retry_after), ..self }
    }

    /// Whether the same ask may well succeed a little later.
    pub(in crate::agent) fn is_transient(&self) -> bool {
        self.retryable.unwrap_or_else(|| self.class.is_some_and(Class::is_transient))
    }

    /// Reads the wait out of the words, for faults that pass by themselves.
    fn waiting(self, text: &str, now: Timestamp) -> Fault {
        match self.class {
            Some(class) if class.is_transient() => Fault { retry_after: wait_in(text, now), ..self },
            Some(_) | None => self,
        }
    }
}

/// What to do about it, where something can be done; begins with `; `.
pub(in crate::agent) fn advice(class: Class, keys: &[&str], program: &str) -> String {
    match class {
        Class::Unauthorized | Class::MissingKey if keys.is_empty() => {
            format!("; log in with `{program}`, and see `fanout doctor`")
        }
        Class::Unauthorized | Class::MissingKey => {
            format!("; set {}, or log in with `{program}`, and see `fanout doctor`", keys.join(" or "))
        }
        Class::OutOfMoney => "; there is no credit or plan left with its provider".to_owned(),
        Class::Truncated => "; ask for less at once".to_owned(),
        Class::Unreachable
        | Class::Interrupted
        | Class::ServerError
        | Class::Overloaded
        | Class::RateLimited
        | Class::NotFound
        | Class::BadRequest
        | Class::ContextTooLong
        | Class::TooLarge
        | Class::Refused
        | Class::Protocol
        | Class::Redirected
        | Class::Stalled
        | Class::TimedOut
        | Class::Bug => String::new(),
    }
}

/// Words that mean one thing whatever the status.
fn by_words(text: &str) -> Option<Class> {
    let text = text.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["insufficient_quota", "credit balance is too low", "insufficient credits", "payment required"]) {
        Some(Class::OutOfMoney)
    } else if has(&[
        "prompt is too long",
        "context_length_exceeded",
        "context window",
        "maximum context length",
    ]) {
        Some(Class::ContextTooLong)
    } else if has(&[
        "rate limit",
        "rate_limit",
        "ratelimit",
        "usage limit",
        "hit your limit",
        "too many requests",
        "resource_exhausted",
        "quota exceeded",
        "exceeded your current quota",
    ]) {
        Some(Class::RateLimited)
    } else if has(&["overloaded"]) {
        Some(Class::Overloaded)
    } else if has(&[
        "invalid api key",
        "invalid_api_key",
        "invalid x-api-key",
        "incorrect api key",
        "authentication_error",
        "failed to authenticate",
        "unauthorized",
        "please run /login",
        "not logged in",
        "oauth token has expired",
    ]) {
        Some(Class::Unauthorized)
    } else if has(&[
        "connection refused",
        "econnrefused",
        "enotfound",
        "connection error",
        "unable to connect",
        "error sending request",
        "fetch failed",
        "could not resolve host",
    ]) {
        Some(Class::Unreachable)
    } else if has(&["stream disconnected", "connection reset", "socket hang up"]) {
        Some(Class::Interrupted)
    } else {
        None
    }
}

/// An HTTP status that stands in a text: `status 401`, `"code":429`, `(429)`, `API Error: 500`.
fn status_in(text: &str) -> Option<u16> {
    static STATUS: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"(?i)(?:status(?:\s*code)?[\s:=]*|"?code"?\s*[:=]\s*|error:?\s*|http(?:/[\d.]+)?\s*|\()([45]\d\d)\b"#).ok()
    });
    STATUS.as_ref()?.captures(text)?.get(1)?.as_str().parse().ok()
}

/// The wait that a text asks for: `try again in 3 days 20 hours`, `retry after 30s`, `resets 3pm
/// (Europe/Berlin)`, or behind a bar the time in seconds since 1970.
fn wait_in(text: &str, now: Timestamp) -> Option<Duration> {
    let later = |at: Timestamp| Duration::try_from(at.duration_since(now)).ok();
    static SINCE_1970: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\|(1\d{9})\b").ok());
    if let Some(at) =
        SINCE_1970.as_ref().and_then(|regex| regex.captures(text)?.get(1)?.as_str().parse().ok())
    {
        return later(Timestamp::from_second(at).ok()?);
    }
    static SPAN: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let unit =
            r"[\d.]+\s*(?:ms|milliseconds?|d(?:ays?)?|h(?:ours?)?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?)\b";
        Regex::new(&format!(r"(?i)(?:\bin|\bafter)[:\s]+((?:{unit}[,\s]*(?:and\s+)?)+)")).ok()
    });
    static PART: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?i)([\d.]+)\s*(ms|milli|d|h|m|s)").ok());
    if let Some(span) = SPAN.as_ref().and_then(|regex| regex.captures(text)?.get(1)) {
        let parts = PART.as_ref()?.captures_iter(span.as_str());
        let seconds: f64 = parts
            .filter_map(|part| {
                let number: f64 = part.get(1)?.as_str().parse().ok()?;
                Some(
                    number
                        * match part.get(2)?.as_str().to_ascii_lowercase().as_str() {
                            "ms" | "milli" => 0.001,
                            "d" => 86_400.0,
                            "h" => 3_600.0,
                            "m" => 60.0,
                            _ => 1.0,
                        },
                )
            })
            .sum();
        return Duration::try_from_secs_f64(seconds).ok();
    }
    static CLOCK: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r"(?i)(?:resets|again)(?:\s+at)?\s+(\d{1,2})(?::(\d\d))?\s*([ap])\.?m\.?(?:\s*\(([\w/+-]+)\))?",
        )
        .ok()
    });
    let clock = CLOCK.as_ref()?.captures(text)?;
    let number = |n: usize| clock.get(n).and_then(|part| part.as_str().parse::<i8>().ok());
    let afternoon = clock.get(3)?.as_str().eq_ignore_ascii_case("p");
    let hour = number(1).filter(|hour| (1..=12).contains(hour))? % 12 + if afternoon { 12 } else { 0 };
    let zone =
        clock.get(4).and_then(|name| TimeZone::get(name.as_str()).ok()).unwrap_or_else(TimeZone::system);
    let here = now.to_zoned(zone);
    let then = here.with().time(Time::new(hour, number(2).unwrap_or(0), 0, 0).ok()?).build().ok()?;
    let then = if then <= here { then.checked_add(1.day()).ok()? } else { then };
    later(then.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_statuses_have_a_class() {
        for (text, class) in [
            (
                "unexpected status 401 Unauthorized: invalid x-api-key, url: http://x",
                Some(Class::Unauthorized),
            ),
            ("unexpected status 404 Not Found: no such model", Some(Class::NotFound)),
            ("[API Error: {\"error\":{\"code\":500,\"message\":\"x\"}}]", Some(Class::ServerError)),
            ("API Error: 529 {\"type\":\"overloaded_error\"}", Some(Class::Overloaded)),
            ("API Error: Request rejected (429) · too much", Some(Class::RateLimited)),
            ("You've hit your usage limit.", Some(Class::RateLimited)),
            ("429 insufficient_quota: You exceeded your current quota", Some(Class::OutOfMoney)),
            ("Credit balance is too low", Some(Class::OutOfMoney)),
            ("Invalid API key · Fix external API key", Some(Class::Unauthorized)),
            ("stream error: error sending request for url (http://127.0.0.1:1/)", Some(Class::Unreachable)),
            ("Prompt is too long", Some(Class::ContextTooLong)),
            ("Reached maximum number of turns (3)", None),
            ("it took 401 seconds", None),
        ] {
            assert_eq!(Fault::new(None, text).class, class, "{text}");
        }
        assert_eq!(Fault::new(Some(403), "no").class, Some(Class::Unauthorized));
    }

    #[test]
    fn the_wait_is_read_from_the_words() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (text, wait) in [
            ("Claude AI usage limit reached|1795262700", Some(300)),
            ("You've hit your usage limit. Try again in 3 days 20 hours 5 minutes.", Some(331_500)),
            ("Please try again in 1.5s.", Some(1)),
            ("Rate limited, retry after 30 seconds", Some(30)),
            ("You've hit your limit · resets 3pm (UTC)", Some(10_800)),
            ("You've hit your limit · resets 3:30am (UTC)", Some(55_800)),
            ("try again at 12:30 PM (UTC)", Some(1_800)),
            ("try again later", None),
            ("resets 13pm (UTC)", None),
        ] {
            assert_eq!(wait_in(text, now).map(|wait| wait.as_secs()), wait, "{text}");
        }
    }

    #[test]
    fn a_fault_that_does_not_pass_asks_for_no_wait() {
        assert_eq!(Fault::new(Some(401), "try again in 5 minutes").retry_after, None);
        let limited = Fault::new(Some(429), "try again in 5 minutes");
        assert_eq!((limited.retry_after, limited.is_transient()), (Some(Duration::from_secs(300)), true));
        assert!(!Fault { retryable: Some(false), ..limited }.is_transient());
    }
}
