//! Answers for tests.

use serde_json::{Map, Value};

use super::{Answer, Inputs};
use crate::id::{CallId, InstanceId};
use crate::outcome::{Cause, Outcome, Output, Status};

/// `review` or `review[2]`.
pub(super) fn instance(name: &str) -> InstanceId {
    match name.strip_suffix(']').and_then(|rest| rest.split_once('[')) {
        Some((call, index)) => InstanceId::nth(CallId::parse(call).unwrap(), index.parse().unwrap()),
        None => InstanceId::only(CallId::parse(name).unwrap()),
    }
}

/// A call that ended in `outcome`.
pub(super) fn ended(name: &str, outcome: Outcome) -> Answer {
    let instance = instance(name);
    let description = instance.call.to_string();
    Answer { instance, label: None, description, agent: None, outcome }
}

/// A success with a text.
pub(super) fn answer(name: &str, text: &str) -> Answer {
    ended(name, Outcome::ok(Output::text(text)))
}

/// A success with parsed JSON.
pub(super) fn json_answer(name: &str, value: Value) -> Answer {
    ended(name, Outcome::ok(Output::json(value)))
}

/// A failure.
pub(super) fn failed(name: &str, why: &str) -> Answer {
    ended(name, Outcome::ended(Status::Failed, Cause::new("exit_status", why)))
}

/// Those answers and nothing else.
pub(super) fn inputs(answers: impl IntoIterator<Item = Answer>) -> Inputs {
    Inputs { answers: answers.into_iter().collect(), ..Inputs::default() }
}

/// A JSON object as settings.
pub(super) fn settings(value: Value) -> Map<String, Value> {
    value.as_object().expect("settings are a map").clone()
}
