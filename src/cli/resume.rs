//! `fanout resume`: run again with memory, all of it or from where the person says.

use std::cell::LazyCell;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::args::{Output, PIPED, PlanArgs, Resume};
use super::forecast::{self, Forecast};
use super::kept::Kept;
use super::load::{self, Loading, Ready};
use super::replay::vars_file;
use super::run::{Doing, answers, go, journal_complaint};
use super::terminal::Terminal;
use super::{Complaint, kill_at, limit, past, report, secrets};
use crate::event::Event;
use crate::graph::CallGraph;
use crate::id::CallId;
use crate::journal::{self, Journal, Options, Past, Salvage};
use crate::outcome::Status;
use crate::plan::Plan;
use crate::report::fold::RunView;
use crate::report::redact::Redactor;

/// `fanout resume`.
///
/// # Errors
/// [`Complaint`] when there is no such run, nothing to resume in it, its plan has errors now,
/// or the journal failed.
pub fn resume(options: Resume, terminal: &Terminal) -> Result<u8, Complaint> {
    let dir = past::find(options.run.as_deref())?;
    let salvage = if options.salvage { Salvage::Yes } else { Salvage::No };
    let earlier = journal::read_with(&dir, salvage).map_err(|error| journal_complaint(&error))?;
    let kept = Kept::read(&dir);
    let mut ready = plan_of(&earlier, &kept, terminal)?;
    for limits in [&kept.started.limits, &options.how.limit] {
        limit::apply(Arc::make_mut(&mut ready.plan), limits)?;
    }
    let changed = kept.changed(&ready.kept, &earlier.head.plan);
    // Only for those who ask: of a long run it takes as long as all else before the first new request.
    let view = LazyCell::new(|| report::view(&earlier.records, &secrets::of_run(&dir)));
    let redo = from(&ready, &options.from)?;
    let only = only(&ready, &kept, options.only_failed.then(|| &*view))?;
    let done = earlier.finished().is_some_and(|end| end.success);
    if done && changed.is_empty() && redo.is_empty() && !options.dry_run {
        return Err(Complaint::usage(format!(
            "{} ended as a success; there is nothing to resume (`--from CALL` does a call and what \
             follows from it again)",
            earlier.head.run
        )));
    }
    // Said before anything starts, where it is not plain from the run itself.
    if options.dry_run || !changed.is_empty() || !redo.is_empty() || options.only_failed {
        let heard = forecast::rehearse(&dir, &ready, (&only, &redo), salvage)?;
        let forecast = Forecast::of(&earlier, &view, &ready, &heard, (changed, &redo));
        if options.dry_run {
            let document = matches!(options.how.output, Output::Json | Output::Yaml);
            let text = if options.how.json || document {
                past::document(&forecast.json(), options.how.output)
            } else {
                forecast.text(&terminal.out_style())
            };
            terminal.out(&text).map_err(|error| Complaint::output(&error))?;
            return Ok(0);
        }
        if !options.how.quiet {
            terminal.err(&forecast.text(&terminal.err_style()));
        }
    }
    let answers = answers(&ready.plan, &options.how, terminal)?;
    let start = |listeners, redactor: &Redactor| {
        let options = Options { salvage, storage: kill_at::storage(), ..Options::default() };
        let journal = Journal::resume_read(&earlier, listeners, options)?;
        if let Err(error) = secrets::keep(&dir, redactor) {
            let message = format!(
                "the fingerprints of secrets could not be written beside the run: {error}; without its \
                 environment, `fanout show` may not know all of them"
            );
            journal.note(Event::Warned { code: "secrets_not_kept".to_owned(), message });
        }
        if !redo.is_empty() {
            journal.forget(redo.clone());
        }
        Ok(journal)
    };
    go(&ready, start, Doing { earlier: Some(&earlier), only, answers, how: &options.how }, terminal)
}

/// The run's plan as it is on the disk now; as it was, if it is gone.
fn plan_of(earlier: &Past, kept: &Kept, terminal: &Terminal) -> Result<Ready, Complaint> {
    let head = &earlier.head;
    let path = PathBuf::from(&head.plan_path);
    // The values that the run was given, in the form in which a plan takes them.
    let vars = vars_file(&head.vars)?;
    let args = PlanArgs { plan: path, vars: Vec::new(), vars_file: vec![vars.path().to_owned()] };
    let given = load::given(&args)?;
    let mut ready = match (&kept.plan, args.plan.exists()) {
        (Some(text), false) => {
            if !args.plan.ends_with(PIPED) {
                terminal.err(&format!(
                    "note: {} is gone; going on with the plan as it was when the run began\n",
                    args.plan.display()
                ));
            }
            load::load_text(text, &args, &given, terminal)?
        }
        (Some(_) | None, _) => load::load_given(&args, &given, terminal, Loading::Quiet, false)?,
    };
    if let Some(places) = kept.started.concurrency {
        Arc::make_mut(&mut ready.plan).limits.concurrency = places.max(1);
    }
    Ok(ready)
}

/// What `--from` does again: the named calls and everything that follows from them.
fn from(ready: &Ready, names: &[String]) -> Result<Vec<CallId>, Complaint> {
    let mut positions = Vec::new();
    for name in names {
        let position = ready.plan.position(name);
        positions.push(position.ok_or_else(|| past::no_such_call(&ready.plan_ids(), name))?);
    }
    Ok(followers(&ready.plan, &ready.graph, positions))
}

/// These calls and everything that needs them, however far down, in plan order.
fn followers(plan: &Plan, graph: &CallGraph, mut open: Vec<usize>) -> Vec<CallId> {
    let mut reached = vec![false; plan.calls.len()];
    while let Some(call) = open.pop() {
        if reached.get_mut(call).is_some_and(|reached| !std::mem::replace(reached, true)) {
            open.extend(graph.dependents(call).map(|link| link.call));
        }
    }
    plan.calls.iter().zip(reached).filter(|(_, reached)| *reached).map(|(call, _)| call.id.clone()).collect()
}

/// The calls that may start: what `--only` selected when the run began, and of those under
/// `--only-failed` what failed, what follows from it, and what is done already.
fn only(
    ready: &Ready,
    kept: &Kept,
    only_failed: Option<&RunView>,
) -> Result<Option<HashSet<CallId>>, Complaint> {
    let selected: Option<HashSet<&str>> =
        kept.started.only.as_ref().map(|only| only.iter().map(String::as_str).collect());
    let was_selected = |id: &CallId| selected.as_ref().is_none_or(|only| only.contains(id.as_str()));
    let ids = || ready.plan.calls.iter().map(|call| &call.id);
    let Some(view) = only_failed else {
        return Ok(selected.is_some().then(|| ids().filter(|id| was_selected(id)).cloned().collect()));
    };
    let ended = |id: &CallId, as_one: &dyn Fn(Status) -> bool| {
        let call = view.call(id);
        call.is_some_and(|call| {
            call.each().any(|(_, instance)| instance.outcome.as_ref().is_some_and(|o| as_one(o.status)))
        })
    };
    let failed = |status: Status| match status {
        Status::Failed
        | Status::TimedOut
        | Status::Blocked
        | Status::Refused
        | Status::InvalidOutput
        | Status::OverBudget => true,
        Status::Ok | Status::Skipped | Status::Cancelled => false,
    };
    let again: Vec<usize> = (0..ready.plan.calls.len())
        .filter(|at| ready.plan.calls.get(*at).is_some_and(|call| ended(&call.id, &failed)))
        .collect();
    if again.is_empty() {
        return Err(Complaint::usage("`--only-failed`: no call of the run failed"));
    }
    let mut wanted: HashSet<CallId> = followers(&ready.plan, &ready.graph, again).into_iter().collect();
    wanted.extend(ids().filter(|id| ended(id, &|status| status == Status::Ok)).cloned());
    wanted.retain(|id| was_selected(id));
    Ok(Some(wanted))
}
