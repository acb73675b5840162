//! From what an agent is granted to the tools that it has.
//!
//! Invariant: an agent has the tools that it is granted and no others; none of them is left out silently.

use std::sync::Arc;

use futures::future::try_join_all;
use indexmap::IndexMap;

use super::bash::Bash;
use super::edit::Edit;
use super::glob::Glob;
use super::grep::Grep;
use super::list::List;
use super::mcp::{self, Servers};
use super::read::Read;
use super::shell::Allowed;
use super::write::Write;
use super::{Ground, Tool};
use crate::plan::{McpServer, ToolGrant};

/// What tools are made from.
#[derive(Debug)]
pub struct Kit<'a> {
    /// Where they act.
    pub ground: Arc<Ground>,
    /// The tool servers of the plan.
    pub mcp: &'a IndexMap<String, McpServer>,
    /// How tool servers are started.
    pub servers: &'a Servers,
}

/// Why an agent cannot have a tool that it is granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tool server `{server}` cannot be used: {problem}")]
pub struct Unavailable {
    /// Its name under `mcp`.
    pub server: String,
    /// What is wrong with it, in its own words where it has any.
    pub problem: String,
}

/// The tools of an agent, in the order of its grants; each name once. Tool servers are started for it,
/// and end when the last of their tools is dropped.
///
/// The tool `background_run` runs a command to its end: that nobody waits for it is the business
/// of whoever makes the call. Grants of `agent` and `check_background` are passed over: subagents
/// and jobs belong to the conversation.
///
/// # Errors
/// [`Unavailable`] where a tool server cannot be had.
pub async fn tools(grants: &[ToolGrant], kit: Kit<'_>) -> Result<Vec<Box<dyn Tool>>, Unavailable> {
    let Kit { ground, mcp, servers } = kit;
    let mut of_servers = from_servers(grants, &ground, mcp, servers).await?;
    let allowed = allowed(grants);
    let mut tools: Vec<Box<dyn Tool>> = Vec::new();
    let mut has_bash = false;
    for grant in grants {
        let ground = Arc::clone(&ground);
        match grant {
            ToolGrant::Read => tools.push(Box::new(Read::new(ground))),
            ToolGrant::Write => tools.push(Box::new(Write::new(ground))),
            ToolGrant::Edit => tools.push(Box::new(Edit::new(ground))),
            ToolGrant::Grep => tools.push(Box::new(Grep::new(ground))),
            ToolGrant::Glob => tools.push(Box::new(Glob::new(ground))),
            ToolGrant::List => tools.push(Box::new(List::new(ground))),
            ToolGrant::Bash(_) if has_bash => {}
            ToolGrant::Bash(_) => {
                has_bash = true;
                tools.push(Box::new(Bash::new(ground, allowed.clone())));
            }
            ToolGrant::BackgroundRun => tools.push(Box::new(Bash::background(ground, allowed.clone()))),
            // All that are wanted of a server stand where it is first named.
            ToolGrant::Mcp { server, .. } => {
                tools.extend(of_servers.shift_remove(server.as_str()).into_iter().flatten())
            }
            ToolGrant::CheckBackground | ToolGrant::Agent => {}
        }
    }
    Ok(tools)
}

/// The tools of servers, by server; the servers are started at the same time.
async fn from_servers<'g>(
    grants: &'g [ToolGrant],
    ground: &Ground,
    mcp: &IndexMap<String, McpServer>,
    servers: &Servers,
) -> Result<IndexMap<&'g str, Vec<Box<dyn Tool>>>, Unavailable> {
    let mut wanted: IndexMap<&str, Vec<Option<&str>>> = IndexMap::new();
    for grant in grants {
        if let ToolGrant::Mcp { server, tool } = grant {
            wanted.entry(server).or_default().push(tool.as_deref());
        }
    }
    let started = wanted.into_iter().map(|(name, wanted)| async move {
        let fault = |problem| Unavailable { server: name.to_owned(), problem };
        let server = mcp.get(name).ok_or_else(|| fault("it is not under `mcp`".to_owned()))?;
        let tools = mcp::tools(server, &wanted, ground, servers).await.map_err(fault)?;
        Ok::<_, Unavailable>((name, tools))
    });
    Ok(try_join_all(started).await?.into_iter().collect())
}

/// The commands that an agent may run, in the foreground and in the background: those of its
/// `bash` entries, and any where it has none.
fn allowed(grants: &[ToolGrant]) -> Allowed {
    let bash = grants.iter().filter_map(|grant| match grant {
        ToolGrant::Bash(pattern) => Some(pattern.clone()),
        ToolGrant::Read
        | ToolGrant::Write
        | ToolGrant::Edit
        | ToolGrant::Grep
        | ToolGrant::Glob
        | ToolGrant::List
        | ToolGrant::BackgroundRun
        | ToolGrant::CheckBackground
        | ToolGrant::Agent
        | ToolGrant::Mcp { .. } => None,
    });
    match bash.collect::<Option<Vec<_>>>() {
        Some(patterns) if !patterns.is_empty() => Allowed::Matching(patterns),
        Some(_) | None => Allowed::Any,
    }
}
