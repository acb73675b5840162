//! Lints on who answers: sampling that cannot vary, programs that ask, models that change.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::program;
use super::{ASKS_PERMISSION, LintContext, SAMPLES_AT_ZERO, SESSION_OF_ONE, UNPINNED_MODEL, agent_of};
use crate::plan::diagnostic::Diagnostic;
use crate::plan::{Agent, AgentKind, Call, Expand, Plan, Program};

pub(super) fn lint(plan: &Plan, context: &LintContext, found: &mut Vec<Diagnostic>) {
    samples_at_zero(plan, found);
    session_of_one(plan, found);
    // Each agent once, with the calls that it answers.
    let mut users: HashMap<*const Agent, (&Arc<Agent>, Vec<&Call>)> = HashMap::new();
    for call in &plan.calls {
        if let Some(agent) = agent_of(call) {
            users.entry(Arc::as_ptr(agent)).or_insert_with(|| (agent, Vec::new())).1.push(call);
        }
    }
    for (agent, calls) in users.values() {
        asks_permission(agent, calls, found);
        if context.ci {
            unpinned_model(agent, found);
        }
    }
}

fn samples_at_zero(plan: &Plan, found: &mut Vec<Diagnostic>) {
    for call in &plan.calls {
        let Some(Expand::Samples(count @ 2..)) = call.expand else { continue };
        let Some(agent) = agent_of(call) else { continue };
        if let AgentKind::Model(model) = &agent.kind
            && model.temperature == Some(0.0)
        {
            found.push(
                Diagnostic::warning(
                    SAMPLES_AT_ZERO,
                    call.at,
                    format!(
                        "`{}` asks {count} times at temperature 0, for what is meant to be one answer",
                        call.id
                    ),
                )
                .label("samples that do not vary")
                .help(format!("give `{}` a `temperature` above 0, or leave out `samples`", agent.name))
                .related(agent.at, "temperature 0 comes from here"),
            );
        }
    }
}

/// A name that was written in two ways begins two conversations, and nothing else would say so.
fn session_of_one(plan: &Plan, found: &mut Vec<Diagnostic>) {
    let sessions = || plan.calls.iter().filter_map(|call| Some((call, call.session.as_ref()?)));
    let gone_on_with: HashSet<usize> = sessions().filter_map(|(_, session)| session.previous).collect();
    for (position, call) in plan.calls.iter().enumerate() {
        let Some(session) = &call.session else { continue };
        if session.previous.is_none() && !gone_on_with.contains(&position) {
            let message = format!("only `{}` is in the session `{}`", call.id, session.name);
            let help = "give the same name to the calls that are to go on with it, or take it out";
            let fault = Diagnostic::warning(SESSION_OF_ONE, session.at, message);
            found.push(fault.label("nobody goes on with it").help(help));
        }
    }
}

fn asks_permission(agent: &Agent, calls: &[&Call], found: &mut Vec<Diagnostic>) {
    let AgentKind::Command(command) = &agent.kind else { return };
    let Some(known) = Program::started_by(&command.argv) else { return };
    let set = |call: &Call| {
        program::permission_env(known).is_some_and(|name| call.env.iter().any(|(key, _)| key == name))
    };
    if program::is_told(known, command) || calls.iter().all(|call| set(call)) {
        return;
    }
    let program = command.argv.first().map_or("", String::as_str);
    found.push(
        Diagnostic::warning(
            ASKS_PERMISSION,
            agent.at,
            format!(
                "agent `{}` runs `{program}` without saying what it may do: it would ask, and nobody answers",
                agent.name
            ),
        )
        .label("no permission given")
        .help(format!(
            "name it (`command: {}`) and it is started so that it does not, or say it: {}",
            known.name(),
            program::advice(known)
        )),
    );
}

fn unpinned_model(agent: &Agent, found: &mut Vec<Diagnostic>) {
    let unpinned = match &agent.kind {
        AgentKind::Model(model) => {
            model.models.iter().filter(|name| !is_pinned(&name.model)).map(ToString::to_string).collect()
        }
        AgentKind::Command(command) => {
            let named =
                command.model.as_deref().or(program::model_flag(command)).filter(|name| !is_pinned(name));
            named.map(str::to_owned).into_iter().collect::<Vec<_>>()
        }
    };
    if !unpinned.is_empty() {
        let (name, models) = (&agent.name, unpinned.join("`, `"));
        found.push(
            Diagnostic::warning(
                UNPINNED_MODEL,
                agent.at,
                format!("agent `{name}` takes whatever `{models}` is today"),
            )
            .label("no version")
            .help("name the version, such as `anthropic/claude-sonnet-5`, so that CI runs repeat"),
        );
    }
}

/// True for a model's name with a version in it: a digit somewhere, and no `latest`.
pub(super) fn is_pinned(model: &str) -> bool {
    let latest =
        model.to_ascii_lowercase().split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "latest");
    !latest && model.contains(|c: char| c.is_ascii_digit())
}
