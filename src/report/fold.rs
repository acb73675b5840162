//! The state of a run as people see it: a fold over its records, live or replayed.
//!
//! Invariants: the same records give the same view, however they arrive. Times
//! are counted from the begin of the run over all processes that worked on it.

mod apply;
mod call;
mod part;
mod provider;
mod talk;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;

pub use call::{AttemptView, CallView, InstanceView, Standing, State};
pub use part::{NotificationView, QuestionView, ReconciledView, StopView, Tally, TurnView, WarningView};
pub use provider::{PossiblyBilled, ProviderView};
pub use talk::{Said, StepView};

use crate::event::{Census, Record, RequestStarted, RunFinished, RunStarted};
use crate::id::{CallId, InstanceId};
use crate::outcome::Usage;

/// A run so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunView {
    /// The head of the run; `None` before its first record.
    pub head: Option<RunStarted>,
    /// Wall clock of its first record.
    pub began: Option<Timestamp>,
    /// The calls in plan order.
    pub calls: Vec<CallView>,
    /// What the parent's last step used to ask its model.
    pub asked: Usage,
    /// The parent's last step, if it was recorded as an instance of its own.
    pub parent: Option<InstanceView>,
    /// What background calls posted, by number.
    pub notifications: BTreeMap<u64, NotificationView>,
    /// Questions to people, in the order they were put.
    pub questions: Vec<QuestionView>,
    /// What the parent computed, step by step; a step that was computed again stands once.
    pub reconciled: Vec<ReconciledView>,
    /// What was asked of each provider and program, by name.
    pub providers: BTreeMap<String, ProviderView>,
    /// What people should know.
    pub warnings: Vec<WarningView>,
    /// What ended the run early.
    pub stop: Option<StopView>,
    /// How the run ended; `None` while it runs, and for ever when its process was killed.
    pub finish: Option<RunFinished>,
    /// True while a process is at it. Records cannot say so: whoever reads them sets it.
    pub live: bool,
    /// How many times a later process went on with it.
    pub resumed: u32,
    /// Time of the last record.
    pub elapsed: Duration,
    /// The figures.
    pub tally: Tally,
    /// The turns by number from 1, background calls left out.
    pub turns: BTreeMap<u32, TurnView>,
    /// Time of earlier processes.
    before: Duration,
    /// Requests that have begun and not ended.
    open: BTreeMap<(InstanceId, u64), RequestStarted>,
    by_id: HashMap<CallId, usize>,
    running: BTreeMap<u64, InstanceId>,
    places: u64,
}

impl RunView {
    /// The view of a whole sequence of records.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> RunView {
        let mut view = RunView::default();
        for record in records {
            view.apply(record);
        }
        view
    }

    /// True for a run that goes on while it is looked at.
    pub fn running_now(&self) -> bool {
        self.live && self.finish.is_none()
    }

    /// What is said of an instance that has no outcome though it started.
    pub fn open_word(&self) -> &'static str {
        if self.running_now() { "still at work" } else { "did not end" }
    }

    /// What is said of a call that nothing happened to.
    pub fn untouched_word(&self) -> &'static str {
        if self.running_now() { "not reached yet" } else { "never reached" }
    }

    /// Takes the present into account: a run that a process is at takes time while nothing is recorded.
    /// Of a resumed one, pauses are not known from here, and its last record has to do.
    pub fn tick(&mut self, now: Timestamp) {
        if let Some(began) = self.began.filter(|_| self.running_now() && self.resumed == 0) {
            let passed = Duration::try_from(now.duration_since(began)).unwrap_or_default();
            self.elapsed = self.elapsed.max(as_written(passed));
        }
    }

    /// A call by its id.
    pub fn call(&self, id: &CallId) -> Option<&CallView> {
        self.by_id.get(id).and_then(|at| self.calls.get(*at))
    }

    /// An instance by its id, if something happened to it.
    pub fn instance(&self, id: &InstanceId) -> Option<&InstanceView> {
        if id.call == CallId::parent_step() {
            return self.parent.as_ref();
        }
        let call = self.call(&id.call)?;
        match id.index {
            None => call.whole.as_ref(),
            Some(index) => call.instances.get(&index),
        }
    }

    /// What is at work now, in the order it started, the parent's last step left out.
    pub fn running(&self) -> impl DoubleEndedIterator<Item = (&CallView, &InstanceId, &InstanceView)> {
        self.running.values().filter_map(|id| Some((self.call(&id.call)?, id, self.instance(id)?)))
    }

    /// The turn that is not done yet; the last one when all are.
    pub fn turn(&self) -> u32 {
        let open = self.turns.iter().find(|(_, turn)| turn.done < turn.planned);
        open.or(self.turns.last_key_value()).map_or(1, |(number, _)| *number)
    }

    /// A time of the process that is at work, as a time of the run.
    pub fn time(&self, elapsed: Duration) -> Duration {
        self.before + elapsed
    }

    /// What all calls used, the parent's own step included.
    pub fn usage(&self) -> Usage {
        let mut total = Usage { cost: None, ..Usage::default() };
        let instances = self.calls.iter().flat_map(|call| call.whole.iter().chain(call.instances.values()));
        for outcome in instances.chain(&self.parent).filter_map(|view| view.outcome.as_ref()) {
            total.add(&outcome.usage);
        }
        total.add(&self.asked);
        total
    }

    /// What may be billed though nobody said so, over all processes that worked on it.
    pub fn possibly_billed(&self) -> PossiblyBilled {
        let mut all = PossiblyBilled::default();
        self.providers.values().for_each(|provider| all.add(provider));
        all
    }

    /// The same if whoever is or was at it does not go on.
    pub fn possibly_billed_if_cut_off(&self) -> PossiblyBilled {
        let mut view =
            RunView { providers: self.providers.clone(), open: self.open.clone(), ..RunView::default() };
        view.lose_open();
        view.possibly_billed()
    }

    /// The census: the run's own if it ended, else counted from what is known.
    pub fn census(&self) -> Census {
        if let Some(finish) = &self.finish {
            return finish.census.clone();
        }
        let mut census = Census::default();
        for outcome in
            self.calls.iter().flat_map(CallView::each).filter_map(|(_, view)| view.outcome.as_ref())
        {
            census.count(outcome);
        }
        census.planned = self.tally.planned;
        census
    }
}

/// A time as the journal writes it down, so that a live run looks as it will look later.
fn as_written(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// The sentence for a notice that did not get where it should.
pub(super) fn not_told(topic: &str, to: &str, cause: &crate::outcome::Cause) -> String {
    format!("`notify`: the notice about `{topic}` was not delivered by {to}: {}", cause.message)
}

#[cfg(test)]
mod tests;
