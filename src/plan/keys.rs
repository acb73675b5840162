//! What a plan will need when it runs: keys in the environment, answers of a person.

use super::{Action, AgentKind, Call, Plan};

impl Plan {
    /// The environment variables that hold the keys of the models and programs that calls use, each
    /// once, in the order in which they are first met; those of the plans below included.
    pub fn key_variables(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        let mut plans = vec![self];
        while let Some(plan) = plans.pop() {
            for call in &plan.calls {
                match &call.action {
                    Action::Prompt { agent, .. } => {
                        let keys: Vec<&str> = match &agent.kind {
                            AgentKind::Model(model) => {
                                let providers =
                                    model.models.iter().filter_map(|name| plan.providers.get(&name.provider));
                                providers.filter_map(|provider| provider.api_key_env.as_deref()).collect()
                            }
                            AgentKind::Command(command) => command.keys(),
                        };
                        for key in keys {
                            if !names.contains(&key) {
                                names.push(key);
                            }
                        }
                    }
                    Action::Plan { plan, .. } => plans.push(plan),
                    Action::Run(_)
                    | Action::Reconcile(_)
                    | Action::Value(_)
                    | Action::Ask { .. }
                    | Action::Stop { .. } => {}
                }
            }
        }
        names
    }

    /// The calls that ask a person and have no `default`: where nobody can answer, the plan cannot
    /// run. Each with the plan that it stands in; those of the plans below included.
    pub fn unanswered(&self) -> Vec<(&Plan, &Call)> {
        let mut asks = Vec::new();
        let mut plans = vec![self];
        while let Some(plan) = plans.pop() {
            for call in &plan.calls {
                match &call.action {
                    Action::Ask { default: None, .. } => asks.push((plan, call)),
                    Action::Plan { plan, .. } => plans.push(plan),
                    Action::Ask { default: Some(_), .. }
                    | Action::Prompt { .. }
                    | Action::Run(_)
                    | Action::Reconcile(_)
                    | Action::Value(_)
                    | Action::Stop { .. } => {}
                }
            }
        }
        asks
    }
}
