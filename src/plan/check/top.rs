//! The keys of the whole plan that stand for themselves: limits, reports, what counts as a success.

use std::path::PathBuf;

use indexmap::IndexMap;

use super::{Scope, at_least_one, budget};
use crate::plan::diagnostic::Diagnostic;
use crate::plan::file::{AtEndWord, LimitsFile, PlanFile, ReportFile, RequireCount, RequireFile};
use crate::plan::load::Load;
use crate::plan::read::Key;
use crate::plan::{AtEnd, Limits, Quantity, Require, code};

/// Calls at once, where the plan says nothing.
const CONCURRENCY: u32 = 8;
/// Calls in all, where the plan says nothing.
const CALLS: u32 = 1_000;

/// Refuses languages of the future.
pub(super) fn refuse_future(file: &PlanFile, load: &mut Load<'_>) {
    if let Some(version) = file.version.as_ref().filter(|version| version.value != 1) {
        let message =
            format!("this is version {} of the language; this fanout reads version 1", version.value);
        load.fault(Diagnostic::error(code::OUT_OF_RANGE, version.at, message).help("write `version: 1`"));
    }
}

/// How deep subagents may stand where the plan says nothing.
const DEPTH: u32 = 2;

/// Bounds on the whole run.
pub(super) fn limits(load: &mut Load<'_>, file: Key<LimitsFile>) -> Limits {
    let LimitsFile { concurrency, calls, tokens, cost, time, depth, background, .. } =
        file.map(|file| file.value).unwrap_or_default();
    if let Some(time) = time.as_ref().filter(|time| time.value.0.is_zero()) {
        load.fault(Diagnostic::error(code::OUT_OF_RANGE, time.at, "`time` must be more than nothing"));
    }
    Limits {
        concurrency: concurrency.map_or(CONCURRENCY, |n| at_least_one(load, n.value, n.at, "concurrency")),
        calls: calls.map_or(CALLS, |n| at_least_one(load, n.value, n.at, "calls")),
        time: time.map(|time| time.value.0),
        budget: budget::read(load, tokens, cost),
        depth: depth.map_or(DEPTH, |depth| depth.value),
        background: match background.map(|word| word.value) {
            None | Some(AtEndWord::Wait) => AtEnd::Wait,
            Some(AtEndWord::Cancel) => AtEnd::Cancel,
        },
    }
}

/// Files to write at the end.
pub(super) fn report(file: Key<ReportFile>) -> IndexMap<String, PathBuf> {
    let ReportFile { html, junit, sarif, markdown, json, .. } =
        file.map(|file| file.value).unwrap_or_default();
    let written =
        [("html", html), ("junit", junit), ("sarif", sarif), ("markdown", markdown), ("json", json)];
    let written = written.into_iter();
    written.filter_map(|(name, path)| Some((name.to_owned(), PathBuf::from(path?.value)))).collect()
}

/// What counts as a success of the run.
pub(super) fn require(load: &mut Load<'_>, file: Key<RequireFile>, scope: &Scope<'_>) -> Require {
    let Some(file) = file else { return Require::All };
    match file.value {
        RequireFile::Whole(RequireCount::All) => Require::All,
        RequireFile::Whole(RequireCount::Some(quantity)) => {
            if let Quantity::Count(count) = quantity {
                let fixed = scope.traits.iter().all(|call| !call.expanded);
                if fixed && count as usize > scope.traits.len() {
                    let message =
                        format!("the plan has {} calls; {count} can never succeed", scope.traits.len());
                    load.fault(Diagnostic::error(code::IMPOSSIBLE, file.at, message));
                }
            }
            Require::Some(quantity)
        }
        RequireFile::PerCall(calls) => {
            let mut required = Vec::new();
            for (id, count) in calls.0 {
                let Some(position) = scope.position(&id, load) else { continue };
                let quantity = match count {
                    None | Some(RequireCount::All) => None,
                    Some(RequireCount::Some(quantity)) => Some(quantity),
                };
                let expanded = scope.traits.get(position).is_some_and(|call| call.expanded);
                if let (Some(Quantity::Count(2..)), false) = (quantity, expanded) {
                    let message = format!("`{}` is one call; more than 1 can never succeed", id.value);
                    load.fault(Diagnostic::error(code::IMPOSSIBLE, id.at, message));
                }
                required.push((position, quantity));
            }
            Require::PerCall(required)
        }
    }
}
