//! `fanout run`: build the world, run, show, exit. A resume differs in the journal alone.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;

use super::args::{How, Output, Run};
use super::ask::Person;
use super::kept::Kept;
use super::load::{self, Loading, Ready};
use super::terminal::Terminal;
use super::{
    Complaint, confined, detach, earlier, exit, kill_at, limit, open_files, past, replay, report, secrets,
    select, signals, threads, told,
};
use crate::agent::{Agents, Surroundings};
use crate::event::{Event, FORMAT, PlannedCall, RunStarted};
use crate::graph::CallGraph;
use crate::id::{CallId, RunId};
use crate::journal::cache::Cache;
use crate::journal::{self, Journal, JournalError, Listener, Options, Past, Took};
use crate::limits::history::History;
use crate::limits::places::Places;
use crate::model::{Client, Keys, Settings};
use crate::notify;
use crate::plan::{Action, OnInterrupt, Plan};
use crate::process::{self, Reaper};
use crate::report::fold::RunView;
use crate::report::folding::Folding;
use crate::report::live::{self, End, Handle, Target};
use crate::report::redact::Redactor;
use crate::report::style::Style;
use crate::run::stop::Stop;
use crate::run::{Finished, Races, RunError, World};
use crate::sandbox::Sandbox;
use crate::tool::Servers;
use crate::workspace::Workspaces;

/// `fanout run`.
///
/// # Errors
/// [`Complaint`] when nothing was started, or the journal failed.
pub fn run(options: Run, terminal: &Terminal) -> Result<u8, Complaint> {
    if let Some(recorded) = &options.replay {
        return replay::replay(&options, recorded, terminal);
    }
    if options.detach && !detach::is_detached() {
        return detach::start(&options.plan, terminal);
    }
    if options.detach {
        detach::leave_session();
    }
    let mut ready = load::load(&options.plan, terminal, Loading::Text, options.strict)?;
    if let Some(places) = options.concurrency {
        Arc::make_mut(&mut ready.plan).limits.concurrency = places.max(1);
    }
    limit::apply(Arc::make_mut(&mut ready.plan), &options.how.limit)?;
    let only = select::selection(&ready.plan, &ready.graph, &options.only)?;
    let answers = answers(&ready.plan, &options.how, terminal)?;
    let calls = &ready.plan.calls;
    let mut kept = ready.kept.clone();
    kept.started.concurrency = options.concurrency;
    kept.started.limits.clone_from(&options.how.limit);
    kept.started.only = only.as_ref().map(|only| {
        calls.iter().filter(|call| only.contains(&call.id)).map(|call| call.id.to_string()).collect()
    });
    let start = |listeners: Listeners, redactor: &Redactor| {
        let kept = (&kept, redactor);
        begin(options.detach, &ready, options.plan.named(), kept, listeners)
    };
    go(&ready, start, Doing { earlier: None, only: only.clone(), answers, how: &options.how }, terminal)
}

/// Begins a run's journal; in the background, what is written goes to the run's folder from then on.
///
/// # Errors
/// [`JournalError`] when it cannot be written.
pub fn begin(
    detached: bool,
    ready: &Ready,
    named: &Path,
    (kept, redactor): (&Kept, &Redactor),
    listeners: Listeners,
) -> Result<Journal, JournalError> {
    let head = |run: &RunId| head(run, &ready.plan, &ready.graph, named);
    let snapshots = kept.snapshots().into_iter().chain(secrets::snapshot(redactor)).collect();
    let options = Options { snapshots, storage: kill_at::storage(), ..Options::default() };
    let root = root();
    if !detached {
        return Journal::create(&root, head, listeners, options);
    }
    let mut streams = None;
    let redirect = |run: &RunId| {
        streams = Some(detach::Streams::redirect(&journal::folder(&root).join(run.as_str())));
        head(run)
    };
    let journal = Journal::create(&root, redirect, listeners, options);
    match (&journal, streams) {
        (Ok(journal), Some(streams)) => streams.begun(journal.run().as_str(), journal.dir()),
        (Err(_), Some(streams)) => streams.restore(),
        (_, None) => {}
    }
    journal
}

/// Where `.fanout` is: the folder that the person works in, unless `FANOUT_DIR` names another.
pub fn root() -> PathBuf {
    std::env::var_os("FANOUT_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from)
}

/// Who hears of a run's records.
pub type Listeners = Vec<Listener>;

/// What to do with a plan, and how.
#[derive(Debug)]
pub struct Doing<'a> {
    /// What there is already; `None` for a run that begins.
    pub earlier: Option<&'a Past>,
    /// The calls that may start; `None` for all.
    pub only: Option<HashSet<CallId>>,
    /// Answers given beforehand.
    pub answers: HashMap<String, String>,
    /// How to show it.
    pub how: &'a How,
}

/// Runs a plan on the journal that `start` opens, shows it, and says how it ended.
///
/// # Errors
/// [`Complaint`] when nothing was started, or the journal failed.
pub fn go(
    ready: &Ready,
    start: impl FnOnce(Listeners, &Redactor) -> Result<Journal, JournalError>,
    Doing { earlier, only, answers, how }: Doing<'_>,
    terminal: &Terminal,
) -> Result<u8, Complaint> {
    let room = open_files::room(&ready.plan, process::raise_open_files());
    let runtime = threads::of(&ready.plan).map_err(no_thread)?;
    if !how.quiet {
        terminal.err(&super::doctor::proxies(&ready.plan));
    }
    let (listener, display) = display(how, terminal, || journal::took(&root(), &path_of(&ready.plan.file)));
    let display = Arc::new(Mutex::new(display));
    let listener = Box::new(listener) as Listener;
    let redactor = secrets::of_plan(&ready.plan, earlier.map(|earlier| earlier.dir.as_path()));
    let before = earlier.map_or(&[][..], |earlier| earlier.records.as_slice());
    let (view, folded) = Folding::start(before.to_vec(), redactor.clone()).map_err(no_thread)?;
    let (heard, inbox) = notify::listen(&ready.plan.notify, before);
    let listeners = vec![folded, listener, heard];
    #[cfg(feature = "otel")]
    let (telemetry, listeners) = super::telemetry::start(before, &redactor, terminal, listeners);
    let listeners = vec![secrets::redacted(&redactor, listeners)];
    if let Some(earlier) = earlier {
        show_earlier(earlier, &display, terminal);
    }
    let outcome = runtime.block_on(async {
        let sandbox = confined::of(&ready.plan, how).await?;
        let journal = start(listeners, &redactor).map_err(|error| journal_complaint(&error))?;
        let run = journal.run().clone();
        let journal = Arc::new(journal);
        if let Some(earlier) = earlier {
            // What a killed process left behind must not work beside its own repeat.
            process::kill_marked(&(process::RUN_ID.to_owned(), run.to_string()));
            for folder in crate::sandbox::left_over() {
                // `fanout gc` tries again, and says so.
                let _ = std::fs::remove_dir_all(folder);
            }
            if let Some(message) = earlier::possibly_billed(earlier, &ready.plan) {
                journal.note(Event::Warned { code: "possibly_billed".to_owned(), message });
            }
        }
        if let Some(message) = confined::warning(&ready.plan, &sandbox) {
            journal.note(Event::Warned { code: "no_sandbox".to_owned(), message });
        }
        if let Some(message) = room.warning {
            journal.note(Event::Warned { code: "open_files".to_owned(), message });
        }
        // Without either, a killed fanout can leave processes behind; nothing else changes.
        let _ = process::become_subreaper();
        let reaper = std::env::current_exe().ok().map(|exe| Reaper::when_needed(&exe));
        let world = Arc::new(World {
            resumed: earlier.is_some(),
            rehearsal: false,
            replay: None,
            cache: (!how.no_cache).then(|| Cache::at(&root())),
            servers: servers(),
            agents: agents(&ready.plan, &run, reaper.clone(), sandbox.clone()),
            sandbox,
            places: Places::new(room.at_once, ready.plan.limits.calls)
                .with_made(earlier.map_or(0, earlier::made)),
            ledger: Arc::default(),
            history: earlier.map_or_else(History::default, |past| {
                History::of(past.records.iter().map(|record| &record.event))
            }),
            stop: Stop::default(),
            asker: can_ask(how, terminal)
                .then(|| Arc::new(Person::new(Arc::clone(&display), terminal.err_style())) as _),
            answers,
            only,
            environment: Arc::new(load::environment()),
            races: Races::default(),
            workspaces: Workspaces::new(journal.dir(), run.as_str(), reaper.clone()),
            reaper,
            census: Mutex::default(),
            journal,
        });
        let around = told::surroundings(ready, &world, &display, terminal);
        let tell = |_| {
            let say = || terminal.err("stopping what runs; again to kill it at once\n");
            // While a question is on the screen, the display has made room already.
            match display.try_lock() {
                Ok(display) => display.suspend(say),
                Err(_) => say(),
            }
        };
        // Among the runtime's own threads, where its connections are: an answer wakes no other thread.
        let mut work = JoinSet::new();
        work.spawn(crate::run::run(Arc::clone(&ready.plan), Arc::clone(&world)));
        let told = async {
            let post = notify::post(&ready.plan.notify, &around, inbox);
            tokio::pin!(post);
            let mut told = false;
            let ended = loop {
                tokio::select! {
                    biased;
                    Some(ended) = work.join_next() => match ended {
                        Ok(ended) => break ended,
                        Err(error) => match error.try_into_panic() {
                            Ok(panic) => std::panic::resume_unwind(panic),
                            // Nobody else aborts it.
                            Err(_) => std::future::pending().await,
                        },
                    },
                    () = &mut post, if !told => told = true,
                }
            };
            // After its end there is a last notice, which is not waited for without a bound.
            if ended.is_ok() && !told {
                post.await;
            }
            ended
        };
        let ended = tokio::select! {
            biased;
            ended = told => Ended::Run(ended),
            again = signals::watch(&world, tell) => Ended::Killed(again.unwrap_or(2)),
        };
        // What did not come to its end is dropped now, with all that it started.
        work.shutdown().await;
        let closed = world.journal.close().await;
        Ok::<_, Complaint>((run, ended, closed))
    });
    process::sweep_at_exit();
    // A question that nobody answered still reads from the terminal; it ends with the process.
    runtime.shutdown_background();
    let shown = finish_display(display);
    #[cfg(feature = "otel")]
    super::telemetry::finish(telemetry, terminal);
    let (run, ended, closed) = outcome?;
    let ended = match ended {
        Ended::Run(Ok(finished)) => closed.map(|()| finished).map_err(RunError::from),
        Ended::Run(Err(error)) => Err(error),
        Ended::Killed(signal) => {
            terminal.err(&hint(&run));
            return Ok(128 + u8::try_from(signal).unwrap_or(2));
        }
    };
    let finished = match ended {
        Ok(finished) => finished,
        Err(RunError::Goal(message)) => {
            return Err(Complaint::usage(format!("the plan's `goal`: {message}")));
        }
        Err(RunError::Journal(error)) => return Err(journal_complaint(&error)),
    };
    let view =
        view.finish().ok_or_else(|| Complaint { code: exit::BUG, message: "the view broke".to_owned() })?;
    if !how.json {
        terminal.out(&rendered(&view, how, terminal)).map_err(|error| Complaint::output(&error))?;
    }
    let reported = report::write_all(&ready.plan, &view, terminal);
    let code = end(&finished, &run, terminal);
    match shown {
        // Someone counts on those events or that file; a success without them would be a false one.
        Err(error) if how.json && code == 0 => Err(Complaint::output(&error)),
        Ok(()) | Err(_) if code == 0 && !reported => Ok(exit::STORAGE),
        Ok(()) | Err(_) => Ok(code),
    }
}

/// The system gives no more threads.
pub(super) fn no_thread(error: std::io::Error) -> Complaint {
    Complaint { code: exit::BUG, message: format!("cannot start: {error}") }
}

/// A resumed run looks like one run: what was before is part of what is shown.
fn show_earlier(earlier: &Past, display: &Mutex<Handle>, terminal: &Terminal) {
    if let Some(notice) = &earlier.notice {
        terminal.err(&format!("note: {notice}\n"));
    }
    if let Ok(display) = display.lock() {
        display.remember(&earlier.records);
    }
}

/// A run's result, as the person wants to see it.
pub fn rendered(view: &RunView, how: &How, terminal: &Terminal) -> String {
    match how.output {
        Output::Text if how.quiet => past::plain_result(view, terminal),
        Output::Text | Output::Json | Output::Yaml | Output::Markdown => {
            past::result(view, how.output, terminal)
        }
    }
}

/// How tool servers are started: with keys from this process's environment.
pub fn servers() -> Servers {
    let environment = load::environment();
    Servers::new(move |name| environment.get(name).cloned())
}

/// Who answers the prompts of a plan.
pub fn agents(plan: &Plan, run: &RunId, reaper: Option<Reaper>, sandbox: Sandbox) -> Agents {
    let environment = load::environment();
    let keys = Keys::of(secrets::providers(plan), |name| environment.get(name).cloned());
    let surroundings = Surroundings { run_id: run.to_string(), reaper, sandbox, ..Surroundings::default() };
    Agents::new(Client::new(keys, Settings::default()), surroundings)
}

enum Ended {
    Run(Result<Finished, RunError>),
    Killed(i32),
}

fn end(finished: &Finished, run: &RunId, terminal: &Terminal) -> u8 {
    let code = finished.verdict.exit_code();
    if code == 5 || code >= 128 {
        terminal.err(&hint(run));
    }
    code
}

fn hint(run: &RunId) -> String {
    format!("what was done is kept; go on with: fanout resume {run}\n")
}

/// Who shows the run while it goes on.
pub fn display(how: &How, terminal: &Terminal, took: impl FnOnce() -> Took) -> (live::Listener, Handle) {
    // What goes to a log is no terminal, whatever standard error still is.
    let logged = detach::is_detached();
    let style = Style { color: terminal.err_style().color && !logged, ..terminal.err_style() };
    live::start(if how.json {
        Target::JsonLines { to: Box::new(std::io::stdout()) }
    } else if terminal.can_redraw() && !how.quiet && !logged {
        Target::Screen { terminal: Box::new(console::Term::buffered_stderr()), style, past: took() }
    } else {
        Target::Lines { to: Box::new(std::io::stderr()), style, quiet: how.quiet }
    })
}

/// Ends the display. An error is one that matters: a closed pipe is a reader who has seen enough.
///
/// # Errors
/// As the stream gives it.
pub fn finish_display(display: Arc<Mutex<Handle>>) -> std::io::Result<()> {
    // Only a question still being asked holds it; then the process ends anyway.
    let Some(display) = Arc::into_inner(display).and_then(|display| display.into_inner().ok()) else {
        return Ok(());
    };
    match display.finish() {
        End::WriteFailed(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error),
        End::WriteFailed(_) | End::Complete | End::Stalled => Ok(()),
    }
}

/// What a journal that cannot be used means for the process.
pub fn journal_complaint(error: &JournalError) -> Complaint {
    let code = if matches!(error, JournalError::Storage(_)) { exit::STORAGE } else { exit::JOURNAL };
    // The cause is the system's own word: no space left, permission denied.
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Complaint { code, message: format!("{error}{cause}") }
}

fn can_ask(how: &How, terminal: &Terminal) -> bool {
    !how.no_input && !how.json && terminal.can_ask()
}

/// The `--answer` options, checked against the plan; every question must have someone to answer it.
///
/// # Errors
/// [`Complaint`] for an answer to nothing, and for a question without an answer.
pub fn answers(plan: &Plan, how: &How, terminal: &Terminal) -> Result<HashMap<String, String>, Complaint> {
    let mut answers = HashMap::new();
    for pair in &how.answer {
        let Some((id, answer)) = pair.split_once('=') else {
            return Err(Complaint::usage(format!("--answer {pair}: write --answer {pair}=TEXT")));
        };
        let asks = plan.calls.iter().any(|call| {
            let may_ask = call.on_interrupt == OnInterrupt::Ask || matches!(call.action, Action::Ask { .. });
            call.id.as_str() == id && may_ask
        });
        if !asks && !id.contains('.') {
            return Err(Complaint::usage(format!("--answer {pair}: the plan has no call `{id}` that asks")));
        }
        answers.insert(id.to_owned(), answer.to_owned());
    }
    if can_ask(how, terminal) {
        return Ok(answers);
    }
    let open: Vec<String> = plan
        .calls
        .iter()
        .filter(|call| matches!(&call.action, Action::Ask { default: None, .. }))
        .filter(|call| !answers.contains_key(call.id.as_str()))
        .map(|call| format!("--answer {}=TEXT", call.id))
        .collect();
    if open.is_empty() {
        return Ok(answers);
    }
    Err(Complaint::usage(format!(
        "the plan asks questions and nobody is at the terminal to answer them; give {}, or a `default:` in the plan",
        open.join(" ")
    )))
}

/// The first record of a run.
pub fn head(run: &RunId, plan: &Plan, graph: &CallGraph, named: &Path) -> RunStarted {
    let calls = plan.calls.iter().enumerate().map(|(at, call)| PlannedCall {
        id: call.id.clone(),
        description: call.description.clone(),
        kind: call.action.kind().to_owned(),
        turn: graph.turn(at),
        needs: graph.needs(at).map(|need| plan.calls[need.call].id.clone()).collect(),
        after: graph
            .needs(at)
            .filter(|need| !need.data)
            .map(|need| plan.calls[need.call].id.clone())
            .collect(),
        background: call.background,
        check: call.check.is_some(),
    });
    RunStarted {
        format: FORMAT,
        fanout: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        run: run.clone(),
        name: plan.name.clone(),
        description: plan.description.clone(),
        goal: plan.goal.as_ref().map(|goal| goal.source.to_string()),
        plan: named.display().to_string(),
        plan_path: path_of(named),
        vars: plan.given_vars.clone(),
        concurrency: plan.limits.concurrency,
        turns: u32::try_from(graph.turn_count()).unwrap_or(u32::MAX),
        calls: calls.collect(),
    }
}

/// The path by which a plan is known from whatever folder.
fn path_of(named: &Path) -> String {
    let path = std::fs::canonicalize(named).or_else(|_| std::path::absolute(named));
    path.unwrap_or_else(|_| named.to_owned()).display().to_string()
}
