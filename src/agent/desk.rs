//! What a conversation has besides its model: tools, a memory that outlives the try, background
//! jobs, and a line to whoever runs the call.
//!
//! One desk serves one conversation through all of its tries: what came back before a fault is
//! there for the next try, and jobs go on meanwhile.
//!
//! Invariants: what a desk gives back was recorded first; what a conversation wants from the run
//! goes out as an [`Errand`], data only, and comes back as data.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::channel::mpsc;
use futures::future::BoxFuture;
use tokio::sync::oneshot;

use super::jobs::{End, Jobs};
use crate::event::{Event, ModelAnswer};
use crate::id::{ContentKey, InstanceId};
use crate::journal::{Journal, JournalError, Part};
use crate::outcome::Usage;
use crate::tool::{Said, Tool};

/// What an agent is given to work with.
#[derive(Clone, Default)]
pub struct Kit {
    /// The tools that it may use.
    pub tools: Vec<Arc<dyn Tool>>,
    /// What `background_run` runs its commands with; `None` for an agent without that tool.
    pub background: Option<Arc<dyn Tool>>,
    /// True for an agent that may look at its jobs.
    pub check_background: bool,
    /// The subagents that it may start; `None` for an agent that may start none.
    pub subagents: Option<Subagents>,
    /// The workspace, from which the paths that tools write are counted.
    pub root: PathBuf,
    /// True where its call ends with the first answer: then that need not be written down twice.
    pub only_asks: bool,
}

/// Which subagents there are.
#[derive(Debug, Clone, Default)]
pub struct Subagents {
    /// Their names, and what they are for.
    pub types: Vec<(String, Option<String>)>,
    /// How deep this agent stands: 0 for one that a call names itself.
    pub depth: u32,
    /// How deep subagents may stand (`limits.depth`).
    pub most: u32,
}

/// A subagent that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Counts from 1 over the conversation.
    pub number: u32,
    /// One of [`Subagents::types`]; `None` for an agent like the one that asks.
    pub kind: Option<String>,
    /// A few words, for people.
    pub description: String,
    /// What it is to do.
    pub prompt: String,
    /// True when its parent does not wait for it.
    pub background: bool,
}

/// What a conversation wants from whoever runs the call.
pub enum Errand {
    /// A subagent, run to its end.
    Subagent(Wanted, oneshot::Sender<Said>),
    /// Work that goes on beside the conversation.
    Job(BoxFuture<'static, ()>),
    /// The conversation only waits from here on: its place under the limits is free for others.
    Aside(oneshot::Sender<()>),
    /// It wants to go on.
    Back(oneshot::Sender<()>),
}

/// The errands of a desk, in order.
pub type Errands = mpsc::UnboundedReceiver<Errand>;

/// What a conversation has besides its model.
pub struct Desk {
    journal: Arc<Journal>,
    instance: InstanceId,
    conversation: u32,
    pub(super) kit: Kit,
    pub(super) jobs: Jobs,
    subagents: Mutex<Vec<ContentKey>>,
    counted: Mutex<HashSet<ContentKey>>,
    // As many as a model asks for in one message; each is bounded by what it is.
    errands: mpsc::UnboundedSender<Errand>,
}

impl Desk {
    /// A desk for the `conversation`th conversation of an instance, from 1, and its errands.
    pub fn new(
        journal: Arc<Journal>,
        instance: InstanceId,
        conversation: u32,
        kit: Kit,
    ) -> (Arc<Desk>, Errands) {
        let (errands, received) = mpsc::unbounded();
        let desk = Desk {
            journal,
            instance,
            conversation,
            kit,
            jobs: Jobs::default(),
            subagents: Mutex::default(),
            counted: Mutex::default(),
            errands,
        };
        (Arc::new(desk), received)
    }

    /// What tells this conversation's records from those of others of the same instance.
    pub(super) fn conversation(&self) -> u32 {
        self.conversation
    }

    fn part(&self, part: Part, key: &ContentKey) -> Option<Arc<Event>> {
        self.journal.part_of_talk(&self.instance, part, key)
    }

    /// The recorded answer to a request.
    pub(super) fn answer(&self, key: &ContentKey) -> Option<ModelAnswer> {
        let known = self.part(Part::Answer, key)?;
        if let Event::ModelAnswered { answer, .. } = &*known { Some(answer.clone()) } else { None }
    }

    /// True while nothing of the conversation is on record, nor will be if its next answer is the last.
    pub(super) fn is_blank(&self) -> bool {
        self.kit.only_asks && !self.journal.has_talk(&self.instance)
    }

    /// Writes down that a request goes out. `after_tools`: what tools did must be durable first.
    pub(super) async fn asked(
        &self,
        key: &ContentKey,
        model: &str,
        after_tools: bool,
    ) -> Result<(), JournalError> {
        let event =
            Event::ModelAsked { instance: self.instance.clone(), key: key.clone(), model: model.to_owned() };
        if after_tools {
            self.journal.commit(event).await?;
        } else {
            self.journal.note(event);
        }
        Ok(())
    }

    /// Writes down an answer. One that asks for something is durable when this returns; the end of a
    /// conversation becomes so with what is made of it.
    pub(super) async fn answered(&self, key: &ContentKey, answer: ModelAnswer) -> Result<(), JournalError> {
        let goes_on = !answer.calls.is_empty() || self.jobs.are_open();
        let event = Event::ModelAnswered { instance: self.instance.clone(), key: key.clone(), answer };
        if goes_on {
            self.journal.keep_part(event).await
        } else {
            self.journal.note_part(event);
            Ok(())
        }
    }

    /// The usage, unless it was counted before: a try that goes on where another broke off must not
    /// count it again.
    pub(super) fn count(&self, key: &ContentKey, usage: Usage) -> Usage {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.insert(key.clone()) { usage } else { Usage::default() }
    }

    /// What the model was told of a tool call.
    pub(super) fn tool_end(&self, key: &ContentKey) -> Option<Said> {
        let known = self.part(Part::ToolEnd, key)?;
        let Event::ToolEnded { text, is_error, .. } = &*known else { return None };
        Some(Said { text: text.clone(), is_error: *is_error })
    }

    /// What a tool call was about to change when it was started; `None` if it never was.
    pub(super) fn tool_start(&self, key: &ContentKey) -> Option<Option<ContentKey>> {
        let known = self.part(Part::ToolStart, key)?;
        if let Event::ToolStarted { before, .. } = &*known { Some(before.clone()) } else { None }
    }

    /// How a background job ended, by the key of the call that started it.
    pub(super) fn job_end(&self, key: &ContentKey) -> Option<End> {
        let known = self.part(Part::Job, key)?;
        let Event::JobEnded { status, text, took, .. } = &*known else { return None };
        Some(End { status: *status, text: text.clone(), took: *took })
    }

    /// Writes down a part of the conversation; durable when this returns if `durable`.
    pub(super) async fn keep(&self, event: Event, durable: bool) -> Result<(), JournalError> {
        if durable {
            self.journal.keep_part(event).await
        } else {
            self.journal.note_part(event);
            Ok(())
        }
    }

    pub(super) fn started(
        &self,
        key: &ContentKey,
        tool: &str,
        input: &serde_json::Value,
        before: Option<ContentKey>,
    ) -> Event {
        let (instance, key) = (self.instance.clone(), key.clone());
        Event::ToolStarted { instance, key, tool: tool.to_owned(), input: input.clone(), before }
    }

    pub(super) fn ended(&self, key: &ContentKey, tool: &str, said: &Said, took: Duration) -> Event {
        let Said { text, is_error } = said.clone();
        let (instance, key) = (self.instance.clone(), key.clone());
        Event::ToolEnded { instance, key, tool: tool.to_owned(), text, is_error, took }
    }

    /// A background job ended: durable first, then in the queue.
    pub(super) async fn job_ended(&self, job: u32, key: &ContentKey, end: End) -> Result<(), JournalError> {
        let End { status, text, took } = end.clone();
        let (instance, key) = (self.instance.clone(), key.clone());
        self.journal.keep_part(Event::JobEnded { instance, key, job, status, text, took }).await?;
        self.jobs.end(job, end);
        Ok(())
    }

    /// The number of the subagent that a tool call asks for: the same whenever it is asked again.
    pub(super) fn subagent_number(&self, key: &ContentKey) -> u32 {
        let mut known = self.subagents.lock().unwrap_or_else(PoisonError::into_inner);
        let at = known.iter().position(|one| one == key).unwrap_or_else(|| {
            known.push(key.clone());
            known.len() - 1
        });
        u32::try_from(at + 1).unwrap_or(u32::MAX)
    }

    /// Runs a subagent to its end.
    pub(super) async fn subagent(&self, wanted: Wanted) -> Said {
        let (reply, answer) = oneshot::channel();
        self.send(Errand::Subagent(wanted, reply));
        received(answer).await
    }

    /// Lets work go on beside the conversation.
    pub(super) fn beside(&self, work: BoxFuture<'static, ()>) {
        self.send(Errand::Job(work));
    }

    /// Waits for something without holding a place under the limits.
    pub(super) async fn aside<T>(&self, wait: impl Future<Output = T>) -> T {
        let (reply, gone) = oneshot::channel();
        self.send(Errand::Aside(reply));
        received(gone).await;
        let come = wait.await;
        let (reply, back) = oneshot::channel();
        self.send(Errand::Back(reply));
        received(back).await;
        come
    }

    fn send(&self, errand: Errand) {
        // Nobody there any more: then the conversation is about to be dropped, too.
        let _ = self.errands.unbounded_send(errand);
    }
}

/// The workspace's file as a hash of its content; `None` for one that is not there or is no file.
pub(super) fn content(root: &Path, path: &Path) -> Option<ContentKey> {
    let path = root.join(path);
    let mut file = std::fs::File::open(&path).ok().filter(|_| path.is_file())?;
    let mut hasher = blake3::Hasher::new();
    std::io::copy(&mut file, &mut hasher).ok()?;
    Some(ContentKey::of([hasher.finalize().as_bytes().as_slice()]))
}

/// What comes back; never, where whoever should send it is gone.
async fn received<T>(answer: oneshot::Receiver<T>) -> T {
    match answer.await {
        Ok(answer) => answer,
        Err(_) => std::future::pending().await,
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("instance", &self.instance).finish_non_exhaustive()
    }
}

impl fmt::Debug for Kit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.tools.iter().map(|tool| tool.spec().name).collect();
        f.debug_struct("Kit").field("tools", &names).finish_non_exhaustive()
    }
}
