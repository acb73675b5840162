//! Where in a shell text a value would enter, and how it must be written there.
//!
//! Reads the text of a `run` as POSIX `sh` would, up to each value. Invariant: a
//! value is never part of the text that a shell reads. It is the value of a
//! variable; the text mentions the variable, quoted so that it stays one word, and
//! where no quoting can keep it so, it is refused when the plan is read.

mod frame;

use std::collections::VecDeque;

use frame::{Arithmetic, Braces, Close, Command, Frame, Heredoc, Word};

/// How a variable is mentioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoting {
    /// `"${FANOUT_1}"`.
    Bare,
    /// `${FANOUT_1}`: the quotes are there already.
    Quoted,
    /// `${FANOUT_1}`, and the value must be a whole number: anything else could be code.
    Number,
    /// Not at all: it stands in a comment.
    Comment,
}

/// Why a value cannot stand where it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What is wrong, to be followed by nothing.
    pub(super) message: &'static str,
    /// What to write.
    pub(super) help: &'static str,
}

/// How far a shell text has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shell {
    /// What is open, outermost first. Never empty.
    frames: Vec<Frame>,
    /// The end of the text so far, where it depends on what follows.
    carry: String,
    /// Here-documents whose text begins at the next line.
    pending: VecDeque<Heredoc>,
    /// Set where reading was given up, with the reason.
    lost: Option<Refusal>,
}

const AFTER_DOLLAR: Refusal = Refusal {
    message: "`$` stands right before the value",
    help: "write `{{ … }}` without `$`: it becomes a shell variable by itself",
};
const AFTER_BACKSLASH: Refusal = Refusal {
    message: "a backslash stands right before the value",
    help: "put the value in double quotes instead of escaping it",
};
const HEREDOC_WORD: Refusal = Refusal {
    message: "the word that ends a here-document cannot be a value",
    help: "write a fixed word, such as `<<EOF`",
};
const SINGLE: Refusal = Refusal {
    message: "a value cannot stand in single quotes: the shell would not see it",
    help: "use double quotes, or close the single quotes around it: `'before '{{ … }}' after'`",
};
const QUOTED_HEREDOC: Refusal = Refusal {
    message: "a value cannot stand in a here-document with a quoted end: the shell would not see it",
    help: "write `<<EOF` without quotes, or hand the text over as `stdin`",
};
const VARIABLE_NAME: Refusal = Refusal {
    message: "a value cannot be part of a variable's name or of this kind of `${…}`",
    help: "values may follow `:-`, `:=`, `:?`, `:+`, `#` and `%` in `${…}`; else set a variable first: `x={{ … }}`",
};
const DOUBLE_PAREN: Refusal = Refusal {
    message: "a value cannot stand in `((…))`: some shells would run it as arithmetic",
    help: "write `( (…) )` for a subshell, `$((…))` for arithmetic",
};
const ESCAPED_BACKTICKS: Refusal = Refusal {
    message: "a value cannot stand between backticks that hold a backslash",
    help: "write `$(…)` instead of the backticks",
};
const ANSI_QUOTES: Refusal = Refusal {
    message: "shells disagree on where the `$'…'` before this value ends",
    help: "use double quotes or `printf` instead of `$'…'`",
};
const AMBIGUOUS: Refusal = Refusal {
    message: "it is not clear how a shell reads the text before this value",
    help: "write the text before it more plainly, or hand the value over as `env` or `stdin`",
};

impl Shell {
    /// At the start of a text.
    pub(super) fn new() -> Shell {
        Shell {
            frames: vec![Frame::Command(Command::new(Close::End))],
            carry: String::new(),
            pending: VecDeque::new(),
            lost: None,
        }
    }

    /// Reads on.
    pub(super) fn text(&mut self, text: &str) {
        let held = std::mem::take(&mut self.carry);
        if held.is_empty() {
            self.read(text, false);
        } else {
            self.read(&(held + text), false);
        }
    }

    /// A value stands here.
    pub(super) fn value(&mut self) -> Result<Quoting, Refusal> {
        let held = std::mem::take(&mut self.carry);
        match held.as_str() {
            "$" => return Err(AFTER_DOLLAR),
            "\\" => return Err(AFTER_BACKSLASH),
            held if held.starts_with("<<") && !held.starts_with("<<<") => return Err(HEREDOC_WORD),
            held => self.read(held, true),
        }
        if let Some(lost) = self.lost {
            return Err(lost);
        }
        if self.backticks() == Some(true) {
            return Err(ESCAPED_BACKTICKS);
        }
        let quoted = self.is_quoted();
        match self.frames.last_mut() {
            None => Err(AMBIGUOUS),
            Some(Frame::Command(command)) if command.doubled => Err(DOUBLE_PAREN),
            Some(Frame::Command(command)) => {
                command.word = Word::Value;
                Ok(Quoting::Bare)
            }
            Some(Frame::Double) => Ok(Quoting::Quoted),
            Some(Frame::Single | Frame::Ansi) => Err(SINGLE),
            Some(Frame::Comment) => Ok(Quoting::Comment),
            Some(Frame::Arithmetic(_)) => Ok(Quoting::Number),
            Some(Frame::Braces(Braces::Start | Braces::Name | Braces::Other)) => Err(VARIABLE_NAME),
            Some(Frame::Braces(Braces::Pattern)) => Ok(Quoting::Bare),
            Some(Frame::Braces(Braces::Word)) if quoted => Ok(Quoting::Quoted),
            Some(Frame::Braces(Braces::Word)) => Ok(Quoting::Bare),
            Some(Frame::Heredoc(heredoc)) if heredoc.quoted => Err(QUOTED_HEREDOC),
            Some(Frame::Heredoc(heredoc)) => {
                heredoc.line_start = false;
                Ok(Quoting::Quoted)
            }
        }
    }

    /// One text that is read either as `self` or as `other`, from here on.
    ///
    /// `None` when they are in different quotes, so that what follows means two things.
    pub(super) fn or(mut self, mut other: Shell) -> Option<Shell> {
        if self.lost.is_some() {
            return Some(self);
        }
        if other.lost.is_some() {
            return Some(other);
        }
        for (one, two) in self.frames.iter_mut().zip(&mut other.frames) {
            if let (Frame::Command(one), Frame::Command(two)) = (one, two) {
                one.reconcile(two);
            }
        }
        (self == other).then_some(self)
    }

    /// True when nothing is open at the end of the text but what the end closes.
    pub(super) fn is_closed(&self) -> bool {
        let closes = |frame: &Frame| match frame {
            Frame::Comment | Frame::Heredoc(_) => true,
            Frame::Command(command) => command.close == Close::End,
            Frame::Single | Frame::Ansi | Frame::Double | Frame::Braces(_) | Frame::Arithmetic(_) => false,
        };
        self.lost.is_some() || self.frames.iter().all(closes)
    }

    /// True where word splitting and globbing are off because of double quotes further out.
    fn is_quoted(&self) -> bool {
        let outer = self.frames.iter().rev().find(|frame| !matches!(frame, Frame::Braces(_)));
        matches!(outer, Some(Frame::Double | Frame::Heredoc(_)))
    }
}

impl Shell {
    /// Reads `text`; with `last` nothing follows that could change what its end means.
    fn read(&mut self, text: &str, last: bool) {
        let mut rest = text;
        while !rest.is_empty() && self.lost.is_none() {
            let Some(length) = self.step(rest, last) else {
                self.carry = rest.to_owned();
                return;
            };
            rest = rest.get(length.max(1)..).unwrap_or("");
        }
    }

    /// Reads one thing and says how long it was; `None` when more text is needed to tell what it is.
    fn step(&mut self, rest: &str, last: bool) -> Option<usize> {
        let first = rest.chars().next()?;
        let wide = first.len_utf8();
        match self.frames.last() {
            None => {
                self.lost = Some(AMBIGUOUS);
                Some(rest.len())
            }
            Some(Frame::Command(_)) => self.command(rest, first, last),
            Some(Frame::Comment) => {
                // The end of a comment is also the end of its line, and the end of backticks around it.
                let backtick = first == '`' && self.backticks().is_some();
                if first != '\n' && !backtick {
                    return Some(wide);
                }
                self.frames.pop();
                self.step(rest, last)
            }
            Some(Frame::Single) => {
                if first == '\'' {
                    self.frames.pop();
                }
                Some(wide)
            }
            Some(Frame::Ansi) => {
                match first {
                    '\'' => {
                        self.frames.pop();
                    }
                    '\\' if rest.len() == 1 && !last => return None,
                    '\\' if rest.starts_with("\\'") => self.lost = Some(ANSI_QUOTES),
                    '\\' => return Some(after_backslash(rest)),
                    _ => {}
                }
                Some(wide)
            }
            Some(Frame::Double) => match first {
                '"' => {
                    self.frames.pop();
                    Some(1)
                }
                _ => self.expansion(rest, first, last),
            },
            Some(Frame::Heredoc(heredoc)) if heredoc.line_start => {
                let line = rest.find('\n').map(|end| &rest[..end]);
                let bare =
                    |line: &str| if heredoc.strip { line.trim_start_matches('\t').len() } else { line.len() };
                match line {
                    Some(line) if line[line.len() - bare(line)..] == heredoc.end => {
                        let length = line.len() + 1;
                        self.frames.pop();
                        self.next_heredoc();
                        Some(length)
                    }
                    None if !last && heredoc.end.starts_with(&rest[rest.len() - bare(rest)..]) => None,
                    Some(_) | None => {
                        if let Some(Frame::Heredoc(heredoc)) = self.frames.last_mut() {
                            heredoc.line_start = false;
                        }
                        self.step(rest, last)
                    }
                }
            }
            Some(Frame::Heredoc(heredoc)) => {
                if first == '\n' {
                    if let Some(Frame::Heredoc(heredoc)) = self.frames.last_mut() {
                        heredoc.line_start = true;
                    }
                    return Some(1);
                }
                if heredoc.quoted { Some(wide) } else { self.expansion(rest, first, last) }
            }
            Some(Frame::Braces(_)) => self.braces(rest, first, last),
            Some(Frame::Arithmetic(_)) => self.arithmetic(rest, first, last),
        }
    }

    /// What means something in double quotes too: `$`, backticks, backslashes.
    fn expansion(&mut self, rest: &str, first: char, last: bool) -> Option<usize> {
        match first {
            '\\' if rest.len() == 1 && !last => None,
            '\\' => {
                self.note_escape(rest);
                Some(after_backslash(rest))
            }
            '`' => {
                self.backtick();
                Some(1)
            }
            '$' => self.dollar(rest, last),
            _ => Some(first.len_utf8()),
        }
    }

    fn dollar(&mut self, rest: &str, last: bool) -> Option<usize> {
        if !last && matches!(rest, "$" | "$(") {
            return None;
        }
        if rest.starts_with("$((") {
            self.frames.push(Frame::Arithmetic(Arithmetic { depth: 0 }));
            Some(3)
        } else if rest.starts_with("$(") {
            self.frames.push(Frame::Command(Command::new(Close::Paren)));
            Some(2)
        } else if rest.starts_with("${") {
            self.frames.push(Frame::Braces(Braces::Start));
            Some(2)
        } else {
            Some(1)
        }
    }

    /// A backtick closes the backticks around it, whatever else is open in them.
    fn backtick(&mut self) {
        if self.backticks().is_none() {
            self.frames.push(Frame::Command(Command::new(Close::Backtick { escaped: false })));
            return;
        }
        match self.frames.last() {
            Some(Frame::Command(Command { close: Close::Backtick { .. }, .. })) => {
                self.frames.pop();
            }
            _ => self.lost = Some(AMBIGUOUS),
        }
    }

    /// A backslash between backticks is taken away before the command is read.
    fn note_escape(&mut self, rest: &str) {
        if !matches!(rest.as_bytes().get(1), Some(b'`' | b'\\' | b'$' | b'"')) {
            return;
        }
        for frame in &mut self.frames {
            if let Frame::Command(command) = frame
                && let Close::Backtick { escaped } = &mut command.close
            {
                *escaped = true;
            }
        }
    }

    fn next_heredoc(&mut self) {
        if let Some(heredoc) = self.pending.pop_front() {
            self.frames.push(Frame::Heredoc(heredoc));
        }
    }
}

/// The length of a backslash and what it escapes.
fn after_backslash(rest: &str) -> usize {
    1 + rest[1..].chars().next().map_or(0, char::len_utf8)
}
