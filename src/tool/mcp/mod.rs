//! Tool servers: their tools, called over stdio or streamable HTTP.
//!
//! Invariants: a server belongs to the tools that were made from it, and is gone with the last of
//! them; nothing that it does or leaves undone is waited for without a bound; why it failed is said
//! in its own words where it has any.
//!
//! Each agent at work has servers of its own: what one agent does in a server (a page that is open,
//! a transaction, a folder that was changed to) is not seen by the others, a server works in its
//! agent's workspace and under its sandbox, and ends with it.

mod answer;
mod connection;
mod fault;
mod wire;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rmcp::model::{CallToolRequestParams, PaginatedRequestParams};
use rmcp::service::ServiceError;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{Class, Ground, Heard, Said, Tool, ToolSpec, head};
use crate::plan::McpServer;
use connection::Connection;

/// How long a server may take from its start to the list of its tools: a package runner may have
/// to install it first.
const START: Duration = Duration::from_secs(90);
/// More tools than this are not taken from one server.
const MAX_TOOLS: usize = 512;
/// More pages than this are not asked for.
const MAX_PAGES: usize = 64;
/// What is passed on of a tool's description, in bytes.
const MAX_DESCRIPTION: usize = 8 * 1024;
/// The longest schema that is passed on, in bytes.
const MAX_SCHEMA: usize = 64 * 1024;
/// The longest name that every provider takes.
const MAX_NAME: usize = 64;

/// Looks up a variable by its name.
type Variables = dyn Fn(&str) -> Option<String> + Send + Sync;

/// How the tool servers of a run are started.
#[derive(Clone)]
pub struct Servers {
    /// The environment that keys are looked up in by name.
    variables: Arc<Variables>,
    /// By what a server is: whether it has been started once in this run.
    started: Arc<Mutex<HashMap<String, Arc<Mutex<bool>>>>>,
}

impl Servers {
    /// Servers whose keys are looked up with `variables`: the environment, or what stands for it.
    pub fn new(variables: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Servers {
        Servers { variables: Arc::new(variables), started: Arc::default() }
    }

    /// Starts a server, or connects to it, and lists its tools.
    ///
    /// The first start in a run goes alone: it may be installing what the others only start.
    async fn connect(
        &self,
        server: &McpServer,
        ground: &Ground,
    ) -> Result<(Connection, Vec<rmcp::model::Tool>), String> {
        let started = {
            let mut all = self.started.lock().await;
            Arc::clone(all.entry(format!("{:?}", server.how)).or_default())
        };
        let mut first = started.lock().await;
        if *first {
            drop(first);
            return self.start(server, ground).await;
        }
        let connected = self.start(server, ground).await?;
        *first = true;
        Ok(connected)
    }

    async fn start(
        &self,
        server: &McpServer,
        ground: &Ground,
    ) -> Result<(Connection, Vec<rmcp::model::Tool>), String> {
        let until = tokio::time::Instant::now() + START;
        let connection = Connection::open(server, ground, &*self.variables, until).await?;
        match tokio::time::timeout_at(until, list(&connection)).await {
            Ok(Ok(tools)) => Ok((connection, tools)),
            Ok(Err(problem)) => Err(problem),
            Err(_) => {
                let heard = connection.heard();
                Err(format!("it did not list its tools within {} s{heard}", START.as_secs()))
            }
        }
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servers").finish_non_exhaustive()
    }
}

/// All tools of a server, page by page.
async fn list(connection: &Connection) -> Result<Vec<rmcp::model::Tool>, String> {
    let (mut tools, mut cursor) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let page = PaginatedRequestParams::default().with_cursor(cursor.clone());
        let page = match connection.client().list_tools(Some(page)).await {
            Ok(page) => page,
            Err(error) => {
                return Err(format!("it does not list its tools: {}", problem(&error, connection).await));
            }
        };
        tools.extend(page.tools);
        if tools.len() > MAX_TOOLS {
            return Err(format!("it has more than {MAX_TOOLS} tools"));
        }
        match page.next_cursor {
            None => return Ok(tools),
            same if same == cursor => {
                return Err("it lists the same page of tools again and again".to_owned());
            }
            next => cursor = next,
        }
    }
    Err(format!("its list of tools has more than {MAX_PAGES} pages"))
}

/// One tool of a server.
struct McpTool {
    connection: Arc<Connection>,
    /// As the server calls it.
    name: String,
    spec: ToolSpec,
    class: Class,
    timeout: Duration,
}

/// The tools of a server that are wanted: all, or those with a name.
///
/// # Errors
/// Why they cannot be had, as a sentence without a full stop.
pub(super) async fn tools(
    server: &McpServer,
    wanted: &[Option<&str>],
    ground: &Ground,
    servers: &Servers,
) -> Result<Vec<Box<dyn Tool>>, String> {
    let (connection, listed) = servers.connect(server, ground).await?;
    let connection = Arc::new(connection);
    let names: Vec<&str> = listed.iter().map(|tool| tool.name.as_ref()).collect();
    for name in wanted.iter().flatten() {
        if !names.contains(name) {
            return Err(format!("it has no tool `{name}`; its tools are {}", shown(&names)));
        }
    }
    let mut tools: Vec<Box<dyn Tool>> = Vec::new();
    let mut taken = Vec::new();
    for tool in &listed {
        if !wanted.iter().any(|wanted| wanted.is_none_or(|wanted| wanted == tool.name)) {
            continue;
        }
        let name = qualified(&server.name, &tool.name, &taken);
        taken.push(name.clone());
        let mut schema: Map<String, Value> = (*tool.input_schema).clone();
        schema.remove("$schema");
        schema.entry("type").or_insert_with(|| Value::from("object"));
        let parameters = Value::Object(schema);
        if parameters.to_string().len() > MAX_SCHEMA {
            return Err(format!("the schema of its tool `{}` has more than {MAX_SCHEMA} bytes", tool.name));
        }
        let about = tool.description.as_deref().or(tool.title.as_deref()).unwrap_or("");
        let description = head(about, MAX_DESCRIPTION).to_owned();
        let hint = |hint: fn(&rmcp::model::ToolAnnotations) -> Option<bool>| {
            tool.annotations.as_ref().and_then(hint).unwrap_or(false)
        };
        let class = match () {
            () if hint(|hints| hints.read_only_hint) => Class::Pure,
            () if hint(|hints| hints.idempotent_hint) => Class::Idempotent,
            () => Class::Unsafe,
        };
        tools.push(Box::new(McpTool {
            connection: Arc::clone(&connection),
            name: tool.name.to_string(),
            spec: ToolSpec { name, description, parameters },
            class,
            timeout: server.timeout,
        }));
    }
    Ok(tools)
}

impl Tool for McpTool {
    fn spec(&self) -> ToolSpec {
        self.spec.clone()
    }

    fn class(&self, _: &Value) -> Class {
        self.class
    }

    fn writes(&self, _: &Value) -> Option<PathBuf> {
        None
    }

    fn call<'a>(&'a self, input: Value, _: &'a Heard<'a>) -> BoxFuture<'a, Said> {
        async move {
            let Value::Object(arguments) = input else {
                return Said::error(format!("the input of `{}` is no object", self.spec.name));
            };
            let params = CallToolRequestParams::new(self.name.clone()).with_arguments(arguments);
            self.connection.call();
            let server = self.connection.name();
            match timeout(self.timeout, self.connection.client().call_tool(params)).await {
                Ok(Ok(result)) => answer::said(&result),
                Ok(Err(ServiceError::McpError(error))) => Said::error(format!(
                    "the tool server `{server}` refused the call: {} (code {})",
                    error.message, error.code.0
                )),
                Ok(Err(error)) => {
                    let problem = problem(&error, &self.connection).await;
                    Said::error(format!("the tool server `{server}` failed: {problem}"))
                }
                Err(_) => {
                    let (seconds, heard) = (self.timeout.as_secs(), self.connection.heard());
                    Said::error(format!(
                        "the tool server `{server}` did not answer within {seconds} s{heard}"
                    ))
                }
            }
        }
        .boxed()
    }
}

/// What is wrong, in the server's own words where it is gone.
async fn problem(error: &ServiceError, connection: &Connection) -> String {
    let closed = matches!(error, ServiceError::TransportClosed | ServiceError::TransportSend(_));
    let gone = if closed { connection.gone().await } else { None };
    gone.unwrap_or_else(|| fault::of_call(error))
}

/// `mcp__server__tool`, of characters that every provider takes and not longer than they take.
fn qualified(server: &str, tool: &str, taken: &[String]) -> String {
    let full = format!("mcp__{server}__{tool}");
    let plain: String = full
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' })
        .collect();
    if plain.len() <= MAX_NAME && !taken.contains(&plain) {
        return plain;
    }
    let hash = blake3::hash(full.as_bytes()).to_hex();
    format!("{}_{}", head(&plain, MAX_NAME - 9), head(&hash, 8))
}

fn shown(names: &[&str]) -> String {
    let mut shown: Vec<String> = names.iter().take(20).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(20) {
        0 => {}
        more => shown.push(format!("{more} more")),
    }
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_every_provider_takes() {
        assert_eq!(qualified("files", "read_file", &[]), "mcp__files__read_file");
        assert_eq!(qualified("my-git", "repo.log/all", &[]), "mcp__my-git__repo_log_all");
        let long = qualified("files", &"x".repeat(200), &[]);
        assert_eq!((long.len(), &long[..20]), (64, "mcp__files__xxxxxxxx"));
        let first = qualified("a", "b.c", &[]);
        let second = qualified("a", "b/c", std::slice::from_ref(&first));
        assert!(second.starts_with("mcp__a__b_c_") && second != first);
    }
}
