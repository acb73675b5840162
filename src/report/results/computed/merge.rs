//! A merge: what is in dispute first, then what was found, by whom, where.

use serde_json::Value;

use super::bars::{self, Choice};
use super::cell::{Cell, row};
use super::compare::room;
use super::{Told, conflicts, counted, list, more, number, shown, string, title};
use crate::report::results::page::Page;
use crate::report::sanitise;
use crate::report::style::{Style, Tone};

/// Items listed.
const LISTED: usize = 60;
/// Conflicts listed.
const CONFLICTS: usize = 20;
/// Sides shown of a conflict.
const SIDES: usize = 6;
/// Agents up to which everybody has a column.
const COLUMNS: usize = 16;
/// Columns that the names of all agents may take before letters stand for them.
const HEADS: usize = 40;
/// Columns of words that must be left for a row to hold everything.
const WORDS: usize = 34;
/// The widest place that stands in a column.
const PLACE: usize = 28;

pub(super) fn write(page: &mut Page<'_>, told: &Told<'_>) -> bool {
    let items = told.result.get("items").and_then(Value::as_array);
    match (items, told.result.get("merged")) {
        (Some(items), _) => list_of(page, told, items),
        (None, Some(merged)) => whole(page, told, merged),
        (None, None) => return false,
    }
    true
}

fn list_of(page: &mut Page<'_>, told: &Told<'_>, items: &[Value]) {
    let read = usize::try_from(number(told.result, "read")).unwrap_or(usize::MAX);
    let (left_out, needed) = (list(told.result, "left_out").len(), number(told.result, "needed"));
    let mut facts = vec![(None, format!("{}, {} different", counted(read, "item"), items.len() + left_out))];
    if needed > 1 {
        facts.push((None, format!("{} found by {needed} or more", items.len())));
    }
    facts.extend(conflicts(told));
    told.headline(page, facts);
    disputes(page, told, items);
    if !items.is_empty() {
        page.blank();
        table(page, told, items);
    }
    if left_out > 0 {
        page.blank();
        let verb = if left_out == 1 { "was" } else { "were" };
        let text = format!("{} {verb} found by fewer than {needed} and left out", counted(left_out, "item"));
        page.sentence(0, 2, Some(Tone::Dim), &text);
    }
}

/// What those who found an item say of it that does not agree.
fn disputes(page: &mut Page<'_>, told: &Told<'_>, items: &[Value]) {
    let open: Vec<(usize, Vec<&Value>)> =
        (1..).zip(items).map(|(number, item)| (number, still_open(told, number, item))).collect();
    let open: Vec<&(usize, Vec<&Value>)> = open.iter().filter(|(_, open)| !open.is_empty()).collect();
    if open.is_empty() {
        return;
    }
    title(page, Tone::Warn, "In dispute");
    for (number, conflicts) in open.iter().take(CONFLICTS) {
        let (place, words) = items.get(number - 1).map(place_and_words).unwrap_or_default();
        page.entry(1, Tone::Warn, &format!("{number}."), &format!("{place} {words}"));
        for conflict in conflicts {
            sides(page, told, conflict);
        }
    }
    more(page, 1, open.len(), CONFLICTS, "item");
}

/// The conflicts of an item that the parent's model did not decide.
fn still_open<'v>(told: &Told<'v>, number: usize, item: &'v Value) -> Vec<&'v Value> {
    let decided = |conflict: &&Value| {
        let at = format!("/items/{}/item{}", number - 1, string(conflict, "pointer"));
        let of = |decision: &&Value| string(decision, "at") == at;
        list(told.result, "decisions")
            .iter()
            .find(of)
            .is_some_and(|one| one.get("decided") == Some(&true.into()))
    };
    list(item, "conflicts").iter().filter(|conflict| !decided(conflict)).collect()
}

fn sides(page: &mut Page<'_>, told: &Told<'_>, conflict: &Value) {
    let all = list(conflict, "sides");
    let voters: usize = all.iter().map(|side| list(side, "by").len()).sum();
    page.sentence(4, 2, None, string(conflict, "pointer").trim_start_matches('/'));
    let choice = |side: &Value| {
        let count = list(side, "by").len();
        Choice {
            value: side.get("value").map(shown).unwrap_or_default(),
            tone: None,
            share: count as f64 / voters.max(1) as f64,
            figure: count.to_string(),
            who: told.names(side.get("by")),
        }
    };
    bars::write(page, 6, &all.iter().take(SIDES).map(choice).collect::<Vec<_>>());
    more(page, 6, all.len(), SIDES, "value");
}

/// Who the columns stand for.
struct Heads {
    calls: Vec<String>,
    /// What stands over each column; empty where there are too many.
    over: Vec<String>,
    /// What the letters mean, where there are letters.
    legend: Option<String>,
}

impl Heads {
    fn of(told: &Told<'_>, style: &Style) -> Heads {
        let calls = list(told.result, "from").iter().filter_map(Value::as_str);
        let calls: Vec<String> = calls.map(str::to_owned).collect();
        let names: Vec<String> = calls.iter().map(|call| told.name(&Value::from(call.as_str()))).collect();
        let names: Vec<String> = names.iter().map(|name| sanitise::short(name, 40, style)).collect();
        let columns: usize = names.iter().map(|name| console::measure_text_width(name) + 2).sum();
        if calls.len() > COLUMNS {
            Heads { calls, over: Vec::new(), legend: None }
        } else if columns <= HEADS.min(style.width / 2) {
            Heads { calls, over: names, legend: None }
        } else {
            let letters: Vec<String> = ('A'..='Z').take(names.len()).map(String::from).collect();
            let legend = letters.iter().zip(&names).map(|(letter, name)| format!("{letter} {name}"));
            let legend = Some(legend.collect::<Vec<_>>().join(", "));
            Heads { calls, over: letters, legend }
        }
    }

    /// The marks of those who found an item, as wide as the heads.
    fn marks(&self, by: &[Value], style: &Style) -> Cell {
        let mut cell = Cell::default();
        for (at, (call, head)) in self.calls.iter().zip(&self.over).enumerate() {
            let found = by.iter().any(|one| one.as_str() == Some(call));
            let (tone, mark) = match found {
                true => (Tone::Good, style.pick("●", "x")),
                false => (Tone::Dim, style.pick("·", ".")),
            };
            let width = console::measure_text_width(head);
            let before = width.saturating_sub(1) / 2;
            cell.add(None, &" ".repeat(before + if at > 0 { 2 } else { 0 }), style);
            cell.add(Some(tone), mark, style);
            cell.add(None, &" ".repeat(width.saturating_sub(before + 1)), style);
        }
        cell
    }

    fn width(&self) -> usize {
        self.over.iter().map(|head| console::measure_text_width(head) + 2).sum::<usize>().saturating_sub(2)
    }
}

fn table(page: &mut Page<'_>, told: &Told<'_>, items: &[Value]) {
    let style = page.style;
    let heads = Heads::of(told, style);
    let answered = told.result.get("census").map_or(0, |census| number(census, "answered"));
    let agree = |item: &Value| format!("{} of {answered}", list(item, "by").len());
    let agree_width = format!("{answered} of {answered}").len();
    let places = items.iter().take(LISTED).map(|item| console::measure_text_width(string(item, "place")));
    let place_width = places.max().unwrap_or(0).min(PLACE);
    let lead = 4 + 2 + agree_width + 2 + if heads.over.is_empty() { 0 } else { heads.width() + 2 };
    let place_gap = if place_width > 0 { place_width + 2 } else { 0 };
    let words_width = room(page, 0).saturating_sub(lead + place_gap);
    let in_a_row = words_width >= WORDS;

    if !heads.over.is_empty() {
        let over = format!("{}{}", " ".repeat(4 + 2 + agree_width + 2), heads.over.join("  "));
        page.line(&style.paint(Tone::Strong, over));
    }
    for (number, item) in (1..).zip(items.iter().take(LISTED)) {
        let disputed = !still_open(told, number, item).is_empty();
        let tone = disputed.then_some(Tone::Warn);
        let (place, words) = place_and_words(item);
        let mark = if disputed { "!" } else { " " };
        let mut cells = vec![
            (Cell::verbatim(tone, &format!("{mark}{number:>2}."), style), 4),
            (Cell::line(None, &agree(item), style), agree_width),
        ];
        if !heads.over.is_empty() {
            cells.push((heads.marks(list(item, "by"), style), heads.width()));
        }
        let place = Cell::line(Some(Tone::Info), &place, style);
        let words = Cell::line(None, &words, style);
        if in_a_row {
            if place_width > 0 {
                cells.push((place, place_width));
            }
            cells.push((words, words_width));
            row(page, 0, "  ", &cells);
        } else {
            let left = room(page, 0).saturating_sub(lead);
            if place.columns() <= left {
                cells.push((place, left));
                row(page, 0, "  ", &cells);
            } else {
                row(page, 0, "  ", &cells);
                row(page, 6, "", &[(place, room(page, 6))]);
            }
            row(page, 6, "", &[(words, room(page, 6))]);
        }
        if heads.over.is_empty() {
            page.sentence(6, 2, Some(Tone::Dim), &told.names(item.get("by")));
        }
    }
    more(page, 0, items.len(), LISTED, "item");
    if let Some(legend) = heads.legend {
        page.sentence(0, 2, Some(Tone::Dim), &legend);
    }
}

/// Where an item stands, and what it says.
fn place_and_words(item: &Value) -> (String, String) {
    let words = match string(item, "words") {
        "" => item.get("item").map(shown).unwrap_or_default(),
        words => words.to_owned(),
    };
    (string(item, "place").to_owned(), words)
}

/// Objects that were merged field by field.
fn whole(page: &mut Page<'_>, told: &Told<'_>, merged: &Value) {
    let fields = told.result.get("by").and_then(Value::as_object);
    let fields: Vec<(&String, &Value)> = fields.into_iter().flatten().collect();
    let mut facts = vec![(None, counted(fields.len(), "field"))];
    facts.extend(conflicts(told));
    told.headline(page, facts);
    let open = list(told.result, "conflicts");
    if !open.is_empty() {
        title(page, Tone::Warn, "In dispute");
        open.iter().take(CONFLICTS).for_each(|conflict| sides(page, told, conflict));
        more(page, 2, open.len(), CONFLICTS, "field");
    }
    page.blank();
    let style = page.style;
    let answered = told.result.get("census").map_or(0, |census| number(census, "answered"));
    let label = fields.iter().take(LISTED).map(|(pointer, _)| pointer.chars().count()).max().unwrap_or(0);
    let label = label.min((style.width / 3).max(10));
    let count = format!("{answered} of {answered}").len();
    for (pointer, by) in fields.iter().take(LISTED) {
        let disputed = open.iter().any(|conflict| string(conflict, "pointer") == pointer.as_str());
        let mark = if disputed { (Some(Tone::Warn), "!") } else { (None, "") };
        let agree = format!("{} of {answered}", by.as_array().map_or(0, Vec::len));
        let value = merged.pointer(pointer).map(shown).unwrap_or_default();
        let cells = [
            (Cell::line(None, pointer, style), label),
            (Cell::line(None, &agree, style), count),
            (Cell::line(mark.0, &value, style), room(page, 2).saturating_sub(label + count + 4)),
        ];
        super::cell::marked_row(page, mark, "  ", &cells);
    }
    more(page, 2, fields.len(), LISTED, "field");
}
