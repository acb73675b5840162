//! `fanout wait` and `fanout stop`: runs that another process is at.
//!
//! Invariant: nothing here polls, and nothing is sent to a process that is not at the run.

use std::path::Path;

use super::args::{Stop, Wait};
use super::list::Word;
use super::past::find;
use super::run::journal_complaint;
use super::terminal::Terminal;
use super::{Complaint, exit};
use crate::journal::{self, Holder};
use crate::report::sanitise;

/// `fanout wait`: the exit status is the run's own.
///
/// # Errors
/// [`Complaint`] when there is no such run, or it was cut off and so has no exit status.
pub fn wait(options: &Wait, terminal: &Terminal) -> Result<u8, Complaint> {
    let dir = find(options.run.as_deref())?;
    journal::wait(&dir).map_err(|error| journal_complaint(&error))?;
    ended(&dir, options.quiet, terminal)
}

/// Says how a run ended that nobody is at.
fn ended(dir: &Path, quiet: bool, terminal: &Terminal) -> Result<u8, Complaint> {
    let past = journal::read(dir).map_err(|error| journal_complaint(&error))?;
    let run = &past.head.run;
    let Some(end) = past.finished() else {
        let message = format!("{run} was cut off before its end; go on with: fanout resume {run}");
        return Err(Complaint { code: exit::FAILED, message });
    };
    if !quiet {
        let style = terminal.err_style();
        let word = if end.success { Word::Ok.as_str() } else { "failed" };
        let why = match end.reasons.is_empty() {
            true => String::new(),
            false => format!(": {}", sanitise::line(&end.reasons.join("; "), &style)),
        };
        terminal.err(&format!("{run} {word}, exit status {}{why}\n", end.exit));
    }
    Ok(end.exit)
}

/// `fanout stop`: asks the process to end, as Ctrl-C does, and waits until it has.
///
/// # Errors
/// [`Complaint`] when no process is at the run, or it cannot be reached from here.
pub fn stop(options: &Stop, terminal: &Terminal) -> Result<u8, Complaint> {
    let dir = find(options.run.as_deref())?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some(holder) = journal::holder(&dir) else {
        return Err(Complaint::usage(format!("{name} is not running")));
    };
    signal(&dir, &holder)
        .map_err(|why| Complaint { code: exit::FAILED, message: format!("{name}: {why}") })?;
    journal::wait(&dir).map_err(|error| journal_complaint(&error))?;
    // How it ended is the run's business; that it did is this command's.
    let _ = ended(&dir, false, terminal);
    Ok(0)
}

/// Sends SIGTERM to the process that holds the run, and to no other that may have its number by now.
#[cfg(target_os = "linux")]
fn signal(dir: &Path, holder: &Holder) -> Result<(), String> {
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    if holder.host != journal::this_host() {
        return Err(format!("it runs on {}; stop it there", holder.host));
    }
    let number = i32::try_from(holder.pid).ok().and_then(Pid::from_raw);
    let number = number.ok_or_else(|| format!("{} is no process", holder.pid))?;
    let process = match pidfd_open(number, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(error) => return Err(format!("process {} cannot be reached: {error}", holder.pid)),
    };
    // It still holds the run, so the number was still its own when it was looked up.
    if journal::holder(dir).as_ref() != Some(holder) {
        return Ok(());
    }
    pidfd_send_signal(process, Signal::TERM)
        .map_err(|error| format!("process {} cannot be stopped: {error}", holder.pid))
}

#[cfg(all(unix, not(target_os = "linux")))]
fn signal(_: &Path, holder: &Holder) -> Result<(), String> {
    use rustix::process::{Pid, Signal, kill_process};
    if holder.host != journal::this_host() {
        return Err(format!("it runs on {}; stop it there", holder.host));
    }
    let number = i32::try_from(holder.pid).ok().and_then(Pid::from_raw);
    let number = number.ok_or_else(|| format!("{} is no process", holder.pid))?;
    kill_process(number, Signal::TERM)
        .map_err(|error| format!("process {} cannot be stopped: {error}", holder.pid))
}

#[cfg(not(unix))]
fn signal(_: &Path, holder: &Holder) -> Result<(), String> {
    Err(format!("end process {} with the system's own means", holder.pid))
}
