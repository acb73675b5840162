//! Runs one program from its start to the end of its last descendant.
//!
//! Invariants: it waits for nothing without a bound of its own: not for the end
//! of a stream, not for a process to die; dropping the future at any point kills
//! the whole family; what it holds in memory does not grow with the output.

use std::future::Future;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::capture::Captured;
use super::running::Running;
use super::signals;
use super::spawn::SpawnError;
use super::spec::{Input, Spec};
use super::streams::{Stream, Streams};

/// How long the streams of a program that has ended, and what it started, may stay.
const LEAK_TIMEOUT: Duration = Duration::from_millis(200);

/// A timer that fires this late was not late: this process was stopped.
const STOPPED: Duration = Duration::from_secs(1);

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Code(i32),
    /// A signal killed it: its number and its name, `SIGSEGV`.
    Signal(i32, &'static str),
}

impl Exit {
    /// True for status 0.
    pub fn is_success(self) -> bool {
        self == Exit::Code(0)
    }

    /// The status as a shell gives it: 128 + n for death by signal n.
    pub fn status(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(number, _) => 128 + number,
        }
    }

    pub(super) fn by_signal(number: i32) -> Exit {
        Exit::Signal(number, signals::name(number))
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Exit {
        match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(number)) => Exit::by_signal(number),
            // Not for a status that was asked for an end; the raw number says what it was.
            (None, None) => Exit::Code(status.into_raw()),
        }
    }
}

/// Who ended a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// It ended by itself.
    Itself,
    /// Its `timeout` ran out.
    Timeout,
    /// Its `idle_timeout` ran out.
    Idle,
    /// The caller's `stop` completed.
    Stopped,
}

/// A program that has ended, and what it left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How it ended; after a timeout or stop this may still be a status of its own choice.
    pub exit: Exit,
    /// Its standard output.
    pub stdout: Captured,
    /// Its standard error.
    pub stderr: Captured,
    /// Who ended it.
    pub ended_by: EndedBy,
    /// How many of its descendants outlived it and had to be killed. On systems without `/proc`
    /// 1 for any number.
    pub leaked: u32,
    /// From its start to the end of the last of its descendants.
    pub took: Duration,
}

/// Runs a program to its end, or until `stop` completes.
///
/// `on_output` sees every byte of both streams as it comes, also what is not kept, in chunks of
/// at most 32 KiB that are cut anywhere; it should not block.
///
/// On timeout and stop all its processes get SIGTERM, `grace` to clean up, then SIGKILL. When it
/// ends by itself, what it started gets 200 ms to end, too, and is then killed. Dropping the
/// future kills everything at once.
///
/// # Errors
/// [`SpawnError`] when the program cannot be started. How it ends is never an error.
pub async fn run(
    mut spec: Spec,
    stop: impl Future<Output = ()>,
    on_output: impl FnMut(Stream, &[u8]),
) -> Result<Ended, SpawnError> {
    let began = Instant::now();
    let mut running = Running::start(&spec)?;
    let input = match std::mem::take(&mut spec.stdin) {
        Input::Null | Input::Pipe => Vec::new(),
        Input::Bytes(bytes) => bytes,
    };
    let mut streams = Streams::of(&mut running, input, spec.keep, on_output);
    let deadlines = Deadlines { timeout: spec.timeout.map(|it| began + it), idle: spec.idle_timeout };
    let ended_by = until_over(&mut running, &mut streams, deadlines, stop).await;

    let patience = match ended_by {
        EndedBy::Itself => LEAK_TIMEOUT,
        EndedBy::Timeout | EndedBy::Idle | EndedBy::Stopped => {
            running.terminate();
            spec.grace
        }
    };
    let gone = async {
        running.exited().await;
        running.alone().await;
    };
    let gone = timeout_at(Instant::now() + patience, streams.flow_during(gone)).await.is_ok();
    // The end of a stream may be held off by somebody who cannot be found, so it is not waited
    // for without a bound either.
    let closed = gone && timeout_at(Instant::now() + LEAK_TIMEOUT, streams.close()).await.is_ok();
    let leaked = if closed { 0 } else { running.kill().await };
    streams.drain();
    let (exit, left) = running.collect().await;
    let (stdout, stderr) = streams.finish();
    Ok(Ended { exit, stdout, stderr, ended_by, leaked: leaked.max(left), took: began.elapsed() })
}

/// When a program is ended from outside.
struct Deadlines {
    timeout: Option<Instant>,
    idle: Option<Duration>,
}

impl Deadlines {
    /// The next of them, for a program that was last heard of at `heard`.
    fn next(&self, heard: Instant) -> Option<(Instant, EndedBy)> {
        let timeout = self.timeout.map(|at| (at, EndedBy::Timeout));
        let idle = self.idle.map(|it| (heard + it, EndedBy::Idle));
        [timeout, idle].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Moves the timeout after this process was stopped for at least `late`, up to `now`.
    ///
    /// When the stop began is not known, but it was after the program was `heard`: it gets no
    /// more time than it had left then.
    fn give_back(&mut self, late: Duration, now: Instant, heard: Instant) {
        self.timeout = self.timeout.map(|at| at.max(now) + late.min(at.saturating_duration_since(heard)));
    }
}

/// Keeps the streams flowing until the program exits or has to be ended, and says which.
async fn until_over<F: FnMut(Stream, &[u8])>(
    running: &mut Running,
    streams: &mut Streams<F>,
    mut deadlines: Deadlines,
    stop: impl Future<Output = ()>,
) -> EndedBy {
    let mut stop = pin!(stop);
    loop {
        let next = deadlines.next(streams.heard());
        let alarm = async {
            match next {
                Some((at, by)) => {
                    sleep_until(at).await;
                    (at, by)
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = &mut stop => return EndedBy::Stopped,
            () = running.exited() => return EndedBy::Itself,
            (at, by) = alarm => {
                // What came while this thread was busy elsewhere was no silence.
                if by == EndedBy::Idle && streams.flow().now_or_never().is_some() {
                    continue;
                }
                let now = Instant::now();
                if now - at < STOPPED {
                    return by;
                }
                // Nobody was here to listen or to count.
                deadlines.give_back(now - at, now, streams.heard());
                streams.hear();
            }
            () = streams.flow() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_this_process_was_stopped_does_not_count_against_the_program() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let given_back = |late, now, heard| {
            let mut deadlines = Deadlines { timeout: Some(at(10)), idle: None };
            deadlines.give_back(Duration::from_secs(late), at(now), at(heard));
            deadlines.timeout.map(|at| (at - start).as_secs())
        };
        assert_eq!(given_back(3, 13, 0), Some(16));
        assert_eq!(given_back(500, 510, 0), Some(520), "no more than it had from the start");
        assert_eq!(given_back(500, 510, 8), Some(512), "no more than it had when it was heard");
        assert_eq!(given_back(3, 6, 2), Some(13), "its idle timeout was late");
    }
}
