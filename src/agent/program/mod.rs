//! What a program says while it works and at its end, whichever program it is.
//!
//! ```text
//! bytes ─lines─▶ JSON values ─Transcript─▶ Heard (live) … Told (at its end)
//! ```
//!
//! Invariants: what a program says of itself is believed over its exit status; an answer is one
//! only where the program said that it was done; a line that is not understood is passed over.

pub(super) mod claude;
pub(super) mod codex;
pub(super) mod fault;
pub(super) mod found;
pub(super) mod gemini;
pub(super) mod goose;
pub(super) mod lines;
pub(super) mod listener;
pub(super) mod opencode;
pub(super) mod start;

#[cfg(test)]
mod captures;

use serde_json::Value;

use crate::model::{MAX_MESSAGE, shown};
use crate::outcome::Usage;
use crate::plan::Program;
use fault::Fault;

/// How much of a tool's arguments is shown, in bytes.
const LONGEST_INPUT: usize = 120;

/// Something that a program did, for whoever watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// It said something.
    Text(String),
    /// Something about itself: a retry, a warning.
    Note(String),
    /// It started a tool. What it is about, in a line; a program whose tool runs is not silent.
    Began { id: String, what: String },
    /// That tool is done.
    Done { id: String },
    /// It was denied a permission that it asked for: for what.
    Denied(String),
}

/// What a program came to, by its own words.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Told {
    pub(super) end: End,
    pub(super) usage: Usage,
    /// True where `usage` is that of the whole conversation, not of this part of it.
    pub(super) of_thread: bool,
    /// Its own name of the conversation.
    pub(super) session: Option<String>,
    /// What it was not permitted to do.
    pub(super) denied: Vec<String>,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum End {
    /// It did not say that it was done; holds what it had said by then.
    Unfinished(String),
    /// It is done. May be blank.
    Answer(String),
    Failed(Fault),
    /// It is stuck on a question.
    Blocked(String),
    /// Its output is not in the form; says what is wrong.
    Unreadable(String),
    /// It said nothing at all.
    #[default]
    Nothing,
}

/// Understands the event stream of one program.
pub(super) trait Transcript: Send {
    /// Takes one JSON value of its standard output; says what was done.
    fn hear(&mut self, event: &Value) -> Vec<Heard>;

    /// What it all came to.
    fn told(&self) -> Told;

    /// What an exit status means where no event said so.
    fn exit(&self, _code: i32) -> Option<Fault> {
        None
    }
}

/// A new transcript of a program's.
pub(super) fn transcript(program: Program) -> Box<dyn Transcript> {
    match program {
        Program::Claude => Box::new(claude::Claude::default()),
        Program::Codex => Box::new(codex::Codex::default()),
        Program::Gemini => Box::new(gemini::Gemini::default()),
        Program::OpenCode => Box::new(opencode::OpenCode::default()),
        Program::Goose => Box::new(goose::Goose::default()),
    }
}

/// The program that speaks so: wrappers and containers hide the name, not the stream.
pub(super) fn speaker(event: &Value) -> Option<Program> {
    let has = |key: &str| event.get(key).is_some();
    let kind = word(event, "type");
    match kind {
        _ if has("sessionID") && !kind.is_empty() => Some(Program::OpenCode),
        _ if ["thread.", "turn.", "item."].iter().any(|start| kind.starts_with(start)) => {
            Some(Program::Codex)
        }
        "system" | "assistant" | "user" => Some(Program::Claude),
        "result" if has("subtype") || has("is_error") => Some(Program::Claude),
        "init" | "result" if has("session_id") || has("status") => Some(Program::Gemini),
        "message" if event.get("message").is_some_and(Value::is_object) => Some(Program::Goose),
        "complete" if has("total_tokens") => Some(Program::Goose),
        "message" if has("role") => Some(Program::Gemini),
        "" if has("session_id") && (has("stats") || event.get("error").is_some_and(Value::is_object)) => {
            Some(Program::Gemini)
        }
        _ => None,
    }
}

/// A tool with what it is about, in a line.
fn tool(name: &str, input: &Value) -> String {
    let keys =
        ["command", "file_path", "filePath", "path", "pattern", "query", "url", "description", "prompt"];
    let about = keys.iter().find_map(|key| input.get(key)?.as_str()).map(str::to_owned);
    let about = about.unwrap_or_else(|| match input {
        Value::Object(map) if map.is_empty() => String::new(),
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => input.to_string(),
    });
    let about = shown(&about, LONGEST_INPUT);
    if about.is_empty() { name.to_owned() } else { format!("{name} {about}") }
}

/// A permission that was denied.
fn denial(name: &str, input: &Value) -> String {
    format!("{name}({})", tool("", input).trim_start())
}

/// A text out of an event; empty where there is none.
fn word<'a>(event: &'a Value, key: &str) -> &'a str {
    event.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A text by its JSON pointer; empty where there is none.
fn at<'a>(event: &'a Value, pointer: &str) -> &'a str {
    event.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A list by its JSON pointer; empty where there is none.
fn list<'a>(event: &'a Value, pointer: &str) -> &'a [Value] {
    event.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A count by its JSON pointer; nothing where there is none.
fn count(event: &Value, pointer: &str) -> u64 {
    event.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

/// A text made fit for a message.
fn said(text: &str) -> String {
    shown(text, MAX_MESSAGE)
}
