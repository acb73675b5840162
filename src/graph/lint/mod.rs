//! Advice on plans that would run, but not as their author thinks.
//!
//! Invariants: every lint is one row of [`ALL`] and of docs/lints.md, its code is never given
//! to another; a lint that cannot be sure keeps quiet; all of them together are linear in
//! the size of the plan.

mod agent;
mod limit;
mod order;
mod paste;
mod program;
mod reconcile;
mod untrusted;
mod unused;
mod workspace;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{CallGraph, Expansion};
use crate::plan::code::Code;
use crate::plan::diagnostic::{Diagnostic, Severity, Span};
use crate::plan::{Action, Agent, Call, Plan};

/// So many findings of one lint are given one by one; the rest is counted.
const EACH: usize = 20;

macro_rules! lints {
    ($($name:ident = $code:literal, $title:literal;)*) => {
        $(#[doc = $title] pub const $name: &str = $code;)*

        /// Every lint, in the order of its code.
        pub const ALL: &[Code] = &[$(Code { code: $code, title: $title }),*];
    };
}

lints! {
    BACKGROUND_AWAITED = "W0301", "a background call whose result the very next step needs";
    MERGE_BY_PROMPT = "W0302", "a prompt that only merges the results of other calls";
    ORDER_WITHOUT_REASON = "W0303", "a `needs` that carries no data and touches no common file";
    SHARED_WRITERS = "W0304", "concurrent calls that write in one workspace";
    LARGE_PASTE = "W0305", "more pasted output than a context holds";
    SAMPLES_AT_ZERO = "W0307", "samples of a model at temperature 0";
    ASKS_PERMISSION = "W0308", "a command-line agent that would stop to ask for permission";
    UNPINNED_MODEL = "W0309", "a model without a version in CI";
    VOTE_ON_TEXT = "W0310", "a vote on free text";
    UNUSED_AGENT = "W0311", "an agent that no call uses";
    UNUSED_VAR = "W0312", "a var that nothing mentions";
    UNUSED_INCLUDE = "W0313", "an include of which nothing is used";
    IDLE_BEYOND_TIMEOUT = "W0314", "an `idle_timeout` that `timeout` always comes before";
    ONE_AT_A_TIME = "W0315", "`concurrency: 1` over calls that could run side by side";
    EMPTY_REQUIRE = "W0316", "a `require` that always holds, or never";
    IGNORED_BUT_NEEDED = "W0317", "a call with `on_error: ignore` on whose success others insist";
    UNTRUSTED_TO_OUTSIDE = "W0318", "what strangers wrote, secrets and a way out on one path";
    TIMEOUT_IS_FINAL = "W0319", "a `retry_on: [timeout]` that no time is left for";
    SESSION_OF_ONE = "W0320", "a session that only one call is in";
}

/// What lints know beyond the plan.
#[derive(Debug, Clone, Copy, Default)]
pub struct LintContext {
    /// True where nobody watches and runs should repeat: in CI.
    pub ci: bool,
}

/// Everything to be said about a plan and the plans that it runs, by place.
///
/// Warnings, but for one: more calls than `limits.calls` allows is an error
/// ([`crate::plan::code::IMPOSSIBLE`]). `graph` is the plan's own. Of each lint the first 20
/// findings stand by themselves and one more counts the rest.
pub fn lint(plan: &Plan, graph: &CallGraph, context: &LintContext) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    lint_one(plan, graph, context, &mut found);
    let mut seen: HashSet<*const Plan> = HashSet::new();
    let mut open: Vec<&Arc<Plan>> = sub_plans(plan).collect();
    while let Some(inner) = open.pop() {
        if seen.insert(Arc::as_ptr(inner)) {
            lint_one(inner, &CallGraph::of(inner), context, &mut found);
            open.extend(sub_plans(inner));
        }
    }
    found.sort_by(|a, b| (a.at, a.code, &a.message).cmp(&(b.at, b.code, &b.message)));
    // A plan file that two calls name is read twice and says everything twice.
    found.dedup();
    fold(found)
}

fn lint_one(plan: &Plan, graph: &CallGraph, context: &LintContext, found: &mut Vec<Diagnostic>) {
    let expansion = Expansion::of(plan, graph);
    order::lint(plan, graph, &expansion, found);
    paste::lint(plan, found);
    workspace::lint(plan, graph, found);
    untrusted::lint(plan, graph, found);
    limit::lint(plan, graph, &expansion, found);
    agent::lint(plan, context, found);
    reconcile::lint(plan, found);
    unused::lint(plan, found);
}

/// Leaves the first findings of each lint, and counts the rest where the last of them stood.
fn fold(found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut counts: HashMap<&'static str, usize> = HashMap::new();
    for diagnostic in &found {
        *counts.entry(diagnostic.code).or_default() += 1;
    }
    let mut given: HashMap<&'static str, usize> = HashMap::new();
    (found.into_iter())
        .filter_map(|diagnostic| {
            let number = given.entry(diagnostic.code).or_default();
            *number += 1;
            let more = counts.get(diagnostic.code).map_or(0, |count| count.saturating_sub(EACH));
            match *number {
                // One that is left over might as well be given itself.
                _ if more <= 1 || *number <= EACH || diagnostic.severity == Severity::Error => {
                    Some(diagnostic)
                }
                n if n == EACH + 1 => {
                    let title =
                        ALL.iter().find(|row| row.code == diagnostic.code).map_or("", |row| row.title);
                    let message = format!("{more} more places like the ones before: {title}");
                    Some(Diagnostic::warning(diagnostic.code, diagnostic.at, message))
                }
                _ => None,
            }
        })
        .collect()
}

fn sub_plans(plan: &Plan) -> impl Iterator<Item = &Arc<Plan>> {
    super::expansion::inner_plans(plan)
}

/// The agent of a prompt; `None` for calls without one.
fn agent_of(call: &Call) -> Option<&Arc<Agent>> {
    match &call.action {
        Action::Prompt { agent, .. } => Some(agent),
        Action::Run(_)
        | Action::Plan { .. }
        | Action::Reconcile(_)
        | Action::Value(_)
        | Action::Ask { .. }
        | Action::Stop { .. } => None,
    }
}

/// Where a top-level key stands; the start of the plan where that is not known.
fn place_of(plan: &Plan, key: &str) -> Span {
    plan.places.keys.get(key).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
