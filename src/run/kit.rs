//! What an agent is handed to work with: the tools that it was granted, on the ground where its call works.
//!
//! Invariant: an agent gets what its `tools` name and nothing else, or its call does not begin.

use std::sync::Arc;

use super::confine;
use super::instance::Instance;
use super::work::Job;
use crate::agent::{Kit, Subagents, Surroundings};
use crate::outcome::Cause;
use crate::plan::{Action, AgentKind, Call, ModelAgent, ToolGrant};
use crate::process::{Environment, Inherit};
use crate::sandbox::Mode;
use crate::tool::{self, Ground, Tool};

/// The kit of a call's agent.
///
/// # Errors
/// The cause when it cannot be had: the folder is not there, a tool server does not answer.
pub(crate) async fn of(instance: &Instance<'_>, job: &Job, model: &ModelAgent) -> Result<Kit, Cause> {
    // Nothing to act on, and nothing that would have to be known later.
    if only_asks(instance.call) {
        return Ok(Kit { root: job.place.cwd.clone(), only_asks: true, ..Kit::default() });
    }
    let has = |grant: &ToolGrant| model.tools.contains(grant);
    let subagents = has(&ToolGrant::Agent).then(|| Subagents {
        types: types(instance),
        depth: instance.depth,
        most: instance.level.plan.limits.depth,
    });
    let ground = Arc::new(ground(instance, job)?);
    let (mcp, servers) = (&instance.level.plan.mcp, &instance.level.world.servers);
    let tools = tool::tools(&model.tools, tool::Kit { ground: Arc::clone(&ground), mcp, servers })
        .await
        .map_err(|error| Cause::new("tools", format!("its tools cannot be had: {error}")))?;
    let mut tools: Vec<Arc<dyn Tool>> = tools.into_iter().map(Arc::from).collect();
    // Jobs belong to the conversation, which writes down how they end.
    let lasting = tools.iter().position(|tool| tool.spec().name == "background_run");
    let background = lasting.map(|at| tools.remove(at));
    Ok(Kit {
        tools,
        background,
        check_background: has(&ToolGrant::CheckBackground),
        subagents,
        root: ground.root().to_owned(),
        only_asks: false,
    })
}

/// True for a call that does nothing but ask a model: until its request goes out it has no effect, and
/// with its answer it ends.
pub(super) fn only_asks(call: &Call) -> bool {
    let Action::Prompt { agent, .. } = &call.action else { return false };
    match &agent.kind {
        AgentKind::Model(model) => model.tools.is_empty() && !call.workspace.isolation.is_own(),
        AgentKind::Command(_) => false,
    }
}

/// Where its tools act: the folder of its call, with what every program is given and the call's own `env`.
fn ground(instance: &Instance<'_>, job: &Job) -> Result<Ground, Cause> {
    let world = &instance.level.world;
    let mut ground = Ground::new(&job.place.cwd).map_err(|error| Cause::new("cwd", error.to_string()))?;
    let set = job.place.env.iter().map(|(name, value)| (name.into(), value.into()));
    ground.env = Environment { inherit: Inherit::Only(Surroundings::default().inherit), set: set.collect() };
    ground.run_id = world.journal.run().to_string();
    ground.reaper.clone_from(&world.reaper);
    let policy = confine::policy(world, &job.place);
    ground.read_only = policy.mode == Mode::ReadOnly;
    if policy.mode != Mode::Off && world.sandbox.is_on() {
        ground.enforced = true;
        let sandbox = world.sandbox.clone();
        ground.wrap = Arc::new(move |spec| sandbox.wrap(spec, &policy).map_err(|error| error.to_string()));
    }
    Ok(ground)
}

/// The agents of the plan, by name, and what they are for.
fn types(instance: &Instance<'_>) -> Vec<(String, Option<String>)> {
    let agents = instance.level.plan.agents.values();
    agents.map(|agent| (agent.name.clone(), agent.description.clone())).collect()
}
