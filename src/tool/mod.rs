//! What an agent can do: files, search, commands, background jobs, tool servers.
//!
//! Invariants: a tool acts inside its [`Ground`] or not at all; what it says is bounded; dropping a
//! call ends everything that it started; a tool that fails says why in words for the model, and
//! never tries again.

mod ground;

use std::path::PathBuf;

use futures::future::BoxFuture;
use serde_json::Value;

pub use crate::model::ToolSpec;
pub use ground::{Ground, GroundError, Wrap};

/// One thing that an agent can do.
///
/// - *Cancel*: dropping the future of [`call`](Tool::call) ends at once all that it started.
/// - *Failures* are answers: [`Said::is_error`], with what to do differently.
pub trait Tool: Send + Sync {
    /// Its name, what it does and what it takes. The same on every call.
    fn spec(&self) -> ToolSpec;

    /// What a call with this input may change. Never asked to be right about input that does not
    /// fit the schema: such a call changes nothing.
    fn class(&self, input: &Value) -> Class;

    /// The file that a call with this input writes, as a name that is the same for the same file:
    /// of one message's calls, those with the same name are made in order.
    fn writes(&self, input: &Value) -> Option<PathBuf>;

    /// Does it. `heard` hears what it is doing, a line at a time, for people; never blocks.
    fn call<'a>(&'a self, input: Value, heard: &'a Heard<'a>) -> BoxFuture<'a, Said>;
}

/// Who hears what a tool is doing: lines of a command's output, progress of a server.
pub type Heard<'a> = dyn Fn(&str) + Send + Sync + 'a;

/// What a call may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Nothing: it can be made again, or left out.
    Pure,
    /// Something, and the same again when it is made again.
    Idempotent,
    /// Anything: whether it was made matters.
    Unsafe,
}

/// What a tool answered: text for the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The text, at most 256 KiB of it, never empty.
    pub text: String,
    /// True where it could not be done.
    pub is_error: bool,
}
