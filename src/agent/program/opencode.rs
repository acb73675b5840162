//! OpenCode: `opencode run --format json`, version 1.18.
//!
//! A permission that nobody grants ends the run with status 0 and without a word. Usage and cost
//! come per step and are summed; a cost of 0 for a model without a price is no cost known.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::start::Start;
use super::{End, Heard, Told, Transcript, at, count, denial, tool, word};
use crate::agent::Ask;
use crate::model::Class;
use crate::outcome::Usage;
use crate::plan::{CommandAgent, ToolGrant};
use crate::unit::{Tokens, Usd};

/// How it is started. The prompt goes to its standard input.
pub(super) fn start(settings: &CommandAgent, ask: &Ask) -> Start {
    let mut start = Start::default();
    start.flags(["run", "--format", "json"]);
    start.option("-m", settings.model.as_deref());
    start.option("-s", ask.thread.as_ref().and_then(|thread| thread.id()));
    let permissions = match &settings.tools {
        Some(tools) => permissions(tools),
        None => json!({
            "edit": "deny", "bash": "deny", "webfetch": "deny", "websearch": "deny", "task": "deny",
            "external_directory": "deny",
        }),
    };
    start.variable("OPENCODE_PERMISSION", &permissions.to_string());
    start.variable("OPENCODE_DISABLE_AUTOUPDATE", "1");
    start
}

/// What is granted, and nothing else; of several rules the last one counts.
fn permissions(tools: &[ToolGrant]) -> Value {
    let mut permissions = Map::from_iter([("*".to_owned(), json!("deny"))]);
    for tool in tools {
        let name = match tool {
            ToolGrant::Read => "read",
            ToolGrant::Write | ToolGrant::Edit => "edit",
            ToolGrant::Grep => "grep",
            ToolGrant::Glob => "glob",
            ToolGrant::List => "list",
            ToolGrant::Bash(None) => "bash",
            ToolGrant::Agent => "task",
            ToolGrant::Bash(Some(pattern)) => {
                let commands = permissions.entry("bash").or_insert_with(|| json!({"*": "deny"}));
                if let Value::Object(commands) = commands {
                    commands.insert(pattern.to_string(), json!("allow"));
                }
                continue;
            }
            // No plan grants them to a program.
            ToolGrant::BackgroundRun | ToolGrant::CheckBackground | ToolGrant::Mcp { .. } => continue,
        };
        permissions.insert(name.to_owned(), json!("allow"));
    }
    Value::Object(permissions)
}

/// What it has said so far.
#[derive(Debug, Default)]
pub(super) struct OpenCode {
    session: Option<String>,
    /// Its words since the last tool.
    text: String,
    denied: Vec<String>,
    fault: Option<Fault>,
    /// Why the last step ended.
    reason: String,
    usage: Usage,
    cost: f64,
}

impl OpenCode {
    fn tool(&mut self, part: &Value) -> Vec<Heard> {
        self.text.clear();
        let id = word(part, "callID").to_owned();
        let input = part.pointer("/state/input").unwrap_or(&Value::Null);
        let name = word(part, "tool");
        let error = at(part, "/state/error");
        // It comes when the tool is done.
        let mut heard = vec![Heard::Began { id: id.clone(), what: tool(name, input) }, Heard::Done { id }];
        if error.contains("rejected permission") || error.contains("prevents you from using") {
            let what = denial(name, input);
            self.denied.push(what.clone());
            heard.push(Heard::Denied(what));
        }
        heard
    }

    fn step(&mut self, part: &Value) {
        let tokens = |pointer: &str| Tokens(count(part, pointer));
        let cached = tokens("/tokens/cache/read");
        let written = tokens("/tokens/cache/write");
        let reasoning = tokens("/tokens/reasoning");
        // Its input is without the cache, its output without the reasoning.
        self.usage.input += tokens("/tokens/input") + cached + written;
        self.usage.output += tokens("/tokens/output") + reasoning;
        self.usage.cached += cached;
        self.usage.cache_written += written;
        self.usage.reasoning += reasoning;
        self.usage.requests += 1;
        self.cost += part.get("cost").and_then(Value::as_f64).unwrap_or_default();
        word(part, "reason").clone_into(&mut self.reason);
    }

    fn error(&mut self, error: &Value) {
        let status = error.pointer("/data/statusCode").and_then(Value::as_u64);
        let words = [at(error, "/data/message"), word(error, "message"), word(error, "name")];
        let words = words.into_iter().find(|words| !words.is_empty()).unwrap_or("it gave no reason");
        let fault = Fault::new(status.and_then(|status| u16::try_from(status).ok()), words);
        let fault = match word(error, "name") {
            "ProviderAuthError" => Fault { class: Some(Class::Unauthorized), ..fault },
            "MessageOutputLengthError" => Fault { class: Some(Class::Truncated), ..fault },
            _ => fault,
        };
        let wait = at(error, "/data/responseHeaders/retry-after").parse().ok().map(Duration::from_secs);
        let retryable = error.pointer("/data/isRetryable").and_then(Value::as_bool);
        self.fault = Some(Fault { retryable, ..fault.after(wait) });
    }
}

impl Transcript for OpenCode {
    fn hear(&mut self, event: &Value) -> Vec<Heard> {
        let id = word(event, "sessionID");
        if !id.is_empty() {
            self.session = Some(id.to_owned());
        }
        let part = event.get("part").unwrap_or(&Value::Null);
        match word(event, "type") {
            "text" => {
                let text = word(part, "text");
                self.text.push_str(text);
                vec![Heard::Text(text.to_owned())]
            }
            "tool_use" => self.tool(part),
            "step_finish" => {
                self.step(part);
                Vec::new()
            }
            "error" => {
                self.error(event.get("error").unwrap_or(&Value::Null));
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn told(&self) -> Told {
        let end = match (&self.fault, self.reason.as_str(), &self.session) {
            (Some(fault), ..) => End::Failed(fault.clone()),
            (None, "length", _) => {
                End::Failed(Fault::of(Class::Truncated, "its answer was cut off at the token limit"))
            }
            (None, "content-filter", _) => {
                End::Failed(Fault::of(Class::Refused, "its provider's filter declined"))
            }
            (None, "", None) => End::Nothing,
            (None, "", Some(_)) => End::Unfinished(self.text.clone()),
            (None, ..) => End::Answer(self.text.clone()),
        };
        let cost = (self.cost > 0.0).then(|| Usd((self.cost * 1e6).round() as u64));
        let usage = Usage { cost, ..self.usage };
        Told { end, usage, of_thread: false, session: self.session.clone(), denied: self.denied.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::CommandPattern;

    #[test]
    fn what_is_not_granted_is_denied() {
        let git = ToolGrant::Bash(Some(CommandPattern::parse("git log *").unwrap()));
        let all = permissions(&[ToolGrant::Read, ToolGrant::Write, ToolGrant::Edit, git.clone()]);
        let expected =
            r#"{"*":"deny","read":"allow","edit":"allow","bash":{"*":"deny","git log *":"allow"}}"#;
        assert_eq!(all.to_string(), expected);
        let any = permissions(&[ToolGrant::Bash(None), git]);
        assert_eq!(any.to_string(), r#"{"*":"deny","bash":"allow"}"#);
    }
}
