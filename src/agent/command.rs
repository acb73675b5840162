//! A program that answers prompts: started anew for each, ended with all that it started.
//!
//! Invariants: the prompt reaches it as data (standard input, one argument, or a
//! file), never through a shell; it sees the variables on the list and those of
//! the call, and no key of anybody else; what it says of itself is believed over its exit status.

use std::ffi::OsString;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::answer;
use super::failure::{Failure, Kind};
use super::program::fault::{self, Fault};
use super::program::listener::{Listener, Stuck};
use super::program::start::{self, Start};
use super::program::{End, Told};
use super::{Agent, Answer, Ask, Memory, News, Surroundings, Thread, prompt, question};
use crate::model::{MAX_MESSAGE, shown};
use crate::outcome::Usage;
use crate::plan::{self, CommandAgent, CommandInput, CommandOutput};
use crate::process::{
    self, Ended, EndedBy, Environment, Exit, Inherit, Input, Keep, SpawnError, Spec, Stream,
};
use crate::unit::{Tokens, Usd, human_duration};

/// How much of each end of a program's output is kept, in bytes.
const KEEP: usize = 4 << 20;
/// The same where its events are understood as they come: what is kept is for people only.
const KEEP_EVENTS: usize = 64 << 10;

/// A program with its settings, about to be asked.
pub(super) struct Program<'a> {
    pub(super) surroundings: &'a Surroundings,
    pub(super) settings: &'a CommandAgent,
}

impl Agent for Program<'_> {
    fn answer<'a>(&'a self, ask: Ask, news: &'a News<'a>) -> BoxFuture<'a, Result<Answer, Box<Failure>>> {
        async move {
            let mut start = match self.settings.program {
                Some(program) => Start::of(program, self.settings, &ask)?,
                None => Start::default(),
            };
            // What is written to files lives until the program has ended.
            let spec = self.spec(&ask, &mut start)?;
            let listener = Listener::new(self.settings, ask.idle_timeout, news);
            let listen = |stream: Stream, bytes: &[u8]| listener.hear(stream, bytes);
            let ended = process::run(spec, listener.until_stuck(), listen).await;
            match ended {
                Ok(ended) => self.judge(&ended, &listener, &ask),
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

    fn spec(&self, ask: &Ask, start: &mut Start) -> Result<Spec, Box<Failure>> {
        let mut argv: Vec<OsString> = Vec::new();
        argv.extend(self.settings.argv.iter().take(1).map(OsString::from));
        argv.extend(start.arguments.iter().map(OsString::from));
        argv.extend(self.settings.argv.iter().skip(1).map(OsString::from));
        argv.extend(start.last.iter().map(OsString::from));
        let text = prompt::text(ask, start.native);
        let mut stdin = Input::Null;
        match self.settings.input {
            CommandInput::Stdin => stdin = Input::Bytes(text.into_bytes()),
            // What begins with a dash would be read as an option, and prompts hold what others wrote.
            CommandInput::Arg if text.starts_with('-') => argv.push(format!(" {text}").into()),
            CommandInput::Arg => argv.push(text.into()),
            CommandInput::File => {
                let written = start::write(&text, "md").map_err(|error| {
                    let message = format!("could not write the prompt to a temporary file: {error}");
                    Box::new(Failure::new(Kind::Spawn("prompt_file"), self.name(), message))
                })?;
                argv.push(written.path().into());
                start.files.push(written);
            }
        }
        let keep = match self.settings.output {
            CommandOutput::StreamJson => KEEP_EVENTS,
            CommandOutput::Text | CommandOutput::Json | CommandOutput::JsonLines => KEEP,
        };
        let base = Spec::new(argv, &ask.cwd);
        let spec = Spec {
            env: self.environment(ask, start),
            stdin,
            timeout: Some(ask.deadline.saturating_duration_since(Instant::now())),
            keep: Keep { head: keep, tail: keep },
            marker: (base.marker.0.clone(), self.surroundings.run_id.clone()),
            reaper: self.surroundings.reaper.clone(),
            ..base
        };
        let mut policy = ask.policy.clone();
        policy.read.extend(start.files.iter().map(|file| file.path().to_owned()));
        if let Inherit::Only(names) = &spec.env.inherit {
            policy.env.extend(names.iter().cloned());
        }
        let spec = self.surroundings.sandbox.wrap(spec, &policy);
        spec.map_err(|error| Box::new(Failure::new(Kind::Unconfined, self.name(), error.to_string())))
    }

    /// The usual variables, the program's own, those that the plan names, those of the call.
    fn environment(&self, ask: &Ask, start: &Start) -> Environment {
        let program = self.settings.program.or_else(|| plan::Program::started_by(&self.settings.argv));
        let own = program.map_or(&[][..], plan::Program::variables);
        let mut inherit = self.surroundings.inherit.clone();
        inherit.extend(own.iter().chain(&self.settings.keys()).map(|name| (*name).to_owned()));
        let fixed = [("TERM".to_owned(), "dumb".to_owned())];
        let set = fixed.iter().chain(&start.variables).chain(&ask.env);
        Environment {
            inherit: Inherit::Only(inherit),
            set: set.map(|(name, value)| (name.into(), value.into())).collect(),
        }
    }

    fn judge(&self, ended: &Ended, listener: &Listener<'_>, ask: &Ask) -> Result<Answer, Box<Failure>> {
        let output = ended.stdout.text();
        let told = listener.told(&output, || answer::read(&output, self.settings.output));
        let spent = told.usage;
        let told = Told { usage: self.of_this_ask(&told, ask), ..told };
        let judged = Judged { program: self, ended, told: &told, output: &output };
        match (ended.ended_by, listener.stuck()) {
            (EndedBy::Timeout, _) => return judged.late("was not done when the time was up (timeout)"),
            (EndedBy::Idle, _) | (EndedBy::Stopped, Some(Stuck::Idle)) => {
                let idle = human_duration(ask.idle_timeout.unwrap_or_default());
                return judged.silent(&idle);
            }
            (_, Some(Stuck::Blocked(question))) => return judged.blocked(&question),
            (EndedBy::Itself | EndedBy::Stopped, Some(Stuck::Idle) | None) => {}
        }
        let text = match (&told.end, ended.exit) {
            // Its own words come before its exit status: they say more, and a status of 0 hides failures.
            (End::Blocked(question), _) => return judged.blocked(question),
            (End::Failed(fault), _) => return judged.failed(fault),
            (_, Exit::Code(code)) if code != 0 => {
                if let Some(fault) = listener.exit(code) {
                    return judged.failed(&fault);
                }
                let stderr = ended.stderr.text();
                return match question::last(&stderr).or_else(|| question::last(&output)) {
                    Some(question) => judged.blocked(question),
                    None => judged.exited(code, &stderr),
                };
            }
            (_, Exit::Signal(_, signal)) => {
                return judged.fail(Kind::Signal, &format!("was killed by {signal}"));
            }
            (End::Unreadable(why), Exit::Code(_)) => return judged.unreadable(why),
            (End::Unfinished(_) | End::Nothing, Exit::Code(_)) => {
                return judged.unreadable("it ended without saying that it was done");
            }
            (End::Answer(text), Exit::Code(_)) => text,
        };
        if let Some(denied) = told.denied.first().filter(|_| self.settings.denied == plan::Denied::Block) {
            return judged.blocked(denied);
        }
        if text.trim().is_empty() {
            return match told.denied.first() {
                Some(denied) => judged.blocked(denied),
                None => judged.fail(Kind::Empty, "gave an empty answer"),
            };
        }
        let thread = ask.thread.as_ref().and(told.session.clone());
        Ok(Answer {
            text: text.clone(),
            omitted_bytes: match self.settings.output {
                CommandOutput::Text if self.settings.patterns.text.is_none() => ended.stdout.dropped,
                CommandOutput::Text
                | CommandOutput::Json
                | CommandOutput::JsonLines
                | CommandOutput::StreamJson => 0,
            },
            usage: told.usage,
            agent: self.name().to_owned(),
            stderr: ended.stderr.text().into_owned(),
            exit: Some(ended.exit.status()),
            memory: thread.map(|id| Memory::Thread(Thread { id: Some(id), spent })),
            denied: told.denied.clone(),
            ..Answer::default()
        })
    }

    /// What this ask used, of what the program says that it did.
    fn of_this_ask(&self, told: &Told, ask: &Ask) -> Usage {
        let before = ask.thread.as_ref().filter(|thread| thread.id.is_some() && told.of_thread);
        let Some(before) = before.map(|thread| thread.spent) else { return told.usage };
        let less = |all: Tokens, before: Tokens| Tokens(all.0.saturating_sub(before.0));
        Usage {
            input: less(told.usage.input, before.input),
            output: less(told.usage.output, before.output),
            cached: less(told.usage.cached, before.cached),
            cache_written: less(told.usage.cache_written, before.cache_written),
            reasoning: less(told.usage.reasoning, before.reasoning),
            requests: told.usage.requests,
            cost: told.usage.cost.map(|all| Usd(all.0.saturating_sub(before.cost.unwrap_or_default().0))),
        }
    }

    fn not_started(&self, error: &SpawnError) -> Failure {
        let kind = Kind::Spawn(error.code());
        let known = plan::Program::started_by(&self.settings.argv);
        let message = match (known, error.code()) {
            (Some(program), "not_found") => {
                format!("{error}; get it with `{}`, and see `fanout doctor`", program.install())
            }
            _ => error.to_string(),
        };
        Failure::new(kind, self.name(), message).transient(error.is_transient())
    }
}

/// A program that has ended, about to be judged.
struct Judged<'a> {
    program: &'a Program<'a>,
    ended: &'a Ended,
    told: &'a Told,
    output: &'a str,
}

impl Judged<'_> {
    fn failure(&self, kind: Kind, what: &str) -> Failure {
        let name = self.program.name();
        // Of an event stream what it said is worth more than its lines.
        let partial = match (&self.told.end, self.program.settings.output) {
            (End::Unfinished(text) | End::Answer(text), CommandOutput::StreamJson) => text.clone(),
            (End::Failed(_) | End::Blocked(_) | End::Nothing, CommandOutput::StreamJson) => String::new(),
            _ => self.output.to_owned(),
        };
        Failure {
            partial,
            stderr: self.ended.stderr.text().into_owned(),
            exit: Some(self.ended.exit.status()),
            usage: self.told.usage,
            ..Failure::new(kind, name, format!("`{name}` {what}"))
        }
    }

    fn fail(&self, kind: Kind, what: &str) -> Result<Answer, Box<Failure>> {
        Err(Box::new(self.failure(kind, what)))
    }

    fn late(&self, what: &str) -> Result<Answer, Box<Failure>> {
        self.fail(Kind::TimedOut, what)
    }

    fn silent(&self, idle: &str) -> Result<Answer, Box<Failure>> {
        self.fail(Kind::Idle, &format!("printed nothing for {idle} (idle_timeout)"))
    }

    fn blocked(&self, question: &str) -> Result<Answer, Box<Failure>> {
        let question = shown(question, MAX_MESSAGE);
        let denied = self.told.denied.contains(&question);
        let what = if denied {
            let how = match self.program.settings.program {
                Some(_) => "grant it under the agent's `tools`",
                None => "give the program's own flag for it in `args`",
            };
            format!("was denied a permission: {question}; {how}, or write `denied: continue`")
        } else {
            format!("needs an answer that nobody can give: {question}")
        };
        self.fail(Kind::Blocked, &what)
    }

    fn failed(&self, fault: &Fault) -> Result<Answer, Box<Failure>> {
        let settings = self.program.settings;
        let words = if fault.message.is_empty() { "it gave no reason" } else { fault.message.as_str() };
        let (kind, advice) = match fault.class {
            Some(class) => (Kind::Model(class), fault::advice(class, &settings.keys(), self.program.name())),
            None => (Kind::Reported, String::new()),
        };
        let failure = self.failure(kind, &format!("failed: {words}{advice}"));
        let failure = Failure { retry_after: fault.retry_after, ..failure };
        Err(Box::new(failure.transient(fault.is_transient())))
    }

    fn exited(&self, code: i32, stderr: &str) -> Result<Answer, Box<Failure>> {
        let known = self.program.settings.program.is_some();
        let last = stderr.lines().rev().map(str::trim).find(|line| !line.is_empty()).filter(|_| known);
        let why = last.map(|line| format!(": {}", shown(line, MAX_MESSAGE))).unwrap_or_default();
        self.fail(Kind::ExitStatus, &format!("ended with exit status {code}{why}"))
    }

    fn unreadable(&self, why: &str) -> Result<Answer, Box<Failure>> {
        let form = match self.program.settings.output {
            CommandOutput::Text => "text",
            CommandOutput::Json => "json",
            CommandOutput::JsonLines => "jsonl",
            CommandOutput::StreamJson => "stream-json",
        };
        self.fail(Kind::Unreadable, &format!("is to print {form}, but {why}"))
    }
}
