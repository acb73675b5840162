//! One connection to a tool server: a process of ours that it speaks through, or HTTP.
//!
//! Invariant: dropping it ends the client, closes the streams and kills the process with all that it
//! started.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use rmcp::RoleClient;
use rmcp::model::{ClientCapabilities, ClientConfig, Implementation, ProtocolVersion};
use rmcp::service::{ClientInitializeError, ClientLifecycleMode, ClientServiceExt, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::wire::{MAX_MESSAGE, Watch, Watched};
use super::{Variables, fault};
use crate::plan::{McpServer, McpTransport, Setting};
use crate::process::{Exit, Input, Running, Spec};
use crate::tool::Ground;

/// What is kept of a server's standard error, in bytes.
const STDERR: usize = 2 * 1024;
/// How long a server that has closed its output may take to end by itself.
const LAST_BREATH: Duration = Duration::from_millis(500);

type Client = RunningService<RoleClient, ClientConfig>;

/// A server that has answered.
pub(super) struct Connection {
    name: String,
    client: Client,
    child: Option<Child>,
}

/// The process of a server.
struct Child {
    running: tokio::sync::Mutex<Option<Running>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    watch: Watch,
    /// Who reads its standard error.
    _reader: JoinSet<()>,
}

impl Connection {
    /// Starts or reaches a server and agrees with it on a version.
    pub(super) async fn open(
        server: &McpServer,
        ground: &Ground,
        variables: &Variables,
        until: Instant,
    ) -> Result<Connection, String> {
        let late = |heard: String| {
            format!("it did not answer within {} s of its start{heard}", super::START.as_secs())
        };
        match &server.how {
            McpTransport::Stdio { argv, env, cwd } => {
                let mut spec = Spec::new(argv, ground.root().join(cwd));
                spec.env = ground.env.clone();
                for (name, value) in env {
                    spec.env.set.push((OsString::from(name), OsString::from(resolved(value, variables)?)));
                }
                spec.stdin = Input::Pipe;
                spec.marker.1.clone_from(&ground.run_id);
                spec.reaper.clone_from(&ground.reaper);
                let spec =
                    (ground.wrap)(spec).map_err(|problem| format!("it could not be confined: {problem}"))?;
                let mut running =
                    Running::start(&spec).map_err(|error| format!("it could not be started: {error}"))?;
                let (Some(stdin), Some(stdout)) = (running.stdin.take(), running.stdout.take()) else {
                    return Err("it has no standard input or output".to_owned());
                };
                let child = Child::new(running);
                let stdout = Watched::new(stdout, child.watch.clone());
                let transport = AsyncRwTransport::new_client(stdout, stdin).with_max_line_length(MAX_MESSAGE);
                match timeout_at(until, info().serve_with_lifecycle(transport, lifecycle())).await {
                    Ok(Ok(client)) => {
                        Ok(Connection { name: server.name.clone(), client, child: Some(child) })
                    }
                    Ok(Err(error @ ClientInitializeError::JsonRpcError(_))) => Err(fault::of_start(&error)),
                    Ok(Err(error)) => Err(child.gone().await.unwrap_or_else(|| fault::of_start(&error))),
                    Err(_) => Err(late(child.heard())),
                }
            }
            McpTransport::Http { url, api_key_env, headers } => {
                let transport = http(url, api_key_env.as_deref(), headers, variables)?;
                match timeout_at(until, info().serve_with_lifecycle(transport, lifecycle())).await {
                    Ok(Ok(client)) => Ok(Connection { name: server.name.clone(), client, child: None }),
                    Ok(Err(error)) => Err(fault::of_start(&error)),
                    Err(_) => Err(late(String::new())),
                }
            }
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// A call begins.
    pub(super) fn call(&self) {
        self.child.iter().for_each(|child| child.watch.call());
    }

    /// How the server ended, where it is a process and has.
    pub(super) async fn gone(&self) -> Option<String> {
        match &self.child {
            Some(child) => child.gone().await,
            None => None,
        }
    }

    /// The last that was heard of it, as the end of a sentence.
    pub(super) fn heard(&self) -> String {
        self.child.as_ref().map(Child::heard).unwrap_or_default()
    }
}

impl Child {
    fn new(mut running: Running) -> Child {
        let stderr = Arc::<Mutex<Vec<u8>>>::default();
        let mut reader = JoinSet::new();
        if let Some(stream) = running.stderr.take() {
            reader.spawn(keep_tail(stream, Arc::clone(&stderr)));
        }
        let running = tokio::sync::Mutex::new(Some(running));
        Child { running, stderr, watch: Watch::default(), _reader: reader }
    }

    /// Why it cannot be spoken to any more. Ends it where it has not ended itself.
    async fn gone(&self) -> Option<String> {
        if let Some(fault) = self.watch.fault() {
            self.running.lock().await.take();
            return Some(fault.to_owned());
        }
        let mut slot = self.running.lock().await;
        let ended = match slot.as_mut() {
            Some(running) => timeout(LAST_BREATH, running.exited()).await.is_ok(),
            None => return Some(format!("it has ended{}", self.heard())),
        };
        let (exit, _) = slot.take()?.end(Duration::ZERO).await;
        let how = match (ended, exit) {
            (false, _) => "it closed its standard output".to_owned(),
            (true, Exit::Code(code)) => format!("it ended with exit status {code}"),
            (true, Exit::Signal(_, name)) => format!("it was killed by {name}"),
        };
        // What it wrote last is still on its way.
        tokio::task::yield_now().await;
        Some(format!("{how}{}", self.heard()))
    }

    /// The last line of its standard error, as the end of a sentence.
    fn heard(&self) -> String {
        let kept = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept);
        let last: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        match last.split_at(last.len().saturating_sub(3)).1 {
            [] => String::new(),
            lines => format!("; its last words: `{}`", lines.join(" / ")),
        }
    }
}

async fn keep_tail(mut stream: impl AsyncRead + Unpin, kept: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = vec![0; 4096];
    while let Ok(count) = stream.read(&mut buffer).await {
        if count == 0 {
            return;
        }
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
        let over = kept.len().saturating_sub(STDERR);
        kept.drain(..over);
    }
}

/// Who we are.
fn info() -> ClientConfig {
    let version = env!("CARGO_PKG_VERSION");
    ClientConfig::new(ClientCapabilities::default(), Implementation::new("fanout", version))
}

/// The newest protocol where the server has it, else the one with a handshake.
fn lifecycle() -> ClientLifecycleMode {
    ClientLifecycleMode::Auto { preferred_versions: vec![ProtocolVersion::LATEST], legacy_version: None }
}

/// The value of a setting. A variable that is not there is named.
fn resolved(setting: &Setting, variables: &Variables) -> Result<String, String> {
    match setting {
        Setting::Plain(text) => Ok(text.clone()),
        Setting::Variable(name) => variables(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| format!("`{name}` is not set: set it in your environment")),
    }
}

type Http = StreamableHttpClientTransport<reqwest::Client>;

fn http(
    url: &str,
    key: Option<&str>,
    headers: &[(String, Setting)],
    variables: &Variables,
) -> Result<Http, String> {
    // A header must not follow a redirection to somebody else.
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .user_agent(concat!("fanout/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| format!("no HTTP client: {}", fault::chain(&error)))?;
    let mut custom = HashMap::new();
    for (name, value) in headers {
        let value = resolved(value, variables)?;
        let header = HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is no header"))?;
        let mut value =
            HeaderValue::try_from(value.trim()).map_err(|_| format!("the value of `{name}` is no header"))?;
        value.set_sensitive(true);
        custom.insert(header, value);
    }
    let mut config = StreamableHttpClientTransportConfig::with_uri(url)
        .custom_headers(custom)
        .max_sse_event_size(MAX_MESSAGE);
    if let Some(name) = key {
        let value = resolved(&Setting::Variable(name.to_owned()), variables)?;
        config = config.auth_header(value.trim());
    }
    Ok(Http::with_client(client, config))
}
