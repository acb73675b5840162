//! What a program may touch, as plain data.
//!
//! Invariant: an empty list allows nothing; every path that a policy opens is named by it or stands
//! in the one table of what all programs need.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{real, surroundings};

/// How much of the files is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// No sandbox.
    #[default]
    Off,
    /// It reads; it writes only its private home and temporary files.
    ReadOnly,
    /// It also writes in its workspace.
    WorkspaceWrite,
}

/// What a program may touch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// The files.
    pub mode: Mode,
    /// Whether it may use the network (TCP, UDP, so names too). Unix sockets are closed in any case.
    pub network: bool,
    /// The folder that it works in: read, and under `WorkspaceWrite` written. Absolute.
    pub workspace: PathBuf,
    /// Beneath these it reads, too. Absolute.
    pub read: Vec<PathBuf>,
    /// Beneath these it writes, too. Absolute.
    pub write: Vec<PathBuf>,
    /// These stay as they are even inside a folder that it may write, unless `write` names them.
    pub protect: Vec<PathBuf>,
    /// Names of variables that it takes over from this process beyond those that all programs get;
    /// `LC_*` stands for all that begin so.
    pub env: Vec<String>,
}

/// Where a program reads and where it writes, every folder by its real path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roots {
    /// Beneath these it reads and executes.
    pub read: Vec<PathBuf>,
    /// Beneath these it reads, executes and writes.
    pub write: Vec<PathBuf>,
}

/// What stays as it is at the top of every folder that is written: what git, fanout and agents act on.
const PROTECTED: &[&str] = &[".git", ".fanout", ".claude"];

impl Policy {
    /// Everything that it opens, in a process with these variables.
    pub fn roots(&self, own: &dyn Fn(&str) -> Option<OsString>) -> Roots {
        let mut read = surroundings::readable(own);
        read.extend(self.read.iter().map(|path| real(path)));
        read.push(real(&self.workspace));
        read.sort_unstable();
        read.dedup();
        Roots { read, write: self.writable() }
    }

    /// What stays as it is, and is there to be protected.
    pub(super) fn protected(&self) -> Vec<PathBuf> {
        let writable = self.writable();
        let top = writable.iter().flat_map(|root| PROTECTED.iter().map(move |name| root.join(name)));
        let mut all: Vec<PathBuf> = top
            .chain(self.protect.iter().map(|path| real(path)))
            .filter(|path| path.symlink_metadata().is_ok())
            .filter(|path| writable.iter().any(|root| path.starts_with(root) && path != root))
            // What the policy names itself is open on purpose.
            .filter(|path| !writable.contains(path))
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn writable(&self) -> Vec<PathBuf> {
        let workspace = (self.mode == Mode::WorkspaceWrite).then_some(&self.workspace);
        let mut write: Vec<PathBuf> =
            workspace.into_iter().chain(&self.write).map(|path| real(path)).collect();
        write.sort_unstable();
        write.dedup();
        write
    }
}
