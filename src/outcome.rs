//! How a call ended, as plain data: one status, its cause, what it produced and what it cost.
//!
//! Invariant: a status is set once, where it happened, and never turned into
//! another on the way to the reader. Only [`Status::Ok`] is a success.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::RunId;
use crate::unit::{Tokens, Usd, millis};

/// The one word for how a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It did what it was asked, and its output passed every check.
    Ok,
    /// It ran and failed: an exit status, an error of the provider, a failed check.
    Failed,
    /// Its `timeout` or `idle_timeout` ran out.
    TimedOut,
    /// It asked for input or permission and nobody could answer.
    Blocked,
    /// The model declined.
    Refused,
    /// It answered, but not in the shape that was asked for; an empty answer counts here.
    InvalidOutput,
    /// A budget was used up before or while it ran.
    OverBudget,
    /// It was never started: its `when` was false, or something it needs did not succeed.
    Skipped,
    /// It was stopped from outside: Ctrl-C, `stop`, `join`, another call's `on_error: stop`.
    Cancelled,
}

impl Status {
    /// Every status, in the order of the plan language's page.
    pub const ALL: [Status; 9] = [
        Status::Ok,
        Status::Failed,
        Status::TimedOut,
        Status::Blocked,
        Status::Refused,
        Status::InvalidOutput,
        Status::OverBudget,
        Status::Skipped,
        Status::Cancelled,
    ];

    /// The word as it stands in JSON and templates: `timed_out`.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Failed => "failed",
            Status::TimedOut => "timed_out",
            Status::Blocked => "blocked",
            Status::Refused => "refused",
            Status::InvalidOutput => "invalid_output",
            Status::OverBudget => "over_budget",
            Status::Skipped => "skipped",
            Status::Cancelled => "cancelled",
        }
    }

    /// The word as people read it: `timed out`.
    pub fn words(self) -> &'static str {
        match self {
            Status::TimedOut => "timed out",
            Status::InvalidOutput => "invalid output",
            Status::OverBudget => "over budget",
            Status::Ok
            | Status::Failed
            | Status::Blocked
            | Status::Refused
            | Status::Skipped
            | Status::Cancelled => self.as_str(),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a call did not succeed: a stable code for programs, a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Stable, `snake_case`: `exit_status`, `when_false`, `need_failed`, `rate_limited`, …
    pub code: String,
    /// What happened and, where something can be done, what to do. One or two sentences.
    pub message: String,
}

impl Cause {
    /// A cause from its code and message.
    pub fn new(code: &str, message: impl Into<String>) -> Cause {
        Cause { code: code.to_owned(), message: message.into() }
    }
}

/// What a call produced.
///
/// `text` is the whole output (for a command: standard output), possibly with the
/// middle cut out; `json` is there when `output.format` asked for it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Output {
    /// The output as text; empty if there was none.
    pub text: Arc<str>,
    /// The parsed output, for `format: json`, `format: lines`, `schema` and computed values.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub json: Option<Arc<Value>>,
    /// How many bytes were left out of `text` because of `output.max_bytes`; 0 for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted_bytes: u64,
}

impl Output {
    /// A text output with nothing left out.
    pub fn text(text: impl Into<Arc<str>>) -> Output {
        Output { text: text.into(), json: None, omitted_bytes: 0 }
    }

    /// A JSON output; its text is the compact form, or the string itself for a JSON string.
    pub fn json(value: Value) -> Output {
        let text: Arc<str> = match &value {
            Value::String(text) => text.as_str().into(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                value.to_string().into()
            }
        };
        Output { text, json: Some(Arc::new(value)), omitted_bytes: 0 }
    }

    /// True when there is nothing in it but white space.
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }
}

/// Tokens and money that a call used, summed over its attempts.
///
/// `input` includes cached tokens, `output` includes reasoning tokens, whatever
/// the provider's own convention is.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens sent, cached ones included.
    pub input: Tokens,
    /// Tokens received, reasoning included.
    pub output: Tokens,
    /// Of `input`: read from the provider's prompt cache.
    #[serde(default, skip_serializing_if = "Tokens::is_zero")]
    pub cached: Tokens,
    /// Of `input`: written to the provider's prompt cache, which some bill higher; zero where it is not said.
    #[serde(default, skip_serializing_if = "Tokens::is_zero")]
    pub cache_written: Tokens,
    /// Of `output`: spent on reasoning.
    #[serde(default, skip_serializing_if = "Tokens::is_zero")]
    pub reasoning: Tokens,
    /// Model requests made, failed ones included.
    pub requests: u32,
    /// What it cost. `None` means unknown, which is not the same as nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Usd>,
}

impl Usage {
    /// Adds `other` to it. An unknown cost on a side that made requests makes the sum unknown.
    pub fn add(&mut self, other: &Usage) {
        self.cost = match (self.cost, other.cost) {
            (Some(a), Some(b)) => Some(a + b),
            (known, None) if other.requests == 0 => known,
            (None, known) if self.requests == 0 => known,
            (Some(_) | None, None) | (None, Some(_)) => None,
        };
        self.input += other.input;
        self.output += other.output;
        self.cached += other.cached;
        self.cache_written += other.cache_written;
        self.reasoning += other.reasoning;
        self.requests += other.requests;
    }
}

/// The final word on one instance of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// Why it ended so; there whenever `status` is not `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What it produced. A failed call may have partial output, kept for people, never for templates.
    #[serde(default)]
    pub output: Output,
    /// What a command wrote on standard error (head and tail); empty for models.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub stderr: Arc<str>,
    /// Exit status of a command, 128 + n for death by signal n; `None` where no command ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// Tokens and money, over all attempts.
    #[serde(default)]
    pub usage: Usage,
    /// How many times it was tried; 0 for a call that never started.
    pub attempts: u32,
    /// From start (its place under the limit taken) to end; zero for a call that never started.
    #[serde(with = "millis", rename = "duration_ms")]
    pub took: Duration,
    /// Who answered: `anthropic/claude-sonnet-5`, or the name of a command-line agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// True when an earlier result was taken over instead of running it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reused: bool,
    /// The run whose result it is, where it came out of the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_from: Option<RunId>,
    /// How many earlier starts of it were cut off because fanout was killed. What those did is not
    /// known: a command may have had its effect, a model request may be billed.
    #[serde(default, skip_serializing_if = "is_none")]
    pub interrupted: u32,
    /// What it changed in a workspace of its own; `None` where it had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Box<Changes>>,
}

/// What a call changed in its own workspace, as a patch that can be applied elsewhere.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Changes {
    /// The root of the person's repository, absolute.
    pub repository: String,
    /// The folder that it worked in; gone once the run is over.
    pub workspace: String,
    /// The tree that it started from, as git names it: known to the run's own git directory.
    pub base: String,
    /// The commit that it started from.
    pub commit: String,
    /// Everything that changed, as `git diff --binary --full-index` writes it. Files that git ignores are not in it.
    pub patch: Arc<str>,
    /// The same, file by file and counted.
    pub files: Vec<FileChange>,
    /// Files under `check.protect` that it had changed: put back, and not in the patch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protected: Vec<String>,
    /// Files that were too large to be taken over; the workspace was kept because of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub omitted: Vec<String>,
}

impl Changes {
    /// True when nothing changed.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Lines that came and lines that went.
    pub fn lines(&self) -> (u64, u64) {
        let sum = |of: fn(&FileChange) -> u32| self.files.iter().map(|file| u64::from(of(file))).sum();
        (sum(|file| file.added), sum(|file| file.removed))
    }

    /// A few words: `2 files, +10 -3`.
    pub fn summary(&self) -> String {
        let (added, removed) = self.lines();
        match self.files.len() {
            0 => "nothing".to_owned(),
            1 => format!("1 file, +{added} -{removed}"),
            files => format!("{files} files, +{added} -{removed}"),
        }
    }
}

/// What happened to one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Its path from the repository's root.
    pub path: String,
    /// What happened to it.
    pub kind: ChangeKind,
    /// Lines that came.
    pub added: u32,
    /// Lines that went.
    pub removed: u32,
    /// True where it is not text, so that no lines were counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub binary: bool,
}

/// What can happen to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// Its content or mode is another.
    Modified,
    /// It is gone.
    Deleted,
}

impl Outcome {
    /// An outcome with a status and cause, nothing produced and nothing spent.
    pub fn ended(status: Status, cause: Cause) -> Outcome {
        Outcome { cause: Some(cause), status, ..Outcome::ok(Output::default()) }
    }

    /// A success with the given output.
    pub fn ok(output: Output) -> Outcome {
        Outcome {
            status: Status::Ok,
            cause: None,
            output,
            stderr: "".into(),
            exit: None,
            usage: Usage::default(),
            attempts: 0,
            took: Duration::ZERO,
            agent: None,
            reused: false,
            cached_from: None,
            interrupted: 0,
            changes: None,
        }
    }

    /// True for [`Status::Ok`] only.
    pub fn is_ok(&self) -> bool {
        self.status == Status::Ok
    }

    /// True when it succeeded but produced nothing: such a success is named wherever it is counted.
    pub fn is_empty_success(&self) -> bool {
        self.is_ok() && self.output.is_empty()
    }
}

/// A value that is there, even if it is `null`: an answer of `null` is not the lack of one.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Arc<Value>>, D::Error> {
    Value::deserialize(from).map(|value| Some(Arc::new(value)))
}

fn is_none(n: &u32) -> bool {
    *n == 0
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_null_is_still_one_after_it_was_written_down() {
        for output in [Output::json(Value::Null), Output::text("null")] {
            let text = serde_json::to_string(&output).unwrap();
            assert_eq!(serde_json::from_str::<Output>(&text).unwrap(), output);
        }
    }
}
