//! One try at an instance's work, and what went wrong with it as data.
//!
//! Invariant: an attempt never tries again by itself; it says what kind of fault it
//! met, and the attempt loop in `instance` decides.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::activity::Activity;
use super::level::Level;
use super::session::Carried;
use super::work::{Job, Place, Program, Work};
use super::{World, confine};
use crate::agent;
use crate::event::Event;
use crate::outcome::{Cause, Status, Usage};
use crate::plan::{AgentKind, Call};
use crate::process;
use crate::sandbox::Policy;
use crate::unit::human_duration;

/// What one try came back with, before its shape is checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Raw {
    pub(crate) text: String,
    /// A value that was computed here rather than read from text.
    pub(crate) computed: Option<serde_json::Value>,
    /// Bytes of `text` that were not kept.
    pub(crate) omitted: u64,
    pub(crate) stderr: Arc<str>,
    pub(crate) exit: Option<i32>,
    pub(crate) usage: Usage,
    /// Who answered, where that is known only now (a fallback model).
    pub(crate) agent: Option<String>,
    /// The conversation up to here, in a session.
    pub(crate) memory: Option<agent::Memory>,
}

/// What went wrong with one try.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) status: Status,
    pub(crate) cause: Cause,
    pub(crate) kind: Kind,
    /// The earliest time another try makes sense, where the provider said so.
    pub(crate) retry_after: Option<Duration>,
    /// What it had produced by then, for people.
    pub(crate) partial: Box<Raw>,
}

/// What `retry_on` and the attempt loop tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A network fault or an overloaded provider: tried again by default.
    Transient,
    /// The provider said when to come back: the attempt is put back and does not count.
    RateLimited,
    /// Another failure of the work itself.
    Error,
    /// `timeout` or `idle_timeout`.
    Timeout,
    /// Trying again cannot help: refused, unauthorised, blocked, cancelled.
    Final,
}

impl Fault {
    pub(crate) fn new(status: Status, kind: Kind, cause: Cause) -> Fault {
        Fault { status, cause, kind, retry_after: None, partial: Box::default() }
    }

    fn with(mut self, partial: Raw) -> Fault {
        self.partial = Box::new(partial);
        self
    }

    /// The cause with the end of what it wrote on standard error.
    pub(crate) fn explained(&self) -> String {
        let said = self.partial.stderr.trim();
        let from = said.char_indices().rev().nth(800).map_or(0, |(at, _)| at);
        if said.is_empty() {
            self.cause.message.clone()
        } else {
            format!("{}: {}", self.cause.message, &said[from..])
        }
    }
}

/// What an attempt needs besides its job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// When the whole call is over.
    pub(crate) deadline: Instant,
    pub(crate) timeout: Duration,
}

impl Bounds {
    /// From now on, so long.
    pub(crate) fn within(timeout: Duration) -> Bounds {
        Bounds { deadline: Instant::now() + timeout, timeout }
    }

    /// Why a call ends that is not done by its deadline.
    pub(crate) fn exceeded(self) -> Cause {
        let message = format!("it took longer than its `timeout` of {}", human_duration(self.timeout));
        Cause::new("timeout", message)
    }

    fn timed_out(self) -> Fault {
        Fault::new(Status::TimedOut, Kind::Timeout, self.exceeded())
    }

    pub(crate) fn left(self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// Bounds, and whether a transient failure would be the last word.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounded {
    pub(crate) bounds: Bounds,
    pub(crate) last_try: bool,
}

/// An earlier answer of the same call that was not good enough, and why.
#[derive(Debug, Clone)]
pub(crate) struct Feedback {
    pub(crate) answer: String,
    pub(crate) complaint: String,
}

/// What an agent knows of the call beyond its prompt.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    /// What its requests are made with.
    pub(crate) access: &'a Arc<agent::Access>,
    /// Earlier answers that were not good enough.
    pub(crate) feedback: &'a [Feedback],
    /// What its session brings.
    pub(crate) carried: &'a Carried,
    /// What a model has to work with.
    pub(crate) desk: Option<Arc<agent::Desk>>,
}

/// Tries a prompt once. `stop` ends it.
pub(crate) async fn prompt(
    level: &Level,
    call: &Call,
    job: &Job,
    Bounded { bounds, last_try }: Bounded,
    Told { access, feedback, desk, carried }: Told<'_>,
    activity: &Activity,
    stop: impl Future<Output = Cause>,
) -> Result<Raw, Fault> {
    let Work::Prompt { prompt, system, agent } = &job.work else {
        return Err(Fault::new(Status::Failed, Kind::Final, Cause::new("bug", "not a prompt")));
    };
    let ask = agent::Ask {
        prompt: prompt.clone(),
        system: system.clone(),
        before: carried.before.clone(),
        schema: call.output.schema.as_ref().map(Arc::clone),
        earlier: feedback
            .iter()
            .map(|round| agent::Earlier { answer: round.answer.clone(), complaint: round.complaint.clone() })
            .collect(),
        deadline: bounds.deadline,
        idle_timeout: call.idle_timeout,
        cwd: job.place.cwd.clone(),
        env: job.place.env.clone(),
        policy: match agent.kind {
            AgentKind::Command(_) => confine::policy(&level.world, &job.place),
            // What it has to do with files is done by its tools, which know theirs.
            AgentKind::Model(_) => Policy::default(),
        },
        thread: carried.thread.clone(),
        transcript: carried.transcript.clone(),
        shared: carried.shared.clone(),
        last_try,
        access: Arc::clone(access),
        desk,
    };
    // An agent reports seldom enough by itself, and a tool that it names must not be missed.
    let news = |line: &str, tokens| activity.tell(line, tokens);
    let worker = level.world.agents.of(agent, &level.plan.providers);
    let answer = tokio::select! {
        biased;
        cause = stop => return Err(Fault::new(Status::Cancelled, Kind::Final, cause)),
        () = tokio::time::sleep_until(bounds.deadline) => return Err(bounds.timed_out()),
        answer = worker.answer(ask, &news) => answer,
    };
    match answer {
        Ok(answer) => Ok(Raw {
            text: answer.text,
            omitted: answer.omitted_bytes,
            stderr: answer.stderr.into(),
            exit: answer.exit,
            usage: answer.usage,
            agent: Some(answer.agent),
            memory: answer.memory,
            computed: None,
        }),
        Err(failure) => Err(of_agent(*failure, bounds)),
    }
}

/// What an agent's failure means for the attempt loop.
pub(crate) fn of_agent(failure: agent::Failure, bounds: Bounds) -> Fault {
    let status = failure.status();
    let kind = if failure.is_rate_limited() {
        Kind::RateLimited
    } else if failure.is_transient() {
        Kind::Transient
    } else {
        match status {
            Status::TimedOut => Kind::Timeout,
            Status::Failed | Status::InvalidOutput => match failure.kind {
                agent::Kind::ExitStatus | agent::Kind::Signal | agent::Kind::Reported => Kind::Error,
                agent::Kind::Empty | agent::Kind::Unreadable => Kind::Error,
                agent::Kind::Model(_)
                | agent::Kind::Spawn(_)
                | agent::Kind::Blocked
                | agent::Kind::Unconfined
                | agent::Kind::OverBudget
                | agent::Kind::TimedOut
                | agent::Kind::Idle
                | agent::Kind::TurnsUsedUp
                | agent::Kind::Unwritten => Kind::Final,
            },
            Status::Ok
            | Status::Blocked
            | Status::Refused
            | Status::OverBudget
            | Status::Skipped
            | Status::Cancelled => Kind::Final,
        }
    };
    let fault = match failure.kind {
        agent::Kind::TimedOut => bounds.timed_out(),
        agent::Kind::Model(_)
        | agent::Kind::Spawn(_)
        | agent::Kind::ExitStatus
        | agent::Kind::Signal
        | agent::Kind::Reported
        | agent::Kind::Blocked
        | agent::Kind::Unconfined
        | agent::Kind::OverBudget
        | agent::Kind::Unreadable
        | agent::Kind::Empty
        | agent::Kind::Idle
        | agent::Kind::TurnsUsedUp
        | agent::Kind::Unwritten => Fault::new(status, kind, failure.cause()),
    };
    let partial = Raw {
        text: failure.partial,
        stderr: failure.stderr.into(),
        exit: failure.exit,
        usage: failure.usage,
        agent: Some(failure.agent),
        ..Raw::default()
    };
    Fault { retry_after: failure.retry_after, ..fault }.with(partial)
}

/// A command about to be tried.
#[derive(Debug)]
pub(crate) struct Command<'a> {
    pub(crate) program: &'a Program,
    pub(crate) place: &'a Place,
    pub(crate) bounds: Bounds,
    pub(crate) idle_timeout: Option<Duration>,
    /// How much of its standard output is kept.
    pub(crate) max_bytes: u64,
}

impl<'a> Command<'a> {
    /// A command under the bounds of its call.
    pub(crate) fn of(call: &Call, program: &'a Program, place: &'a Place, bounds: Bounds) -> Command<'a> {
        Command {
            program,
            place,
            bounds,
            idle_timeout: call.idle_timeout,
            max_bytes: call.output.max_bytes.0,
        }
    }

    /// Runs it once. `stop` ends it, with its grace period.
    pub(crate) async fn once(
        &self,
        world: &World,
        activity: Option<&Activity>,
        stop: impl Future<Output = Cause>,
    ) -> Result<Raw, Fault> {
        let spec = confine::wrap(world, self.place, self.spec(world))?;
        let mut why = None;
        let stop = async { why = Some(stop.await) };
        let show = |_, bytes: &[u8]| {
            if let Some(activity) = activity {
                activity.output(bytes);
            }
        };
        let ended = process::run(spec, stop, show).await.map_err(|error| not_spawned(&error))?;
        if ended.leaked > 0 {
            let message = format!(
                "`{}` left {} processes behind when it ended; they were killed",
                self.program.shown, ended.leaked
            );
            world.journal.note(Event::Warned { code: "leaked".to_owned(), message });
        }
        self.judge(ended, why)
    }

    fn spec(&self, world: &World) -> process::Spec {
        let set = self.place.env.iter().chain(&self.program.variables);
        let half = usize::try_from(self.max_bytes / 2).unwrap_or(usize::MAX);
        let base = process::Spec::new(self.program.argv.clone(), &self.place.cwd);
        process::Spec {
            timeout: Some(self.bounds.left()),
            idle_timeout: self.idle_timeout,
            stdin: self.program.stdin.clone().map_or(process::Input::Null, process::Input::Bytes),
            env: process::Environment {
                set: set.map(|(name, value)| (name.into(), value.into())).collect(),
                ..process::Environment::default()
            },
            keep: process::Keep { head: half, tail: half },
            marker: (base.marker.0.clone(), world.journal.run().to_string()),
            reaper: world.reaper.clone(),
            ..base
        }
    }

    fn judge(&self, ended: process::Ended, why: Option<Cause>) -> Result<Raw, Fault> {
        let raw = Raw {
            text: ended.stdout.text().into_owned(),
            omitted: ended.stdout.dropped,
            stderr: ended.stderr.text().into(),
            exit: Some(ended.exit.status()),
            ..Raw::default()
        };
        let fault = match ended.ended_by {
            process::EndedBy::Itself => match ended.exit {
                process::Exit::Code(0) => return Ok(raw),
                process::Exit::Code(code) => Fault::new(
                    Status::Failed,
                    Kind::Error,
                    Cause::new("exit_status", format!("exit status {code}")),
                ),
                process::Exit::Signal(_, name) => {
                    Fault::new(Status::Failed, Kind::Error, Cause::new("signal", format!("killed by {name}")))
                }
            },
            process::EndedBy::Timeout => self.bounds.timed_out(),
            process::EndedBy::Idle => silent(self.idle_timeout.unwrap_or_default()),
            process::EndedBy::Stopped => {
                let cause = why.unwrap_or_else(|| Cause::new("run_over", "the run ended before it did"));
                Fault::new(Status::Cancelled, Kind::Final, cause)
            }
        };
        Err(fault.with(raw))
    }
}

fn silent(idle: Duration) -> Fault {
    let message = format!("it was silent for {}, its `idle_timeout`", human_duration(idle));
    Fault::new(Status::TimedOut, Kind::Timeout, Cause::new("idle_timeout", message))
}

fn not_spawned(error: &process::SpawnError) -> Fault {
    let kind = if error.is_transient() { Kind::Transient } else { Kind::Final };
    Fault::new(Status::Failed, kind, Cause::new(error.code(), error.to_string()))
}
