//! One call of a plan: it waits for what it needs, expands, joins its instances, publishes.
//!
//! Invariant: every call publishes exactly one result, whatever happens to it, so
//! nothing that needs it can wait for ever.

use std::sync::Arc;

use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::RunError;
use super::instance::Instance;
use super::level::{Level, Local};
use super::results::{CallResult, InstanceResult, label};
use super::seat::Promise;
use super::session;
use super::steps;
use super::stop::{Phase, Stop, Why};
use super::work::template_cause;
use crate::event::Event;
use crate::id::InstanceId;
use crate::outcome::{Cause, Outcome, Status};
use crate::plan::{Call, Expand, Join, OnError};

/// The most instances that one list may expand to.
const MOST_INSTANCES: usize = 100_000;

/// Runs the call at `position` to its published result.
///
/// # Errors
/// [`RunError`] only when the run itself cannot go on.
pub(crate) async fn run(level: &Level, position: usize) -> Result<(), RunError> {
    let Some(call) = level.plan.calls.get(position) else { return Ok(()) };
    // In places of their own: most calls of a large plan wait most of the time, and what they do before and
    // after takes none meanwhile.
    let started = Box::pin(start(level, call)).await;
    let result = match started {
        Ok(None) => {
            let id = InstanceId::only(level.event_id(call));
            let instance = Instance {
                level,
                position,
                call,
                id,
                label: None,
                local: Local { shared: session::shared(level, call, None), ..Local::default() },
                narrower: None,
                promised: None,
                enough: &level.alone,
                depth: 0,
            };
            CallResult::single(Box::pin(instance.run()).await?)
        }
        Ok(Some(items)) => match Promise::of(level, call, items.len()) {
            Ok(promised) => Box::pin(expanded(level, position, call, items, promised.as_ref())).await?,
            Err(cause) => Box::pin(unstarted(level, call, Outcome::ended(Status::OverBudget, cause))).await?,
        },
        Err(outcome) => Box::pin(unstarted(level, call, outcome)).await?,
    };
    let failed = !result.is_ok() && !matches!(result.status, Status::Skipped | Status::Cancelled);
    if failed && call.on_error == OnError::Stop {
        let why = result.cause.as_ref().map(|cause| format!(": {}", cause.message)).unwrap_or_default();
        let message = format!("`{}` failed and says `on_error: stop`{why}", call.id);
        level.world.request_stop(Phase::Draining, Why::Error { message });
    }
    if call.background {
        for instance in &result.instances {
            let number = level.bus.post(&instance.id, &call.description, &instance.outcome);
            let status = instance.outcome.status;
            let event = Event::NotificationPosted { number, instance: instance.id.clone(), status };
            level.world.journal.note(event);
        }
    }
    level.store.publish(position, result);
    Ok(())
}

/// Everything before the first instance: needs, `when`, the list. `None` is a call that is not expanded.
async fn start(level: &Level, call: &Call) -> Result<Option<Vec<Value>>, Outcome> {
    let skipped = |cause| Outcome::ended(Status::Skipped, cause);
    let failed = |cause| Outcome::ended(Status::Failed, cause);
    // Once a stop is there, nobody waits for needs that will not be met: along a chain, each would
    // wait until the end of the one before it is written down.
    tokio::select! {
        biased;
        needs = level.store.settle_needs(call) => needs.map_err(skipped)?,
        () = level.world.stop.reached(Phase::Draining) => {}
        () = level.over.reached(Phase::Draining) => {}
    }
    for stop in [&level.world.stop, &level.over] {
        if stop.phase() >= Phase::Draining {
            return Err(steps::not_started(stop));
        }
    }
    if let Some(selected) = &level.world.only
        && level.within.is_none()
        && !selected.contains(&call.id)
    {
        return Err(skipped(Cause::new("not_selected", "`--only` left it out")));
    }
    if let Some(when) = &call.when {
        let scope =
            level.scope(Some(call), &Local::default()).map_err(|error| failed(template_cause(&error)))?;
        match when.holds(&scope) {
            Ok(true) => {}
            Ok(false) => return Err(skipped(when_false(call))),
            Err(error) => return Err(failed(template_cause(&error))),
        }
    }
    match &call.expand {
        None => Ok(None),
        Some(Expand::List(items)) => Ok(Some(items.clone())),
        Some(Expand::Matrix(rows)) => Ok(Some(rows.iter().cloned().map(Value::Object).collect())),
        Some(Expand::Samples(count)) => Ok(Some(vec![Value::Null; *count as usize])),
        Some(Expand::Dynamic(list)) => {
            let scope =
                level.scope(Some(call), &Local::default()).map_err(|error| failed(template_cause(&error)))?;
            match list.evaluate(&scope) {
                Ok(Value::Array(items)) if items.len() <= MOST_INSTANCES => Ok(Some(items)),
                Ok(Value::Array(items)) => Err(failed(Cause::new(
                    "for_each",
                    format!("`for_each` gave {} items; {MOST_INSTANCES} is the most", items.len()),
                ))),
                Ok(other) => Err(failed(Cause::new(
                    "for_each",
                    format!("`for_each` must give a list; `{}` gave {}", list.source, kind_of(&other)),
                ))),
                Err(error) => Err(failed(template_cause(&error))),
            }
        }
    }
}

fn when_false(call: &Call) -> Cause {
    let source = call.when.as_ref().map(|when| when.source.trim().to_owned()).unwrap_or_default();
    Cause::new("when_false", format!("its `when` was false: {source}"))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text (give the call `output: {format: json}` or `lines`)",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// Records a call that never started.
async fn unstarted(level: &Level, call: &Call, outcome: Outcome) -> Result<CallResult, RunError> {
    let id = InstanceId::only(level.event_id(call));
    let outcome = level.world.finish(id.clone(), None, outcome).await?;
    let result = CallResult::single(InstanceResult::new(id, None, None, outcome));
    // A list that never came to be has no elements.
    Ok(if call.expand.is_some() {
        CallResult { expanded: true, instances: Vec::new(), ..result }
    } else {
        result
    })
}

/// Runs all instances at once and joins them.
async fn expanded(
    level: &Level,
    position: usize,
    call: &Call,
    items: Vec<Value>,
    promised: Option<&Promise>,
) -> Result<CallResult, RunError> {
    let event_id = level.event_id(call);
    let sampled = matches!(call.expand, Some(Expand::Samples(_)));
    let labels: Vec<String> = items
        .iter()
        .enumerate()
        .map(|(index, item)| if sampled { format!("sample {}", index + 1) } else { label(item) })
        .collect();
    level.world.journal.note(Event::CallExpanded { call: event_id.clone(), labels: labels.clone() });
    let wanted = match call.join {
        Join::All => None,
        Join::AtLeast(wanted) => Some(wanted),
    };
    let narrower = call.concurrency.map(|most| Arc::new(Semaphore::new(most.max(1) as usize)));
    let enough = Stop::default();
    let shared = session::shared(level, call, Some(&items));
    let mut running: FuturesUnordered<_> = items
        .into_iter()
        .zip(labels)
        .enumerate()
        .map(|(index, (item, label))| {
            let index = index as u32;
            let shared = shared.clone();
            let local =
                Local { item: (!sampled).then_some(item), index: Some(index), shared, ..Local::default() };
            let id = InstanceId::nth(event_id.clone(), index);
            let (narrower, enough, label) = (narrower.as_ref(), &enough, Some(label));
            Instance { level, position, call, id, label, local, narrower, promised, enough, depth: 0 }.run()
        })
        .collect();
    let mut finished = Vec::with_capacity(running.len());
    let mut ok = 0;
    while let Some(instance) = running.next().await {
        let instance = instance?;
        ok += u32::from(instance.outcome.is_ok());
        finished.push(instance);
        if let Some(wanted) = wanted
            && ok >= wanted
        {
            enough.request(Phase::Ending, Why::Enough { wanted });
        }
    }
    finished.sort_by_key(|instance| instance.id.index);
    Ok(CallResult::joined(finished, wanted))
}
