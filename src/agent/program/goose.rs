//! goose: `goose run --output-format stream-json`, version 1.34.
//!
//! An error of the API ends it with status 0 and an ordinary text, `Ran into this error: …`; so does
//! the limit of its turns. It can be kept from its tools altogether (mode `chat`) or given all of
//! them (mode `auto`); the modes in between ask, and nobody answers. No cost is said.

use serde_json::Value;

use super::fault::Fault;
use super::start::Start;
use super::{End, Heard, Told, Transcript, count, list, tool, word};
use crate::agent::Ask;
use crate::agent::prompt::Native;
use crate::outcome::Usage;
use crate::plan::CommandAgent;
use crate::unit::Tokens;

/// How it begins a text that is an error.
const ERROR: &str = "Ran into this error:";
/// How it says that its turns are used up.
const TURNS: &str = "I've reached the maximum number of actions";

/// How it is started. The prompt goes to its standard input.
pub(super) fn start(settings: &CommandAgent, ask: &Ask) -> Start {
    let mut start = Start::default();
    start.flags(["run", "-i", "-", "-q", "--output-format", "stream-json"]);
    start.option("--max-turns", settings.max_turns.map(|turns| turns.to_string()).as_deref());
    start.option("--system", ask.system.as_deref());
    start.native = Native { system: true, schema: false };
    match settings.model.as_deref().map(|model| model.split_once('/').unwrap_or(("", model))) {
        None => {}
        Some(("", model)) => start.option("--model", Some(model)),
        Some((provider, model)) => {
            start.option("--provider", Some(provider));
            start.option("--model", Some(model));
        }
    }
    start.flags(["--no-session"]);
    // All of its tools or none: see `program_tools` in the plan's checks.
    if settings.tools.as_ref().is_some_and(|tools| !tools.is_empty()) {
        start.flags(["--with-builtin", "developer"]);
        start.variable("GOOSE_MODE", "auto");
    } else {
        start.variable("GOOSE_MODE", "chat");
    }
    start
}

/// What it has said so far.
#[derive(Debug, Default)]
pub(super) struct Goose {
    /// Its words since the last tool.
    text: String,
    error: Option<String>,
    spoke: bool,
    usage: Option<Usage>,
}

impl Goose {
    fn message(&mut self, message: &Value) -> Vec<Heard> {
        self.spoke = true;
        let assistant = word(message, "role") == "assistant";
        let mut heard = Vec::new();
        for block in list(message, "/content") {
            let id = word(block, "id").to_owned();
            match word(block, "type") {
                "text" if assistant => {
                    self.text.push_str(word(block, "text"));
                    heard.push(Heard::Text(word(block, "text").to_owned()));
                }
                "toolRequest" => {
                    self.text.clear();
                    let call = block.pointer("/toolCall/value").unwrap_or(&Value::Null);
                    let what = tool(word(call, "name"), call.get("arguments").unwrap_or(&Value::Null));
                    heard.push(Heard::Began { id, what });
                }
                "toolResponse" => {
                    self.text.clear();
                    heard.push(Heard::Done { id });
                }
                _ => {}
            }
        }
        heard
    }
}

impl Transcript for Goose {
    fn hear(&mut self, event: &Value) -> Vec<Heard> {
        match word(event, "type") {
            "message" => event.get("message").map(|message| self.message(message)).unwrap_or_default(),
            "error" => {
                self.error = Some(word(event, "error").to_owned());
                Vec::new()
            }
            "complete" => {
                self.usage = Some(Usage {
                    input: Tokens(count(event, "/input_tokens")),
                    output: Tokens(count(event, "/output_tokens")),
                    requests: 1,
                    ..Usage::default()
                });
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn told(&self) -> Told {
        let text = self.text.trim();
        let end = match (&self.error, text.strip_prefix(ERROR), self.usage) {
            (Some(error), ..) => End::Failed(Fault::new(None, error)),
            (None, Some(error), _) => End::Failed(Fault::new(None, error.trim())),
            (None, None, Some(_)) if text.starts_with(TURNS) => {
                End::Failed(Fault { class: None, ..Fault::new(None, "it reached its limit of turns") })
            }
            (None, None, Some(_)) => End::Answer(text.to_owned()),
            (None, None, None) if self.spoke => End::Unfinished(text.to_owned()),
            (None, None, None) => End::Nothing,
        };
        let usage = self.usage.unwrap_or_default();
        Told { end, usage, of_thread: true, session: None, denied: Vec::new() }
    }
}
