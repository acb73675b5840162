//! Measures a program from outside: wall time, processor time with all that it has waited
//! for, the largest resident set among them. Standard error is a pseudo-terminal.
//!
//! It is done by a process of its own, of this very program, which starts nothing else:
//! what the system says of its children is then said of the one program alone.

use std::io::{Error, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::server;

/// What is taken out of everything that is shown, as the keys of real plans are.
pub(crate) const KEY: &str = "sk-bench-0123456789abcdef";

/// What a program took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// In seconds.
    pub(crate) wall: f64,
    /// Processor time in seconds, user and system.
    pub(crate) cpu: f64,
    /// In bytes.
    pub(crate) peak: u64,
    /// Nanoseconds since 1970.
    pub(crate) began: u64,
}

/// Runs a program in `folder` under a measuring process.
///
/// # Errors
/// Whatever keeps it from being measured, and an exit status that is not 0.
pub(crate) fn measure(folder: &Path, program: &Path, arguments: &[String]) -> std::io::Result<Sample> {
    let output = Command::new(std::env::current_exe()?)
        .arg("--as-measure")
        .arg(program)
        .args(arguments)
        .current_dir(folder)
        .env("TERM", "xterm-256color")
        .env("BENCH_KEY", KEY)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<u64> = said.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    match numbers.as_slice() {
        [wall, cpu, peak, began] if output.status.success() => Ok(Sample {
            wall: Duration::from_nanos(*wall).as_secs_f64(),
            cpu: Duration::from_micros(*cpu).as_secs_f64(),
            peak: peak * 1024,
            began: *began,
        }),
        _ => Err(Error::other(format!("{} {}: {said}", program.display(), arguments.join(" ")))),
    }
}

/// The measuring process: starts, waits, tells.
pub(crate) fn run(arguments: &[String]) -> std::io::Result<()> {
    let [program, arguments @ ..] = arguments else { return Err(Error::other("measure what?")) };
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&screen)?;
    unlockpt(&screen)?;
    let terminal = ioctl_tiocgptpeer(&screen, OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    tcsetwinsize(&screen, Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 })?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(terminal);
    let (clock, began) = (Instant::now(), server::now());
    let mut child = command.spawn()?;
    // The terminal's other end is this process's no more, so that it ends with the program.
    drop(command);
    let reader = std::thread::spawn(move || {
        let (mut screen, mut seen, mut buffer) = (std::fs::File::from(screen), Vec::new(), vec![0; 64 << 10]);
        while let Ok(count @ 1..) = screen.read(&mut buffer) {
            seen.extend(buffer.iter().take(count));
            // The end is enough to say what went wrong.
            if seen.len() > 1 << 20 {
                seen.drain(..seen.len() - (8 << 10));
            }
        }
        seen
    });
    let status = child.wait()?;
    let wall = clock.elapsed();
    let used = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    let cpu = micros(used.user_time()) + micros(used.system_time());
    if !status.success() {
        let seen = reader.join().unwrap_or_default();
        let end = seen.get(seen.len().saturating_sub(2000)..).unwrap_or(&seen);
        return Err(Error::other(format!("ended with {status}:\n{}", String::from_utf8_lossy(end))));
    }
    writeln!(std::io::stdout(), "{} {cpu} {} {began}", wall.as_nanos(), used.max_rss())
}
