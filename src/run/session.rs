//! Calls of one session: what those before brought, and what this one leaves for the next.
//!
//! Invariants: a call goes on from what those before it in the session succeeded in, whatever process
//! that was in; what it leaves is durable before its own end is.

use std::sync::Arc;

use super::attempt::Raw;
use super::instance::{Ended, Instance};
use super::work::{Job, Work};
use crate::agent::{Exchange, Memory, Thread, Transcript};
use crate::event::{Event, Exchanged};
use crate::id::InstanceId;
use crate::outcome::Cause;

/// What a session brings to a call; nothing for a call without one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Carried {
    /// What was asked and answered, in order.
    pub(crate) before: Vec<Exchange>,
    /// The conversation, where a program keeps it or is to.
    pub(crate) thread: Option<Thread>,
    /// The conversation, as a model had it.
    pub(crate) transcript: Option<Arc<Transcript>>,
}

impl Instance<'_> {
    /// What its session came to so far.
    ///
    /// # Errors
    /// A [`Cause`] with code `session` where what was said in it is not recorded.
    pub(super) fn carried(&self) -> Result<Carried, Cause> {
        let Some(session) = &self.call.session else { return Ok(Carried::default()) };
        let mut carried = Carried { thread: Some(Thread::default()), ..Carried::default() };
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
