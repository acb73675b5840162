//! Why an agent gave no answer, as data: what kind it was and what a retry needs to know.
//!
//! Invariant: one failure has one status, and only this file says which.

use std::fmt;
use std::time::Duration;

use crate::model::{self, Class};
use crate::outcome::{Cause, Status, Usage};

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The model's provider failed, declined or cut the answer off.
    Model(Class),
    /// The program could not be started; holds the stable code of the reason.
    Spawn(&'static str),
    /// The program ended with an exit status other than 0.
    ExitStatus,
    /// A signal killed the program.
    Signal,
    /// The program says itself that it failed.
    Reported,
    /// A budget does not hold the next request.
    OverBudget,
    /// The program says itself that it needs an answer or a permission.
    Blocked,
    /// The program's output is not in the form that the plan says.
    Unreadable,
    /// The answer is blank.
    Empty,
    /// The program was not started, since nothing could confine it.
    Unconfined,
    /// The deadline passed.
    TimedOut,
    /// Nothing came for the length of the idle timeout.
    Idle,
}

/// One failed answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// What kind it was.
    pub kind: Kind,
    /// What happened and, where something can be done, what to do; one line.
    pub message: String,
    /// Who failed: `anthropic/claude-sonnet-5`, or the program's name.
    pub agent: String,
    /// The least time to wait before asking again, if the provider said so.
    pub retry_after: Option<Duration>,
    /// What had come by then: for people only, never a result.
    pub partial: String,
    /// What a program wrote on standard error.
    pub stderr: String,
    /// A program's exit status.
    pub exit: Option<i32>,
    /// Tokens and money, those of models that were tried before included.
    pub usage: Usage,
    /// See [`Failure::is_transient`].
    pub(super) transient: bool,
}

impl Failure {
    /// A failure of a program.
    pub(super) fn new(kind: Kind, agent: &str, message: impl Into<String>) -> Failure {
        Failure {
            kind,
            message: message.into(),
            agent: agent.to_owned(),
            retry_after: None,
            partial: String::new(),
            stderr: String::new(),
            exit: None,
            usage: Usage::default(),
            transient: false,
        }
    }

    /// A failure that the same ask may not meet a little later.
    pub(super) fn transient(self, transient: bool) -> Failure {
        Failure { transient, ..self }
    }

    /// A failure of a model.
    pub(super) fn of_model(failure: model::Failure, agent: &str) -> Failure {
        Failure {
            transient: failure.is_transient(),
            kind: Kind::Model(failure.class),
            message: failure.message,
            agent: agent.to_owned(),
            retry_after: failure.retry_after,
            partial: failure.partial,
            stderr: String::new(),
            exit: None,
            usage: failure.usage,
        }
    }

    /// How a call ends that ends with this.
    pub fn status(&self) -> Status {
        match self.kind {
            Kind::Blocked => Status::Blocked,
            Kind::Unconfined => Status::Refused,
            Kind::OverBudget => Status::OverBudget,
            Kind::TimedOut | Kind::Idle => Status::TimedOut,
            Kind::Empty | Kind::Unreadable => Status::InvalidOutput,
            Kind::Spawn(_) | Kind::ExitStatus | Kind::Signal | Kind::Reported => Status::Failed,
            Kind::Model(class) => match class {
                Class::Refused => Status::Refused,
                Class::Truncated => Status::InvalidOutput,
                Class::Stalled | Class::TimedOut => Status::TimedOut,
                Class::Unreachable
                | Class::Interrupted
                | Class::ServerError
                | Class::Overloaded
                | Class::RateLimited
                | Class::Unauthorized
                | Class::MissingKey
                | Class::OutOfMoney
                | Class::NotFound
                | Class::BadRequest
                | Class::ContextTooLong
                | Class::TooLarge
                | Class::Protocol
                | Class::Redirected
                | Class::Bug => Status::Failed,
            },
        }
    }

    /// The stable code of its cause.
    pub fn code(&self) -> &'static str {
        match self.kind {
            Kind::Model(class) => class.code(),
            Kind::Spawn(code) => code,
            Kind::ExitStatus => "exit_status",
            Kind::Signal => "signal",
            Kind::Reported => "agent_failed",
            Kind::Blocked => "blocked",
            Kind::Unconfined => "sandbox_unavailable",
            Kind::OverBudget => "budget",
            Kind::Unreadable => "unreadable_output",
            Kind::Empty => "empty_answer",
            Kind::TimedOut => "timeout",
            Kind::Idle => "idle_timeout",
        }
    }

    /// Its cause, for the outcome.
    pub fn cause(&self) -> Cause {
        Cause::new(self.code(), self.message.clone())
    }

    /// True when the same ask may well succeed a little later.
    pub fn is_transient(&self) -> bool {
        self.transient
    }

    /// True for a rate limit, which is no failed try: the ask is put back and waits.
    pub fn is_rate_limited(&self) -> bool {
        self.transient && self.kind == Kind::Model(Class::RateLimited)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
