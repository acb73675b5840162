//! Every call ends in one outcome with its cause, and nobody turns it into another.

use crate::support::{Folder, outcomes};

const MIXED: &str = r#"
calls:
  good: { run: echo fine }
  bad: { run: "echo partial; echo why >&2; exit 3" }
  slow: { run: sleep 60, timeout: 300ms }
  off: { run: echo never, when: "false" }
  silent: { run: "true" }
  after: { run: "echo {{ calls.bad.output }}" }
"#;

#[test]
fn failed_timed_out_skipped_and_empty_are_four_different_outcomes() {
    let folder = Folder::with_plan(MIXED);
    let (events, ran) = folder.events(&[]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    let by_id = outcomes(&events);
    let word = |id: &str| {
        let outcome = &by_id[id];
        let code = outcome["cause"]["code"].as_str().unwrap_or("none");
        format!("{} {code}", outcome["status"].as_str().unwrap())
    };
    assert_eq!(word("good"), "ok none");
    assert_eq!(word("bad"), "failed exit_status");
    assert_eq!(word("slow"), "timed_out timeout");
    assert_eq!(word("off"), "skipped when_false");
    assert_eq!(word("silent"), "ok none");
    assert_eq!(word("after"), "skipped need_failed");
    let census = &events.last().unwrap()["census"];
    assert_eq!(census["planned"], 6);
    assert_eq!(census["empty"], 1, "{census}");
    assert_eq!(census["by_status"]["skipped"], 2);

    let shown = folder.run(&["show"]);
    for words in ["failed", "timed out", "skipped", "ok but empty"] {
        assert!(shown.out.contains(words), "{words} is missing:\n{}", shown.out);
    }
}

#[test]
fn only_skips_by_their_own_when_leave_the_run_a_success() {
    let folder =
        Folder::with_plan("calls:\n  off: { run: echo x, when: \"false\" }\n  on: { run: echo y }\n");
    folder.run(&["run", "plan.yaml"]).expect_code(0);
}

#[test]
fn what_a_plan_ignores_does_not_fail_the_run_but_what_needs_it_is_skipped_and_counts() {
    let plan = "calls:\n  shaky: { run: exit 1, on_error: ignore }\n  fine: { run: echo y }\n";
    Folder::with_plan(plan).run(&["run", "plan.yaml"]).expect_code(0);
    let folder = Folder::with_plan(&format!("{plan}  after: {{ run: echo x, needs: [shaky] }}\n"));
    let (events, ran) = folder.events(&[]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert_eq!(outcomes(&events)["after"]["cause"]["code"], "need_failed");
}

#[test]
fn everyone_dead_never_reads_as_nothing_found() {
    let folder = Folder::with_plan("calls:\n  a: { run: exit 1 }\n  b: { run: exit 2 }\n");
    let ran = folder.run(&["run", "plan.yaml"]).expect_code(1);
    assert!(ran.out.contains("2 failed"), "{}", ran.out);
}

#[test]
fn require_counts_and_shares_are_kept() {
    let plan = |require: &str| {
        format!(
            "require: {require}\ncalls:\n  a: {{ run: echo a }}\n  b: {{ run: echo b }}\n  c: {{ run: exit 1 }}\n"
        )
    };
    for (require, code) in [("2", 0), ("60%", 0), ("3", 1), ("all", 1), ("{ a: all }", 0), ("{ c: all }", 1)]
    {
        let ran = Folder::with_plan(&plan(require)).run(&["run", "plan.yaml"]);
        assert_eq!(ran.code, code, "require: {require}\n{}{}", ran.out, ran.err);
    }
}

#[test]
fn fail_on_sees_the_reconciled_result() {
    let plan = "fail_on: reconcile.json.groups | length > 1\nreconcile: { strategy: compare }\ncalls:\n  a: { run: echo same }\n  b: { run: echo B }\n";
    let ran = Folder::with_plan(plan).run(&["run", "plan.yaml"]).expect_code(1);
    assert!(ran.out.contains("fail_on"), "{}", ran.out);
    let same = plan.replace("echo B", "echo same");
    Folder::with_plan(&same).run(&["run", "plan.yaml"]).expect_code(0);
}
