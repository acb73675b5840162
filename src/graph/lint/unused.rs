//! Lints on what a plan declares and never uses: agents, vars, includes.
//!
//! Invariant: what an included file declares may go unused, since others use that file too;
//! only a file of which nothing at all is used is worth a word.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::{UNUSED_AGENT, UNUSED_INCLUDE, UNUSED_VAR, agent_of};
use crate::plan::diagnostic::Diagnostic;
use crate::plan::template::{Expression, Template};
use crate::plan::{
    Action, Agent, AgentKind, Call, Check, Command, Computed, Expand, Plan, Reconcile, ToolGrant,
};

pub(super) fn lint(plan: &Plan, found: &mut Vec<Diagnostic>) {
    let agents = used_agents(plan);
    let vars = Vars::of(plan, &agents);
    unused_agents(plan, &agents, found);
    unused_vars(plan, &vars, found);
    unused_includes(plan, &agents, &vars, found);
}

/// The agents that calls use; all of them where one may start others by name.
fn used_agents(plan: &Plan) -> Vec<&Arc<Agent>> {
    let mut by_calls: HashMap<*const Agent, &Agent> = HashMap::new();
    for agent in plan.calls.iter().filter_map(agent_of) {
        by_calls.entry(Arc::as_ptr(agent)).or_insert(agent);
    }
    let starts_others = |agent: &Agent| match &agent.kind {
        AgentKind::Model(model) => model.tools.contains(&ToolGrant::Agent),
        AgentKind::Command(_) => false,
    };
    let used: HashSet<&str> = by_calls.values().map(|agent| agent.name.as_str()).collect();
    let all = by_calls.values().any(|agent| starts_others(agent));
    let steps = plan.calls.iter().filter_map(step_of).chain([&plan.reconcile]);
    let mut named = HashSet::new();
    steps.flat_map(|step| step.strategy.settings.values()).for_each(|value| {
        texts(value, &mut |text| {
            named.insert(text.to_owned());
        })
    });
    (plan.agents.iter())
        .filter(|(name, agent)| {
            all || by_calls.contains_key(&Arc::as_ptr(agent))
                || used.contains(name.as_str())
                || named.contains(name.as_str())
                || plan.parent.as_ref().is_some_and(|parent| parent.name == **name)
        })
        .map(|(_, agent)| agent)
        .collect()
}

fn unused_agents(plan: &Plan, used: &[&Arc<Agent>], found: &mut Vec<Diagnostic>) {
    let used: HashSet<*const Agent> = used.iter().map(|agent| Arc::as_ptr(agent)).collect();
    for (name, agent) in &plan.agents {
        if agent.at.file == 0 && !used.contains(&Arc::as_ptr(agent)) {
            found.push(
                Diagnostic::warning(UNUSED_AGENT, agent.at, format!("no call uses the agent `{name}`"))
                    .label("never used")
                    .help(format!("write `agent: {name}` on a call, or take it out")),
            );
        }
    }
}

fn unused_vars(plan: &Plan, used: &Vars, found: &mut Vec<Diagnostic>) {
    for name in plan.vars.keys().filter(|name| !used.has(name)) {
        let at = plan.places.vars.get(name).copied().unwrap_or_default();
        if at.file == 0 {
            found.push(
                Diagnostic::warning(UNUSED_VAR, at, format!("nothing mentions the var `{name}`"))
                    .label("never used")
                    .help(format!("write `{{{{ vars.{name} }}}}` where it belongs, or take it out")),
            );
        }
    }
}

fn unused_includes(plan: &Plan, agents: &[&Arc<Agent>], vars: &Vars, found: &mut Vec<Diagnostic>) {
    let places = &plan.places;
    let mut used: HashSet<u16> = agents.iter().map(|agent| agent.at.file).collect();
    used.extend(places.vars.iter().filter(|(name, _)| vars.has(name)).map(|(_, at)| at.file));
    let parent = plan.parent.as_ref();
    let providers: HashSet<&str> = (agents.iter().copied().chain(parent))
        .flat_map(|agent| match &agent.kind {
            AgentKind::Model(model) => model.models.as_slice(),
            AgentKind::Command(_) => &[],
        })
        .map(|model| model.provider.as_str())
        .collect();
    used.extend(
        places.providers.iter().filter(|(name, _)| providers.contains(name.as_str())).map(|(_, at)| at.file),
    );
    // A file is used for what it includes, too; includes are few, and none includes itself.
    for _ in &places.includes {
        let before = used.len();
        used.extend(
            places
                .includes
                .iter()
                .filter(|line| used.contains(&line.file))
                .map(|line| line.at.file)
                .collect::<Vec<_>>(),
        );
        if used.len() == before {
            break;
        }
    }
    for line in places.includes.iter().filter(|line| line.at.file == 0 && !used.contains(&line.file)) {
        found.push(
            Diagnostic::warning(UNUSED_INCLUDE, line.at, "nothing of the included file is used")
                .label("never used")
                .help("take it out"),
        );
    }
}

fn step_of(call: &Call) -> Option<&Reconcile> {
    match &call.action {
        Action::Reconcile(step) => Some(step.as_ref()),
        Action::Prompt { .. }
        | Action::Run(_)
        | Action::Plan { .. }
        | Action::Value(_)
        | Action::Ask { .. }
        | Action::Stop { .. } => None,
    }
}

/// The vars that anything in a plan mentions, in a template or in a text that becomes one.
#[derive(Default)]
struct Vars {
    names: HashSet<String>,
    /// True once something takes `vars` as a whole.
    all: bool,
}

impl Vars {
    fn of(plan: &Plan, agents: &[&Arc<Agent>]) -> Vars {
        let mut vars = Vars::default();
        if plan.vars.is_empty() && plan.places.vars.is_empty() {
            return vars;
        }
        plan.goal.iter().for_each(|goal| vars.template(goal));
        plan.fail_on.iter().for_each(|fail_on| vars.expression(fail_on));
        vars.step(&plan.reconcile);
        plan.calls.iter().for_each(|call| vars.call(call));
        let inline = plan.calls.iter().filter_map(agent_of).chain(&plan.parent);
        for agent in inline.chain(agents.iter().copied()) {
            let system = match &agent.kind {
                AgentKind::Model(model) => &model.system,
                AgentKind::Command(command) => &command.system,
            };
            system.iter().for_each(|system| vars.template(system));
        }
        vars
    }

    fn has(&self, name: &str) -> bool {
        self.all || self.names.contains(name)
    }

    /// Takes every `vars.name`, `vars["name"]` and `env.name` in a text, prose included: what
    /// only looks like a mention keeps a lint quiet, and that is the better mistake.
    fn text(&mut self, text: &str) {
        let inside = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        for root in ["vars", "env"] {
            let ends = text.match_indices(root).map(|(at, _)| (at, at + root.len()));
            for (start, end) in ends {
                let rest = text[end..].trim_start();
                if text[..start].ends_with(inside) || text[end..].starts_with(inside) {
                    continue;
                }
                let name = rest.trim_start_matches(['.', '[', '"', '\'', ' ']);
                let name = &name[..name.find(|c| !inside(c)).unwrap_or(name.len())];
                if !rest.starts_with(['.', '[']) || name.is_empty() {
                    self.all |= root == "vars";
                } else if !self.names.contains(name) {
                    self.names.insert(name.to_owned());
                }
            }
        }
    }

    fn template(&mut self, template: &Template) {
        self.text(&template.source);
    }

    fn expression(&mut self, expression: &Expression) {
        self.text(&expression.source);
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Shell(template) => self.template(template),
            Command::Argv(words) => words.iter().for_each(|word| self.template(word)),
        }
    }

    fn computed(&mut self, computed: &Computed) {
        match computed {
            Computed::Expression(expression) => self.expression(expression),
            Computed::Literal(value) => self.value(value),
            Computed::Map(entries) => entries.iter().for_each(|(_, value)| self.computed(value)),
            Computed::List(items) => items.iter().for_each(|item| self.computed(item)),
        }
    }

    fn value(&mut self, value: &Value) {
        texts(value, &mut |text| self.text(text));
    }

    fn step(&mut self, step: &Reconcile) {
        step.strategy.settings.values().for_each(|value| self.value(value));
        step.strategy.command.iter().for_each(|command| self.command(command));
        step.strategy.prompt.iter().for_each(|prompt| self.template(prompt));
    }

    fn call(&mut self, call: &Call) {
        match &call.action {
            Action::Prompt { prompt, .. } => self.template(prompt),
            Action::Run(command) => self.command(command),
            Action::Plan { with, .. } => with.iter().for_each(|(_, value)| self.computed(value)),
            Action::Reconcile(step) => self.step(step),
            Action::Value(value) => self.computed(value),
            Action::Ask { question, .. } => self.template(question),
            Action::Stop { reason, .. } => self.template(reason),
        }
        match &call.expand {
            Some(Expand::List(items)) => items.iter().for_each(|item| self.value(item)),
            Some(Expand::Dynamic(list)) => self.expression(list),
            Some(Expand::Matrix(rows)) => {
                rows.iter().flat_map(|row| row.values()).for_each(|cell| self.value(cell))
            }
            Some(Expand::Samples(_)) | None => {}
        }
        call.when.iter().for_each(|when| self.expression(when));
        call.repeat.iter().for_each(|repeat| self.expression(&repeat.until));
        call.workspace.setup.iter().for_each(|setup| self.command(setup));
        match &call.check {
            Some(Check::Command(command)) => self.command(command),
            Some(Check::Ask(question)) => self.template(question),
            None => {}
        }
        let templates = call.cwd.iter().chain(&call.stdin).chain(&call.output.file);
        templates.chain(call.env.iter().map(|(_, value)| value)).for_each(|template| self.template(template));
    }
}

/// Hands every text inside a value to `take`.
fn texts(value: &Value, take: &mut dyn FnMut(&str)) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => take(text),
            Value::Array(items) => open.extend(items),
            Value::Object(entries) => open.extend(entries.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}
