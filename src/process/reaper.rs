//! A small process that ends our commands when this process is killed with SIGKILL.
//!
//! Nothing else without privileges can: whoever is killed so runs no code of its
//! own, and the system only tells direct children. The reaper holds the reading
//! end of a pipe; while we live we write down what we start, and when we are gone
//! the pipe ends. Invariant: it kills what was registered on its pipe and what
//! carries this process's tag, nobody else, and then ends itself.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Pid;
use tokio::signal::unix::{SignalKind, signal};

use super::orphans;
use super::sweep::{self, Tag};
use super::table::{self, Identity};

/// The hidden subcommand under which a program has to call [`main`].
pub const SUBCOMMAND: &str = "__reaper";

/// How long it does not listen after it has heard something.
const NAP: Duration = Duration::from_millis(20);

/// How many rounds the last sweep may take: who is not dead by then hangs in the kernel.
const ROUNDS: usize = 10_000;

/// The reaper of this process; a cheap handle. When the last one is dropped, it ends.
#[derive(Debug, Clone)]
pub struct Reaper(Arc<Mutex<State>>);

/// Whether there is one yet.
#[derive(Debug)]
enum State {
    /// Nothing was started that it would have to end.
    Unneeded(Command),
    Started(Line),
    /// It could not be started, and that is not tried again.
    None,
}

/// The line to the reaper.
#[derive(Debug)]
struct Line {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Reaper {
    /// One that is started as `exe __reaper TAG` before the first program is; `exe` is a program that
    /// then calls [`main`] with the rest of its arguments, in general this one.
    ///
    /// Where it cannot be started, everything works without.
    pub fn when_needed(exe: &Path) -> Reaper {
        let mut command = Command::new(exe);
        command.arg(SUBCOMMAND);
        Reaper(Arc::new(Mutex::new(State::Unneeded(command))))
    }

    /// Starts a command that will call [`main`] with the argument that is added here.
    #[cfg(test)]
    pub(super) fn start_as(command: Command) -> io::Result<Reaper> {
        Ok(Reaper(Arc::new(Mutex::new(State::Started(Line::open(command)?)))))
    }

    /// A program is about to be started: from here on there is one.
    pub(super) fn is_needed(&self) {
        let mut state = self.lock();
        if let State::Unneeded(_) = *state
            && let State::Unneeded(command) = std::mem::replace(&mut *state, State::None)
            && let Ok(line) = Line::open(command)
        {
            *state = State::Started(line);
        }
    }

    /// Tells it that a family has begun.
    pub(super) fn began(&self, root: Identity) {
        self.write(format!("+{}:{}\n", root.pid.as_raw_nonzero(), root.started));
    }

    /// Tells it that a family has ended.
    pub(super) fn ended(&self, root: Identity) {
        self.write(format!("-{}:{}\n", root.pid.as_raw_nonzero(), root.started));
    }

    /// A line is short enough that a pipe takes it whole or not at all. One that is lost is made
    /// up for by the tag, which the reaper looks for in any case.
    fn write(&self, line: String) {
        if let State::Started(Line { pipe: Some(pipe), .. }) = &mut *self.lock() {
            let _ = pipe.write_all(line.as_bytes());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn open(mut command: Command) -> io::Result<Line> {
        use std::os::unix::process::CommandExt;
        // In a group of its own no Ctrl-C reaches it. Its environment is empty, so that it is
        // in nobody's family, nor in that of a fanout around this one.
        command.arg(Tag::of_this_process().as_os_str()).env_clear().current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = orphans::start(|| command.spawn(), Pid::from_child)?;
        let pipe = child.stdin.take();
        if let Some(pipe) = &pipe {
            // A reaper that does not read must not hold up a command.
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        Ok(Line { child, pipe })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Every program that it watches holds a handle, so none is left. Killed rather than
        // let go: it may be asleep for a while, and would be a zombie after that.
        let _ = self.child.kill();
        let pid = Pid::from_child(&self.child);
        for _ in 0..100 {
            if orphans::collect(pid, || self.child.try_wait().ok().flatten()).is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
impl Reaper {
    pub(super) fn pid(&self) -> i32 {
        match &*self.lock() {
            State::Started(line) => line.child.id().cast_signed(),
            State::Unneeded(_) | State::None => 0,
        }
    }
}

/// What the reaper does, from `arguments` after [`SUBCOMMAND`] and its standard input.
///
/// Returns when the process that started it is gone and nothing of what it had started lives.
///
/// # Errors
/// What is wrong with the arguments or the input, when it was not started by a [`Reaper`].
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> io::Result<()> {
    let tag = arguments.next().and_then(Tag::read);
    let tag = tag.ok_or_else(|| io::Error::other("the reaper is started by fanout itself, not by people"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _entered = runtime.enter();
    // A handler takes the place of the default action, which is to die; nobody listens to it.
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
    let _ignored: Vec<_> = kinds.into_iter().map(signal).collect();

    let parent = rustix::process::getppid().filter(|parent| tag.is_of(*parent));
    let roots = listen(io::stdin().lock());
    outlive(parent);
    // Without a table (start 0) the number alone has to do; with one, it must still be theirs.
    let leads =
        |root: &&Identity| root.started == 0 || table::entry(root.pid).is_some_and(|it| it.id == **root);
    let members = || {
        let everybody = table::all();
        let mut family = table::family(&everybody, &roots, tag.since(), |entry| tag.is_on(entry.id.pid));
        family.retain(|entry| !entry.over);
        family
    };
    sweep::rounds(ROUNDS, || roots.iter().filter(leads).map(|root| root.pid).collect(), members);
    Ok(())
}

/// Waits until a process is gone whose pipe has ended.
///
/// Its files are closed a moment before its end is told. Whoever were stopped in that moment would be
/// sent SIGHUP by the system then, as stopped groups that nobody cares for any more are, and what dies so
/// in the middle of a sweep can no longer say who its children were.
fn outlive(parent: Option<Pid>) {
    for _ in 0..1000 {
        if parent.is_none() || rustix::process::getppid() != parent {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    // Both are done in one step of the system's, of which the first half may be seen.
    std::thread::sleep(Duration::from_millis(1));
}

/// Who was registered and not taken back when the input ended.
fn listen(mut input: impl Read) -> Vec<Identity> {
    let mut roots = HashMap::new();
    let mut unread = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => unread.extend_from_slice(chunk.get(..length).unwrap_or_default()),
            Err(problem) if problem.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        }
        let whole = unread.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in unread.drain(..whole).collect::<Vec<u8>>().split(|byte| *byte == b'\n') {
            register(&mut roots, line);
        }
        // Not woken for every line: under a thousand commands a second that would cost as much
        // as a tenth of the commands themselves. The pipe holds thousands of lines meanwhile.
        std::thread::sleep(NAP);
    }
    roots.into_iter().map(|(pid, started)| Identity { pid, started }).collect()
}

/// Takes `+PID:START` or `-PID:START` into account; anything else is no line of ours.
fn register(roots: &mut HashMap<Pid, u64>, line: &[u8]) -> Option<()> {
    let (sign, rest) = std::str::from_utf8(line).ok()?.split_at_checked(1)?;
    let (pid, started) = rest.split_once(':')?;
    let (pid, started) = (Pid::from_raw(pid.parse::<u32>().ok()?.try_into().ok()?)?, started.parse().ok()?);
    match sign {
        "+" => drop(roots.insert(pid, started)),
        "-" => drop(roots.remove(&pid)),
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives out a text a few bytes at a time.
    struct InPieces<'a>(&'a [u8]);

    impl Read for InPieces<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let (now, later) = self.0.split_at(self.0.len().min(3));
            self.0 = later;
            to[..now.len()].copy_from_slice(now);
            Ok(now.len())
        }
    }

    #[test]
    fn who_was_taken_back_is_not_ended_and_a_line_that_is_cut_off_is_nobody() {
        let input = b"+10:5\n+11:6\n-10:5\n+0:1\n+x:1\n+-7:1\n\n+12:7\n+1";
        let mut found = listen(InPieces(input));
        found.sort_by_key(|root| root.started);
        let expected =
            [(11, 6), (12, 7)].map(|(pid, started)| Identity { pid: Pid::from_raw(pid).unwrap(), started });
        assert_eq!(found, expected);
    }
}
