//! What the earlier processes of a resumed run have left to be said and counted.

use std::sync::Arc;

use crate::event::{Event, Record};
use crate::journal::Past;
use crate::plan::{Action, AgentKind, Call, Plan};

/// That requests were in flight when the last process of the run was cut off.
pub(super) fn possibly_billed(earlier: &Past, plan: &Plan) -> Option<String> {
    let asks_a_model = |call: &Call| match &call.action {
        Action::Prompt { agent, .. } => matches!(agent.kind, AgentKind::Model(_)),
        Action::Run(_)
        | Action::Plan { .. }
        | Action::Reconcile(_)
        | Action::Value(_)
        | Action::Ask { .. }
        | Action::Stop { .. } => false,
    };
    let lost: Vec<String> = earlier
        .cut_off()
        .into_iter()
        .filter(|cut_off| cut_off.by_the_last)
        .filter(|cut_off| called(plan, cut_off.instance.call.as_str()).is_some_and(asks_a_model))
        .map(|cut_off| cut_off.instance.to_string())
        .collect();
    match lost.len() {
        0 => None,
        1 => Some(format!(
            "a model request was in flight when the run was cut off; it is possibly billed, and is sent \
             again: {}",
            lost.join(", ")
        )),
        many => Some(format!(
            "{many} model requests were in flight when the run was cut off; they are possibly billed, and \
             are sent again: {}",
            lost.join(", ")
        )),
    }
}

/// The call that events name so: `scan`, or `audit[2].scan` for one of a sub-plan.
fn called<'p>(plan: &'p Plan, name: &str) -> Option<&'p Call> {
    let (outer, inner) = match name.split_once('.') {
        Some((outer, inner)) => (outer.split('[').next().unwrap_or(outer), Some(inner)),
        None => (name, None),
    };
    let call = plan.calls.get(plan.position(outer)?)?;
    match (inner, &call.action) {
        (None, _) => Some(call),
        (Some(inner), Action::Plan { plan, .. }) => called(plan, inner),
        (Some(_), _) => None,
    }
}

/// How many calls the earlier processes of a run have made of those that `limits.calls` counts.
pub(super) fn made(earlier: &Past) -> u32 {
    let counted = |record: &&Arc<Record>| matches!(&record.event, Event::CallStarted { agent, .. } if !["parent", "person", "plan"].contains(&agent.as_str()));
    u32::try_from(earlier.records.iter().filter(counted).count()).unwrap_or(u32::MAX)
}
