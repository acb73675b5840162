//! Lints on bounds that cannot hold, or that bound nothing.

use std::time::Duration;

use super::{EMPTY_REQUIRE, IDLE_BEYOND_TIMEOUT, ONE_AT_A_TIME, TIMEOUT_IS_FINAL, place_of};
use crate::graph::{CallGraph, Expansion, Range, instances};
use crate::plan::code::IMPOSSIBLE;
use crate::plan::diagnostic::{Diagnostic, Severity};
use crate::plan::{Action, Call, OnError, Plan, Quantity, Require};
use crate::unit::human_duration;

/// What agents get without an `idle_timeout` of their own; nobody wrote that one.
const DEFAULT_IDLE: Duration = Duration::from_secs(300);

pub(super) fn lint(plan: &Plan, graph: &CallGraph, expansion: &Expansion, found: &mut Vec<Diagnostic>) {
    calls_limit(plan, expansion, found);
    one_at_a_time(plan, graph, found);
    empty_require(plan, found);
    idle_beyond_timeout(plan, found);
    timeout_is_final(plan, found);
}

fn calls_limit(plan: &Plan, expansion: &Expansion, found: &mut Vec<Diagnostic>) {
    let limit = u64::from(plan.limits.calls);
    let Expansion { calls, total } = expansion;
    // A `stop` may end the run before the limit does.
    let may_stop = plan.calls.iter().any(|call| matches!(call.action, Action::Stop { .. }));
    let certain = total.least > limit && !may_stop;
    // Of a list that only the run knows nothing can be said; it is refused whole when it comes.
    let weight = |range: &Range| if certain { range.least } else { range.most.unwrap_or(range.least) };
    let count = calls.iter().map(weight).fold(0, u64::saturating_add);
    if count <= limit {
        return;
    }
    // From the end, so that among equals the first one is named.
    let largest = plan.calls.iter().zip(calls).rev().max_by_key(|(_, range)| weight(range));
    let Some((call, range)) = largest else { return };
    let verb = if certain { "makes" } else { "can make" };
    let at = plan.places.keys.get("limits.calls").copied().unwrap_or(call.at);
    found.push(Diagnostic {
        severity: Severity::Error,
        ..Diagnostic::warning(
            IMPOSSIBLE,
            at,
            format!("the plan {verb} {count} calls, and `limits.calls` allows {limit}"),
        )
        .label("more calls than the limit")
        .help(format!("raise `limits.calls` to {count}, or make fewer of `{}`", call.id))
        .related(call.at, format!("`{}` alone comes to {range}", call.id))
    });
}

fn one_at_a_time(plan: &Plan, graph: &CallGraph, found: &mut Vec<Diagnostic>) {
    if plan.limits.concurrency != 1 {
        return;
    }
    let works =
        |call: &Call| matches!(call.action, Action::Prompt { .. } | Action::Run(_) | Action::Plan { .. });
    let many = |call: &Call| {
        works(call) && call.concurrency != Some(1) && instances(call).most.is_none_or(|most| most > 1)
    };
    let expanded = plan
        .calls
        .iter()
        .find(|call| many(call))
        .map(|call| (format!("the instances of `{}` could run side by side", call.id), call.at));
    let pair = graph.turns().into_iter().find_map(|turn| {
        let mut calls = turn.into_iter().filter_map(|call| plan.calls.get(call)).filter(|call| works(call));
        let (one, other) = (calls.next()?, calls.next()?);
        Some((format!("`{}` and `{}` could run side by side", one.id, other.id), one.at))
    });
    if let Some((what, at)) = pair.or(expanded) {
        let key = plan.places.keys.get("limits.concurrency").copied();
        found.push(
            Diagnostic::warning(
                ONE_AT_A_TIME,
                key.unwrap_or(at),
                format!("{what}, but `limits.concurrency` is 1"),
            )
            .label("one call at a time")
            .help("raise `limits.concurrency` (without it, 8), or leave it if that is what you want"),
        );
    }
}

fn empty_require(plan: &Plan, found: &mut Vec<Diagnostic>) {
    let at = place_of(plan, "require");
    match &plan.require {
        Require::All => {}
        Require::Some(quantity) => {
            let counted = plan.calls.iter().filter(|call| call.on_error != OnError::Ignore);
            let most = counted.fold(Range::exactly(0), |sum, call| sum.plus(instances(call))).most;
            if let Some(why) = emptiness(*quantity, most, "the plan's calls") {
                found.push(Diagnostic::warning(EMPTY_REQUIRE, at, why).help(REQUIRE_HELP));
            }
        }
        Require::PerCall(wanted) => {
            for (position, quantity) in wanted {
                let Some((call, quantity)) = plan.calls.get(*position).zip(*quantity) else { continue };
                let whose = format!("`{}`", call.id);
                if let Some(why) = emptiness(quantity, instances(call).most, &whose) {
                    let here = if plan.places.keys.contains_key("require") { at } else { call.at };
                    found.push(
                        Diagnostic::warning(EMPTY_REQUIRE, here, why)
                            .help(REQUIRE_HELP)
                            .related(call.at, "the call"),
                    );
                }
            }
        }
    }
}

const REQUIRE_HELP: &str = "write `all`, a share such as `80%`, or a number that can be missed and met";

/// Why a quantity out of at most `most` always holds, or never does.
fn emptiness(quantity: Quantity, most: Option<u64>, whose: &str) -> Option<String> {
    match quantity {
        Quantity::Count(0) => Some(format!("`require` asks for none of {whose}, which always holds")),
        Quantity::Share(share) if share <= 0.0 => {
            Some(format!("`require` asks for none of {whose}, which always holds"))
        }
        Quantity::Count(count) => most.filter(|&most| u64::from(count) > most).map(|most| {
            format!("`require` asks for {count} of {whose}, and there are at most {most}: it never holds")
        }),
        Quantity::Share(share) => {
            (share > 1.0).then(|| format!("`require` asks for more than all of {whose}: it never holds"))
        }
    }
}

/// `timeout` is for all tries together: only silence leaves time for another one.
fn timeout_is_final(plan: &Plan, found: &mut Vec<Diagnostic>) {
    for call in plan.calls.iter().filter(|call| call.retry_on.timeout) {
        if call.idle_timeout.is_some_and(|idle| idle < call.timeout) {
            continue;
        }
        let whole = human_duration(call.timeout);
        let message =
            format!("`{}` has {whole} for all of its tries, and only silence ends one sooner", call.id);
        found.push(
            Diagnostic::warning(TIMEOUT_IS_FINAL, call.at, message)
                .label("it is not tried again after its `timeout`")
                .help("give it an `idle_timeout` well below `timeout`, or leave `timeout` out of `retry_on`"),
        );
    }
}

fn idle_beyond_timeout(plan: &Plan, found: &mut Vec<Diagnostic>) {
    for call in &plan.calls {
        let Some(idle) = call.idle_timeout.filter(|&idle| idle > call.timeout && idle != DEFAULT_IDLE) else {
            continue;
        };
        let message = format!(
            "`{}` ends after {}, before its `idle_timeout` of {} can",
            call.id,
            human_duration(call.timeout),
            human_duration(idle)
        );
        found.push(
            Diagnostic::warning(IDLE_BEYOND_TIMEOUT, call.at, message)
                .label("`idle_timeout` changes nothing")
                .help("make `idle_timeout` shorter than `timeout`, or leave it out"),
        );
    }
}
