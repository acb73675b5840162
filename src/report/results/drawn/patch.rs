//! Changes of several: what clashes with both sides, what goes in, file by file.

use super::cell::{Cell, row};
use super::{more, room, title};
use crate::report::computed::counted;
use crate::report::computed::part::{Change, Clash, Sign};
use crate::report::computed::who::Who;
use crate::report::results::page::Page;
use crate::report::style::{Style, Tone};

/// Conflicts shown with both sides.
const CONFLICTS: usize = 12;
/// Lines shown of one side.
const SIDE: usize = 16;
/// Files listed.
const FILES: usize = 40;
/// Two sides stand beside each other where each has so many columns.
const LEAST: usize = 26;

pub(super) fn clashes(page: &mut Page<'_>, clashes: &[Clash]) {
    title(page, Tone::Warn, "In conflict");
    clashes.iter().take(CONFLICTS).for_each(|one| clash(page, one));
    more(page, 2, clashes.len(), CONFLICTS, "conflict");
}

/// One place with what each side makes of it.
fn clash(page: &mut Page<'_>, clash: &Clash) {
    let style = page.style;
    page.entry(0, Tone::Warn, Sign::Bad.mark(style), &clash.message);
    let gap = format!(" {} ", style.pick("│", "|"));
    let count = clash.sides.len().max(1);
    let width = style.width.saturating_sub(2 + 3 * (count - 1)) / count;
    let lines: Vec<Vec<Cell>> = clash.sides.iter().map(|side| lines(side, style)).collect();
    if width >= LEAST {
        let height = lines.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..height {
            let cell = |side: &Vec<Cell>| (side.get(at).cloned().unwrap_or_default(), width.min(70));
            row(page, 2, &gap, &lines.iter().map(cell).collect::<Vec<_>>());
        }
    } else {
        for cell in lines.into_iter().flatten() {
            row(page, 2, "", &[(cell, room(page, 2))]);
        }
    }
}

/// Who, then what they do there.
fn lines((who, said): &(Who, String), style: &Style) -> Vec<Cell> {
    let mut cells = vec![Cell::line(Some(Tone::Strong), &who.text(), style)];
    for line in said.lines().take(SIDE) {
        let tone = match line.as_bytes().first() {
            Some(b'+') => Some(Tone::Good),
            Some(b'-') => Some(Tone::Bad),
            Some(_) | None => None,
        };
        cells.push(Cell::verbatim(tone, line, style));
    }
    let rest = said.lines().count().saturating_sub(SIDE);
    if rest > 0 {
        let text = format!("{} {}", style.ellipsis(), counted(rest, "more line"));
        cells.push(Cell::line(Some(Tone::Dim), &text, style));
    }
    cells
}

/// Every change: in or out, and how large it is.
pub(super) fn changes(page: &mut Page<'_>, changes: &[Change], unchanged: &Who) {
    page.blank();
    let style = page.style;
    let names: Vec<Cell> =
        changes.iter().map(|one| Cell::line(Some(Tone::Strong), &one.call.name, style)).collect();
    let width = names.iter().map(Cell::columns).max().unwrap_or(0).min((style.width / 3).max(8));
    let left = style.width.saturating_sub(1 + width + 8 + 6);
    for (change, name) in changes.iter().zip(names) {
        let (tone, mark, word) = if change.merged {
            (Tone::Good, Sign::Good.mark(style), "merged")
        } else {
            (Tone::Warn, Sign::Bad.mark(style), "left out")
        };
        let mut size = Cell::line(Some(Tone::Good), &format!("+{}", change.added), style);
        size.add(Some(Tone::Bad), &format!(" -{}", change.removed), style);
        size.add(None, &format!("  {}", counted(change.files, "file")), style);
        let word = Cell::line(Some(tone), word, style);
        let cells = [(Cell::line(Some(tone), mark, style), 1), (name, width), (word, 8), (size, left)];
        row(page, 0, "  ", &cells);
    }
    if !unchanged.is_empty() {
        page.sentence(0, 2, Some(Tone::Dim), &format!("changed nothing: {}", unchanged.text()));
    }
}

pub(super) fn files(page: &mut Page<'_>, files: &[(String, Who)]) {
    title(page, Tone::Strong, &format!("{} merged", counted(files.len(), "file")));
    for (path, who) in files.iter().take(FILES) {
        page.sentence(2, 4, None, &format!("{path} ({})", who.text()));
    }
    more(page, 2, files.len(), FILES, "file");
}
