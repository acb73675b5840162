//! What a step of the parent computed, laid out for a terminal: what is in dispute first, then the result.
//!
//! Invariants: drawn from the result's JSON alone, so that an old run shows as it did; a result in a
//! shape that is not known stands as its own text; every list is bounded, with the rest counted.

mod asked;
mod bars;
mod best;
mod cell;
mod compare;
mod fields;
mod merge;
mod names;
mod patch;
mod sides;
mod vote;

use serde_json::Value;

use super::page::{Extent, Page};
use crate::report::sanitise::prefix;
use crate::report::style::{Style, Tone};

/// Absent calls listed before the rest is counted.
const ABSENT: usize = 12;
/// Bytes of a value that is shown on one line.
const VALUE: usize = 2000;
/// Bytes of a cause.
const CAUSE: usize = 600;

/// A result and how its calls are called.
#[derive(Clone, Copy)]
struct Told<'a> {
    result: &'a Value,
    /// `census.names`.
    names: Option<&'a Value>,
}

/// The strategies that have a layout.
const KNOWN: [&str; 6] = ["compare", "vote", "merge", "best", "patch", "synthesize"];

/// True for the result of a strategy that has a layout of its own.
pub(super) fn is_known(result: &Value) -> bool {
    KNOWN.contains(&string(result, "strategy")) && result.get("census").is_some()
}

/// Rows of a result, painted and fitted to `style.width`, with `text` for what has no layout of its own.
pub(super) fn rows(result: &Value, text: &str, style: &Style) -> Vec<String> {
    let mut page = Page::new(style);
    let told = Told { result, names: result.get("census").and_then(|census| census.get("names")) };
    if !told.write(&mut page) {
        page.body(0, text, &Extent { lines: usize::MAX, rest: "" });
    }
    page.finish().lines().map(str::to_owned).collect()
}

/// Two texts beside each other, or as a unified diff where it is too narrow; empty where they are too long.
pub(super) fn beside(names: [&str; 2], texts: [&str; 2], style: &Style) -> Vec<String> {
    let mut page = Page::new(style);
    let values = texts.map(Value::from);
    let group = |(name, value): (&&str, _)| compare::Group {
        size: 1,
        who: (*name).to_owned(),
        first: &Value::Null,
        value,
    };
    let groups: Vec<compare::Group<'_>> = names.iter().zip(&values).map(group).collect();
    sides::write(&mut page, &groups);
    page.finish().lines().map(str::to_owned).collect()
}

impl<'a> Told<'a> {
    /// Writes the result; false where its shape is not known.
    fn write(&self, page: &mut Page<'_>) -> bool {
        let known = match string(self.result, "strategy") {
            "compare" => compare::write(page, self),
            "vote" => vote::write(page, self),
            "merge" => merge::write(page, self),
            "best" => best::write(page, self),
            "patch" => patch::write(page, self),
            "synthesize" => asked::synthesis(page, self),
            _ => false,
        };
        if known {
            if self.result.get("answer").is_none() {
                asked::decisions(page, self);
            }
            self.races(page);
            self.absent(page);
        }
        known
    }

    /// Files that more than one call wrote.
    fn races(&self, page: &mut Page<'_>) {
        let is_race = |conflict: &&Value| {
            list(conflict, "sides")
                .iter()
                .any(|side| side.get("value").is_some_and(|value| value.get("kept").is_some()))
        };
        let races: Vec<&Value> = list(self.result, "conflicts").iter().filter(is_race).collect();
        if races.is_empty() {
            return;
        }
        title(page, Tone::Warn, "Written by more than one");
        for race in races.iter().take(ABSENT) {
            page.entry(2, Tone::Warn, "!", string(race, "message"));
        }
        more(page, 2, races.len(), ABSENT, "file");
    }

    /// `3 of 5 answered`, then what else is said in few words.
    fn headline(&self, page: &mut Page<'_>, more: Vec<(Option<Tone>, String)>) {
        let census = self.result.get("census").unwrap_or(&Value::Null);
        let (asked, answered) = (number(census, "asked"), number(census, "answered"));
        let tone = if answered < asked { Some(Tone::Warn) } else { None };
        let mut facts = vec![(tone, format!("{answered} of {asked} answered"))];
        facts.extend(more);
        page.facts(0, &facts);
    }

    /// How people call an instance.
    fn name(&self, call: &Value) -> String {
        let call = call.as_str().unwrap_or_default();
        self.names.and_then(|names| names.get(call)).and_then(Value::as_str).unwrap_or(call).to_owned()
    }

    /// A list of instances, bounded.
    fn names(&self, by: Option<&Value>) -> String {
        let all = by.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let all: Vec<String> = all.iter().map(|call| self.name(call)).collect();
        names::listed(&all)
    }

    /// Who is missing and why, and who said nothing.
    fn absent(&self, page: &mut Page<'_>) {
        let census = self.result.get("census").unwrap_or(&Value::Null);
        let (missing, empty) = (list(census, "missing"), list(census, "empty"));
        if missing.is_empty() && empty.is_empty() {
            return;
        }
        title(page, Tone::Warn, "Missing");
        for one in missing.iter().take(ABSENT) {
            let status = one.get("status").cloned().unwrap_or_default();
            let status = serde_json::from_value::<crate::outcome::Status>(status).ok();
            let tone = status.map_or(Tone::Bad, Style::tone);
            let mark = status.map_or("?", |status| page.style.mark(status));
            let word = status.map_or("did not answer", |status| status.words());
            let cause = one.get("cause").map_or("", |cause| string(cause, "message"));
            let gap = if cause.is_empty() { "" } else { ": " };
            let name = self.name(one.get("call").unwrap_or(&Value::Null));
            page.entry(2, tone, mark, &format!("{name} {word}{gap}{}", prefix(cause, CAUSE)));
        }
        if missing.len() > ABSENT {
            page.sentence(2, 2, Some(Tone::Dim), &format!("and {} more", missing.len() - ABSENT));
        }
        if !empty.is_empty() {
            let names: Vec<Value> = empty.iter().filter_map(|one| one.get("call").cloned()).collect();
            let who = self.names(Some(&Value::Array(names)));
            page.entry(2, Tone::Warn, "!", &format!("{who} said nothing, which is no agreement"));
        }
    }
}

/// The title of a part, with a blank line before it.
fn title(page: &mut Page<'_>, tone: Tone, text: &str) {
    page.blank();
    page.sentence(0, 2, Some(tone), text);
}

/// `… 3 more items`.
fn more(page: &mut Page<'_>, indent: usize, total: usize, shown: usize, noun: &str) {
    if total > shown {
        let text = format!("{} {}", page.style.ellipsis(), counted(total - shown, &format!("more {noun}")));
        page.sentence(indent, 2, Some(Tone::Dim), &text);
    }
}

/// A value on one line: a text without quotes, anything else as compact JSON.
fn shown(value: &Value) -> String {
    match value.as_str() {
        Some(text) => prefix(text, VALUE).to_owned(),
        None => prefix(&value.to_string(), VALUE).to_owned(),
    }
}

fn string<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn share(value: &Value, name: &str) -> f64 {
    value.get(name).and_then(Value::as_f64).unwrap_or_default()
}

/// `1 vote`, `3 votes`.
fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A conflict count as a fact; nothing where there is none.
fn conflicts(told: &Told<'_>) -> Option<(Option<Tone>, String)> {
    let count = list(told.result, "conflicts").len();
    (count > 0).then(|| (Some(Tone::Warn), counted(count, "conflict")))
}

#[cfg(test)]
mod tests;
