//! What changes the whole process, or kills it: each of these tests gets a process of its own.
//!
//! They are ignored by the ordinary run; the first test here starts this test
//! binary again for the rest.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use rustix::process::Pid;

use super::super::{EndedBy, Reaper, become_subreaper, orphans, reaper, sweep_at_exit};
use super::*;

#[cfg(target_os = "linux")]
#[test]
fn the_tests_below_pass_in_a_process_that_adopts_orphans() {
    let output = again("process::tests::alone::adopting").arg("--test-threads=1").output().unwrap();
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success() && !text.contains("running 0 tests"), "{text}");
}

/// This test binary, to run its ignored tests under the given path.
fn again(path: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--nocapture", path]);
    command
}

#[cfg(target_os = "linux")]
mod adopting {
    use super::*;

    #[tokio::test]
    #[ignore = "changes its whole process: run by the first test of this file"]
    async fn a_silent_orphan_with_a_session_of_its_own_is_ended_with_its_program() {
        become_subreaper().unwrap();
        let cases = [
            ("echo done", 0),
            ("sleep 300 >/dev/null 2>&1 & echo done", 1),
            ("setsid sleep 300 >/dev/null 2>&1 & echo done", 1),
            ("setsid -f sleep 300 >/dev/null 2>&1; echo done", 1),
            ("setsid -f sh -c 'setsid sleep 300 & exec sleep 300' >/dev/null 2>&1; echo done", 2),
            ("setsid -f env -i sleep 300; echo done", 0),
        ];
        for (script, leaked) in cases {
            let spec = sh(script);
            let marker = spec.marker.clone();
            let ended = finish(spec).await;
            assert_eq!((ended.exit, ended.leaked), (Exit::Code(0), leaked), "{script}");
            assert_eq!(text(&ended).0, "done\n");
            assert_eq!(living(&marker), BTreeSet::new(), "{script}");
        }
        let folder = tempfile::tempdir().unwrap();
        let mut spec = sh("mkfifo line; setsid -f sh -c 'cat line; echo >>log' >/dev/null 2>&1; exec 3>line");
        spec.cwd = folder.path().to_owned();
        assert_eq!(finish(spec).await.leaked, 0);
        assert!(folder.path().join("log").exists(), "it was cut off");
        // The one that shed its environment cannot be told from another command's.
        assert_eq!(sweep_at_exit(), 1);
        until("all are reaped", || orphans::living().is_empty() && children().is_empty());
    }

    #[tokio::test]
    #[ignore = "changes its whole process: run by the first test of this file"]
    async fn one_program_that_ends_does_not_take_the_orphans_of_another() {
        become_subreaper().unwrap();
        let other = sh("setsid -f sleep 300 >/dev/null 2>&1; echo ready; exec sleep 300");
        let marker = other.marker.clone();
        let (observer, ready) = signal_when_ready();
        let (go, stop) = oneshot::channel::<()>();
        let other = run(other, async { stop.await.unwrap() }, observer);
        let both = async {
            ready.await;
            assert_eq!(finish(sh("setsid -f sleep 300 >/dev/null 2>&1; echo done")).await.leaked, 1);
            until("it is complete", || living(&marker).len() == 2);
            go.send(()).unwrap();
        };
        let (ended, ()) = tokio::join!(other, both);
        assert_eq!(ended.unwrap().ended_by, EndedBy::Stopped);
        assert_eq!(living(&marker), BTreeSet::new());
        until("all are reaped", || orphans::living().is_empty() && children().is_empty());
    }

    #[tokio::test]
    #[ignore = "changes its whole process: run by the first test of this file"]
    async fn orphans_that_end_by_themselves_leave_no_zombies() {
        become_subreaper().unwrap();
        for _ in 0..20 {
            finish(sh("setsid -f true; setsid -f true; (true &); echo done")).await;
        }
        until("all are reaped", || orphans::living().is_empty() && children().is_empty());
    }

    #[tokio::test]
    #[ignore = "changes its whole process: run by the first test of this file"]
    async fn a_family_that_keeps_forking_does_not_outrun_its_end() {
        become_subreaper().unwrap();
        // Each of four sessions starts a session every few milliseconds; bounded, so that a fault
        // here does not take the machine down with it.
        let storm = "trap \"\" TERM; n=0; while [ $n -lt 1000 ]; do n=$((n + 1)); setsid sleep 20 & sleep 0.005; done";
        let storms = format!("for n in 1 2 3 4; do setsid -f sh -c '{storm}'; done; sleep 0.3");
        let cases = [("exec sleep 300", EndedBy::Stopped), ("exit", EndedBy::Itself)];
        for (last, ended_by) in cases {
            let mut spec = sh(&format!("{storms}; echo ready; {last}"));
            spec.grace = Duration::ZERO;
            let marker = spec.marker.clone();
            let ended = match ended_by {
                EndedBy::Stopped => stop_when_ready(spec).await,
                EndedBy::Itself | EndedBy::Timeout | EndedBy::Idle => finish(spec).await,
            };
            assert_eq!(ended.ended_by, ended_by);
            assert_eq!(living(&marker), BTreeSet::new());
        }
        until("all are reaped", || orphans::living().is_empty() && children().is_empty());
    }

    #[tokio::test]
    #[ignore = "changes its whole process: run by the first test of this file"]
    async fn dropping_the_future_midway_leaves_no_process() {
        become_subreaper().unwrap();
        let spec = sh("setsid -f sh -c 'sleep 300 & sleep 300'; echo ready; sleep 300");
        let marker = spec.marker.clone();
        let (observer, ready) = signal_when_ready();
        tokio::select! {
            _ = run(spec, std::future::pending(), observer) => panic!("it ended"),
            () = ready => {}
        }
        assert_eq!(living(&marker), BTreeSet::new());
        until("all are reaped", || orphans::living().is_empty() && children().is_empty());
    }

    fn children() -> Vec<Pid> {
        table::children().unwrap()
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_parent_that_is_killed_leaves_no_process_and_no_reaper() {
    let marker = sh("").marker;
    let mut parent = parent(&marker);
    until("its family is complete", || living(&marker).len() == 4);
    let reapers = format!("/{}.", parent.id());
    until("its reaper runs", || reapers_of(&reapers) == 1);
    parent.kill().unwrap();
    parent.wait().unwrap();
    until("nobody lives", || living(&marker).is_empty());
    until("the reaper is gone", || reapers_of(&reapers) == 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_reaper_goes_with_its_last_handle() {
    let mut command = again("process::tests::alone::acts_as_a_reaper");
    command.arg("--exact");
    let reaper = Reaper::start_as(command).unwrap();
    let other = reaper.clone();
    let pid = Pid::from_raw(reaper.pid()).unwrap();
    drop(reaper);
    assert_eq!(table::entry(pid).map(|entry| entry.over), Some(false));
    drop(other);
    assert_eq!(table::entry(pid), None);
}

#[cfg(target_os = "linux")]
#[test]
fn a_reaper_stays_through_the_signals_that_end_others() {
    let marker = sh("").marker;
    let mut parent = parent(&marker);
    let reapers = format!("/{}.", parent.id());
    until("its family is complete", || living(&marker).len() == 4 && reapers_of(&reapers) == 1);
    let reaper = find_reaper(&reapers).unwrap();
    // It has handlers for them once it reads its input: bit n-1 is signal n.
    until("it is ready", || caught(reaper) & 0b100_0000_0000_0111 == 0b100_0000_0000_0111);
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM, rustix::process::Signal::HUP]
    {
        rustix::process::kill_process(reaper, signal).unwrap();
    }
    parent.kill().unwrap();
    parent.wait().unwrap();
    until("nobody lives", || living(&marker).is_empty());
}

/// Starts a process that runs a command under a reaper, and waits.
fn parent(marker: &(String, String)) -> Child {
    let mut command = again("process::tests::alone::acts_as_a_parent");
    command.arg("--exact").env("FANOUT_TEST_PARENT", &marker.1);
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

fn find_reaper(tag: &str) -> Option<Pid> {
    let everybody = table::all().into_iter().filter(|entry| !entry.over).map(|entry| entry.id.pid);
    everybody.into_iter().find(|pid| {
        let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument.starts_with(tag.as_bytes()))
    })
}

fn reapers_of(tag: &str) -> usize {
    usize::from(find_reaper(tag).is_some())
}

/// The signals for which a process has handlers.
fn caught(pid: Pid) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[tokio::test]
#[ignore = "a helper: started, and killed, by the tests above"]
async fn acts_as_a_parent() {
    let Some(marker) = std::env::var_os("FANOUT_TEST_PARENT") else { return };
    let mut reaper = again("process::tests::alone::acts_as_a_reaper");
    reaper.arg("--exact");
    let mut spec =
        sh("setsid sleep 300 & setsid -f sh -c 'setsid sleep 300 & exec sleep 300'; exec sleep 300");
    spec.marker.1 = marker.into_string().unwrap();
    spec.reaper = Some(Reaper::start_as(reaper).unwrap());
    finish(spec).await;
}

#[test]
#[ignore = "a helper: started by the parent above"]
fn acts_as_a_reaper() {
    let Some(tag) = std::env::args_os().last().filter(|tag| tag.as_encoded_bytes().starts_with(b"/")) else {
        return;
    };
    reaper::main(std::iter::once(tag)).unwrap();
}
