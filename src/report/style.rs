//! How a surface looks: colour, characters, size. Decided once, at the edge, and passed down.
//!
//! Invariant: nothing below asks the environment or a terminal; the same [`Style`]
//! and the same records give the same text.

use std::fmt;

use crate::outcome::Status;

/// What a surface can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Colours and bold, as SGR sequences.
    pub color: bool,
    /// Box-drawing characters, ticks and ellipses; ASCII stands in for them otherwise.
    pub unicode: bool,
    /// Columns.
    pub width: usize,
    /// Rows; only live progress cares.
    pub height: usize,
    /// Markdown of models is laid out: for a person at a terminal. Elsewhere it is as it was written.
    pub prose: bool,
    /// Under GitHub Actions, whose log reads lines that start with `::` as commands.
    pub ci: bool,
}

/// Columns where nobody knows better.
const WIDTH: usize = 80;
/// Rows where nobody knows better.
const HEIGHT: usize = 24;
/// Below this nothing is legible, so the text is laid out for it and left to wrap.
const LEAST_WIDTH: usize = 20;

impl Style {
    /// A file: it shows every letter, and nobody reads commands out of it.
    pub const FILE: Style =
        Style { color: false, unicode: true, width: WIDTH, height: HEIGHT, prose: false, ci: false };

    /// Decides from the environment, from whether the stream is a terminal, and from the
    /// terminal's size in `(rows, columns)`.
    ///
    /// Colour: never with `NO_COLOR` (any value but empty), always with `CLICOLOR_FORCE` (any but `0`),
    /// else on a terminal that is not `TERM=dumb` unless `CLICOLOR=0`. Characters: Unicode where
    /// the first of `LC_ALL`, `LC_CTYPE`, `LANG` that is set names UTF-8, and always on Windows.
    /// Width: the terminal's, else `COLUMNS`, else 80.
    pub fn detect(env: impl Fn(&str) -> Option<String>, is_tty: bool, size: Option<(u16, u16)>) -> Style {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let color = if set("NO_COLOR").is_some() {
            false
        } else if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
            true
        } else {
            can_redraw(&env, is_tty) && set("CLICOLOR").is_none_or(|value| value != "0")
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| set(name)).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let unicode = cfg!(windows) || locale.contains("utf-8") || locale.contains("utf8");
        let (rows, columns) = size.filter(|_| is_tty).unwrap_or((0, 0));
        let width = match columns {
            0 => set("COLUMNS").and_then(|value| value.parse().ok()).filter(|n| *n > 0).unwrap_or(WIDTH),
            columns => usize::from(columns),
        };
        let ci = set("GITHUB_ACTIONS").is_some_and(|value| value == "true");
        Style {
            prose: is_tty && !ci,
            color,
            unicode,
            width: width.max(LEAST_WIDTH),
            height: if rows == 0 { HEIGHT } else { usize::from(rows) },
            ci,
        }
    }

    /// No colour, ASCII only, 80 columns.
    pub fn plain() -> Style {
        Style { color: false, unicode: false, width: WIDTH, height: HEIGHT, prose: false, ci: false }
    }

    /// The text in a tone; as it is where there is no colour or nothing to colour.
    pub fn paint(&self, tone: Tone, text: impl fmt::Display) -> String {
        let text = text.to_string();
        if !self.color || text.is_empty() {
            return text;
        }
        format!("\x1b[{}m{text}\x1b[0m", tone.sgr())
    }

    /// The tone of a status.
    pub fn tone(status: Status) -> Tone {
        match status {
            Status::Ok => Tone::Good,
            Status::Failed
            | Status::TimedOut
            | Status::Refused
            | Status::InvalidOutput
            | Status::OverBudget => Tone::Bad,
            Status::Blocked => Tone::Warn,
            Status::Skipped | Status::Cancelled => Tone::Dim,
        }
    }

    /// One column that stands for a status; the word always stands beside it.
    pub fn mark(&self, status: Status) -> &'static str {
        let (unicode, ascii) = match status {
            Status::Ok => ("✓", "+"),
            Status::Failed
            | Status::TimedOut
            | Status::Refused
            | Status::InvalidOutput
            | Status::OverBudget => ("✗", "x"),
            Status::Blocked => ("!", "!"),
            Status::Skipped => ("○", "-"),
            Status::Cancelled => ("⊘", "-"),
        };
        self.pick(unicode, ascii)
    }

    /// What separates short facts on a line.
    pub fn dot(&self) -> &'static str {
        self.pick(" · ", " | ")
    }

    /// What stands for something left out.
    pub fn ellipsis(&self) -> &'static str {
        self.pick("…", "...")
    }

    /// What rules are drawn with.
    pub fn rule(&self) -> &'static str {
        self.pick("─", "-")
    }

    /// The first where the surface shows Unicode, else the second.
    pub fn pick(&self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }
}

/// What a piece of text is to the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Names: bold.
    Strong,
    /// Side facts.
    Dim,
    /// A success: green.
    Good,
    /// A failure: red.
    Bad,
    /// Something to look at: yellow.
    Warn,
    /// Something to type or to follow: cyan.
    Info,
    /// Emphasis in a text: italic.
    Emphasis,
    /// Taken back in a text: struck through.
    Strike,
}

impl Tone {
    fn sgr(self) -> &'static str {
        match self {
            Tone::Strong => "1",
            Tone::Dim => "2",
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Warn => "33",
            Tone::Info => "36",
            Tone::Emphasis => "3",
            Tone::Strike => "9",
        }
    }
}

/// True where lines on the screen can be drawn again: a terminal that is not `TERM=dumb`.
pub fn can_redraw(env: impl Fn(&str) -> Option<String>, is_tty: bool) -> bool {
    is_tty && env("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(vars: &[(&str, &str)], is_tty: bool, size: Option<(u16, u16)>) -> Style {
        let env =
            |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Style::detect(env, is_tty, size)
    }

    #[test]
    fn a_terminal_with_a_utf8_locale_gets_everything() {
        let style = detect(&[("LANG", "de_DE.UTF-8"), ("TERM", "xterm")], true, Some((50, 132)));
        assert_eq!(
            style,
            Style { color: true, unicode: true, width: 132, height: 50, prose: true, ci: false }
        );
    }

    #[test]
    fn a_pipe_in_the_c_locale_gets_plain_ascii_at_80_columns() {
        let plain = Style::plain();
        assert_eq!(detect(&[], false, None), plain);
        assert_eq!(detect(&[("LANG", "C")], false, Some((50, 132))), plain);
    }

    #[test]
    fn no_color_beats_force_and_force_beats_the_rest() {
        assert!(!detect(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], true, None).color);
        assert!(detect(&[("CLICOLOR_FORCE", "1")], false, None).color);
        assert!(detect(&[("CLICOLOR_FORCE", "1"), ("TERM", "dumb")], true, None).color);
        assert!(!detect(&[("CLICOLOR_FORCE", "0")], false, None).color);
        assert!(detect(&[("NO_COLOR", "")], true, None).color);
        assert!(!detect(&[("TERM", "dumb")], true, None).color);
        assert!(!detect(&[("CLICOLOR", "0")], true, None).color);
    }

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        assert!(!detect(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")], true, None).unicode || cfg!(windows));
        assert!(detect(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("LANG", "C")], true, None).unicode);
    }

    #[test]
    fn columns_count_only_where_the_terminal_does_not_say() {
        assert_eq!(detect(&[("COLUMNS", "60")], false, None).width, 60);
        assert_eq!(detect(&[("COLUMNS", "60")], true, Some((24, 100))).width, 100);
        assert_eq!(detect(&[("COLUMNS", "wide")], true, Some((0, 0))).width, 80);
        assert_eq!(detect(&[], true, Some((24, 3))).width, 20);
    }

    #[test]
    fn only_github_actions_counts_as_ci() {
        assert!(detect(&[("GITHUB_ACTIONS", "true")], false, None).ci);
        assert!(!detect(&[("CI", "true")], false, None).ci);
    }

    #[test]
    fn nothing_is_painted_without_colour() {
        let mut style = Style::plain();
        assert_eq!(style.paint(Tone::Bad, "x"), "x");
        style.color = true;
        assert_eq!(style.paint(Tone::Bad, "x"), "\x1b[31mx\x1b[0m");
        assert_eq!(style.paint(Tone::Bad, ""), "");
    }
}
