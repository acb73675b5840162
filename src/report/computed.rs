//! What a step of the parent computed, as the parts that every view of it shows: what is in dispute
//! first, then the result, who is missing last.
//!
//! Invariants: read from the result's JSON alone, so that an old run shows as it did; a result in a
//! shape that is not known has no parts and stands as its own text. Here is decided what is said and in
//! which order; a view (terminal, page, Markdown) decides how it is drawn and how much of it.

mod asked;
mod best;
mod command;
mod compare;
mod fields;
mod merge;
pub(super) mod part;
mod patch;
#[cfg(test)]
pub(super) mod sample;
pub(super) mod texts;
mod vote;
pub(super) mod who;

use serde_json::Value;

use super::sanitise::prefix;
use super::style::{Style, Tone};
use crate::outcome::Status;
use part::{Entries, Entry, Fact, Part, Shown, Sign};
use who::{Named, Who};

/// Bytes of a value that is shown on one line.
pub(super) const VALUE: usize = 2000;
/// Bytes of a cause.
const CAUSE: usize = 600;
/// Absent calls, and files, that a terminal lists before it counts the rest.
const ABSENT: usize = 12;

/// The strategies that are shown in parts; what `collect` collects stands with its calls.
const KNOWN: [&str; 7] = ["compare", "vote", "merge", "best", "patch", "synthesize", "command"];

/// True for the result of a strategy that is shown in parts.
pub(super) fn is_known(result: &Value) -> bool {
    KNOWN.contains(&string(result, "strategy")) && result.get("census").is_some()
}

/// What there is to show; `None` for a result in a shape that is not known.
pub(super) fn of(result: &Value) -> Option<Shown<'_>> {
    let names = result.get("census").and_then(|census| census.get("names"));
    Told { result, names }.shown()
}

pub(super) use compare::two;

/// True for a result that shows the answers beside each other, row by row.
pub(super) fn stand_side_by_side(result: &Value) -> bool {
    let beside = |part: &Part<'_>| {
        matches!(part, Part::Texts(texts) if !texts.rows.is_empty())
            || matches!(part, Part::Fields(fields) if fields.heads.len() <= texts::COLUMNS)
    };
    string(result, "strategy") == "compare" && of(result).is_some_and(|shown| shown.parts.iter().any(beside))
}

/// Who is missing and why, whatever the strategy.
pub(super) fn absent(result: &Value) -> Vec<Part<'_>> {
    let names = result.get("census").and_then(|census| census.get("names"));
    Told { result, names }.absent()
}

/// A result and how its calls are called.
#[derive(Clone, Copy)]
struct Told<'v> {
    result: &'v Value,
    /// `census.names`.
    names: Option<&'v Value>,
}

impl<'v> Told<'v> {
    fn shown(&self) -> Option<Shown<'v>> {
        let mut shown = match string(self.result, "strategy") {
            "compare" => compare::shown(self),
            "vote" => vote::shown(self),
            "merge" => merge::shown(self),
            "best" => best::shown(self),
            "patch" => patch::shown(self),
            "synthesize" => asked::synthesis(self),
            "command" if self.result.get("census").is_some() => Some(command::shown(self)),
            _ => None,
        }?;
        if self.result.get("answer").is_none() {
            shown.parts.extend(asked::decisions(self));
        }
        shown.parts.extend(self.races());
        shown.parts.extend(self.absent());
        Some(shown)
    }

    /// Files that more than one call wrote.
    fn races(&self) -> Option<Part<'v>> {
        let races: Vec<Entry> = list(self.result, "conflicts")
            .iter()
            .filter(|conflict| is_race(conflict))
            .map(|race| Entry::of(Sign::Open, string(race, "message")))
            .collect();
        Entries::titled(Tone::Warn, "Written by more than one", races, ("file", ABSENT))
    }

    /// What is in dispute among the answers: files that several wrote are told apart.
    fn disputes(&self) -> Vec<&'v Value> {
        list(self.result, "conflicts").iter().filter(|conflict| !is_race(conflict)).collect()
    }

    /// `3 of 5 answered`, then what else is said in few words.
    fn facts(&self, more: Vec<Fact>) -> Vec<Fact> {
        let census = self.result.get("census").unwrap_or(&Value::Null);
        let (asked, answered) = (number(census, "asked"), number(census, "answered"));
        let tone = if answered < asked { Some(Tone::Warn) } else { None };
        let mut facts = vec![(tone, format!("{answered} of {asked} answered"))];
        facts.extend(more);
        facts
    }

    /// A conflict count as a fact; nothing where there is none.
    fn conflicts(&self) -> Option<Fact> {
        let count = list(self.result, "conflicts").len();
        (count > 0).then(|| (Some(Tone::Warn), counted(count, "conflict")))
    }

    /// An instance and how people call it.
    fn name(&self, call: Option<&Value>) -> Named {
        let call = call.and_then(Value::as_str).unwrap_or_default();
        let name = self.names.and_then(|names| names.get(call)).and_then(Value::as_str).unwrap_or(call);
        Named { call: call.to_owned(), name: name.to_owned() }
    }

    /// A list of instances.
    fn who(&self, by: Option<&Value>) -> Who {
        let all = by.and_then(Value::as_array).into_iter().flatten();
        Who(all.map(|call| self.name(Some(call))).collect())
    }

    /// Who is missing and why, and who said nothing.
    fn absent(&self) -> Vec<Part<'v>> {
        let census = self.result.get("census").unwrap_or(&Value::Null);
        let missing = list(census, "missing").iter().map(|one| {
            let status = one.get("status").cloned().unwrap_or_default();
            let status = serde_json::from_value::<Status>(status).ok();
            let word = status.map_or("did not answer", |status| status.words());
            let cause = one.get("cause").map_or("", |cause| string(cause, "message"));
            let gap = if cause.is_empty() { "" } else { ": " };
            Entry {
                sign: status.map_or(Sign::Lost, Sign::Ended),
                who: Some(self.name(one.get("call"))),
                text: format!("{word}{gap}{}", prefix(cause, CAUSE)),
            }
        });
        let missing: Vec<Entry> = missing.collect();
        let empty: Vec<Named> = list(census, "empty").iter().map(|one| self.name(one.get("call"))).collect();
        let empty = (!empty.is_empty()).then(|| {
            let text = format!("{} said nothing, which is no agreement", Who(empty).text());
            Entry::of(Sign::Open, &text)
        });
        if missing.is_empty() {
            return Entries::titled(Tone::Warn, "Missing", empty.into_iter().collect(), ("call", ABSENT))
                .into_iter()
                .collect();
        }
        let untitled =
            empty.map(|empty| Part::Entries(Entries { entries: vec![empty], ..Entries::default() }));
        let missing = Entries::titled(Tone::Warn, "Missing", missing, ("call", ABSENT));
        missing.into_iter().chain(untitled).collect()
    }
}

fn is_race(conflict: &Value) -> bool {
    let mut sides = list(conflict, "sides").iter();
    sides.any(|side| side.get("value").is_some_and(|value| value.get("kept").is_some()))
}

/// A value on one line: a text without quotes, anything else as compact JSON.
fn shown(value: &Value) -> String {
    match value.as_str() {
        Some(text) => prefix(text, VALUE).to_owned(),
        None => prefix(&value.to_string(), VALUE).to_owned(),
    }
}

fn said(value: Option<&Value>) -> String {
    value.map(shown).unwrap_or_default()
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

fn size(value: &Value, name: &str) -> usize {
    usize::try_from(number(value, name)).unwrap_or(usize::MAX)
}

fn share(value: &Value, name: &str) -> f64 {
    value.get(name).and_then(Value::as_f64).unwrap_or_default()
}

/// `1 vote`, `3 votes`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// `… 3 more items`; nothing where all are shown.
pub(super) fn rest(total: usize, shown: usize, noun: &str, style: &Style) -> Option<String> {
    let more = total.checked_sub(shown).filter(|more| *more > 0)?;
    Some(format!("{} {}", style.ellipsis(), counted(more, &format!("more {noun}"))))
}
