//! The model of the sweep's agents: it does one step after the other, and when it is told that a step was
//! interrupted it looks whether that had its effect before it repeats it.
//!
//! All that it knows is in the conversation, so the same conversation has the same answer.

use serde_json::{Value, json};

use crate::provider::{Request, Script};

/// What the model is told of a tool that was at work when fanout was killed.
pub(super) const UNKNOWN: &str =
    "it was interrupted and its outcome is unknown. Look at what it did before you repeat it.";

/// What it is told of a background job then.
pub(super) const JOB_UNKNOWN: &str = "interrupted, outcome unknown";

/// Where a conversation has got to.
#[derive(Debug, Default)]
struct Course {
    /// Steps that are done, and steps that are known to have been interrupted.
    done: Vec<String>,
    open: Vec<String>,
}

/// The answer to a request.
pub(super) fn answer(request: &Request) -> Script {
    let prompt = request.prompt();
    if request.json["tools"].as_array().is_none_or(Vec::is_empty) {
        // The parent: what is open is settled in favour of the first.
        let open = prompt.matches("\nConflict ").count().max(1);
        let decisions: Vec<Value> =
            (1..=open).map(|n| json!({"conflict": n, "choice": 1, "reason": "the first"})).collect();
        return Script::text(json!({ "decisions": decisions }).to_string());
    }
    let Some((tag, name, steps, from)) = task(request) else {
        return Script::text(format!("no task: {prompt}"));
    };
    let course = Course::of(request, from);
    for step in &steps {
        let mark = format!("{name}-{step}");
        if course.done.contains(&mark) {
            continue;
        }
        return match course.open.contains(&mark) {
            true => look(&mark),
            false => begin(step, &mark, &tag),
        };
    }
    Script::text(format!("{name} is done"))
}

/// The last task of the conversation: the run's mark, its name, its steps, and the place of its message.
fn task(request: &Request) -> Option<(String, String, Vec<String>, usize)> {
    let messages = request.json["messages"].as_array()?;
    for (at, message) in messages.iter().enumerate().rev() {
        for text in texts(message) {
            if let Some((before, rest)) = text.split_once(" task ") {
                let tag = before.split_whitespace().last()?.to_owned();
                let (name, steps) = rest.lines().next()?.split_once(": ")?;
                let steps = steps.split_whitespace().map(str::to_owned).collect();
                return Some((tag, name.to_owned(), steps, at));
            }
        }
    }
    None
}

fn texts(message: &Value) -> Vec<String> {
    if message["role"] != "user" {
        return Vec::new();
    }
    if let Some(text) = message["content"].as_str() {
        return vec![text.to_owned()];
    }
    let parts = message["content"].as_array().map_or(&[][..], Vec::as_slice);
    parts.iter().filter_map(|part| part["text"].as_str()).map(str::to_owned).collect()
}

impl Course {
    fn of(request: &Request, from: usize) -> Course {
        let mut course = Course::default();
        let mut asked: Vec<(String, Value)> = Vec::new();
        for message in request.json["messages"].as_array().into_iter().flatten().skip(from) {
            for part in message["content"].as_array().into_iter().flatten() {
                if part["type"] == "tool_use" {
                    asked.push((part["id"].as_str().unwrap_or_default().to_owned(), part["input"].clone()));
                } else if part["type"] == "tool_result" {
                    let input = asked.iter().rev().find(|(id, _)| part["tool_use_id"] == id.as_str());
                    let input = input.map(|(_, input)| input.to_string()).unwrap_or_default();
                    course.result(&input, &part["content"].to_string(), part["is_error"] == true);
                } else if let Some(text) = part["text"].as_str().filter(|text| text.contains(JOB_UNKNOWN)) {
                    // The job's line has its command, and that its mark.
                    let line = text.lines().find(|line| line.contains(JOB_UNKNOWN)).unwrap_or_default();
                    if let Some(mark) = marked(line, "step:") {
                        course.interrupted(&mark);
                    }
                }
            }
        }
        course
    }

    fn result(&mut self, input: &str, said: &str, failed: bool) {
        if let Some(mark) = marked(input, "step:") {
            if failed {
                self.interrupted(&mark);
            } else {
                self.finished(&mark);
            }
        } else if let Some(mark) = marked(input, "look:") {
            if failed {
                // Looking changes nothing: once more.
            } else if said.contains("found") {
                self.finished(&mark);
            } else {
                // It had no effect: it can be done.
                self.open.retain(|open| *open != mark);
                self.done.retain(|done| *done != mark);
            }
        }
    }

    fn interrupted(&mut self, mark: &str) {
        self.done.retain(|done| done != mark);
        if !self.open.iter().any(|open| open == mark) {
            self.open.push(mark.to_owned());
        }
    }

    fn finished(&mut self, mark: &str) {
        self.open.retain(|open| open != mark);
        self.done.push(mark.to_owned());
    }
}

/// The name behind `step:` or `look:`.
fn marked(text: &str, word: &str) -> Option<String> {
    let (_, rest) = text.split_once(word)?;
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
    Some(rest[..end].to_owned())
}

fn begin(step: &str, mark: &str, tag: &str) -> Script {
    let effect = |name: &str| format!("echo {name} >> effects # step:{mark}");
    match step {
        // Two at once on one file, which are made in their order.
        "files" => Script::text("")
            .call("write", &json!({"path": "notes.txt", "content": "first\n"}))
            .call("edit", &json!({"path": "notes.txt", "old": "first", "new": format!("step:{mark}")})),
        "shell" => Script::text("I run it.").call("bash", &json!({"command": effect(mark)})),
        "job" => Script::text("").call("background_run", &json!({"command": effect(mark)})),
        "helper" => {
            let task = format!("{tag} task helper: shell");
            // The mark is for the course of this conversation.
            Script::text("").call(
                "agent",
                &json!({"description": format!("step:{mark}"), "prompt": task, "subagent_type": "s"}),
            )
        }
        _ => Script::text("").call("mcp__notes__note", &json!({"mark": format!("step:{mark}")})),
    }
}

/// Looks whether a step had its effect.
fn look(mark: &str) -> Script {
    let command =
        format!("grep -qE '(^|:){mark}$' effects notes.txt && echo found || echo missing # look:{mark}");
    Script::text("I look first.").call("bash", &json!({"command": command}))
}
