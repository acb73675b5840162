//! Markdown laid out for a terminal: wrapped between words, tables in columns, code as it is.
//!
//! Invariants: every line but those of code and of long addresses fits the width; every text has
//! passed the sanitiser after it was read; without colour the marks of emphasis stay, so
//! that nothing rests on colour alone.

use super::{Alignment, Block, Cell, Inline, read};
use crate::report::sanitise;
use crate::report::style::{Style, Tone};

/// Columns below which a column of a table cannot be read.
const NARROW: usize = 5;
/// What stands between two columns.
const GAP: usize = 2;
/// Characters of one line of code before it is cut.
const LINE: usize = 1000;

/// The text in lines of at most so many columns; `None` for one that is better shown as it is.
pub fn lines(text: &str, style: &Style, width: usize) -> Option<Vec<String>> {
    let blocks = read(&sanitise::text(text, style))?;
    let laid = Layout { style }.blocks(&blocks, width.max(8));
    (!laid.is_empty()).then_some(laid)
}

/// How a piece of a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Look {
    tones: [Option<Tone>; 4],
}

impl Look {
    fn with(mut self, tone: Tone) -> Look {
        if !self.tones.contains(&Some(tone))
            && let Some(free) = self.tones.iter_mut().find(|tone| tone.is_none())
        {
            *free = Some(tone);
        }
        self
    }
}

/// A word: pieces that no space parts.
#[derive(Debug, Clone, Default)]
struct Word {
    pieces: Vec<(String, Look)>,
    columns: usize,
    /// An address is copied by people and only broken where nothing else helps.
    whole: bool,
}

enum Item {
    Word(Word),
    Break,
}

struct Layout<'a> {
    style: &'a Style,
}

impl Layout<'_> {
    fn blocks(&self, blocks: &[Block], width: usize) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for block in blocks {
            if !out.is_empty() {
                out.push(String::new());
            }
            out.extend(self.block(block, width));
        }
        out
    }

    fn block(&self, block: &Block, width: usize) -> Vec<String> {
        match block {
            Block::Heading(level, inlines) => {
                let mut marked = Vec::new();
                // Without colour, the marks tell a heading from a line of text.
                if !self.style.color {
                    marked.push(Inline::Text(format!("{} ", "#".repeat(usize::from(*level)))));
                }
                marked.extend(inlines.iter().cloned());
                self.wrapped(&marked, Look::default().with(Tone::Strong), width, false)
            }
            Block::Paragraph(inlines) => self.wrapped(inlines, Look::default(), width, false),
            Block::Code(text) => {
                let line = |line: &str| {
                    let line = sanitise::text(line, self.style).replace('\t', "    ").replace('\n', " ");
                    let kept: String = line.chars().take(LINE).collect();
                    let cut = if kept.len() < line.len() { self.style.ellipsis() } else { "" };
                    format!("    {}{cut}", self.style.paint(Tone::Info, kept))
                };
                text.trim_end().lines().map(line).collect()
            }
            Block::Quote(blocks) => {
                let bar = self.style.paint(Tone::Dim, self.style.pick("│", ">"));
                let inside = self.blocks(blocks, width.saturating_sub(2).max(8));
                inside.into_iter().map(|line| format!("{bar} {line}").trim_end().to_owned()).collect()
            }
            Block::List(from, items) => self.list(*from, items, width),
            Block::Table(alignments, head, rows) => self.table(alignments, head, rows, width),
            Block::Rule => vec![self.style.paint(Tone::Dim, self.style.rule().repeat(width.min(40)))],
        }
    }

    fn list(&self, from: Option<u64>, items: &[Vec<Block>], width: usize) -> Vec<String> {
        // Items of a line or of lists need no space between them.
        let is_short = |block: &Block| matches!(block, Block::Paragraph(_) | Block::List(..));
        let is_tight = |item: &Vec<Block>| {
            item.iter().all(is_short)
                && item.iter().filter(|block| matches!(block, Block::Paragraph(_))).count() < 2
        };
        let tight = items.iter().all(is_tight);
        let last =
            from.map(|from| from.saturating_add(items.len() as u64).saturating_sub(1).to_string().len());
        let mut out = Vec::new();
        for (at, item) in items.iter().enumerate() {
            if at > 0 && !tight {
                out.push(String::new());
            }
            let mark = match (from, last) {
                (Some(from), Some(digits)) => format!("{:>digits$}.", from.saturating_add(at as u64)),
                (Some(_) | None, _) => self.style.pick("•", "-").to_owned(),
            };
            let margin = mark.chars().count() + 1;
            let room = width.saturating_sub(margin).max(8);
            let inside = match tight {
                true => item.iter().flat_map(|block| self.block(block, room)).collect(),
                false => self.blocks(item, room),
            };
            let mut start = format!("{mark} ");
            for line in inside {
                out.push(format!("{start}{line}").trim_end().to_owned());
                start = " ".repeat(margin);
            }
        }
        out
    }

    fn table(
        &self,
        alignments: &[Alignment],
        head: &[Cell],
        rows: &[Vec<Cell>],
        width: usize,
    ) -> Vec<String> {
        let strong = Look::default().with(Tone::Strong);
        let columns = head.len();
        let cells = || {
            std::iter::once((head, strong)).chain(rows.iter().map(|row| (row.as_slice(), Look::default())))
        };
        let mut widths = vec![1; columns];
        for (row, look) in cells() {
            for (natural, cell) in widths.iter_mut().zip(row) {
                let lines = self.wrapped(cell, look, usize::MAX, false);
                *natural =
                    lines.iter().map(|line| console::measure_text_width(line)).fold(*natural, usize::max);
            }
        }
        let room = width.saturating_sub(GAP * columns.saturating_sub(1));
        if room < NARROW * columns {
            return self.records(head, rows, width);
        }
        while widths.iter().sum::<usize>() > room
            && let Some(widest) = widths.iter_mut().max()
        {
            *widest -= 1;
        }
        let mut out = Vec::new();
        for (at, (row, look)) in cells().enumerate() {
            let laid: Vec<Vec<String>> =
                row.iter().zip(&widths).map(|(cell, width)| self.wrapped(cell, look, *width, true)).collect();
            for line in 0..laid.iter().map(Vec::len).max().unwrap_or(0) {
                let fitted = laid.iter().zip(&widths).zip(alignments).map(|((cell, width), alignment)| {
                    let text = cell.get(line).map_or("", String::as_str);
                    let missing = width.saturating_sub(console::measure_text_width(text));
                    let before = match alignment {
                        Alignment::Right => missing,
                        Alignment::Center => missing / 2,
                        Alignment::Left | Alignment::None => 0,
                    };
                    format!("{}{text}{}", " ".repeat(before), " ".repeat(missing - before))
                });
                out.push(fitted.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned());
            }
            if at == 0 {
                let rules = widths.iter().map(|width| self.style.rule().repeat(*width)).collect::<Vec<_>>();
                out.push(self.style.paint(Tone::Dim, rules.join(&" ".repeat(GAP))));
            }
        }
        out
    }

    /// A table that is too wide for its columns: a line for each cell under the name of its column.
    fn records(&self, head: &[Cell], rows: &[Vec<Cell>], width: usize) -> Vec<String> {
        let mut out = Vec::new();
        for row in rows {
            if !out.is_empty() {
                out.push(String::new());
            }
            for (name, cell) in head.iter().zip(row) {
                let mut line = vec![Inline::Strong(name.clone()), Inline::Text(": ".to_owned())];
                line.extend(cell.iter().cloned());
                out.extend(self.wrapped(&line, Look::default(), width, true));
            }
        }
        out
    }

    fn wrapped(&self, inlines: &[Inline], look: Look, width: usize, break_all: bool) -> Vec<String> {
        let mut words = Words { style: self.style, items: Vec::new(), open: false };
        words.take(inlines, look);
        let mut rows: Vec<Vec<Word>> = vec![Vec::new()];
        let mut used = 0;
        for item in words.items {
            let Item::Word(word) = item else {
                rows.push(Vec::new());
                used = 0;
                continue;
            };
            if used > 0 && used + 1 + word.columns > width {
                rows.push(Vec::new());
                used = 0;
            }
            let must_break = word.columns > width && (break_all || !word.whole);
            for (at, part) in if must_break { word.broken(width) } else { vec![word] }.into_iter().enumerate()
            {
                if at > 0 {
                    rows.push(Vec::new());
                    used = 0;
                }
                used += part.columns + usize::from(used > 0);
                rows.last_mut().into_iter().for_each(|row| row.push(part.clone()));
            }
        }
        rows.iter()
            .map(|row| row.iter().map(|word| self.painted(word)).collect::<Vec<_>>().join(" "))
            .collect()
    }

    fn painted(&self, word: &Word) -> String {
        let paint = |(text, look): &(String, Look)| {
            look.tones.iter().flatten().fold(text.clone(), |text, tone| self.style.paint(*tone, text))
        };
        word.pieces.iter().map(paint).collect()
    }
}

impl Word {
    /// In words of at most so many columns; of one character at least.
    fn broken(self, width: usize) -> Vec<Word> {
        let mut words = vec![Word::default()];
        for (text, look) in self.pieces {
            let mut kept = String::new();
            for c in text.chars() {
                let columns = console::measure_text_width(c.encode_utf8(&mut [0; 4]));
                if let Some(word) =
                    words.last_mut().filter(|word| word.columns > 0 && word.columns + columns > width)
                {
                    word.pieces.push((std::mem::take(&mut kept), look));
                    words.push(Word::default());
                }
                kept.push(c);
                words.last_mut().into_iter().for_each(|word| word.columns += columns);
            }
            words.last_mut().into_iter().for_each(|word| word.pieces.push((std::mem::take(&mut kept), look)));
        }
        words
    }
}

/// A line taken apart into words.
struct Words<'a> {
    style: &'a Style,
    items: Vec<Item>,
    /// Whether the last word goes on.
    open: bool,
}

impl Words<'_> {
    fn take(&mut self, inlines: &[Inline], look: Look) {
        for inline in inlines {
            match inline {
                Inline::Text(text) => self.text(text, look),
                Inline::Code(text) => {
                    self.marked("`", look.with(Tone::Info), |words, look| words.text(text, look))
                }
                Inline::Break => {
                    self.items.push(Item::Break);
                    self.open = false;
                }
                Inline::Emphasis(inside) => {
                    self.marked("*", look.with(Tone::Emphasis), |words, look| words.take(inside, look));
                }
                Inline::Strong(inside) => {
                    self.marked("**", look.with(Tone::Strong), |words, look| words.take(inside, look));
                }
                Inline::Strike(inside) => {
                    self.marked("~~", look.with(Tone::Strike), |words, look| words.take(inside, look));
                }
                Inline::Link(to, inside) => {
                    // An address that is its own text is said once.
                    let same = matches!(inside.as_slice(), [Inline::Text(text)] if to.strip_prefix("mailto:").unwrap_or(to) == text);
                    if !same {
                        self.take(inside, look);
                        self.text(" ", look);
                    }
                    self.address(to, look, same);
                }
                Inline::Image(to, inside) => {
                    self.text("[image: ", look);
                    self.take(inside, look);
                    self.text("] ", look);
                    self.address(to, look, false);
                }
            }
        }
    }

    /// Marks around what has no colour to tell it.
    fn marked(&mut self, mark: &str, look: Look, inside: impl FnOnce(&mut Self, Look)) {
        let mark = if self.style.color { "" } else { mark };
        self.text(mark, look);
        inside(self, look);
        self.text(mark, look);
    }

    fn address(&mut self, to: &str, look: Look, alone: bool) {
        let (before, after) = if alone { ("", "") } else { ("(", ")") };
        let to = sanitise::line(to, self.style).replace(' ', "%20");
        self.text(before, look);
        self.text(&to, look.with(Tone::Info));
        if let Some(Item::Word(word)) = self.items.last_mut() {
            word.whole = true;
        }
        self.text(after, look);
    }

    fn text(&mut self, text: &str, look: Look) {
        let clean = sanitise::text(text, self.style);
        let mut rest = clean.as_ref();
        while !rest.is_empty() {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let (piece, after) = rest.split_at(end);
            if !piece.is_empty() {
                self.piece(piece, look);
            }
            let next = after.trim_start();
            self.open &= next.len() == after.len();
            rest = next;
        }
    }

    fn piece(&mut self, piece: &str, look: Look) {
        if !self.open {
            self.items.push(Item::Word(Word::default()));
        }
        self.open = true;
        if let Some(Item::Word(word)) = self.items.last_mut() {
            word.columns += console::measure_text_width(piece);
            word.pieces.push((piece.to_owned(), look));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# What I found\n\nTwo *real* problems, **one** of them in `src/lib.rs`, ~~three~~ in all.\nSee \
        [the guide](https://example.org/guide) or <https://example.org>.\n\n1. First, a long sentence that has to be \
        wrapped where the page ends.\n2. Second\n   - inner\n   - [x] done\n\n> A quote\n> of two lines\n\n\
        ```rust\nfn main() {\n\tprintln!(\"a line that is not wrapped, however long it may be, because it is code\");\n}\n```\n\n\
        | file | line | what |\n|---|--:|:-:|\n| src/a.rs | 7 | `unwrap` on **user** input |\n| b.rs | 1200 | a rather long \
        explanation that needs more than a line |\n\n![logo](x.png)\n\n---\n<b>not bold</b>\n";

    fn shown(text: &str, width: usize, color: bool) -> String {
        let style = Style { color, unicode: color, ..Style::plain() };
        lines(text, &style, width).unwrap().join("\n").replace('\x1b', "<esc>")
    }

    #[test]
    fn a_text_at_every_width() {
        for width in [36, 76, 118] {
            insta::assert_snapshot!(format!("prose_{width}"), shown(TEXT, width, false));
            insta::assert_snapshot!(format!("prose_{width}_color"), shown(TEXT, width, true));
        }
    }

    #[test]
    fn lines_fit_however_narrow_it_is() {
        for width in [13, 20, 41, 80] {
            for line in shown(TEXT, width, false).lines() {
                let is_code = line.starts_with("    ") || line.contains("https://");
                assert!(is_code || line.chars().count() <= width, "{width}: {line:?}");
            }
        }
    }

    #[test]
    fn no_entity_and_no_address_brings_a_control_character() {
        let text = "a &#27;[31mred&#x9b;2J &#8238;x\u{1b}[2J [l](https://x/&#27;]0;t&#7;) `c\u{7}` \
            <https://a.example/\u{200b}>\n\n    code \u{1b}[1m\n\n| &#27;c |\n|-|\n| \u{9b}1m |\n";
        for color in [false, true] {
            let style = Style { color, ..Style::plain() };
            for line in lines(text, &style, 60).unwrap() {
                let ours = console::strip_ansi_codes(&line);
                assert!(!ours.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
                // No sequence but those of colours.
                let codes = line.split('\x1b').skip(1).all(|code| {
                    code.split_once('m')
                        .is_some_and(|(code, _)| code.trim_start_matches('[').parse::<u8>().is_ok())
                });
                assert!(codes, "{line:?}");
            }
        }
    }

    #[test]
    fn a_word_without_an_end_is_broken_in_one_go() {
        let long = "x".repeat(500_000);
        assert_eq!(lines(&long, &Style::plain(), 50).unwrap().len(), 10_000);
        let table = format!("| a | b |\n|-|-|\n| {long} | {long} |\n");
        assert_eq!(lines(&table, &Style::plain(), 52).unwrap().len(), 2 + 20_000);
    }

    #[test]
    fn plain_lines_stay_as_they_are() {
        assert_eq!(
            shown("alpha\nbeta\n\ngamma_delta * 2 < 3", 40, true),
            "alpha\nbeta\n\ngamma_delta * 2 < 3"
        );
        assert_eq!(lines("", &Style::plain(), 40), None);
        assert_eq!(shown("国国国国国国", 8, false), "国国国国\n国国");
    }
}
