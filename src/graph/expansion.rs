//! How many calls a plan can lead to, before any of them is made.
//!
//! Invariant: arithmetic only, saturating; a list that is known only at run time has no upper
//! bound and says so instead of guessing.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::CallGraph;
use crate::plan::{Accept, Action, Call, Expand, Join, Plan};

/// How many there will be: at least so many, and at most so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// At least so many, if nothing fails.
    pub least: u64,
    /// At most so many; `None` where only the run can tell.
    pub most: Option<u64>,
}

impl Range {
    /// Exactly so many.
    pub fn exactly(count: u64) -> Range {
        Range { least: count, most: Some(count) }
    }

    /// Both ends added.
    pub fn plus(self, other: Range) -> Range {
        Range {
            least: self.least.saturating_add(other.least),
            most: self.most.zip(other.most).map(|(a, b)| a.saturating_add(b)),
        }
    }

    /// Both ends multiplied; nothing times anything is nothing, even times an unknown number.
    pub fn times(self, other: Range) -> Range {
        let most = match (self.most, other.most) {
            (Some(0), _) | (_, Some(0)) => Some(0),
            (a, b) => a.zip(b).map(|(a, b)| a.saturating_mul(b)),
        };
        Range { least: self.least.saturating_mul(other.least), most }
    }
}

impl fmt::Display for Range {
    /// `3`, `1 to 12`, `4 or more`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.most {
            None => write!(f, "{} or more", self.least),
            Some(most) if most == self.least => write!(f, "{most}"),
            Some(most) => write!(f, "{} to {most}", self.least),
        }
    }
}

/// How many instances `call` is expanded to; one for a call that is not expanded.
///
/// With a `when` it may be none. With `join` fewer than all may be enough.
pub fn instances(call: &Call) -> Range {
    let all = match &call.expand {
        None => Range::exactly(1),
        Some(Expand::List(items)) => Range::exactly(items.len() as u64),
        Some(Expand::Matrix(combinations)) => Range::exactly(combinations.len() as u64),
        Some(Expand::Samples(count)) => Range::exactly(u64::from(*count)),
        Some(Expand::Dynamic(_)) => Range { least: 0, most: None },
    };
    let enough = match call.join {
        Join::All => all.least,
        Join::AtLeast(count) => all.least.min(u64::from(count)),
    };
    Range { least: if call.when.is_some() { 0 } else { enough }, ..all }
}

/// How many calls each call of a plan can come to, and all together.
///
/// Every entry under `calls` counts, whatever it does, once an instance; `repeat.max` and
/// `attempts` multiply the upper end; a `plan` call counts itself and every call of the plan
/// that it runs. Retries of transient faults are not counted: they are the same call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expansion {
    /// By position in the plan.
    pub calls: Vec<Range>,
    /// The sum.
    pub total: Range,
}

impl Expansion {
    /// Counts a plan, the plans that it runs included. `graph` is the plan's own.
    pub fn of(plan: &Plan, graph: &CallGraph) -> Expansion {
        // Plans below are counted first, each one once however often it is run. An explicit
        // stack, since how deep plans nest is the author's choice.
        let mut totals: HashMap<*const Plan, Range> = HashMap::new();
        let mut stack: Vec<(&Arc<Plan>, bool)> = inner_plans(plan).map(|inner| (inner, false)).collect();
        while let Some((inner, ready)) = stack.pop() {
            if totals.contains_key(&Arc::as_ptr(inner)) {
                continue;
            }
            if ready {
                let counted = count(inner, &CallGraph::of(inner), &totals);
                totals.insert(Arc::as_ptr(inner), counted.total);
            } else {
                stack.push((inner, true));
                stack.extend(inner_plans(inner).map(|inner| (inner, false)));
            }
        }
        count(plan, graph, &totals)
    }
}

pub(super) fn inner_plans(plan: &Plan) -> impl Iterator<Item = &Arc<Plan>> {
    plan.calls.iter().filter_map(|call| match &call.action {
        Action::Plan { plan, .. } => Some(plan),
        Action::Prompt { .. }
        | Action::Run(_)
        | Action::Reconcile(_)
        | Action::Value(_)
        | Action::Ask { .. }
        | Action::Stop { .. } => None,
    })
}

fn count(plan: &Plan, graph: &CallGraph, inner: &HashMap<*const Plan, Range>) -> Expansion {
    let mut calls = vec![Range::exactly(0); plan.calls.len()];
    let mut may_be_skipped = vec![false; plan.calls.len()];
    for position in graph.order() {
        let Some(call) = plan.calls.get(position) else { continue };
        // A `when` or an empty list upstream skips whatever insists on its success.
        let upstream = call.needs_at_least.is_none()
            && call.needs.iter().any(|need| {
                need.accept == Accept::Success && may_be_skipped.get(need.call).copied().unwrap_or(false)
            });
        may_be_skipped[position] = upstream || call.when.is_some();
        let rounds = u64::from(call.attempts.max(1))
            .saturating_mul(call.repeat.as_ref().map_or(1, |repeat| u64::from(repeat.max.max(1))));
        let each = match &call.action {
            Action::Plan { plan, .. } => {
                let below = inner.get(&Arc::as_ptr(plan)).copied();
                below.unwrap_or(Range { least: 0, most: None }).plus(Range::exactly(1))
            }
            Action::Prompt { .. }
            | Action::Run(_)
            | Action::Reconcile(_)
            | Action::Value(_)
            | Action::Ask { .. }
            | Action::Stop { .. } => Range::exactly(1),
        };
        let made = instances(call).times(each).times(Range { least: 1, most: Some(rounds) });
        calls[position] = Range { least: if may_be_skipped[position] { 0 } else { made.least }, ..made };
    }
    let total = calls.iter().fold(Range::exactly(0), |sum, call| sum.plus(*call));
    Expansion { calls, total }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::sample::{self, Sample};
    use crate::plan::Repeat;

    fn total(plan: &Plan) -> Range {
        Expansion::of(plan, &CallGraph::of(plan)).total
    }

    #[test]
    fn a_plain_call_is_made_once() {
        assert_eq!(total(&Sample::new().run("a", "true").build()), Range::exactly(1));
        assert_eq!(total(&Sample::new().build()), Range::exactly(0));
    }

    #[test]
    fn fan_out_repeats_and_attempts_are_multiplied() {
        let plan = Sample::new()
            .prompt("a", "x")
            .edit("a", |call| {
                call.expand = Some(Expand::Samples(5));
                call.attempts = 3;
                call.repeat = Some(Repeat { until: sample::expression("output"), max: 4, fresh: false });
            })
            .build();
        assert_eq!(total(&plan), Range { least: 5, most: Some(60) });
    }

    #[test]
    fn a_list_that_is_known_at_run_time_has_no_upper_bound() {
        let plan = Sample::new()
            .run("list", "ls")
            .prompt("each", "x")
            .edit("each", |call| call.expand = Some(Expand::Dynamic(sample::expression("calls.list.json"))))
            .build();
        assert_eq!(total(&plan), Range { least: 1, most: None });
    }

    #[test]
    fn a_when_may_skip_a_call_and_what_insists_on_it() {
        let plan = Sample::new()
            .prompt("a", "x")
            .edit("a", |call| call.when = Some(sample::expression("vars.deep")))
            .prompt("b", "{{ calls.a.output }}")
            .prompt("c", "x")
            .needs("c", "a")
            .edit("c", |call| call.needs[0].accept = Accept::Done)
            .build();
        assert_eq!(total(&plan), Range { least: 1, most: Some(3) });
    }

    #[test]
    fn a_join_needs_fewer_than_all() {
        let plan = Sample::new()
            .prompt("a", "x")
            .edit("a", |call| {
                call.expand = Some(Expand::Samples(9));
                call.join = Join::AtLeast(2);
            })
            .build();
        assert_eq!(total(&plan), Range { least: 2, most: Some(9) });
    }

    #[test]
    fn a_plan_inside_counts_itself_and_its_calls_each_time_it_runs() {
        let inner = Arc::new(Sample::new().run("x", "true").run("y", "true").build());
        let middle = Sample::new().plan("m", Arc::clone(&inner)).plan("n", inner).build();
        let outer = Sample::new()
            .plan("o", Arc::new(middle))
            .edit("o", |call| call.expand = Some(Expand::Samples(10)))
            .build();
        assert_eq!(total(&outer), Range::exactly(70));
    }

    #[test]
    fn plans_nested_and_shared_many_times_are_counted_once_each() {
        let mut plan = Sample::new().run("x", "true").build();
        for _ in 0..200 {
            let inner = Arc::new(plan);
            plan = Sample::new().plan("a", Arc::clone(&inner)).plan("b", inner).build();
        }
        // Two to the 200 of them: the sum saturates instead of running for ever.
        assert_eq!(total(&plan), Range::exactly(u64::MAX));
        // Dropping nested plans recurses, which 200 of them can bear.
    }

    #[test]
    fn ranges_read_as_people_say_them() {
        assert_eq!(Range::exactly(3).to_string(), "3");
        assert_eq!(Range { least: 0, most: Some(12) }.to_string(), "0 to 12");
        assert_eq!(Range { least: 4, most: None }.to_string(), "4 or more");
        assert_eq!(Range { least: 0, most: None }.times(Range::exactly(0)), Range::exactly(0));
    }

    #[test]
    fn a_parent_step_is_a_call_too() {
        let plan = Sample::new().run("a", "true").reconcile("r", &["a"], sample::strategy("collect")).build();
        assert_eq!(total(&plan), Range::exactly(2));
    }
}
