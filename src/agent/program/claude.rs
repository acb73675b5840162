//! Claude Code: `claude -p --output-format stream-json --verbose`, version 2.1.
//!
//! Several lines are one message, several `result` lines are one run (background agents report
//! back): the last one says how it went, the last that has words holds the answer. `success` with
//! `is_error: true` is none. A denied permission does not end it, and is listed in the result.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::fault::Fault;
use super::start::Start;
use super::{End, Heard, Told, Transcript, at, count, denial, list, tool, word};
use crate::agent::Ask;
use crate::agent::prompt::Native;
use crate::model::Class;
use crate::outcome::Usage;
use crate::plan::{CommandAgent, ToolGrant};
use crate::unit::{Tokens, Usd};

/// How it is started. The prompt goes to its standard input.
pub(super) fn start(settings: &CommandAgent, ask: &Ask) -> Start {
    let mut start = Start::default();
    start.flags(["-p", "--output-format", "stream-json", "--verbose"]);
    // Only what the plan says: no servers of the person's own, and nobody to ask.
    start.flags(["--strict-mcp-config", "--permission-mode", "dontAsk", "--permission-prompts", "none"]);
    let grants = settings.tools.as_deref().unwrap_or(&[ToolGrant::Read, ToolGrant::Grep, ToolGrant::Glob]);
    let (offered, allowed) = tools(grants);
    start.flags(["--tools", &offered.join(","), "--allowedTools", &allowed.join(",")]);
    start.option("--model", settings.model.as_deref());
    start.option("--effort", settings.effort.as_deref());
    start.option("--max-turns", settings.max_turns.map(|turns| turns.to_string()).as_deref());
    start.option("--append-system-prompt", ask.system.as_deref());
    if let Some(schema) = &ask.schema {
        start.option("--json-schema", Some(&schema.to_string()));
    }
    match &ask.thread {
        None => start.flags(["--no-session-persistence"]),
        Some(thread) => start.option("--resume", thread.id()),
    }
    start.variable("DISABLE_AUTOUPDATER", "1");
    start.variable("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
    start.native = Native { system: true, schema: true };
    start
}

/// Which of its tools it has, and what they may do unasked. It writes beneath its folder only.
fn tools(grants: &[ToolGrant]) -> (Vec<&'static str>, Vec<String>) {
    const BENEATH: &str = "Edit(./**)";
    let (mut offered, mut allowed): (Vec<&str>, Vec<String>) = (Vec::new(), Vec::new());
    for grant in grants {
        let (tool, rule) = match grant {
            ToolGrant::Read => ("Read", "Read".to_owned()),
            ToolGrant::Write => ("Write", BENEATH.to_owned()),
            ToolGrant::Edit => ("Edit", BENEATH.to_owned()),
            ToolGrant::Grep => ("Grep", "Grep".to_owned()),
            ToolGrant::Glob | ToolGrant::List => ("Glob", "Glob".to_owned()),
            ToolGrant::Bash(None) => ("Bash", "Bash".to_owned()),
            ToolGrant::Bash(Some(pattern)) => ("Bash", format!("Bash({pattern})")),
            ToolGrant::Agent => ("Agent", "Agent".to_owned()),
            // No plan grants them to a program.
            ToolGrant::BackgroundRun | ToolGrant::CheckBackground | ToolGrant::Mcp { .. } => continue,
        };
        if !offered.contains(&tool) {
            offered.push(tool);
        }
        if !allowed.contains(&rule) {
            allowed.push(rule);
        }
    }
    (offered, allowed)
}

/// What it has said so far.
#[derive(Debug, Default)]
pub(super) struct Claude {
    session: Option<String>,
    /// The text of its own messages since the last tool.
    text: String,
    /// The last `result` line.
    result: Option<Value>,
    /// The last words of a `result` line.
    answer: String,
    denied: Vec<String>,
    /// The wait that it was told of last.
    wait: Option<Duration>,
}

impl Claude {
    fn system(&mut self, event: &Value) -> Vec<Heard> {
        match word(event, "subtype") {
            "api_retry" => {
                let wait = event.get("retry_delay_ms").and_then(Value::as_f64).unwrap_or_default();
                let wait = Duration::from_millis(wait.max(0.0) as u64);
                self.wait = Some(wait);
                let (n, of) = (count(event, "/attempt"), count(event, "/max_retries"));
                let error = word(event, "error").replace('_', " ");
                vec![Heard::Note(format!("{error}, asking again in {} s ({n}/{of})", wait.as_secs()))]
            }
            "permission_denied" => {
                let input = event.get("tool_input").or_else(|| event.get("input")).unwrap_or(&Value::Null);
                vec![self.deny(denial(word(event, "tool_name"), input))]
            }
            _ => Vec::new(),
        }
    }

    fn deny(&mut self, what: String) -> Heard {
        if !self.denied.contains(&what) {
            self.denied.push(what.clone());
        }
        Heard::Denied(what)
    }

    fn assistant(&mut self, event: &Value) -> Vec<Heard> {
        let own = event.get("parent_tool_use_id").is_none_or(Value::is_null);
        let mut heard = Vec::new();
        for block in list(event, "/message/content") {
            match word(block, "type") {
                "text" => {
                    let text = word(block, "text");
                    if own {
                        self.text.push_str(text);
                    }
                    heard.push(Heard::Text(text.to_owned()));
                }
                "tool_use" => {
                    if own {
                        self.text.clear();
                    }
                    let what = tool(word(block, "name"), block.get("input").unwrap_or(&Value::Null));
                    heard.push(Heard::Began { id: word(block, "id").to_owned(), what });
                }
                _ => {}
            }
        }
        heard
    }

    fn result(&mut self, event: &Value) -> Vec<Heard> {
        if !word(event, "result").trim().is_empty() {
            word(event, "result").clone_into(&mut self.answer);
        }
        if self.result.is_none() {
            self.text.clear();
        }
        let denials: Vec<String> = list(event, "/permission_denials")
            .iter()
            .map(|denied| denial(word(denied, "tool_name"), denied.get("tool_input").unwrap_or(&Value::Null)))
            .collect();
        let heard = denials.into_iter().filter(|what| !self.denied.contains(what)).collect::<Vec<_>>();
        self.result = Some(event.clone());
        heard.into_iter().map(|what| self.deny(what)).collect()
    }

    fn end(&self, result: &Value) -> End {
        let failed =
            result.get("is_error") == Some(&Value::Bool(true)) || word(result, "subtype") != "success";
        if failed {
            let errors: Vec<&str> = list(result, "/errors").iter().filter_map(Value::as_str).collect();
            let words = [word(result, "result").to_owned(), errors.join("; ")];
            let words = words.into_iter().find(|words| !words.trim().is_empty());
            let words = words.unwrap_or_else(|| word(result, "subtype").replace('_', " "));
            // Told only in words: `null` for 529 and refused connections.
            let status = result.get("api_error_status").and_then(Value::as_u64);
            let status = status.and_then(|status| u16::try_from(status).ok());
            let fault = Fault::new(status, &words);
            let limited = fault.class == Some(Class::RateLimited);
            return End::Failed(fault.after(self.wait.filter(|_| limited)));
        }
        match result.get("structured_output").filter(|value| !value.is_null()) {
            Some(value) => End::Answer(value.to_string()),
            None if word(result, "stop_reason") == "refusal" => {
                End::Failed(Fault::of(Class::Refused, super::said(&self.answer)))
            }
            None => End::Answer(self.answer.clone()),
        }
    }
}

impl Transcript for Claude {
    fn hear(&mut self, event: &Value) -> Vec<Heard> {
        let id = word(event, "session_id");
        if !id.is_empty() {
            self.session = Some(id.to_owned());
        }
        match word(event, "type") {
            "system" => self.system(event),
            "assistant" => self.assistant(event),
            "user" => {
                let results = list(event, "/message/content").iter();
                let results = results.filter(|block| word(block, "type") == "tool_result");
                results.map(|block| Heard::Done { id: word(block, "tool_use_id").to_owned() }).collect()
            }
            "stream_event" => {
                let text = at(event, "/event/delta/text");
                self.text.push_str(text);
                if text.is_empty() { Vec::new() } else { vec![Heard::Text(text.to_owned())] }
            }
            "rate_limit_event" => {
                let info = event.get("rate_limit_info").unwrap_or(event);
                if word(info, "status") == "rejected" {
                    let until = info.get("resetsAt").and_then(Value::as_i64);
                    let until = until.and_then(|at| Timestamp::from_second(at).ok());
                    self.wait =
                        until.and_then(|at| Duration::try_from(at.duration_since(Timestamp::now())).ok());
                }
                Vec::new()
            }
            "result" => self.result(event),
            _ => Vec::new(),
        }
    }

    fn told(&self) -> Told {
        let session = self.session.clone();
        let denied = self.denied.clone();
        let Some(result) = &self.result else {
            let end = match (&session, self.text.is_empty()) {
                (None, true) => End::Nothing,
                _ => End::Unfinished(self.text.clone()),
            };
            return Told { end, session, denied, ..Told::default() };
        };
        Told { end: self.end(result), usage: usage(result), of_thread: true, session, denied }
    }
}

/// The totals of all models, subagents included; `usage` itself is that of the main loop only.
fn usage(result: &Value) -> Usage {
    let sum = |keys: &[&str]| -> u64 {
        let models = result.get("modelUsage").and_then(Value::as_object);
        let models = models.into_iter().flat_map(serde_json::Map::values);
        models.flat_map(|model| keys.iter().filter_map(|key| model.get(*key)?.as_u64())).sum()
    };
    let cost = result.get("total_cost_usd").and_then(Value::as_f64).filter(|cost| *cost >= 0.0);
    Usage {
        input: Tokens(sum(&["inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens"])),
        output: Tokens(sum(&["outputTokens"])),
        cached: Tokens(sum(&["cacheReadInputTokens"])),
        cache_written: Tokens(sum(&["cacheCreationInputTokens"])),
        requests: u32::try_from(count(result, "/num_turns")).unwrap_or(u32::MAX).max(1),
        cost: cost.map(|cost| Usd((cost * 1e6).round() as u64)),
        ..Usage::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::CommandPattern;

    #[test]
    fn each_grant_is_a_tool_and_a_rule_and_no_more() {
        let git = ToolGrant::Bash(Some(CommandPattern::parse("git log *").unwrap()));
        let (offered, allowed) = tools(&[ToolGrant::Read, ToolGrant::Edit, git, ToolGrant::Write]);
        assert_eq!(offered, ["Read", "Edit", "Bash", "Write"]);
        assert_eq!(allowed, ["Read", "Edit(./**)", "Bash(git log *)"]);
        assert_eq!(tools(&[]), (Vec::new(), Vec::new()));
    }
}
