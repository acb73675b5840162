//! Gemini CLI: `gemini -o stream-json`, version 0.61.
//!
//! Its exit status is that of HTTP modulo 256 when the API failed: 145 is 401, no signal. In the
//! approval mode `default` it has no tools that write when nobody is there to ask. On a rate limit it
//! tries again in silence, for longer than a minute.

use serde_json::Value;

use super::fault::Fault;
use super::start::{Start, StartError};
use super::{End, Heard, Told, Transcript, at, count, denial, tool, word};
use crate::agent::Ask;
use crate::model::Class;
use crate::outcome::Usage;
use crate::plan::{CommandAgent, ToolGrant};
use crate::unit::Tokens;

/// How it is started. The prompt goes to its standard input.
pub(super) fn start(settings: &CommandAgent, ask: &Ask) -> Result<Start, StartError> {
    let mut start = Start::default();
    // Without trust in the folder it ends with status 55; the plan says what it may do.
    start.flags(["-o", "stream-json", "--skip-trust", "--approval-mode", "default", "-e", "none"]);
    start.option("-m", settings.model.as_deref());
    start.option("-r", ask.thread.as_ref().and_then(|thread| thread.id()));
    if let Some(tools) = &settings.tools {
        start.file("--policy", "toml", &policy(tools))?;
    }
    Ok(start)
}

/// Rules for its policy engine: what is granted, and none of its other tools.
fn policy(tools: &[ToolGrant]) -> String {
    let mut rules = String::new();
    let mut rule = |what: &str, decision: &str, priority: u32| {
        rules.push_str(&format!("[[rule]]\n{what}\ndecision = \"{decision}\"\npriority = {priority}\n\n"));
    };
    for tool in tools {
        let name = match tool {
            ToolGrant::Read => "read_file",
            ToolGrant::Write => "write_file",
            ToolGrant::Edit => "replace",
            ToolGrant::Grep => "grep_search",
            ToolGrant::Glob => "glob",
            ToolGrant::List => "list_directory",
            ToolGrant::Bash(None) => "run_shell_command",
            ToolGrant::Bash(Some(pattern)) => {
                // A JSON text is one of TOML, too.
                let prefix = pattern.prefix().map(Value::from).unwrap_or_default();
                rule(&format!("toolName = \"run_shell_command\"\ncommandPrefix = {prefix}"), "allow", 500);
                continue;
            }
            // No plan grants them to this program.
            ToolGrant::Agent
            | ToolGrant::BackgroundRun
            | ToolGrant::CheckBackground
            | ToolGrant::Mcp { .. } => continue,
        };
        rule(&format!("toolName = \"{name}\""), "allow", 500);
    }
    rule("toolName = \"*\"", "deny", 400);
    rules
}

/// What it has said so far.
#[derive(Debug, Default)]
pub(super) struct Gemini {
    session: Option<String>,
    /// Its words since the last tool.
    text: String,
    /// The tools that it called, to name one that was denied.
    tools: Vec<(String, String)>,
    denied: Vec<String>,
    end: Option<End>,
    usage: Usage,
}

impl Gemini {
    /// The whole output of `-o json`.
    fn document(&mut self, event: &Value) {
        let tokens = |key: &str| -> u64 {
            let models = event.pointer("/stats/models").and_then(Value::as_object);
            let models = models.into_iter().flat_map(serde_json::Map::values);
            models.map(|model| count(model, &format!("/tokens/{key}"))).sum()
        };
        let models = event.pointer("/stats/models").and_then(Value::as_object);
        let models = models.into_iter().flat_map(serde_json::Map::values);
        let requests: u64 = models.map(|model| count(model, "/api/totalRequests")).sum();
        self.usage = Usage {
            input: Tokens(tokens("prompt")),
            // What it counts as `candidates` is without the reasoning.
            output: Tokens(tokens("candidates") + tokens("thoughts")),
            cached: Tokens(tokens("cached")),
            reasoning: Tokens(tokens("thoughts")),
            requests: u32::try_from(requests).unwrap_or(u32::MAX).max(1),
            ..Usage::default()
        };
        self.end = Some(match event.get("error").filter(|error| !error.is_null()) {
            Some(error) => {
                let status = error.get("code").and_then(Value::as_u64).and_then(|it| u16::try_from(it).ok());
                let status = status.filter(|status| (400..600).contains(status));
                End::Failed(Fault::new(status, word(error, "message")))
            }
            None => End::Answer(word(event, "response").to_owned()),
        });
    }

    fn result(&mut self, event: &Value) {
        self.usage = Usage {
            input: Tokens(count(event, "/stats/input_tokens")),
            output: Tokens(count(event, "/stats/output_tokens")),
            cached: Tokens(count(event, "/stats/cached")),
            requests: 1,
            ..Usage::default()
        };
        self.end = Some(match word(event, "status") {
            "success" => End::Answer(self.text.clone()),
            _ => End::Failed(Fault::new(None, at(event, "/error/message"))),
        });
    }
}

impl Transcript for Gemini {
    fn hear(&mut self, event: &Value) -> Vec<Heard> {
        let id = word(event, "session_id");
        if !id.is_empty() {
            self.session = Some(id.to_owned());
        }
        let id = word(event, "tool_id").to_owned();
        match word(event, "type") {
            "message" if word(event, "role") == "assistant" => {
                let text = word(event, "content");
                if event.get("delta") != Some(&Value::Bool(true)) {
                    self.text.clear();
                }
                self.text.push_str(text);
                vec![Heard::Text(text.to_owned())]
            }
            "tool_use" => {
                self.text.clear();
                let input = event.get("parameters").unwrap_or(&Value::Null);
                self.tools.push((id.clone(), denial(word(event, "tool_name"), input)));
                vec![Heard::Began { id, what: tool(word(event, "tool_name"), input) }]
            }
            "tool_result" => {
                self.text.clear();
                let mut heard = vec![Heard::Done { id: id.clone() }];
                if at(event, "/error/type") == "policy_violation" {
                    let what = self.tools.iter().find(|(known, _)| *known == id);
                    let what = what.map_or_else(|| "a tool".to_owned(), |(_, what)| what.clone());
                    self.denied.push(what.clone());
                    heard.push(Heard::Denied(what));
                }
                heard
            }
            "error" => vec![Heard::Note(word(event, "message").to_owned())],
            "result" => {
                self.result(event);
                Vec::new()
            }
            "" => {
                self.document(event);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn told(&self) -> Told {
        let end = match (&self.end, &self.session) {
            (Some(end), _) => end.clone(),
            (None, Some(_)) => End::Unfinished(self.text.clone()),
            (None, None) => End::Nothing,
        };
        let (session, denied) = (self.session.clone(), self.denied.clone());
        Told { end, usage: self.usage, of_thread: false, session, denied }
    }

    fn exit(&self, code: i32) -> Option<Fault> {
        let words = match code {
            41 => return Some(Fault::of(Class::Unauthorized, "it is not logged in (exit status 41)")),
            42 => "it does not take its input (exit status 42)",
            44 => "its sandbox failed (exit status 44)",
            52 => "its settings are wrong (exit status 52)",
            53 => "it reached its limit of turns (exit status 53)",
            55 => "it does not trust the folder (exit status 55)",
            // HTTP's 400 to 511, as far as a byte carries it.
            144..=255 => {
                let status = u16::try_from(code + 256).ok()?;
                return Some(Fault::new(Some(status), &format!("its API answered with status {status}")));
            }
            _ => return None,
        };
        Some(Fault { class: None, ..Fault::of(Class::BadRequest, words) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::CommandPattern;

    #[test]
    fn what_is_not_granted_is_denied() {
        let git = ToolGrant::Bash(Some(CommandPattern::parse("git log *").unwrap()));
        let rule = |what: &str, decision: &str, priority: u32| {
            format!("[[rule]]\n{what}\ndecision = \"{decision}\"\npriority = {priority}\n\n")
        };
        let expected = [
            rule("toolName = \"write_file\"", "allow", 500),
            rule("toolName = \"run_shell_command\"\ncommandPrefix = \"git log\"", "allow", 500),
            rule("toolName = \"*\"", "deny", 400),
        ];
        assert_eq!(policy(&[ToolGrant::Write, git]), expected.concat());
    }
}
