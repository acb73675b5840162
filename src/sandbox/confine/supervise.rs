//! The two processes around a program in a pid namespace: its first process, and the one outside
//! that stands for the program.
//!
//! Invariants: the one outside ends when the program ends, and as it ended; the first
//! one inside stays for what the program left, and no longer; both outlive a polite
//! signal, which is for the program.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::{Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use super::super::launch::{SETUP_FAILED, SUBCOMMAND};
use super::rights;
use super::{Fault, Program, at};

/// The word after the subcommand for the first process of a namespace.
pub(super) const INIT: &str = "--init";
/// The word after the subcommand for a process that ends by a signal.
pub(super) const DIE: &str = "--die";

/// The line on which the first process says how the program ended.
pub(super) struct Line(File);

impl Line {
    /// The inherited end, by its number; everything else that was inherited is closed.
    pub(super) fn take(number: Option<OsString>) -> Result<Line, Fault> {
        // Nobody who is confined may outlive the one who answers for it.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(at("pdeathsig"))?;
        let number = number.and_then(|it| it.into_string().ok()).ok_or(Fault::Arguments("no line"))?;
        let file =
            File::options().write(true).open(format!("/proc/self/fd/{number}")).map_err(at("its line"))?;
        rights::close_inherited(Some(file.as_fd()))?;
        Ok(Line(file))
    }

    fn say(&mut self, text: &str) -> Result<(), Fault> {
        self.0.write_all(text.as_bytes()).map_err(at("its line"))
    }
}

/// Handlers that do nothing, while the returned value lives: the default would be to die, and to ignore
/// a signal would be inherited by the program.
pub(super) fn outlive_signals() -> Result<Runtime, Fault> {
    let runtime = Builder::new_current_thread().enable_io().build().map_err(at("signal handlers"))?;
    let entered = runtime.enter();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()] {
        drop(signal(kind).map_err(at("signal handlers"))?);
    }
    drop(entered);
    Ok(runtime)
}

/// Starts the first process of the namespace and ends as the program does.
pub(super) fn outside(launch: OsString, program: Program) -> Result<u8, Fault> {
    let exe = std::env::current_exe().map_err(at("this program"))?;
    let _handlers = outlive_signals()?;
    let (reader, writer) = std::io::pipe().map_err(at("a pipe"))?;
    fcntl_setfd(&writer, FdFlags::empty()).map_err(at("a pipe"))?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&writer).to_string();
    let mut command = Command::new(&exe);
    command.args([SUBCOMMAND, INIT]).arg(number).arg(launch);
    command.arg(&program.file).arg(&program.name).args(&program.arguments);
    let mut child = command.spawn().map_err(at("the first process of its namespace"))?;
    drop(writer);
    let mut said = BufReader::new(reader).lines();
    let Some(Ok(how)) = said.next() else {
        // It said on standard error why there is no program.
        let status = child.wait().map_err(at("the first process of its namespace"))?;
        return Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(SETUP_FAILED));
    };
    // Nothing more is said when nobody is left, and then it is gone in a moment.
    if said.next().is_none() {
        let _ = child.wait();
    }
    match how.split_once(' ') {
        Some(("exit", code)) => Ok(code.parse().unwrap_or(SETUP_FAILED)),
        Some(("signal", number)) => {
            // A program that is started anew has no handlers.
            let _ = Command::new(exe).args([SUBCOMMAND, DIE, number]).exec();
            Ok(number.parse::<u8>().map_or(SETUP_FAILED, |number| 128 | number))
        }
        Some(_) | None => Ok(SETUP_FAILED),
    }
}

/// Ends by a signal, as a program did.
pub(super) fn die(number: Option<OsString>) -> u8 {
    let number = number.and_then(|it| it.into_string().ok()?.parse::<i32>().ok()).unwrap_or(0);
    // The memory of this process is of no interest to anybody.
    let _ = rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    if let Some(signal) = Signal::from_named_raw(number) {
        // The first one may only take away a handler that the language's runtime has put there.
        for _ in 0..2 {
            let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
        }
    }
    128 | u8::try_from(number).unwrap_or(0)
}

/// Starts the program and reaps everybody in the namespace until nobody is left.
pub(super) fn inside(mut line: Line, program: &Program) -> Result<u8, Fault> {
    let child = program.command().spawn().map_err(|problem| program.not_started(problem))?;
    let main = Pid::from_child(&child);
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == main => {
                // The one outside goes now; what the program left is ended by whoever ends families.
                rustix::process::set_parent_process_death_signal(None).map_err(at("pdeathsig"))?;
                line.say(&told(status))?;
                while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
                if let Ok(None) = rustix::process::wait(WaitOptions::NOHANG) {
                    line.say("left\n")?;
                }
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return Ok(0),
        }
    }
}

fn told(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exit {code}\n"),
        (None, Some(number)) => format!("signal {number}\n"),
        (None, None) => format!("exit {SETUP_FAILED}\n"),
    }
}
