//! One plan at work: what all of its calls share, and what their templates see.
//!
//! A sub-plan is another level in the same world: same journal, same places under
//! the limits, same stop switch; its own results, notifications and parent.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::Serde;

use super::World;
use super::access::Accounts;
use super::bus::{self, Bus};
use super::own::Own;
use super::results::Store;
use super::session;
use super::stop::Stop;
use crate::agent::Shared;
use crate::graph::CallGraph;
use crate::id::{CallId, InstanceId};
use crate::limits::budget::Account;
use crate::limits::places::Places;
use crate::plan::template::{Destination, RenderError, Scope, Template};
use crate::plan::{Call, Plan};

/// Any data as templates see it.
pub(crate) fn data(value: impl serde::Serialize) -> Value {
    Value::from(Serde(value))
}

/// What the calls of one plan share.
#[derive(Debug)]
pub(crate) struct Level {
    pub(crate) plan: Arc<Plan>,
    pub(crate) graph: CallGraph,
    pub(crate) store: Arc<Store>,
    pub(crate) world: Arc<World>,
    pub(crate) bus: Bus,
    /// Ends what is left of this plan: background calls that outlive it, or all of a sub-plan
    /// whose time is up.
    pub(crate) over: Stop,
    /// Of calls that are one by themselves: no other is ever enough.
    pub(super) alone: Stop,
    /// A sub-plan's own `limits`, within those of the run.
    pub(crate) own: Option<Places>,
    /// What its calls are charged to.
    pub(crate) accounts: Accounts,
    /// The instance of the outer plan that this one is, if any; how deep says `depth`.
    pub(crate) within: Option<InstanceId>,
    /// How many calls each agent has.
    pub(super) asked: HashMap<usize, usize>,
    vars: Value,
    goal: Option<String>,
    dir: Arc<PathBuf>,
    run: Value,
}

/// What one instance adds to the names in scope.
#[derive(Debug, Clone, Default)]
pub(crate) struct Local {
    /// The item under the call's own name for it, or the matrix combination.
    pub(crate) item: Option<serde_json::Value>,
    /// Place in the expansion.
    pub(crate) index: Option<u32>,
    /// Its own workspace, once it is there.
    pub(crate) own: Option<Own>,
    /// What other calls begin with as well.
    pub(crate) shared: Option<Shared>,
    /// More names: `previous`, `output`, `round`, `reconcile`, ….
    pub(crate) more: Vec<(&'static str, Value)>,
}

impl Level {
    /// Prepares a plan for running, with these values for its vars. What it spends is `charged` as well
    /// to these accounts of whoever runs it.
    ///
    /// # Errors
    /// [`RenderError`] when the `goal` cannot be rendered.
    pub(crate) fn new(
        plan: Arc<Plan>,
        vars: &serde_json::Map<String, serde_json::Value>,
        world: Arc<World>,
        within: Option<InstanceId>,
        charged: &[Account],
    ) -> Result<Level, RenderError> {
        let graph = CallGraph::of(&plan);
        let store = Arc::new(Store::new(Arc::clone(&plan), Arc::clone(&world.journal), within.clone()));
        let outer = within.as_ref().map(|outer| (outer, charged));
        let accounts = Accounts::open(&plan, &world, outer);
        let run = serde_json::json!({
            "id": world.journal.run().as_str(),
            "dir": world.journal.dir().display().to_string(),
        });
        let mut level = Level {
            dir: Arc::new(plan.dir.clone()),
            vars: data(vars),
            goal: None,
            run: data(run),
            bus: Bus::default(),
            over: Stop::default(),
            alone: Stop::default(),
            own: within.is_some().then(|| Places::new(plan.limits.concurrency, plan.limits.calls)),
            accounts,
            asked: session::asked(&plan),
            plan,
            graph,
            store,
            world,
            within,
        };
        if let Some(goal) = level.plan.goal.clone() {
            level.goal = Some(goal.render(&level.scope(None, &Local::default())?, Destination::Raw)?.text);
        }
        Ok(level)
    }

    /// The rendered goal.
    pub(crate) fn goal(&self) -> Option<&str> {
        self.goal.as_deref()
    }

    /// The name of a call in events.
    pub(crate) fn event_id(&self, call: &Call) -> CallId {
        self.store.event_id(call)
    }

    /// The name of the last step in events.
    pub(crate) fn last_step(&self) -> CallId {
        match &self.within {
            None => CallId::parent_step(),
            Some(outer) => CallId::within(outer, &CallId::parent_step()),
        }
    }

    /// The names that one instance's templates see.
    ///
    /// # Errors
    /// [`RenderError`] when the call's `env`, which is in scope as `env`, cannot be rendered.
    pub(crate) fn scope(&self, call: Option<&Call>, local: &Local) -> Result<Scope, RenderError> {
        let mut names: Vec<(Arc<str>, Value)> = Vec::with_capacity(10);
        names.push(("vars".into(), self.vars.clone()));
        names.push(("goal".into(), self.goal.clone().map_or_else(|| Value::from(()), Value::from)));
        names.push(("run".into(), self.run.clone()));
        names.push(("notifications".into(), data(bus::as_value(&self.bus.posted()))));
        if let Some(item) = &local.item {
            let item = data(item);
            names.push((call.map_or("item", |call| call.item_name.as_str()).into(), item.clone()));
            names.push(("matrix".into(), item));
        }
        if let Some(index) = local.index {
            names.push(("index".into(), Value::from(index)));
        }
        for (name, value) in &local.more {
            names.push(((*name).into(), value.clone()));
        }
        let scope = |names| Scope {
            names: Arc::new(names),
            results: Arc::clone(&self.store) as Arc<dyn crate::plan::template::Results>,
            dir: Arc::clone(&self.dir),
        };
        let mut env = serde_json::Map::new();
        for name in self.plan.vars.keys() {
            if let Some(value) = self.world.environment.get(name) {
                env.insert(name.clone(), value.as_str().into());
            }
        }
        if let Some(call) = call
            && !call.env.is_empty()
        {
            // Its own `env` may build on what the process was given under the same names.
            let own = call.env.iter().filter_map(|(name, _)| Some((name, self.world.environment.get(name)?)));
            let mut given = env.clone();
            given.extend(own.map(|(name, value)| (name.clone(), value.as_str().into())));
            let mut with_given = names.clone();
            with_given.push(("env".into(), data(given)));
            let without = scope(with_given);
            for (name, value) in &call.env {
                env.insert(name.clone(), value.render(&without, Destination::Raw)?.text.into());
            }
        }
        names.push(("env".into(), data(env)));
        Ok(scope(names))
    }

    /// The call's `env`, rendered.
    ///
    /// # Errors
    /// [`RenderError`] as the templates give it.
    pub(crate) fn env(&self, call: &Call, scope: &Scope) -> Result<Vec<(String, String)>, RenderError> {
        let render = |(name, value): &(String, Template)| {
            Ok((name.clone(), value.render(scope, Destination::Raw)?.text))
        };
        call.env.iter().map(render).collect()
    }

    /// The call's working directory, absolute.
    ///
    /// # Errors
    /// [`RenderError`] as the template gives it.
    pub(crate) fn cwd(&self, call: &Call, scope: &Scope) -> Result<PathBuf, RenderError> {
        match &call.cwd {
            None => Ok(self.plan.dir.clone()),
            Some(cwd) => Ok(self.plan.dir.join(cwd.render(scope, Destination::Raw)?.text)),
        }
    }
}
