//! Everything that can happen in a run, as plain data in the past tense.
//!
//! Invariants: an event holds ids, never references; it is emitted by whoever did
//! the work and read by anyone; reading it changes nothing. The journal's file,
//! `--json` and every report are made of these records, so a change of a name
//! here is a change of the format.

mod kind;
mod request;
mod talk;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{AttemptNo, CallId, ContentKey, InstanceId, RunId};
use crate::outcome::{Cause, Outcome, Status};
use crate::unit::{Tokens, millis};
pub use kind::Subject;
pub use request::{RequestFinished, RequestStarted};
pub use talk::{Exchanged, JobStatus, Memory, ModelAnswer, Thread, ToolAsked};

/// The version of the record format; readers refuse a higher one.
pub const FORMAT: u32 = 1;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Counts from 1 without gaps, over all records that are written down. Volatile
    /// records carry the number of the last written one.
    pub seq: u64,
    /// Wall clock, for people. Order comes from `seq`, lengths of time from `elapsed`.
    pub at: Timestamp,
    /// Monotonic time since this process began the run.
    #[serde(with = "millis", rename = "elapsed_ms")]
    pub elapsed: Duration,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The run exists. Always the first record.
    RunStarted(RunStarted),
    /// An earlier process left this run unfinished and this one goes on with it.
    RunResumed {
        /// Version of the program that goes on.
        fanout: String,
        /// Its process id.
        pid: u32,
    },
    /// A `for_each`, `matrix` or `samples` became instances. Comes before any of them starts.
    CallExpanded {
        /// The expanded call.
        call: CallId,
        /// The instances' labels, by index: the item or the combination, shortened for people.
        labels: Vec<String>,
    },
    /// These calls are to be done anew: what earlier processes recorded of them counts no more.
    ResultsForgotten {
        /// The calls; those of a sub-plan go with the call that runs it.
        calls: Vec<CallId>,
    },
    /// An instance took its place under the limits and began. Durable before it does anything, or, where that
    /// is to ask a model and nothing else, in the file.
    CallStarted {
        /// Which one.
        instance: InstanceId,
        /// What it is, as a hash of its content.
        key: ContentKey,
        /// Who does it: `anthropic/claude-sonnet-5`, a program's name, `sh`.
        agent: String,
        /// The rendered prompt, command or question; the middle cut out when it is long.
        input: String,
    },
    /// Volatile: what a running instance is doing now. Never written down.
    CallProgressed {
        /// Which one.
        instance: InstanceId,
        /// Its last line of output or the tool in use; one line, unsanitised.
        activity: String,
        /// Tokens received so far, where known.
        tokens: Tokens,
    },
    /// Volatile: a call waits until it may make a request. It holds no place meanwhile.
    CallWaiting {
        /// Which instance.
        instance: InstanceId,
        /// For whom: `anthropic/claude-sonnet-5`, a program's name.
        on: String,
        /// `queue` (others go first), `rate_limit` (the provider said until when), `overload`, `rate`
        /// (a declared or learned rate), `budget` (others have reserved what is left), `shared_prefix` (one
        /// that begins in the same way goes first, and its provider keeps that).
        reason: String,
        /// For how long, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none", rename = "left_ms")]
        left: Option<Millis>,
    },
    /// A request to a model, or the start of a program that asks models itself, is about to be made.
    RequestStarted(RequestStarted),
    /// It is over.
    RequestFinished(RequestFinished),
    /// An attempt failed; `retry_in` says whether another follows.
    AttemptFailed {
        /// Which instance.
        instance: InstanceId,
        /// Which try.
        attempt: AttemptNo,
        /// Why.
        cause: Cause,
        /// How long until the next one; `None` if this was the last.
        #[serde(default, skip_serializing_if = "Option::is_none", rename = "retry_in_ms")]
        retry_in: Option<Millis>,
    },
    /// One of several steps of an instance came back: a round, an answer, a step's program or model.
    /// Durable before it is judged, so that a resumed run does not ask for it again. A failure of a
    /// parent step's program or model is one as well; it is tried again.
    AttemptFinished {
        /// Which instance.
        instance: InstanceId,
        /// Which try.
        attempt: AttemptNo,
        /// What was asked, as a hash of its content.
        key: ContentKey,
        /// What came back, before its shape was checked.
        outcome: Outcome,
    },
    /// A request of an agent's conversation is about to be sent. Not written down for the first one of an
    /// agent that only asks: [`Event::RequestStarted`] says so.
    ModelAsked {
        /// Whose conversation.
        instance: InstanceId,
        /// The conversation up to here, as a hash of its content.
        key: ContentKey,
        /// Who is asked: `anthropic/claude-sonnet-5`.
        model: String,
    },
    /// It was answered. Durable before anything is done that the answer asks for. The whole answer of an
    /// agent that only asks stands in what follows it at once: [`Event::CallFinished`] or
    /// [`Event::AttemptFinished`].
    ModelAnswered {
        /// Whose conversation.
        instance: InstanceId,
        /// As in [`Event::ModelAsked`].
        key: ContentKey,
        /// The answer.
        answer: ModelAnswer,
    },
    /// A tool was started. Durable before it does anything that could not simply be done again.
    ToolStarted {
        /// Whose conversation.
        instance: InstanceId,
        /// Which request of the conversation, and which call of its answer, as a hash.
        key: ContentKey,
        /// The tool.
        tool: String,
        /// Its arguments.
        input: Value,
        /// What it is about to change, as a hash of the content.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<ContentKey>,
    },
    /// A tool is done. Durable before the model hears of it.
    ToolEnded {
        /// Whose conversation.
        instance: InstanceId,
        /// As in [`Event::ToolStarted`]; also there for a call that was refused and never started.
        key: ContentKey,
        /// The tool.
        tool: String,
        /// What the model is told.
        text: String,
        /// True when it failed or was refused.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
        /// How long it took.
        #[serde(with = "millis", rename = "duration_ms")]
        took: Duration,
    },
    /// A background job of an agent ended. Durable before the agent hears of it.
    JobEnded {
        /// Whose job.
        instance: InstanceId,
        /// The key of the tool call that started it.
        key: ContentKey,
        /// Counts from 1 over the instance: `bg-1`.
        job: u32,
        /// How.
        status: JobStatus,
        /// What it printed or answered.
        text: String,
        /// How long it ran.
        #[serde(with = "millis", rename = "duration_ms")]
        took: Duration,
    },
    /// A call of a session has its answer. Durable before the call's end, so that the next call of the
    /// session goes on from here, in this process or a later one.
    SessionExtended {
        /// Which instance.
        instance: InstanceId,
        /// What was said, and what the next one needs to go on.
        exchanged: Exchanged,
    },
    /// An agent asked for a subagent, which is a call of its own from here on.
    SubagentPlanned {
        /// Whose subagent.
        within: InstanceId,
        /// The call.
        call: PlannedCall,
    },
    /// An instance got a workspace of its own.
    WorkspaceMade {
        /// Which one.
        instance: InstanceId,
        /// `worktree` or `clone`.
        isolation: String,
        /// Its folder.
        path: String,
        /// The commit that it starts from.
        commit: String,
    },
    /// An instance ended. Durable before any dependent starts and before it is shown.
    CallFinished {
        /// Which one.
        instance: InstanceId,
        /// Its content key; absent for one that never started.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<ContentKey>,
        /// How it ended and what it produced.
        outcome: Outcome,
    },
    /// A background call's completion was put on the bus.
    NotificationPosted {
        /// Counts from 1 over the run.
        number: u64,
        /// The background call.
        instance: InstanceId,
        /// How it ended.
        status: Status,
    },
    /// Pending notifications were handed to a step of the parent or to a later call's templates.
    NotificationsDrained {
        /// To whom: a call's id, or `(reconcile)`.
        by: CallId,
        /// The notifications' numbers, ascending.
        numbers: Vec<u64>,
    },
    /// An `ask` call put its question to a person.
    QuestionAsked {
        /// The call.
        call: CallId,
        /// The rendered question.
        question: String,
    },
    /// Somebody or something answered.
    QuestionAnswered {
        /// The call.
        call: CallId,
        /// `person`, `option` (`--answer`), `default`.
        by: String,
    },
    /// A signal or a `stop` call ended the run early; nothing new is started from here on.
    StopRequested {
        /// `interrupt`, `terminate`, `hangup`, `stop` (the plan's own), `error` (`on_error: stop`), `time` (`limits.time`).
        reason: String,
        /// The sentence for people.
        message: String,
    },
    /// A parent step computed its result.
    Reconciled {
        /// The `reconcile` call, or `(reconcile)` for the plan's last step.
        step: CallId,
        /// The computed result: the strategy's JSON, as `reconcile.json` shows it.
        result: Value,
        /// The result as text.
        text: String,
    },
    /// The answers that a parent step read disagree, and it left that open.
    ConflictsFound {
        /// The `reconcile` call, or `(reconcile)` for the plan's last step.
        step: CallId,
        /// How many conflicts there are.
        count: u32,
        /// A sentence for each of the first 20.
        messages: Vec<String>,
    },
    /// Something that people should know and that is nobody's outcome: a limit that was lowered, a leak that was cleaned up.
    Warned {
        /// Stable code.
        code: String,
        /// The sentence.
        message: String,
    },
    /// People were told of something, or could not be.
    NoticeDelivered {
        /// What of: `run`, `background`, `conflict`, `question`, `blocked`, `budget`.
        topic: String,
        /// Which way: `bell`, `desktop`, `command`, `webhook`.
        to: String,
        /// How often it was tried.
        attempts: u32,
        /// Why it did not get there; `None` if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
    },
    /// The run ended. The last record of a run that ended by itself, but for `NoticeDelivered`.
    RunFinished(RunFinished),
}

impl Event {
    /// True for news that is shown but never written down.
    pub fn is_volatile(&self) -> bool {
        matches!(self, Event::CallProgressed { .. } | Event::CallWaiting { .. })
    }
}

/// A whole number of milliseconds, for optional fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(#[serde(with = "millis")] pub Duration);

/// The head of a run: enough to show it without its plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// [`FORMAT`].
    pub format: u32,
    /// Version of the program that wrote it.
    pub fanout: String,
    /// Process id of the program.
    pub pid: u32,
    /// The run's own name.
    pub run: RunId,
    /// The plan's `name`.
    pub name: String,
    /// The plan's `description`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The plan's `goal`, rendered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// The plan file as the person named it.
    pub plan: String,
    /// Its canonical path, from which a resumed run reads it again.
    pub plan_path: String,
    /// Values given by `--var` and its kin, by name.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub vars: serde_json::Map<String, Value>,
    /// How many calls may run at once.
    pub concurrency: u32,
    /// How many turns the graph has.
    pub turns: u32,
    /// The calls, in plan order.
    pub calls: Vec<PlannedCall>,
}

/// One call as planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedCall {
    /// Its id.
    pub id: CallId,
    /// A few words for people; the id where the plan gives none.
    pub description: String,
    /// Which key it has: `prompt`, `run`, `plan`, `reconcile`, `value`, `ask`, `stop`.
    pub kind: String,
    /// Its depth in the graph, from 1.
    pub turn: u32,
    /// The calls that it needs, in plan order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<CallId>,
    /// Of those: the ones that it reads nothing of. It only waits for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<CallId>,
    /// True for a background call.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub background: bool,
    /// True for a call whose answer a `check` decides on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub check: bool,
}

impl PlannedCall {
    /// True for a call that a model or an agent answers.
    pub fn is_prompt(&self) -> bool {
        self.kind == "prompt"
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFinished {
    /// True when everything that the plan requires succeeded.
    pub success: bool,
    /// The sentences that say why not, or what a success hides; empty for a plain success.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Exit status of the process, as in docs/exit-codes.md.
    pub exit: u8,
    /// Who ended how.
    pub census: Census,
}

/// How many instances ended how. `planned` counts instances of expanded calls one by one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Census {
    /// Instances that the plan led to.
    pub planned: u32,
    /// Counts by status; a status that nobody had is absent.
    pub by_status: std::collections::BTreeMap<Status, u32>,
    /// Of the `ok` ones: those that produced nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub empty: u32,
    /// Of the `ok` ones: taken over from earlier instead of run.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reused: u32,
}

impl Census {
    /// Counts one outcome in.
    pub fn count(&mut self, outcome: &Outcome) {
        self.planned += 1;
        *self.by_status.entry(outcome.status).or_default() += 1;
        self.empty += u32::from(outcome.is_empty_success());
        self.reused += u32::from(outcome.reused);
    }

    /// How many ended in `status`.
    pub fn of(&self, status: Status) -> u32 {
        self.by_status.get(&status).copied().unwrap_or(0)
    }
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}
