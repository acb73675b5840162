//! A merge: what is in dispute, then a table of what was found, by whom, where.

use super::cell::{Cell, marked_row, row};
use super::{bars, more, room, title};
use crate::report::computed::part::{Choice, Dispute, Found, Item, Merged};
use crate::report::computed::who::Named;
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

/// What those who found an item say of it that does not agree.
pub(super) fn disputes(page: &mut Page<'_>, disputes: &[Dispute], noun: &str) {
    title(page, Tone::Warn, "In dispute");
    for dispute in disputes.iter().take(CONFLICTS) {
        if let Some((number, what)) = &dispute.of {
            page.entry(1, Tone::Warn, &format!("{number}."), what);
        }
        dispute.fields.iter().for_each(|field| sides(page, field));
    }
    let indent = if noun == "item" { 1 } else { 2 };
    more(page, indent, disputes.len(), CONFLICTS, noun);
}

fn sides(page: &mut Page<'_>, (field, choices): &(String, Vec<Choice>)) {
    page.sentence(4, 2, None, field);
    bars::write(page, 6, choices, SIDES);
    more(page, 6, choices.len(), SIDES, "value");
}

/// Who the columns stand for.
struct Heads<'f> {
    voices: &'f [Named],
    /// What stands over each column; empty where there are too many.
    over: Vec<String>,
    /// What the letters mean, where there are letters.
    legend: Option<String>,
}

impl<'f> Heads<'f> {
    fn of(voices: &'f [Named], style: &Style) -> Heads<'f> {
        let names: Vec<String> = voices.iter().map(|one| sanitise::short(&one.name, 40, style)).collect();
        let columns: usize = names.iter().map(|name| console::measure_text_width(name) + 2).sum();
        if voices.len() > COLUMNS {
            Heads { voices, over: Vec::new(), legend: None }
        } else if columns <= HEADS.min(style.width / 2) {
            Heads { voices, over: names, legend: None }
        } else {
            let letters: Vec<String> = ('A'..='Z').take(names.len()).map(String::from).collect();
            let legend = letters.iter().zip(&names).map(|(letter, name)| format!("{letter} {name}"));
            let legend = Some(legend.collect::<Vec<_>>().join(", "));
            Heads { voices, over: letters, legend }
        }
    }

    /// The marks of those who found an item, as wide as the heads.
    fn marks(&self, item: &Item<'_>, style: &Style) -> Cell {
        let mut cell = Cell::default();
        for (at, (voice, head)) in self.voices.iter().zip(&self.over).enumerate() {
            let (tone, mark) = match item.who.has(&voice.call) {
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

pub(super) fn found(page: &mut Page<'_>, found: &Found<'_>) {
    if found.items.is_empty() {
        return;
    }
    page.blank();
    let style = page.style;
    let (items, answered) = (&found.items, found.answered);
    let heads = Heads::of(&found.voices, style);
    let agree_width = format!("{answered} of {answered}").len();
    let places = items.iter().take(LISTED).map(|item| console::measure_text_width(&item.place));
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
        let disputed = !item.disputed.is_empty();
        let tone = disputed.then_some(Tone::Warn);
        let mark = if disputed { "!" } else { " " };
        let agree = format!("{} of {answered}", item.who.len());
        let mut cells = vec![
            (Cell::verbatim(tone, &format!("{mark}{number:>2}."), style), 4),
            (Cell::line(None, &agree, style), agree_width),
        ];
        if !heads.over.is_empty() {
            cells.push((heads.marks(item, style), heads.width()));
        }
        let place = Cell::line(Some(Tone::Info), &item.place, style);
        let words = Cell::line(None, &item.words, style);
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
            page.sentence(6, 2, Some(Tone::Dim), &item.who.text());
        }
    }
    more(page, 0, items.len(), LISTED, "item");
    if let Some(legend) = heads.legend {
        page.sentence(0, 2, Some(Tone::Dim), &legend);
    }
}

/// Objects that were merged field by field.
pub(super) fn merged(page: &mut Page<'_>, fields: &[Merged], answered: usize) {
    page.blank();
    let style = page.style;
    let label = fields.iter().take(LISTED).map(|field| field.pointer.chars().count()).max().unwrap_or(0);
    let label = label.min((style.width / 3).max(10));
    let count = format!("{answered} of {answered}").len();
    for field in fields.iter().take(LISTED) {
        let mark = if field.disputed { (Some(Tone::Warn), "!") } else { (None, "") };
        let agree = format!("{} of {answered}", field.who.len());
        let cells = [
            (Cell::line(None, &field.pointer, style), label),
            (Cell::line(None, &agree, style), count),
            (Cell::line(mark.0, &field.value, style), room(page, 2).saturating_sub(label + count + 4)),
        ];
        marked_row(page, mark, "  ", &cells);
    }
    more(page, 2, fields.len(), LISTED, "field");
}
