//! What can be open in a shell text, and how each is read on.

use super::{AMBIGUOUS, Shell, after_backslash};

/// One thing that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// Commands and their words.
    Command(Command),
    /// `"…"`.
    Double,
    /// `'…'`.
    Single,
    /// `$'…'`.
    Ansi,
    /// `# …`.
    Comment,
    /// `${…}`.
    Braces(Braces),
    /// `$((…))`.
    Arithmetic(Arithmetic),
    /// The text of a here-document.
    Heredoc(Heredoc),
}

/// Commands, up to what closes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) close: Close,
    /// The word that is being read.
    pub(super) word: Word,
    /// True where the next word is the name of a command.
    pub(super) leads: bool,
    /// How many `case … esac` are open.
    pub(super) cases: u32,
    /// True after `case`, up to its `in`.
    pub(super) awaits_in: bool,
    /// True inside `((…))`.
    pub(super) doubled: bool,
}

/// What closes commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// The end of the text.
    End,
    /// `)`.
    Paren,
    /// A backtick; `escaped` once a backslash was taken away between them.
    Backtick { escaped: bool },
}

/// The word that is being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// None: the last one has ended.
    None,
    /// Plain letters so far.
    Plain(String),
    /// Something with quotes, expansions or values in it.
    Value,
    /// None or some: it depends on which branch was taken.
    Unsure,
}

/// Where in `${…}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Braces {
    /// Before the name.
    Start,
    /// In the name.
    Name,
    /// After `-`, `=`, `?` or `+`.
    Word,
    /// After `#` or `%`.
    Pattern,
    /// In what POSIX does not know.
    Other,
}

/// Where in `$((…))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arithmetic {
    /// Parentheses open in it.
    pub(super) depth: u32,
}

/// One here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heredoc {
    /// The line that ends it.
    pub(super) end: String,
    /// True for `<<-`: tabs before the end do not count.
    pub(super) strip: bool,
    /// True when nothing in it is expanded.
    pub(super) quoted: bool,
    /// True at the start of a line.
    pub(super) line_start: bool,
}

impl Command {
    pub(super) fn new(close: Close) -> Command {
        Command { close, word: Word::None, leads: true, cases: 0, awaits_in: false, doubled: false }
    }

    /// Makes two readings that mean the same from here on equal.
    pub(super) fn reconcile(&mut self, other: &mut Command) {
        if self.word != other.word {
            self.word = Word::Unsure;
            other.word = Word::Unsure;
        }
        let leads = self.leads || other.leads;
        self.leads = leads;
        other.leads = leads;
    }

    fn letter(&mut self, c: char) {
        match &mut self.word {
            Word::None => self.word = Word::Plain(c.to_string()),
            // Only keywords are looked at, and they are short.
            Word::Plain(word) if word.len() < 8 => word.push(c),
            Word::Plain(_) | Word::Unsure => self.word = Word::Value,
            Word::Value => {}
        }
    }

    fn end_word(&mut self) {
        let word = std::mem::replace(&mut self.word, Word::None);
        let plain = match &word {
            Word::None => return,
            Word::Plain(word) => word.as_str(),
            Word::Value | Word::Unsure => "",
        };
        if self.awaits_in && plain == "in" {
            self.awaits_in = false;
            self.leads = true;
            return;
        }
        if self.leads {
            match plain {
                "case" => {
                    self.cases += 1;
                    self.awaits_in = true;
                }
                "esac" => self.cases = self.cases.saturating_sub(1),
                "then" | "do" | "else" | "elif" | "if" | "while" | "until" | "!" | "{" | "time" => return,
                _ => {}
            }
        }
        self.leads = false;
    }

    fn end_command(&mut self) {
        self.end_word();
        self.leads = true;
    }
}

impl Shell {
    pub(super) fn command(&mut self, rest: &str, first: char, last: bool) -> Option<usize> {
        if matches!(first, '\\' | '$' | '`') {
            if rest.starts_with("$'") {
                self.with_command(|command| command.word = Word::Value);
                self.frames.push(Frame::Ansi);
                return Some(2);
            }
            let cut_off = !last && matches!(rest, "\\" | "$" | "$(");
            // A line that goes on after a backslash is one line.
            let goes_on = rest.starts_with("\\\n");
            let closes = first == '`' && self.backticks().is_some();
            if !cut_off && !goes_on && !closes {
                self.with_command(|command| command.word = Word::Value);
            }
            return self.expansion(rest, first, last);
        }
        match first {
            '\'' | '"' => {
                self.with_command(|command| command.word = Word::Value);
                self.frames.push(if first == '"' { Frame::Double } else { Frame::Single });
            }
            '#' => match self.current_word() {
                Word::None => self.frames.push(Frame::Comment),
                Word::Unsure => self.lost = Some(AMBIGUOUS),
                Word::Plain(_) | Word::Value => self.with_command(|command| command.letter('#')),
            },
            '(' => {
                if rest.len() == 1 && !last {
                    return None;
                }
                let mut inner = Command::new(Close::Paren);
                self.with_command(|command| {
                    let leads = command.leads && command.word == Word::None;
                    inner.doubled = command.doubled || (leads && rest.starts_with("(("));
                    command.end_word();
                });
                self.frames.push(Frame::Command(inner));
            }
            ')' => self.close_paren(),
            '<' => return self.less(rest, last),
            '\n' => {
                self.with_command(Command::end_command);
                self.next_heredoc();
            }
            ';' | '&' | '|' => self.with_command(Command::end_command),
            ' ' | '\t' | '>' => self.with_command(Command::end_word),
            letter => self.with_command(|command| command.letter(letter)),
        }
        Some(first.len_utf8())
    }

    fn close_paren(&mut self) {
        let mut closes = false;
        self.with_command(|command| {
            command.end_command();
            closes = command.cases == 0 && command.close == Close::Paren;
        });
        if closes {
            self.frames.pop();
            // What follows `(…)` in commands goes on with them.
            if let Some(Frame::Command(command)) = self.frames.last_mut()
                && command.word == Word::None
            {
                command.leads = true;
            }
        }
    }

    /// `<`, `<<EOF`, `<<-EOF`, `<<<`.
    fn less(&mut self, rest: &str, last: bool) -> Option<usize> {
        self.with_command(Command::end_word);
        if !last && matches!(rest, "<" | "<<") {
            return None;
        }
        if rest.starts_with("<<<") {
            return Some(3);
        }
        let Some(after) = rest.strip_prefix("<<") else { return Some(1) };
        let (strip, after) = after.strip_prefix('-').map_or((false, after), |after| (true, after));
        let word = after.trim_start_matches([' ', '\t']);
        let mut end = String::new();
        let mut quoted = false;
        let mut chars = word.char_indices();
        let mut open = None;
        let length = loop {
            let Some((at, c)) = chars.next() else {
                // The word may go on in the text that follows.
                if !last {
                    return None;
                }
                break word.len();
            };
            match (open, c) {
                (Some(quote), c) if c == quote => open = None,
                (Some(_), c) => end.push(c),
                (None, '\'' | '"') => {
                    quoted = true;
                    open = Some(c);
                }
                (None, '\\') => {
                    quoted = true;
                    end.extend(chars.next().map(|(_, c)| c));
                }
                (None, ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')') => break at,
                (None, c) => end.push(c),
            }
        };
        self.pending.push_back(Heredoc { end, strip, quoted, line_start: true });
        Some(rest.len() - word.len() + length)
    }

    pub(super) fn braces(&mut self, rest: &str, first: char, last: bool) -> Option<usize> {
        let Some(&Frame::Braces(place)) = self.frames.last() else { return Some(rest.len()) };
        let quoted = self.is_quoted();
        match (place, first) {
            (_, '}') => {
                self.frames.pop();
                Some(1)
            }
            // `${#name}` is a length, `${!name}` is not POSIX.
            (Braces::Start, '#' | '!') => {
                self.named(Braces::Other);
                Some(1)
            }
            (Braces::Start, c) => {
                self.named(Braces::Name);
                Some(c.len_utf8())
            }
            (Braces::Name, c) if c.is_ascii_alphanumeric() || c == '_' => Some(1),
            (Braces::Name, ':') => {
                if rest.len() == 1 && !last {
                    return None;
                }
                let operator = matches!(rest.as_bytes().get(1), Some(b'-' | b'=' | b'?' | b'+'));
                self.named(if operator { Braces::Word } else { Braces::Other });
                Some(1 + usize::from(operator))
            }
            (Braces::Name, '-' | '=' | '?' | '+') => {
                self.named(Braces::Word);
                Some(1)
            }
            (Braces::Name, '#' | '%') => {
                if rest.len() == 1 && !last {
                    return None;
                }
                self.named(Braces::Pattern);
                Some(1 + usize::from(rest[1..].starts_with(first)))
            }
            (Braces::Name, _) => {
                self.named(Braces::Other);
                Some(first.len_utf8())
            }
            (_, '"') => {
                self.frames.push(Frame::Double);
                Some(1)
            }
            (Braces::Pattern | Braces::Other, '\'') => {
                self.frames.push(Frame::Single);
                Some(1)
            }
            (Braces::Word, '\'') if !quoted => {
                self.frames.push(Frame::Single);
                Some(1)
            }
            (Braces::Word | Braces::Pattern | Braces::Other, _) => self.expansion(rest, first, last),
        }
    }

    pub(super) fn arithmetic(&mut self, rest: &str, first: char, last: bool) -> Option<usize> {
        let Some(Frame::Arithmetic(place)) = self.frames.last_mut() else { return Some(rest.len()) };
        match first {
            '(' => place.depth += 1,
            ')' if place.depth > 0 => place.depth -= 1,
            ')' if rest.starts_with("))") => {
                self.frames.pop();
                return Some(2);
            }
            ')' if rest.len() == 1 && !last => return None,
            // It was `$( (…) …)` after all.
            ')' => self.lost = Some(AMBIGUOUS),
            '\\' if rest.len() > 1 => return Some(after_backslash(rest)),
            '$' | '`' => return self.expansion(rest, first, last),
            _ => {}
        }
        Some(first.len_utf8())
    }

    fn named(&mut self, place: Braces) {
        if let Some(Frame::Braces(braces)) = self.frames.last_mut() {
            *braces = place;
        }
    }

    /// Whether a backslash was taken away in the backticks around; `None` outside of any.
    pub(super) fn backticks(&self) -> Option<bool> {
        self.frames.iter().rev().find_map(|frame| {
            if let Frame::Command(Command { close: Close::Backtick { escaped }, .. }) = frame {
                Some(*escaped)
            } else {
                None
            }
        })
    }

    fn current_word(&self) -> Word {
        if let Some(Frame::Command(command)) = self.frames.last() {
            command.word.clone()
        } else {
            Word::Value
        }
    }

    fn with_command(&mut self, change: impl FnOnce(&mut Command)) {
        if let Some(Frame::Command(command)) = self.frames.last_mut() {
            change(command);
        }
    }
}
