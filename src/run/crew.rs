//! What goes on beside an agent's conversation: its subagents, its background jobs, and the giving
//! back of its place while it only waits.
//!
//! Invariants: all of it is polled where the conversation is, and dropped with it; a subagent is an
//! instance like any other, with its own place, tries and outcome; whoever waits for a subagent
//! holds no place meanwhile.

use std::pin::pin;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::oneshot;

use super::attempt::Bounds;
use super::instance::Instance;
use super::work::Job;
use crate::agent::{Access, Desk, Errand, Errands, Kit, Wanted};
use crate::event::{Event, PlannedCall};
use crate::id::{CallId, InstanceId};
use crate::outcome::{Cause, Outcome, Status};
use crate::plan::template::Template;
use crate::plan::{Action, Call, Format, Join, OnError, OutputSpec};
use crate::tool::Said;

/// What an instance's work has beside it: a conversation its crew, other work nothing.
#[derive(Default)]
pub(crate) struct Beside<'a>(Option<(Arc<Desk>, Crew<'a>)>);

impl<'a> Beside<'a> {
    /// A desk for an instance's conversation of this number, and what goes on beside it.
    pub(crate) fn new(
        instance: &'a Instance<'a>,
        job: &'a Job,
        access: &'a Arc<Access>,
        bounds: Bounds,
        (conversation, kit): (u32, Kit),
    ) -> Beside<'a> {
        let journal = Arc::clone(&instance.level.world.journal);
        let (desk, errands) = Desk::new(journal, instance.id.clone(), conversation, kit);
        let at_work = FuturesUnordered::new();
        Beside(Some((desk, Crew { instance, job, access, bounds, conversation, errands, at_work })))
    }

    /// The conversation's desk.
    pub(crate) fn desk(&self) -> Option<Arc<Desk>> {
        self.0.as_ref().map(|(desk, _)| Arc::clone(desk))
    }

    /// Does something, and all that is wanted beside it, until the thing itself is done.
    pub(crate) async fn beside<T>(&mut self, main: impl Future<Output = T>) -> T {
        match &mut self.0 {
            None => main.await,
            Some((_, crew)) => crew.beside(main).await,
        }
    }
}

/// What goes on beside one conversation.
struct Crew<'a> {
    instance: &'a Instance<'a>,
    job: &'a Job,
    access: &'a Arc<Access>,
    bounds: Bounds,
    conversation: u32,
    errands: Errands,
    at_work: FuturesUnordered<BoxFuture<'a, ()>>,
}

impl<'a> Crew<'a> {
    /// Does something, and all that it wants done beside it, until the thing itself is done.
    async fn beside<T>(&mut self, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        loop {
            tokio::select! {
                biased;
                done = &mut main => return done,
                Some(errand) = self.errands.next() => self.take(errand),
                Some(()) = self.at_work.next(), if !self.at_work.is_empty() => {}
            }
        }
    }

    fn take(&self, errand: Errand) {
        match errand {
            Errand::Job(work) => self.at_work.push(work),
            Errand::Subagent(wanted, reply) => self.at_work.push(self.subagent(wanted, reply)),
            Errand::Aside(gone) => {
                self.access.seat.leave();
                let _ = gone.send(());
            }
            Errand::Back(back) => self.at_work.push(self.back(back)),
        }
    }

    /// Takes a place again. Where none is to be had any more, the conversation is ended from elsewhere.
    fn back(&self, back: oneshot::Sender<()>) -> BoxFuture<'a, ()> {
        let (instance, access, bounds) = (self.instance, self.access, self.bounds);
        async move {
            if instance.sit(access, Some(bounds)).await.is_ok() {
                let _ = back.send(());
            } else {
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }

    /// Runs a subagent to its end.
    fn subagent(&self, wanted: Wanted, reply: oneshot::Sender<Said>) -> BoxFuture<'a, ()> {
        let (parent, bounds) = (self.instance, self.bounds);
        let call = self.call(&wanted);
        async move {
            let said = match call {
                Ok(call) => run(parent, &call, bounds, wanted.background).await,
                Err(why) => Said { text: why, is_error: true },
            };
            let _ = reply.send(said);
        }
        .boxed()
    }

    /// The call that a subagent is.
    fn call(&self, wanted: &Wanted) -> Result<Call, String> {
        let parent = self.instance.call;
        let Action::Prompt { agent: own, .. } = &parent.action else {
            return Err("only an agent has subagents".to_owned());
        };
        let agent = match &wanted.kind {
            None => own,
            Some(kind) => self
                .instance
                .level
                .plan
                .agents
                .get(kind)
                .ok_or_else(|| format!("there is no subagent `{kind}`"))?,
        };
        let kind = wanted.kind.as_deref().filter(|kind| CallId::parse(kind).is_ok()).unwrap_or("agent");
        let name = match self.conversation {
            1 => format!("{kind}-{}", wanted.number),
            later => format!("{kind}-{later}-{}", wanted.number),
        };
        let name = CallId::parse(&name)
            .or_else(|_| CallId::parse(&format!("agent-{}-{}", self.conversation, wanted.number)))
            .map_err(|error| error.to_string())?;
        let literal = |text: &str| Template::literal(text, parent.at);
        Ok(Call {
            id: CallId::within(&self.instance.id, &name),
            description: wanted.description.clone(),
            action: Action::Prompt { prompt: literal(&wanted.prompt), agent: agent.clone() },
            needs: Vec::new(),
            needs_at_least: None,
            when: None,
            expand: None,
            join: Join::All,
            concurrency: None,
            background: wanted.background,
            cwd: Some(literal(&self.job.place.cwd.to_string_lossy())),
            stdin: None,
            timeout: self.bounds.left(),
            on_error: OnError::Continue,
            output: OutputSpec {
                format: Format::Text,
                schema: None,
                max_bytes: parent.output.max_bytes,
                file: None,
            },
            check: None,
            attempts: 1,
            repeat: None,
            session: None,
            ..parent.clone()
        })
    }
}

/// Runs a subagent's call; what it came to is what its parent is told.
async fn run(parent: &Instance<'_>, call: &Call, bounds: Bounds, background: bool) -> Said {
    let level = parent.level;
    let id = InstanceId::only(call.id.clone());
    let planned = PlannedCall {
        id: call.id.clone(),
        description: call.description.clone(),
        kind: call.action.kind().to_owned(),
        turn: 0,
        needs: Vec::new(),
        after: Vec::new(),
        background,
        check: false,
    };
    level.world.journal.note(Event::SubagentPlanned { within: parent.id.clone(), call: planned });
    let ended = Unfinished { parent, id: Some(id.clone()) };
    let instance = Instance {
        level,
        // What it uses is charged to the call that it works for.
        position: parent.position,
        call,
        id,
        label: None,
        local: parent.local.clone(),
        narrower: None,
        promised: None,
        enough: parent.enough,
        depth: parent.depth + 1,
    };
    let result = instance.run().await;
    ended.done();
    let outcome = match result {
        Ok(result) => result.outcome,
        // The parent cannot write anything down either, and says so.
        Err(error) => return Said { text: error.to_string(), is_error: true },
    };
    if outcome.is_ok() {
        return Said { text: outcome.output.text.to_string(), is_error: false };
    }
    let why = outcome.cause.as_ref().map_or("it gave no reason", |cause| cause.message.as_str());
    let mut text = format!("The subagent ended as {}: {why}", outcome.status.words());
    if bounds.left().is_zero() {
        text.push_str(" (your own time is up, too)");
    }
    let partial = outcome.output.text.trim();
    if !partial.is_empty() {
        text.push_str("\nBy then it had said:\n");
        text.push_str(partial);
    }
    Said { text, is_error: true }
}

/// Says of a subagent that is dropped before its end that it was cancelled.
struct Unfinished<'a> {
    parent: &'a Instance<'a>,
    id: Option<InstanceId>,
}

impl Unfinished<'_> {
    fn done(mut self) {
        self.id = None;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            let cause = Cause::new(
                "parent_ended",
                format!("`{}`, which had started it, ended first", self.parent.id),
            );
            let outcome = Outcome::ended(Status::Cancelled, cause);
            self.parent.level.world.end_dropped(id, outcome);
        }
    }
}
