//! Whom a request goes to, and how its failures are told.
//!
//! Invariant: every sentence names the provider and its host, says what to do where
//! something can be done, and never holds the key, even if the provider repeats it.

use std::error::Error;

use reqwest::Url;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::body::{Broken, MAX_BODY};
use super::clock::{Expired, Quiet};
use super::complaint::Complaint;
use super::dialect::Fault;
use super::secret::{Keys, Secret};
use super::{Class, Failure, MAX_MESSAGE, shown};
use crate::plan::Provider;
use crate::unit::{Bytes, Tokens, human_duration};

/// One model of one provider, with its key.
pub(super) struct Target<'a> {
    provider: &'a Provider,
    model: &'a str,
    max_tokens: Tokens,
    base: Url,
    /// `host` or `host:port`.
    pub(super) host: String,
    /// The key and the variable that it came from.
    pub(super) key: Option<(&'a str, &'a Secret)>,
}

impl<'a> Target<'a> {
    /// Finds the address and the key.
    ///
    /// # Errors
    /// [`Class::BadRequest`] for an address that is none, [`Class::MissingKey`].
    pub(super) fn find(
        provider: &'a Provider,
        model: &'a str,
        max_tokens: Tokens,
        keys: &'a Keys,
    ) -> Result<Target<'a>, Box<Failure>> {
        let name = &provider.name;
        let base = Url::parse(&provider.base_url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some((base, host)) =
            base.and_then(|url| Some((host_of(&url)?, url))).map(|(host, url)| (url, host))
        else {
            let message = format!(
                "the base_url of provider `{name}` is no http or https address: `{}`",
                shown(&provider.base_url, 200)
            );
            return Err(Box::new(Failure::new(Class::BadRequest, message)));
        };
        let key = keys.get(provider);
        if let (None, Some(variable)) = (key, &provider.api_key_env) {
            let message = format!(
                "provider `{name}` needs a key, and the environment variable {variable} is not set; \
                 set it (`export {variable}=…`), or name a model of another provider"
            );
            return Err(Box::new(Failure::new(Class::MissingKey, message)));
        }
        Ok(Target { provider, model, max_tokens, base, host, key })
    }

    /// The address of an endpoint; a query of the base URL stays at its end, before the endpoint's own.
    pub(super) fn url(&self, path: &str, query: Option<&str>) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        let queries: Vec<&str> = self.base.query().into_iter().chain(query).collect();
        if !queries.is_empty() {
            url.set_query(Some(&queries.join("&")));
        }
        url
    }

    /// `anthropic (api.anthropic.com)`.
    fn who(&self) -> String {
        format!("{} ({})", self.provider.name, self.host)
    }

    /// A text of the provider, made safe to show.
    pub(super) fn said(&self, text: &str) -> String {
        match self.key {
            Some((name, key)) => shown(&text.replace(key.expose(), &format!("[{name}]")), MAX_MESSAGE),
            None => shown(text, MAX_MESSAGE),
        }
    }

    /// The failure of a response with an error status.
    pub(super) fn rejection(&self, status: u16, content_type: &str, body: &[u8]) -> Failure {
        let complaint = serde_json::from_slice(body).ok().and_then(|body: Value| Complaint::read(&body));
        match complaint {
            Some(complaint) => self.complaint(&complaint, status),
            None => {
                let head = self.said(String::from_utf8_lossy(body.get(..120).unwrap_or(body)).as_ref());
                let complaint = Complaint {
                    message: if head.is_empty() { String::new() } else { format!("{content_type}: {head}") },
                    ..Complaint::default()
                };
                self.complaint(&complaint, status)
            }
        }
    }

    /// The failure of a redirect, which is not followed: the key and the prompt would go along.
    pub(super) fn redirect(&self, status: u16, headers: &HeaderMap) -> Failure {
        let location = headers.get(reqwest::header::LOCATION).and_then(|to| to.to_str().ok());
        let to = location.and_then(|to| self.base.join(to).ok());
        let message = match to.as_ref().and_then(|to| Some((to, host_of(to)?))) {
            Some((to, host)) => format!(
                "{} redirected to {}://{host}, which is never followed; if that is right, set base_url of provider `{}` to it",
                self.who(),
                to.scheme(),
                self.provider.name
            ),
            None => format!("{} answered with status {status}, which is no answer", self.who()),
        };
        Failure { status: Some(status), ..Failure::new(Class::Redirected, shown(&message, MAX_MESSAGE)) }
    }

    /// The failure of a request that no response came for.
    pub(super) fn unsent(&self, error: &reqwest::Error, proxy: Option<&str>) -> Failure {
        let mut cause = self.said(&root_cause(error));
        if let Some(proxy) = proxy.filter(|_| error.is_connect() || error.is_timeout()) {
            if cause.contains("proxy auth") {
                return self.kept_out(proxy);
            }
            cause.push_str(&format!(" (through the proxy {proxy})"));
        }
        let untrusted = error.is_connect() && cause.contains("certificate");
        let (class, stage) = if error.is_builder() {
            (Class::BadRequest, "could not build the request for")
        } else if error.is_dns() {
            (Class::Unreachable, "could not resolve the name of")
        } else if error.is_connect() && error.is_timeout() {
            (Class::Unreachable, "took too long to connect to")
        } else if untrusted {
            (Class::Unreachable, "could not trust")
        } else if error.is_connect() {
            (Class::Unreachable, "could not connect to")
        } else if cause.contains("message head is too large") || cause.contains("invalid HTTP") {
            (Class::Protocol, "could not read the response head of")
        } else {
            (Class::Unreachable, "lost the connection before any answer of")
        };
        if cause.contains("UnknownIssuer") {
            cause.push_str("; if its authority is your own, name that certificate in SSL_CERT_FILE");
        }
        let failure = Failure::new(class, format!("{stage} {}: {cause}", self.who()));
        if untrusted { failure.for_good() } else { failure }
    }

    /// The failure of a request that the proxy before the provider does not let through.
    pub(super) fn kept_out(&self, proxy: &str) -> Failure {
        let message = format!(
            "the proxy {proxy} wants a user and a password before it connects to {} (407); say them in \
             HTTPS_PROXY or HTTP_PROXY: http://USER:PASSWORD@{proxy}",
            self.who()
        );
        Failure { status: Some(407), ..Failure::new(Class::Unreachable, message) }.for_good()
    }

    /// The failure of a bound that passed before any response came.
    pub(super) fn expired(&self, expired: Expired) -> Failure {
        match expired {
            Expired::Idle(idle, quiet) => {
                let what = match quiet {
                    Quiet::Nothing => "nothing",
                    Quiet::Bytes => "bytes but no event",
                    Quiet::Pings => "signs of life but no answer",
                };
                let idle = human_duration(idle);
                Failure::new(Class::Stalled, format!("{} sent {what} for {idle} (idle_timeout)", self.who()))
            }
            Expired::Dead(heartbeat) => {
                let time = human_duration(heartbeat);
                Failure::new(
                    Class::Stalled,
                    format!("{} had sent signs of life, and then nothing at all for {time}", self.who()),
                )
            }
            Expired::Deadline => Failure::new(
                Class::TimedOut,
                format!("{} was not done when the time was up (timeout)", self.who()),
            ),
        }
    }

    /// The failure of a body that gave no answer.
    pub(super) fn broken(&self, broken: &Broken, content_type: &str) -> Failure {
        let who = self.who();
        match broken {
            Broken::Expired(expired) => self.expired(*expired),
            Broken::Lost(error) => Failure::new(
                Class::Interrupted,
                format!(
                    "the connection to {who} broke in the middle of the answer: {}",
                    self.said(&root_cause(error))
                ),
            ),
            Broken::Cut => Failure::new(
                Class::Interrupted,
                format!("the answer of {who} ended before it was complete (no terminal event)"),
            ),
            Broken::TooLarge => Failure::new(
                Class::TooLarge,
                format!("the answer of {who} is larger than {}", Bytes(MAX_BODY as u64)),
            ),
            Broken::EventTooLarge(error) => Failure::new(Class::TooLarge, format!("{who}: {error}")),
            Broken::Foreign(head) => {
                let head = self.said(&String::from_utf8_lossy(head));
                let what = if head.is_empty() { "an empty body".to_owned() } else { format!("`{head}`") };
                Failure::new(
                    Class::Protocol,
                    format!("{who} answered with {what} ({content_type}) instead of a model's answer"),
                )
            }
            Broken::Fault(fault) => self.fault(fault),
        }
    }

    /// The failure of a response that is not the protocol, or reports an error.
    pub(super) fn fault(&self, fault: &Fault) -> Failure {
        match fault {
            Fault::Garbled(what) => Failure::new(
                Class::Protocol,
                format!("{} broke the protocol: {}", self.who(), self.said(what)),
            ),
            Fault::Complaint(complaint) => self.complaint(complaint, complaint.status()),
        }
    }

    /// The failure of an answer that was cut off.
    pub(super) fn truncated(&self, by: &str) -> Failure {
        let message = format!(
            "{}: the answer of {} was cut off by {by}; raise the agent's max_tokens (now {}) or ask for less",
            self.who(),
            self.model,
            self.max_tokens
        );
        Failure::new(Class::Truncated, message)
    }

    /// The failure of a model that declined.
    pub(super) fn refused(&self, why: &str) -> Failure {
        let why = self.said(why);
        let why = if why.is_empty() { "it gave no reason".to_owned() } else { why };
        Failure::new(Class::Refused, format!("{}: {} refused: {why}", self.who(), self.model))
    }

    fn complaint(&self, complaint: &Complaint, status: u16) -> Failure {
        let class = complaint.class(status);
        let said = self.said(&complaint.message);
        let said = if said.is_empty() { self.said(&complaint.kind) } else { said };
        let said = if said.is_empty() { "it gave no reason".to_owned() } else { said };
        let advice = self.advice(class).map(|advice| format!("; {advice}")).unwrap_or_default();
        Failure {
            status: Some(status),
            retry_after: complaint.retry_after,
            request_id: complaint.request_id.as_deref().map(|id| shown(id, 128)),
            ..Failure::new(class, format!("{} answered {status}: {said}{advice}", self.who()))
        }
    }

    fn advice(&self, class: Class) -> Option<String> {
        match class {
            Class::Unauthorized => Some(match self.key {
                Some((variable, _)) => format!("check the key in {variable}"),
                None => format!(
                    "no key was sent: provider `{}` has no api_key_env",
                    self.provider.name
                ),
            }),
            Class::NotFound => {
                Some(format!("check the model's name `{}` and base_url `{}`", shown(self.model, 200), self.base_without_secrets()))
            }
            Class::OutOfMoney => Some("waiting does not help: add credit or raise the spending limit".to_owned()),
            Class::ContextTooLong => {
                Some("shorten the prompt (`pass` bounds what it holds of other calls) or use a model with a larger window".to_owned())
            }
            Class::Unreachable
            | Class::Interrupted
            | Class::ServerError
            | Class::Overloaded
            | Class::RateLimited
            | Class::MissingKey
            | Class::BadRequest
            | Class::TooLarge
            | Class::Refused
            | Class::Truncated
            | Class::Protocol
            | Class::Redirected
            | Class::Stalled
            | Class::TimedOut
            | Class::Bug => None,
        }
    }

    fn base_without_secrets(&self) -> String {
        format!("{}://{}{}", self.base.scheme(), self.host, self.base.path())
    }
}

/// `host`, or `host:port` where the port is not the scheme's own.
fn host_of(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// The innermost cause, which is the one that says something.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if std::ptr::addr_eq(cause, error) {
        // Its own text would hold the whole address.
        return if error.is_timeout() { "timed out".to_owned() } else { "the request failed".to_owned() };
    }
    cause.to_string()
}
