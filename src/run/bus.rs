//! Notifications of background calls: put on by whoever finished, drained by the parent.
//!
//! Invariants: a notification is posted once and drained by the parent's steps once;
//! templates of calls that start later see all that were posted by then. Nothing polls.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::id::InstanceId;
use crate::outcome::{Outcome, Status};

/// How much of an output a notification carries, in characters.
const HEAD: usize = 500;

/// What a later prompt and the parent learn of a finished background call.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Notification {
    /// Counts from 1 over the run.
    pub(crate) number: u64,
    pub(crate) id: String,
    pub(crate) description: String,
    pub(crate) status: Status,
    #[serde(with = "crate::unit::millis", rename = "duration_ms")]
    pub(crate) took: Duration,
    /// The first 500 characters of its output, or its error.
    pub(crate) summary: String,
}

/// The bus of one plan.
#[derive(Debug, Default)]
pub(crate) struct Bus {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    posted: Vec<Notification>,
    drained: usize,
}

impl Bus {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; a poisoned list is still a right list.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a finished background call on the bus and returns its number.
    pub(crate) fn post(&self, instance: &InstanceId, description: &str, outcome: &Outcome) -> u64 {
        let text = match &outcome.cause {
            Some(cause) => cause.message.as_str(),
            None => outcome.output.text.as_ref(),
        };
        let summary = match text.char_indices().nth(HEAD) {
            Some((cut, _)) => format!("{}…", &text[..cut]),
            None => text.to_owned(),
        };
        let mut state = self.state();
        let number = state.posted.len() as u64 + 1;
        state.posted.push(Notification {
            number,
            id: instance.to_string(),
            description: description.to_owned(),
            status: outcome.status,
            took: outcome.took,
            summary,
        });
        number
    }

    /// Everything posted so far, for templates.
    pub(crate) fn posted(&self) -> Vec<Notification> {
        self.state().posted.clone()
    }

    /// What the parent has not been told yet; it has been told afterwards.
    pub(crate) fn drain(&self) -> Vec<Notification> {
        let mut state = self.state();
        let fresh = state.posted[state.drained..].to_vec();
        state.drained = state.posted.len();
        fresh
    }
}

/// Notifications as templates see them.
pub(crate) fn as_value(notifications: &[Notification]) -> Value {
    serde_json::to_value(notifications).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::CallId;
    use crate::outcome::Output;

    #[test]
    fn a_notification_is_drained_once_and_stays_readable() {
        let bus = Bus::default();
        let id = InstanceId::only(CallId::parse("client").unwrap());
        bus.post(&id, "Regenerate", &Outcome::ok(Output::text("é".repeat(600))));
        assert_eq!(bus.drain().iter().map(|n| n.number).collect::<Vec<_>>(), [1]);
        assert!(bus.drain().is_empty());
        assert_eq!(bus.posted()[0].summary.chars().count(), HEAD + 1);
    }
}
