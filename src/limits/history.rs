//! What earlier processes of a run have spent, out of its records.
//!
//! Invariant: a request that began and of which nothing more is known counts with all that
//! was reserved for it: whoever was killed may be billed.

use std::collections::{HashMap, HashSet};

use super::budget::Amount;
use crate::event::Event;
use crate::id::{CallId, InstanceId};

/// Spent so far, by instance.
#[derive(Debug, Clone, Default)]
pub struct History {
    spent: HashMap<InstanceId, Amount>,
    open: HashMap<(InstanceId, u64), Amount>,
    /// Instances that ended well.
    done: HashSet<InstanceId>,
}

impl History {
    /// Out of a run's records, in order.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> History {
        let mut history = History::default();
        for event in events {
            history.hear(event);
        }
        history.close();
        history
    }

    fn hear(&mut self, event: &Event) {
        if let Event::RequestStarted(started) = event {
            let reserved =
                Amount { tokens: started.reserved, cost: started.reserved_cost.unwrap_or_default() };
            self.open.insert((started.instance.clone(), started.number), reserved);
        }
        if let Event::RequestFinished(finished) = event {
            self.open.remove(&(finished.instance.clone(), finished.number));
            let charged =
                Amount { tokens: finished.charged, cost: finished.charged_cost.unwrap_or_default() };
            self.add(&finished.instance, charged);
        }
        if let Event::RunResumed { .. } = event {
            self.close();
        }
        if let Event::CallFinished { instance, outcome, .. } = event
            && outcome.is_ok()
        {
            self.done.insert(instance.clone());
        }
    }

    /// Nobody is left who could say what became of those that are open.
    fn close(&mut self) {
        for ((instance, _), reserved) in std::mem::take(&mut self.open) {
            self.add(&instance, reserved);
        }
    }

    fn add(&mut self, instance: &InstanceId, amount: Amount) {
        let spent = self.spent.entry(instance.clone()).or_default();
        *spent = spent.plus(amount);
    }

    /// By the whole run.
    pub fn of_run(&self) -> Amount {
        self.sum(|_| true)
    }

    /// How many instances of a call have ended well.
    pub fn done(&self, call: &CallId) -> u32 {
        self.done.iter().filter(|instance| instance.call == *call).count() as u32
    }

    /// By a call with all of its instances and all that they run.
    pub fn of_call(&self, call: &CallId) -> Amount {
        self.sum(|instance| instance.call.is_within(call))
    }

    /// By the plan that an instance runs.
    pub fn inside(&self, outer: &InstanceId) -> Amount {
        let outer = format!("{outer}.");
        self.sum(|instance| instance.call.as_str().starts_with(&outer))
    }

    fn sum(&self, belongs: impl Fn(&InstanceId) -> bool) -> Amount {
        let own = self.spent.iter().filter(|(instance, _)| belongs(instance));
        own.fold(Amount::default(), |sum, (_, amount)| sum.plus(*amount))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::{Millis, RequestFinished, RequestStarted};
    use crate::outcome::Usage;
    use crate::unit::Tokens;

    fn started(instance: &InstanceId, number: u64, reserved: u64) -> Event {
        Event::RequestStarted(RequestStarted {
            instance: instance.clone(),
            number,
            provider: "lab".into(),
            model: "tiny".into(),
            reserved: Tokens(reserved),
            reserved_cost: None,
        })
    }

    fn finished(instance: &InstanceId, number: u64, charged: u64) -> Event {
        Event::RequestFinished(RequestFinished {
            instance: instance.clone(),
            number,
            provider: "lab".into(),
            model: "tiny".into(),
            failure: None,
            usage: Usage::default(),
            charged: Tokens(charged),
            charged_cost: None,
            saved: None,
            waited: Millis(Duration::ZERO),
        })
    }

    #[test]
    fn what_a_kill_has_cut_off_counts_in_full_whoever_has_its_number_later() {
        let a = InstanceId::only(CallId::parse("a").unwrap());
        let audit = InstanceId::nth(CallId::parse("audit").unwrap(), 2);
        let inner = InstanceId::only(CallId::within(&audit, &CallId::parse("scan").unwrap()));
        let resumed = Event::RunResumed { fanout: "0".into(), pid: 1 };
        let events = [
            started(&a, 1, 100),
            finished(&a, 1, 10),
            started(&a, 2, 200),
            started(&inner, 1, 1_000),
            resumed,
            started(&a, 2, 200),
            finished(&a, 2, 20),
            finished(&inner, 1, 2),
        ];
        let history = History::of(&events);
        let tokens = |amount: Amount| amount.tokens.0;
        assert_eq!(tokens(history.of_run()), 10 + 200 + 20 + 1_000 + 2);
        assert_eq!(tokens(history.of_call(&a.call)), 230);
        assert_eq!(tokens(history.inside(&audit)), 1_002);
        assert_eq!(tokens(history.of_call(&audit.call)), 1_002);
    }
}
