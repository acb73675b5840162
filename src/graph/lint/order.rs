//! Lints on the order of calls: background calls that are waited for, needs without a reason,
//! needs that insist on what may fail silently.

use std::collections::{HashMap, HashSet};

use super::{BACKGROUND_AWAITED, IGNORED_BUT_NEEDED, ORDER_WITHOUT_REASON, program};
use crate::graph::{CallGraph, Expansion};
use crate::plan::diagnostic::Diagnostic;
use crate::plan::template::Template;
use crate::plan::{Accept, Action, Call, OnError, Plan};

/// More paths of one prompt are not compared.
const PATHS: usize = 32;

pub(super) fn lint(plan: &Plan, graph: &CallGraph, expansion: &Expansion, found: &mut Vec<Diagnostic>) {
    background_awaited(plan, graph, found);
    order_without_reason(plan, expansion, found);
    ignored_but_needed(plan, found);
}

fn background_awaited(plan: &Plan, graph: &CallGraph, found: &mut Vec<Diagnostic>) {
    for (position, call) in plan.calls.iter().enumerate().filter(|(_, call)| call.background) {
        let next = graph.turn(position) + 1;
        let waiting = graph
            .dependents(position)
            .filter(|link| graph.turn(link.call) == next)
            .find_map(|link| plan.calls.get(link.call).filter(|dependent| !dependent.background));
        if let Some(dependent) = waiting {
            let message =
                format!("`{}` runs in the background, but `{}` waits for it at once", call.id, dependent.id);
            found.push(
                Diagnostic::warning(BACKGROUND_AWAITED, call.at, message)
                    .label("started here, without waiting")
                    .help(format!(
                        "leave out `background: true`: `{}` starts when `{}` is done either way; or let a later call need it",
                        dependent.id, call.id
                    ))
                    .related(dependent.at, format!("`{}` is in the very next turn", dependent.id)),
            );
        }
    }
}

fn order_without_reason(plan: &Plan, expansion: &Expansion, found: &mut Vec<Diagnostic>) {
    let mut paths: HashMap<usize, Vec<String>> = HashMap::new();
    for (position, call) in plan.calls.iter().enumerate() {
        let Some(prompt) = reading_prompt(call) else { continue };
        // Notifications carry data that no mention of a call shows.
        if prompt.source.contains("notifications") {
            continue;
        }
        let carried: HashSet<usize> =
            call.needs.iter().filter(|need| need.data).map(|need| need.call).collect();
        for need in call.needs.iter().filter(|need| !need.data && !carried.contains(&need.call)) {
            let Some((before, first)) =
                plan.calls.get(need.call).and_then(|before| Some((before, reading_prompt(before)?)))
            else {
                continue;
            };
            // What may fail on purpose, or be skipped, decides whether its dependents run.
            let gates = before.check.is_some()
                || before.repeat.is_some()
                || before.output.schema.is_some()
                || expansion.calls.get(need.call).is_some_and(|made| made.least == 0);
            if before.background || gates {
                continue;
            }
            paths.entry(position).or_insert_with(|| paths_in(&prompt.source));
            paths.entry(need.call).or_insert_with(|| paths_in(&first.source));
            let (Some(mine), Some(theirs)) = (paths.get(&position), paths.get(&need.call)) else { continue };
            let common = mine.iter().any(|a| theirs.iter().any(|b| a.starts_with(b) || b.starts_with(a)));
            if !common {
                let message = format!(
                    "`{}` waits for `{}`, but uses nothing of it and neither of them writes",
                    call.id, before.id
                );
                found.push(
                    Diagnostic::warning(ORDER_WITHOUT_REASON, need.at, message)
                        .label("order without data")
                        .help(format!(
                            "leave `{0}` out of `needs` and both run at once; or mention `{{{{ calls.{0}.output }}}}` in the prompt",
                            before.id
                        )),
                );
            }
        }
    }
}

/// The prompt of a call that only reads.
fn reading_prompt(call: &Call) -> Option<&Template> {
    match &call.action {
        Action::Prompt { prompt, agent } if !program::writes(agent) => Some(prompt),
        Action::Prompt { .. }
        | Action::Run(_)
        | Action::Plan { .. }
        | Action::Reconcile(_)
        | Action::Value(_)
        | Action::Ask { .. }
        | Action::Stop { .. } => None,
    }
}

/// The words of a text that look like a file or a folder: with a `/`, or with an ending.
fn paths_in(text: &str) -> Vec<String> {
    let inside = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    (text.split(|c| !inside(c)))
        .map(|word| word.trim_matches('.'))
        .filter(|word| {
            let ending = word.rsplit_once('.').is_some_and(|(stem, ending)| {
                !stem.is_empty()
                    && (1..=5).contains(&ending.len())
                    && ending.starts_with(|c: char| c.is_ascii_alphabetic())
            });
            ending || word.contains('/')
        })
        .map(|word| word.trim_matches('/'))
        .take(PATHS)
        .map(str::to_owned)
        .collect()
}

fn ignored_but_needed(plan: &Plan, found: &mut Vec<Diagnostic>) {
    for call in plan.calls.iter().filter(|call| call.on_error != OnError::Ignore) {
        if call.needs_at_least.is_some() {
            continue;
        }
        for need in call.needs.iter().filter(|need| need.accept == Accept::Success) {
            let Some(ignored) = plan.calls.get(need.call).filter(|call| call.on_error == OnError::Ignore)
            else {
                continue;
            };
            let message = format!(
                "`{}` may fail without counting (`on_error: ignore`), but then `{}` is skipped",
                ignored.id, call.id
            );
            found.push(
                Diagnostic::warning(IGNORED_BUT_NEEDED, need.at, message)
                    .label("insists on its success")
                    .help(format!("write `needs: {{{}: done}}` to go on whatever it came to", ignored.id))
                    .related(ignored.at, "its failure is ignored here"),
            );
        }
    }
}
