//! Where a call works, as the plan says it.
//!
//! Invariant: plain data; whether there is a repository to make it from is for others to see.

use super::diagnostic::Span;
use super::{Agent, AgentKind, Command, ToolGrant};

/// Where a call works.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// How far it is kept apart from the others.
    pub isolation: Isolation,
    /// Where that is written, if it is.
    pub at: Option<Span>,
    /// What a workspace of its own starts from.
    pub base: Base,
    /// Prepares it, before the call.
    pub setup: Option<Command>,
    /// What git does not have and is copied in: paths from the repository's root, without `..`.
    pub copy: Vec<String>,
    /// Globs, from the repository's root, of what is put back before `check` runs.
    pub protect: Vec<String>,
}

impl Default for Workspace {
    fn default() -> Workspace {
        Workspace {
            isolation: Isolation::Shared,
            at: None,
            base: Base::Head,
            setup: None,
            copy: Vec::new(),
            protect: Vec::new(),
        }
    }
}

/// How far a call is kept apart from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isolation {
    /// In the plan's folder, with the others.
    Shared,
    /// There too, without writing.
    ReadOnly,
    /// In a git worktree and branch of its own.
    Worktree,
    /// In a repository of its own.
    Clone,
}

impl Isolation {
    /// The word as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Isolation::Shared => "shared",
            Isolation::ReadOnly => "read-only",
            Isolation::Worktree => "worktree",
            Isolation::Clone => "clone",
        }
    }

    /// True where the call has a workspace of its own.
    pub fn is_own(self) -> bool {
        match self {
            Isolation::Worktree | Isolation::Clone => true,
            Isolation::Shared | Isolation::ReadOnly => false,
        }
    }

    /// What an agent gets where the plan does not say.
    pub(super) fn of(agent: &Agent) -> Isolation {
        match &agent.kind {
            AgentKind::Model(model) if model.tools.iter().all(|tool| ToolGrant::DEFAULT.contains(tool)) => {
                Isolation::ReadOnly
            }
            AgentKind::Model(_) | AgentKind::Command(_) => Isolation::Shared,
        }
    }
}

/// What a workspace starts from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Base {
    /// The commit that is checked out.
    Head,
    /// That, and everything that is not committed yet, files that git does not know included.
    WorkingTree,
    /// Another commit, by any name that git knows.
    Revision(String),
}

impl Base {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        match self {
            Base::Head => "HEAD",
            Base::WorkingTree => "working-tree",
            Base::Revision(name) => name,
        }
    }
}
