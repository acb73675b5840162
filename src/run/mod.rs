//! The parent: it starts calls, feeds results forward, and decides.
//!
//! ```text
//! run ── level (one plan) ── call ── instance ── attempt ──▶ agent | process
//!            │                 │         └ rounds, answers, tries: the one place that retries
//!            │                 └ needs, when, expansion, join
//!            └ join_all over the calls, then the parent's last step
//! ```
//!
//! Invariants: each call is one future and `join_all` over them is the fan-out; no
//! task is detached, so dropping the run ends everything in it; a result is durable
//! before anyone else sees it; resuming is the same code with a journal that
//! remembers.

mod access;
mod activity;
mod again;
mod answers;
mod asking;
mod attempt;
mod bus;
mod cached;
mod call;
mod check;
mod confine;
mod crew;
mod earlier;
mod ended;
mod instance;
mod key;
mod kit;
mod level;
mod output;
mod own;
mod parent;
mod races;
mod replay;
mod results;
mod seat;
mod session;
mod steps;
pub mod stop;
mod verdict;
mod work;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;

use crate::agent::Agents;
use crate::event::{Census, Event, RunFinished};
use crate::id::{CallId, ContentKey, InstanceId};
use crate::journal::cache::Cache;
use crate::journal::{Durable, Journal, JournalError};
use crate::limits::budget::Ledger;
use crate::limits::history::History;
use crate::limits::places::Places;
use crate::outcome::{Cause, Outcome, Usage};
use crate::plan::Plan;
use crate::process::Reaper;
use crate::reconcile::{Answer, Reconciled};
use crate::sandbox::Sandbox;
use crate::tool::Servers;
use crate::workspace::Workspaces;
use stop::{Phase, Stop, Why};

pub use again::{REHEARSED, is_program};
pub use races::Races;
pub use replay::{NOT_RECORDED, Replay};
pub use verdict::Verdict;

/// Someone who can answer a question.
pub trait Asker: Send + Sync + std::fmt::Debug {
    /// Puts the question; `None` when nobody answered. Dropping the future takes the question back.
    fn ask<'a>(&'a self, question: &'a str, default: Option<&'a str>) -> BoxFuture<'a, Option<String>>;
}

/// Everything a run needs from outside its plan.
#[derive(Debug)]
pub struct World {
    /// Where the run is written down, and what an earlier process of it has left to be reused.
    pub journal: Arc<Journal>,
    /// True when there may be something to reuse.
    pub resumed: bool,
    /// True when nothing is to be done but to find out what would be: work that has no recorded
    /// result ends as skipped, with the cause [`REHEARSED`].
    pub rehearsal: bool,
    /// The recorded run that answers everything that would be asked; `None` for a run that asks.
    pub replay: Option<Replay>,
    /// The results of earlier runs, for calls that say `cache`; `None` for none.
    pub cache: Option<Cache>,
    /// How the tool servers of agents are started.
    pub servers: Servers,
    /// Who answers prompts.
    pub agents: Agents,
    /// The run's places under `limits.concurrency` and `limits.calls`.
    pub places: Places,
    /// What is spent and reserved under `limits.tokens` and `limits.cost`; starts empty.
    pub ledger: Arc<Ledger>,
    /// What earlier processes of the run have spent.
    pub history: History,
    /// The switch that ends it early.
    pub stop: Stop,
    /// Who answers `ask` calls, if anybody can.
    pub asker: Option<Arc<dyn Asker>>,
    /// Answers given beforehand, by call id.
    pub answers: HashMap<String, String>,
    /// The calls that `--only` selected; the others are skipped.
    pub only: Option<HashSet<CallId>>,
    /// The environment, for templates.
    pub environment: Arc<HashMap<String, String>>,
    /// Who ends its processes when this one is killed with SIGKILL.
    pub reaper: Option<Reaper>,
    /// Who puts programs under the policies of their calls.
    pub sandbox: Sandbox,
    /// What calls do to each other's files in shared folders; starts empty.
    pub races: Races,
    /// Where calls work that have a workspace of their own.
    pub workspaces: Workspaces,
    /// Who ended how so far; starts empty.
    pub census: Mutex<Census>,
}

impl World {
    /// Writes down how an instance ended, and counts it.
    async fn finish(
        &self,
        instance: InstanceId,
        key: Option<ContentKey>,
        outcome: Outcome,
    ) -> Result<Durable<Outcome>, JournalError> {
        let outcome = self.journal.finish(instance, key, outcome).await?;
        self.count(&outcome);
        Ok(outcome)
    }

    /// The same for an instance that is dropped before its end and so cannot wait.
    fn end_dropped(&self, instance: InstanceId, outcome: Outcome) {
        self.count(&outcome);
        self.journal.take_beneath(&instance);
        self.journal.note(Event::CallFinished { instance, key: None, outcome });
    }

    fn count(&self, outcome: &Outcome) {
        // A poisoned count is still a count: nothing panics between its updates.
        self.census.lock().unwrap_or_else(PoisonError::into_inner).count(outcome);
    }

    /// Asks for a stop and writes that down.
    pub fn request_stop(&self, phase: Phase, why: Why) {
        let event = Event::StopRequested { reason: why.word().to_owned(), message: why.message() };
        if self.stop.request(phase, why) {
            self.journal.note(event);
        }
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Finished {
    /// The verdict; its exit status is the process's.
    pub verdict: Verdict,
    /// Why, in sentences.
    pub reasons: Vec<String>,
    /// The parent's last step; `None` if it failed or was not reached.
    pub reconciled: Option<Reconciled>,
    /// Who ended how.
    pub census: Census,
}

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The journal could not be written, so nothing more may be shown.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The plan's `goal` could not be rendered.
    #[error("the plan's `goal` cannot be rendered: {0}")]
    Goal(String),
}

/// Runs a plan to its end.
///
/// Dropping the future ends everything that it started; what was durable by then stays.
///
/// # Errors
/// [`RunError`] when the journal failed. A failed call is no error: it is in [`Finished`].
pub async fn run(plan: Arc<Plan>, world: Arc<World>) -> Result<Finished, RunError> {
    let vars = plan.vars.clone();
    let level = level::Level::new(Arc::clone(&plan), &vars, Arc::clone(&world), None, &[])
        .map_err(|error| RunError::Goal(error.message))?;
    let whole = {
        let work = parent::run_level(&level);
        let clock = async {
            match plan.limits.time {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
            world.request_stop(Phase::Ending, Why::Time);
        };
        tokio::pin!(work, clock);
        let mut rang = false;
        loop {
            tokio::select! {
                biased;
                whole = &mut work => break whole?,
                () = &mut clock, if !rang => rang = true,
            }
        }
    };
    own::clear(&level).await;
    let judged = verdict::of(&level, &whole);
    let census = world.census.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let finished = RunFinished {
        success: judged.success(),
        reasons: judged.reasons.clone(),
        exit: judged.verdict.exit_code(),
        census: census.clone(),
    };
    world.journal.commit(Event::RunFinished(finished)).await?;
    Ok(Finished {
        verdict: judged.verdict,
        reasons: judged.reasons,
        reconciled: whole.reconciled.ok(),
        census,
    })
}

/// The plan's last step over answers that are there already, and what its own questions took; no
/// call of the plan is made. `ended` is how every instance of the run ended, for a prompt that mentions
/// calls.
///
/// # Errors
/// [`RunError`] when the goal cannot be rendered or the journal failed; a [`Cause`] inside says why
/// there is no result.
pub async fn last_step(
    plan: Arc<Plan>,
    world: Arc<World>,
    answers: Vec<Answer>,
    ended: Vec<Answer>,
) -> Result<Result<(Reconciled, Usage), Cause>, RunError> {
    let vars = plan.vars.clone();
    let level =
        level::Level::new(plan, &vars, world, None, &[]).map_err(|error| RunError::Goal(error.message))?;
    earlier::hand_in(&level, ended).await?;
    parent::last_step_over(&level, answers).await
}
