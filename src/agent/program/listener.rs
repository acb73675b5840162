//! Listens to a running program: passes on what it does, and says when it has to be ended because
//! it is stuck.
//!
//! Stuck is: silent for its idle timeout while none of its tools runs, denied a permission, or
//! waiting for an answer to a question that nobody sees.
//!
//! Invariant: what it makes of a program does not depend on how the output was cut into pieces.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::found::Found;
use super::lines::Lines;
use super::{Heard, Told, Transcript, speaker, transcript};
use crate::agent::News;
use crate::agent::question;
use crate::plan::{CommandAgent, CommandOutput, Denied};
use crate::process::Stream;
use crate::unit::Tokens;

/// How often news is passed on at most.
const EVERY: Duration = Duration::from_millis(110);
/// How long a question has to stand as the last thing printed until it counts as one.
const PONDER: Duration = Duration::from_secs(3);
/// How much of a line is passed on, in characters.
const LONGEST: usize = 200;
/// A timer that is this late was not late: this process was stopped.
const STOPPED: Duration = Duration::from_secs(1);

/// Why a program has to be ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::agent) enum Stuck {
    /// It asked for something that nobody can give.
    Blocked(String),
    /// It was silent for its idle timeout.
    Idle,
}

/// Listens to one run of a program.
pub(in crate::agent) struct Listener<'a> {
    settings: &'a CommandAgent,
    news: &'a News<'a>,
    idle: Option<Duration>,
    /// True where its lines are for people only.
    plain: bool,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    out: Lines,
    err: Lines,
    transcript: Option<Box<dyn Transcript>>,
    found: Found,
    /// Whether the lines of standard output are looked at one by one as JSON.
    streams: bool,
    /// When it was last heard.
    heard: Instant,
    /// Its tools that run now.
    tools: HashSet<String>,
    /// A question that stands as the last thing printed.
    question: Option<String>,
    stuck: Option<Stuck>,
    /// News that came too soon after the last.
    pending: Option<String>,
    /// When the next news may be passed on.
    due: Instant,
}

impl<'a> Listener<'a> {
    /// Listens to a program with these settings from now on.
    pub(in crate::agent) fn new(
        settings: &'a CommandAgent,
        idle: Option<Duration>,
        news: &'a News<'a>,
    ) -> Listener<'a> {
        let now = Instant::now();
        let state = State {
            out: Lines::default(),
            err: Lines::default(),
            transcript: settings.program.map(transcript),
            found: Found::default(),
            streams: settings.output == CommandOutput::StreamJson,
            heard: now,
            tools: HashSet::new(),
            question: None,
            stuck: None,
            pending: None,
            due: now,
        };
        let plain = !state.streams && Found::nothing(&settings.patterns);
        Listener { settings, news, idle, plain, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Takes a piece of the program's output.
    pub(in crate::agent) fn hear(&self, stream: Stream, bytes: &[u8]) {
        let mut state = self.state();
        let now = Instant::now();
        state.heard = now;
        let mut lines = std::mem::take(match stream {
            Stream::Stdout => &mut state.out,
            Stream::Stderr => &mut state.err,
        });
        // Where nothing is looked for in its lines, the last of them will do: it may print a gigabyte.
        let tail = bytes.get(bytes.len().saturating_sub(4 * LONGEST)..).filter(|_| self.plain);
        lines.push(tail.unwrap_or(bytes), |line| self.line(&mut state, stream, line));
        let rest = lines.rest();
        let last = rest.get(rest.len().saturating_sub(4 * LONGEST)..).unwrap_or(rest);
        state.question = question::open(&String::from_utf8_lossy(last)).map(str::to_owned);
        match stream {
            Stream::Stdout => state.out = lines,
            Stream::Stderr => state.err = lines,
        }
        self.pass_on(&mut state, now);
        drop(state);
        self.changed.notify_one();
    }

    /// Completes when the program has to be ended; [`Listener::stuck`] says why. Passes on the news
    /// that had to wait.
    pub(in crate::agent) async fn until_stuck(&self) {
        loop {
            let next = {
                let state = self.state();
                if state.stuck.is_some() {
                    return;
                }
                self.next(&state)
            };
            let alarm = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.changed.notified() => {}
                () = alarm => self.awake(next),
            }
        }
    }

    /// Why it had to be ended, if it had to.
    pub(in crate::agent) fn stuck(&self) -> Option<Stuck> {
        self.state().stuck.clone()
    }

    /// What the program came to. `text` reads a whole standard output that is no event stream.
    pub(in crate::agent) fn told(&self, output: &str, text: impl FnOnce() -> Told) -> Told {
        let mut state = self.state();
        for (stream, mut lines) in [
            (Stream::Stdout, std::mem::take(&mut state.out)),
            (Stream::Stderr, std::mem::take(&mut state.err)),
        ] {
            let rest = lines.finish();
            if !rest.is_empty() {
                self.line(&mut state, stream, &rest);
            }
        }
        if !state.streams
            && Found::points(&self.settings.patterns)
            && let Ok(value) = serde_json::from_str::<Value>(output.trim())
        {
            state.found.look(&self.settings.patterns, "", Some(&value));
        }
        let told = match (&state.transcript, state.streams) {
            (Some(transcript), true) => transcript.told(),
            (None, true) => {
                let end = super::End::Unreadable("no line of it is an event of a known program".to_owned());
                Told { end, ..Told::default() }
            }
            (_, false) => text(),
        };
        state.found.told(told)
    }

    /// What an exit status means to the program.
    pub(in crate::agent) fn exit(&self, code: i32) -> Option<super::fault::Fault> {
        self.state().transcript.as_ref().and_then(|transcript| transcript.exit(code))
    }

    fn line(&self, state: &mut State, stream: Stream, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let patterns = &self.settings.patterns;
        let wanted = stream == Stream::Stdout && (state.streams || Found::points(patterns));
        let value = match wanted && text.trim_start().starts_with('{') {
            true => serde_json::from_str::<Value>(&text).ok(),
            false => None,
        };
        state.found.look(patterns, &text, value.as_ref());
        if let Some(question) = &state.found.blocked {
            state.stuck.get_or_insert(Stuck::Blocked(question.clone()));
        }
        match value.filter(|_| state.streams) {
            Some(event) => self.event(state, &event),
            None if state.streams && stream == Stream::Stdout => {}
            // Its notes are for people only where it says nothing else.
            None if self.settings.program.is_some() => {}
            None => self.tell(state, text.trim()),
        }
    }

    fn event(&self, state: &mut State, event: &Value) {
        if state.transcript.is_none() {
            state.transcript = speaker(event).map(transcript);
        }
        let heard = state.transcript.as_mut().map(|transcript| transcript.hear(event)).unwrap_or_default();
        for heard in heard {
            match heard {
                Heard::Text(text) => self.tell(state, last_line(&text)),
                Heard::Note(text) => self.tell(state, last_line(&text)),
                Heard::Began { id, what } => {
                    self.tell(state, &what);
                    state.tools.insert(id);
                }
                Heard::Done { id } => {
                    state.tools.remove(&id);
                }
                Heard::Denied(what) => {
                    self.tell(state, &format!("denied: {what}"));
                    if self.settings.denied == Denied::Block {
                        state.stuck.get_or_insert(Stuck::Blocked(what));
                    }
                }
            }
        }
    }

    fn tell(&self, state: &mut State, line: &str) {
        if !line.is_empty() {
            state.pending = Some(line.chars().take(LONGEST).collect());
        }
    }

    fn pass_on(&self, state: &mut State, now: Instant) {
        if now < state.due {
            return;
        }
        if let Some(line) = state.pending.take() {
            state.due = now + EVERY;
            (self.news)(&line, Tokens(0));
        }
    }

    /// When there is something to do next.
    fn next(&self, state: &State) -> Option<Instant> {
        let idle = self.idle.filter(|_| state.tools.is_empty()).map(|idle| state.heard + idle);
        let question = state.question.as_ref().map(|_| state.heard + PONDER);
        let news = state.pending.as_ref().map(|_| state.due);
        [idle, question, news].into_iter().flatten().min()
    }

    fn awake(&self, alarm: Option<Instant>) {
        let now = Instant::now();
        let mut state = self.state();
        if alarm.is_some_and(|at| now > at + STOPPED) {
            // Nobody was here to listen.
            state.heard = now;
        }
        self.pass_on(&mut state, now);
        if let Some(question) = state.question.clone()
            && now >= state.heard + PONDER
        {
            state.stuck.get_or_insert(Stuck::Blocked(question));
        }
        if self.idle.is_some_and(|idle| state.tools.is_empty() && now >= state.heard + idle) {
            state.stuck.get_or_insert(Stuck::Idle);
        }
    }

    /// A panic elsewhere is no reason to lose what was heard.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn last_line(text: &str) -> &str {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
}
