//! Behaviour of whole programs under this room: real shells, real signals, real orphans.
//!
//! Nothing here waits for time to pass: programs say when they are ready, and
//! whether somebody still lives is a condition that is polled.

mod alone;
mod ending;
mod refused;
mod talking;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;

use super::table;
use super::{Ended, Exit, Keep, Spec, Stream, run};

/// A shell script as a spec, with a marker that no other test has.
fn sh(script: &str) -> Spec {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut spec = Spec::new(["sh", "-c", script], "/");
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    spec.marker = ("FANOUT_TEST".to_owned(), format!("{}.{number}", std::process::id()));
    // Far beyond what any of them takes: a program that hangs is a failed test, not a hung one.
    spec.timeout = Some(Duration::from_secs(60));
    spec.keep = Keep { head: 1000, tail: 1000 };
    spec
}

/// Runs it to its end.
async fn finish(spec: Spec) -> Ended {
    run(spec, std::future::pending(), |_, _| {}).await.unwrap()
}

/// Runs it, and stops it when it has written its first byte.
async fn stop_when_ready(spec: Spec) -> Ended {
    let (ready, stop) = signal_when_ready();
    run(spec, stop, ready).await.unwrap()
}

/// An observer of output, and a future that completes at the first byte.
fn signal_when_ready() -> (impl FnMut(Stream, &[u8]), impl Future<Output = ()>) {
    let (ready, heard) = oneshot::channel();
    let mut ready = Some(ready);
    let observer = move |_: Stream, _: &[u8]| {
        if let Some(ready) = ready.take() {
            let _ = ready.send(());
        }
    };
    (observer, async move { heard.await.unwrap() })
}

/// The processes that carry a spec's marker and live.
fn living(marker: &(String, String)) -> BTreeSet<i32> {
    let wanted = format!("{}={}", marker.0, marker.1).into_bytes();
    let everybody = table::all().into_iter().filter(|entry| !entry.over);
    let marked = everybody.filter(|entry| table::environment_has(entry.id.pid, |it| it == wanted));
    marked.map(|entry| entry.id.pid.as_raw_nonzero().get()).collect()
}

/// Polls a condition; fails when it does not come true in a time that is long for any machine.
#[track_caller]
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..4000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("still not so: {what}");
}

fn text(ended: &Ended) -> (String, String) {
    (ended.stdout.text().into_owned(), ended.stderr.text().into_owned())
}

const KILLED: Exit = Exit::Signal(9, "SIGKILL");
const TERMINATED: Exit = Exit::Signal(15, "SIGTERM");
