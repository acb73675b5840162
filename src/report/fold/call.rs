//! One call and its instances as people see them, as plain data.

use std::collections::BTreeMap;
use std::time::Duration;

use super::talk::StepView;
use crate::event::PlannedCall;
use crate::id::{AttemptNo, CallId, InstanceId};
use crate::outcome::{Cause, Outcome};
use crate::unit::Tokens;

/// One call of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct CallView {
    /// As the head of the run lists it.
    pub planned: PlannedCall,
    /// The instances' labels by index, once it was expanded.
    pub labels: Option<Vec<String>>,
    /// The only instance of a plain call; for an expanded one the call as a whole, if it ended as one.
    pub whole: Option<InstanceView>,
    /// The instances of an expanded call that something happened to, by index.
    pub instances: BTreeMap<u32, InstanceView>,
    pub(super) done: u32,
    pub(super) ok: u32,
}

impl CallView {
    pub(super) fn new(planned: PlannedCall) -> CallView {
        CallView { planned, labels: None, whole: None, instances: BTreeMap::new(), done: 0, ok: 0 }
    }

    /// Its id.
    pub fn id(&self) -> &CallId {
        &self.planned.id
    }

    /// How many instances it has as far as is known: 1 until it is expanded.
    pub fn size(&self) -> u32 {
        match &self.labels {
            None => 1,
            Some(labels) if labels.is_empty() => u32::from(self.whole.is_some()),
            Some(labels) => u32::try_from(labels.len()).unwrap_or(u32::MAX),
        }
    }

    /// How many of its instances ended.
    pub fn done(&self) -> u32 {
        self.done
    }

    /// How many of its instances ended in `ok`.
    pub fn ok(&self) -> u32 {
        self.ok
    }

    /// How its instances stand together.
    pub fn standing(&self) -> Standing {
        match (self.ok, self.done, self.size()) {
            (ok, _, size) if ok == size => Standing::Good,
            (ok, done, size) if ok == done && done < size => Standing::Open,
            (0, _, _) => Standing::Bad,
            _ => Standing::Mixed,
        }
    }

    /// The same in words.
    pub fn stands(&self) -> String {
        match self.standing() {
            Standing::Open => format!("{} of {} done", self.done, self.size()),
            Standing::Good | Standing::Mixed | Standing::Bad => format!("{} of {} ok", self.ok, self.size()),
        }
    }

    /// True for a call that became instances.
    pub fn is_expanded(&self) -> bool {
        self.labels.as_ref().is_some_and(|labels| !labels.is_empty())
    }

    /// The label of an instance, where it has one.
    pub fn label(&self, index: Option<u32>) -> Option<&str> {
        let labels = self.labels.as_ref()?;
        labels.get(usize::try_from(index?).ok()?).map(String::as_str)
    }

    /// The instances that count, by index, as far as something happened to them.
    pub fn each(&self) -> impl Iterator<Item = (InstanceId, &InstanceView)> {
        let whole = self.whole.iter().filter(|_| !self.is_expanded());
        let whole = whole.map(|view| (InstanceId::only(self.id().clone()), view));
        let instances = self.instances.iter();
        whole.chain(instances.map(|(index, view)| (InstanceId::nth(self.id().clone(), *index), view)))
    }

    pub(super) fn slot(&mut self, index: Option<u32>) -> &mut InstanceView {
        match index {
            None => self.whole.get_or_insert_default(),
            Some(index) => self.instances.entry(index).or_default(),
        }
    }

    /// True when the outcome of this instance is one of those that are counted.
    pub(super) fn counts(&self, index: Option<u32>) -> bool {
        index.is_some() || !self.is_expanded()
    }
}

/// How the instances of an expanded call stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// All ended in `ok`.
    Good,
    /// Some have not ended, and none of the others badly.
    Open,
    /// Some ended in `ok`.
    Mixed,
    /// None did.
    Bad,
}

/// Where an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Not started: it waits for what it needs or for its place.
    #[default]
    Waiting,
    /// At work, or waiting for its next attempt.
    Running,
    /// It has its outcome.
    Finished,
}

/// One instance of a call. Times are counted from the begin of the run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InstanceView {
    /// Where it is.
    pub state: State,
    /// When it took its place.
    pub started: Option<Duration>,
    /// When it ended.
    pub ended: Option<Duration>,
    /// Who does it, as its start said.
    pub agent: Option<String>,
    /// The rendered prompt, command or question, as its start said; unsanitised.
    pub input: String,
    /// What it was doing last; unsanitised.
    pub activity: String,
    /// Tokens received so far; only while it runs.
    pub tokens: Tokens,
    /// The attempts that failed, in order.
    pub attempts: Vec<AttemptView>,
    /// What a model and its tools said and did on the way, in order.
    pub talk: Vec<StepView>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Key of its place among the running ones.
    pub(super) place: u64,
}

impl InstanceView {
    /// When its next attempt begins, while it waits for one.
    pub fn retry_at(&self) -> Option<Duration> {
        let last = self.attempts.last().filter(|_| self.state == State::Running)?;
        last.retry_in.map(|wait| last.at.saturating_add(wait))
    }
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptView {
    /// Which try.
    pub number: AttemptNo,
    /// Why.
    pub cause: Cause,
    /// When it failed.
    pub at: Duration,
    /// How long until the next one; `None` if it was the last.
    pub retry_in: Option<Duration>,
}
