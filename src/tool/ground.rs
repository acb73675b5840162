//! Where an agent's tools act: a workspace, an environment, and how commands are started there.
//!
//! Invariant: a ground that exists has a folder that is open; what its path means later does
//! not matter to what is read and written through it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::beneath::Beneath;
use crate::process::{Environment, Reaper, Spec};

/// Puts the sandbox around a command: the same program, started under a policy, or why it cannot be.
pub type Wrap = Arc<dyn Fn(Spec) -> Result<Spec, String> + Send + Sync>;

/// Where an agent's tools act.
#[derive(Clone)]
pub struct Ground {
    /// The workspace: paths are relative to it and never lead out of it.
    root: PathBuf,
    files: Arc<Beneath>,
    /// Whether tools that write are refused.
    pub read_only: bool,
    /// Whether `wrap` keeps commands from writing where they may not. Without it a command that is not
    /// known to read only is refused on read-only ground.
    pub enforced: bool,
    /// What commands and tool servers see.
    pub env: Environment,
    /// The run that they belong to, for their `FANOUT_RUN_ID`; empty for none.
    pub run_id: String,
    /// Who ends them when this process is killed.
    pub reaper: Option<Reaper>,
    /// Every command and tool server is started through it.
    pub wrap: Wrap,
}

/// Why there is no ground.
#[derive(Debug, thiserror::Error)]
#[error("cannot work in `{}`: {source}", .path.display())]
pub struct GroundError {
    /// The folder.
    path: PathBuf,
    source: std::io::Error,
}

impl Ground {
    /// A folder that can be written to, with an empty environment, no run, no reaper, no sandbox.
    ///
    /// # Errors
    /// [`GroundError`] where it is not there, is no folder, or is closed to this user.
    pub fn new(root: &Path) -> Result<Ground, GroundError> {
        let fault = |source| GroundError { path: root.to_owned(), source };
        let root = root.canonicalize().map_err(fault)?;
        let files = Arc::new(Beneath::open(&root).map_err(fault)?);
        Ok(Ground {
            root,
            files,
            read_only: false,
            enforced: false,
            env: Environment { inherit: crate::process::Inherit::Only(Vec::new()), set: Vec::new() },
            run_id: String::new(),
            reaper: None,
            wrap: Arc::new(Ok),
        })
    }

    /// The workspace, canonical.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The program `bash`, where this system has one.
    pub(super) fn bash(&self) -> Option<&'static str> {
        static FOUND: OnceLock<Option<&'static str>> = OnceLock::new();
        let places = ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash", "/run/current-system/sw/bin/bash"];
        *FOUND.get_or_init(|| places.into_iter().find(|path| Path::new(path).is_file()))
    }

    /// Its files.
    pub(super) fn files(&self) -> &Beneath {
        &self.files
    }
}

impl fmt::Debug for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ground")
            .field("root", &self.root)
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}
