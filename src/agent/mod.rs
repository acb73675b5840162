//! One prompt in, one answer out: a model in this process, or a program of its own.
//!
//! Invariants: an agent classifies what went wrong and never tries the same thing
//! again; it writes nothing down; what it says while it works is news for people,
//! never a result.

mod access;
mod answer;
mod command;
mod desk;
mod failure;
mod gated;
mod jobs;
mod model;
mod news;
mod own_tools;
mod prefix;
mod program;
mod prompt;
mod question;
mod request;
mod talk;
mod toolbox;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::BoxFuture;
use indexmap::IndexMap;
use serde_json::Value;
use tokio::time::Instant;

pub use access::{Access, Book};
pub use desk::{Desk, Errand, Errands, Kit, Subagents, Wanted};
pub use failure::{Failure, Kind};

pub use crate::event::{Memory, Thread};

use crate::limits::estimate::Estimates;
use crate::limits::gate::Gate;
use crate::limits::gates::Gates;
use crate::model::{Client, Message};
use crate::outcome::Usage;
use crate::plan;
use crate::process::Reaper;
use crate::sandbox::{Policy, Sandbox};
use crate::unit::Tokens;
use prefix::Prefixes;
use request::Requests;

/// Who can answer a prompt.
///
/// - *Cancel*: dropping the future ends everything that it started, at once: the
///   connection is closed, every process of a program is killed.
/// - *Durability*: none. Nothing of an answer is kept here; the caller writes it down.
/// - *Failures*: [`Failure::is_transient`] says that the same ask may well succeed
///   later. An agent never waits for that; only the caller's attempt loop does.
pub trait Agent: Send + Sync {
    /// Answers one prompt, or says why not. Never an empty answer.
    ///
    /// `news` hears the last line and the tokens so far, at most ten times a second.
    fn answer<'a>(&'a self, ask: Ask, news: &'a News<'a>) -> BoxFuture<'a, Result<Answer, Box<Failure>>>;
}

/// Who hears what an agent is doing: its last line, and the tokens received so far (0 if unknown).
pub type News<'a> = dyn Fn(&str, Tokens) + Send + Sync + 'a;

/// A prompt with all that belongs to it.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The prompt, rendered.
    pub prompt: String,
    /// The system prompt, rendered.
    pub system: Option<String>,
    /// What was said in the same conversation before, in order.
    pub before: Vec<Exchange>,
    /// What the answer must satisfy. The agent asks for it as well as it can; whoever
    /// asked validates the answer.
    pub schema: Option<Arc<Value>>,
    /// Answers to this prompt that were not good enough, in order.
    pub earlier: Vec<Earlier>,
    /// When it must be done.
    pub deadline: Instant,
    /// How long it may be silent.
    pub idle_timeout: Option<Duration>,
    /// The folder that a program works in.
    pub cwd: PathBuf,
    /// Added to a program's environment.
    pub env: Vec<(String, String)>,
    /// What the system lets a program touch.
    pub policy: Policy,
    /// The conversation that a program is to go on with, or to begin so that it can be gone on with;
    /// `None` for one that nobody goes on with, of which an answer has no [`Answer::memory`].
    pub thread: Option<Thread>,
    /// The same for a model in this process. Another model than the one whose it is goes on from `before`.
    pub transcript: Option<Arc<Transcript>>,
    /// What other asks begin with as well.
    pub shared: Option<Shared>,
    /// True when a transient failure will not be tried again: an agent with several
    /// models then goes on to the next one instead of reporting it.
    pub last_try: bool,
    /// What its requests are made with: seat, accounts, and who hears of them.
    pub access: Arc<Access>,
    /// What a model has to work with, and where its conversation is written down. Without one it
    /// has no tools and is asked once.
    pub desk: Option<Arc<Desk>>,
}

/// A conversation as a model was sent it, to be gone on with by the same model.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcript {
    /// Whose form the turns are in: `anthropic/claude-sonnet-5`.
    pub model: String,
    /// The messages in order, the last answer included.
    pub messages: Vec<Message>,
}

/// What several asks of one agent begin with, beyond its system prompt and its tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The beginning of their prompts; may be empty. One whose prompt begins otherwise shares less.
    pub head: Arc<str>,
    /// How many they are.
    pub siblings: u32,
}

/// Something that was asked earlier in a conversation, and what was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// What was asked or told.
    pub said: String,
    /// What was answered.
    pub answered: String,
}

/// An answer that was not good enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// What was answered.
    pub answer: String,
    /// What is wrong with it.
    pub complaint: String,
}

/// What an agent answered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// The answer. Never blank.
    pub text: String,
    /// How many bytes in the middle of `text` were not kept.
    pub omitted_bytes: u64,
    /// Tokens and money, those of models that were tried in vain included.
    pub usage: Usage,
    /// True when the provider gave no usage and it was estimated.
    pub usage_estimated: bool,
    /// Who answered: `anthropic/claude-sonnet-5`, or the program's name.
    pub agent: String,
    /// The provider's own name of the request.
    pub request_id: Option<String>,
    /// What a program wrote on standard error.
    pub stderr: String,
    /// A program's exit status.
    pub exit: Option<i32>,
    /// The conversation up to this answer, where the ask has a `thread` and it can be gone on with.
    pub memory: Option<Memory>,
    /// Permissions that a program asked for and was denied: `Bash(npm test)`.
    pub denied: Vec<String>,
    /// Models that were asked first and failed for good: which, and why.
    pub passed_over: Vec<String>,
}

/// What programs are started in.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Names of variables that every program takes over from this process, `LC_*` for all that begin so.
    pub inherit: Vec<String>,
    /// The run that it belongs to, for its `FANOUT_RUN_ID`; empty for none.
    pub run_id: String,
    /// Who ends it when this process is killed.
    pub reaper: Option<Reaper>,
    /// Who puts it under its policy.
    pub sandbox: Sandbox,
}

impl Default for Surroundings {
    /// What every program needs, and no key of anybody.
    fn default() -> Surroundings {
        let names = plan::COMMON_VARIABLES.iter().map(|name| (*name).to_owned());
        Surroundings {
            inherit: names.collect(),
            run_id: String::new(),
            reaper: None,
            sandbox: Sandbox::untried(),
        }
    }
}

/// The agents of a run, made from what the plan says about them.
pub struct Agents {
    requests: Requests,
    surroundings: Surroundings,
}

impl Agents {
    /// Agents that share one client and one environment.
    pub fn new(client: Client, surroundings: Surroundings) -> Agents {
        let requests = Requests {
            client,
            gates: Gates::default(),
            estimates: Estimates::default(),
            prices: OnceLock::new(),
            prefixes: Prefixes::default(),
        };
        Agents { requests, surroundings }
    }

    /// The gate that an agent's first request passes, and its model there.
    pub fn gate(
        &self,
        agent: &plan::Agent,
        providers: &IndexMap<String, plan::Provider>,
    ) -> Option<(Arc<Gate>, Arc<str>)> {
        match &agent.kind {
            plan::AgentKind::Model(settings) => {
                let name = settings.models.first()?;
                let gate = request::gate(&self.requests.gates, providers.get(&name.provider)?);
                Some((gate, name.model.as_str().into()))
            }
            plan::AgentKind::Command(settings) => {
                let gate = self.requests.gates.of_program(settings.argv.first()?);
                Some((gate, "".into()))
            }
        }
    }

    /// The agent that a plan describes; `providers` are those of the same plan.
    pub fn of<'a>(
        &'a self,
        agent: &'a plan::Agent,
        providers: &'a IndexMap<String, plan::Provider>,
    ) -> Box<dyn Agent + 'a> {
        match &agent.kind {
            plan::AgentKind::Model(settings) => {
                Box::new(model::Model { requests: &self.requests, settings, providers })
            }
            plan::AgentKind::Command(settings) => {
                let name = settings.argv.first().map_or("(no program)", String::as_str);
                let inner = Box::new(command::Program { surroundings: &self.surroundings, settings });
                Box::new(gated::Gated { inner, gate: self.requests.gates.of_program(name), name })
            }
        }
    }
}

impl fmt::Debug for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agents").field("surroundings", &self.surroundings).finish_non_exhaustive()
    }
}
