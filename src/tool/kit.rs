//! From what an agent is granted to the tools that it has.
//!
//! Invariant: an agent has the tools that it is granted and no others; none of them is left out silently.

use std::sync::Arc;

use super::background::{BackgroundRun, CheckBackground};
use super::bash::Bash;
use super::edit::Edit;
use super::glob::Glob;
use super::grep::Grep;
use super::jobs::Jobs;
use super::list::List;
use super::read::Read;
use super::shell::Allowed;
use super::write::Write;
use super::{Ground, Tool};
use crate::plan::ToolGrant;

/// What tools are made from.
#[derive(Debug)]
pub struct Kit<'a> {
    /// Where they act.
    pub ground: Arc<Ground>,
    /// The agent's background jobs.
    pub jobs: &'a Jobs,
}

/// Why an agent cannot have a tool that it is granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {}

/// The tools of an agent, in the order of its grants; each name once.
///
/// A grant of `agent` is passed over: subagents are started by whoever runs agents.
///
/// # Errors
/// [`Unavailable`] where a tool server cannot be had.
pub async fn tools(grants: &[ToolGrant], kit: Kit<'_>) -> Result<Vec<Box<dyn Tool>>, Unavailable> {
    let Kit { ground, jobs } = kit;
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
            ToolGrant::BackgroundRun => {
                tools.push(Box::new(BackgroundRun::new(ground, allowed.clone(), jobs.desk())));
            }
            ToolGrant::CheckBackground => tools.push(Box::new(CheckBackground::new(jobs.desk()))),
            ToolGrant::Agent => {}
            ToolGrant::Mcp { .. } => {}
        }
    }
    Ok(tools)
}

/// The commands that an agent may run, in the foreground and in the background: those of its
/// `bash` entries, and any where it has none.
pub(super) fn allowed(grants: &[ToolGrant]) -> Allowed {
    let mut patterns = Vec::new();
    for grant in grants {
        match grant {
            ToolGrant::Bash(None) => return Allowed::Any,
            ToolGrant::Bash(Some(pattern)) => patterns.push(pattern.clone()),
            ToolGrant::Read
            | ToolGrant::Write
            | ToolGrant::Edit
            | ToolGrant::Grep
            | ToolGrant::Glob
            | ToolGrant::List
            | ToolGrant::BackgroundRun
            | ToolGrant::CheckBackground
            | ToolGrant::Agent
            | ToolGrant::Mcp { .. } => {}
        }
    }
    if patterns.is_empty() { Allowed::Any } else { Allowed::Matching(patterns) }
}
