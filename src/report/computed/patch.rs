//! Changes of several that were merged: what clashes first, then what goes together, file by file.

use serde_json::Value;

use super::part::{Change, Clash, Part, Shown};
use super::{Told, list, number, size, string};
use crate::report::style::Tone;

pub(super) fn shown<'v>(told: &Told<'v>) -> Option<Shown<'v>> {
    let candidates = told.result.get("candidates").and_then(Value::as_array)?;
    if candidates.is_empty() {
        let facts = told.facts(vec![(Some(Tone::Warn), "nobody changed anything".to_owned())]);
        return Some(Shown { facts, parts: Vec::new() });
    }
    let applied = list(told.result, "applied");
    let whole = applied.len() == candidates.len();
    let how = match (whole, candidates.len()) {
        (true, 1) => "one change".to_owned(),
        (true, count) => format!("all {count} changes go together"),
        (false, count) => format!("{} of {count} changes go together", applied.len()),
    };
    let mut facts = vec![(whole.then_some(Tone::Good), how)];
    facts.extend(told.conflicts());
    let mut parts = Vec::new();
    let clashes: Vec<Clash> = told.disputes().into_iter().map(|one| clash(told, one)).collect();
    if !clashes.is_empty() {
        parts.push(Part::Clashes(clashes));
    }
    let change = |candidate: &Value| {
        let call = candidate.get("call");
        Change {
            call: told.name(call),
            merged: call.is_some_and(|call| applied.contains(call)),
            added: number(candidate, "added"),
            removed: number(candidate, "removed"),
            files: size(candidate, "files"),
        }
    };
    let unchanged = told.who(told.result.get("unchanged"));
    parts.push(Part::Changes(candidates.iter().map(change).collect(), unchanged));
    let files = list(told.result, "files").iter();
    let files: Vec<_> =
        files.map(|file| (string(file, "path").to_owned(), told.who(file.get("by")))).collect();
    if !files.is_empty() {
        parts.push(Part::Files(files));
    }
    let patch = string(told.result, "patch");
    if !patch.is_empty() {
        parts.push(Part::Diff("The merged change", patch));
    }
    let checked = if applied.len() > 1 { " The merged change as a whole has passed no check." } else { "" };
    let text = format!("Nothing is applied yet: `fanout apply` does it.{checked}");
    parts.push(Part::Notes(vec![(Some(Tone::Info), text)]));
    Some(Shown { facts: told.facts(facts), parts })
}

fn clash(told: &Told<'_>, conflict: &Value) -> Clash {
    let sides = list(conflict, "sides").iter().map(|side| {
        let value = side.get("value").unwrap_or(&Value::Null);
        let said = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (told.who(side.get("by")), said)
    });
    Clash { message: string(conflict, "message").to_owned(), sides: sides.collect() }
}
