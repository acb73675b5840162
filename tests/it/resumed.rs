//! Going on with a run: what is reused, what runs again, and what is said of it beforehand.

use serde_json::Value;

use crate::support::{Folder, eventually, outcomes, parse_lines};

/// Two calls that are done, one that fails, one that needs it, one that stands alone.
const PLAN: &str = r#"
name: shaky
calls:
  one: { run: "echo one >> effects; echo 1" }
  two: { run: "echo two >> effects; cat input || true", needs: [one] }
  bad: { run: "echo bad >> effects; test -e fixed", retries: 0 }
  after: { run: "echo after >> effects; echo done", needs: [bad] }
"#;

fn failed() -> Folder {
    let folder = Folder::with_plan(PLAN);
    folder.run(&["run", "plan.yaml"]).expect_code(1);
    folder
}

fn effects(folder: &Folder) -> Vec<String> {
    let mut lines: Vec<String> = folder.read("effects").lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Runs the plan until `started` is there, then kills fanout with SIGKILL.
fn killed(plan: &str) -> Folder {
    let folder = Folder::with_plan(plan);
    let mut child = folder.start(&["run", "plan.yaml"]);
    eventually("the call runs", || folder.path().join("started").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    folder
}

fn resumed(folder: &Folder, args: &[&str]) -> std::collections::HashMap<String, Value> {
    let mut all = vec!["resume", "--last", "--json"];
    all.extend(args);
    outcomes(&parse_lines(&folder.run(&all).out))
}

#[test]
fn a_dry_run_says_what_would_run_and_does_and_writes_nothing() {
    let folder = failed();
    let before = (effects(&folder), folder.run(&["show", "--json"]).out);
    let ran = folder.run(&["resume", "--dry-run", "-o", "json"]).expect_code(0);
    let forecast: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(forecast["reused"], serde_json::json!(["one", "two"]));
    assert_eq!(forecast["runs"][0]["id"], "bad");
    assert!(forecast["runs"][0]["reason"].as_str().unwrap().contains("exit status 1"), "{forecast}");
    assert_eq!(forecast["after"], serde_json::json!(["after"]));
    let text = folder.run(&["resume", "--dry-run"]).expect_code(0).out;
    assert!(text.contains("reuse  one, two") && text.contains("run    bad"), "{text}");
    assert_eq!(before, (effects(&folder), folder.run(&["show", "--json"]).out));
}

#[test]
fn only_what_failed_and_what_follows_runs_again() {
    let folder = failed();
    folder.write("fixed", "");
    let ran = folder.run(&["resume", "--only-failed"]).expect_code(0);
    assert!(ran.err.contains("run    bad"), "said before starting: {}", ran.err);
    assert_eq!(effects(&folder), ["after", "bad", "bad", "one", "two"]);
    folder.run(&["resume", "--only-failed"]).expect_code(2);
}

#[test]
fn from_a_call_on_everything_is_done_anew_even_after_a_success() {
    let folder = failed();
    folder.write("fixed", "");
    folder.run(&["resume"]).expect_code(0);
    let refused = folder.run(&["resume"]).expect_code(2);
    assert!(refused.err.contains("--from CALL"), "{}", refused.err);
    folder.run(&["resume", "--from", "bad"]).expect_code(0);
    assert_eq!(effects(&folder), ["after", "after", "bad", "bad", "bad", "one", "two"]);
    let typo = folder.run(&["resume", "--from", "bat"]).expect_code(2);
    assert!(typo.err.contains("did you mean `bad`?"), "{}", typo.err);
}

#[test]
fn a_changed_plan_reuses_exactly_what_is_unchanged_and_says_so_first() {
    let folder = failed();
    folder.write(
        "plan.yaml",
        &PLAN.replace("cat input || true", "echo changed").replace("test -e fixed", "true"),
    );
    let ran = folder.run(&["resume"]).expect_code(0);
    assert!(ran.err.contains("changed since the run began: plan.yaml"), "{}", ran.err);
    assert!(ran.err.contains("reuse  one\n"), "{}", ran.err);
    assert!(
        ran.err.contains("two") && ran.err.contains("its inputs or its settings have changed"),
        "{}",
        ran.err
    );
    assert_eq!(effects(&folder), ["after", "bad", "bad", "one", "two", "two"]);
}

#[test]
fn a_plan_that_is_gone_is_resumed_as_it_was() {
    let folder = failed();
    folder.write("fixed", "");
    std::fs::remove_file(folder.path().join("plan.yaml")).unwrap();
    let ran = folder.run(&["resume"]).expect_code(0);
    assert!(ran.err.contains("is gone; going on with the plan as it was"), "{}", ran.err);
    assert_eq!(effects(&folder), ["after", "bad", "bad", "one", "two"]);
}

#[test]
fn a_resumed_run_keeps_to_what_was_selected_when_it_began() {
    let folder = Folder::with_plan(PLAN);
    folder.run(&["run", "plan.yaml", "--only", "two", "--only", "bad"]).expect_code(1);
    folder.write("fixed", "");
    folder.run(&["resume"]);
    assert_eq!(effects(&folder), ["bad", "bad", "one", "two"]);
}

const LONG: &str = r#"
name: long
calls:
  deploy: { run: "echo deploy >> effects; test -e started && exit; touch started; sleep 300", on_interrupt: HOW }
"#;

#[test]
fn a_command_that_was_cut_off_is_repeated_and_marked_by_default() {
    let folder = killed(&LONG.replace("HOW", "retry"));
    let by_id = resumed(&folder, &[]);
    assert_eq!(by_id["deploy"]["status"], "ok");
    assert_eq!(by_id["deploy"]["interrupted"], 1);
    assert_eq!(effects(&folder), ["deploy", "deploy"]);
    let shown = folder.run(&["show"]).expect_code(0).out;
    assert!(shown.contains("repeated: fanout was killed while it ran"), "{shown}");
}

#[test]
fn a_command_that_must_not_be_repeated_fails_by_name_until_the_person_resumes_again() {
    let folder = killed(&LONG.replace("HOW", "fail"));
    let dry = folder.run(&["resume", "--dry-run"]).expect_code(0).out;
    assert!(dry.contains("on_interrupt: fail"), "{dry}");
    let by_id = resumed(&folder, &[]);
    assert_eq!(by_id["deploy"]["cause"]["code"], "cut_off");
    assert_eq!(effects(&folder), ["deploy"]);
    assert_eq!(resumed(&folder, &[])["deploy"]["status"], "ok");
    assert_eq!(effects(&folder), ["deploy", "deploy"]);
}

#[test]
fn a_person_decides_about_a_repeat_where_the_plan_says_ask() {
    for (answer, status, times) in [(None, "blocked", 1), (Some("no"), "failed", 1), (Some("yes"), "ok", 2)] {
        let folder = killed(&LONG.replace("HOW", "ask"));
        let given = answer.map(|answer| format!("deploy={answer}"));
        let args: Vec<&str> = given.iter().flat_map(|given| ["--answer", given.as_str()]).collect();
        assert_eq!(resumed(&folder, &args)["deploy"]["status"], status);
        assert_eq!(effects(&folder).len(), times, "{answer:?}");
    }
}

#[test]
fn rounds_that_are_done_are_not_done_again() {
    let plan = r#"
name: rounds
calls:
  step:
    run: "echo {{ round }} >> effects; if [ {{ round }} = 3 ] && ! [ -e started ]; then touch started; sleep 300; fi; echo {{ round }}"
    repeat: { until: "round >= 4", max: 9 }
"#;
    let folder = killed(plan);
    let by_id = resumed(&folder, &[]);
    assert_eq!(by_id["step"]["output"]["text"], "4");
    assert_eq!(effects(&folder), ["1", "2", "3", "3", "4"]);
}
