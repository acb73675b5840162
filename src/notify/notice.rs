//! Records to notices: which of them somebody wants to hear of, and in which words.
//!
//! Invariant: a notice is plain text and data made of one record and the run's head; the
//! same records give the same notices.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::is_wanted;
use crate::event::{Event, Record, RunFinished};
use crate::id::CallId;
use crate::outcome::Status;
use crate::plan::notify::Topic;

/// The code of the warning that a budget is nearly used up.
pub(super) const BUDGET: &str = "budget";

/// How much of a call's own words goes into a notice, in characters.
const MOST: usize = 400;

/// One thing that people hear of.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Names it among all notices of all runs: the run and the number of the record.
    pub id: String,
    /// What it is about.
    pub topic: Topic,
    /// One line: the run and what happened.
    pub title: String,
    /// The sentences.
    pub text: String,
    /// When it happened.
    pub at: Timestamp,
    /// The same as data: `run`, `name`, and what the topic has.
    pub data: Map<String, Value>,
}

impl Notice {
    /// What a command reads and a webhook gets: `type`, `timestamp` and `data`, as in the
    /// Standard Webhooks specification; `title` and `text` are in `data`.
    pub fn json(&self) -> Value {
        let mut data = self.data.clone();
        data.insert("title".to_owned(), json!(self.title));
        data.insert("text".to_owned(), json!(self.text));
        json!({"type": format!("fanout.{}", self.topic.as_str()), "timestamp": self.at, "data": data})
    }
}

/// Follows a run as far as notices need it.
#[derive(Debug)]
pub(super) struct Watcher {
    on: Vec<Topic>,
    run: String,
    name: String,
    descriptions: HashMap<CallId, String>,
}

impl Watcher {
    pub(super) fn new(on: &[Topic]) -> Watcher {
        Watcher { on: on.to_vec(), run: String::new(), name: String::new(), descriptions: HashMap::new() }
    }

    /// Takes a record that is no news.
    pub(super) fn remember(&mut self, record: &Record) {
        if let Event::RunStarted(head) = &record.event {
            self.run = head.run.to_string();
            self.name.clone_from(&head.name);
            let calls = head.calls.iter().map(|call| (call.id.clone(), call.description.clone()));
            self.descriptions = calls.collect();
        }
    }

    /// Takes a record; the notice that it is worth, if anybody wants to hear of that.
    pub(super) fn hear(&mut self, record: &Record) -> Option<Notice> {
        self.remember(record);
        let (topic, happened, text, more) = self.words(&record.event)?;
        if !is_wanted(&self.on, topic) {
            return None;
        }
        let mut data = Map::new();
        data.insert("run".to_owned(), json!(self.run));
        data.insert("name".to_owned(), json!(self.name));
        if let Value::Object(more) = more {
            data.extend(more);
        }
        Some(Notice {
            id: format!("{}-{}", self.run, record.seq),
            topic,
            title: format!("{}: {happened}", self.name),
            text: text.chars().take(MOST).collect(),
            at: record.at,
            data,
        })
    }

    fn words(&self, event: &Event) -> Option<(Topic, String, String, Value)> {
        if let Event::RunFinished(end) = event {
            return Some(self.run_ended(end));
        }
        let (topic, title, text, data) = if let Event::NotificationPosted { number, instance, status } = event
        {
            (
                Topic::Background,
                format!("`{instance}` has ended: {}", status.words()),
                self.described(&instance.call),
                json!({"call": instance.to_string(), "number": number, "status": status}),
            )
        } else if let Event::CallFinished { instance, outcome, .. } = event
            && outcome.status == Status::Blocked
        {
            (
                Topic::Blocked,
                format!("`{instance}` is blocked"),
                outcome.cause.as_ref().map(|cause| cause.message.clone()).unwrap_or_default(),
                json!({"call": instance.to_string(), "cause": outcome.cause}),
            )
        } else if let Event::QuestionAsked { call, question } = event {
            let data = json!({"call": call, "question": question});
            (Topic::Question, format!("`{call}` asks"), question.clone(), data)
        } else if let Event::ConflictsFound { step, count, messages } = event {
            let word = if *count == 1 { "conflict" } else { "conflicts" };
            let found = format!("`{step}` found {count} {word}; `fanout show {}` has both sides", self.run);
            (
                Topic::Conflict,
                format!("{count} {word}"),
                format!("{found}. {}", messages.join("; ")),
                json!({"step": step, "count": count, "conflicts": messages}),
            )
        } else if let Event::Warned { code, message } = event
            && code == BUDGET
        {
            (Topic::Budget, "a budget is nearly used up".to_owned(), message.clone(), json!({}))
        } else {
            return None;
        };
        Some((topic, title, text, data))
    }

    fn run_ended(&self, end: &RunFinished) -> (Topic, String, String, Value) {
        let word = if end.success { "ok" } else { "failed" };
        let counts: Vec<String> = Status::ALL
            .into_iter()
            .filter(|status| end.census.of(*status) > 0)
            .map(|status| format!("{} {}", end.census.of(status), status.words()))
            .collect();
        let reasons: Vec<&str> = end.reasons.iter().map(String::as_str).collect();
        let text = format!("{}. {}", counts.join(", "), reasons.join(" ")).trim().to_owned();
        let data = json!({
            "success": end.success,
            "exit": end.exit,
            "census": end.census,
            "reasons": end.reasons,
        });
        (Topic::Run, word.to_owned(), text, data)
    }

    fn described(&self, call: &CallId) -> String {
        self.descriptions.get(call).cloned().unwrap_or_default()
    }
}
