//! Who makes a call: the plan's agents, inline ones, the project's, and the default.
//!
//! Invariant: an agent is checked once, however many calls use it; that no model is
//! configured is said once.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::include::{Home, Named};
use super::{Scope, at_least_one, claude, program, providers, tools};
use crate::plan::diagnostic::{Diagnostic, Span};
use crate::plan::file::agent::{AgentFile, AgentUse};
use crate::plan::file::value::PromptText;
use crate::plan::load::Load;
use crate::plan::read::Field;
use crate::plan::record::Record as _;
use crate::plan::suggest::{choices, did_you_mean};
use crate::plan::template::{Also, Names, Template};
use crate::plan::{Agent, AgentKind, ModelAgent, ModelName, Provider, ToolGrant, code};
use crate::unit::Tokens;

/// Turns of the tool loop where the agent says nothing.
const MAX_TURNS: u32 = 30;
/// Output tokens a request where the agent says nothing.
const MAX_TOKENS: Tokens = Tokens(8_000);

/// Keys that make an agent a program.
const COMMAND_KEYS: &[&str] = &["command", "args", "input", "output", "patterns", "inherit", "denied"];

/// The agents of a plan.
pub(super) struct Agents<'a> {
    providers: &'a IndexMap<String, Provider>,
    scope: &'a Scope<'a>,
    named: IndexMap<String, Option<Arc<Agent>>>,
    project: Option<HashMap<String, claude::Definition>>,
    /// Where an agent is allowed to start subagents.
    delegates: Option<Span>,
    fallback: Option<Option<Arc<Agent>>>,
}

impl<'a> Agents<'a> {
    /// Checks those that the plan defines.
    pub(super) fn read(
        load: &mut Load<'_>,
        files: Named<(AgentFile, std::rc::Rc<Home>)>,
        providers: &'a IndexMap<String, Provider>,
        scope: &'a Scope<'a>,
    ) -> Agents<'a> {
        let mut agents = Agents {
            providers,
            scope,
            named: IndexMap::new(),
            project: None,
            delegates: None,
            fallback: None,
        };
        for (name, file) in files.into_values() {
            let agent =
                file.and_then(|(file, home)| agents.one(load, name.value.clone(), name.at, file, &home));
            agents.named.insert(name.value, agent.map(Arc::new));
        }
        agents
    }

    /// The agent that a call asks for, or the default one. `None` where the reason was reported.
    pub(super) fn of(
        &mut self,
        load: &mut Load<'_>,
        wanted: Option<&Field<AgentUse>>,
        call: Span,
    ) -> Option<Arc<Agent>> {
        match wanted {
            None => self.fallback(load, call),
            Some(Field { value: AgentUse::Name(name), at, .. }) => self.by_name(load, name, *at),
            Some(Field { value: AgentUse::Inline(file), key, .. }) => {
                let place = self.scope.place;
                let home = Home { dir: place.dir.clone(), shown: place.shown.clone() };
                self.one(load, "(inline)".to_owned(), *key, (**file).clone(), &home).map(Arc::new)
            }
        }
    }

    /// True for a name of the plan's own agents.
    pub(super) fn has(&self, name: &str) -> bool {
        self.named.contains_key(name)
    }

    /// Those with names, the project's own that a call uses included; where an agent may start
    /// subagents, all of the project's.
    pub(super) fn into_named(mut self, load: &mut Load<'_>) -> IndexMap<String, Arc<Agent>> {
        if let Some(at) = self.delegates {
            let place = self.scope.place;
            let definitions =
                self.project.get_or_insert_with(|| claude::definitions(&place.dir, &place.project));
            let mut names: Vec<String> = definitions.keys().cloned().collect();
            names.sort();
            for name in names {
                self.by_name(load, &name, at);
            }
        }
        self.named.into_iter().filter_map(|(name, agent)| Some((name, agent?))).collect()
    }

    fn fallback(&mut self, load: &mut Load<'_>, call: Span) -> Option<Arc<Agent>> {
        if let Some(known) = &self.fallback {
            return known.clone();
        }
        let models: Vec<ModelName> = self.default_model(load, call).into_iter().collect();
        let agent = (!models.is_empty()).then(|| {
            let kind = AgentKind::Model(plain_model(models));
            Arc::new(Agent { name: "default".to_owned(), description: None, at: call, kind })
        });
        self.fallback = Some(agent.clone());
        agent
    }

    /// The model found in the environment; that there is none is said once in a run.
    fn default_model(&mut self, load: &mut Load<'_>, at: Span) -> Option<ModelName> {
        if load.no_model {
            return None;
        }
        let before = load.faults.len();
        let model = providers::default_model(load, self.providers);
        if model.is_none() {
            load.no_model = true;
            if load.faults.len() == before {
                let fault = Diagnostic::error(code::NO_MODEL, at, "no model is configured for this call");
                load.fault(fault.help(
                    "set ANTHROPIC_API_KEY, OPENAI_API_KEY or OPENROUTER_API_KEY; or FANOUT_MODEL=provider/model; \
                     or write `defaults: { agent: { model: ollama/qwen3 } }`",
                ));
            }
        }
        model
    }

    fn by_name(&mut self, load: &mut Load<'_>, name: &str, at: Span) -> Option<Arc<Agent>> {
        if let Some(known) = self.named.get(name) {
            return known.clone();
        }
        let place = self.scope.place;
        let definitions = self.project.get_or_insert_with(|| claude::definitions(&place.dir, &place.project));
        if let Some(definition) = definitions.get(name).cloned() {
            let agent = self.project_agent(load, name, &definition, at).map(Arc::new);
            self.named.insert(name.to_owned(), agent.clone());
            return agent;
        }
        let names = || self.named.keys().map(String::as_str).chain(definitions.keys().map(String::as_str));
        let help = match did_you_mean(name, names()) {
            Some(help) => help,
            None if name.contains('/') => format!("to name a model, write `agent: {{ model: {name} }}`"),
            None if names().next().is_none() => "define it under `agents`".to_owned(),
            None => format!("the agents are {}", choices(names())),
        };
        load.fault(
            Diagnostic::error(code::UNKNOWN_AGENT, at, format!("there is no agent `{name}`")).help(help),
        );
        None
    }

    fn project_agent(
        &mut self,
        load: &mut Load<'_>,
        name: &str,
        definition: &claude::Definition,
        used: Span,
    ) -> Option<Agent> {
        let found = claude::read(load, definition, &self.scope.place.project, used)?;
        let models = match found.model {
            Some(model) => providers::model(load, &model, self.providers),
            None => self.default_model(load, used),
        };
        let mut kind = plain_model(vec![models?]);
        if let Some((words, at)) = found.tools {
            kind.tools = tools::foreign(load, &words, at, used);
            self.may_delegate(&kind.tools, at);
        }
        kind.system = Some(Template::literal(found.system, found.at));
        let description = found.description;
        Some(Agent { name: name.to_owned(), description, at: found.at, kind: AgentKind::Model(kind) })
    }

    fn one(
        &mut self,
        load: &mut Load<'_>,
        name: String,
        at: Span,
        file: AgentFile,
        home: &Home,
    ) -> Option<Agent> {
        let description = file.description.as_ref().map(|text| text.value.clone());
        let kind = if COMMAND_KEYS.iter().any(|key| file.wrote(key)) {
            let system = file.system.clone();
            let system = system.and_then(|system| self.system(load, system.value, home));
            let servers: Vec<&str> = self.scope.mcp.keys().map(String::as_str).collect();
            AgentKind::Command(program::command_agent(load, at, file, system, &servers)?)
        } else {
            AgentKind::Model(self.model_agent(load, at, file, home)?)
        };
        Some(Agent { name, description, at, kind })
    }

    fn model_agent(
        &mut self,
        load: &mut Load<'_>,
        at: Span,
        file: AgentFile,
        home: &Home,
    ) -> Option<ModelAgent> {
        let AgentFile { model, system, tools, max_turns, max_tokens, temperature, effort, .. } = file;
        let no_models = model.is_none();
        let names = model.map_or_else(Vec::new, |model| {
            if model.value.0.is_empty() {
                let fault = Diagnostic::error(code::NO_VALUE, model.at, "the list of models is empty");
                load.fault(fault.help("name at least one"));
            }
            model.value.0
        });
        let mut models: Vec<ModelName> =
            names.iter().filter_map(|name| providers::model(load, name, self.providers)).collect();
        if no_models {
            models.extend(self.default_model(load, at));
        }
        let tools = tools.map(|written| {
            let servers: Vec<&str> = self.scope.mcp.keys().map(String::as_str).collect();
            let grants = tools::grants(load, &written.value.0, &servers);
            self.may_delegate(&grants, written.key);
            grants
        });
        if let Some(temperature) = temperature.as_ref().filter(|t| !(0.0..=2.0).contains(&t.value)) {
            let message = "`temperature` must be between 0 and 2";
            load.fault(Diagnostic::error(code::OUT_OF_RANGE, temperature.at, message));
        }
        if let Some(max) = max_tokens.as_ref().filter(|max| max.value.0.is_zero()) {
            load.fault(Diagnostic::error(
                code::OUT_OF_RANGE,
                max.at,
                "`max_tokens` must be more than nothing",
            ));
        }
        let system = system.and_then(|system| self.system(load, system.value, home));
        (!models.is_empty()).then(|| ModelAgent {
            system,
            max_turns: max_turns.map_or(MAX_TURNS, |n| at_least_one(load, n.value, n.at, "max_turns")),
            max_tokens: max_tokens.map_or(MAX_TOKENS, |max| max.value.0),
            temperature: temperature.map(|temperature| temperature.value),
            effort: effort.map(|effort| effort.value),
            tools: tools.unwrap_or_else(|| ToolGrant::DEFAULT.to_vec()),
            ..plain_model(models)
        })
    }

    /// Remembers where subagents are allowed: then all agents of the project may be wanted.
    fn may_delegate(&mut self, grants: &[ToolGrant], at: Span) {
        if grants.contains(&ToolGrant::Agent) {
            self.delegates.get_or_insert(at);
        }
    }

    fn system(&self, load: &mut Load<'_>, text: PromptText, home: &Home) -> Option<Template> {
        let mut names = Names::vars(self.scope.known);
        names.also.extend([Also::Goal, Also::Run]);
        let place =
            super::Place { dir: home.dir.clone(), shown: home.shown.clone(), ..self.scope.place.clone() };
        load.prompt(text, &names, &place, &mut Vec::new())
    }
}

fn plain_model(models: Vec<ModelName>) -> ModelAgent {
    ModelAgent {
        models,
        system: None,
        tools: ToolGrant::DEFAULT.to_vec(),
        max_turns: MAX_TURNS,
        max_tokens: MAX_TOKENS,
        temperature: None,
        effort: None,
    }
}
