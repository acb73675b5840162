//! A recorded run played again: every call is answered from the recording, by its content key.
//!
//! Invariants: nothing is called and nothing is written; what was not recorded fails by name, with
//! what is different; answers come in the order in which they came when they were recorded, so that
//! what depends on who was first comes out the same.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::instance::Instance;
use super::stop::Phase;
use super::work::Job;
use super::{RunError, World, steps};
use crate::event::Event;
use crate::id::{ContentKey, InstanceId};
use crate::journal::{Answered, Durable, Recording};
use crate::outcome::{Cause, Outcome, Status};
use crate::plan::Action;

/// The cause of what has no recorded answer.
pub const NOT_RECORDED: &str = "not_recorded";

/// How long all answers wait for one that is not asked for any more before the next one goes on.
/// Met only where the plan has changed.
const STALL: Duration = Duration::from_millis(250);

/// A recording that is played.
#[derive(Debug)]
pub struct Replay {
    recording: Recording,
    /// Where it is from, for people: `run 20261120-231505-7f3a`.
    source: String,
    /// What a person does about an answer that is not there.
    remedy: String,
    order: Order,
}

impl Replay {
    /// Plays a recording from `source`; `remedy` says how it is made anew.
    pub fn new(recording: Recording, source: &str, remedy: &str) -> Replay {
        let order = Order::of(recording.places());
        Replay { recording, source: source.to_owned(), remedy: remedy.to_owned(), order }
    }

    fn missing(&self, who: &InstanceId, why: &str) -> Cause {
        let message = format!(
            "`{who}` has no recorded answer in {}: {why}. Nothing was called; {}",
            self.source, self.remedy
        );
        Cause::new(NOT_RECORDED, message)
    }
}

impl World {
    /// True where work is done: not in a rehearsal and not in a replay.
    pub(crate) fn acts(&self) -> bool {
        !self.rehearsal && self.replay.is_none()
    }

    /// What a step of the parent was told by its model or program before; `None` where it has to ask.
    ///
    /// # Errors
    /// In a replay: why it failed then, or that it was not recorded.
    pub(crate) fn told_before(
        &self,
        key: &ContentKey,
        step: &InstanceId,
    ) -> Result<Option<Durable<Outcome>>, Cause> {
        let Some(replay) = &self.replay else { return Ok(self.journal.recall_step(key, step)) };
        match replay.recording.take_step(key, step) {
            Some(outcome) => match outcome.cause.clone().filter(|_| !outcome.is_ok()) {
                Some(cause) => Err(cause),
                None => Ok(Some(outcome)),
            },
            None => Err(replay.missing(step, "its strategy, or what it reads, is not what it was")),
        }
    }
}

impl Instance<'_> {
    /// In a replay, the recorded end of what would have to be asked; `None` for what is computed here.
    ///
    /// # Errors
    /// [`RunError`] as the journal gives it.
    pub(super) async fn replayed(&self) -> Result<Option<Durable<Outcome>>, RunError> {
        let world = &self.level.world;
        let Some(replay) = &world.replay else { return Ok(None) };
        // What cannot be rendered fails where it is done.
        let Ok(job) = self.first_job() else { return Ok(None) };
        if !job.is_remembered() {
            return Ok(None);
        }
        if let Some((place, outcome)) = replay.recording.take(&job.key, &self.id) {
            replay.order.turn(place).await;
            world.count(&outcome);
            world.journal.note(Event::CallStarted {
                instance: self.id.clone(),
                key: job.key.clone(),
                agent: job.agent(),
                input: job.shown(),
            });
            world.journal.note(Event::CallFinished {
                instance: self.id.clone(),
                key: Some(job.key),
                outcome: Outcome::clone(&outcome),
            });
            return Ok(Some(outcome));
        }
        let recorded = replay.recording.of_instance(&self.id);
        let outcome = match recorded.filter(|recorded| recorded.key.is_none()) {
            Some(recorded) => self.unstarted(recorded).await,
            None => None,
        };
        let outcome = outcome.unwrap_or_else(|| {
            let why = self.difference(&job, recorded, &replay.recording);
            Outcome::ended(Status::Failed, replay.missing(&self.id, &why))
        });
        Ok(Some(world.finish(self.id.clone(), None, outcome).await?))
    }

    /// The end of one that did not start then, if it does not now either.
    async fn unstarted(&self, recorded: &Answered) -> Option<Outcome> {
        if recorded.outcome.status == Status::OverBudget {
            return Some(recorded.outcome.clone());
        }
        let stop = &self.level.world.stop;
        tokio::select! {
            biased;
            () = stop.reached(Phase::Draining) => Some(steps::not_started(stop)),
            () = self.enough.reached(Phase::Ending) => Some(steps::not_started(self.enough)),
            () = self.level.over.reached(Phase::Ending) => Some(steps::not_started(&self.level.over)),
            () = tokio::time::sleep(4 * STALL) => None,
        }
    }

    /// What is not as it was recorded, as a clause.
    fn difference(&self, job: &Job, recorded: Option<&Answered>, recording: &Recording) -> String {
        let Some(recorded) = recorded else { return "the recorded run had no such call".to_owned() };
        if recorded.key.is_none() {
            let why = recorded.outcome.cause.as_ref().map(|cause| format!(" ({})", cause.message));
            return format!("the recorded run did not start it{}", why.unwrap_or_default());
        }
        let (was, now) = (recorded.input.as_str(), job.shown());
        let others = self.others(recording);
        let what = match &self.call.action {
            Action::Prompt { .. } => "prompt",
            Action::Ask { .. } => "question",
            Action::Run(_)
            | Action::Plan { .. }
            | Action::Reconcile(_)
            | Action::Value(_)
            | Action::Stop { .. } => "command",
        };
        if recorded.agent != job.agent() {
            return format!("it was done by `{}` and is now for `{}`", recorded.agent, job.agent());
        }
        if was != now && others.is_empty() {
            return format!("its {what} has changed ({})", first_difference(was, &now));
        }
        match others.as_slice() {
            [] => {
                "its settings have changed: its agent, folder, environment, standard input, output, check, \
                   sandbox or workspace"
                    .to_owned()
            }
            [one] => format!("`{one}`, which it needs, came to another result"),
            more => format!("what it needs came to other results: {}", more.join(", ")),
        }
    }

    /// The instances that it needs and whose result is not the recorded one.
    fn others(&self, recording: &Recording) -> Vec<String> {
        let needs = self.call.needs.iter().filter_map(|need| self.level.store.get(need.call));
        let mut others = Vec::new();
        for result in needs {
            for instance in &result.instances {
                let recorded = recording.of_instance(&instance.id);
                let same = |then: &Answered| {
                    then.outcome.status == instance.outcome.status
                        && then.outcome.output.text == instance.outcome.output.text
                };
                if recorded.is_some_and(|recorded| !same(recorded)) {
                    others.push(instance.id.to_string());
                }
            }
        }
        others
    }
}

/// Where two texts part, with a little around it.
fn first_difference(was: &str, now: &str) -> String {
    let same = was.chars().zip(now.chars()).take_while(|(one, other)| one == other).count();
    let from = same.saturating_sub(20);
    let part = |text: &str| {
        let part: String = text.chars().skip(from).take(60).collect();
        let part = part.split_whitespace().collect::<Vec<_>>().join(" ");
        let dots = |there: bool| if there { "…" } else { "" };
        format!("«{}{part}{}»", dots(from > 0), dots(text.chars().count() > from + 60))
    };
    format!("it was {} and is {}", part(was), part(now))
}

/// Lets answers out in the order in which they came when they were recorded.
#[derive(Debug, Default)]
struct Order {
    state: Mutex<Line>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Line {
    /// The places that were not let out yet.
    left: BTreeSet<usize>,
    /// Those of them that somebody asks for.
    asked: BTreeSet<usize>,
}

impl Order {
    fn of(left: BTreeSet<usize>) -> Order {
        Order { state: Mutex::new(Line { left, asked: BTreeSet::new() }), changed: Notify::new() }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all answers before this one are out. One that nobody asks for any more is passed by.
    async fn turn(&self, place: usize) {
        let asking = Asking::new(self, place);
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            if self.line().left.first().is_none_or(|first| *first >= place) {
                break;
            }
            tokio::select! {
                () = &mut changed => {}
                () = tokio::time::sleep(STALL) => {
                    let mut line = self.line();
                    if line.asked.first() == Some(&place) {
                        line.left = line.left.split_off(&place);
                    }
                }
            }
        }
        self.line().left.remove(&place);
        drop(asking);
        self.changed.notify_waiters();
    }
}

/// Someone asks for a place, until dropped.
struct Asking<'a>(&'a Order, usize);

impl<'a> Asking<'a> {
    fn new(order: &'a Order, place: usize) -> Asking<'a> {
        order.line().asked.insert(place);
        Asking(order, place)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.line().asked.remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_come_in_their_order_and_one_that_nobody_asks_for_is_passed_by() {
        let order = Order::of((0..5).collect());
        let out = Arc::new(Mutex::new(Vec::new()));
        // Nobody asks for 1.
        let all = [4, 2, 3, 0].map(|place| {
            let (order, out) = (&order, Arc::clone(&out));
            async move {
                order.turn(place).await;
                out.lock().unwrap().push(place);
            }
        });
        futures::future::join_all(all).await;
        assert_eq!(*out.lock().unwrap(), [0, 2, 3, 4]);
        order.turn(9).await;
    }

    #[test]
    fn the_first_difference_is_shown_with_a_little_around_it() {
        assert_eq!(first_difference("say one", "say two"), "it was «say one» and is «say two»");
        let (was, now) = (format!("{}old{}", "x".repeat(50), "y".repeat(90)), "x".repeat(50) + "new");
        let shown = first_difference(&was, &now);
        assert!(shown.starts_with("it was «…xxxxxxxxxxxxxxxxxxxxold") && shown.ends_with("xnew»"), "{shown}");
    }
}
