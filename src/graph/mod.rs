//! Plan to call graph: edges, turns, critical path, and how many calls a plan can lead to.
//!
//! Invariants: calls are positions in [`Plan::calls`], edges are stored once in each
//! direction, sorted and without duplicates; every walk is a loop over arrays, linear in
//! calls and edges, so that a plan of 100,000 calls neither overflows a stack nor waits.
//! A graph holds nothing of the plan but its shape, and never changes.

mod edges;
mod expansion;
pub mod lint;
#[cfg(test)]
pub(crate) mod sample;

use std::time::Duration;

use crate::plan::{Action, Plan};
use edges::Edges;

pub use edges::Link;
pub use expansion::{Expansion, Range, instances};

/// Which calls need which others, and in which turn each one is.
#[derive(Debug, Clone)]
pub struct CallGraph {
    /// What each call needs.
    needs: Edges,
    /// Who needs each call.
    dependents: Edges,
    /// The turn of each call, from 1.
    turn: Vec<u32>,
    /// How many calls the longest chain behind each call has.
    ahead: Vec<u32>,
    /// Every call once: turn by turn, in plan order inside a turn. A topological order.
    order: Vec<u32>,
    /// Where each turn begins in `order`, and its end as the last element.
    starts: Vec<u32>,
}

impl CallGraph {
    /// Reads the graph of a plan: its needs, and the calls that its `reconcile` calls read.
    ///
    /// A checked plan has no cycles; the calls of one would all be put in turn 1.
    pub fn of(plan: &Plan) -> CallGraph {
        let count = plan.calls.len();
        let mut pairs = Vec::with_capacity(plan.calls.iter().map(|call| call.needs.len()).sum());
        for (position, call) in plan.calls.iter().enumerate() {
            let mut add = |need: usize, data: bool| {
                if need < count && need != position {
                    pairs.push((position as u32, need as u32, data));
                }
            };
            call.needs.iter().for_each(|need| add(need.call, need.data));
            if let Action::Reconcile(step) = &call.action {
                step.of.iter().for_each(|&of| add(of, true));
            }
        }
        let needs = Edges::new(count, pairs);
        let dependents = needs.reversed();
        let turn = turns_of(&needs, &dependents);
        let (order, starts) = by_turn(&turn);
        let ahead = ahead_of(&dependents, &order);
        CallGraph { needs, dependents, turn, ahead, order, starts }
    }

    /// How many calls there are.
    pub fn len(&self) -> usize {
        self.turn.len()
    }

    /// True for a plan without calls.
    pub fn is_empty(&self) -> bool {
        self.turn.is_empty()
    }

    /// What `call` needs, in plan order; nothing for a position that the plan does not have.
    pub fn needs(&self, call: usize) -> impl ExactSizeIterator<Item = Link> + '_ {
        self.needs.of(call)
    }

    /// Who needs `call`, in plan order; nobody for a position that the plan does not have.
    pub fn dependents(&self, call: usize) -> impl ExactSizeIterator<Item = Link> + '_ {
        self.dependents.of(call)
    }

    /// The calls that read what `call` returned, in plan order.
    pub fn consumers(&self, call: usize) -> impl Iterator<Item = usize> + '_ {
        self.dependents(call).filter(|link| link.data).map(|link| link.call)
    }

    /// The calls that need nothing, in plan order.
    pub fn roots(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).filter(|&call| self.needs(call).len() == 0)
    }

    /// The calls that no other call needs, in plan order.
    pub fn sinks(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).filter(|&call| self.dependents(call).len() == 0)
    }

    /// The turn of a call: its depth in the graph, from 1; 0 for a position that the plan does not have.
    ///
    /// One more than the highest turn among what it needs, so a background call is started
    /// in its turn like any other, and who needs it comes after it.
    pub fn turn(&self, call: usize) -> u32 {
        self.turn.get(call).copied().unwrap_or(0)
    }

    /// How many calls the longest chain behind a call has: 0 for one that nothing needs.
    pub fn ahead(&self, call: usize) -> u32 {
        self.ahead.get(call).copied().unwrap_or(0)
    }

    /// How many turns there are.
    pub fn turn_count(&self) -> usize {
        self.starts.len() - 1
    }

    /// The calls of each turn, in plan order.
    pub fn turns(&self) -> Vec<Vec<usize>> {
        self.starts
            .windows(2)
            .map(|ends| match *ends {
                [start, end] => positions(&self.order[start as usize..end as usize]).collect(),
                _ => Vec::new(),
            })
            .collect()
    }

    /// Every call once, each after everything that it needs: turn by turn, in plan order inside a turn.
    pub fn order(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        positions(&self.order)
    }

    /// The chain of needs with the most calls, from its first call to its last.
    ///
    /// Among equals the one that comes first in the plan; empty only for a plan without calls.
    pub fn longest_chain(&self) -> Vec<usize> {
        self.critical_path(&|_| Duration::ZERO)
    }

    /// The chain of needs that takes longest, from its first call to its last, given how long each call takes.
    ///
    /// Among equals the one with more calls, then the one that comes first in the plan. No
    /// run is shorter than the sum of its durations, however many calls run at once.
    pub fn critical_path(&self, durations: &dyn Fn(usize) -> Duration) -> Vec<usize> {
        // For each call: the time and length of the heaviest chain that ends with it, and the
        // call before it on that chain.
        let mut heaviest = vec![(Duration::ZERO, 0_u32); self.len()];
        let mut before: Vec<Option<usize>> = vec![None; self.len()];
        let mut last: Option<usize> = None;
        for call in self.order() {
            let mut best = (Duration::ZERO, 0);
            for Link { call: need, .. } in self.needs(call) {
                if before[call].is_none() || heaviest[need] > best {
                    best = heaviest[need];
                    before[call] = Some(need);
                }
            }
            heaviest[call] = (best.0.saturating_add(durations(call)), best.1 + 1);
            let better = |other: usize| {
                heaviest[call] > heaviest[other] || (heaviest[call] == heaviest[other] && call < other)
            };
            if last.is_none_or(better) {
                last = Some(call);
            }
        }
        let mut path: Vec<usize> = std::iter::successors(last, |&call| before[call]).collect();
        path.reverse();
        path
    }
}

/// The longest-path depth of every call, from 1, by taking calls whose needs are all done (Kahn, 1962).
fn turns_of(needs: &Edges, dependents: &Edges) -> Vec<u32> {
    let count = needs.len();
    let mut open: Vec<u32> = (0..count).map(|call| needs.of(call).len() as u32).collect();
    let mut turn = vec![1_u32; count];
    let mut ready: Vec<usize> = (0..count).filter(|&call| open[call] == 0).collect();
    let mut next = 0;
    while let Some(&call) = ready.get(next) {
        next += 1;
        for Link { call: dependent, .. } in dependents.of(call) {
            // Calls come off in the order of their turns, so the last need to do so is the deepest.
            turn[dependent] = turn[call] + 1;
            open[dependent] -= 1;
            if open[dependent] == 0 {
                ready.push(dependent);
            }
        }
    }
    // Only a cycle leaves calls open, and a checked plan has none.
    for call in (0..count).filter(|&call| open[call] > 0) {
        turn[call] = 1;
    }
    turn
}

/// The length of the longest chain behind every call; `order` is a topological one.
fn ahead_of(dependents: &Edges, order: &[u32]) -> Vec<u32> {
    let mut ahead = vec![0_u32; order.len()];
    for call in positions(order).rev() {
        let behind = dependents.of(call).map(|link| ahead[link.call] + 1).max();
        ahead[call] = behind.unwrap_or(0);
    }
    ahead
}

/// The calls sorted by turn, stably, and where each turn begins (and the last one ends).
fn by_turn(turn: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let last = turn.iter().copied().max().unwrap_or(0) as usize;
    let mut starts = vec![0_u32; last + 1];
    for &turn in turn {
        starts[turn as usize] += 1;
    }
    for index in 1..starts.len() {
        starts[index] += starts[index - 1];
    }
    let mut next = starts.clone();
    let mut order = vec![0_u32; turn.len()];
    for (call, &turn) in turn.iter().enumerate() {
        let place = &mut next[turn as usize - 1];
        order[*place as usize] = call as u32;
        *place += 1;
    }
    (order, starts)
}

fn positions(calls: &[u32]) -> impl DoubleEndedIterator<Item = usize> + '_ {
    calls.iter().map(|&call| call as usize)
}

#[cfg(test)]
mod tests;
