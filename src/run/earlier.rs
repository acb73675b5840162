//! What the calls of a finished run came to, for a step of the parent's over it: a prompt that mentions
//! `calls.x` finds it there.
//!
//! Invariant: the outcomes are written into the journal of the step, like those of any call, before
//! anything reads them; a call that had not ended is told as one.

use super::RunError;
use super::level::Level;
use super::results::{CallResult, InstanceResult};
use crate::id::InstanceId;
use crate::outcome::{Cause, Outcome, Status};
use crate::plan::Expand;
use crate::reconcile::Answer;

/// Hands in how every instance of the run ended.
///
/// # Errors
/// [`RunError`] when that cannot be written.
pub(super) async fn hand_in(level: &Level, ended: Vec<Answer>) -> Result<(), RunError> {
    for (position, call) in level.plan.calls.iter().enumerate() {
        let own = ended.iter().filter(|answer| answer.instance.call == call.id);
        let mut instances = Vec::new();
        for answer in own {
            let (instance, outcome) = (answer.instance.clone(), answer.outcome.clone());
            let outcome = level.world.journal.finish(instance.clone(), None, outcome).await?;
            // Of what it was expanded over, a run keeps how people call it.
            let listed = matches!(call.expand, Some(Expand::List(_) | Expand::Dynamic(_)));
            let item = answer.label.clone().filter(|_| listed).map(serde_json::Value::String);
            instances.push(InstanceResult::new(instance, answer.label.clone(), item, outcome));
        }
        let expanded = call.expand.is_some();
        let result = match instances.pop() {
            Some(only) if !expanded && instances.is_empty() => CallResult::single(only),
            Some(last) => {
                instances.push(last);
                CallResult::joined(instances, None)
            }
            None => {
                let cause = Cause::new("not_ended", format!("`{}` had not ended in that run", call.id));
                let outcome = Outcome::ended(Status::Cancelled, cause);
                let id = InstanceId::only(call.id.clone());
                let outcome = level.world.journal.finish(id.clone(), None, outcome).await?;
                CallResult::single(InstanceResult::new(id, None, None, outcome))
            }
        };
        level.store.publish(position, result);
    }
    Ok(())
}
