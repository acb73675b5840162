//! What an agent is handed to work with: the tools that it was granted, on the ground where its call works.
//!
//! Invariant: an agent gets what its `tools` name and nothing else.

use super::instance::Instance;
use super::work::Job;
use crate::agent::{Kit, Subagents};
use crate::plan::{ModelAgent, ToolGrant};

/// The kit of a call's agent.
pub(crate) fn of(instance: &Instance<'_>, job: &Job, model: &ModelAgent) -> Kit {
    let has = |grant: &ToolGrant| model.tools.contains(grant);
    let subagents = has(&ToolGrant::Agent).then(|| Subagents {
        types: types(instance),
        depth: instance.depth,
        most: instance.level.plan.limits.depth,
    });
    Kit {
        tools: Vec::new(),
        background: None,
        check_background: has(&ToolGrant::CheckBackground),
        subagents,
        root: job.place.cwd.clone(),
    }
}

/// The agents of the plan, by name, and what they are for.
fn types(instance: &Instance<'_>) -> Vec<(String, Option<String>)> {
    let agents = instance.level.plan.agents.values();
    agents.map(|agent| (agent.name.clone(), agent.description.clone())).collect()
}
