//! What an agent can do: files, search, commands, tool servers.
//!
//! Invariants: a tool acts inside its [`Ground`] or not at all; what it says is bounded; dropping a
//! call ends everything that it started; a tool that fails says why in words for the model, and
//! never tries again.

mod bash;
mod beneath;
mod blocking;
mod edit;
mod glob;
mod grep;
mod ground;
mod input;
mod kit;
mod list;
mod mcp;
mod read;
mod shell;
mod walk;
mod write;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use futures::future::BoxFuture;
use serde_json::Value;

pub use crate::model::ToolSpec;
pub use ground::{Ground, GroundError, Wrap};
pub use kit::{Kit, Unavailable, tools};
pub use mcp::Servers;

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

/// The most text that a tool hands to a model, in bytes.
const MAX_TEXT: usize = 256 * 1024;

impl Said {
    fn done(text: impl Into<String>) -> Said {
        Said { text: bounded(text.into()), is_error: false }
    }

    fn error(text: impl Into<String>) -> Said {
        Said { text: bounded(text.into()), is_error: true }
    }
}

impl From<beneath::Refused> for Said {
    fn from(refused: beneath::Refused) -> Said {
        Said::error(refused.to_string())
    }
}

/// The text, without what is past the most that a model is given.
fn bounded(text: String) -> String {
    if text.is_empty() {
        return "(nothing)".to_owned();
    }
    if text.len() <= MAX_TEXT {
        return text;
    }
    let kept = head(&text, MAX_TEXT);
    format!("{kept}\n[… {} more bytes left out …]", text.len() - kept.len())
}

/// The beginning of a text, at most so many bytes of it, cut between characters.
fn head(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
