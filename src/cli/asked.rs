//! A step over a finished run that has to ask: the parent's model, a program, an expression of the plan.
//!
//! Invariants: no call of the plan is made again, only the parent's own step works; the run is not
//! touched, and what is asked is written down only until the result is there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::args::{PIPED, PlanArgs, Reconcile};
use super::kept::Kept;
use super::load::{self, Ready};
use super::replay::vars_file;
use super::run::{self, journal_complaint};
use super::terminal::Terminal;
use super::{Complaint, alone, exit, secrets, signals};
use crate::id::RunId;
use crate::journal::{Journal, Options, Past};
use crate::outcome::{Cause, Usage};
use crate::plan::{AgentKind, Plan};
use crate::process;
use crate::reconcile::asked::Inquiry;
use crate::reconcile::{Answer, Inputs, Needs, Reconciled};
use crate::run::{RunError, World};
use crate::unit::{Tokens, Usd};
use crate::workspace::Workspaces;

/// Keys of a plan that say what happens to a whole run; a step over a finished one has no use for them.
const OF_A_RUN: [&str; 4] = ["report", "notify", "require", "fail_on"];

/// What a forecast ends with.
pub const NOTHING_DONE: &str = "no call of the run is made again; nothing was done\n";

/// The run's plan with this step as its last one.
///
/// # Errors
/// [`Complaint`] when the plan was not kept, or the step does not go with it.
pub fn plan_with(
    past: &Past,
    step: Map<String, Value>,
    options: &Reconcile,
    terminal: &Terminal,
) -> Result<Ready, Complaint> {
    let kept = Kept::read(&past.dir).plan.filter(|text| !text.trim().is_empty());
    let text = kept.ok_or_else(|| {
        Complaint::usage(format!(
            "{} kept no plan, and this step needs one to know whom to ask",
            past.head.run
        ))
    })?;
    let read: Value = serde_yaml::from_str(&text)
        .map_err(|error| Complaint::usage(format!("the plan of {}: {error}", past.head.run)))?;
    let Value::Object(mut plan) = read else {
        return Err(Complaint::usage(format!("the plan of {} is no map", past.head.run)));
    };
    OF_A_RUN.iter().for_each(|key| drop(plan.remove(*key)));
    plan.insert("reconcile".to_owned(), Value::Object(step));
    if let Some(model) = &options.parent {
        plan.insert("parent".to_owned(), json!({ "model": model }));
    }
    let text = serde_yaml::to_string(&plan)
        .map_err(|error| Complaint { code: exit::BUG, message: error.to_string() })?;
    let vars = vars_file(&past.head.vars)?;
    let named = PathBuf::from(&past.head.plan_path);
    // The step is no part of the file that the plan came from.
    let path = if named.ends_with(PIPED) { named } else { named.with_file_name("(the step and its plan)") };
    let args = PlanArgs { plan: path, vars: Vec::new(), vars_file: vec![vars.path().to_owned()] };
    load::load_text(&text, &args, &load::given(&args)?, terminal)
}

/// True where the run's plan says who reasons for the parent.
pub fn names_parent(past: &Past) -> bool {
    let plan = Kept::read(&past.dir).plan.and_then(|text| serde_yaml::from_str::<Value>(&text).ok());
    plan.is_some_and(|plan| plan.get("parent").is_some())
}

/// Who is asked for the parent.
pub fn whom(plan: &Plan) -> String {
    match plan.parent.as_ref().map(|parent| &parent.kind) {
        Some(AgentKind::Model(model)) => {
            model.models.iter().map(ToString::to_string).collect::<Vec<_>>().join(", else ")
        }
        Some(AgentKind::Command(command)) => command.argv.first().cloned().unwrap_or_default(),
        None => "nobody".to_owned(),
    }
}

/// What `--dry-run` says.
pub fn forecast(plan: &Plan, needs: &Needs, inquiry: Option<&Inquiry>) -> String {
    let mut lines = Vec::new();
    if needs.model {
        let whom = whom(plan);
        lines.push(match inquiry.and_then(Inquiry::question) {
            Some(question) => format!(
                "would ask {whom} to {}: about {} tokens in the first question",
                question.purpose,
                Tokens(question.prompt.len().div_ceil(4) as u64)
            ),
            None => format!("would ask {whom} where something stays open"),
        });
    }
    if needs.program {
        lines.push("would run the step's program".to_owned());
    }
    if needs.expression.is_some() {
        lines.push("would evaluate an expression for every answer".to_owned());
    }
    format!("{}\n{NOTHING_DONE}", lines.join("\n"))
}

/// Does the step; `ended` is how every instance of the run ended.
///
/// # Errors
/// [`Complaint`] when it cannot be begun, and when it comes to no result.
pub fn take(
    ready: &Ready,
    inputs: Inputs,
    ended: Vec<Answer>,
    terminal: &Terminal,
) -> Result<Reconciled, Complaint> {
    let failed = |message: String| Complaint { code: exit::BUG, message };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(format!("cannot start: {error}")))?;
    let root =
        tempfile::tempdir().map_err(|error| Complaint { code: exit::STORAGE, message: error.to_string() })?;
    let done = runtime.block_on(asked(ready, inputs, ended, root.path(), terminal));
    process::sweep_at_exit();
    runtime.shutdown_background();
    match done? {
        Ok((result, usage)) => {
            terminal.err(&spent(&whom(&ready.plan), &usage));
            Ok(result)
        }
        Err(cause) => {
            let code = if cause.code == "conflict" { super::reconcile::CONFLICT } else { exit::FAILED };
            Err(Complaint { code, message: cause.message })
        }
    }
}

async fn asked(
    ready: &Ready,
    inputs: Inputs,
    ended: Vec<Answer>,
    root: &Path,
    terminal: &Terminal,
) -> Result<Result<(Reconciled, Usage), Cause>, Complaint> {
    let plan = &ready.plan;
    let head = |run: &RunId| run::head(run, plan, &ready.graph, &plan.file);
    let listeners = vec![secrets::redacted(&secrets::of_plan(plan, None), Vec::new())];
    let journal = Journal::create(root, head, listeners, Options::default());
    let journal = Arc::new(journal.map_err(|error| journal_complaint(&error))?);
    let workspaces = Workspaces::new(journal.dir(), journal.run().as_str(), None);
    let world = Arc::new(World { workspaces, ..alone::world(ready, journal) });
    let step = crate::run::last_step(Arc::clone(plan), Arc::clone(&world), inputs.answers, ended);
    let done = tokio::select! {
        biased;
        done = step => done,
        again = signals::watch(&world, |_| terminal.err("stopping\n")) => {
            return Err(Complaint { code: 128 + u8::try_from(again.unwrap_or(2)).unwrap_or(2), message: "stopped".to_owned() });
        }
    };
    let _ = world.journal.close().await;
    done.map_err(|error| match error {
        RunError::Goal(message) => Complaint::usage(format!("the plan's `goal`: {message}")),
        RunError::Journal(error) => journal_complaint(&error),
    })
}

/// What the answers took.
fn spent(whom: &str, usage: &Usage) -> String {
    if usage.requests == 0 {
        return String::new();
    }
    let cost = usage.cost.filter(|cost| *cost > Usd(0)).map(|cost| format!(", {cost}")).unwrap_or_default();
    format!("asked {whom}: {} tokens in, {} out{cost}\n", usage.input, usage.output)
}
