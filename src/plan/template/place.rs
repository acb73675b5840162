//! From a place in a scalar's text back to the bytes of the file that it was read from.
//!
//! Text and file are walked side by side: runs of white space stand for each other
//! (indentation, folding, line ends), everything else must be the same character,
//! escapes included. Where that fails, the whole scalar is the place: never a wrong one.

use std::cell::OnceCell;
use std::ops::Range;

use super::{ScalarText, Style};
use crate::plan::diagnostic::Span;

/// Finds places inside one scalar. Costs nothing until the first one is asked for.
pub(super) struct Places<'a> {
    scalar: ScalarText<'a>,
    table: OnceCell<Option<Table>>,
}

/// For each byte of a text, and its end, the byte of `raw` that it comes from.
enum Table {
    /// The text stands there as it is, so many bytes in.
    Shifted(u32),
    /// Byte by byte.
    Each(Vec<u32>),
}

impl<'a> Places<'a> {
    /// For this scalar.
    pub(super) fn new(scalar: ScalarText<'a>) -> Places<'a> {
        Places { scalar, table: OnceCell::new() }
    }

    /// Where these bytes of the scalar's text stand in the file.
    pub(super) fn span(&self, range: Range<usize>) -> Span {
        let at = self.scalar.at;
        let table = self.table.get_or_init(|| align(&self.scalar));
        let place = |offset: usize| match table.as_ref()? {
            Table::Shifted(by) if offset <= self.scalar.text.len() => Some(by + u32::try_from(offset).ok()?),
            Table::Shifted(_) => None,
            Table::Each(table) => table.get(offset).copied(),
        };
        let (Some(start), Some(end)) = (place(range.start), place(range.end)) else { return at };
        Span { file: at.file, start: at.start + start, end: at.start + end.max(start) }
    }
}

/// Finds out how text and `raw` stand to each other.
fn align(scalar: &ScalarText) -> Option<Table> {
    let (text, raw) = (scalar.text, scalar.raw);
    if text == raw {
        return Some(Table::Shifted(0));
    }
    let (mut at, end) = content(raw, scalar.style)?;
    // Nearly every text is like this; an escape is longer than what it stands for, so the same
    // bytes are the same characters.
    if raw.get(at..end) == Some(text) && !text.contains(['\\', '\n', '\r']) {
        return Some(Table::Shifted(u32::try_from(at).ok()?));
    }
    let mut table = vec![0; text.len() + 1];
    let mut chars = text.char_indices().peekable();
    loop {
        let blank = at;
        while at < end {
            match unit(raw, at, end, scalar.style)? {
                (None | Some(' ' | '\t' | '\n' | '\r'), next) => at = next,
                (Some(_), _) => break,
            }
        }
        let mut skipped = 0;
        while let Some((offset, _)) = chars.next_if(|(_, c)| matches!(c, ' ' | '\t' | '\n' | '\r')) {
            *table.get_mut(offset)? = u32::try_from((blank + skipped).min(at)).ok()?;
            skipped += 1;
        }
        let Some((offset, c)) = chars.next() else {
            *table.last_mut()? = u32::try_from(blank).ok()?;
            return (at == end).then_some(Table::Each(table));
        };
        let (Some(same), next) = unit(raw, at, end, scalar.style)? else { return None };
        if same != c {
            return None;
        }
        table.get_mut(offset..offset + c.len_utf8())?.fill(u32::try_from(at).ok()?);
        at = next;
    }
}

/// The bytes of `raw` that hold the text: without quotes, without the header of a block.
fn content(raw: &str, style: Style) -> Option<(usize, usize)> {
    match style {
        Style::Plain => Some((0, raw.len())),
        Style::SingleQuoted | Style::DoubleQuoted => {
            let quote = if style == Style::SingleQuoted { '\'' } else { '"' };
            let inner = raw.strip_prefix(quote)?.strip_suffix(quote)?;
            Some((1, 1 + inner.len()))
        }
        Style::Literal | Style::Folded if raw.starts_with(['|', '>']) => {
            Some((raw.find('\n').map_or(raw.len(), |newline| newline + 1), raw.len()))
        }
        Style::Literal | Style::Folded => Some((0, raw.len())),
    }
}

/// One character of the text as `raw` writes it, and where the next begins.
///
/// No character for an escaped line break. `None` for a broken escape or the end.
fn unit(raw: &str, at: usize, end: usize, style: Style) -> Option<(Option<char>, usize)> {
    let rest = raw.get(at..end)?;
    let c = rest.chars().next()?;
    let plain = (Some(c), at + c.len_utf8());
    match (style, c) {
        (Style::SingleQuoted, '\'') => Some((Some('\''), at + 2)),
        (Style::DoubleQuoted, '\\') => {
            let code = rest.chars().nth(1)?;
            let hex = |digits: usize| {
                let number = u32::from_str_radix(rest.get(2..2 + digits)?, 16).ok()?;
                Some((Some(char::from_u32(number)?), at + 2 + digits))
            };
            let named = |c: char| Some((Some(c), at + 1 + code.len_utf8()));
            match code {
                'x' => hex(2),
                'u' => hex(4),
                'U' => hex(8),
                '\n' => Some((None, at + 2)),
                '\r' => Some((None, at + 2)),
                'n' => named('\n'),
                't' => named('\t'),
                'r' => named('\r'),
                '0' => named('\0'),
                'a' => named('\x07'),
                'b' => named('\x08'),
                'e' => named('\x1b'),
                'v' => named('\x0b'),
                'f' => named('\x0c'),
                'N' => named('\u{85}'),
                '_' => named('\u{a0}'),
                'L' => named('\u{2028}'),
                'P' => named('\u{2029}'),
                same => named(same),
            }
        }
        (Style::Plain | Style::SingleQuoted | Style::DoubleQuoted | Style::Literal | Style::Folded, _) => {
            Some(plain)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where `needle` of the text is found in the file.
    fn found(raw: &str, style: Style, text: &str, needle: &str) -> String {
        let at = Span { file: 0, start: 100, end: 100 + raw.len() as u32 };
        let start = text.find(needle).unwrap();
        let span = Places::new(ScalarText { text, at, raw, style }).span(start..start + needle.len());
        raw[span.start as usize - 100..span.end as usize - 100].to_owned()
    }

    #[test]
    fn a_place_is_found_in_every_style_of_scalar() {
        assert_eq!(found("a {{ b }} c", Style::Plain, "a {{ b }} c", "b"), "b");
        assert_eq!(found("x\n   {{ b }}\n  c", Style::Plain, "x {{ b }} c", "{{ b }}"), "{{ b }}");
        assert_eq!(found("'it''s {{ b }}'", Style::SingleQuoted, "it's {{ b }}", "b"), "b");
        let escaped = r#""\x41\n \u00e9 \"{{ b['x'] }}\" \
            end""#;
        assert_eq!(found(escaped, Style::DoubleQuoted, "A\n é \"{{ b['x'] }}\" end", "b['x']"), "b['x']");
        let literal = "|-  # note\n    one\n\n      {{ two }}\n    three";
        assert_eq!(found(literal, Style::Literal, "one\n\n  {{ two }}\nthree", "two"), "two");
        assert_eq!(found("one\n      {{ two }}\n", Style::Literal, "one\n  {{ two }}\n", "two"), "two");
        assert_eq!(
            found(">\n  one\n  {{ two }}\n", Style::Folded, "one {{ two }}\n", "{{ two }}"),
            "{{ two }}"
        );
        assert_eq!(found("| \r\n  a\r\n  {{ b }}\r\n", Style::Literal, "a\n{{ b }}\n", "b"), "b");
    }

    #[test]
    fn the_end_of_the_text_is_a_place_too() {
        let raw = "|\n  a {{ b\n\n";
        let at = Span { file: 0, start: 0, end: raw.len() as u32 };
        let text = "a {{ b\n";
        let places = Places::new(ScalarText { text, at, raw, style: Style::Literal });
        assert_eq!(places.span(2..text.len()), Span { file: 0, start: 6, end: 10 });
    }

    #[test]
    fn a_text_that_does_not_match_its_file_is_placed_as_a_whole() {
        let at = Span { file: 1, start: 7, end: 10 };
        let places = Places::new(ScalarText { text: "something else", at, raw: "abc", style: Style::Plain });
        assert_eq!(places.span(3..5), at);
    }
}
