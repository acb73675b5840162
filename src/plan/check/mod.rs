//! The shape of a file to a checked plan: names resolved, defaults filled in, graph sound.
//!
//! Invariant: checking goes on after a fault, so that all of them are found in one go;
//! whoever calls it drops the plan when there was one.

mod action;
mod agents;
mod budget;
mod call;
mod claude;
mod computed;
mod cycle;
mod expand;
mod include;
mod matrix;
mod mcp;
mod needs;
mod notify;
mod output;
mod parent;
mod places;
mod program;
mod program_tools;
mod providers;
mod reconcile;
mod sandbox;
mod session;
mod text;
mod tools;
mod top;
mod vars;
mod workspace;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::code;
use super::diagnostic::{Diagnostic, Span};
use super::file::PlanFile;
use super::file::call::CallFile;
use super::load::Load;
use super::read::At;
use super::record::Record;
use super::template::{Also, CallShape, Destination, Known, Names};
use super::{Call, McpServer, Plan};
use indexmap::IndexMap;

use crate::id::CallId;
use needs::Edges;

pub(super) use vars::Var;

/// Where a plan stands among files.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The file as the person named it.
    pub(super) file: PathBuf,
    /// Its number among the sources.
    pub(super) number: u16,
    /// Its folder, canonical.
    pub(super) dir: PathBuf,
    /// Its folder as the person would name it.
    pub(super) shown: PathBuf,
    /// The folder of the project that it belongs to, canonical.
    pub(super) project: PathBuf,
    /// The plans that run it, the outermost first, itself last.
    pub(super) chain: Vec<PathBuf>,
}

/// A checked plan with what the plan that runs it has to know.
#[derive(Debug)]
pub(super) struct Checked {
    /// The plan.
    pub(super) plan: Arc<Plan>,
    /// Its vars.
    pub(super) vars: Vec<Var>,
}

/// What every check of a plan's parts needs to look up.
pub(super) struct Scope<'a> {
    /// Where the plan stands.
    place: &'a Place,
    /// Names for templates.
    known: &'a Known,
    /// The position of each call; the first of an id that stands twice.
    positions: &'a HashMap<String, usize>,
    /// What is known of the call at each position before it is checked.
    traits: &'a [Traits],
    /// The tool servers.
    mcp: &'a IndexMap<String, McpServer>,
    /// True where the plan has a `goal`.
    goal: bool,
}

/// What is known of a call before it is checked.
#[derive(Debug, Clone, Copy)]
struct Traits {
    /// It may be many.
    expanded: bool,
    /// Its output is no result to reconcile: an answer of a person, or the end of the run.
    silent: bool,
    /// The parent does not wait for it.
    background: bool,
    /// The call before it in its session.
    previous: Option<usize>,
}

impl Scope<'_> {
    /// The position of the call with this id; reports where there is none.
    fn position(&self, id: &At<String>, load: &mut Load<'_>) -> Option<usize> {
        let found = self.positions.get(&id.value).copied();
        if found.is_none() {
            let fault =
                Diagnostic::error(code::UNKNOWN_CALL, id.at, format!("there is no call `{}`", id.value));
            let help = super::suggest::did_you_mean(&id.value, self.known.calls())
                .unwrap_or_else(|| format!("the calls are {}", super::suggest::choices(self.known.calls())));
            load.fault(fault.help(help));
        }
        found
    }
}

/// Checks a plan. `None` only where nothing more could be said.
pub(super) fn plan(load: &mut Load<'_>, mut file: PlanFile, place: &Place) -> Option<Checked> {
    top::refuse_future(&file, load);
    let merged = include::merge(load, &mut file, place);
    let places = places::of(&file, &merged);
    let vars = vars::resolve(load, merged.vars, place);
    let providers = providers::all(load, merged.providers);
    let mcp = mcp::all(load, merged.mcp);

    let calls = file.calls.take().map(|calls| *calls).map_or_else(Vec::new, |calls| {
        if calls.value.0.is_empty() {
            let fault = Diagnostic::error(code::MISSING_KEY, calls.key, "the plan has no calls");
            load.fault(fault.help("add one: `hello: { prompt: Say hello. }`"));
        }
        calls.value.0
    });
    let calls = with_defaults(load, calls, file.defaults.take().map(|defaults| defaults.value));
    let mut known = Known::new();
    vars.iter().for_each(|var| known.add_var(&var.name));
    let mut positions = HashMap::with_capacity(calls.len());
    let mut traits: Vec<Traits> = Vec::with_capacity(calls.len());
    let mut sessions = session::Sessions::default();
    for (id, call) in &calls {
        if !positions.contains_key(&id.value) {
            positions.insert(id.value.clone(), positions.len());
            let expanded = call.as_ref().is_some_and(expand::is_expanded);
            let silent = call.as_ref().is_some_and(|call| call.wrote("stop") || call.wrote("ask"));
            let background = call
                .as_ref()
                .and_then(|call| call.background.as_ref())
                .is_some_and(|background| background.value);
            let previous = call.as_ref().and_then(|call| sessions.join(call, traits.len()));
            traits.push(Traits { expanded, silent, background, previous });
            known.add_call(&id.value, if expanded { CallShape::Expanded } else { CallShape::Single });
            if call.as_ref().is_some_and(workspace::is_own) {
                known.add_workspace(&id.value);
            }
        }
    }
    let goal = file.goal.is_some();
    let scope = Scope { place, known: &known, positions: &positions, traits: &traits, goal, mcp: &mcp };
    let mut agents = agents::Agents::read(load, merged.agents, &providers, &scope);
    let (calls, edges) = check_calls(load, calls, &mut agents, &scope);
    cycle::refuse(load, &edges);
    session::check(load, &calls, calls.len() == positions.len());

    let goal = file
        .goal
        .take()
        .map(|goal| load.template(&goal.value, &Names::vars(&known), Destination::Raw, &mut Vec::new()));
    let reconcile = reconcile::last(load, file.reconcile.take(), &edges, &agents, &scope);
    let parent = parent::of(load, file.parent.take(), (&calls, &reconcile), &mut agents);
    let fail_on = file.fail_on.take().map(|text| {
        let mut names = Names::call(&known);
        names.also.push(Also::Reconcile);
        load.expression(&text.value, &names, &mut Vec::new())
    });
    let require = top::require(load, file.require.take(), &scope);
    let limits = top::limits(load, file.limits.take());
    let stem =
        place.file.file_stem().map_or_else(|| "plan".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let agents = agents.into_named(load);
    let plan = Plan {
        name: file.name.take().map_or(stem, |name| name.value),
        description: file.description.take().map(|text| text.value),
        goal,
        file: place.file.clone(),
        dir: place.dir.clone(),
        vars: vars.iter().map(|var| (var.name.clone(), var.value.clone())).collect(),
        given_vars: vars
            .iter()
            .filter(|var| var.given)
            .map(|var| (var.name.clone(), var.value.clone()))
            .collect(),
        providers,
        agents,
        mcp,
        parent,
        limits,
        calls,
        reconcile,
        require,
        fail_on,
        report: top::report(file.report.take()),
        notify: notify::read(load, file.notify.take()),
        places,
    };
    Some(Checked { plan: Arc::new(plan), vars })
}

type NamedCall = (At<String>, Option<CallFile>);

/// Gives every call the keys of `defaults` that it does not have itself.
fn with_defaults(
    load: &mut Load<'_>,
    mut calls: Vec<NamedCall>,
    defaults: Option<CallFile>,
) -> Vec<NamedCall> {
    let Some(mut defaults) = defaults else { return calls };
    call::refuse_in_defaults(load, &mut defaults);
    for call in calls.iter_mut().filter_map(|(_, call)| call.as_mut()) {
        call::merge_parts(call, &defaults);
        call.fill(&defaults);
    }
    calls
}

/// Checks every call, in order. Those of an id that stands twice are checked too, but only the first is kept.
fn check_calls(
    load: &mut Load<'_>,
    files: Vec<NamedCall>,
    agents: &mut agents::Agents<'_>,
    scope: &Scope<'_>,
) -> (Vec<Call>, Edges) {
    let mut calls = Vec::with_capacity(files.len());
    let mut edges = Edges::new(scope.positions.len());
    for (name, file) in files {
        let id = match CallId::parse(&name.value) {
            Ok(id) => Some(id),
            Err(error) => {
                load.fault(Diagnostic::error(code::INVALID_ID, name.at, error.to_string()));
                None
            }
        };
        let Some(file) = file else { continue };
        let position = scope.positions.get(&name.value).copied();
        let checked = call::check(load, file, &name, id, agents, scope);
        if let Some(position) = position {
            edges.set(position, &name, &checked.needs);
        }
        calls.extend(checked.call);
    }
    (calls, edges)
}

/// True for a number that must be at least one; reports where it is zero.
fn at_least_one(load: &mut Load<'_>, number: u32, at: Span, key: &str) -> u32 {
    if number == 0 {
        let message = format!("`{key}` must be at least 1");
        load.fault(Diagnostic::error(code::OUT_OF_RANGE, at, message));
    }
    number.max(1)
}
