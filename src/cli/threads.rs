//! The threads that a run works on.
//!
//! Where models are asked there are several: connections have work of their own. Calls are worked on by
//! these, too, so each has as much room for deep values as a program's first one. Where there are no
//! models, what the system has to say of commands is heard by the thread that acts on it, and wakes no
//! other.

use tokio::runtime::{Builder, Runtime};

use crate::plan::{Action, AgentKind, Call, Plan};

/// The threads for a plan.
///
/// # Errors
/// When the system gives no more.
pub(super) fn of(plan: &Plan) -> std::io::Result<Runtime> {
    if asks_models(plan) {
        Builder::new_multi_thread().enable_all().thread_stack_size(8 << 20).build()
    } else {
        Builder::new_current_thread().enable_all().build()
    }
}

fn asks_models(plan: &Plan) -> bool {
    let asks = |call: &Call| match &call.action {
        Action::Prompt { agent, .. } => matches!(agent.kind, AgentKind::Model(_)),
        Action::Plan { plan, .. } => asks_models(plan),
        Action::Run(_)
        | Action::Reconcile(_)
        | Action::Value(_)
        | Action::Ask { .. }
        | Action::Stop { .. } => false,
    };
    plan.parent.is_some() || plan.calls.iter().any(asks)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::graph::sample::Sample;

    #[test]
    fn a_model_anywhere_asks_for_more_than_one_thread() {
        let commands = || Sample::new().run("a", "true");
        assert!(!asks_models(&commands().build()));
        assert!(asks_models(&commands().prompt("b", "look").build()));
        let inner = |plan: Sample| Sample::new().plan("inner", Arc::new(plan.build())).build();
        assert!(!asks_models(&inner(commands())) && asks_models(&inner(Sample::new().prompt("b", "look"))));
        let mut judged = commands().build();
        judged.parent = judged.agents.values().next().cloned();
        assert!(asks_models(&judged));
    }
}
