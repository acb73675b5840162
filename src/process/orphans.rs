//! Orphans of ended commands, which the system hands to this process once it is a subreaper.
//!
//! Invariants: a child that this room started is registered from before it can
//! be seen until after its status was read, so every other child of the main
//! thread is an adopted orphan; only orphans are reaped here. The one register is
//! global because the system's list of children is: it is per process, too.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, WaitOptions};

use super::table::{self, Entry};

static SUBREAPER: AtomicBool = AtomicBool::new(false);
static STARTED: Mutex<Option<HashSet<i32>>> = Mutex::new(None);

/// Makes this process the one that adopts orphans among its descendants (Linux; elsewhere
/// nothing happens).
///
/// To be called once by a program's `main`, before the first command. It makes the end of a
/// command cheap to check, without a look through all processes, and finds more: see
/// [`sweep_at_exit`](super::sweep_at_exit). From then on every child process has to be started
/// through this room: children of the main thread that it does not know are taken for orphans,
/// and their exit status may be collected.
///
/// # Errors
/// What `prctl(PR_SET_CHILD_SUBREAPER)` gives, or that the system keeps no lists of children. The
/// program can go on without.
pub fn become_subreaper() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        table::children().ok_or(io::ErrorKind::Unsupported)?;
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        SUBREAPER.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Whether orphans come to this process.
pub(super) fn adopts() -> bool {
    SUBREAPER.load(Ordering::Relaxed)
}

/// Starts a child and registers it in one step.
pub(super) fn start<T>(spawn: impl FnOnce() -> io::Result<T>, pid: impl FnOnce(&T) -> Pid) -> io::Result<T> {
    let mut started = lock();
    let child = spawn()?;
    started.get_or_insert_default().insert(raw(pid(&child)));
    Ok(child)
}

/// Collects a registered child's status with `wait`; a status takes it off the register.
pub(super) fn collect<T>(pid: Pid, wait: impl FnOnce() -> Option<T>) -> Option<T> {
    let mut started = lock();
    let status = wait()?;
    started.get_or_insert_default().remove(&raw(pid));
    Some(status)
}

/// The adopted that live. Reaps those that do not.
pub(super) fn living() -> Vec<Pid> {
    let started = lock();
    let orphans = table::children().unwrap_or_default().into_iter().filter(|pid| !knows(&started, *pid));
    orphans.filter(|pid| !reap(*pid)).collect()
}

/// Whether a row is an adopted orphan.
pub(super) fn is_one(entry: &Entry) -> bool {
    entry.parent == raw(rustix::process::getpid()) && !knows(&lock(), entry.id.pid)
}

/// Reaps an orphan that has ended. False while it lives.
fn reap(pid: Pid) -> bool {
    let Some(entry) = table::entry(pid) else { return true };
    // In our own process group: not an orphan of ours but a child that somebody else in this
    // program started after all, and whose status is awaited there.
    if entry.over && entry.group != raw(rustix::process::getpgrp()) {
        let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
    }
    entry.over
}

fn knows(started: &MutexGuard<'_, Option<HashSet<i32>>>, pid: Pid) -> bool {
    started.as_ref().is_some_and(|started| started.contains(&raw(pid)))
}

fn lock() -> MutexGuard<'static, Option<HashSet<i32>>> {
    // A set of numbers is whole after a panic, too.
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn raw(pid: Pid) -> i32 {
    pid.as_raw_nonzero().get()
}
