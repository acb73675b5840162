//! A program that answers prompts: started anew for each, ended with all that it started.
//!
//! Invariants: the prompt reaches it as data (standard input, one argument, or a
//! file), never through a shell; it sees the variables on the list and those of
//! the call, and no key of anybody else.

use std::ffi::OsString;
use std::future::pending;
use std::io::Write;

use futures::FutureExt;
use futures::future::BoxFuture;
use tempfile::NamedTempFile;
use tokio::time::Instant;

use super::answer::{self, What};
use super::failure::{Failure, Kind};
use super::news::Seldom;
use super::{Agent, Answer, Ask, News, Surroundings, prompt};
use crate::model::{MAX_MESSAGE, shown};
use crate::outcome::Usage;
use crate::plan::{CommandAgent, CommandInput, CommandOutput};
use crate::process::{self, Ended, EndedBy, Environment, Exit, Inherit, Input, Keep, SpawnError, Spec};
use crate::unit::human_duration;

/// How much of each end of a program's output is kept, in bytes: a transcript in
/// JSON lines is long, and its last lines are the ones that count.
const KEEP: usize = 4 << 20;

/// A program with its settings, about to be asked.
pub(super) struct Program<'a> {
    pub(super) surroundings: &'a Surroundings,
    pub(super) settings: &'a CommandAgent,
}

impl Agent for Program<'_> {
    fn answer<'a>(&'a self, ask: Ask, news: &'a News<'a>) -> BoxFuture<'a, Result<Answer, Box<Failure>>> {
        async move {
            let seldom = Seldom::new(news);
            // Lives until the program has ended.
            let (spec, _file) = self.spec(&ask)?;
            let ended = process::run(spec, pending(), |_, bytes: &[u8]| seldom.bytes(bytes)).await;
            match ended {
                Ok(ended) => self.judge(&ended, &ask),
                Err(error) => Err(Box::new(self.not_started(&error))),
            }
        }
        .boxed()
    }
}

impl Program<'_> {
    fn name(&self) -> &str {
        self.settings.argv.first().map_or("(no program)", String::as_str)
    }

    fn spec(&self, ask: &Ask) -> Result<(Spec, Option<NamedTempFile>), Box<Failure>> {
        let mut argv: Vec<OsString> = self.settings.argv.iter().map(OsString::from).collect();
        let text = prompt::text(ask);
        let (mut stdin, mut file) = (Input::Null, None);
        match self.settings.input {
            CommandInput::Stdin => stdin = Input::Bytes(text.into_bytes()),
            // What begins with a dash would be read as an option, and prompts hold what others wrote.
            CommandInput::Arg if text.starts_with('-') => argv.push(format!(" {text}").into()),
            CommandInput::Arg => argv.push(text.into()),
            CommandInput::File => {
                let written = write(&text).map_err(|error| {
                    let message = format!("could not write the prompt to a temporary file: {error}");
                    Box::new(Failure::new(Kind::Spawn("prompt_file"), self.name(), message))
                })?;
                argv.push(written.path().into());
                file = Some(written);
            }
        }
        let set = [("TERM".into(), "dumb".into())];
        let set = set.into_iter().chain(ask.env.iter().map(|(name, value)| (name.into(), value.into())));
        let base = Spec::new(argv, &ask.cwd);
        let spec = Spec {
            env: Environment {
                inherit: Inherit::Only(self.surroundings.inherit.clone()),
                set: set.collect(),
            },
            stdin,
            timeout: Some(ask.deadline.saturating_duration_since(Instant::now())),
            idle_timeout: ask.idle_timeout,
            keep: Keep { head: KEEP, tail: KEEP },
            marker: (base.marker.0.clone(), self.surroundings.run_id.clone()),
            reaper: self.surroundings.reaper.clone(),
            ..base
        };
        let mut policy = ask.policy.clone();
        policy.read.extend(file.as_ref().map(|file| file.path().to_owned()));
        // Under a policy, the list is the policy's; what this one adds to it is what programs need here.
        let spec = self.surroundings.sandbox.wrap(spec, &policy);
        let spec =
            spec.map_err(|error| Box::new(Failure::new(Kind::Unconfined, self.name(), error.to_string())))?;
        Ok((spec, file))
    }

    fn judge(&self, ended: &Ended, ask: &Ask) -> Result<Answer, Box<Failure>> {
        let name = self.name();
        let output = ended.stdout.text();
        let said = answer::read(&output, self.settings.output);
        let usage = Usage { requests: 0, ..said.usage };
        let fail = |kind, message: String| {
            Err(Box::new(Failure {
                partial: output.clone().into_owned(),
                stderr: ended.stderr.text().into_owned(),
                exit: Some(ended.exit.status()),
                usage,
                ..Failure::new(kind, name, message)
            }))
        };
        match ended.ended_by {
            EndedBy::Itself => {}
            EndedBy::Timeout | EndedBy::Stopped => {
                return fail(Kind::TimedOut, format!("`{name}` was not done when the time was up (timeout)"));
            }
            EndedBy::Idle => {
                let idle = human_duration(ask.idle_timeout.unwrap_or_default());
                return fail(Kind::Idle, format!("`{name}` printed nothing for {idle} (idle_timeout)"));
            }
        }
        // Its own words come before its exit status: they say more, and a status of 0 hides failures.
        match (said.what, ended.exit) {
            (What::Blocked(question), _) => {
                let question = shown(&question, MAX_MESSAGE);
                fail(Kind::Blocked, format!("`{name}` needs an answer that nobody can give: {question}"))
            }
            (What::Failed(why), _) => {
                fail(Kind::Reported, format!("`{name}` failed: {}", shown(&why, MAX_MESSAGE)))
            }
            (_, Exit::Signal(_, signal)) => fail(Kind::Signal, format!("`{name}` was killed by {signal}")),
            (_, Exit::Code(code)) if code != 0 => {
                fail(Kind::ExitStatus, format!("`{name}` ended with exit status {code}"))
            }
            (What::Unreadable(why), Exit::Code(_)) => {
                let form = match self.settings.output {
                    CommandOutput::Text => "text",
                    CommandOutput::Json => "json",
                    CommandOutput::JsonLines => "jsonl",
                };
                fail(Kind::Unreadable, format!("`{name}` is to print {form}, but {why}"))
            }
            (What::Answer(text), Exit::Code(_)) if text.trim().is_empty() => {
                fail(Kind::Empty, format!("`{name}` gave an empty answer"))
            }
            (What::Answer(text), Exit::Code(code)) => Ok(Answer {
                text,
                omitted_bytes: match self.settings.output {
                    CommandOutput::Text => ended.stdout.dropped,
                    CommandOutput::Json | CommandOutput::JsonLines => 0,
                },
                usage,
                agent: name.to_owned(),
                stderr: ended.stderr.text().into_owned(),
                exit: Some(code),
                ..Answer::default()
            }),
        }
    }

    fn not_started(&self, error: &SpawnError) -> Failure {
        let kind = Kind::Spawn(error.code());
        Failure::new(kind, self.name(), error.to_string()).transient(error.is_transient())
    }
}

/// A file that only this user can read, gone when dropped.
fn write(text: &str) -> std::io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix("fanout-prompt-").suffix(".md").tempfile()?;
    file.write_all(text.as_bytes())?;
    file.flush()?;
    Ok(file)
}
