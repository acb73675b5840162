//! Standard output and standard error, written so that a closed pipe is no panic.
//!
//! Invariant: once a stream is closed it is not written again, and the run goes on.

use std::io::{self, IsTerminal, Write};

use crate::report::style::Style;

/// The process's surroundings, read once.
#[derive(Debug)]
pub struct Terminal {
    when: super::args::When,
}

impl Terminal {
    /// Takes the surroundings as they are.
    pub fn new(when: super::args::When) -> Terminal {
        Terminal { when }
    }

    /// How to write to standard output.
    pub fn out_style(&self) -> Style {
        self.style(io::stdout().is_terminal(), console::Term::stdout().size_checked())
    }

    /// How to write to standard error.
    pub fn err_style(&self) -> Style {
        self.style(io::stderr().is_terminal(), console::Term::stderr().size_checked())
    }

    fn style(&self, is_terminal: bool, size: Option<(u16, u16)>) -> Style {
        let style = Style::detect(|name| std::env::var(name).ok(), is_terminal, size);
        match self.when {
            super::args::When::Auto => style,
            super::args::When::Always => Style { color: true, ..style },
            super::args::When::Never => Style { color: false, ..style },
        }
    }

    /// True when a person can watch: standard error can be redrawn.
    pub fn can_redraw(&self) -> bool {
        crate::report::style::can_redraw(|name| std::env::var(name).ok(), io::stderr().is_terminal())
    }

    /// True when standard error is a terminal, of whatever kind.
    pub fn is_watched(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// True when a person can answer: input and standard error are terminals.
    pub fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Writes to standard output. A closed pipe is how a reader says that it has seen enough.
    ///
    /// # Errors
    /// Everything but a closed pipe: a full disk behind a redirection, for one.
    pub fn out(&self, text: &str) -> io::Result<()> {
        unless_closed(io::stdout().lock().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()))
    }

    /// Writes to standard error; there is nobody to tell if that fails.
    pub fn err(&self, text: &str) {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// Writes a line that starts with `error:` to standard error.
    pub fn error(&self, message: impl std::fmt::Display) {
        let style = self.err_style();
        let word = style.paint(crate::report::style::Tone::Bad, "error:");
        self.err(&format!("{word} {message}\n"));
    }
}

fn unless_closed(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
