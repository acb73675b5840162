//! Findings of several agents become one list that a person can read.

use crate::support::{Folder, repository};

fn shipped() -> std::path::PathBuf {
    repository().join("plans/merge-findings.yaml")
}

#[test]
fn the_shipped_merge_says_who_found_what_and_what_is_in_dispute() {
    let folder = Folder::new();
    let ran = folder.run(&["run", shipped().to_str().unwrap()]).expect_code(0);
    let start = ran.out.find("reconcile: merge").expect("the parent's step is shown");
    let end = ran.out[start..].find("exit status").map_or(ran.out.len(), |at| start + at);
    let told: Vec<&str> = ran.out[start..end].lines().skip(1).collect();
    let told = told[..told.len() - 1].join("\n");
    insta::assert_snapshot!(told);
}

/// Three agents about two things; the first two differ about the severity of one.
const PLAN: &str = r#"
defaults: { output: { format: json } }
calls:
  a: { run: [echo, '[{"file": "x.c", "line": 7, "title": "Buffer overflow in parse_name", "severity": "high"}]'] }
  b: { run: [echo, '[{"file": "./x.c", "line": 9, "title": "parse_name overflows its buffer", "severity": "low"}]'] }
  c: { run: [echo, '[{"file": "y.c", "line": 1, "title": "Header is never included", "severity": "low"}]'] }
reconcile:
  strategy: merge
  key: [/file, { /line: 5 }]
  similar: { on: /title }
  conflicts: /severity
"#;

fn plan(more: &str) -> Folder {
    Folder::with_plan(&format!("{}{more}\n", PLAN.trim_start()))
}

#[test]
fn a_conflict_can_fail_the_run_with_its_own_exit_status() {
    let ran = plan("  on_conflict: fail").run(&["run", "plan.yaml"]).expect_code(3);
    let all = format!("{}{}", ran.out, ran.err);
    assert!(all.contains("`/severity` is high for a and low for b"), "{all}");
}

#[test]
fn a_preferred_agent_has_the_last_word_and_few_finders_are_left_out() {
    let folder = plan("  on_conflict: { prefer: [b] }\n  keep: { min_agree: 2 }");
    let ran = folder.run(&["run", "plan.yaml"]).expect_code(0);
    assert!(ran.out.contains("1 found by 2 or more"), "{}", ran.out);
    assert!(ran.out.contains("1 item was found by fewer than 2 and left out"), "{}", ran.out);
    assert!(!ran.out.contains("IN DISPUTE"), "{}", ran.out);
}

#[test]
fn wrong_settings_are_found_before_anything_starts() {
    for (more, expected) in [
        ("  keep: { min_agre: 2 }", "did you mean `min_agree`?"),
        ("  on_conflict: { prefer: [nobody] }", "nobody"),
        ("  normalize: upper", "there is no `upper`"),
    ] {
        let folder = plan(more);
        let ran = folder.run(&["run", "plan.yaml"]).expect_code(2);
        assert!(ran.err.contains(expected), "{more}: {}", ran.err);
        assert!(!folder.path().join(".fanout").exists(), "something was started");
    }
}
