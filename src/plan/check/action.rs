//! What a call does: exactly one of seven keys.

use super::agents::Agents;
use super::needs::Needs;
use super::{Scope, computed, reconcile};
use crate::plan::diagnostic::{Diagnostic, Span};
use crate::plan::file::call::{CallFile, StopFile, StopWord};
use crate::plan::file::value::Data;
use crate::plan::load::Load;
use crate::plan::read::{At, Entries, Field, Key};
use crate::plan::record::Record as _;
use crate::plan::suggest::{choices, did_you_mean, list};
use crate::plan::template::{Destination, Mention, Names, Template};
use crate::plan::{Action, Computed, code};

/// The keys that say what a call does.
pub(super) const ACTIONS: [&str; 7] = ["prompt", "run", "plan", "reconcile", "value", "ask", "stop"];

/// Everything around the call that its action may need.
pub(super) struct Around<'x, 'a> {
    /// The plan's agents.
    pub(super) agents: &'x mut Agents<'a>,
    /// The plan.
    pub(super) scope: &'x Scope<'x>,
    /// What templates may mention.
    pub(super) names: &'x Names<'x>,
    /// What they do mention.
    pub(super) mentions: &'x mut Vec<Mention>,
    /// What the call needs so far.
    pub(super) needs: &'x mut Needs,
}

/// Reads what a call does. `None` where the reason was reported.
pub(super) fn read(
    load: &mut Load<'_>,
    file: &mut CallFile,
    name: &At<String>,
    around: &mut Around<'_, '_>,
) -> Option<Action> {
    exactly_one(load, file, name)?;
    let Around { names, mentions, scope, .. } = around;
    if let Some(prompt) = file.prompt.take() {
        let agent = around.agents.of(load, file.agent.as_deref(), name.at);
        let prompt = load.prompt(prompt.value, names, scope.place, mentions);
        return Some(Action::Prompt { prompt: prompt?, agent: agent? });
    }
    if let Some(run) = file.run.take() {
        return Some(Action::Run(load.command(&run.value, names, mentions)));
    }
    if let Some(plan) = file.plan.take() {
        return sub_plan(load, *plan, file.with.take(), name, around);
    }
    if let Some(step) = file.reconcile.take() {
        return parent_step(load, *step, name, around);
    }
    if let Some(value) = file.value.take() {
        return Some(Action::Value(computed::value(load, &value.value, names, mentions)));
    }
    if let Some(ask) = file.ask.take() {
        let question = load.template(&ask.value, names, Destination::Raw, mentions);
        return Some(Action::Ask { question, default: file.default.take().map(|default| default.value) });
    }
    let StopFile { status, reason, .. } = file.stop.take()?.value;
    let reason = match reason {
        Some(reason) => load.template(&reason.value, names, Destination::Raw, mentions),
        None => Template::literal("", name.at),
    };
    Some(Action::Stop { success: status?.value == StopWord::Success, reason })
}

fn exactly_one(load: &mut Load<'_>, file: &CallFile, name: &At<String>) -> Option<()> {
    let written: Vec<&str> = ACTIONS.into_iter().filter(|key| file.wrote(key)).collect();
    match written.as_slice() {
        [_] => Some(()),
        [] => {
            let fault =
                Diagnostic::error(code::MISSING_KEY, name.at, format!("`{}` does nothing", name.value));
            load.fault(fault.help(format!("give it one of {}", choices(ACTIONS))));
            None
        }
        several => {
            let quoted: Vec<String> = several.iter().map(|key| format!("`{key}`")).collect();
            let message = format!("`{}` has {}; a call does one thing", name.value, list(&quoted, "and"));
            let fault = Diagnostic::error(code::CONTRADICTION, name.at, message);
            load.fault(fault.help("make calls of their own of the others"));
            None
        }
    }
}

fn sub_plan(
    load: &mut Load<'_>,
    path: Field<String>,
    with: Key<Entries<Data>>,
    name: &At<String>,
    around: &mut Around<'_, '_>,
) -> Option<Action> {
    let written = At { at: path.at, value: path.value };
    let checked = load.sub_plan(&written, around.scope.place);
    let with = with.map_or_else(Vec::new, |with| with.value.0);
    let mut values = Vec::with_capacity(with.len());
    for (var, data) in &with {
        let Some(data) = data else { continue };
        let value = computed::with(load, data, around.names, around.mentions);
        if let Some(checked) = &checked {
            match (checked.vars.iter().find(|known| known.name == var.value), &value) {
                (None, _) => {
                    let message = format!("`{}` has no var `{}`", written.value, var.value);
                    let names = checked.vars.iter().map(|known| known.name.as_str());
                    let help = did_you_mean(&var.value, names);
                    load.fault(Diagnostic::error(code::UNKNOWN_VAR, var.at, message).maybe_help(help));
                }
                (Some(known), Computed::Literal(value)) => {
                    if let Some(objection) = known.objection(value) {
                        load.fault(Diagnostic::error(code::WRONG_VAR_TYPE, data.at, objection));
                    }
                }
                (Some(_), Computed::Expression(_) | Computed::Map(_) | Computed::List(_)) => {}
            }
        }
        values.push((var.value.clone(), value));
    }
    let checked = checked?;
    for var in checked.vars.iter().filter(|var| var.required) {
        if !with.iter().any(|(given, _)| given.value == var.name) {
            let message = format!("`{}` requires the var `{}`", written.value, var.name);
            let fault = Diagnostic::error(code::MISSING_VAR, name.at, message);
            load.fault(fault.help(format!("add `with: {{ {}: … }}`", var.name)));
        }
    }
    Some(Action::Plan { plan: std::sync::Arc::clone(&checked.plan), with: values })
}

/// A parent step in the middle of the plan. Without `of` it reads what it `needs`.
fn parent_step(
    load: &mut Load<'_>,
    file: Field<crate::plan::file::reconcile::ReconcileFile>,
    name: &At<String>,
    around: &mut Around<'_, '_>,
) -> Option<Action> {
    let own = around.scope.positions.get(&name.value).copied();
    let at: Span = file.value.of.as_ref().map_or(file.key, |of| of.at);
    let said = file.value.wrote("of");
    let needed = around.needs.calls();
    let step = reconcile::step(load, file, needed, around.agents, around.scope, around.mentions);
    if step.of.is_empty() && !said {
        let message = format!("`{}` does not say which calls it reads", name.value);
        load.fault(
            Diagnostic::error(code::MISSING_KEY, at, message).help("add `of: [call, …]` under `reconcile`"),
        );
    }
    if own.is_some_and(|own| step.of.contains(&own)) {
        let message = format!("`{}` reads itself", name.value);
        load.fault(Diagnostic::error(code::CYCLE, at, message).help("remove it from `of`"));
    }
    let others: Vec<usize> = step.of.iter().copied().filter(|call| Some(*call) != own).collect();
    around.needs.reads(&others, at);
    Some(Action::Reconcile(Box::new(step)))
}
