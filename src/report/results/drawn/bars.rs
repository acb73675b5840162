//! Choices under each other: what, a bar for how much speaks for it, the figure, who.

use super::cell::{Cell, row};
use crate::report::computed::part::Choice;
use crate::report::results::page::Page;
use crate::report::style::Tone;

/// Columns that the names beside a bar get, if they need as many.
const LEAST_WHO: usize = 16;

/// Names stand below a bar that leaves fewer columns beside it.
const LEAST_LEFT: usize = 12;
/// A value of so few columns never stands above its bar.
const SHORT: usize = 8;

/// Writes the first choices, the columns under each other.
pub(super) fn write(page: &mut Page<'_>, indent: usize, choices: &[Choice], most: usize) {
    let style = page.style;
    let choices = choices.get(..most.min(choices.len())).unwrap_or_default();
    let names: Vec<String> = choices.iter().map(|choice| choice.who.text()).collect();
    let room = style.width.saturating_sub(indent).min(140);
    let bar = match room {
        100.. => 24,
        60.. => 16,
        _ => 8,
    };
    let figure = choices.iter().map(|choice| choice.figure.chars().count()).max().unwrap_or(0);
    let cells: Vec<Cell> =
        choices.iter().map(|choice| Cell::line(choice.tone, &choice.value, style)).collect();
    let rest = room.saturating_sub(bar + figure + 6);
    let widest = cells.iter().map(Cell::columns).max().unwrap_or(0);
    // A long value stands above its bar rather than in a narrow column.
    let who = names.iter().map(|who| who.chars().count()).max().unwrap_or(0).min(LEAST_WHO);
    let above = widest > SHORT && widest > rest.saturating_sub(who).min(rest * 3 / 5);
    let value = if above { 0 } else { widest };
    for ((choice, cell), who) in choices.iter().zip(cells).zip(&names) {
        let length = ((choice.share.clamp(0.0, 1.0) * bar as f64).round() as usize).min(bar);
        let mut drawn =
            Cell::line(Some(choice.tone.unwrap_or(Tone::Info)), &style.pick("█", "#").repeat(length), style);
        drawn.add(Some(Tone::Dim), &style.pick("░", ".").repeat(bar - length), style);
        let mut cells =
            vec![(drawn, bar), (Cell::line(None, &format!("{:>figure$}", choice.figure), style), figure)];
        let mut start = indent;
        if above {
            row(page, indent, "", &[(cell, room)]);
            start += 2;
        } else {
            cells.insert(0, (cell, value));
        }
        let used: usize = cells.iter().map(|(_, width)| width + 2).sum();
        let left = (room + indent).saturating_sub(start + used);
        let who = Cell::line(None, who, style);
        if left >= who.columns().min(LEAST_LEFT) {
            cells.push((who, left));
            row(page, start, "  ", &cells);
        } else {
            row(page, start, "  ", &cells);
            row(page, start + 2, "", &[(who, (room + indent).saturating_sub(start + 2))]);
        }
    }
}
