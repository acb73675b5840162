//! A page of text under construction: headings, facts, sentences and verbatim bodies.
//!
//! Invariants: what others wrote is always indented, so that it cannot pass for a
//! heading or a verdict; every line of ours fits the width, while bodies keep their
//! lines as they are, however long.

use crate::report::prose::terminal;
use crate::report::sanitise::{self, cut, line};
use crate::report::style::{Style, Tone};

/// Rules and sentences are not drawn wider than this: lines that long are hard to read.
const WIDEST: usize = 120;
/// Characters of one line of a body before it is cut.
const LINE: usize = 1000;
/// Bytes of a sentence before it is cut.
const SENTENCE: usize = 16 * 1024;

pub(super) struct Page<'a> {
    pub(super) style: &'a Style,
    out: String,
}

/// How much of a body is shown.
pub(super) struct Extent<'a> {
    /// Lines from the start.
    pub(super) lines: usize,
    /// What shows the rest.
    pub(super) rest: &'a str,
}

impl<'a> Page<'a> {
    pub(super) fn new(style: &'a Style) -> Page<'a> {
        Page { style, out: String::new() }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    pub(super) fn blank(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    /// One line, already clean, painted and cut.
    pub(super) fn line(&mut self, text: &str) {
        // Wrapping may have brought a `::` to the start of a row.
        if self.style.ci && text.trim_start().starts_with("::") {
            self.out.push_str("| ");
        }
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    /// A heading across the page: a mark, a name and what it is.
    pub(super) fn heading(&mut self, mark: (Tone, &str), name: &str, what: &str) {
        self.blank();
        let width = self.style.width.min(WIDEST);
        let rule = self.style.rule();
        let lead = format!("{rule}{rule} ");
        let mut used = 3;
        let mut text = self.style.paint(Tone::Dim, lead.trim_end());
        text.push(' ');
        if !mark.1.is_empty() {
            text.push_str(&self.style.paint(mark.0, mark.1));
            text.push(' ');
            used += 2;
        }
        let name = cut(&line(name, self.style), width.saturating_sub(used), self.style);
        used += console::measure_text_width(&name);
        text.push_str(&self.style.paint(Tone::Strong, &name));
        let what = line(what, self.style);
        let room = width.saturating_sub(used + 2);
        if !what.is_empty() && what != name && room > 8 {
            let what = cut(&what, room, self.style);
            used += 2 + console::measure_text_width(&what);
            text.push_str(": ");
            text.push_str(&what);
        }
        let left = width.saturating_sub(used + 1);
        if left > 0 {
            text.push(' ');
            text.push_str(&self.style.paint(Tone::Dim, rule.repeat(left)));
        }
        self.line(&text);
    }

    /// Short facts separated by dots, folded between facts where they do not fit.
    pub(super) fn facts(&mut self, indent: usize, facts: &[(Option<Tone>, String)]) {
        let width = self.style.width.min(WIDEST);
        let dot = self.style.dot();
        let mut row = String::new();
        let mut used = 0;
        for (tone, fact) in facts {
            let fact = cut(&line(fact, self.style), width.saturating_sub(indent), self.style);
            let columns = console::measure_text_width(&fact);
            let painted = tone.map_or_else(|| fact.clone(), |tone| self.style.paint(tone, &fact));
            let gap = if used == 0 { 0 } else { dot.chars().count() };
            if used > 0 && indent + used + gap + columns > width {
                self.line(&format!("{}{row}", " ".repeat(indent)));
                row.clear();
                used = 0;
            }
            if used > 0 {
                row.push_str(dot);
                used += gap;
            }
            row.push_str(&painted);
            used += columns;
        }
        if used > 0 {
            self.line(&format!("{}{row}", " ".repeat(indent)));
        }
    }

    /// A sentence, wrapped between words; lines after the first go `hang` columns further in.
    pub(super) fn sentence(&mut self, indent: usize, hang: usize, tone: Option<Tone>, text: &str) {
        let width = self.style.width.min(WIDEST);
        let clean = self.clean(text);
        let mut margin = indent;
        for row in wrap(&clean, width.saturating_sub(indent), width.saturating_sub(indent + hang)) {
            let painted = tone.map_or_else(|| row.clone(), |tone| self.style.paint(tone, &row));
            self.line(&format!("{}{painted}", " ".repeat(margin)));
            margin = indent + hang;
        }
    }

    /// An entry of a list: a lead in its tone, then a sentence that is wrapped beside it.
    ///
    /// On a narrow page the sentence goes on below, four columns in.
    pub(super) fn entry(&mut self, indent: usize, tone: Tone, lead: &str, text: &str) {
        let width = self.style.width.min(WIDEST);
        let lead = if width < 60 { lead.trim_end() } else { lead };
        let columns = console::measure_text_width(lead) + 1;
        let margin = indent + if width < 60 { 4 } else { columns };
        let clean = self.clean(text);
        let mut start = format!("{}{} ", " ".repeat(indent), self.style.paint(tone, lead));
        for row in wrap(&clean, width.saturating_sub(indent + columns), width.saturating_sub(margin)) {
            self.line(&format!("{start}{row}"));
            start = " ".repeat(margin);
        }
    }

    /// A sentence as one clean line, cut where it goes on and on.
    fn clean(&self, text: &str) -> String {
        let start = sanitise::prefix(text, SENTENCE);
        let mut clean = line(start, self.style);
        if start.len() < text.len() {
            clean.push_str(self.style.ellipsis());
        }
        clean
    }

    /// What a model wrote, laid out where a person reads it and as it is elsewhere; cut like a body.
    pub(super) fn prose(&mut self, indent: usize, text: &str, extent: &Extent<'_>) {
        let width = self.style.width.min(WIDEST).saturating_sub(indent);
        let laid = self.style.prose.then(|| terminal::lines(text, self.style, width)).flatten();
        let Some(lines) = laid else { return self.body(indent, text, extent) };
        let shown = if lines.len() <= extent.lines.saturating_add(1) { lines.len() } else { extent.lines };
        for line in lines.iter().take(shown) {
            self.line(&format!("{}{line}", " ".repeat(indent)));
        }
        if lines.len() > shown {
            self.more(indent, &format!("{} more lines", lines.len() - shown), extent.rest);
        }
    }

    /// What others wrote, line by line as it is, indented; cut with a count of what is left out.
    pub(super) fn body(&mut self, indent: usize, text: &str, extent: &Extent<'_>) {
        let text = text.trim_end().trim_start_matches(['\n', '\r']);
        let total = text.lines().count();
        // One line more than fits is shown rather than replaced by a line that counts it.
        let shown = if total <= extent.lines.saturating_add(1) { total } else { extent.lines };
        let margin = " ".repeat(indent);
        for raw in text.lines().take(shown) {
            let kept = match raw.char_indices().nth(LINE) {
                Some((end, _)) => raw.get(..end).unwrap_or(raw),
                None => raw,
            };
            // A carriage return inside a line makes two of it.
            for row in sanitise::text(kept, self.style).split('\n') {
                self.line(&format!("{margin}{row}"));
            }
            if kept.len() < raw.len() {
                let more = raw.chars().count() - LINE;
                self.more(indent, &format!("{more} more characters"), extent.rest);
            }
        }
        if total > shown {
            self.more(indent, &format!("{} more lines", total - shown), extent.rest);
        }
    }

    /// `… 12 more lines: fanout show RUN CALL --raw`.
    pub(super) fn more(&mut self, indent: usize, what: &str, how: &str) {
        let text = format!("{} {what}: {how}", self.style.ellipsis());
        self.sentence(indent, 2, Some(Tone::Dim), &text);
    }
}

/// Breaks a line between words; a word that is longer than a row is broken where it must.
fn wrap(text: &str, first: usize, others: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let mut word = word;
        loop {
            let room = if rows.len() == 1 { first } else { others }.max(8);
            let columns = console::measure_text_width(word);
            let gap = usize::from(used > 0);
            let row = rows.last_mut();
            if used + gap + columns <= room {
                if let Some(row) = row {
                    row.push_str(if gap > 0 { " " } else { "" });
                    row.push_str(word);
                }
                used += gap + columns;
                break;
            }
            if used == 0 {
                let head = console::truncate_str(word, room, "");
                let cut = head.len().max(word.chars().next().map_or(1, char::len_utf8));
                let (head, tail) = word.split_at_checked(cut).unwrap_or((word, ""));
                if let Some(row) = row {
                    row.push_str(head);
                }
                word = tail;
            }
            rows.push(String::new());
            used = 0;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_and_long_ones_broken() {
        assert_eq!(wrap("one two three four", 9, 8), ["one two", "three", "four"]);
        assert_eq!(wrap("abcdefghijklmnop", 8, 8), ["abcdefgh", "ijklmnop"]);
        assert_eq!(wrap("国国国国国", 8, 8), ["国国国国", "国"]);
        assert_eq!(wrap("", 8, 8), [""]);
    }

    #[test]
    fn a_body_one_line_over_is_shown_whole_and_two_over_is_cut() {
        let style = Style::plain();
        let show = |text: &str| {
            let mut page = Page::new(&style);
            page.body(2, text, &Extent { lines: 2, rest: "see x" });
            page.finish()
        };
        assert_eq!(show("a\nb\nc\n"), "  a\n  b\n  c\n");
        assert_eq!(show("a\nb\nc\nd"), "  a\n  b\n  ... 2 more lines: see x\n");
        assert_eq!(show("  deep\n\n\nx"), "    deep\n\n  ... 2 more lines: see x\n");
    }
}
