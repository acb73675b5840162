//! The keys that say where a call works.
//!
//! Invariant: one record; what the words mean is decided where the call is checked.

use super::value::CommandText;
use crate::plan::read::{At, OneOrMany};
use crate::plan::record::{record, words};

words! {
    /// Where a call works.
    enum IsolationWord("isolation") {
        /// In the plan's folder, with the others.
        Shared = "shared",
        /// There too, without writing.
        ReadOnly = "read-only",
        /// In a git worktree and branch of its own.
        Worktree = "worktree",
        /// In a repository of its own, which leads nowhere near the configuration and hooks of this one.
        Clone = "clone",
    }
}

record! {
    /// How a call's own workspace is made.
    struct WorkspaceFile {
        /// A command that prepares it, run once in it before the call; what it changes is not the call's.
        setup: CommandText,
        /// Files and folders that git does not have, such as `.env.example`, by their paths from the repository's root: copied in before `setup`.
        copy: OneOrMany<At<String>>,
        /// What it starts from: `HEAD`, `working-tree` (with what is not committed yet), or a commit or branch by name. Default: `HEAD`.
        base: At<String>,
    }
}
