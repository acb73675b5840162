//! A started program together with everything that it starts.
//!
//! Invariant: from the moment that it exists it is ended in every way out: by
//! its own end, by `end`, or by being dropped. Its status is collected last, so
//! that its number, which is also its group's, stays its own until then.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tempfile::TempDir;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout_at};

use super::orphans;
use super::reaper::Reaper;
use super::run::Exit;
use super::spawn::{self, SpawnError};
use super::spec::Spec;
use super::sweep::{self, Tag};
use super::table::{self, Identity};

/// How long a sweep and the end that it brings may take before they are given up: a process
/// that hangs in the kernel, or that belongs to another user, does not hold up its call.
const PATIENCE: Duration = Duration::from_secs(2);

/// A running program that one talks to, such as a tool server.
///
/// Dropping it kills it and its descendants at once. [`run`](super::run()) is this plus the
/// whole conversation.
#[derive(Debug)]
pub struct Running {
    /// Its standard input: a pipe unless the spec's input is `Null`.
    pub stdin: Option<ChildStdin>,
    /// Its standard output.
    pub stdout: Option<ChildStdout>,
    /// Its standard error.
    pub stderr: Option<ChildStderr>,
    child: Child,
    root: Identity,
    tag: Tag,
    ending: Option<AsyncFd<OwnedFd>>,
    collected: Option<ExitStatus>,
    reaper: Option<Reaper>,
    /// How many processes of its wrapper stay while others do.
    own: usize,
    /// Removed after everybody who may work in it is gone.
    _scratch: Option<Arc<TempDir>>,
}

impl Running {
    /// Starts the program of a spec. Its deadlines, `keep` and bytes for input are the business
    /// of [`run`](super::run()); here the caller has the pipes.
    ///
    /// # Errors
    /// [`SpawnError`] when there is no such program, or it cannot be started.
    pub fn start(spec: &Spec) -> Result<Running, SpawnError> {
        if let Some(reaper) = &spec.reaper {
            reaper.is_needed();
        }
        let tag = Tag::next();
        let before = table::now();
        let mut child = spawn::start(spec, &tag)?;
        let pid = Pid::from_child(&child);
        let root = table::identity(pid, before);
        let reaper = spec.reaper.clone();
        if let Some(reaper) = &reaper {
            reaper.began(root);
        }
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut running = Running {
            stdin: None,
            stdout: None,
            stderr: None,
            child,
            root,
            tag,
            reaper,
            own: spec.wrapper.as_ref().is_some_and(|wrapper| wrapper.stays).into(),
            _scratch: spec.scratch.clone(),
            ending: watch(pid),
            collected: None,
        };
        // From here on it is ended whatever happens.
        let pipes = |running: &mut Running| -> io::Result<()> {
            running.stdin = stdin.map(ChildStdin::from_std).transpose()?;
            running.stdout = stdout.map(ChildStdout::from_std).transpose()?;
            running.stderr = stderr.map(ChildStderr::from_std).transpose()?;
            Ok(())
        };
        pipes(&mut running).map_err(SpawnError::Resources)?;
        Ok(running)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.root.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Completes when the program itself has ended; what it started may still run.
    pub async fn exited(&mut self) {
        if let Some(ending) = &self.ending
            && ending.readable().await.is_ok()
        {
            return;
        }
        // Without a handle to wait on: any child's end is a reason to look.
        let mut deaths = signal(SignalKind::child()).ok();
        while !self.is_over() {
            match &mut deaths {
                Some(deaths) => drop(deaths.recv().await),
                None => sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// Ends it: SIGTERM to all of its processes, `grace` for them to clean up, then SIGKILL.
    ///
    /// Returns how it ended and how many of its descendants outlived it and had to be killed.
    /// The caller should have closed its standard input and go on reading its output, or have
    /// dropped both.
    pub async fn end(mut self, grace: Duration) -> (Exit, u32) {
        let until = Instant::now() + grace;
        self.terminate();
        let gone = async {
            self.exited().await;
            self.alone().await;
        };
        let gone = timeout_at(until, gone).await.is_ok();
        let leaked = if gone { 0 } else { self.kill().await };
        let (exit, more) = self.collect().await;
        (exit, leaked.max(more))
    }

    /// Asks all of its processes to end.
    pub(super) fn terminate(&self) {
        if self.collected.is_some() {
            return;
        }
        let group = self.root.pid;
        let outside = sweep::members(self.root, &self.tag);
        let outside = outside.iter().filter(|entry| entry.group != group.as_raw_nonzero().get());
        // A stopped process acts on nothing before it is continued.
        for signal in [Signal::TERM, Signal::CONT] {
            let _ = rustix::process::kill_process_group(group, signal);
            outside.clone().for_each(|entry| table::signal(entry.id, signal));
        }
    }

    /// Completes when none of its descendants live; to be asked once it has exited.
    pub(super) async fn alone(&self) {
        let mut pause = Duration::from_millis(2);
        while self.collected.is_none() && !sweep::is_gone(self.root, &self.tag) {
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// Kills it and all its descendants. Returns how many had outlived it.
    pub(super) async fn kill(&mut self) -> u32 {
        let until = Instant::now() + PATIENCE;
        let mut killed = HashSet::new();
        let outlived = self.is_over();
        let mut pause = Duration::from_millis(1);
        while self.collected.is_none() && !self.kill_once(&mut killed) && Instant::now() < until {
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        killed.remove(&self.root);
        let left = killed.len().saturating_sub(self.own);
        if outlived { u32::try_from(left).unwrap_or(u32::MAX) } else { 0 }
    }

    /// Asks for its status, which lets go of its number.
    ///
    /// Returns how it ended and, where there is no table of processes to find them in, 1 if
    /// somebody was left in its group, who is killed.
    pub(super) async fn collect(mut self) -> (Exit, u32) {
        let _ = timeout_at(Instant::now() + PATIENCE, self.exited()).await;
        self.try_collect();
        let left = self.root.started == 0
            && rustix::process::kill_process_group(self.root.pid, Signal::KILL).is_ok();
        // Without a status it hangs in the kernel with SIGKILL pending: that is how it will end.
        let exit = self.collected.map_or(Exit::by_signal(Signal::KILL.as_raw()), Exit::from);
        (exit, u32::from(left))
    }

    fn try_collect(&mut self) {
        if self.collected.is_none() {
            self.collected = orphans::collect(self.root.pid, || self.child.try_wait().ok().flatten());
        }
    }

    /// Whether it has ended. Leaves its status, and so its number, alone.
    pub(super) fn is_over(&self) -> bool {
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = || rustix::process::waitid(WaitId::Pid(self.root.pid), how);
        self.collected.is_some() || !matches!(status(), Ok(None))
    }

    fn kill_once(&self, killed: &mut HashSet<Identity>) -> bool {
        let members = || sweep::members(self.root, &self.tag);
        let none = sweep::round(&[self.root.pid], members, killed);
        if orphans::adopts() {
            // The killed come to us now, and are reaped.
            orphans::living();
        }
        none
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut killed = HashSet::new();
        // Not worth more than a moment of a thread that others wait for: whoever is killed dies
        // within a millisecond, and who is left after that hangs in the kernel.
        for _ in 0..20 {
            if self.collected.is_some() {
                break;
            }
            if self.kill_once(&mut killed) {
                self.try_collect();
            }
            if self.collected.is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.try_collect();
        if let Some(reaper) = &self.reaper {
            reaper.ended(self.root);
        }
    }
}

#[cfg(test)]
impl Running {
    /// As if the system had no such handles.
    pub(super) fn drop_handle(&mut self) {
        self.ending = None;
    }
}

/// A handle that becomes readable when the process ends, without collecting its status.
fn watch(pid: Pid) -> Option<AsyncFd<OwnedFd>> {
    #[cfg(target_os = "linux")]
    {
        let handle = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::NONBLOCK).ok()?;
        #[expect(deprecated, reason = "its successor is unsafe, for owners less strict than OwnedFd")]
        AsyncFd::with_interest(handle, Interest::READABLE).ok()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (pid, Interest::READABLE);
        None
    }
}
