//! `fanout run --replay`: a recorded run played against the plan as it is now.
//!
//! Invariant: no network, no process, no file. What the run was answered comes out of the recording;
//! everything else is computed as in any run.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};

use super::args::{PlanArgs, Run};
use super::load::{self, Loading, Ready};
use super::run::{self, Listeners, journal_complaint};
use super::terminal::Terminal;
use super::{Complaint, alone, exit, limit, past, recorded, secrets, select};
use crate::id::{CallId, RunId};
use crate::journal::{self, Journal, Recording, Took};
use crate::report::folding::Folding;
use crate::run::{Finished, Replay, RunError, World};

/// What is played.
#[derive(Debug)]
pub struct Played {
    /// The run that it was.
    pub run: RunId,
    /// Its folder, or that of the file it is kept in.
    pub dir: PathBuf,
    /// What it was answered.
    pub recording: Recording,
    /// The values that its plan was given.
    pub vars: Map<String, Value>,
    /// Where it is from, for people.
    pub source: String,
    /// How it is made anew, as a clause.
    pub remedy: String,
}

/// `fanout run PLAN --replay RUN`.
///
/// # Errors
/// [`Complaint`] when there is no such run or its plan has errors.
pub fn replay(options: &Run, named: &str, terminal: &Terminal) -> Result<u8, Complaint> {
    let played = read(named)?;
    let mut ready = ready(&options.plan, &played.vars, terminal, options.strict)?;
    if let Some(places) = options.concurrency {
        Arc::make_mut(&mut ready.plan).limits.concurrency = places.max(1);
    }
    limit::apply(Arc::make_mut(&mut ready.plan), &options.how.limit)?;
    let only = select::selection(&ready.plan, &ready.graph, &options.only)?;
    if !options.how.quiet {
        terminal.err(&format!(
            "note: answered from {}; nothing is called and nothing is written\n",
            played.source
        ));
    }
    let (listener, display) = run::display(&options.how, terminal, Took::default);
    let redactor = secrets::of_plan(&ready.plan, Some(&played.dir));
    let (view, folded) = Folding::start(Vec::new(), redactor.clone()).map_err(run::no_thread)?;
    let listeners = vec![secrets::redacted(&redactor, vec![folded, Box::new(listener)])];
    let finished = play(&ready, played, options.plan.named(), only, listeners);
    let shown = run::finish_display(Arc::new(Mutex::new(display)));
    let finished = finished?;
    if !options.how.json {
        let view = view.finish().ok_or_else(broken)?;
        terminal
            .out(&run::rendered(&view, &options.how, terminal))
            .map_err(|error| Complaint::output(&error))?;
    }
    match shown {
        Err(error) if options.how.json => Err(Complaint::output(&error)),
        Ok(()) | Err(_) => Ok(finished.verdict.exit_code()),
    }
}

/// A run by its name, or a file with recorded answers.
fn read(named: &str) -> Result<Played, Complaint> {
    let file = Path::new(named);
    if named.ends_with(recorded::ENDING) || file.is_file() {
        let recorded = recorded::Recorded::read(file)?;
        return Ok(recorded.played(file, "record it anew with `fanout test --update`"));
    }
    let dir = past::find(Some(named))?;
    let past = journal::read(&dir).map_err(|error| journal_complaint(&error))?;
    Ok(Played {
        run: past.head.run.clone(),
        recording: Recording::of(past.records.iter().map(AsRef::as_ref)),
        vars: past.head.vars.clone(),
        source: format!("run {}", past.head.run),
        remedy: "run the plan without `--replay` to have it answered".to_owned(),
        dir,
    })
}

/// The plan as it is now, with the values that the recorded run was given where the plan still has them.
///
/// # Errors
/// [`Complaint`] when it has errors.
pub fn ready(
    args: &PlanArgs,
    vars: &Map<String, Value>,
    terminal: &Terminal,
    strict: bool,
) -> Result<Ready, Complaint> {
    if vars.is_empty() || args.is_piped() {
        return load::load(args, terminal, Loading::Quiet, strict);
    }
    let known = load::look(args, terminal, Loading::Quiet, false)?;
    let vars: Map<String, Value> = vars
        .iter()
        .filter(|(name, _)| known.plan.vars.contains_key(*name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let file = vars_file(&vars)?;
    let mut files = vec![file.path().to_owned()];
    files.extend(args.vars_file.iter().cloned());
    let args = PlanArgs { plan: args.plan.clone(), vars: args.vars.clone(), vars_file: files };
    load::load(&args, terminal, Loading::Quiet, strict)
}

/// Values as a file that a plan can be given.
///
/// # Errors
/// [`Complaint`] when it cannot be written.
pub fn vars_file(vars: &Map<String, Value>) -> Result<tempfile::NamedTempFile, Complaint> {
    let write = || {
        let mut file = tempfile::Builder::new().suffix(".json").tempfile()?;
        file.write_all(Value::Object(vars.clone()).to_string().as_bytes())?;
        file.flush()?;
        Ok(file)
    };
    write().map_err(|error: std::io::Error| Complaint {
        code: exit::STORAGE,
        message: format!("cannot write to {}: {error}", std::env::temp_dir().display()),
    })
}

pub(super) fn broken() -> Complaint {
    Complaint { code: exit::BUG, message: "the view broke".to_owned() }
}

/// Plays a recording to its end.
///
/// # Errors
/// [`Complaint`] when the plan's `goal` cannot be rendered.
pub fn play(
    ready: &Ready,
    played: Played,
    named: &Path,
    only: Option<HashSet<CallId>>,
    listeners: Listeners,
) -> Result<Finished, Complaint> {
    let head = run::head(&played.run, &ready.plan, &ready.graph, named);
    let finished = alone::until(async {
        let journal = Journal::unkept(&played.dir, head, listeners).map_err(|e| journal_complaint(&e))?;
        let journal = Arc::new(journal);
        let replay = Replay::new(played.recording, &played.source, &played.remedy);
        let world = World { replay: Some(replay), only, ..alone::world(ready, Arc::clone(&journal)) };
        let finished = crate::run::run(Arc::clone(&ready.plan), Arc::new(world)).await;
        journal.close().await.map_err(|error| journal_complaint(&error))?;
        Ok(finished)
    })?;
    finished.map_err(|error| match error {
        RunError::Goal(message) => Complaint::usage(format!("the plan's `goal`: {message}")),
        RunError::Journal(error) => journal_complaint(&error),
    })
}
