//! Calls of one session: what those before brought, and what this one leaves for the next; and what
//! calls beside each other begin with.
//!
//! Invariants: a call goes on from what those before it in the session succeeded in, whatever process
//! that was in; what it leaves is durable before its own end is.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::attempt::Raw;
use super::instance::{Ended, Instance};
use super::level::{Level, Local};
use super::work::{Job, Work};
use crate::agent::{Exchange, Memory, Shared, Thread, Transcript};
use crate::event::{Event, Exchanged};
use crate::id::InstanceId;
use crate::outcome::Cause;
use crate::plan::{Action, AgentKind, Cache, Call, Expand, Plan};

/// What a call's conversation begins with: what its session brings, and what it shares with others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Carried {
    /// What was asked and answered, in order.
    pub(crate) before: Vec<Exchange>,
    /// The conversation, where a program keeps it or is to.
    pub(crate) thread: Option<Thread>,
    /// The conversation, as a model had it.
    pub(crate) transcript: Option<Arc<Transcript>>,
    /// What other calls begin with as well.
    pub(crate) shared: Option<Shared>,
}

/// What the instances of a call begin with, or where it is one by itself, all calls of its agent.
pub(crate) fn shared(level: &Level, call: &Call, items: Option<&[Value]>) -> Option<Shared> {
    let Action::Prompt { agent, .. } = &call.action else { return None };
    if matches!(agent.kind, AgentKind::Command(_)) {
        return None;
    }
    let (head, siblings) = match items {
        Some(items) => (head(level, call, items), items.len()),
        None => (None, level.asked.get(&Arc::as_ptr(agent).addr()).copied().unwrap_or_default()),
    };
    let siblings = u32::try_from(siblings).unwrap_or(u32::MAX);
    (siblings > 1).then(|| Shared { head: head.unwrap_or_default().into(), siblings })
}

/// How many calls of a plan each agent has, by where the agent is kept.
pub(super) fn asked(plan: &Plan) -> HashMap<usize, usize> {
    let mut asked = HashMap::new();
    for call in &plan.calls {
        if let Action::Prompt { agent, .. } = &call.action {
            *asked.entry(Arc::as_ptr(agent).addr()).or_default() += 1;
        }
    }
    asked
}

/// What the prompts of the first two instances begin with. The others' may well begin otherwise: each
/// of them looks.
fn head(level: &Level, call: &Call, items: &[Value]) -> Option<String> {
    if call.repeat.is_some() || call.cache != Cache::Off {
        return None;
    }
    let sampled = matches!(call.expand, Some(Expand::Samples(_)));
    let prompt = |index: u32| {
        let item = items.get(index as usize).filter(|_| !sampled).cloned();
        let local = Local { item, index: Some(index), ..Local::default() };
        match Job::render(level, call, &local).ok()?.work {
            Work::Prompt { prompt, .. } => Some(prompt),
            Work::Run(_)
            | Work::Plan { .. }
            | Work::Value(_)
            | Work::Ask { .. }
            | Work::Stop { .. }
            | Work::Reconcile => None,
        }
    };
    let (mut first, second) = (prompt(0)?, prompt(1)?);
    let common = first.char_indices().zip(second.char_indices()).find(|(one, other)| one != other);
    let end = common.map_or(first.len().min(second.len()), |((at, _), _)| at);
    first.truncate(end);
    Some(first)
}

impl Instance<'_> {
    /// What its session came to so far.
    ///
    /// # Errors
    /// A [`Cause`] with code `session` where what was said in it is not recorded.
    pub(super) fn carried(&self) -> Result<Carried, Cause> {
        let plain = Carried { shared: self.local.shared.clone(), ..Carried::default() };
        let Some(session) = &self.call.session else { return Ok(plain) };
        let mut carried = Carried { thread: Some(Thread::default()), ..plain };
        let mut previous = session.previous;
        let mut last = true;
        while let Some(position) = previous {
            let Some(call) = self.level.plan.calls.get(position) else { break };
            previous = call.session.as_ref().and_then(|session| session.previous);
            if !self.level.store.get(position).is_some_and(|result| result.is_ok()) {
                continue;
            }
            let id = InstanceId::only(self.level.event_id(call));
            let exchanged = self.level.world.journal.exchanged(&id).ok_or_else(|| {
                let message = format!(
                    "what was said in `{id}`, the call before it in the session `{}`, is not recorded; have \
                     it said again with `fanout resume --from {}`",
                    session.name, call.id
                );
                Cause::new("session", message)
            })?;
            if std::mem::take(&mut last) {
                match &exchanged.memory {
                    Some(Memory::Thread(thread)) => carried.thread = Some(thread.clone()),
                    Some(Memory::Transcript { model, messages }) => {
                        // One that another version wrote in another way: the exchanges are there still.
                        let messages = serde_json::from_value(messages.clone()).ok();
                        carried.transcript =
                            messages.map(|messages| Arc::new(Transcript { model: model.clone(), messages }));
                    }
                    None => {}
                }
            }
            let Exchanged { said, answered, .. } = &*exchanged;
            carried.before.push(Exchange { said: said.clone(), answered: answered.clone() });
        }
        carried.before.reverse();
        Ok(carried)
    }

    /// Leaves an answer for the next call of its session, durable when this returns.
    ///
    /// # Errors
    /// [`Ended::Run`] when that cannot be written.
    pub(super) async fn leave(&self, job: &Job, raw: &Raw) -> Result<(), Ended> {
        let (Some(_), Work::Prompt { prompt, .. }) = (&self.call.session, &job.work) else { return Ok(()) };
        let exchanged =
            Exchanged { said: prompt.clone(), answered: raw.text.clone(), memory: raw.memory.clone() };
        let event = Event::SessionExtended { instance: self.id.clone(), exchanged };
        self.level.world.journal.keep_part(event).await.map_err(|error| Ended::Run(error.into()))
    }
}
