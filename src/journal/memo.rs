//! The results of earlier processes of a run, by what was asked.
//!
//! Invariant: each recorded success is handed out once. Failures are no results:
//! what failed is tried again.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::talk::Talks;
use crate::event::{Event, Record};
use crate::id::{CallId, ContentKey, InstanceId};
use crate::outcome::{Outcome, Status};

/// Successes by content key.
#[derive(Debug, Clone, Default)]
pub(super) struct Memo {
    /// Each key's successes, in the order in which they were recorded.
    kept: HashMap<ContentKey, BTreeMap<u64, Arc<Record>>>,
    /// Which of them belongs to which instance.
    own: HashMap<(ContentKey, InstanceId), u64>,
    /// What began under which key, whether it ended or not.
    began: HashSet<(ContentKey, InstanceId)>,
    /// How often what has not ended was begun.
    cut_off: HashMap<(ContentKey, InstanceId), u32>,
    /// The steps of what has not ended, or ended well, in order.
    steps: HashMap<InstanceId, HashMap<ContentKey, VecDeque<Arc<Record>>>>,
    /// What the agents' conversations were made of.
    pub(super) talks: Talks,
    /// The subagents of each instance, and how each of them ended last.
    subagents: HashMap<InstanceId, Vec<InstanceId>>,
    ends: HashMap<InstanceId, Option<Outcome>>,
}

impl Memo {
    /// Collects the successes of a journal.
    pub(super) fn of(records: &[Arc<Record>]) -> Memo {
        let mut memo = Memo::default();
        for record in records {
            memo.hear(record);
        }
        memo
    }

    /// Takes in one record more.
    pub(super) fn hear(&mut self, record: &Arc<Record>) {
        self.talks.hear(&record.event);
        if let Event::CallStarted { instance, key, .. } = &record.event {
            let whose = (key.clone(), instance.clone());
            *self.cut_off.entry(whose.clone()).or_default() += 1;
            self.began.insert(whose);
        }
        if let Event::AttemptFinished { instance, key, outcome, .. } = &record.event
            && outcome.is_ok()
        {
            let steps = self.steps.entry(instance.clone()).or_default();
            steps.entry(key.clone()).or_default().push_back(Arc::clone(record));
        }
        if let Event::SubagentPlanned { within, call } = &record.event {
            let subagent = InstanceId::only(call.id.clone());
            if !self.ends.contains_key(&subagent) {
                self.subagents.entry(within.clone()).or_default().push(subagent.clone());
            }
            self.ends.insert(subagent, None);
        }
        if let Event::CallFinished { instance, key, outcome } = &record.event {
            if let Some(end) = self.ends.get_mut(instance) {
                *end = Some(outcome.clone());
            }
            if ends_its_steps(outcome.status) {
                self.steps.remove(instance);
            }
            if let Some(key) = key {
                let whose = (key.clone(), instance.clone());
                self.cut_off.remove(&whose);
                if outcome.is_ok() {
                    self.keep(whose, outcome, record);
                }
            }
        }
        if let Event::RunFinished(end) = &record.event
            && !end.success
        {
            // A last step that failed has no outcome of its own, and is tried again all the same.
            self.steps.retain(|instance, _| !instance.call.is_parent_step());
        }
        if let Event::ResultsForgotten { calls } = &record.event {
            self.forget(calls);
        }
    }

    /// How those subagents of an instance, and theirs, ended that did so in an earlier process and not in
    /// this one; each is told once. To be asked whenever an instance has ended.
    pub(super) fn take_beneath(&mut self, instance: &InstanceId) -> Vec<Outcome> {
        self.ends.remove(instance);
        let mut open = vec![instance.clone()];
        let mut ends = Vec::new();
        while let Some(instance) = open.pop() {
            let subagents = self.subagents.remove(&instance).unwrap_or_default();
            ends.extend(subagents.iter().filter_map(|one| self.ends.remove(one)?));
            open.extend(subagents);
        }
        ends
    }

    /// Drops everything that is known of these calls and of the calls inside them.
    pub(super) fn forget(&mut self, calls: &[CallId]) {
        let gone = |instance: &InstanceId| calls.iter().any(|call| instance.call.is_within(call));
        for ((key, instance), place) in &self.own {
            if gone(instance)
                && let Some(kept) = self.kept.get_mut(key)
            {
                kept.remove(place);
            }
        }
        self.own.retain(|(_, instance), _| !gone(instance));
        self.cut_off.retain(|(_, instance), _| !gone(instance));
        self.steps.retain(|instance, _| !gone(instance));
        self.talks.forget(gone);
    }

    /// How many starts of this work were cut off.
    pub(super) fn cut_off(&self, key: &ContentKey, instance: &InstanceId) -> u32 {
        self.cut_off.get(&(key.clone(), instance.clone())).copied().unwrap_or(0)
    }

    /// Hands out the next recorded step of this instance under this key.
    pub(super) fn take_step(&mut self, key: &ContentKey, instance: &InstanceId) -> Option<Outcome> {
        let record = self.steps.get_mut(instance)?.get_mut(key)?.pop_front()?;
        if let Event::AttemptFinished { outcome, .. } = &record.event { Some(outcome.clone()) } else { None }
    }

    fn keep(&mut self, whose: (ContentKey, InstanceId), outcome: &Outcome, record: &Arc<Record>) {
        let kept = self.kept.entry(whose.0.clone()).or_default();
        // A result that a resumed run took over and announced again is still one result,
        // now with the instance that took it.
        let announced =
            |first: &Arc<Record>| outcome_of(first).is_some_and(|first| *outcome == reused(first));
        let known = self.own.get(&whose).copied().or_else(|| {
            let taken_over = kept.iter().find(|(_, first)| outcome.reused && announced(first));
            taken_over.map(|(place, _)| *place)
        });
        let place = known.unwrap_or(record.seq);
        kept.insert(place, Arc::clone(record));
        self.own.insert(whose, place);
    }

    /// The earliest recorded success under `key` that was not handed out yet.
    pub(super) fn peek(&self, key: &ContentKey) -> Option<&Outcome> {
        self.kept.get(key)?.values().next().and_then(|record| outcome_of(record))
    }

    /// Hands out a success for `instance`, marked as reused.
    ///
    /// Its own one, if it has one; else the earliest that nobody has asked for yet (the
    /// call may have got another name, or the item another place). An instance that was
    /// itself interrupted takes none of its siblings': those are for the siblings.
    pub(super) fn take(&mut self, key: &ContentKey, instance: &InstanceId) -> Option<Outcome> {
        let whose = (key.clone(), instance.clone());
        let kept = self.kept.get_mut(key)?;
        let record = match self.own.get(&whose).and_then(|place| kept.remove(place)) {
            Some(own) => own,
            None if self.began.contains(&whose) => return None,
            None => kept.pop_first()?.1,
        };
        outcome_of(&record).map(reused)
    }
}

/// True where what came back before led to a failure that is to be tried again from the start.
///
/// What was only stopped goes on where it was.
fn ends_its_steps(status: Status) -> bool {
    match status {
        Status::Failed | Status::Blocked | Status::Refused | Status::InvalidOutput | Status::Skipped => true,
        Status::Ok | Status::TimedOut | Status::OverBudget | Status::Cancelled => false,
    }
}

fn outcome_of(record: &Record) -> Option<&Outcome> {
    if let Event::CallFinished { outcome, .. } = &record.event { Some(outcome) } else { None }
}

fn reused(outcome: &Outcome) -> Outcome {
    Outcome { reused: true, ..outcome.clone() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::id::CallId;
    use crate::outcome::{Cause, Output, Status};

    fn instance(name: &str, index: u32) -> InstanceId {
        InstanceId::nth(CallId::parse(name).unwrap(), index)
    }

    fn key() -> ContentKey {
        ContentKey::of([b"the same work".as_slice()])
    }

    fn started(instance: InstanceId) -> Event {
        Event::CallStarted { instance, key: key(), agent: "sh".into(), input: String::new() }
    }

    fn finished(instance: InstanceId, outcome: Outcome) -> Event {
        Event::CallFinished { instance, key: Some(key()), outcome }
    }

    fn ok(text: &str) -> Outcome {
        Outcome::ok(Output::text(text))
    }

    fn memo(events: impl IntoIterator<Item = Event>) -> Memo {
        let stamp = |(seq, event)| {
            Arc::new(Record { seq, at: Timestamp::UNIX_EPOCH, elapsed: Duration::ZERO, event })
        };
        Memo::of(&(1..).zip(events).map(stamp).collect::<Vec<_>>())
    }

    fn texts(memo: &mut Memo, who: impl IntoIterator<Item = InstanceId>) -> Vec<Option<String>> {
        let take = |who| memo.take(&key(), &who).map(|outcome| outcome.output.text.to_string());
        who.into_iter().map(take).collect()
    }

    #[test]
    fn each_result_is_handed_out_once_and_as_reused() {
        let mut memo = memo([finished(instance("a", 0), ok("x"))]);
        assert_eq!(memo.peek(&key()), Some(&ok("x")));
        assert_eq!(memo.take(&key(), &instance("a", 0)), Some(reused(&ok("x"))));
        assert_eq!(memo.take(&key(), &instance("a", 0)), None);
        assert_eq!(memo.peek(&key()), None);
    }

    #[test]
    fn instances_get_their_own_results_and_others_the_rest_in_order() {
        let who = |n| instance("a", n);
        let events = [2, 0, 1].map(|n| finished(who(n), ok(&n.to_string())));
        let mut same = memo(events.clone());
        assert_eq!(texts(&mut same, [who(0), who(1), who(2)]), ["0", "1", "2"].map(|t| Some(t.to_owned())));
        let mut renamed = memo(events);
        let who = |n| instance("b", n);
        assert_eq!(
            texts(&mut renamed, [who(0), who(1), who(2)]),
            ["2", "0", "1"].map(|t| Some(t.to_owned()))
        );
    }

    #[test]
    fn an_interrupted_sample_runs_again_and_leaves_its_siblings_their_results() {
        let who = |n| instance("a", n);
        let mut memo = memo([started(who(0)), started(who(1)), finished(who(1), ok("1"))]);
        assert_eq!(texts(&mut memo, [who(0), who(1)]), [None, Some("1".to_owned())]);
    }

    #[test]
    fn a_result_announced_again_is_still_one_result() {
        let (a, b, c) = (instance("a", 0), instance("b", 0), instance("c", 0));
        let mut memo = memo([finished(a.clone(), ok("x")), finished(b.clone(), reused(&ok("x")))]);
        assert_eq!(texts(&mut memo, [b, c, a]), [Some("x".to_owned()), None, None]);
    }

    #[test]
    fn what_subagents_came_to_earlier_is_told_once_with_their_call_however_deep() {
        let only = |name: &str| InstanceId::only(CallId::parse(name).unwrap());
        let planned = |within: &str, name: &str| Event::SubagentPlanned {
            within: only(within),
            call: crate::event::PlannedCall {
                id: CallId::parse(name).unwrap(),
                description: String::new(),
                kind: "prompt".into(),
                turn: 1,
                needs: Vec::new(),
                after: Vec::new(),
                background: false,
                check: false,
            },
        };
        let mut memo = memo([
            planned("a", "b"),
            planned("b", "c"),
            finished(only("c"), ok("c")),
            finished(only("b"), ok("b")),
            // A resumed process comes to it again.
            planned("a", "b"),
            finished(only("b"), reused(&ok("b"))),
            planned("z", "other"),
        ]);
        let mut texts = |name: &str| -> Vec<String> {
            memo.take_beneath(&only(name)).iter().map(|end| end.output.text.to_string()).collect()
        };
        // `c` ended again, by itself.
        assert_eq!(texts("c"), [""; 0]);
        assert_eq!(texts("a"), ["b"]);
        assert_eq!((texts("a"), texts("z")), (vec![], vec![]), "each is told once");
    }

    #[test]
    fn a_failure_is_no_result() {
        let failed = Outcome::ended(Status::Failed, Cause::new("exit_status", "exit status 1"));
        let mut memo = memo([finished(instance("a", 0), failed)]);
        assert_eq!(memo.take(&key(), &instance("a", 0)), None);
    }
}
