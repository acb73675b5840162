//! What there is to look at: all that fanout knows of, or what one plan needs.

use indexmap::IndexMap;

use crate::plan::{Action, Agent, AgentKind, Plan, Program, Provider};

/// What to look at. Each name once, with whether a call fails without it.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Programs as they are started.
    pub(super) programs: IndexMap<String, bool>,
    /// Providers, with their keys.
    pub(super) providers: IndexMap<String, (Provider, bool)>,
    /// Variables that hold keys of programs; some programs do without, being logged in.
    pub(super) keys: IndexMap<String, String>,
    /// Groups of providers of which one is enough: models that stand in for each other.
    pub(super) either: Vec<Vec<String>>,
    /// Whether the surroundings are looked at, too.
    pub(super) machine: bool,
}

impl Needs {
    /// Everything that is known, none of it needed.
    pub(super) fn anything(plan: &Plan) -> Needs {
        let mut needs = Needs { machine: true, ..Needs::default() };
        for program in Program::ALL {
            needs.programs.insert(program.name().to_owned(), false);
            for key in program.keys() {
                needs.key(key, program.name());
            }
        }
        for (name, provider) in &plan.providers {
            needs.providers.insert(name.clone(), (provider.clone(), false));
        }
        needs
    }

    /// What the calls of a plan need, and those of the plans that it runs.
    pub(super) fn of(plan: &Plan) -> Needs {
        let mut needs = Needs::default();
        needs.add(plan);
        needs
    }

    fn add(&mut self, plan: &Plan) {
        for call in &plan.calls {
            match &call.action {
                Action::Prompt { agent, .. } => self.agent(agent, plan),
                Action::Plan { plan, .. } => self.add(plan),
                Action::Run(_)
                | Action::Reconcile(_)
                | Action::Value(_)
                | Action::Ask { .. }
                | Action::Stop { .. } => {}
            }
        }
    }

    fn agent(&mut self, agent: &Agent, plan: &Plan) {
        match &agent.kind {
            AgentKind::Command(command) => {
                let Some(name) = command.argv.first() else { return };
                self.programs.insert(name.clone(), true);
                for key in command.keys() {
                    self.key(key, name);
                }
            }
            AgentKind::Model(model) => {
                let names: Vec<&str> = model.models.iter().map(|model| model.provider.as_str()).collect();
                let alone = names.iter().all(|name| Some(name) == names.first());
                for name in &names {
                    let Some(provider) = plan.providers.get(*name) else { continue };
                    let known = self.providers.entry((*name).to_owned());
                    known.or_insert_with(|| (provider.clone(), false)).1 |= alone;
                }
                if !alone {
                    self.either.push(names.into_iter().map(str::to_owned).collect());
                }
            }
        }
    }

    fn key(&mut self, key: &str, of: &str) {
        let users = self.keys.entry(key.to_owned()).or_default();
        if !users.split(", ").any(|user| user == of) {
            users.push_str(if users.is_empty() { "" } else { ", " });
            users.push_str(of);
        }
    }
}
