//! Ctrl-C, SIGTERM and `kill -9`: what stays, what goes, and what can be read afterwards.

use std::process::Child;

use crate::support::{Folder, eventually, outcomes, parse_lines};

const PLAN: &str = r#"
name: long
calls:
  done: { run: "echo finished >> effects; echo finished" }
  long: { run: "echo $$ > pid; touch started; sleep 300", needs: [done] }
  never: { run: echo never, needs: [long] }
"#;

fn started(folder: &Folder, args: &[&str]) -> Child {
    let child = folder.start(args);
    eventually("the long call runs", || folder.path().join("started").exists());
    child
}

fn signal(child: &Child, name: &str) {
    let status = std::process::Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

fn lives(folder: &Folder) -> bool {
    let pid = folder.read("pid");
    std::path::Path::new("/proc").join(pid.trim()).exists()
}

#[test]
fn one_interrupt_ends_what_runs_reports_and_says_how_to_go_on() {
    for (name, code, word) in [("INT", 130, "interrupted"), ("TERM", 143, "terminate")] {
        let folder = Folder::with_plan(PLAN);
        let child = started(&folder, &["run", "plan.yaml"]);
        signal(&child, name);
        let ran = crate::support::Ran::of(child.wait_with_output().unwrap());
        assert_eq!(ran.code, code, "{}\n{}", ran.out, ran.err);
        assert!(ran.err.contains("fanout resume "), "{}", ran.err);
        assert!(ran.out.contains("cancelled") && ran.out.contains(word), "{}", ran.out);
        assert!(!lives(&folder), "its process is still there");
    }
}

#[test]
fn an_interrupt_reaches_every_call_of_a_chain_at_once() {
    let mut plan = PLAN.to_owned();
    for at in 0..40 {
        let before = if at == 0 { "never".to_owned() } else { format!("more{}", at - 1) };
        plan.push_str(&format!("  more{at}: {{ run: echo more, needs: [{before}] }}\n"));
    }
    let folder = Folder::with_plan(&plan);
    let child = started(&folder, &["run", "plan.yaml"]);
    signal(&child, "INT");
    child.wait_with_output().unwrap();
    let mut outcomes = outcomes(&parse_lines(&folder.run(&["show", "--json"]).out));
    assert_eq!(outcomes.remove("done").unwrap()["status"], "ok");
    // Not one after the other, each because of the one before it.
    assert_eq!(outcomes.len(), 42);
    for (id, outcome) in outcomes {
        assert_eq!(
            (&outcome["status"], &outcome["cause"]["code"]),
            (&"cancelled".into(), &"interrupted".into()),
            "{id}"
        );
    }
}

#[test]
fn two_interrupts_end_at_once_even_what_ignores_the_first() {
    let plan = PLAN.replace("touch started;", "trap '' TERM INT; touch started; while :; do sleep 1; done;");
    let folder = Folder::with_plan(&plan);
    let child = started(&folder, &["run", "plan.yaml"]);
    signal(&child, "INT");
    let dir = folder.path().join(".fanout/runs");
    eventually("the first one was noticed", || {
        let run = std::fs::read_dir(&dir).unwrap().next().unwrap().unwrap().path();
        std::fs::read_to_string(run.join("journal.jsonl")).unwrap().contains("stop_requested")
    });
    signal(&child, "INT");
    let ran = crate::support::Ran::of(child.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{}", ran.err);
    eventually("its process is gone", || !lives(&folder));
}

#[test]
fn kill_nine_leaves_a_journal_that_show_reads_to_the_last_durable_event_and_no_process() {
    let folder = Folder::with_plan(PLAN);
    let mut child = started(&folder, &["run", "plan.yaml"]);
    signal(&child, "KILL");
    child.wait().unwrap();
    let shown = folder.run(&["show"]).expect_code(0);
    assert!(shown.out.contains("finished"), "{}", shown.out);
    assert!(shown.out.contains("did not end") && shown.out.contains("did not finish"), "{}", shown.out);
    let events = parse_lines(&folder.run(&["show", "--json"]).out);
    assert_eq!(outcomes(&events)["done"]["status"], "ok");
    assert!(!outcomes(&events).contains_key("long"));
    eventually("the orphan is gone", || !lives(&folder));
}

#[test]
fn a_killed_run_goes_on_without_repeating_what_was_done() {
    let folder = Folder::with_plan(PLAN);
    let mut child = started(&folder, &["run", "plan.yaml"]);
    signal(&child, "KILL");
    child.wait().unwrap();
    eventually("the orphan is gone", || !lives(&folder));
    // The long call will be quick this time.
    folder.write("plan.yaml", &PLAN.replace("sleep 300", "echo quick"));
    let ran = folder.run(&["resume", "--json"]).expect_code(0);
    let events = parse_lines(&ran.out);
    let by_id = outcomes(&events);
    assert_eq!(by_id["done"]["reused"], true);
    assert_eq!(by_id["never"]["status"], "ok");
    assert_eq!(folder.read("effects"), "finished\n", "a completed call was run again");
}

#[test]
fn a_run_that_is_in_use_says_by_whom() {
    let folder = Folder::with_plan(PLAN);
    let mut child = started(&folder, &["run", "plan.yaml"]);
    let second = folder.run(&["resume"]).expect_code(4);
    assert!(second.err.contains(&child.id().to_string()), "{}", second.err);
    signal(&child, "INT");
    child.wait().unwrap();
}
