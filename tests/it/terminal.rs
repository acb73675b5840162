//! Every kind of terminal, and none.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::support::{Folder, Ran};

const PLAN: &str = r#"
name: look
calls:
  one: { description: The first one, run: "echo hello; printf '\\033[31mred\\033[0m\\n'" }
  two: { description: The second one, run: "seq 1 500" }
  bad: { description: The bad one, run: "echo broken >&2; exit 1" }
"#;

#[test]
fn a_reader_that_has_seen_enough_ends_nothing() {
    let folder = Folder::with_plan(PLAN);
    for args in [&["run", "plan.yaml"][..], &["run", "plan.yaml", "--json"], &["show"], &["schema"]] {
        let mut child = folder.start(args);
        let mut first = String::new();
        {
            let mut out = BufReader::with_capacity(64, child.stdout.take().unwrap());
            out.read_line(&mut first).unwrap();
            // Dropped here: the pipe is closed while the program still writes.
        }
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let code = child.wait().unwrap().code().unwrap();
        assert!(!first.is_empty(), "{args:?}");
        assert!(!err.contains("panicked"), "{args:?}: {err}");
        let expected = i32::from(args[0] == "run");
        assert_eq!(code, expected, "{args:?}: the exit status is the run's: {err}");
    }
}

#[test]
fn standard_error_may_be_closed_too() {
    let folder = Folder::with_plan(PLAN);
    let mut command = folder.fanout(&["run", "plan.yaml"]);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn no_colour_and_no_cursor_movement_where_none_is_wanted() {
    let folder = Folder::with_plan(PLAN);
    for env in [&[("NO_COLOR", "1")][..], &[("TERM", "dumb")], &[]] {
        let ran = folder.run_with(env, &["run", "plan.yaml"]).expect_code(1);
        assert!(
            !ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'),
            "{env:?}\n{}\n{}",
            ran.out,
            ran.err
        );
        assert!(ran.out.contains("red"), "the text of a coloured output stays");
    }
    let forced = folder.run_with(&[("CLICOLOR_FORCE", "1")], &["run", "plan.yaml"]);
    assert!(forced.out.contains("\u{1b}["), "{}", forced.out);
    assert!(!forced.out.contains("\u{1b}[31mred"), "what a call printed never colours the terminal");
}

#[test]
fn plain_lines_tell_the_story_without_a_terminal() {
    let folder = Folder::with_plan(PLAN);
    let ran = folder.run(&["run", "plan.yaml"]);
    for id in ["one", "two", "bad"] {
        assert!(ran.err.lines().filter(|line| line.contains(id)).count() >= 2, "{id}:\n{}", ran.err);
    }
    let quiet = folder.run(&["run", "plan.yaml", "--quiet"]);
    assert!(quiet.err.contains("bad") && !quiet.err.contains("two"), "{}", quiet.err);
}

#[test]
fn forty_columns_are_enough() {
    let folder = Folder::with_plan(PLAN);
    let ran = folder.run_with(&[("COLUMNS", "40")], &["run", "plan.yaml"]);
    let frame = |line: &&str| !line.starts_with("  ") && line.chars().count() > 40;
    let wide: Vec<&str> = ran.out.lines().filter(frame).collect();
    assert!(wide.is_empty(), "{wide:#?}");
}

#[test]
fn an_old_run_is_shown_exactly_as_it_looked() {
    let folder = Folder::with_plan(PLAN);
    let then = folder.run(&["run", "plan.yaml"]);
    let now = folder.run(&["show"]);
    assert_eq!(now.out, then.out);
    assert_eq!(now.code, 0);
    let raw = folder.fanout(&["show", "last", "two", "--raw"]).output().unwrap();
    let raw = Ran::of(raw).expect_code(0);
    assert_eq!(raw.out.lines().count(), 500);
}

#[test]
fn results_come_as_json_and_markdown_too() {
    let folder = Folder::with_plan(PLAN);
    let json = folder.run(&["run", "plan.yaml", "--output", "json"]);
    let value: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&value["success"], &value["exit"]), (&false.into(), &1.into()));
    assert_eq!(value["calls"].as_array().unwrap().len(), 3);
    let yaml = folder.run(&["show", "-o", "yaml"]).expect_code(0);
    let json = folder.run(&["show", "-o", "json"]).expect_code(0);
    let read: serde_json::Value = serde_yaml::from_str(&yaml.out).unwrap();
    assert_eq!(read, serde_json::from_str::<serde_json::Value>(&json.out).unwrap());
    let markdown = folder.run(&["show", "-o", "markdown"]);
    assert!(markdown.out.contains("The bad one"), "{}", markdown.out);
}

#[test]
fn a_run_that_goes_on_is_shown_as_one_that_goes_on() {
    let folder = Folder::with_plan(
        "name: slow\ncalls:\n  first: { run: echo done }\n  long: { needs: [first], run: 'touch here; read x < pipe' }\n",
    );
    assert!(std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap().success());
    let mut child = folder.start(&["run", "plan.yaml"]);
    while !folder.path().join("here").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its time");
        std::thread::yield_now();
    }
    let shown = folder.run(&["show"]).expect_code(0);
    assert!(shown.out.contains("still going on") && shown.out.contains("still at work"), "{}", shown.out);
    assert!(!shown.out.contains("did not"), "{}", shown.out);
    let value: serde_json::Value = serde_json::from_str(&folder.run(&["show", "-o", "json"]).out).unwrap();
    assert_eq!((&value["running"], &value["finished"]), (&true.into(), &false.into()));
    folder.write("pipe", "x\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let over = folder.run(&["show"]).expect_code(0);
    assert!(!over.out.contains("still"), "{}", over.out);
}

#[test]
fn advice_comes_with_the_results_and_not_with_quiet() {
    let folder = Folder::with_plan(
        "name: narrow\nlimits: { concurrency: 1 }\ncalls:\n  a: { run: sleep 1.1 }\n  b: { run: sleep 1.1 }\n",
    );
    let ran = folder.run(&["run", "plan.yaml"]).expect_code(0);
    let last = ran.out.lines().rfind(|line| line.contains("Advice:")).unwrap_or_default();
    assert!(last.contains("1 call waited for a place under `limits.concurrency: 1`"), "{}", ran.out);
    let value: serde_json::Value = serde_json::from_str(&folder.run(&["show", "-o", "json"]).out).unwrap();
    assert_eq!(value["advice"][0]["code"], "concurrency");
    let quiet = folder.run(&["run", "plan.yaml", "--quiet"]).expect_code(0);
    assert!(!quiet.out.contains("Advice"), "{}", quiet.out);
}
