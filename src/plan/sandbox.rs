//! What the system lets a call touch, as the plan says it.
//!
//! Invariant: plain data; whether a system can enforce it is found out when it runs.

use serde::Serialize;

/// What the system lets a call touch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Sandbox {
    /// The files.
    pub mode: SandboxMode,
    /// Whether the network is open. True for `off`.
    pub network: bool,
    /// Beneath these it reads, too: absolute, from the plan's folder, or from the home with `~/`.
    pub read: Vec<String>,
    /// Beneath these it writes, too, written like those of `read`.
    pub write: Vec<String>,
    /// Names of variables that it takes over from fanout's environment; `X_*` for all that begin so.
    pub env: Vec<String>,
}

/// How much of the files is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxMode {
    /// Everything; no sandbox.
    #[default]
    Off,
    /// It may read.
    ReadOnly,
    /// It may write in its workspace.
    WorkspaceWrite,
}

impl Sandbox {
    /// No sandbox.
    pub fn off() -> Sandbox {
        Sandbox { network: true, ..Sandbox::default() }
    }

    /// A sandbox without network and with nothing added.
    pub fn of(mode: SandboxMode) -> Sandbox {
        Sandbox { mode, ..Sandbox::default() }
    }

    /// False where nothing is enforced.
    pub fn is_on(&self) -> bool {
        self.mode != SandboxMode::Off
    }
}

impl SandboxMode {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            SandboxMode::Off => "off",
            SandboxMode::ReadOnly => "read-only",
            SandboxMode::WorkspaceWrite => "workspace-write",
        }
    }
}
