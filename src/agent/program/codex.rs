//! Codex: `codex exec --json`, version 0.169.
//!
//! Only `turn.failed` is final: an `error` line is a try to reconnect, an item of type `error` a
//! warning. A schema is asked for, not kept. Its sandbox denies a write as an ordinary failure of a
//! command, so a call that has to write is to be checked by its files. Usage of a resumed thread is
//! that of the whole thread; cost is never said.

use serde_json::Value;

use super::fault::Fault;
use super::start::{Start, StartError};
use super::{End, Heard, Told, Transcript, at, count, denial, list, tool, word};
use crate::agent::Ask;
use crate::model::schema;
use crate::outcome::Usage;
use crate::plan::{CommandAgent, ToolGrant};
use crate::unit::Tokens;

/// How it is started. The prompt goes to its standard input.
pub(super) fn start(settings: &CommandAgent, ask: &Ask) -> Result<Start, StartError> {
    let mut start = Start::default();
    let resumed = ask.thread.as_ref().and_then(|thread| thread.id());
    start.flags(["exec"]);
    if resumed.is_some() {
        start.flags(["resume"]);
    }
    // The plan says what it may do, not whether the folder is a repository.
    start.flags(["--json", "--skip-git-repo-check"]);
    // `resume` has no `-s`. It has commands in any case: its sandbox says what they can change.
    let changes = settings.tools.iter().flatten().any(|tool| *tool == ToolGrant::Write);
    let sandbox = if changes { "sandbox_mode=\"workspace-write\"" } else { "sandbox_mode=\"read-only\"" };
    start.flags(["-c", sandbox, "-c", "approval_policy=\"never\""]);
    start.option("-m", settings.model.as_deref());
    if let Some(effort) = &settings.effort {
        start.flags(["-c", &format!("model_reasoning_effort={}", Value::from(effort.as_str()))]);
    }
    if ask.thread.is_none() {
        start.flags(["--ephemeral"]);
    }
    // It is asked for in words, too: nobody holds the model to it.
    if let Some(schema) = ask.schema.as_deref().and_then(schema::strict) {
        start.file("--output-schema", "json", &schema.to_string())?;
    }
    start.last.extend(resumed.map(str::to_owned));
    start.last.push("-".to_owned());
    Ok(start)
}

/// What it has said so far.
#[derive(Debug, Default)]
pub(super) struct Codex {
    thread: Option<String>,
    text: String,
    denied: Vec<String>,
    /// The last `error` line.
    error: Option<String>,
    end: Option<Ending>,
}

#[derive(Debug)]
enum Ending {
    Completed(Usage),
    Failed(String),
}

impl Codex {
    fn item(&mut self, item: &Value, phase: &str) -> Vec<Heard> {
        let id = word(item, "id").to_owned();
        let what = match word(item, "type") {
            "agent_message" => {
                word(item, "text").clone_into(&mut self.text);
                return match phase {
                    "item.completed" => vec![Heard::Text(self.text.clone())],
                    _ => Vec::new(),
                };
            }
            "error" => return vec![Heard::Note(word(item, "message").to_owned())],
            "command_execution" => {
                if word(item, "status") == "declined" {
                    let what = denial("shell", item);
                    self.denied.push(what.clone());
                    return vec![Heard::Denied(what)];
                }
                word(item, "command").to_owned()
            }
            "file_change" => {
                let files: Vec<&str> = list(item, "/changes").iter().map(|it| word(it, "path")).collect();
                format!("edit {}", files.join(", "))
            }
            "mcp_tool_call" => tool(word(item, "tool"), item.get("arguments").unwrap_or(&Value::Null)),
            "web_search" => tool("web search", item),
            _ => return Vec::new(),
        };
        match phase {
            "item.started" => vec![Heard::Began { id, what: super::said(&what) }],
            "item.completed" => vec![Heard::Done { id }],
            _ => Vec::new(),
        }
    }
}

impl Transcript for Codex {
    fn hear(&mut self, event: &Value) -> Vec<Heard> {
        match word(event, "type") {
            "thread.started" => {
                self.thread = Some(word(event, "thread_id").to_owned());
                Vec::new()
            }
            "turn.completed" => {
                let tokens = |key: &str| Tokens(count(event, &format!("/usage/{key}")));
                self.end = Some(Ending::Completed(Usage {
                    input: tokens("input_tokens"),
                    output: tokens("output_tokens"),
                    cached: tokens("cached_input_tokens"),
                    cache_written: tokens("cache_write_input_tokens"),
                    reasoning: tokens("reasoning_output_tokens"),
                    requests: 1,
                    ..Usage::default()
                }));
                Vec::new()
            }
            "turn.failed" => {
                self.end = Some(Ending::Failed(at(event, "/error/message").to_owned()));
                Vec::new()
            }
            "error" => {
                self.error = Some(word(event, "message").to_owned());
                vec![Heard::Note(word(event, "message").to_owned())]
            }
            phase => match event.get("item") {
                Some(item) => self.item(item, phase),
                None => Vec::new(),
            },
        }
    }

    fn told(&self) -> Told {
        let (end, usage) = match &self.end {
            Some(Ending::Completed(usage)) => (End::Answer(self.text.clone()), *usage),
            Some(Ending::Failed(message)) => (End::Failed(Fault::new(None, message)), Usage::default()),
            None => match (&self.error, &self.thread) {
                (Some(error), _) => (End::Failed(Fault::new(None, error)), Usage::default()),
                (None, Some(_)) => (End::Unfinished(self.text.clone()), Usage::default()),
                (None, None) => (End::Nothing, Usage::default()),
            },
        };
        Told { end, usage, of_thread: true, session: self.thread.clone(), denied: self.denied.clone() }
    }
}
