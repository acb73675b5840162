//! What a model wrote, in Markdown of ours.
//!
//! Invariant: only headings, lists, quotations, tables, code and emphasis come through; every text is
//! escaped or stands in code, and a link or an image is its text and its address, which leads nowhere.

use std::fmt::Write as _;

use super::{code, escape, longest_run};
use crate::report::prose::{self, Block, Cell, Inline};

/// The whole of a text; `None` where it is no Markdown that could be laid out.
pub(super) fn written(text: &str) -> Option<String> {
    let mut out = String::new();
    blocks(&mut out, "", &prose::read(text)?);
    Some(out)
}

/// A text within a sentence: its first paragraph's emphasis and code, the rest on the same line.
pub(super) fn inside(text: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match prose::read(&flat).as_deref() {
        Some([Block::Paragraph(text)]) => inlines(text, " "),
        _ => escape(&flat),
    }
}

fn blocks(out: &mut String, margin: &str, all: &[Block]) {
    for one in all {
        block(out, margin, one);
    }
}

fn block(out: &mut String, margin: &str, block: &Block) {
    match block {
        // Headings of the document stay above these.
        Block::Heading(level, text) => {
            let marks = "#".repeat(usize::from(*level).saturating_add(3).min(6));
            let _ = writeln!(out, "{margin}{marks} {}\n{}", inlines(text, " "), margin.trim_end());
        }
        Block::Paragraph(text) => {
            let text = inlines(text, &format!("  \n{margin}"));
            let _ = writeln!(out, "{margin}{text}\n{}", margin.trim_end());
        }
        Block::Code(text) => {
            let text = super::clean(text);
            let fence = "`".repeat(longest_run(&text).max(2) + 1);
            let _ = writeln!(out, "{margin}{fence}");
            text.lines().for_each(|line| {
                let _ = writeln!(out, "{margin}{line}");
            });
            let _ = writeln!(out, "{margin}{fence}\n{}", margin.trim_end());
        }
        Block::Quote(inside) => {
            blocks(out, &format!("{margin}> "), inside);
            let _ = writeln!(out, "{}", margin.trim_end());
        }
        Block::List(from, items) => {
            for (n, item) in items.iter().enumerate() {
                let mark = from
                    .map_or_else(|| "- ".to_owned(), |from| format!("{}. ", from.saturating_add(n as u64)));
                let mut inside = String::new();
                blocks(&mut inside, &format!("{margin}{}", " ".repeat(mark.len())), item);
                let own = inside.get(margin.len() + mark.len()..).unwrap_or_default();
                let _ = writeln!(out, "{margin}{mark}{}", own.trim_end());
            }
            let _ = writeln!(out, "{}", margin.trim_end());
        }
        Block::Table(alignments, head, rows) => {
            let row = |cells: &[Cell]| {
                let cells: Vec<String> = cells.iter().map(|cell| in_cell(&inlines(cell, " "))).collect();
                format!("{margin}| {} |", cells.join(" | "))
            };
            let _ = writeln!(out, "{}\n{margin}|{}", row(head), " --- |".repeat(alignments.len()));
            rows.iter().for_each(|cells| {
                let _ = writeln!(out, "{}", row(cells));
            });
            let _ = writeln!(out, "{}", margin.trim_end());
        }
        Block::Rule => {
            let _ = writeln!(out, "{margin}---\n{}", margin.trim_end());
        }
    }
}

/// A bar ends a cell even in code, unless it is escaped.
fn in_cell(text: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    for c in text.chars() {
        if c == '|' && before != '\\' {
            out.push('\\');
        }
        out.push(c);
        before = c;
    }
    out
}

fn inlines(all: &[Inline], line_end: &str) -> String {
    all.iter().map(|one| inline(one, line_end)).collect()
}

fn inline(inline: &Inline, line_end: &str) -> String {
    let around = |mark: &str, inside: &[Inline]| {
        let text = inlines(inside, line_end);
        // A mark beside white space is no mark.
        if text.trim() == text && !text.is_empty() { format!("{mark}{text}{mark}") } else { text }
    };
    match inline {
        Inline::Text(text) => within(text),
        Inline::Code(text) => code(text),
        Inline::Break => line_end.to_owned(),
        Inline::Emphasis(inside) => around("*", inside),
        Inline::Strong(inside) => around("**", inside),
        Inline::Strike(inside) => around("~~", inside),
        Inline::Link(to, inside) | Inline::Image(to, inside) => {
            let text = inlines(inside, line_end);
            if matches!(inside.as_slice(), [Inline::Text(same)] if same == to) {
                code(to)
            } else {
                format!("{text} ({})", code(to))
            }
        }
    }
}

/// A piece of a line: the spaces at its ends count.
fn within(text: &str) -> String {
    let before = if text.starts_with(' ') { " " } else { "" };
    let after = if text.len() > 1 && text.ends_with(' ') { " " } else { "" };
    let inside = text.trim();
    if inside.is_empty() { before.to_owned() } else { format!("{before}{}{after}", escape(inside)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_markup_comes_through_and_what_leads_away_does_not() {
        let text = "# Title\n\nSee **this** and `x|y`, [here](https://evil.example/?q) <img src=x> @all #12\n\n- a\n- b\n  1. c\n\n\
                    | h |\n| --- |\n| `p` |\n\n```sh\nrm -rf /\n```\n> said\n";
        let written = written(text).unwrap();
        assert_eq!(
            written.trim_end(),
            "#### Title\n\nSee **this** and `x|y`, here (`https://evil.example/?q`) &lt;img src=x&gt; @\u{2060}all \\#\u{2060}12\n\n\
             - a\n- b\n\n  1. c\n\n| h |\n| --- |\n| `p` |\n\n```\nrm -rf /\n```\n\n> said\n>",
        );
    }

    #[test]
    fn within_a_sentence_it_is_one_line() {
        assert_eq!(inside("it **is**\nso: `a`"), "it **is** so: `a`");
        assert_eq!(inside("# no heading"), "\\#\u{2060} no heading");
    }
}
