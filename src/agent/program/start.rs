//! How a known program is started: its flags, its variables, its files.
//!
//! Invariants: it is started so that it asks nobody anything; the prompt is no argument; a prompt
//! or a schema that is written to a file is gone when the start is dropped.

use std::io::Write;

use tempfile::NamedTempFile;

use super::{claude, codex, gemini, goose, opencode};
use crate::agent::prompt::Native;
use crate::agent::{Ask, Failure, Kind};
use crate::plan::{CommandAgent, Program};

/// Flags, variables and files of one start.
#[derive(Debug, Default)]
pub(in crate::agent) struct Start {
    /// Behind the program's name.
    pub(in crate::agent) arguments: Vec<String>,
    /// Behind the arguments that the plan adds.
    pub(in crate::agent) last: Vec<String>,
    pub(in crate::agent) variables: Vec<(String, String)>,
    /// Kept until it is dropped.
    pub(in crate::agent) files: Vec<NamedTempFile>,
    /// What it is given in other ways than in its prompt.
    pub(in crate::agent) native: Native,
}

/// A file for the program could not be written.
pub(super) type StartError = std::io::Error;

impl Start {
    /// How `program` is started for an ask.
    ///
    /// # Errors
    /// [`Failure`] when a file for it cannot be written.
    pub(in crate::agent) fn of(
        program: Program,
        settings: &CommandAgent,
        ask: &Ask,
    ) -> Result<Start, Box<Failure>> {
        match program {
            Program::Claude => Ok(claude::start(settings, ask)),
            Program::Codex => codex::start(settings, ask),
            Program::Gemini => gemini::start(settings, ask),
            Program::OpenCode => Ok(opencode::start(settings, ask)),
            Program::Goose => Ok(goose::start(settings, ask)),
        }
        .map_err(|error| {
            let message = format!("could not write a file for `{}`: {error}", program.name());
            Box::new(Failure::new(Kind::Spawn("prompt_file"), program.name(), message))
        })
    }

    pub(super) fn flags<'a>(&mut self, flags: impl IntoIterator<Item = &'a str>) {
        self.arguments.extend(flags.into_iter().map(str::to_owned));
    }

    pub(super) fn option(&mut self, flag: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.flags([flag, value]);
        }
    }

    pub(super) fn variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Writes a file and names it behind a flag.
    pub(super) fn file(&mut self, flag: &str, extension: &str, text: &str) -> Result<(), StartError> {
        let file = write(text, extension)?;
        self.option(flag, Some(&file.path().to_string_lossy()));
        self.files.push(file);
        Ok(())
    }
}

/// A file that only this user can read, gone when dropped.
pub(in crate::agent) fn write(text: &str, extension: &str) -> std::io::Result<NamedTempFile> {
    let suffix = format!(".{extension}");
    let mut file = tempfile::Builder::new().prefix("fanout-prompt-").suffix(&suffix).tempfile()?;
    file.write_all(text.as_bytes())?;
    file.flush()?;
    Ok(file)
}
