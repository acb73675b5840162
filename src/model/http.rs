//! The one HTTP client: it sends a request, reads the response, and never follows a redirect.
//!
//! Invariants: certificates are loaded when the first `https` request needs them, so
//! a plan that only talks to `http` servers runs where there are none. Every bound
//! is in force: connecting, silence, deadline, size of head, body and error.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Body, Response};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::body::{self, End};
use super::clock::{Bounds, Clock};
use super::dialect::{self, Dialect, Draft, Ending};
use super::headers::{rate_headers, request_id, retry_after, should_retry};
use super::proxy;
use super::secret::Keys;
use super::target::Target;
use super::{Class, Failure, Progress, Reply, Request};
use crate::outcome::Usage;
use crate::plan::Provider;
use crate::unit::Tokens;

/// The largest response head that is taken, in bytes.
const MAX_HEAD: usize = 64 << 10;

/// How many idle connections to one host are kept: one for each call that may run at once.
const MAX_IDLE_CONNECTIONS: usize = 4096;

/// How long the end of a response may take after its answer before its connection is closed.
const END_AFTER_ANSWER: Duration = Duration::from_secs(2);

/// How connections are made.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long connecting may take, name resolution and TLS included.
    pub connect_timeout: Duration,
    /// How long a server that sends signs of life in its stream may then send nothing at all. One
    /// that never did is left to the idle timeout: it may be thinking.
    pub heartbeat: Duration,
    /// Whether the system's proxies (`HTTP_PROXY` and its kin) are used.
    pub proxies: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        let heartbeat = Duration::from_secs(60);
        Settings { connect_timeout: Duration::from_secs(10), heartbeat, proxies: true }
    }
}

/// Talks to models. One for a whole run: its connections are shared.
pub struct Client {
    keys: Keys,
    settings: Settings,
    plain: OnceLock<Result<reqwest::Client, String>>,
    tls: OnceLock<Result<reqwest::Client, String>>,
    /// Responses whose answer is there but not their end. Ended with this client.
    ending: Mutex<JoinSet<()>>,
}

impl Client {
    /// A client with the given keys. Opens nothing and loads nothing yet.
    pub fn new(keys: Keys, settings: Settings) -> Client {
        let (plain, tls) = (OnceLock::new(), OnceLock::new());
        Client { keys, settings, plain, tls, ending: Mutex::default() }
    }

    /// Sends one request and reads its answer to the end.
    ///
    /// `on_progress` is called after every chunk of the body, on the hot path: it
    /// must be quick. Dropping the future closes the connection. Nothing is retried.
    ///
    /// # Errors
    /// A [`Failure`] with its class; its `partial` holds the text that came before.
    pub async fn ask(
        &self,
        provider: &Provider,
        request: &Request,
        bounds: Bounds,
        on_progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Reply, Box<Failure>> {
        let dialect = dialect::of(provider.api);
        let target = Target::find(provider, &request.model, request.max_tokens, &self.keys)?;
        let sent = Sent { target, dialect, messages: request.messages.len() };
        let url = sent.target.url(&dialect.path(&request.model), dialect.query());
        let client = if url.scheme() == "http" { self.plain() } else { self.tls() };
        let client =
            client.as_ref().map_err(|why| Failure::new(Class::Unreachable, why.clone()).for_good())?;
        let body = serde_json::to_vec(&dialect.body(request, &sent.target.host))
            .map_err(|error| Failure::new(Class::Bug, format!("the request is no JSON: {error}")))?;
        let size = body.len();
        let head = sent.head(provider)?;
        let mut clock = Clock::start(bounds, self.settings.heartbeat);
        let future = client.post(url).headers(head).body(Body::from(body)).send();
        let mut response = match clock.run(future).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                return Err(Box::new(sent.target.unsent(&error, self.proxy(provider).as_deref())));
            }
            Err(expired) => {
                let usage = Usage { requests: 1, ..Usage::default() };
                return Err(Box::new(Failure { usage, ..sent.target.expired(expired) }));
            }
        };
        clock.progress();
        if let (407, Some(proxy)) = (response.status().as_u16(), self.proxy(provider)) {
            return Err(Box::new(sent.target.kept_out(&proxy)));
        }
        // In a place of its own: until an answer comes it needs none.
        let received = Box::pin(sent.receive(&mut response, &mut clock, size, on_progress)).await;
        let (reply, end) = received?;
        if end == End::Open {
            self.see_off(response);
        }
        Ok(reply)
    }

    /// Reads a response to its end while its answer is already used: closing the
    /// connection would cost the next request a new one.
    fn see_off(&self, mut response: Response) {
        let bounds = Bounds { deadline: Some(Instant::now() + END_AFTER_ANSWER), idle: None };
        let mut ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        while ending.try_join_next().is_some() {}
        ending.spawn(async move {
            body::to_end(&mut response, &mut Clock::start(bounds, END_AFTER_ANSWER)).await;
        });
    }

    fn plain(&self) -> &Result<reqwest::Client, String> {
        // No roots at all: it never speaks TLS, and loading them costs milliseconds.
        self.plain.get_or_init(|| {
            let built = self.builder().tls_certs_only([]).build();
            built.map_err(|error| format!("could not set up HTTP: {error}"))
        })
    }

    fn tls(&self) -> &Result<reqwest::Client, String> {
        self.tls.get_or_init(|| {
            self.builder().build().map_err(|error| {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                let cause = cause.unwrap_or_else(|| error.to_string());
                format!(
                    "could not set up TLS: {}; install the system's CA certificates (package `ca-certificates`) \
                     or name them in SSL_CERT_FILE",
                    cause.trim_start_matches("unexpected error: ")
                )
            })
        })
    }

    /// The proxy that requests to this provider go through.
    fn proxy(&self, provider: &Provider) -> Option<String> {
        if self.settings.proxies { proxy::on_the_way(&provider.base_url) } else { None }
    }

    fn builder(&self) -> reqwest::ClientBuilder {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("fanout/", env!("CARGO_PKG_VERSION")))
            // reqwest would send `x-api-key` and the whole prompt along to another host.
            .redirect(Policy::none())
            .connect_timeout(self.settings.connect_timeout)
            .tcp_keepalive(Duration::from_secs(30))
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .http2_adaptive_window(true)
            .referer(false);
        if self.settings.proxies { builder } else { builder.no_proxy() }
    }
}

/// One request on its way.
struct Sent<'a> {
    target: Target<'a>,
    dialect: &'static dyn Dialect,
    /// How many messages the conversation has.
    messages: usize,
}

impl Sent<'_> {
    fn head(&self, provider: &Provider) -> Result<HeaderMap, Box<Failure>> {
        let mut head = HeaderMap::new();
        head.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        head.insert(ACCEPT, HeaderValue::from_static("text/event-stream, application/json"));
        for (name, value) in self.dialect.headers() {
            head.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        for (name, value) in &provider.headers {
            let header = name.parse::<HeaderName>().ok().zip(HeaderValue::from_str(value).ok());
            let Some((name, value)) = header else {
                let message = format!("provider `{}`: `{name}` is no header that can be sent", provider.name);
                return Err(Box::new(Failure::new(Class::BadRequest, super::shown(&message, 300))));
            };
            head.insert(name, value);
        }
        if let Some((variable, key)) = self.target.key {
            let (name, prefix) = match variable {
                super::secret::ANTHROPIC_TOKEN => (reqwest::header::AUTHORIZATION, "Bearer "),
                _ => self.dialect.key_header(),
            };
            let mut value = HeaderValue::from_str(&format!("{prefix}{}", key.expose())).map_err(|_| {
                let message = format!("the key in {variable} holds a character that no key can have");
                Box::new(Failure::new(Class::Unauthorized, message))
            })?;
            value.set_sensitive(true);
            head.insert(name, value);
        }
        Ok(head)
    }

    async fn receive(
        &self,
        response: &mut Response,
        clock: &mut Clock,
        request_size: usize,
        on_progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<(Reply, End), Box<Failure>> {
        let now = Timestamp::now();
        let headers = response.headers().clone();
        let status = response.status();
        let rate = rate_headers(&headers, now);
        let named = request_id(&headers);
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = super::shown(kind.unwrap_or("no content-type"), 100);
        let complete = |failure: Failure| {
            let request_id = named.clone().or(failure.request_id);
            let mut message = failure.message;
            if let Some(id) = &request_id {
                message.push_str(&format!(" [request {id}]"));
            }
            let asked = matches!(failure.class, Class::RateLimited | Class::Overloaded | Class::ServerError);
            let wait = if asked { retry_after(&headers, now) } else { None };
            let usage = Usage { requests: 1, ..failure.usage };
            Box::new(Failure {
                message,
                usage,
                request_id,
                status: failure.status.or(Some(status.as_u16())),
                retry_after: wait.or(failure.retry_after),
                should_retry: should_retry(&headers),
                rate,
                ..failure
            })
        };
        let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if size > MAX_HEAD {
            let message = format!("{}: the response head is larger than 64 KiB", self.target.host);
            return Err(complete(Failure::new(Class::Protocol, message)));
        }
        if status.is_redirection() {
            return Err(complete(self.target.redirect(status.as_u16(), &headers)));
        }
        if !status.is_success() {
            let body = body::read_error(response, clock).await;
            return Err(complete(self.target.rejection(status.as_u16(), &kind, &body)));
        }
        let mut fold = self.dialect.fold(self.messages);
        let at_end = match body::read(response, &mut *fold, clock, on_progress).await {
            Ok(at_end) => at_end,
            Err(broken) => {
                let failure = self.target.broken(&broken, &kind);
                let usage = spent(fold.usage(), request_size, fold.text()).0;
                return Err(complete(Failure { partial: fold.text().to_owned(), usage, ..failure }));
            }
        };
        let (partial, known) = (fold.text().to_owned(), fold.usage());
        let draft = match fold.finish() {
            Ok(draft) => draft,
            Err(fault) => {
                let usage = spent(known, request_size, &partial).0;
                return Err(complete(Failure { partial, usage, ..self.target.fault(&fault) }));
            }
        };
        let Draft { text, assistant, calls, end, usage, model } = draft;
        let (usage, usage_estimated) = spent(usage, request_size, &text);
        let failure = match end {
            Ending::Reply(stop) => {
                let request_id = named.clone();
                let reply =
                    Reply { text, assistant, calls, stop, usage, usage_estimated, model, request_id, rate };
                return Ok((reply, at_end));
            }
            Ending::Truncated(by) => self.target.truncated(by),
            Ending::Refused(why) => self.target.refused(&why),
        };
        Err(complete(Failure { partial: text, usage, ..failure }))
    }
}

/// The usage as given, or estimated at four bytes a token; true for an estimate.
fn spent(given: Option<Usage>, request_size: usize, text: &str) -> (Usage, bool) {
    match given {
        Some(usage) => (usage, false),
        None => {
            let tokens = |bytes: usize| Tokens(bytes.div_ceil(4) as u64);
            let (input, output) = (tokens(request_size), tokens(text.len()));
            (Usage { input, output, requests: 1, ..Usage::default() }, true)
        }
    }
}
