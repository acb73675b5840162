//! What `fanout __sandbox` is told: one JSON argument, and variables that it does not act on itself.
//!
//! Invariant: nothing of it is secret, since arguments of a process can be read by anybody;
//! values of variables travel in the environment.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Unavailable;

/// The hidden subcommand under which a program has to call [`main`](super::main).
pub const SUBCOMMAND: &str = "__sandbox";

/// The exit status when the program was not started because it could not be confined.
pub(super) const SETUP_FAILED: u8 = 125;

/// Before the name of a variable that is for the program alone: the loader of this program
/// must not act on an `LD_PRELOAD` that is meant to act inside.
const PREFIX: &str = "FANOUT_INSIDE_";

/// What a program may touch, with every path found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Launch {
    /// Beneath these it reads and executes.
    pub(super) read: Vec<PathBuf>,
    /// Beneath these it does everything.
    pub(super) write: Vec<PathBuf>,
    /// These stay as they are, even beneath one of `write`.
    pub(super) protect: Vec<PathBuf>,
    pub(super) network: bool,
    /// Whether to use namespaces.
    pub(super) namespaces: bool,
    /// What to do without, in tests.
    pub(super) lacks: Lacks,
}

/// What the system is to be taken to lack, so that tests see what happens without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Lacks {
    pub(super) namespaces: bool,
    pub(super) landlock: bool,
}

impl Lacks {
    /// Read from `FANOUT_TEST_SANDBOX` (`no-namespaces`, `no-landlock`), in debug builds only.
    pub(super) fn pretended() -> Lacks {
        if !cfg!(debug_assertions) {
            return Lacks::default();
        }
        let said = std::env::var("FANOUT_TEST_SANDBOX").unwrap_or_default();
        Lacks { namespaces: said.contains("no-namespaces"), landlock: said.contains("no-landlock") }
    }
}

impl Launch {
    /// As an argument.
    pub(super) fn to_argument(&self) -> Result<OsString, Unavailable> {
        serde_json::to_string(self).map(OsString::from).map_err(|_| Unavailable {
            problem: "a path in its policy is no text (UTF-8)".to_owned(),
            help: "rename the folder".to_owned(),
        })
    }

    /// From an argument.
    #[cfg(target_os = "linux")]
    pub(super) fn read(argument: &OsStr) -> Option<Launch> {
        serde_json::from_str(argument.to_str()?).ok()
    }
}

/// Variables under names that mean nothing to anybody on the way; `PATH` stays.
pub(super) fn hidden(set: Vec<(OsString, OsString)>) -> Vec<(OsString, OsString)> {
    set.into_iter()
        .map(|(name, value)| {
            if name == "PATH" {
                return (name, value);
            }
            let mut hidden = OsString::from(PREFIX);
            hidden.push(name);
            (hidden, value)
        })
        .collect()
}

/// The name that a variable has for the program; `None` for one that is not for it.
#[cfg(target_os = "linux")]
pub(super) fn shown(name: &OsStr) -> Option<&OsStr> {
    use std::os::unix::ffi::OsStrExt;
    if name == "PATH" || name == "FANOUT_RUN_ID" || name == "FANOUT_TREE" {
        return Some(name);
    }
    name.as_bytes().strip_prefix(PREFIX.as_bytes()).map(OsStr::from_bytes)
}
