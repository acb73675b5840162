//! What a shell command consists of, as far as that can be told without running it.
//!
//! Invariant: a command that is read here means the same to every POSIX shell and to bash: anything
//! that one of them might read in another way (substitutions, variables, redirections, groups,
//! comments, control characters) is refused, never guessed.

mod allow;

use std::iter::Peekable;
use std::str::Chars;

pub(super) use allow::{Allowed, only_reads};

/// One word of a simple command, without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// What it says.
    pub(super) text: String,
    /// Whether the shell may make something else of it, or several words: `*`, `?`, `[`, `{`, `~`.
    pub(super) loose: bool,
}

/// Why a command cannot be taken apart, in words for a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unclear(String);

fn unclear<T>(what: impl Into<String>) -> Result<T, Unclear> {
    Err(Unclear(what.into()))
}

/// The simple commands of a command line, each with its words; at least one.
///
/// `;`, `&&`, `||`, `|` and line breaks stand between commands. Of redirections only those that
/// write no file are taken (`2>&1`, `>/dev/null`).
pub(super) fn simple_commands(line: &str) -> Result<Vec<Vec<Word>>, Unclear> {
    let mut reader = Reader { rest: line.chars().peekable(), before: ' ' };
    let mut commands: Vec<Vec<Word>> = Vec::new();
    let mut words: Vec<Word> = Vec::new();
    // Whether a command must follow: after `&&`, `||` and `|`.
    let mut open = false;
    loop {
        match reader.token()? {
            Token::Word(word) => words.push(word),
            Token::Redirection if words.is_empty() => {
                return unclear("a redirection stands without a command");
            }
            Token::Redirection => {}
            token @ (Token::Then | Token::Next | Token::Line | Token::End) => {
                if words.is_empty() {
                    let blank = matches!(token, Token::Line) || (matches!(token, Token::End) && !open);
                    if !blank {
                        return unclear("a command is missing before or after an operator");
                    }
                } else {
                    commands.push(std::mem::take(&mut words));
                    open = false;
                }
                match token {
                    Token::Then => open = true,
                    Token::End => break,
                    Token::Word(_) | Token::Redirection | Token::Next | Token::Line => {}
                }
            }
        }
    }
    if commands.is_empty() { unclear("there is no command") } else { Ok(commands) }
}

enum Token {
    Word(Word),
    /// One that writes nothing.
    Redirection,
    /// `&&`, `||`, `|`.
    Then,
    /// `;`.
    Next,
    /// A line break.
    Line,
    End,
}

struct Reader<'t> {
    rest: Peekable<Chars<'t>>,
    /// The character before the next one.
    before: char,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.before = next.unwrap_or(self.before);
        next
    }

    fn takes(&mut self, wanted: char) -> bool {
        let found = self.rest.peek() == Some(&wanted);
        if found {
            self.next();
        }
        found
    }

    fn token(&mut self) -> Result<Token, Unclear> {
        while self.takes(' ') || self.takes('\t') {}
        let Some(first) = self.rest.peek().copied() else { return Ok(Token::End) };
        match first {
            '\n' => {
                self.next();
                Ok(Token::Line)
            }
            ';' => {
                self.next();
                Ok(Token::Next)
            }
            '|' => {
                self.next();
                self.takes('|');
                Ok(Token::Then)
            }
            '&' => {
                self.next();
                match self.takes('&') {
                    true => Ok(Token::Then),
                    false => unclear("`&` starts a command in the background"),
                }
            }
            '>' => self.redirection(),
            '#' => unclear("a comment; leave it out"),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Token, Unclear> {
        let mut word = Word { text: String::new(), loose: false };
        let mut quoted = false;
        while let Some(next) = self.rest.peek().copied() {
            match next {
                ' ' | '\t' | '\n' | ';' | '|' | '&' => break,
                '>' if !quoted && ["1", "2"].contains(&word.text.as_str()) => return self.redirection(),
                '>' if !quoted && names_a_stream(&word.text) => return unclear(REDIRECTION),
                '>' => break,
                '\'' => {
                    self.next();
                    quoted = true;
                    self.single(&mut word)?;
                }
                '"' => {
                    self.next();
                    quoted = true;
                    self.double(&mut word)?;
                }
                '\\' => {
                    self.backslash()?;
                    quoted = true;
                    match self.next() {
                        None | Some('\n') => return unclear("a backslash at the end of a line"),
                        Some(c) => word.text.push(usable(c)?),
                    }
                }
                _ => {
                    self.next();
                    word.loose |= matches!(next, '*' | '?' | '[' | ']' | '{' | '}' | '~');
                    word.text.push(bare(next)?);
                }
            }
        }
        Ok(Token::Word(word))
    }

    fn single(&mut self, word: &mut Word) -> Result<(), Unclear> {
        loop {
            match self.next() {
                None => return unclear("a `'` is never closed"),
                Some('\'') => return Ok(()),
                Some(c) => word.text.push(usable(c)?),
            }
        }
    }

    fn double(&mut self, word: &mut Word) -> Result<(), Unclear> {
        loop {
            match self.rest.peek().copied() {
                None => return unclear("a `\"` is never closed"),
                Some('\\') => {
                    self.backslash()?;
                    match self.next() {
                        None | Some('\n') => return unclear("a backslash at the end of a line"),
                        Some(c @ ('"' | '\\' | '$' | '`')) => word.text.push(c),
                        Some(c) => word.text.extend(['\\', usable(c)?]),
                    }
                }
                Some(c) => {
                    self.next();
                    match c {
                        '"' => return Ok(()),
                        '$' | '`' => return unclear(SUBSTITUTION),
                        c => word.text.push(usable(c)?),
                    }
                }
            }
        }
    }

    /// Takes a backslash. In some encodings the byte is a part of the character before it.
    fn backslash(&mut self) -> Result<(), Unclear> {
        if !self.before.is_ascii() {
            return unclear("a backslash behind a character that is not ASCII");
        }
        self.next();
        Ok(())
    }

    /// `>&1`, `>&2`, `>/dev/null`, with the number before it already taken.
    fn redirection(&mut self) -> Result<Token, Unclear> {
        self.next();
        let appends = self.takes('>');
        let to: String = if !appends && self.takes('&') {
            let number: String = self.next().into_iter().collect();
            format!("&{number}")
        } else {
            while self.takes(' ') || self.takes('\t') {}
            let mut name = String::new();
            while let Some(c) = self.rest.peek().copied().filter(|c| c.is_ascii_lowercase() || *c == '/') {
                self.next();
                name.push(c);
            }
            name
        };
        let ends = self.rest.peek().is_none_or(|c| [' ', '\t', '\n', ';', '|', '&'].contains(c));
        match ends && ["&1", "&2", "/dev/null"].contains(&to.as_str()) {
            true => Ok(Token::Redirection),
            false => unclear(REDIRECTION),
        }
    }
}

const SUBSTITUTION: &str = "a substitution or variable (`$…` or a backtick); write out what it stands for";

const REDIRECTION: &str = "a redirection; only `2>&1`, `>&2` and `>/dev/null` are taken";

/// Whether a word right before a `>` is not a word but says which stream is meant: `3>`, `{x}>`.
fn names_a_stream(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit()) || word.starts_with('{')
}

/// A character that stands outside of quotes.
fn bare(c: char) -> Result<char, Unclear> {
    match c {
        '$' | '`' => unclear(SUBSTITUTION),
        '<' => unclear("a redirection or here-document (`<`)"),
        '(' | ')' => unclear("a group or function (`(`)"),
        c if c.is_whitespace() => unclear("a blank that shells do not agree on"),
        c => usable(c),
    }
}

/// A character that may stand anywhere.
fn usable(c: char) -> Result<char, Unclear> {
    match c.is_control() && c != '\t' && c != '\n' {
        true => unclear(format!("a control character ({})", c.escape_default())),
        false => Ok(c),
    }
}
