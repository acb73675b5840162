//! Who reasons for the parent: what the plan says under `parent`, else the default model.
//!
//! Invariant: a plan whose steps ask no model needs none.

use std::sync::Arc;

use super::agents::Agents;
use crate::plan::diagnostic::{Diagnostic, Span};
use crate::plan::file::agent::AgentUse;
use crate::plan::load::Load;
use crate::plan::read::Key;
use crate::plan::record::Record as _;
use crate::plan::{Action, Agent, AgentKind, Call, Check, Reconcile, code};

/// The parent's own agent; `None` where nothing asks it and the plan names none.
pub(super) fn of(
    load: &mut Load<'_>,
    file: Key<AgentUse>,
    (calls, last): (&[Call], &Reconcile),
    agents: &mut Agents<'_>,
) -> Option<Arc<Agent>> {
    let Some(file) = file else {
        return asks(calls, last).and_then(|at| agents.of(load, None, at));
    };
    if let AgentUse::Inline(inline) = &file.value {
        for key in ["tools", "max_turns"] {
            if let Some((at, _)) = inline.places(key) {
                let message =
                    format!("`{key}` means nothing under `parent`: it decides from what the calls found");
                load.fault(Diagnostic::error(code::CONTRADICTION, at, message).help("remove it"));
            }
        }
    }
    let agent = agents.of(load, Some(&file), file.key)?;
    let AgentKind::Model(model) = &agent.kind else { return Some(agent) };
    let mut model = model.clone();
    model.tools = Vec::new();
    Some(Arc::new(Agent { name: agent.name.clone(), at: agent.at, kind: AgentKind::Model(model) }))
}

/// Where the first step stands that asks the parent's model.
fn asks(calls: &[Call], last: &Reconcile) -> Option<Span> {
    let call = |call: &Call| {
        let step = match &call.action {
            Action::Reconcile(step) => step.strategy.asks(),
            Action::Prompt { .. }
            | Action::Run(_)
            | Action::Plan { .. }
            | Action::Value(_)
            | Action::Ask { .. }
            | Action::Stop { .. } => false,
        };
        (step || matches!(call.check, Some(Check::Ask(_)))).then_some(call.at)
    };
    last.strategy.asks().then_some(last.at).or_else(|| calls.iter().find_map(call))
}
