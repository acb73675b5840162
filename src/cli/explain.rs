//! `fanout explain`: a plan with every default filled in, and what it can lead to.
//!
//! Invariants: plan and graph in, text out; nothing is read, run or printed. The text is YAML,
//! and says the same as the JSON: both are drawn from one tree of rows. A value that is the
//! language's own default is marked, whether the author wrote it or not.

mod call;
mod row;
mod unit;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::graph::chain;
use crate::graph::{CallGraph, Expansion};
use crate::plan::{
    Action, Agent, AgentKind, AtEnd, CommandInput, CommandOutput, Denied, Limits, Plan, Quantity, Reconcile,
    Require, ToolGrant,
};
use row::Row;

/// The plan as a YAML listing: what it leads to, who answers, and every call with every default.
///
/// Values that are defaults carry the comment `# default`; long texts are cut. Ends with a
/// line feed.
pub fn explain(plan: &Plan, graph: &CallGraph) -> String {
    row::yaml(&rows(plan, graph))
}

/// The same for programs: one object, nothing cut; `defaults` lists the paths (`calls.a.timeout`)
/// of those values that are defaults.
pub fn explain_json(plan: &Plan, graph: &CallGraph) -> Value {
    row::json(&rows(plan, graph))
}

fn rows(plan: &Plan, graph: &CallGraph) -> Vec<Row> {
    let expansion = Expansion::of(plan, graph);
    let mut rows =
        vec![Row::new("name", json!(plan.name)), Row::new("file", json!(plan.file.to_string_lossy()))];
    rows.extend(plan.description.iter().map(|text| Row::new("description", json!(text))));
    rows.extend(plan.goal.iter().map(|goal| Row::new("goal", json!(*goal.source))));
    rows.push(
        call::range("calls_made", expansion.total)
            .note(&format!("`limits.calls` allows {}", plan.limits.calls)),
    );
    let estimate = super::estimate::of(plan, graph);
    if estimate.requests.most != Some(0) {
        rows.push(call::range("requests", estimate.requests));
        rows.push(call::range("tokens", estimate.tokens).shown(estimate.shown_tokens()));
        let cost = call::range("cost", estimate.cost).shown(estimate.shown_cost());
        rows.push(cost.note(&format!("prices: {}", crate::limits::price::SOURCE)));
    }
    rows.push(turns(plan, graph));
    let path = graph.longest_chain();
    rows.push(Row::new("critical_path", ids(plan, &path)).shown(chain(plan, &path)));
    rows.push(Row::map("agents", agents(plan)));
    rows.extend(plan.parent.iter().map(|parent| Row::map("parent", parent_rows(parent))));
    rows.push(Row::map("keys", keys(plan)));
    let vars = plan.vars.iter().map(|(name, value)| {
        let given = plan.given_vars.contains_key(name);
        Row::new(name, value.clone()).note(if given { "given" } else { "" })
    });
    rows.push(Row::map("vars", vars.collect()));
    rows.push(Row::map("limits", limits(&plan.limits)));
    let calls = plan.calls.iter().enumerate().map(|(position, call)| {
        let made = expansion.calls.get(position).copied();
        Row::map(call.id.as_str(), call::rows(plan, graph, position, call, made))
    });
    rows.push(Row::map("calls", calls.collect()));
    rows.push(Row::map("reconcile", step(plan, &plan.reconcile)));
    rows.push(require(plan));
    rows.extend(plan.fail_on.iter().map(|fail_on| Row::new("fail_on", json!(*fail_on.source))));
    let report = plan.report.iter().map(|(format, path)| Row::new(format, json!(path.to_string_lossy())));
    rows.push(Row::map("report", report.collect()));
    rows
}

fn turns(plan: &Plan, graph: &CallGraph) -> Row {
    let turns = graph.turns();
    let shown = turns.iter().enumerate().map(|(number, turn)| {
        Row::new(&(number + 1).to_string(), ids(plan, turn)).shown(super::graph::names(plan, turn))
    });
    Row::list("turns", shown.collect())
}

/// Who answers prompts, with the calls that each one answers.
fn agents(plan: &Plan) -> Vec<Row> {
    let mut users: IndexMap<*const Agent, (&Agent, Vec<usize>)> = IndexMap::new();
    for (position, call) in plan.calls.iter().enumerate() {
        if let Action::Prompt { agent, .. } = &call.action {
            users.entry(Arc::as_ptr(agent)).or_insert_with(|| (agent, Vec::new())).1.push(position);
        }
    }
    let mut names: HashMap<&str, usize> = HashMap::new();
    let agents = users.into_values().map(|(agent, calls)| {
        let seen = names.entry(&agent.name).or_default();
        *seen += 1;
        let name = if *seen == 1 { agent.name.clone() } else { format!("{} {seen}", agent.name) };
        let mut rows = vec![Row::new("answers", ids(plan, &calls)).shown(super::graph::names(plan, &calls))];
        rows.extend(agent_rows(agent));
        Row::map(&name, rows)
    });
    agents.collect()
}

/// Who reasons for the parent: no tools, one answer.
fn parent_rows(agent: &Agent) -> Vec<Row> {
    let mut rows = vec![Row::new("agent", json!(agent.name))];
    rows.extend(agent_rows(agent).into_iter().filter(|row| !["tools", "max_turns"].contains(&row.key())));
    rows
}

fn agent_rows(agent: &Agent) -> Vec<Row> {
    match &agent.kind {
        AgentKind::Model(model) => {
            let models: Vec<String> = model.models.iter().map(ToString::to_string).collect();
            // None at all until tools are built, then those that the language page lists.
            let tools_default = model.tools.is_empty() || model.tools == ToolGrant::DEFAULT;
            vec![
                Row::new("model", json!(models)),
                Row::optional("system", model.system.as_ref().map(|system| json!(*system.source))),
                Row::new("tools", json!(model.tools)).default_if(tools_default),
                Row::new("max_turns", json!(model.max_turns)).default_if(model.max_turns == 30),
                Row::new("max_tokens", unit::tokens(model.max_tokens))
                    .default_if(model.max_tokens.0 == 8_000),
                Row::optional("temperature", model.temperature.map(Value::from)),
                Row::optional("effort", model.effort.clone().map(Value::from)),
            ]
        }
        AgentKind::Command(command) => {
            let input = match command.input {
                CommandInput::Stdin => "stdin",
                CommandInput::Arg => "arg",
                CommandInput::File => "file",
            };
            let output = match command.output {
                CommandOutput::Text => "text",
                CommandOutput::Json => "json",
                CommandOutput::JsonLines => "jsonl",
                CommandOutput::StreamJson => "stream-json",
            };
            if let Some(program) = command.program {
                let args: Vec<&String> = command.argv.iter().skip(1).collect();
                return vec![
                    Row::new("command", json!(program.name())),
                    Row::new("args", json!(args)).default_if(args.is_empty()),
                    Row::optional("system", command.system.as_ref().map(|system| json!(*system.source))),
                    Row::optional("model", command.model.clone().map(Value::from)),
                    Row::optional("effort", command.effort.clone().map(Value::from)),
                    Row::optional("max_turns", command.max_turns.map(Value::from)),
                    Row::optional("tools", command.tools.as_ref().map(|tools| json!(tools))),
                    Row::new("inherit", json!(command.inherit)).default_if(command.inherit.is_empty()),
                    denied(command.denied),
                ];
            }
            vec![
                Row::new("command", json!(command.argv)),
                Row::new("input", json!(input)).default_if(command.input == CommandInput::Stdin),
                Row::new("output", json!(output)).default_if(command.output == CommandOutput::Text),
                Row::optional("system", command.system.as_ref().map(|system| json!(*system.source))),
                Row::new("inherit", json!(command.inherit)).default_if(command.inherit.is_empty()),
                denied(command.denied),
            ]
        }
    }
}

fn denied(denied: Denied) -> Row {
    let word = match denied {
        Denied::Block => "block",
        Denied::Continue => "continue",
    };
    Row::new("denied", json!(word)).default_if(denied == Denied::Block)
}

/// The environment variables that must hold a key, each with the providers that read it.
///
/// Those of the plans that this one runs, too.
fn keys(plan: &Plan) -> Vec<Row> {
    let mut keys: IndexMap<&str, Vec<&str>> = IndexMap::new();
    let mut seen: HashSet<*const Plan> = HashSet::new();
    let mut open: Vec<&Plan> = vec![plan];
    while let Some(plan) = open.pop() {
        if !seen.insert(std::ptr::from_ref(plan)) {
            continue;
        }
        let mut reads = |agent: &'_ Agent| {
            let models = match &agent.kind {
                AgentKind::Model(model) => model.models.as_slice(),
                AgentKind::Command(_) => &[],
            };
            for provider in models.iter().filter_map(|model| plan.providers.get(&model.provider)) {
                let Some(key) = &provider.api_key_env else { continue };
                let readers: &mut Vec<&str> = keys.entry(key).or_default();
                if !readers.contains(&provider.name.as_str()) {
                    readers.push(&provider.name);
                }
            }
        };
        plan.parent.iter().for_each(|parent| reads(parent));
        for call in &plan.calls {
            match &call.action {
                Action::Prompt { agent, .. } => reads(agent),
                Action::Plan { plan, .. } => open.push(plan),
                Action::Run(_)
                | Action::Reconcile(_)
                | Action::Value(_)
                | Action::Ask { .. }
                | Action::Stop { .. } => {}
            }
        }
    }
    keys.into_iter().map(|(key, providers)| Row::new(key, json!(providers))).collect()
}

fn limits(limits: &Limits) -> Vec<Row> {
    let background = match limits.background {
        AtEnd::Wait => "wait",
        AtEnd::Cancel => "cancel",
    };
    vec![
        Row::new("concurrency", json!(limits.concurrency)).default_if(limits.concurrency == 8),
        Row::new("calls", json!(limits.calls)).default_if(limits.calls == 1000),
        Row::optional("tokens", limits.budget.tokens.map(unit::tokens)),
        Row::optional("cost", limits.budget.cost.map(|cost| json!(cost.0 as f64 / 1e6))),
        Row::optional("time", limits.time.map(unit::duration)),
        Row::new("background", json!(background)).default_if(limits.background == AtEnd::Wait),
    ]
}

/// The rows of a parent step.
fn step(plan: &Plan, step: &Reconcile) -> Vec<Row> {
    let strategy = &step.strategy;
    let mut rows = vec![
        Row::new("strategy", json!(strategy.name)).default_if(strategy.name == "collect"),
        Row::new("of", ids(plan, &step.of)).shown(super::graph::names(plan, &step.of)),
        Row::optional("min", step.min.map(quantity)),
    ];
    rows.extend(strategy.command.iter().map(|command| Row::new("command", call::command(command))));
    rows.extend(strategy.prompt.iter().map(|prompt| Row::new("prompt", json!(*prompt.source))));
    rows.extend(strategy.settings.iter().map(|(key, value)| Row::new(key, value.clone())));
    rows
}

fn require(plan: &Plan) -> Row {
    match &plan.require {
        Require::All => Row::new("require", json!("all")).default_if(true),
        Require::Some(some) => Row::new("require", quantity(*some)),
        Require::PerCall(calls) => {
            let rows = calls.iter().filter_map(|(position, some)| {
                let call = plan.calls.get(*position)?;
                Some(Row::new(call.id.as_str(), some.map_or(json!("all"), quantity)))
            });
            Row::map("require", rows.collect())
        }
    }
}

/// As it stands in a plan: `3`, `80%`.
fn quantity(quantity: Quantity) -> Value {
    match quantity {
        Quantity::Count(count) => json!(count),
        Quantity::Share(share) => json!(format!("{}%", (share * 1e6).round() / 1e4)),
    }
}

fn ids(plan: &Plan, calls: &[usize]) -> Value {
    calls.iter().filter_map(|&call| plan.calls.get(call)).map(|call| json!(call.id.as_str())).collect()
}

#[cfg(test)]
mod tests;
