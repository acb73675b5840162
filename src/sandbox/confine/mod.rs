//! `fanout __sandbox`: gives up rights, then becomes the program.
//!
//! ```text
//! without namespaces   fanout ─▶ __sandbox: close, confine ─exec─▶ program
//! with namespaces      fanout ─▶ __sandbox: close, unshare ─▶ --init (pid 1): mounts, confine ─▶ program
//!                                └ waits, ends as the program ended
//! ```
//!
//! Invariants: every step that fails ends here, before the program; nothing that was
//! opened by whoever started this reaches the program but its three streams; the
//! first process of a pid namespace dies with the one outside, and all inside with it.

mod files;
mod namespaces;
mod rights;
mod supervise;
mod syscalls;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::launch::{self, Launch, SETUP_FAILED};
use super::probe;

/// Why the program is not started.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Arguments(&'static str),
    #[error("{what}: {problem}")]
    System { what: &'static str, problem: std::io::Error },
    #[error("Landlock: {0}")]
    Landlock(String),
    #[error("seccomp: {0}")]
    Seccomp(String),
    #[error("`{program}` could not be started: {problem}")]
    Program { program: String, problem: std::io::Error },
}

/// Names what was tried when it failed.
fn at<E: Into<std::io::Error>>(what: &'static str) -> impl FnOnce(E) -> Fault {
    move |problem| Fault::System { what, problem: problem.into() }
}

/// What is to be run, as the parent found it.
struct Program {
    file: OsString,
    name: OsString,
    arguments: Vec<OsString>,
}

impl Program {
    /// As a command with the program's own variables.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.file);
        command.arg0(&self.name).args(&self.arguments).env_clear();
        for (name, value) in std::env::vars_os() {
            if let Some(name) = launch::shown(&name) {
                command.env(name, value);
            }
        }
        command
    }

    fn not_started(&self, problem: std::io::Error) -> Fault {
        Fault::Program { program: self.name.to_string_lossy().into_owned(), problem }
    }
}

/// See [`main`](super::main()).
pub(super) fn main(arguments: Vec<OsString>) -> u8 {
    let mut arguments = arguments.into_iter();
    let done = match arguments.next() {
        Some(word) if word == probe::TRY => return probe::inside(arguments.next()),
        Some(word) if word == supervise::DIE => return supervise::die(arguments.next()),
        Some(word) if word == supervise::INIT => init(arguments),
        Some(launch) => outside(launch, arguments),
        None => Err(Fault::Arguments("the sandbox is started by fanout itself, not by people")),
    };
    match done {
        Ok(status) => status,
        Err(fault) => {
            let _ = writeln!(std::io::stderr(), "fanout: the sandbox could not be set up: {fault}");
            match fault {
                // As a shell says that a program cannot be run.
                Fault::Program { .. } => 126,
                Fault::Arguments(_) | Fault::System { .. } | Fault::Landlock(_) | Fault::Seccomp(_) => {
                    SETUP_FAILED
                }
            }
        }
    }
}

fn program(mut arguments: impl Iterator<Item = OsString>) -> Result<Program, Fault> {
    let (Some(file), Some(name)) = (arguments.next(), arguments.next()) else {
        return Err(Fault::Arguments("no program"));
    };
    Ok(Program { file, name, arguments: arguments.collect() })
}

fn outside(argument: OsString, arguments: impl Iterator<Item = OsString>) -> Result<u8, Fault> {
    let launch = Launch::read(&argument).ok_or(Fault::Arguments("its policy cannot be read"))?;
    let program = program(arguments)?;
    rights::close_inherited(None)?;
    if !launch.namespaces {
        confine(&launch)?;
        return Err(program.not_started(program.command().exec()));
    }
    if launch.lacks.namespaces {
        return Err(at("namespaces")(std::io::Error::from(rustix::io::Errno::PERM)));
    }
    namespaces::enter(&launch)?;
    supervise::outside(argument, program)
}

fn init(mut arguments: impl Iterator<Item = OsString>) -> Result<u8, Fault> {
    let line = supervise::Line::take(arguments.next())?;
    let launch = arguments.next().as_deref().and_then(Launch::read);
    let launch = launch.ok_or(Fault::Arguments("its policy cannot be read"))?;
    let program = program(arguments)?;
    let _handlers = supervise::outlive_signals()?;
    namespaces::mount(&launch)?;
    confine(&launch)?;
    supervise::inside(line, &program)
}

/// From here on only what the policy says.
fn confine(launch: &Launch) -> Result<(), Fault> {
    rights::drop_all()?;
    files::restrict(launch)?;
    syscalls::restrict(launch)
}
