//! What the agents' conversations were made of, by what was asked: for the next try, and for a
//! later process.
//!
//! Invariant: what came back to an instance is known under its key until the instance has ended
//! for good. A conversation that had come to its answer when its instance failed is forgotten,
//! since it would only fail again; one that broke off is gone on with.

use std::collections::HashMap;
use std::sync::Arc;

use crate::event::{Event, Exchanged};
use crate::id::{ContentKey, InstanceId};
use crate::outcome::Status;

/// Which part of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// [`Event::ModelAnswered`].
    Answer,
    /// [`Event::ToolStarted`].
    ToolStart,
    /// [`Event::ToolEnded`].
    ToolEnd,
    /// [`Event::JobEnded`].
    Job,
}

/// The conversations of a run.
#[derive(Debug, Clone, Default)]
pub(super) struct Talks {
    talks: HashMap<InstanceId, Talk>,
    /// What calls of sessions left for the next one; of each the last.
    sessions: HashMap<InstanceId, Arc<Exchanged>>,
}

#[derive(Debug, Clone, Default)]
struct Talk {
    parts: HashMap<(Part, ContentKey), Arc<Event>>,
    /// The last answer asked for nothing more.
    answered: bool,
}

impl Talks {
    /// Takes in what is a part of a conversation, or ends one.
    pub(super) fn hear(&mut self, event: &Event) {
        if let Event::ModelAnswered { instance, key, answer } = event {
            self.add(instance, Part::Answer, key, event).answered = answer.calls.is_empty() && !answer.paused;
        } else if let Event::ToolStarted { instance, key, .. } = event {
            self.add(instance, Part::ToolStart, key, event);
        } else if let Event::ToolEnded { instance, key, .. } = event {
            self.add(instance, Part::ToolEnd, key, event);
        } else if let Event::JobEnded { instance, key, .. } = event {
            self.add(instance, Part::Job, key, event);
        } else if let Event::SessionExtended { instance, exchanged } = event {
            self.sessions.insert(instance.clone(), Arc::new(exchanged.clone()));
        } else if let Event::CallFinished { instance, outcome, .. } = event {
            self.end(instance, outcome.status);
        }
    }

    /// An instance has ended so.
    pub(super) fn end(&mut self, instance: &InstanceId, status: Status) {
        if self.talks.get(instance).is_some_and(|talk| is_over(status, talk.answered)) {
            self.talks.remove(instance);
        }
    }

    fn add(&mut self, instance: &InstanceId, part: Part, key: &ContentKey, event: &Event) -> &mut Talk {
        let talk = self.talks.entry(instance.clone()).or_default();
        talk.parts.insert((part, key.clone()), Arc::new(event.clone()));
        talk
    }

    /// True where anything is known of an instance's conversation.
    pub(super) fn has(&self, instance: &InstanceId) -> bool {
        self.talks.contains_key(instance)
    }

    /// What is known under a key.
    pub(super) fn part(&self, instance: &InstanceId, part: Part, key: &ContentKey) -> Option<Arc<Event>> {
        self.talks.get(instance)?.parts.get(&(part, key.clone())).cloned()
    }

    /// What an instance left for the next call of its session.
    pub(super) fn exchanged(&self, instance: &InstanceId) -> Option<Arc<Exchanged>> {
        self.sessions.get(instance).cloned()
    }

    /// Drops the conversations of some instances.
    pub(super) fn forget(&mut self, gone: impl Fn(&InstanceId) -> bool) {
        self.talks.retain(|instance, _| !gone(instance));
        self.sessions.retain(|instance, _| !gone(instance));
    }
}

/// True where there is nothing to go on with.
fn is_over(status: Status, answered: bool) -> bool {
    match status {
        Status::Ok | Status::Skipped | Status::InvalidOutput => true,
        Status::Failed | Status::Blocked | Status::Refused => answered,
        Status::TimedOut | Status::OverBudget | Status::Cancelled => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ModelAnswer, ToolAsked};
    use crate::id::CallId;
    use crate::outcome::{Cause, Outcome, Output, Usage};

    fn who() -> InstanceId {
        InstanceId::only(CallId::parse("a").unwrap())
    }

    fn key(text: &str) -> ContentKey {
        ContentKey::of([text.as_bytes()])
    }

    fn answered(request: &str, asks: bool) -> Event {
        let call =
            ToolAsked { id: "1".into(), name: "read".into(), input: serde_json::json!({}), unreadable: None };
        let answer = ModelAnswer {
            model: "lab/tiny".into(),
            text: request.into(),
            assistant: serde_json::Value::Null,
            calls: if asks { vec![call] } else { Vec::new() },
            paused: false,
            usage: Usage::default(),
            usage_estimated: false,
            request_id: None,
            told: None,
            jobs: Vec::new(),
        };
        Event::ModelAnswered { instance: who(), key: key(request), answer }
    }

    fn known_after(asks: bool, end: Option<Status>) -> bool {
        let mut talks = Talks::default();
        talks.hear(&answered("one", asks));
        if let Some(status) = end {
            let outcome = if status == Status::Ok {
                Outcome::ok(Output::text("x"))
            } else {
                Outcome::ended(status, Cause::new("c", "m"))
            };
            talks.hear(&Event::CallFinished { instance: who(), key: None, outcome });
        }
        assert_eq!(talks.part(&who(), Part::Answer, &key("two")), None);
        talks.part(&who(), Part::Answer, &key("one")).is_some_and(|event| *event == answered("one", asks))
    }

    #[test]
    fn what_came_back_is_known_until_its_instance_has_ended_for_good() {
        assert!(known_after(true, None) && known_after(false, None));
        assert!(!known_after(true, Some(Status::Ok)));
    }

    #[test]
    fn a_conversation_that_broke_off_goes_on_and_one_with_a_bad_end_does_not() {
        assert!(known_after(true, Some(Status::Failed)) && !known_after(false, Some(Status::Failed)));
        assert!(known_after(false, Some(Status::TimedOut)) && known_after(true, Some(Status::Cancelled)));
        assert!(!known_after(true, Some(Status::InvalidOutput)));
    }
}
