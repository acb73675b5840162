//! `fanout run --detach`: the same run in a process of its own, which no terminal takes along.
//!
//! Invariant: the id is printed once the run's first record is durable, and not before; what
//! keeps it from starting is said here, where the person is.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use super::args::PlanArgs;
use super::terminal::Terminal;
use super::{Complaint, exit};

/// What a run in the background writes instead of to a terminal, in the run's folder.
pub const LOG: &str = "run.log";
/// Tells the process that is started that it is the one in the background.
const MARK: &str = "FANOUT_DETACHED";

/// Whether this process is the one in the background: it was started by its parent for that. A
/// command of a run that starts fanout again has another parent.
pub fn is_detached() -> bool {
    std::env::var(MARK).is_ok_and(|mark| mark == parent().to_string())
}

#[cfg(unix)]
fn parent() -> i32 {
    rustix::process::getppid().map_or(0, rustix::process::Pid::as_raw_pid)
}

#[cfg(not(unix))]
fn parent() -> i32 {
    1
}

#[cfg(unix)]
fn this() -> u32 {
    std::process::id()
}

#[cfg(not(unix))]
fn this() -> u32 {
    1
}

/// Starts this very command line again in the background and prints the run's id.
///
/// # Errors
/// [`Complaint`] with the exit status of a run that could not be started; it has said why.
pub fn start(plan: &PlanArgs, terminal: &Terminal) -> Result<u8, Complaint> {
    let failed = |error: std::io::Error| Complaint {
        code: exit::BUG,
        message: format!("cannot start a run in the background: {error}"),
    };
    let program = std::env::current_exe().map_err(failed)?;
    // A plan that is piped in is read by the process in the background, before it gives its id.
    let stdin = if plan.is_piped() { Stdio::inherit() } else { Stdio::null() };
    let mut child = Command::new(program)
        .args(std::env::args_os().skip(1))
        .env(MARK, this().to_string())
        .stdin(stdin)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut id = String::new();
    if let Some(out) = child.stdout.take() {
        BufReader::new(out).read_line(&mut id).map_err(failed)?;
    }
    if id.trim().is_empty() {
        // It has ended, or is about to.
        let code = child.wait().map_err(failed)?.code();
        let code = code.and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::BUG);
        return Err(Complaint { code, message: String::new() });
    }
    terminal.out(&id).map_err(|error| Complaint::output(&error))?;
    let id = id.trim();
    terminal.err(&format!("started; see: fanout attach {id}, fanout logs -f {id}, fanout wait {id}\n"));
    Ok(0)
}

/// Leaves the session of the terminal that started it. For the process in the background.
pub fn leave_session() {
    // It fails only for the leader of a process group, which this process is not: its parent
    // started it.
    #[cfg(unix)]
    let _ = rustix::process::setsid();
}

/// The standard streams of a process in the background, on their way to the run's folder.
#[derive(Debug)]
pub struct Streams {
    #[cfg(unix)]
    stderr: Option<std::os::fd::OwnedFd>,
}

impl Streams {
    /// Sends what is written to standard error to the log in `dir` from here on.
    pub fn redirect(dir: &Path) -> Streams {
        #[cfg(unix)]
        {
            let stderr = rustix::io::dup(rustix::stdio::stderr()).ok();
            if let Some(log) = open(dir) {
                let _ = rustix::stdio::dup2_stderr(&log);
            }
            Streams { stderr }
        }
        #[cfg(not(unix))]
        {
            let _ = dir;
            Streams {}
        }
    }

    /// The run has begun: says so to who started it, and lets go of it.
    pub fn begun(self, run: &str, dir: &Path) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{run}").and_then(|()| out.flush());
        #[cfg(unix)]
        if let Some(log) = open(dir) {
            let _ = rustix::stdio::dup2_stdout(&log);
        }
        #[cfg(not(unix))]
        let _ = dir;
    }

    /// The run has not begun: what follows is for who started it.
    pub fn restore(self) {
        #[cfg(unix)]
        if let Some(stderr) = self.stderr {
            let _ = rustix::stdio::dup2_stderr(&stderr);
        }
    }
}

#[cfg(unix)]
fn open(dir: &Path) -> Option<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(dir.join(LOG)).ok()
}
