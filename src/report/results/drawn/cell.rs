//! Cells that stand beside each other, each wrapped to its own width.
//!
//! Invariants: what goes into a cell is sanitised here; no row is wider than the cells and gaps ask
//! for; no letter is lost, whatever the width; indentation at the start of a line is kept.

use crate::report::results::page::Page;
use crate::report::sanitise;
use crate::report::style::{Style, Tone};

/// Text in pieces that have a tone or none.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    letters: Vec<Letter>,
}

#[derive(Debug, Clone, Copy)]
struct Letter {
    char: char,
    columns: usize,
    tone: Option<Tone>,
}

impl Cell {
    /// A sentence or value: one line, however it was written.
    pub(super) fn line(tone: Option<Tone>, text: &str, style: &Style) -> Cell {
        let mut cell = Cell::default();
        cell.push(tone, &sanitise::line(text, style));
        cell
    }

    /// A line as it stands, with its indentation.
    pub(super) fn verbatim(tone: Option<Tone>, text: &str, style: &Style) -> Cell {
        let mut cell = Cell::default();
        cell.add(tone, text, style);
        cell
    }

    /// Adds a piece of a line as it stands.
    pub(super) fn add(&mut self, tone: Option<Tone>, text: &str, style: &Style) {
        let clean = sanitise::text(text, style).replace('\t', "    ");
        self.push(tone, clean.replace(['\n', '\r'], " ").as_str());
    }

    fn push(&mut self, tone: Option<Tone>, clean: &str) {
        let mut buffer = [0; 4];
        self.letters.extend(clean.chars().map(|char| Letter {
            char,
            columns: console::measure_text_width(char.encode_utf8(&mut buffer)),
            tone,
        }));
    }

    /// Columns that it takes on one row.
    pub(super) fn columns(&self) -> usize {
        self.letters.iter().map(|letter| letter.columns).sum()
    }

    /// Its rows of at most `width` columns; an empty cell has one empty row.
    fn wrapped(&self, width: usize) -> Vec<&[Letter]> {
        let width = width.max(2);
        let mut rows = Vec::new();
        let (mut start, mut at, mut used) = (0, 0, 0);
        // The last space of the row that has a word before it.
        let mut gap = None;
        let mut worded = false;
        while let Some(letter) = self.letters.get(at) {
            if used + letter.columns > width && at > start {
                let (end, next) = match gap {
                    _ if letter.char == ' ' => (at, at + 1),
                    Some(gap) => (gap, gap + 1),
                    None => (at, at),
                };
                rows.push(self.letters.get(start..end).unwrap_or_default());
                (start, at, used, gap, worded) = (next, next, 0, None, false);
                continue;
            }
            match letter.char {
                ' ' if worded => gap = Some(at),
                ' ' => {}
                _ => worded = true,
            }
            used += letter.columns;
            at += 1;
        }
        if start < self.letters.len() || rows.is_empty() {
            rows.push(self.letters.get(start..).unwrap_or_default());
        }
        rows
    }
}

/// Writes cells beside each other, each as wide as it says, with the gap between them.
pub(super) fn row(page: &mut Page<'_>, indent: usize, gap: &str, cells: &[(Cell, usize)]) {
    rows(page, &" ".repeat(indent), &" ".repeat(indent), gap, cells);
}

/// The same with a mark of one column, and a space, before the first row.
pub(super) fn marked_row(
    page: &mut Page<'_>,
    mark: (Option<Tone>, &str),
    gap: &str,
    cells: &[(Cell, usize)],
) {
    let style = page.style;
    let fill = " ".repeat(2_usize.saturating_sub(console::measure_text_width(mark.1)));
    let mark = mark.0.map_or_else(|| mark.1.to_owned(), |tone| style.paint(tone, mark.1));
    rows(page, &format!("{mark}{fill}"), "  ", gap, cells);
}

fn rows(page: &mut Page<'_>, lead: &str, others: &str, gap: &str, cells: &[(Cell, usize)]) {
    let wrapped: Vec<Vec<&[Letter]>> = cells.iter().map(|(cell, width)| cell.wrapped(*width)).collect();
    let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
    for at in 0..height {
        let mut text = if at == 0 { lead } else { others }.to_owned();
        for (n, (rows, (_, width))) in wrapped.iter().zip(cells).enumerate() {
            if n > 0 {
                text.push_str(gap);
            }
            let letters = rows.get(at).copied().unwrap_or_default();
            paint(&mut text, letters, page.style);
            let used: usize = letters.iter().map(|letter| letter.columns).sum();
            text.extend(std::iter::repeat_n(' ', width.saturating_sub(used)));
        }
        page.line(&text);
    }
}

fn paint(text: &mut String, letters: &[Letter], style: &Style) {
    for piece in letters.chunk_by(|a, b| a.tone == b.tone) {
        let plain: String = piece.iter().map(|letter| letter.char).collect();
        match piece.first().and_then(|letter| letter.tone) {
            Some(tone) => text.push_str(&style.paint(tone, plain)),
            None => text.push_str(&plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, width: usize) -> Vec<String> {
        let cell = Cell::verbatim(None, text, &Style::plain());
        let read = |letters: &[Letter]| letters.iter().map(|letter| letter.char).collect();
        cell.wrapped(width).into_iter().map(read).collect()
    }

    #[test]
    fn words_are_wrapped_long_ones_broken_and_indentation_kept() {
        assert_eq!(rows("one two three", 8), ["one two", "three"]);
        assert_eq!(rows("one two three", 7), ["one two", "three"]);
        assert_eq!(rows("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(rows("    if x {", 20), ["    if x {"]);
        assert_eq!(rows("    iffy thing", 9), ["    iffy", "thing"]);
        assert_eq!(rows("国国国国国", 4), ["国国", "国国", "国"]);
        assert_eq!(rows("", 4), [""]);
    }

    #[test]
    fn cells_stand_beside_each_other_in_their_tones() {
        let style = Style { color: true, ..Style::plain() };
        let mut page = Page::new(&style);
        let mut left = Cell::line(None, "same ", &style);
        left.add(Some(Tone::Bad), " other", &style);
        row(&mut page, 1, " | ", &[(left, 6), (Cell::line(None, "x\x1b[31m y", &style), 4)]);
        assert_eq!(page.finish(), " same   | x y\n \x1b[31mother\x1b[0m  |\n");
    }
}
