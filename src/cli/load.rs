//! Reads a plan for a subcommand and shows everything that is wrong with it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::args::PlanArgs;
use super::diagnostics;
use super::kept::Kept;
use super::terminal::Terminal;
use super::{Complaint, estimate};
use crate::graph::lint::{LintContext, lint};
use crate::graph::{CallGraph, Expansion, Range};
use crate::limits::price;
use crate::plan::diagnostic::{Diagnostic, Severity, Sources};
use crate::plan::workspace::Base;
use crate::plan::{Environment, Given, Loaded, Plan, SettingsFault};
use crate::reconcile;
use crate::workspace;

/// How findings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loading {
    /// All of them, drawn, on standard error.
    Text,
    /// All of them as one JSON array on standard output.
    Json,
    /// Errors only.
    Quiet,
}

/// A plan that may be run.
#[derive(Debug)]
pub struct Ready {
    /// The plan.
    pub plan: Arc<Plan>,
    /// Its graph.
    pub graph: CallGraph,
    /// How many warnings there were.
    pub warnings: usize,
    /// What a run keeps of it.
    pub kept: Kept,
}

impl Ready {
    /// The ids of its calls, in plan order.
    pub fn plan_ids(&self) -> Vec<&str> {
        self.plan.calls.iter().map(|call| call.id.as_str()).collect()
    }
}

/// Loads and checks a plan; prints what is wrong with it.
///
/// # Errors
/// [`Complaint`] with exit status 2 when it has errors, or warnings under `strict`.
pub fn load(args: &PlanArgs, terminal: &Terminal, how: Loading, strict: bool) -> Result<Ready, Complaint> {
    let given = given(args)?;
    load_given(args, &given, terminal, how, strict)
}

/// As [`load`] for a plan that is only looked at: a required var may be missing.
///
/// # Errors
/// As [`load`].
pub fn look(args: &PlanArgs, terminal: &Terminal, how: Loading, strict: bool) -> Result<Ready, Complaint> {
    let given = Given { vars_may_be_missing: true, ..given(args)? };
    load_given(args, &given, terminal, how, strict)
}

/// As [`load`], with values that are known already.
///
/// # Errors
/// As [`load`].
pub fn load_given(
    args: &PlanArgs,
    given: &Given,
    terminal: &Terminal,
    how: Loading,
    strict: bool,
) -> Result<Ready, Complaint> {
    let loaded = if args.is_piped() {
        let text = std::io::read_to_string(std::io::stdin().lock());
        let text = text.map_err(|error| Complaint::usage(format!("standard input is no plan: {error}")))?;
        crate::plan::load_text(&text, args.named(), given)
    } else {
        crate::plan::load(&args.plan, given)
    };
    check(loaded, args, terminal, how, strict)
}

/// As [`load_given`], quietly, for a text that is in memory; the file that it is named after need not
/// be there.
///
/// # Errors
/// As [`load`].
pub fn load_text(
    text: &str,
    args: &PlanArgs,
    given: &Given,
    terminal: &Terminal,
) -> Result<Ready, Complaint> {
    check(crate::plan::load_text(text, &args.plan, given), args, terminal, Loading::Quiet, false)
}

fn check(
    loaded: Loaded,
    args: &PlanArgs,
    terminal: &Terminal,
    how: Loading,
    strict: bool,
) -> Result<Ready, Complaint> {
    let mut found = loaded.diagnostics;
    let ready = loaded.plan.map(|plan| {
        let graph = CallGraph::of(&plan);
        let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
        found.extend(lint(&plan, &graph, &LintContext { ci }));
        found.extend(estimate::unpriced(&plan));
        (Arc::new(plan), graph)
    });
    let errors = found.iter().filter(|d| d.severity == Severity::Error).count();
    let warnings = found.len() - errors;
    show(&found, &loaded.sources, terminal, how)?;
    match ready {
        Some((plan, graph)) if errors == 0 && (warnings == 0 || !strict) => {
            Ok(Ready { plan, graph, warnings, kept: Kept::of(&loaded.sources, &args.vars_file) })
        }
        _ if how == Loading::Json => Err(Complaint::usage("")),
        _ => Err(Complaint::usage(verdict(args.named(), errors, warnings))),
    }
}

fn verdict(file: &Path, errors: usize, warnings: usize) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let found = match (errors, warnings) {
        (0, warnings) => format!("{}, and `--strict` makes them count", count(warnings, "warning")),
        (errors, 0) => count(errors, "error"),
        (errors, warnings) => format!("{} and {}", count(errors, "error"), count(warnings, "warning")),
    };
    format!("{} has {found}; nothing was started", file.display())
}

fn show(found: &[Diagnostic], sources: &Sources, terminal: &Terminal, how: Loading) -> Result<(), Complaint> {
    match how {
        Loading::Json => {
            let array: serde_json::Value = found.iter().map(|d| diagnostics::to_json(d, sources)).collect();
            terminal.out(&format!("{array:#}\n")).map_err(|error| Complaint::output(&error))
        }
        Loading::Text => {
            terminal.err(&diagnostics::render(found, sources, terminal.err_style().color));
            Ok(())
        }
        Loading::Quiet => {
            let errors: Vec<Diagnostic> =
                found.iter().filter(|d| d.severity == Severity::Error).cloned().collect();
            terminal.err(&diagnostics::render(&errors, sources, terminal.err_style().color));
            Ok(())
        }
    }
}

/// What the command line and the environment give a plan.
///
/// # Errors
/// [`Complaint`] for a `--var` without `=` or a vars file that cannot be read.
pub fn given(args: &PlanArgs) -> Result<Given, Complaint> {
    let mut vars = Vec::new();
    for pair in &args.vars {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(Complaint::usage(format!("--var {pair}: write --var {pair}=VALUE")));
        };
        vars.push((name.to_owned(), value.to_owned()));
    }
    let environment = Environment { vars: environment() };
    Ok(Given {
        vars,
        vars_files: args.vars_file.clone(),
        environment,
        settings_check: Some(check_settings),
        workspace_check: Some(check_workspace),
        ..Given::default()
    })
}

/// Asks those who reconcile what they think of a step's settings, so that a plan's faults come in one go.
fn check_settings(
    strategy: &str,
    settings: &serde_json::Map<String, serde_json::Value>,
) -> Result<(), SettingsFault> {
    reconcile::check_settings(strategy, settings).map_err(|error| SettingsFault {
        key: error.key,
        message: error.message,
        help: error.help,
    })
}

/// Asks those who make workspaces whether they can.
fn check_workspace(folder: &Path, base: &Base) -> Result<(), SettingsFault> {
    let fault =
        |message: String, help: &str| SettingsFault { key: String::new(), message, help: help.to_owned() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| fault(error.to_string(), "free some memory or threads"))?;
    runtime.block_on(workspace::survey(folder, base)).map_err(|error| fault(error.to_string(), error.help()))
}

/// The process's environment, as far as it is text.
pub fn environment() -> HashMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// What a plan can come to; nothing for one without prompts.
fn leads_to(ready: &Ready) -> String {
    let made = Expansion::of(&ready.plan, &ready.graph).total;
    let estimate = estimate::of(&ready.plan, &ready.graph);
    if estimate.requests == Range::exactly(0) {
        return String::new();
    }
    format!(
        "it makes {made} calls (`limits.calls` allows {}), {} model requests, {} tokens; cost {} (prices: {})\n",
        ready.plan.limits.calls,
        estimate.requests,
        estimate.shown_tokens(),
        estimate.shown_cost(),
        price::SOURCE,
    )
}

/// What `fanout validate` says of a plan that is right.
pub fn summary(ready: &Ready) -> String {
    let calls = ready.plan.calls.len();
    let turns = ready.graph.turn_count();
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    format!(
        "{}: {calls} call{} in {turns} turn{}, no errors\n{}",
        ready.plan.file.display(),
        plural(calls),
        plural(turns),
        leads_to(ready),
    )
}
