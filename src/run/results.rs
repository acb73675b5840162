//! What the calls of a run came to, and how templates see it.
//!
//! Invariant: a result gets in here only as [`Durable`], so nothing that reads this
//! store can see an outcome that a crash could take back. Each call's result is set
//! once and never changes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use tokio::sync::SetOnce;

use super::level::data;
use crate::id::{CallId, InstanceId};
use crate::journal::{Durable, Journal};
use crate::outcome::{Cause, Outcome, Status};
use crate::plan::template::Results;
use crate::plan::{Accept, Call, Need, Pass, Plan};

/// One instance of a call, finished.
#[derive(Debug)]
pub(crate) struct InstanceResult {
    pub(crate) id: InstanceId,
    /// What people call it: the item or the combination; `None` for a call that is not expanded.
    pub(crate) label: Option<String>,
    /// What it was expanded over.
    pub(crate) item: Option<serde_json::Value>,
    pub(crate) outcome: Durable<Outcome>,
    seen: OnceLock<Value>,
}

impl InstanceResult {
    pub(crate) fn new(
        id: InstanceId,
        label: Option<String>,
        item: Option<serde_json::Value>,
        outcome: Durable<Outcome>,
    ) -> InstanceResult {
        InstanceResult { id, label, item, outcome, seen: OnceLock::new() }
    }

    /// The parsed output as templates see it, converted once.
    fn json(&self) -> Value {
        let make = || match &self.outcome.output.json {
            Some(json) if self.outcome.is_ok() => data(json.as_ref()),
            Some(_) | None => Value::from(()),
        };
        self.seen.get_or_init(make).clone()
    }

    fn text(&self) -> Value {
        // What a failed call left behind is for people, not for later prompts.
        let text = if self.outcome.is_ok() { Arc::clone(&self.outcome.output.text) } else { "".into() };
        Value::from(text)
    }

    /// The folder that it worked in, where it had one of its own.
    fn workspace(&self) -> Option<Value> {
        self.outcome.changes.as_ref().map(|changes| Value::from(changes.workspace.as_str()))
    }

    /// What it changed there.
    fn diff(&self) -> Option<Value> {
        self.outcome.changes.as_ref().map(|changes| Value::from(Arc::clone(&changes.patch)))
    }

    fn error(&self) -> Value {
        self.outcome
            .cause
            .as_ref()
            .map_or_else(|| Value::from(()), |cause| Value::from(cause.message.as_str()))
    }
}

/// A call, finished: its instances and what they add up to.
#[derive(Debug)]
pub(crate) struct CallResult {
    pub(crate) expanded: bool,
    pub(crate) instances: Vec<Arc<InstanceResult>>,
    pub(crate) status: Status,
    pub(crate) cause: Option<Cause>,
}

impl CallResult {
    /// A call that was not expanded ends as its only instance did.
    pub(crate) fn single(instance: InstanceResult) -> CallResult {
        let (status, cause) = (instance.outcome.status, instance.outcome.cause.clone());
        CallResult { expanded: false, instances: vec![Arc::new(instance)], status, cause }
    }

    /// An expanded call is ok when enough of its instances are; else it ends as the first one that a
    /// used-up limit has kept from it, or as the first one that was not.
    pub(crate) fn joined(instances: Vec<InstanceResult>, enough: Option<u32>) -> CallResult {
        let total = instances.len() as u32;
        let ok = instances.iter().filter(|instance| instance.outcome.is_ok()).count() as u32;
        let wanted = enough.unwrap_or(total);
        let (status, cause) = if ok >= wanted {
            (Status::Ok, None)
        } else {
            let bad = |i: &&InstanceResult| !i.outcome.is_ok() && i.outcome.status != Status::Skipped;
            let over = |i: &&InstanceResult| i.outcome.status == Status::OverBudget;
            let first = instances.iter().find(over).or_else(|| instances.iter().find(bad));
            let first = first.or_else(|| instances.iter().find(|i| !i.outcome.is_ok()));
            let status = first.map_or(Status::Failed, |instance| instance.outcome.status);
            let why = first
                .and_then(|i| i.outcome.cause.as_ref().map(|cause| format!("; {}: {}", i.id, cause.message)));
            let message = format!(
                "{ok} of {total} instances succeeded, {wanted} are needed{}",
                why.unwrap_or_default()
            );
            (status, Some(Cause::new("too_few_instances", message)))
        };
        let instances = instances.into_iter().map(Arc::new).collect();
        CallResult { expanded: true, instances, status, cause }
    }

    pub(crate) fn is_ok(&self) -> bool {
        self.status == Status::Ok
    }
}

/// The results of one plan's calls, by position; filled as they finish.
#[derive(Debug)]
pub(crate) struct Store {
    plan: Arc<Plan>,
    positions: HashMap<CallId, usize>,
    done: Vec<SetOnce<Arc<CallResult>>>,
    journal: Arc<Journal>,
    /// In front of call ids when this is a sub-plan.
    within: Option<InstanceId>,
}

impl Store {
    pub(crate) fn new(plan: Arc<Plan>, journal: Arc<Journal>, within: Option<InstanceId>) -> Store {
        let positions = plan.calls.iter().enumerate().map(|(at, call)| (call.id.clone(), at)).collect();
        let done = plan.calls.iter().map(|_| SetOnce::new()).collect();
        Store { plan, positions, done, journal, within }
    }

    /// The name of a call in events: its own id, or the one under the outer call of a sub-plan.
    pub(crate) fn event_id(&self, call: &Call) -> CallId {
        match &self.within {
            None => call.id.clone(),
            Some(outer) => CallId::within(outer, &call.id),
        }
    }

    /// Publishes a call's result to everyone who waits for it.
    pub(crate) fn publish(&self, position: usize, result: CallResult) {
        if let Some(slot) = self.done.get(position) {
            // A call's future runs once, so the slot is empty.
            let _ = slot.set(Arc::new(result));
        }
    }

    /// The result of a call, once it is there.
    pub(crate) async fn wait(&self, position: usize) -> Option<Arc<CallResult>> {
        match self.done.get(position) {
            Some(slot) => Some(Arc::clone(slot.wait().await)),
            None => None,
        }
    }

    /// The result of a call, if it is there already.
    pub(crate) fn get(&self, position: usize) -> Option<&Arc<CallResult>> {
        self.done.get(position)?.get()
    }

    /// Waits for every need of a call and says why it cannot start, if it cannot.
    pub(crate) async fn settle_needs(&self, call: &Call) -> Result<(), Cause> {
        let mut met = 0u32;
        let mut unmet: Option<Cause> = None;
        for need in &call.needs {
            let Some(result) = self.wait(need.call).await else { continue };
            match self.judge(need, &result) {
                Ok(()) => met += 1,
                Err(cause) => unmet = unmet.or(Some(cause)),
            }
        }
        match (call.needs_at_least, unmet) {
            (None, Some(cause)) => Err(cause),
            (Some(least), Some(cause)) if met < least => Err(Cause::new(
                &cause.code,
                format!("{met} of the {least} needed calls succeeded; {}", cause.message),
            )),
            (None | Some(_), _) => Ok(()),
        }
    }

    fn judge(&self, need: &Need, result: &CallResult) -> Result<(), Cause> {
        if need.accept == Accept::Done || result.is_ok() {
            return Ok(());
        }
        let id = self.plan.calls.get(need.call).map(|call| call.id.as_str()).unwrap_or_default();
        let (code, how) = match result.status {
            Status::Skipped => ("need_skipped", "was skipped".to_owned()),
            Status::Ok
            | Status::Failed
            | Status::TimedOut
            | Status::Blocked
            | Status::Refused
            | Status::InvalidOutput
            | Status::OverBudget
            | Status::Cancelled => ("need_failed", format!("ended as {}", result.status.words())),
        };
        Err(Cause::new(code, format!("it needs `{id}`, which {how}")))
    }
}

impl Results for Store {
    fn call(&self, id: &str) -> Option<Value> {
        let position = *self.positions.get(id)?;
        let result = self.get(position)?;
        Some(Value::from_object(CallView(Arc::clone(result))))
    }

    fn pass(&self, id: &str) -> Option<Pass> {
        let position = *self.positions.get(id)?;
        Some(self.plan.calls.get(position)?.pass.clone())
    }

    fn file(&self, id: &str) -> Option<PathBuf> {
        // `review`, or one instance of it: `review[2]`.
        let (call, index) = match id.strip_suffix(']').and_then(|rest| rest.split_once('[')) {
            Some((call, index)) => (call, index.parse().ok()?),
            None => (id, 0),
        };
        let result = self.get(*self.positions.get(call)?)?;
        let instance = result.instances.get(index)?;
        Some(self.journal.output_file(&instance.id, &instance.outcome.output))
    }
}

/// `calls.<id>` in a template.
#[derive(Debug)]
struct CallView(Arc<CallResult>);

impl Object for CallView {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let result = &self.0;
        let only = if result.expanded { None } else { result.instances.first() };
        match (key.as_str()?, only) {
            ("status", _) => Some(Value::from(result.status.as_str())),
            ("error", _) => Some(
                result.cause.as_ref().map_or_else(|| Value::from(()), |c| Value::from(c.message.as_str())),
            ),
            // A call that failed has no output that a later prompt could rest on; the template
            // says so, unless it asks for a `default`.
            ("output", Some(instance)) => instance.outcome.is_ok().then(|| instance.text()),
            ("json", Some(instance)) => instance.outcome.is_ok().then(|| instance.json()),
            ("workspace", Some(instance)) => instance.workspace(),
            ("diff", Some(instance)) => instance.diff(),
            ("outputs", None) => {
                let views = result.instances.iter().map(|i| Value::from_object(InstanceView(Arc::clone(i))));
                Some(Value::from(views.collect::<Vec<_>>()))
            }
            ("usage", _) => {
                let mut usage = crate::outcome::Usage::default();
                for instance in &result.instances {
                    usage.add(&instance.outcome.usage);
                }
                Some(data(usage))
            }
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        if self.0.expanded {
            Enumerator::Str(&["status", "error", "outputs", "usage"])
        } else {
            Enumerator::Str(&["status", "error", "output", "json", "usage"])
        }
    }
}

/// One element of `calls.<id>.outputs`.
#[derive(Debug)]
struct InstanceView(Arc<InstanceResult>);

impl Object for InstanceView {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let instance = &self.0;
        let item = || instance.item.as_ref().map_or_else(|| Value::from(()), data);
        match key.as_str()? {
            "output" => Some(instance.text()),
            "json" => Some(instance.json()),
            "status" => Some(Value::from(instance.outcome.status.as_str())),
            "error" => Some(instance.error()),
            "workspace" => instance.workspace(),
            "diff" => instance.diff(),
            "index" => Some(Value::from(instance.id.index)),
            "item" | "matrix" => Some(item()),
            "usage" => Some(data(instance.outcome.usage)),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&["output", "json", "status", "error", "index", "item", "matrix", "usage"])
    }
}

/// How people call an instance: a text item itself, anything else as compact JSON; at most 60 characters.
pub(crate) fn label(item: &serde_json::Value) -> String {
    let text = match item {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Object(map) => {
            let pair = |(key, value): (&String, &serde_json::Value)| match value.as_str() {
                Some(text) => format!("{key}={text}"),
                None => format!("{key}={value}"),
            };
            map.iter().map(pair).collect::<Vec<_>>().join(" ")
        }
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Array(_) => item.to_string(),
    };
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(60) {
        Some((cut, _)) => format!("{}…", &one_line[..cut]),
        None => one_line,
    }
}
