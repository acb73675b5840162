//! One call of a checked plan: what it does, what it waits for, how it is tried.
//!
//! Plain data; nothing in it is optional because a key was left out, but only because nothing is meant.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::diagnostic::Span;
use super::template::{Expression, Template};
use super::workspace::Workspace;
use super::{Agent, Budget, Plan, Reconcile, Sandbox};
use crate::id::CallId;
use crate::unit::{Bytes, Tokens};

/// One call.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its id.
    pub id: CallId,
    /// Where its id stands in the plan.
    pub at: Span,
    /// `description`, or the id.
    pub description: String,
    /// What it does.
    pub action: Action,
    /// Everything that must end first: `needs` and the calls that its templates mention, in plan order.
    pub needs: Vec<Need>,
    /// How many of `needs` must be satisfied; `None` for all of them.
    pub needs_at_least: Option<u32>,
    /// False skips the call.
    pub when: Option<Expression>,
    /// What it is expanded over.
    pub expand: Option<Expand>,
    /// The item's name in templates.
    pub item_name: String,
    /// How many instances of an expanded call are enough.
    pub join: Join,
    /// At most so many instances of it at once.
    pub concurrency: Option<u32>,
    /// Started and not waited for by a turn.
    pub background: bool,
    /// Working directory, relative to the plan's folder.
    pub cwd: Option<Template>,
    /// What the system lets it touch.
    pub sandbox: Sandbox,
    /// Added to the environment of what it runs.
    pub env: Vec<(String, Template)>,
    /// Standard input of a command; closed when `None`.
    pub stdin: Option<Template>,
    /// For the whole call, retries included.
    pub timeout: Duration,
    /// For silence.
    pub idle_timeout: Option<Duration>,
    /// How many times a transient fault is tried again.
    pub retries: u32,
    /// Which faults count as transient beyond network faults and overload.
    pub retry_on: RetryOn,
    /// What a resumed run does with it if it was running when the process was killed.
    pub on_interrupt: OnInterrupt,
    /// What its failure means for the rest.
    pub on_error: OnError,
    /// The shape of its output.
    pub output: OutputSpec,
    /// Where it works.
    pub workspace: Workspace,
    /// What decides afterwards whether the answer is good enough.
    pub check: Option<Check>,
    /// How many times an answer that fails `check` or the schema is asked for again with the failure fed back, the first included.
    pub attempts: u32,
    /// Run again until an expression holds.
    pub repeat: Option<Repeat>,
    /// The conversation that it goes on with. Never of a call that is expanded.
    pub session: Option<Session>,
    /// How much of its output others get when they mention it.
    pub pass: Pass,
    /// Whether an earlier run's identical result is taken.
    pub cache: Cache,
    /// What it may spend, all of its instances and attempts together.
    pub budget: Budget,
    /// For `--only tag:x`.
    pub tags: Vec<String>,
}

/// A conversation of several calls, one after the other in plan order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its name.
    pub name: String,
    /// Where that stands.
    pub at: Span,
    /// The position of the call before it in the session, which it needs.
    pub previous: Option<usize>,
}

/// Whether the result of an earlier run with the same content is taken over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Cache {
    /// No; a resumed run still takes over its own.
    #[default]
    Off,
    /// Yes.
    On,
    /// Yes, where these files are the same too: globs beneath the call's working directory.
    Inputs(Vec<String>),
}

/// What a call does.
#[derive(Debug, Clone)]
pub enum Action {
    /// One agent, one prompt.
    Prompt {
        /// The prompt.
        prompt: Template,
        /// Who answers it.
        agent: Arc<Agent>,
    },
    /// A command without a model.
    Run(Command),
    /// Another plan, already checked, with its own vars given as templates or expressions.
    Plan {
        /// The plan; its `vars` hold defaults, `with` overrides them at run time.
        plan: Arc<Plan>,
        /// Values for its vars.
        with: Vec<(String, Computed)>,
    },
    /// A parent step in the middle of the plan; rare, and larger than all others.
    Reconcile(Box<Reconcile>),
    /// A computed value.
    Value(Computed),
    /// A question to a person.
    Ask {
        /// The question.
        question: Template,
        /// The answer where nobody can be asked.
        default: Option<String>,
    },
    /// Ends the run early.
    Stop {
        /// True for `status: success`.
        success: bool,
        /// Why.
        reason: Template,
    },
}

impl Action {
    /// The key that it was written with.
    pub fn kind(&self) -> &'static str {
        match self {
            Action::Prompt { .. } => "prompt",
            Action::Run(_) => "run",
            Action::Plan { .. } => "plan",
            Action::Reconcile(_) => "reconcile",
            Action::Value(_) => "value",
            Action::Ask { .. } => "ask",
            Action::Stop { .. } => "stop",
        }
    }
}

/// What decides whether an answer is good enough.
#[derive(Debug, Clone)]
pub enum Check {
    /// A command that must exit 0; it gets the answer on standard input.
    Command(Command),
    /// A question to the parent's model, which answers yes or no with the reason.
    Ask(Template),
}

/// A command, before its templates are rendered.
#[derive(Debug, Clone)]
pub enum Command {
    /// Run by `sh -c`; values reach it as shell variables, never as text.
    Shell(Template),
    /// Run as is; each element is one argument.
    Argv(Vec<Template>),
}

/// A value that is computed: data with expressions in it.
#[derive(Debug, Clone)]
pub enum Computed {
    /// One expression, its result kept as data.
    Expression(Expression),
    /// Plain data from the plan.
    Literal(Value),
    /// Each value computed on its own.
    Map(Vec<(String, Computed)>),
    /// Each element computed on its own.
    List(Vec<Computed>),
}

/// One call that another needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The position in [`Plan::calls`] of the call that must end first.
    pub call: usize,
    /// What it must have come to.
    pub accept: Accept,
    /// Where the need is written: under `needs`, or the template that mentions it.
    pub at: Span,
    /// True when a template or expression mentions it, so data flows along it.
    pub data: bool,
}

/// What a need accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// Only a success.
    Success,
    /// Any outcome.
    Done,
}

/// What a call is expanded over.
#[derive(Debug, Clone)]
pub enum Expand {
    /// A list that stands in the plan; its elements may hold templates over `vars`.
    List(Vec<Value>),
    /// An expression that gives a list at run time.
    Dynamic(Expression),
    /// The combinations of a matrix, already multiplied out, each a map of axis to value.
    Matrix(Vec<serde_json::Map<String, Value>>),
    /// The same call so many times.
    Samples(u32),
}

/// How many instances of an expanded call are enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// All of them.
    All,
    /// So many successes; the rest are cancelled. `any` is `AtLeast(1)`.
    AtLeast(u32),
}

/// Which faults are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetryOn {
    /// Any failure.
    pub error: bool,
    /// A time-out.
    pub timeout: bool,
    /// An answer in the wrong shape.
    pub invalid_output: bool,
    /// A failed `check`.
    pub check: bool,
}

/// What a resumed run does with a call that was running when the process was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInterrupt {
    /// Run it again and say so.
    Retry,
    /// Fail it.
    Fail,
    /// Ask a person.
    Ask,
}

/// What a failure means for the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Nothing more is started.
    Stop,
    /// The rest goes on; the run fails in the end.
    Continue,
    /// It does not count against the run.
    Ignore,
}

/// The shape of an output.
#[derive(Debug, Clone)]
pub struct OutputSpec {
    /// How the text is read.
    pub format: Format,
    /// What the parsed output must satisfy.
    pub schema: Option<Arc<Value>>,
    /// More than this is cut, with a visible mark.
    pub max_bytes: Bytes,
    /// Also written to this file, relative to the call's working directory.
    pub file: Option<Template>,
}

/// How an output's text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As it stands.
    Text,
    /// As one JSON value; code fences around it are tolerated.
    Json,
    /// As a list of its non-empty lines.
    Lines,
}

/// Run again until it holds.
#[derive(Debug, Clone)]
pub struct Repeat {
    /// Sees `output`, `json`, `status` and `previous` of the round just done, and `round` (from 1).
    pub until: Expression,
    /// Reaching it without success is a failure.
    pub max: u32,
    /// True starts each round without the conversation of the last.
    pub fresh: bool,
}

/// How much of an output others get when they mention it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// Only these top-level fields of a JSON output; empty for all.
    pub fields: Vec<String>,
    /// At most so many tokens (estimated at 4 bytes each).
    pub max_tokens: Tokens,
    /// Pasted, or as the path of a file.
    pub as_file: bool,
    /// What to do with more than `max_tokens`.
    pub overflow: Overflow,
}

/// What happens to an output that is too long to pass on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The middle is left out, with a visible mark.
    Truncate,
    /// The path of the file is given instead.
    File,
    /// The call that mentions it fails.
    Fail,
}
