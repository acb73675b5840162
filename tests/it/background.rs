//! Runs in the background: started, found, watched, waited for, stopped, removed.

use std::process::Stdio;

use serde_json::Value;

use crate::support::{Folder, Ran, eventually};

/// Waits until `go` is there, then ends with the status in it.
const PLAN: &str = r#"
name: slow
description: Waits for a file
calls:
  first: { run: "echo hello from first" }
  gate: { run: "touch started; until [ -e go ]; do sleep 0.02; done; exit $(cat go)", retries: 0, needs: [first] }
"#;

/// Starts it in the background and returns its id.
fn detached(folder: &Folder) -> String {
    let ran = folder.run(&["run", "plan.yaml", "--detach"]).expect_code(0);
    let id = ran.out.trim().to_owned();
    assert!(ran.err.contains(&format!("fanout wait {id}")), "{}", ran.err);
    eventually("the gate runs", || folder.path().join("started").exists());
    id
}

fn state(folder: &Folder, id: &str) -> Value {
    let runs: Value = serde_json::from_str(&folder.run(&["list", "--json"]).expect_code(0).out).unwrap();
    runs.as_array().unwrap().iter().find(|run| run["run"] == id).unwrap().clone()
}

#[test]
fn a_run_in_the_background_is_listed_watched_and_waited_for_and_its_exit_status_arrives() {
    for (go, code) in [("0", 0), ("3", 1)] {
        let folder = Folder::with_plan(PLAN);
        let id = detached(&folder);
        let listed = state(&folder, &id);
        assert_eq!(
            (&listed["state"], &listed["description"]),
            (&"running".into(), &"Waits for a file".into())
        );
        let waiting = folder.start(&["wait", &id]);
        let following = folder.start(&["logs", "-f", &id]);
        let attached = folder.start(&["attach", &id]);
        let logs = folder.run(&["logs", &id, "first"]).expect_code(0).out;
        assert!(logs.contains("hello from first"), "{logs}");
        folder.write("go", go);
        let waited = Ran::of(waiting.wait_with_output().unwrap()).expect_code(code);
        assert!(waited.err.contains(&format!("exit status {code}")), "{}", waited.err);
        let followed = Ran::of(following.wait_with_output().unwrap()).expect_code(0);
        assert!(followed.out.contains(&format!("exit={code}")), "{}", followed.out);
        let seen = Ran::of(attached.wait_with_output().unwrap()).expect_code(code);
        assert!(seen.out.contains("hello from first"), "{}", seen.out);
        // Nothing is lost to those who look later.
        folder.run(&["wait", &id]).expect_code(code);
        // What it says in the end is printed once the run is over, and so perhaps after that was heard.
        eventually("the log is whole", || {
            let log = folder.read(&format!(".fanout/runs/{id}/run.log"));
            log.contains("hello from first") && log.contains(&format!("exit={code}"))
        });
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_in_the_background_belongs_to_no_terminal() {
    let folder = Folder::with_plan(PLAN);
    let id = detached(&folder);
    let lock: Value = serde_json::from_str(&folder.read(&format!(".fanout/runs/{id}/lock"))).unwrap();
    let pid = lock["pid"].to_string();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    // Behind the name: state, parent, group, session, terminal.
    assert_eq!((fields[3], fields[4]), (pid.as_str(), "0"), "{stat}");
    folder.run(&["stop", &id]).expect_code(0);
}

#[test]
fn what_keeps_a_run_from_starting_is_said_where_the_person_is() {
    let folder = Folder::with_plan("calls: { a: { rum: x } }");
    let ran = folder.run(&["run", "plan.yaml", "--detach"]).expect_code(2);
    assert!(ran.err.contains("did you mean `run`?"), "{}", ran.err);
    assert_eq!(ran.out, "");
}

#[test]
fn a_stopped_run_ends_in_order_and_can_be_resumed() {
    let folder = Folder::with_plan(PLAN);
    let id = detached(&folder);
    let stopped = folder.run(&["stop", &id]).expect_code(0);
    assert!(stopped.err.contains("143"), "{}", stopped.err);
    assert_eq!(state(&folder, &id)["state"], "stopped");
    assert!(folder.run(&["stop", &id]).expect_code(2).err.contains("is not running"));
    folder.run(&["wait", &id]).expect_code(143);
    folder.write("go", "0");
    folder.run(&["resume", &id]).expect_code(0);
}

#[test]
fn waiting_uses_no_time_and_a_killed_run_wakes_who_waits() {
    let folder = Folder::with_plan(PLAN);
    let id = detached(&folder);
    let lock: Value = serde_json::from_str(&folder.read(&format!(".fanout/runs/{id}/lock"))).unwrap();
    let mut wait = folder.fanout(&["wait", &id]);
    let waiting = wait.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let kill = std::process::Command::new("kill").args(["-9", &lock["pid"].to_string()]).status().unwrap();
    assert!(kill.success());
    let waited = Ran::of(waiting.wait_with_output().unwrap()).expect_code(1);
    assert!(waited.err.contains("fanout resume"), "{}", waited.err);
}

#[test]
fn a_run_is_removed_only_when_nobody_is_at_it() {
    let folder = Folder::with_plan(PLAN);
    let id = detached(&folder);
    let refused = folder.run(&["rm", &id]).expect_code(4);
    assert!(refused.err.contains("in use by process"), "{}", refused.err);
    assert!(folder.run(&["gc", "--keep", "0"]).expect_code(0).err.contains("nothing to remove"));
    folder.run(&["stop", &id]).expect_code(0);
    assert!(folder.run(&["gc"]).expect_code(0).err.contains("nothing to remove"));
    assert!(folder.run(&["gc", "--keep", "0", "--dry-run"]).expect_code(0).err.contains("would remove"));
    folder.run(&["rm", &id]).expect_code(0);
    assert!(!folder.path().join(".fanout/runs").join(&id).exists());
    let gone = folder.run(&["rm", &id]).expect_code(2);
    assert!(gone.err.contains("no run"), "{}", gone.err);
}
