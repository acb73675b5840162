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
    let markdown = folder.run(&["show", "-o", "markdown"]);
    assert!(markdown.out.contains("The bad one"), "{}", markdown.out);
}
