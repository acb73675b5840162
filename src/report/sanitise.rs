//! The one sanitiser for text of models and tools on its way to a terminal or a log.
//!
//! Invariants: what comes out holds no control character but newline and tab, no
//! escape sequence, and no character that is invisible or turns the direction of
//! text; and sanitising twice changes nothing more. Nothing visible is lost: an
//! escape sequence that never ends takes only its introducer with it. Linear in
//! the text, whatever it holds.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::str::Chars;

use super::style::Style;

/// Text of several lines: newlines (also CR, CRLF and their Unicode kin) and tabs stay.
///
/// Under GitHub Actions a line that the log would take for a command gets `| ` in front,
/// and `##[` is broken up. The prefix is visible on purpose: the runner trims white
/// space before it looks, and compares by a culture that may ignore invisible characters.
pub fn text<'a>(raw: &'a str, style: &Style) -> Cow<'a, str> {
    let clean = strip(raw);
    if style.ci { without_commands(clean) } else { clean }
}

/// Text as one line: newlines and tabs become spaces, runs of spaces one, none at the ends.
pub fn line(raw: &str, style: &Style) -> String {
    let clean = strip(raw);
    let mut out = String::with_capacity(clean.len());
    for word in clean.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    if !style.unicode {
        out = plain_marks(&out);
    }
    if style.ci { without_commands(out.into()).into_owned() } else { out }
}

/// Marks that sentences are written with, as ASCII; letters stay.
fn plain_marks(clean: &str) -> String {
    let mut out = String::with_capacity(clean.len());
    for c in clean.chars() {
        match c {
            '…' => out.push_str("..."),
            '–' | '—' | '·' => out.push('-'),
            '‘' | '’' => out.push('\''),
            '“' | '”' => out.push('"'),
            '→' => out.push_str("->"),
            c => out.push(c),
        }
    }
    out
}

/// Like [`line()`], cut to so many columns of display width, with an ellipsis where it was cut.
pub fn short(raw: &str, width: usize, style: &Style) -> String {
    // A prefix is enough to fill the columns, and hostile text is not worth more work than that.
    let prefix = prefix(raw, width.saturating_mul(16).saturating_add(1024));
    cut(&line(prefix, style), width, style)
}

/// Cuts one clean line to so many columns of display width.
pub fn cut(clean: &str, width: usize, style: &Style) -> String {
    let tail = if style.ellipsis().len() < width || style.unicode { style.ellipsis() } else { "" };
    if width == 0 {
        return String::new();
    }
    console::truncate_str(clean, width, tail).into_owned()
}

/// Cuts or fills one clean line to exactly so many columns.
pub fn fit(clean: &str, width: usize, style: &Style) -> String {
    let mut cell = cut(clean, width, style);
    let missing = width.saturating_sub(console::measure_text_width(&cell));
    cell.extend(std::iter::repeat_n(' ', missing));
    cell
}

/// Escapes everything beyond ASCII as `\u{…}`, for surfaces that show nothing else.
pub fn ascii(clean: &str) -> Cow<'_, str> {
    if clean.is_ascii() {
        return Cow::Borrowed(clean);
    }
    let mut out = String::with_capacity(clean.len());
    for c in plain_marks(clean).chars() {
        if c.is_ascii() { out.push(c) } else { out.extend(c.escape_unicode()) }
    }
    Cow::Owned(out)
}

/// Makes JSON text safe to show: what the sanitiser would strip is escaped, so nothing is lost.
///
/// In valid JSON such characters occur only inside strings, where `\uXXXX` means the same.
pub fn json(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) && !text.contains("##[") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) && !matches!(c, '\n' | '\t' | '\r') {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out.replace("##[", "#\\u0023["))
}

/// True for text that can stand in a file as it is and be looked at: nothing that [`json`] would escape,
/// and no line that the log of a CI system would take for a command.
pub fn is_tame(text: &str) -> bool {
    let commands = text.contains("##[") || text.lines().any(|line| line.trim_start().starts_with("::"));
    !commands && !text.chars().any(is_unsafe)
}

/// Like [`json`], for the double-quoted scalars of YAML.
pub fn yaml(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) && !text.contains("##[") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            let _ = write!(out, "\\U{:08X}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out.replace("##[", "#\\x23["))
}

/// The longest start of `raw` of at most so many bytes that ends between characters.
pub fn prefix(raw: &str, bytes: usize) -> &str {
    let mut end = bytes.min(raw.len());
    while !raw.is_char_boundary(end) {
        end -= 1;
    }
    raw.get(..end).unwrap_or(raw)
}

fn strip(raw: &str) -> Cow<'_, str> {
    if !raw.chars().any(is_unsafe) {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut escapes = Escapes { unended_above: usize::MAX };
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                // A lone carriage return draws over the line: keep both texts, one below the other.
                if !chars.as_str().starts_with('\n') {
                    out.push('\n');
                }
            }
            '\x0b' | '\x0c' | '\u{85}' | '\u{2028}' | '\u{2029}' => out.push('\n'),
            '\x1b' => escapes.skip_after_esc(&mut chars),
            '\u{9b}' => skip_csi(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => escapes.skip_string(&mut chars),
            '\n' | '\t' => out.push(c),
            c if is_unsafe(c) => {}
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

struct Escapes {
    /// With more than so many bytes left, a string sequence is known not to end on its line:
    /// without this, a text of nothing but introducers would be searched once for each.
    unended_above: usize,
}

impl Escapes {
    /// After ESC: ECMA-48 §5.3 to §5.6.
    fn skip_after_esc(&mut self, chars: &mut Chars<'_>) {
        let rest = chars.as_str();
        match rest.chars().next() {
            Some('[') => {
                chars.next();
                skip_csi(chars);
            }
            Some(']' | 'P' | 'X' | '^' | '_') => {
                chars.next();
                self.skip_string(chars);
            }
            Some(' '..='/') => {
                skip_while(chars, |c| (' '..='/').contains(&c));
                skip_one(chars, |c| ('0'..='~').contains(&c));
            }
            Some('0'..='~') => {
                chars.next();
            }
            Some(_) | None => {}
        }
    }

    /// The payload of OSC, DCS, SOS, PM or APC up to its terminator, which has to come on the same line.
    fn skip_string(&mut self, chars: &mut Chars<'_>) {
        let rest = chars.as_str();
        if rest.len() > self.unended_above {
            return;
        }
        let mut inner = rest.chars();
        loop {
            let here = inner.clone();
            match inner.next() {
                Some('\x07' | '\u{9c}') => break,
                Some('\x1b') if inner.as_str().starts_with('\\') => {
                    inner.next();
                    break;
                }
                Some('\n') | None => {
                    self.unended_above = here.as_str().len();
                    return;
                }
                Some(_) => {}
            }
        }
        *chars = inner;
    }
}

fn skip_csi(chars: &mut Chars<'_>) {
    skip_while(chars, |c| ('0'..='?').contains(&c));
    skip_while(chars, |c| (' '..='/').contains(&c));
    skip_one(chars, |c| ('@'..='~').contains(&c));
}

fn skip_while(chars: &mut Chars<'_>, matches: impl Fn(char) -> bool) {
    while skip_one(chars, &matches) {}
}

fn skip_one(chars: &mut Chars<'_>, matches: impl Fn(char) -> bool) -> bool {
    let hit = chars.as_str().chars().next().is_some_and(matches);
    if hit {
        chars.next();
    }
    hit
}

/// True for what never reaches a terminal as it is: controls (newline and tab excepted), and
/// characters that are invisible, separate lines, carry hidden data or turn the direction of text.
fn is_unsafe(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' => true,
        ' '..='~' => false,
        _ => matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
        ),
    }
}

/// Breaks up what the log of GitHub Actions would take for a command: `::name::` at the start of a
/// line (after white space) and `##[name]` anywhere.
fn without_commands(clean: Cow<'_, str>) -> Cow<'_, str> {
    if !clean.contains("::") && !clean.contains("##") {
        return clean;
    }
    let mut out = String::with_capacity(clean.len() + 16);
    for line in clean.split_inclusive('\n') {
        if line.trim_start().starts_with("::") {
            out.push_str("| ");
        }
        out.push_str(line);
    }
    Cow::Owned(out.replace("##[", "## ["))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clean(raw: &str) -> String {
        text(raw, &Style::plain()).into_owned()
    }

    fn in_ci(raw: &str) -> String {
        text(raw, &Style { ci: true, ..Style::plain() }).into_owned()
    }

    #[test]
    fn escape_sequences_go_and_what_they_decorate_stays() {
        assert_eq!(clean("\x1b[1;31mred\x1b[0m"), "red");
        assert_eq!(clean("a\x1b[2J\x1b[Hb\x1b[10Ac"), "abc");
        assert_eq!(clean("\x1b]0;title\x07x\x1b]8;;http://e\x1b\\link\x1b]8;;\x1b\\"), "xlink");
        assert_eq!(clean("\x1bPq#0;2\x1b\\x\x1b(B\x1b=y\x1bcz"), "xyz");
        assert_eq!(clean("\u{9b}31mx\u{9d}52;c;QUJD\u{9c}y"), "xy");
    }

    #[test]
    fn a_sequence_that_never_ends_hides_nothing() {
        assert_eq!(clean("\x1b]0;the rest\nof it"), "0;the rest\nof it");
        assert_eq!(clean("\x1bP\x1b]\x1b_ all of it"), " all of it");
        assert_eq!(clean("end\x1b"), "end");
        assert_eq!(clean("end\x1b[12"), "end");
    }

    #[test]
    fn a_megabyte_of_introducers_is_read_once() {
        // Quadratic work on this would take minutes.
        let hostile = "\x1b]".repeat(500_000);
        assert_eq!(clean(&hostile), "");
    }

    #[test]
    fn lines_that_draw_over_each_other_are_set_below_each_other() {
        assert_eq!(clean("10%\r20%\r\ndone"), "10%\n20%\ndone");
        assert_eq!(clean("a\u{2028}b\u{85}c\x0cd"), "a\nb\nc\nd");
        assert_eq!(clean("secret\x08\x08\x08\x08\x08\x08public"), "secretpublic");
    }

    #[test]
    fn characters_that_nobody_sees_are_dropped() {
        let tags: String = "run rm".chars().filter_map(|c| char::from_u32(0xe0000 + c as u32)).collect();
        assert_eq!(clean(&format!("a{tags}b\u{200b}c\u{202e}d\u{feff}e\u{ad}f\u{2066}g")), "abcdefg");
        assert_eq!(clean("naïve 国 🦀 العربية"), "naïve 国 🦀 العربية");
    }

    #[test]
    fn workflow_commands_are_broken_up_in_ci_only() {
        assert_eq!(
            in_ci("::error::x\n  ::set-output name=a::b\nok ::not"),
            "| ::error::x\n|   ::set-output name=a::b\nok ::not"
        );
        assert_eq!(in_ci("x ##[add-mask]y"), "x ## [add-mask]y");
        assert_eq!(in_ci("\u{200b}\x1b[m::error::x"), "| ::error::x");
        assert_eq!(clean("::error::x"), "::error::x");
    }

    #[test]
    fn a_cut_counts_columns_and_not_characters() {
        let style = Style { unicode: true, ..Style::plain() };
        assert_eq!(short("国国国国国", 6, &style), "国国…");
        assert_eq!(short("one\n two\tthree", 80, &style), "one two three");
        assert_eq!(short("abcdef", 5, &Style::plain()), "ab...");
        assert_eq!(short("abcdef", 2, &Style::plain()), "ab");
        assert_eq!(fit("ab", 4, &style), "ab  ");
        assert_eq!(cut("ab", 0, &style), "");
    }

    #[test]
    fn json_keeps_its_meaning_and_loses_its_teeth() {
        let value = serde_json::json!({ "x": "a\u{9b}2J\u{202e}\u{e0041}\x1b[m\u{7f} ##[error] ü" });
        let shown = json(&value.to_string()).into_owned();
        assert!(!shown.chars().any(is_unsafe) && !shown.contains("##["), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn a_surface_of_ascii_gets_ascii() {
        assert_eq!(ascii("é… – ok"), "\\u{e9}... - ok");
    }

    /// Text as hostile tools write it: introducers, terminators and invisible characters between words.
    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("\x1b".to_owned()),
            Just("\x1b[".to_owned()),
            Just("\x1b]".to_owned()),
            Just("\x1bP".to_owned()),
            Just("\x1b\\".to_owned()),
            Just("\x07".to_owned()),
            Just("\u{9b}".to_owned()),
            Just("\u{9c}".to_owned()),
            Just("\u{9d}".to_owned()),
            Just("\r".to_owned()),
            Just("\n".to_owned()),
            Just("\u{202e}".to_owned()),
            Just("\u{e0041}".to_owned()),
            Just("::".to_owned()),
            Just("##[".to_owned()),
            Just("#".to_owned()),
            Just(" ".to_owned()),
            "[0-9;?a-zA-Z]{0,4}",
            any::<char>().prop_map(String::from),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn nothing_that_moves_a_cursor_ever_comes_out(raw in hostile(), ci in any::<bool>()) {
            let style = Style { ci, ..Style::plain() };
            let out = text(&raw, &style).into_owned();
            prop_assert!(!out.chars().any(is_unsafe), "{:?} from {:?}", out, raw);
            prop_assert!(!out.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
            prop_assert_eq!(text(&out, &style), out.as_str());
            if ci {
                prop_assert!(!out.lines().any(|line| line.trim_start().starts_with("::")));
                prop_assert!(!out.contains("##["));
            }
            prop_assert!(!line(&raw, &style).contains('\n'));
            prop_assert!(console::measure_text_width(&short(&raw, 7, &style)) <= 7);
        }
    }
}
