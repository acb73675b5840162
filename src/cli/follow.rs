//! `fanout logs` and `fanout attach`: a run as it goes on, from its journal.
//!
//! Invariant: whoever looks on takes no lock, changes nothing, and learns of news from the
//! system, not by asking again and again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};

use super::args::{Attach, Logs};
use super::past::{find, no_such_call, result};
use super::run::journal_complaint;
use super::terminal::Terminal;
use super::{Complaint, exit, secrets};
use crate::event::{Event, Record, Subject};
use crate::id::InstanceId;
use crate::journal::{self, RunState, Tail};
use crate::report::fold::RunView;
use crate::report::live::{self, Target};
use crate::report::redact::Redactor;
use crate::report::{plain, sanitise};

/// `fanout logs`.
///
/// # Errors
/// [`Complaint`] when the run cannot be read or has no such call.
pub fn logs(options: &Logs, terminal: &Terminal) -> Result<u8, Complaint> {
    let dir = find(options.run.as_deref())?;
    let redactor = secrets::of_run(&dir);
    let mut view = RunView::default();
    let style = terminal.out_style();
    let mut known = options.call.is_none();
    let mut news = |records: &[Arc<Record>]| {
        let mut text = String::new();
        for record in records {
            let record = redactor.record(record);
            view.apply(&record);
            match &options.call {
                None => {
                    if let Some(line) = plain::line(&view, &record, &style, false) {
                        text.push_str(&line);
                        text.push('\n');
                    }
                }
                Some(call) => {
                    known |= view.calls.iter().any(|one| one.id().as_str() == call || is_of(&record, call));
                    text.push_str(&of_call(&view, &record, call, &style));
                }
            }
        }
        terminal.out(&text).map_err(|error| Complaint::output(&error))
    };
    follow(&dir, options.follow, &mut news)?;
    match &options.call {
        Some(call) if !known => {
            let ids: Vec<&str> = view.calls.iter().map(|call| call.id().as_str()).collect();
            Err(no_such_call(&ids, call))
        }
        Some(_) | None => Ok(0),
    }
}

/// True for a record of the call, or of the one instance of it that is meant.
fn is_of(record: &Record, call: &str) -> bool {
    let matches = |instance: &InstanceId| instance.call.as_str() == call || instance.to_string() == call;
    match record.event.subject() {
        Subject::Instance(instance) => matches(instance),
        Subject::Call(id) => id.as_str() == call,
        Subject::Run => false,
    }
}

/// What a record says of one call: its line, and what it wrote.
fn of_call(view: &RunView, record: &Record, call: &str, style: &crate::report::style::Style) -> String {
    if !is_of(record, call) {
        return String::new();
    }
    let mut text = plain::line(view, record, style, false).map(|line| line + "\n").unwrap_or_default();
    if let Event::CallFinished { outcome, .. } | Event::AttemptFinished { outcome, .. } = &record.event {
        for stream in [&outcome.output.text, &outcome.stderr] {
            if !stream.trim().is_empty() {
                text.push_str(sanitise::text(stream, style).trim_end());
                text.push('\n');
            }
        }
    }
    text
}

/// `fanout attach`: the live view of a run that another process is at. Ctrl-C ends the view, not the run.
///
/// # Errors
/// [`Complaint`] when the run cannot be read.
pub fn attach(options: &Attach, terminal: &Terminal) -> Result<u8, Complaint> {
    let dir = find(options.run.as_deref())?;
    let redactor = secrets::of_run(&dir);
    let past = journal::read(&dir).map_err(|error| journal_complaint(&error))?;
    if past.state != RunState::Running {
        let message = format!("{0} is not running; see: fanout show {0}", past.head.run);
        return Err(Complaint::usage(message));
    }
    let took = journal::took(&super::run::root(), &past.head.plan_path);
    drop(past);
    let style = terminal.err_style();
    let (listener, display) = live::start(if terminal.can_redraw() {
        Target::Screen { terminal: Box::new(console::Term::buffered_stderr()), style, past: took }
    } else {
        Target::Lines { to: Box::new(std::io::stderr()), style, quiet: false }
    });
    let mut view = RunView::default();
    let mut news = |records: &[Arc<Record>]| {
        for record in records {
            show(record, &redactor, &mut view, &listener);
        }
        Ok(())
    };
    let followed = follow(&dir, true, &mut news);
    display.finish();
    match followed? {
        Seen::Left => {
            terminal.err("the run goes on\n");
            Ok(0)
        }
        Seen::All => {
            let text = result(&view, options.output, terminal);
            terminal.out(&text).map_err(|error| Complaint::output(&error))?;
            Ok(view.finish.as_ref().map_or(exit::FAILED, |end| end.exit))
        }
    }
}

fn show(record: &Arc<Record>, redactor: &Redactor, view: &mut RunView, listener: &impl Fn(&Arc<Record>)) {
    let record = redactor.record(record);
    view.apply(&record);
    listener(&record);
}

/// How looking on ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    /// Everything that there was.
    All,
    /// The person left.
    Left,
}

/// What wakes up whoever looks on.
enum Woken {
    /// Something was written.
    Written,
    /// No process is at the run any more.
    Over,
    /// The person wants out.
    Left,
}

/// Who is told of records.
pub type News<'a> = &'a mut dyn FnMut(&[Arc<Record>]) -> Result<(), Complaint>;

/// Hands over what the run has recorded and, if `on` is set, what it records until it is over.
///
/// # Errors
/// [`Complaint`] when the run cannot be read or watched, and whatever `news` says.
pub fn follow(dir: &Path, on: bool, news: News<'_>) -> Result<Seen, Complaint> {
    let (tell, woken) = mpsc::channel();
    if on {
        watch(dir, &tell)?;
        // Blocks until the run is let go; ends with this process if that never happens.
        let dir = dir.to_owned();
        let over = tell.clone();
        std::thread::spawn(move || {
            let _ = journal::wait(&dir);
            let _ = over.send(Woken::Over);
        });
        leave_on_interrupt(tell);
    }
    let mut tail = Tail::of(dir);
    loop {
        news(&tail.more().map_err(|error| journal_complaint(&error))?)?;
        if !on {
            return Ok(Seen::All);
        }
        // What came while it was read is one more reading.
        let mut reasons = vec![woken.recv().unwrap_or(Woken::Over)];
        reasons.extend(woken.try_iter());
        if reasons.iter().any(|reason| matches!(reason, Woken::Left)) {
            return Ok(Seen::Left);
        }
        if reasons.iter().any(|reason| matches!(reason, Woken::Over)) {
            news(&tail.more().map_err(|error| journal_complaint(&error))?)?;
            return Ok(Seen::All);
        }
    }
}

/// Tells whenever the journal grows.
#[cfg(target_os = "linux")]
fn watch(dir: &Path, tell: &Sender<Woken>) -> Result<(), Complaint> {
    use rustix::fs::inotify;
    let journal: PathBuf = dir.join("journal.jsonl");
    let failed = |error: rustix::io::Errno| Complaint {
        code: exit::STORAGE,
        message: format!("cannot watch {}: {error}", journal.display()),
    };
    let watcher = inotify::init(inotify::CreateFlags::CLOEXEC).map_err(failed)?;
    inotify::add_watch(&watcher, &journal, inotify::WatchFlags::MODIFY).map_err(failed)?;
    let tell = tell.clone();
    std::thread::spawn(move || {
        let mut buffer = [const { std::mem::MaybeUninit::uninit() }; 4096];
        let mut reader = inotify::Reader::new(watcher, &mut buffer);
        while reader.next().is_ok() {
            if tell.send(Woken::Written).is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// Without a way to be told, news is asked for, gently.
#[cfg(not(target_os = "linux"))]
fn watch(_: &Path, tell: &Sender<Woken>) -> Result<(), Complaint> {
    let tell = tell.clone();
    std::thread::spawn(move || {
        while tell.send(Woken::Written).is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    });
    Ok(())
}

fn leave_on_interrupt(tell: Sender<Woken>) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(runtime) = runtime
            && runtime.block_on(tokio::signal::ctrl_c()).is_ok()
        {
            let _ = tell.send(Woken::Left);
        }
    });
}
