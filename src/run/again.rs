//! What a resumed run does differently, and nothing more: it asks the journal first, and it
//! asks before it repeats what may have had its effect already.
//!
//! Invariant: what came back is not asked for again; what was cut off by a kill is
//! repeated only as `on_interrupt` says, and marked as a repeat.

use minijinja::Value;

use super::RunError;
use super::attempt::{Feedback, Raw};
use super::instance::Instance;
use super::kit;
use super::work::{Job, Work, takes_place};
use crate::event::Event;
use crate::id::{AttemptNo, ContentKey};
use crate::journal::Durable;
use crate::outcome::{Cause, Outcome, Output, Status};
use crate::plan::{Action, AgentKind, Call, OnInterrupt};

/// The cause of what a rehearsal leaves undone.
pub const REHEARSED: &str = "rehearsed";

/// Why nothing was done in a rehearsal.
pub(crate) fn rehearsed() -> Cause {
    Cause::new(REHEARSED, "only a rehearsal: it would run")
}

impl Instance<'_> {
    /// An earlier process's result for the same content, if there is one.
    pub(super) fn recalled(&self) -> Option<Durable<Outcome>> {
        let world = &self.level.world;
        if !world.resumed {
            return None;
        }
        let job = self.first_job().ok()?;
        if !job.is_remembered() {
            return None;
        }
        let outcome = world.journal.recall(&job.key, &self.id)?;
        world.count(&outcome);
        // It is durable already; this is for those who watch.
        world.journal.note(Event::CallFinished {
            instance: self.id.clone(),
            key: Some(job.key),
            outcome: Outcome::clone(&outcome),
        });
        Some(outcome)
    }

    /// Counts the subagents that an earlier process has seen to the end, so that a resumed run counts
    /// as many as one that nobody killed.
    pub(super) fn count_beneath(&self) {
        let world = &self.level.world;
        if world.resumed {
            for subagent in world.journal.take_beneath(&self.id) {
                world.count(&Outcome { reused: true, ..subagent });
            }
        }
    }

    /// The work as a whole, by which it is known: of a `repeat`, its first round.
    ///
    /// # Errors
    /// The cause when it cannot be rendered.
    pub(super) fn first_job(&self) -> Result<Job, Cause> {
        match &self.call.repeat {
            None => Job::render(self.level, self.call, &self.local),
            Some(_) => {
                let mut local = self.local.clone();
                local.more.push(("round", Value::from(1)));
                local.more.push(("previous", Value::from(())));
                Job::render(self.level, self.call, &local)
            }
        }
    }

    /// In a rehearsal, the outcome of work that would be done now.
    pub(super) fn rehearsed(&self) -> Option<Outcome> {
        let works = takes_place(&self.call.action) || matches!(self.call.action, Action::Ask { .. });
        (self.level.world.rehearsal && works).then(|| Outcome::ended(Status::Skipped, rehearsed()))
    }

    /// Writes down that it begins: durable before anything that could have an effect. What only asks a
    /// model has none before its request, which is written down before it goes out, and this with it.
    ///
    /// # Errors
    /// [`RunError`] when that cannot be written.
    pub(super) async fn begin(&self, job: &Job) -> Result<(), RunError> {
        let event = Event::CallStarted {
            instance: self.id.clone(),
            key: job.key.clone(),
            agent: job.agent(),
            input: job.shown(),
        };
        match job.work {
            Work::Prompt { .. } if kit::only_asks(self.call) => {
                self.level.world.journal.note_before_more(event);
            }
            Work::Prompt { .. } | Work::Run(_) | Work::Ask { .. } | Work::Reconcile => {
                self.level.world.journal.commit(event).await?;
            }
            Work::Value(_) | Work::Stop { .. } | Work::Plan { .. } => self.level.world.journal.note(event),
        }
        Ok(())
    }

    /// How often it was cut off by a kill.
    pub(super) fn cut_off(&self, job: &Job) -> u32 {
        if self.level.world.resumed { self.level.world.journal.cut_off(&job.key, &self.id) } else { 0 }
    }

    /// Why a program that was cut off is not run again, if `on_interrupt` or a person says so.
    pub(super) async fn held_back(&self, cut_off: u32) -> Option<Outcome> {
        let id = &self.id;
        if cut_off == 0 || !is_program(self.call) {
            return None;
        }
        let (status, code, message) = match self.call.on_interrupt {
            OnInterrupt::Retry => return None,
            OnInterrupt::Fail => (
                Status::Failed,
                "cut_off",
                format!(
                    "`{id}` was running when fanout was killed, and its `on_interrupt: fail` says not to \
                     run it again by itself; look at what it did, then resume once more to run it again"
                ),
            ),
            OnInterrupt::Ask => match self.may_repeat().await {
                Some(true) => return None,
                Some(false) => (
                    Status::Failed,
                    "cut_off",
                    format!(
                        "`{id}` was running when fanout was killed, and the answer was not to run it again"
                    ),
                ),
                None => (
                    Status::Blocked,
                    "unanswered",
                    format!(
                        "`{id}` was running when fanout was killed, and nobody could say whether it may run \
                         again; give `--answer {}=yes` or `--answer {}=no`",
                        id.call, id.call
                    ),
                ),
            },
        };
        Some(Outcome { interrupted: cut_off, ..Outcome::ended(status, Cause::new(code, message)) })
    }

    async fn may_repeat(&self) -> Option<bool> {
        let world = &self.level.world;
        let note = |by: &str| {
            let event = Event::QuestionAnswered { call: self.id.call.clone(), by: by.to_owned() };
            world.journal.note(event);
        };
        let question = format!("`{}` was running when fanout was killed. Run it again? (yes or no)", self.id);
        world.journal.note(Event::QuestionAsked { call: self.id.call.clone(), question: question.clone() });
        if let Some(answer) = world.answers.get(self.id.call.as_str()) {
            note("option");
            return Some(is_yes(answer));
        }
        let asker = world.asker.as_ref()?;
        let answer = tokio::select! {
            biased;
            _ = self.ending() => None,
            answer = asker.ask(&question, Some("no")) => answer,
        }?;
        note("person");
        Some(is_yes(&answer))
    }

    /// True when what comes back need not be the end of it, so that it is kept by itself.
    pub(super) fn has_steps(&self, job: &Job) -> bool {
        let call = self.call;
        let more = call.repeat.is_some()
            || call.attempts > 1
            || call.check.is_some()
            || call.retry_on.check
            || call.retry_on.invalid_output;
        more && matches!(job.work, Work::Prompt { .. } | Work::Run(_))
    }

    /// What came back for this step before the last kill.
    pub(super) fn recalled_step(&self, job: &Job, feedback: &[Feedback]) -> Option<Raw> {
        if !self.level.world.resumed || !self.has_steps(job) {
            return None;
        }
        let outcome = self.level.world.journal.recall_step(&step_key(job, feedback), &self.id)?;
        Some(as_raw(&outcome))
    }

    /// Writes down what came back, before it is judged.
    ///
    /// # Errors
    /// [`RunError`] when that cannot be written.
    pub(super) async fn keep_step(
        &self,
        job: &Job,
        feedback: &[Feedback],
        attempt: AttemptNo,
        raw: &Raw,
    ) -> Result<(), RunError> {
        let key = step_key(job, feedback);
        Ok(self.level.world.journal.keep_step(self.id.clone(), attempt, key, as_outcome(raw)).await?)
    }
}

/// True for a call that `on_interrupt` is about: a command, or an agent that is a program.
pub fn is_program(call: &Call) -> bool {
    match &call.action {
        Action::Run(_) => true,
        Action::Prompt { agent, .. } => match agent.kind {
            AgentKind::Command(_) => true,
            AgentKind::Model(_) => false,
        },
        Action::Plan { .. }
        | Action::Reconcile(_)
        | Action::Value(_)
        | Action::Ask { .. }
        | Action::Stop { .. } => false,
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes" | "true")
}

/// What is asked in this step: the work, and what was said of the answers so far.
fn step_key(job: &Job, feedback: &[Feedback]) -> ContentKey {
    let said = feedback.iter().flat_map(|one| [one.answer.as_bytes(), one.complaint.as_bytes()]);
    ContentKey::of(std::iter::once(job.key.as_str().as_bytes()).chain(said))
}

pub(super) fn as_raw(outcome: &Outcome) -> Raw {
    Raw {
        text: outcome.output.text.to_string(),
        computed: None,
        omitted: outcome.output.omitted_bytes,
        stderr: outcome.stderr.clone(),
        exit: outcome.exit,
        usage: outcome.usage,
        agent: outcome.agent.clone(),
        memory: None,
    }
}

pub(super) fn as_outcome(raw: &Raw) -> Outcome {
    let output = Output { text: raw.text.as_str().into(), json: None, omitted_bytes: raw.omitted };
    Outcome {
        stderr: raw.stderr.clone(),
        exit: raw.exit,
        usage: raw.usage,
        agent: raw.agent.clone(),
        ..Outcome::ok(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_repeats() {
        for yes in ["y", "Yes", " yes\n", "true"] {
            assert!(is_yes(yes), "{yes:?}");
        }
        for no in ["", "no", "n", "yeah, but", "0"] {
            assert!(!is_yes(no), "{no:?}");
        }
    }
}
