//! Who is ended, when, and that nobody is left.

use std::collections::BTreeSet;

use rustix::process::Pid;

use super::super::sweep::TAG;
use super::super::{EndedBy, Input, Running, kill_marked};
use super::*;

#[tokio::test]
async fn a_stopped_program_may_clean_up() {
    let script = "trap 'echo cleaned; exit 3' TERM; echo ready; while :; do sleep 0.01; done";
    let mut spec = sh(script);
    spec.grace = Duration::from_secs(60);
    let ended = stop_when_ready(spec).await;
    assert_eq!(text(&ended).0, "ready\ncleaned\n");
    assert_eq!((ended.exit, ended.ended_by, ended.leaked), (Exit::Code(3), EndedBy::Stopped, 0));
}

#[tokio::test]
async fn a_program_that_ignores_the_request_is_killed_after_its_grace() {
    let mut spec = sh("trap '' TERM; echo ready; while :; do sleep 1; done");
    spec.grace = Duration::from_millis(50);
    let marker = spec.marker.clone();
    let ended = stop_when_ready(spec).await;
    assert_eq!((ended.exit, ended.ended_by), (KILLED, EndedBy::Stopped));
    assert_eq!(living(&marker), BTreeSet::new());
}

#[tokio::test]
async fn a_stopped_process_hears_the_request_all_the_same() {
    let mut spec = sh("echo ready; kill -STOP $$");
    spec.grace = Duration::from_secs(60);
    assert_eq!(stop_when_ready(spec).await.exit, TERMINATED);
}

#[tokio::test]
async fn a_timeout_ends_a_program_however_much_it_talks() {
    for script in ["sleep 300", "yes", "yes >&2"] {
        let mut spec = sh(script);
        spec.timeout = Some(Duration::from_millis(100));
        let marker = spec.marker.clone();
        let ended = finish(spec).await;
        assert_eq!((ended.exit, ended.ended_by), (TERMINATED, EndedBy::Timeout), "{script}");
        assert_eq!(living(&marker), BTreeSet::new());
    }
}

#[tokio::test]
async fn silence_ends_a_program_and_a_word_on_either_stream_does_not() {
    let mut spec = sh("for n in 1 2 3 4; do sleep 0.1; echo $n >&2; done; sleep 300");
    spec.idle_timeout = Some(Duration::from_millis(300));
    let ended = finish(spec).await;
    assert_eq!((ended.ended_by, text(&ended).1.as_str()), (EndedBy::Idle, "1\n2\n3\n4\n"));
}

#[tokio::test]
async fn a_grandchild_that_holds_the_output_is_ended_with_the_program() {
    for script in ["sleep 300 & echo done", "setsid sleep 300 & echo done", "setsid -f sleep 300; echo done"]
    {
        let spec = sh(script);
        let marker = spec.marker.clone();
        let ended = finish(spec).await;
        assert_eq!((ended.exit, text(&ended).0.as_str()), (Exit::Code(0), "done\n"), "{script}");
        assert_eq!((ended.ended_by, ended.leaked), (EndedBy::Itself, 1), "{script}");
        assert_eq!(living(&marker), BTreeSet::new(), "{script}");
    }
}

#[tokio::test]
async fn a_silent_child_in_the_background_is_ended_with_the_program() {
    for start in ["sleep 300 >/dev/null 2>&1 &", "setsid -f sleep 300 >/dev/null 2>&1;"] {
        let spec = sh(&format!("{start} echo done"));
        let marker = spec.marker.clone();
        let ended = finish(spec).await;
        assert_eq!((ended.exit, ended.leaked), (Exit::Code(0), 1), "{start}");
        assert_eq!(living(&marker), BTreeSet::new(), "{start}");
    }
}

#[tokio::test]
async fn a_timeout_reaches_whoever_left_the_group() {
    let mut spec = sh("setsid sleep 300 & setsid -f sh -c 'trap \"\" TERM; sleep 300; sleep 300' & wait");
    spec.timeout = Some(Duration::from_millis(200));
    spec.grace = Duration::from_millis(100);
    let marker = spec.marker.clone();
    assert_eq!(finish(spec).await.ended_by, EndedBy::Timeout);
    assert_eq!(living(&marker), BTreeSet::new());
}

#[tokio::test]
async fn who_left_the_group_may_clean_up_as_well() {
    let away = "trap \"echo cleaned; exit\" TERM; echo ready; while :; do sleep 0.01; done";
    let mut spec = sh(&format!("setsid -f sh -c '{away}'; exec sleep 300"));
    spec.grace = Duration::from_secs(60);
    assert_eq!(text(&stop_when_ready(spec).await).0, "ready\ncleaned\n");
}

#[tokio::test]
async fn a_child_that_ends_right_after_its_program_is_not_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    // The reader's input ends when the program does.
    let mut spec = sh("mkfifo line; (cat line; echo last) & exec 3>line; echo first >&3");
    spec.cwd = folder.path().to_owned();
    let ended = finish(spec).await;
    assert_eq!((ended.leaked, text(&ended).0.as_str()), (0, "first\nlast\n"));
}

#[tokio::test]
async fn dropping_the_future_midway_leaves_no_process() {
    let spec = sh("setsid sleep 300 & setsid -f sleep 300; sleep 300 & trap '' TERM; echo ready; sleep 300");
    let marker = spec.marker.clone();
    let (observer, ready) = signal_when_ready();
    let running = run(spec, std::future::pending(), observer);
    tokio::select! {
        _ = running => panic!("it ended"),
        () = ready => {}
    }
    assert_eq!(living(&marker), BTreeSet::new());
}

#[tokio::test]
async fn a_dropped_tool_server_is_gone() {
    let mut spec = sh("cat");
    spec.stdin = Input::Pipe;
    let marker = spec.marker.clone();
    let running = Running::start(&spec).unwrap();
    until("it runs", || !living(&marker).is_empty());
    drop(running);
    assert_eq!(living(&marker), BTreeSet::new());
}

#[tokio::test]
async fn what_a_killed_run_left_behind_is_found_by_its_marker() {
    let spec = sh("");
    let mut left = std::process::Command::new("setsid");
    let mut left = left.args(["sleep", "300"]).env(&spec.marker.0, &spec.marker.1).spawn().unwrap();
    until("it runs", || !living(&spec.marker).is_empty());
    assert_eq!(kill_marked(&(spec.marker.0.clone(), String::new())), 0);
    assert_eq!(kill_marked(&spec.marker), 1);
    assert_eq!(left.wait().unwrap().code(), None);
}

#[tokio::test]
async fn what_belongs_to_a_run_of_the_same_name_that_goes_on_is_spared() {
    let spec = sh("");
    let mut owner = std::process::Command::new("sleep").arg("300").spawn().unwrap();
    let pid = Pid::from_child(&owner);
    let tag = format!("/1.2.3/{}.{}.0/", owner.id(), table::entry(pid).unwrap().id.started);
    let mut other = std::process::Command::new("sleep");
    let mut other = other.arg("300").env(&spec.marker.0, &spec.marker.1).env(TAG, tag).spawn().unwrap();
    until("it runs", || !living(&spec.marker).is_empty());
    assert_eq!(kill_marked(&spec.marker), 0, "whoever started it lives");
    owner.kill().unwrap();
    until("it is dead", || table::entry(pid).is_none_or(|it| it.over));
    assert_eq!(kill_marked(&spec.marker), 1, "whoever started it is dead");
    other.wait().unwrap();
    owner.wait().unwrap();
}
