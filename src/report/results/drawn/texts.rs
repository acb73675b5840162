//! Texts beside each other, where every column is wide enough to be read; two as a diff where none is.

use similar::TextDiff;

use super::cell::{Cell, marked_row, row};
use super::{more, title, unified};
use crate::report::computed::part::Texts;
use crate::report::computed::texts::{CONTEXT, Line, Piece, Stretch};
use crate::report::results::page::Page;
use crate::report::style::Tone;

/// Texts that may stand side by side.
const COLUMNS: usize = 4;
/// The narrowest column that is worth reading.
const LEAST: usize = 22;
/// Rows shown.
const ROWS: usize = 160;

/// Writes the texts beside each other; false where there is no room for that.
pub(super) fn write(page: &mut Page<'_>, texts: &Texts<'_>) -> bool {
    let count = texts.heads.len();
    if texts.rows.is_empty() || count > COLUMNS {
        return false;
    }
    let style = page.style;
    let gap = format!(" {} ", style.pick("│", "|"));
    let width = style.width.saturating_sub(2 + 3 * (count - 1)) / count;
    if width < LEAST {
        let (Some(pair), [left, right]) = (texts.pair, texts.heads.as_slice()) else { return false };
        title(page, Tone::Strong, "Differences");
        let [one, other] = pair.map(|text| format!("{}\n", text.trim_end()));
        let diff = TextDiff::from_lines(&one, &other);
        let (left, right) = (left.who.text(), right.who.text());
        let diff = diff.unified_diff().context_radius(CONTEXT).header(&left, &right).to_string();
        unified(page, &diff, ROWS);
        return true;
    }
    page.blank();
    let head = |text: &str| (Cell::line(Some(Tone::Strong), text, style), width);
    let heads: Vec<(Cell, usize)> = texts.heads.iter().map(|one| head(&one.text())).collect();
    row(page, 2, &gap, &heads);
    let rule = Cell::line(Some(Tone::Dim), &style.rule().repeat(width), style);
    row(page, 2, &gap, &vec![(rule, width); count]);
    let mut shown = 0;
    for stretch in &texts.rows {
        match stretch {
            Stretch::Same(count) => {
                let lines = if *count == 1 { "1 line".to_owned() } else { format!("{count} lines") };
                let text = format!("{} {lines} that all have", style.pick("⋮", ":"));
                page.sentence(2, 2, Some(Tone::Dim), &text);
            }
            Stretch::Row(line) => {
                shown += 1;
                if shown <= ROWS {
                    write_row(page, &gap, width, line);
                }
            }
        }
    }
    more(page, 2, shown, ROWS, "row");
    true
}

fn write_row(page: &mut Page<'_>, gap: &str, width: usize, line: &Line<'_>) {
    let style = page.style;
    let two = line.cells.len() == 2;
    let cells = line.cells.iter().enumerate().map(|(at, pieces)| {
        // Left is what a diff would take away, right what it would bring.
        let side = match (two, at) {
            (true, 0) => Tone::Bad,
            (true, _) => Tone::Good,
            (false, _) => Tone::Warn,
        };
        let mut cell = Cell::default();
        for Piece { text, differs } in pieces.iter().flatten() {
            cell.add(differs.then_some(side), text, style);
        }
        (cell, width)
    });
    let mark = if line.same { (None, "") } else { (Some(Tone::Warn), style.pick("≠", "!")) };
    marked_row(page, mark, gap, &cells.collect::<Vec<_>>());
}
