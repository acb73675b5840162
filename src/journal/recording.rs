//! What a run was answered, by what was asked: for playing the run again with nobody asked.
//!
//! Invariants: an answer is found by its content key and handed out once; failures are answers as
//! well, since a run is played as it was; the places of the answers are the order in which they came.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::Durable;
use crate::event::{Event, Record};
use crate::id::{CallId, ContentKey, InstanceId};
use crate::outcome::Outcome;

/// How one instance ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// Which one.
    pub instance: InstanceId,
    /// What was asked, as a hash of its content; absent for one that never started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ContentKey>,
    /// Who was asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub agent: String,
    /// The rendered prompt, command or question.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub input: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a parent's step was told by its model or its program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepAnswered {
    /// The step.
    pub instance: InstanceId,
    /// What was asked, as a hash of its content.
    pub key: ContentKey,
    /// What came back.
    pub outcome: Outcome,
}

/// All that a run was answered.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Recording {
    answers: Vec<Answered>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    steps: Vec<StepAnswered>,
    #[serde(skip)]
    taken: Mutex<Taken>,
}

/// What was handed out, by its place.
#[derive(Debug, Default)]
struct Taken {
    answers: HashSet<usize>,
    steps: HashSet<usize>,
}

impl Recording {
    /// Collects the answers of a run.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Recording {
        let mut started: HashMap<&InstanceId, (&str, &str)> = HashMap::new();
        let mut subagents: HashSet<&CallId> = HashSet::new();
        let mut ended: HashMap<&InstanceId, (u64, Answered)> = HashMap::new();
        let mut steps: Vec<StepAnswered> = Vec::new();
        for record in records {
            if let Event::CallStarted { instance, agent, input, .. } = &record.event {
                started.insert(instance, (agent, input));
            } else if let Event::SubagentPlanned { call, .. } = &record.event {
                subagents.insert(&call.id);
            } else if let Event::AttemptFinished { instance, key, outcome, .. } = &record.event {
                steps.push(StepAnswered {
                    instance: instance.clone(),
                    key: key.clone(),
                    outcome: plain(outcome),
                });
            } else if let Event::CallFinished { instance, key, outcome } = &record.event {
                let (agent, input) = started.get(instance).copied().unwrap_or_default();
                let answered = Answered {
                    instance: instance.clone(),
                    key: key.clone(),
                    agent: agent.to_owned(),
                    input: input.to_owned(),
                    outcome: plain(outcome),
                };
                // A resumed run ends an instance again; the last end is the one that counts.
                ended.insert(instance, (record.seq, answered));
            }
        }
        let mut answers: Vec<(u64, Answered)> = ended
            .into_values()
            .filter(|(_, answered)| !subagents.contains(&answered.instance.call) && !is_computed(answered))
            .collect();
        answers.sort_unstable_by_key(|(seq, _)| *seq);
        let answers: Vec<Answered> = answers.into_iter().map(|(_, answered)| answered).collect();
        // What came back inside of a call is in its answer.
        let whole: HashSet<&InstanceId> = answers.iter().map(|answered| &answered.instance).collect();
        let within =
            |step: &StepAnswered| whole.contains(&step.instance) || subagents.contains(&step.instance.call);
        steps.retain(|step| !within(step));
        Recording { answers, steps, taken: Mutex::default() }
    }

    /// The answers, in the order in which they came.
    pub fn answers(&self) -> &[Answered] {
        &self.answers
    }

    /// What the parent's steps were told, in the order in which they were.
    pub fn steps(&self) -> &[StepAnswered] {
        &self.steps
    }

    /// The places of the answers to something that was asked.
    pub fn places(&self) -> BTreeSet<usize> {
        let asked = self.answers.iter().enumerate().filter(|(_, answered)| answered.key.is_some());
        asked.map(|(place, _)| place).collect()
    }

    /// What became of this instance, whatever it was asked.
    pub fn of_instance(&self, instance: &InstanceId) -> Option<&Answered> {
        self.answers.iter().find(|answered| answered.instance == *instance)
    }

    /// The answer under this key, marked as reused, with its place: the instance's own one, else the
    /// first that is left (the item may have got another place).
    pub fn take(&self, key: &ContentKey, instance: &InstanceId) -> Option<(usize, Durable<Outcome>)> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |place: &usize| self.answers.get(*place).is_some_and(|one| one.key.as_ref() == Some(key));
        let is_own = |place: &usize| self.answers.get(*place).is_some_and(|one| one.instance == *instance);
        let mut left = (0..self.answers.len()).filter(|place| same(place) && !taken.answers.contains(place));
        let first = left.next()?;
        let place = std::iter::once(first).chain(left).find(is_own).unwrap_or(first);
        taken.answers.insert(place);
        let outcome = &self.answers.get(place)?.outcome;
        // Whatever holds a recording has read it from where it was durable.
        Some((place, Durable::vouch(Outcome { reused: true, ..outcome.clone() })))
    }

    /// What a step was told next under this key.
    pub fn take_step(&self, key: &ContentKey, step: &InstanceId) -> Option<Durable<Outcome>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |place: &usize| {
            self.steps.get(*place).is_some_and(|one| one.key == *key && one.instance == *step)
        };
        let place = (0..self.steps.len()).find(|place| fits(place) && !taken.steps.contains(place))?;
        taken.steps.insert(place);
        self.steps.get(place).map(|step| Durable::vouch(step.outcome.clone()))
    }
}

/// What the parent computes by itself is computed again.
fn is_computed(answered: &Answered) -> bool {
    answered.outcome.exit.is_none() && ["parent", "plan"].contains(&answered.agent.as_str())
}

/// An outcome as if it had come at the first try of the first process.
fn plain(outcome: &Outcome) -> Outcome {
    Outcome { reused: false, cached_from: None, interrupted: 0, ..outcome.clone() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::outcome::{Cause, Output, Status};

    fn nth(name: &str, index: u32) -> InstanceId {
        InstanceId::nth(CallId::parse(name).unwrap(), index)
    }

    fn key(text: &str) -> ContentKey {
        ContentKey::of([text.as_bytes()])
    }

    fn recording(events: impl IntoIterator<Item = Event>) -> Recording {
        let stamp = |(seq, event)| Record { seq, at: Timestamp::UNIX_EPOCH, elapsed: Duration::ZERO, event };
        let records: Vec<Record> = (1..).zip(events).map(stamp).collect();
        Recording::of(&records)
    }

    fn started(instance: InstanceId, text: &str, agent: &str) -> Event {
        Event::CallStarted { instance, key: key(text), agent: agent.into(), input: text.into() }
    }

    fn finished(instance: InstanceId, text: &str, outcome: Outcome) -> Event {
        Event::CallFinished { instance, key: Some(key(text)), outcome }
    }

    fn failed() -> Outcome {
        Outcome::ended(Status::Failed, Cause::new("exit_status", "exit status 1"))
    }

    fn ok(text: &str) -> Outcome {
        Outcome::ok(Output::text(text))
    }

    fn taken(recording: &Recording, asked: &str, who: InstanceId) -> Option<(usize, String, bool)> {
        let (place, outcome) = recording.take(&key(asked), &who)?;
        Some((place, outcome.output.text.to_string(), outcome.reused))
    }

    #[test]
    fn answers_are_handed_out_once_to_their_own_instance_or_else_in_order_and_failures_are_answers() {
        let recording = recording([
            finished(nth("a", 1), "x", ok("one")),
            finished(nth("a", 0), "x", ok("zero")),
            finished(nth("a", 2), "y", failed()),
        ]);
        assert_eq!(taken(&recording, "x", nth("a", 0)), Some((1, "zero".into(), true)));
        assert_eq!(taken(&recording, "x", nth("a", 7)), Some((0, "one".into(), true)));
        assert_eq!(taken(&recording, "x", nth("a", 1)), None);
        let (_, outcome) = recording.take(&key("y"), &nth("a", 2)).unwrap();
        assert_eq!((outcome.status, outcome.cause.clone()), (Status::Failed, failed().cause));
    }

    #[test]
    fn the_last_end_of_an_instance_counts_and_what_the_parent_computes_is_no_answer() {
        let (a, v) = (nth("a", 0), nth("v", 0));
        let recording = recording([
            started(a.clone(), "x", "sh"),
            finished(a.clone(), "x", failed()),
            started(v.clone(), "v", "parent"),
            finished(v, "v", ok("computed")),
            finished(a.clone(), "x", ok("in the end")),
        ]);
        assert_eq!(recording.answers().len(), 1);
        assert_eq!(taken(&recording, "x", a), Some((0, "in the end".into(), true)));
    }

    #[test]
    fn what_was_said_inside_of_a_call_is_in_its_answer_and_what_a_step_was_told_stands_by_itself() {
        let (a, step) = (nth("a", 0), InstanceId::only(CallId::parent_step()));
        let said = |instance: &InstanceId, text: &str| Event::AttemptFinished {
            instance: instance.clone(),
            attempt: crate::id::AttemptNo(1),
            key: key(text),
            outcome: ok(text),
        };
        let recording = recording([
            said(&a, "round"),
            finished(a.clone(), "x", ok("x")),
            said(&step, "judge"),
            said(&step, "judge"),
        ]);
        assert_eq!(recording.steps().len(), 2);
        assert!(recording.take_step(&key("round"), &a).is_none());
        for left in [true, true, false] {
            assert_eq!(recording.take_step(&key("judge"), &step).is_some(), left);
        }
    }
}
