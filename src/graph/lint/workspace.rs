//! The lint on calls that write in one folder at the same time.
//!
//! Invariant: what is an ancestor of what is only worked out among calls that write, at most
//! [`WRITERS`] of them, in one pass over the graph.

use std::collections::HashMap;

use super::{SHARED_WRITERS, agent_of, program};
use crate::graph::{CallGraph, instances};
use crate::plan::diagnostic::Diagnostic;
use crate::plan::{Call, Plan};

/// So many writing calls are compared with each other; later ones are not.
const WRITERS: usize = 512;
const WORDS: usize = WRITERS / 64;

/// Which of the writing calls are before a call, or the call itself.
type Before = [u64; WORDS];

pub(super) fn lint(plan: &Plan, graph: &CallGraph, found: &mut Vec<Diagnostic>) {
    if plan.limits.concurrency <= 1 {
        return;
    }
    let writers: Vec<usize> = (plan.calls.iter().enumerate())
        .filter(|(_, call)| !call.workspace.isolation.is_own())
        .filter(|(_, call)| agent_of(call).is_some_and(|agent| program::writes(agent)))
        .map(|(position, _)| position)
        .take(WRITERS)
        .collect();
    let before = before(graph, &writers);
    for (number, &position) in writers.iter().enumerate() {
        let Some(call) = plan.calls.get(position) else { continue };
        if let Some(other) = concurrent(plan, &writers, &before, number) {
            let message =
                format!("`{}` and `{}` may write in the same folder at the same time", other.id, call.id);
            found.push(
                warning(call, message)
                    .label("nothing orders these two")
                    .related(other.at, format!("`{}` works there too", other.id)),
            );
        } else if is_many(call) {
            let message =
                format!("the instances of `{}` may write in the same folder at the same time", call.id);
            found.push(warning(call, message).label("several at once"));
        }
    }
}

fn warning(call: &Call, message: String) -> Diagnostic {
    Diagnostic::warning(SHARED_WRITERS, call.at, message).help(
        "give each a workspace of its own with `isolation: worktree`, let one need the other, or give agents that only report no `write`, `edit` or `bash`",
    )
}

/// For each call the writing calls before it, itself included.
fn before(graph: &CallGraph, writers: &[usize]) -> Vec<Before> {
    let mut before = vec![[0_u64; WORDS]; if writers.len() < 2 { 0 } else { graph.len() }];
    if before.is_empty() {
        return before;
    }
    let number: HashMap<usize, usize> = writers.iter().enumerate().map(|(n, &call)| (call, n)).collect();
    for call in graph.order() {
        let mut mine = [0_u64; WORDS];
        for need in graph.needs(call) {
            mine.iter_mut().zip(&before[need.call]).for_each(|(mine, theirs)| *mine |= theirs);
        }
        if let Some(&number) = number.get(&call) {
            mine[number / 64] |= 1 << (number % 64);
        }
        before[call] = mine;
    }
    before
}

/// The first earlier writer (in plan order) in the same folder that is neither before nor after this one.
fn concurrent<'p>(plan: &'p Plan, writers: &[usize], before: &[Before], number: usize) -> Option<&'p Call> {
    let has = |call: usize, number: usize| {
        before.get(call).is_some_and(|set| set[number / 64] & (1 << (number % 64)) != 0)
    };
    let &this = writers.get(number)?;
    let call = plan.calls.get(this)?;
    writers.iter().take(number).enumerate().find_map(|(earlier, &other)| {
        let candidate = plan.calls.get(other)?;
        let ordered = has(this, earlier) || has(other, number);
        // Two conditions are often two sides of one.
        let either = call.when.is_some() && candidate.when.is_some();
        (!ordered && !either && folder(call) == folder(candidate)).then_some(candidate)
    })
}

fn folder(call: &Call) -> Option<&str> {
    call.cwd
        .as_ref()
        .map(|cwd| cwd.source.trim().trim_end_matches('/'))
        .filter(|cwd| !["", "."].contains(cwd))
}

/// True if several instances of one call can work in one folder at once.
fn is_many(call: &Call) -> bool {
    let own_folder = folder(call).is_some_and(|cwd| cwd.contains("{{"));
    instances(call).most.is_none_or(|most| most > 1) && call.concurrency != Some(1) && !own_folder
}
