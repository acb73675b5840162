//! What the parent computed, as a person sees it: every strategy, at 40, 80 and 200 columns, with and
//! without colour.

use crate::support::{Folder, repository};

/// The parent's last step of the last run, at every width.
fn shown(folder: &Folder, color: bool) -> String {
    let mut all = String::new();
    for width in ["40", "80", "200"] {
        let color = if color { "1" } else { "0" };
        let ran = folder.run_with(&[("COLUMNS", width), ("CLICOLOR_FORCE", color)], &["show", "last"]);
        let start = ran.out.find("reconcile").expect("the parent's step is shown");
        let start = ran.out[..start].rfind('\n').map_or(0, |at| at + 1);
        let census = ["calls planned", "calls, all ok"].iter().filter_map(|words| ran.out.find(words)).min();
        let end = ran.out[..census.expect("there is a census")].rfind('\n').unwrap();
        all.push_str(&format!("{width} columns\n{}\n", ran.out[start..end].trim_end()));
    }
    all.replace('\x1b', "<esc>")
}

/// The part of the Markdown report about it.
fn in_markdown(folder: &Folder) -> String {
    folder.run(&["report", "--format", "markdown", "-o", "report.md"]).expect_code(0);
    let report = folder.read("report.md");
    let from = report.find("## Reconciliation\n").expect("the parent's step is in the report");
    let rest = &report[from..];
    rest[3..].split("\n## ").next().unwrap().trim_end().to_owned()
}

fn look(name: &str, folder: &Folder, code: i32, plan: &str) {
    folder.run(&["run", plan]).expect_code(code);
    insta::assert_snapshot!(format!("{name}_markdown"), in_markdown(folder));
    insta::assert_snapshot!(name, shown(folder, false));
    insta::assert_snapshot!(format!("{name}_color"), shown(folder, true));
}

fn shipped(name: &str, plan: &str) {
    let folder = Folder::new();
    look(name, &folder, 0, repository().join("plans").join(plan).to_str().unwrap());
}

fn written(name: &str, plan: &str) {
    look(name, &Folder::with_plan(plan.trim_start()), 0, "plan.yaml");
}

#[test]
fn a_comparison_of_two_texts_stands_side_by_side() {
    written(
        "compare_two",
        r#"
calls:
  ada: { run: "printf 'fn main() {\\n    let n = 3;\\n    for i in 0..n {\\n        say(i);\\n    }\\n}\\n'; seq 1 20" }
  alan: { run: "printf 'fn main() {\\n    let n = 4;\\n    for i in 0..=n {\\n        say(i);\\n    }\\n    done();\\n}\\n'; seq 1 19; echo and some last words that are wider than the column that they stand in" }
reconcile: { strategy: compare }
"#,
    );
}

#[test]
fn a_comparison_of_three_texts_has_three_columns_where_there_is_room() {
    written(
        "compare_three",
        r#"
calls:
  ada: { run: "printf 'The cache evicts by LRU.\\nIts limit is 64 MiB.\\nIt is shared.\\n'" }
  alan: { run: "printf 'The cache evicts by FIFO.\\nIts limit is 64 MiB.\\nIt is shared.\\nNothing expires.\\n'" }
  tony: { run: "printf 'The cache evicts by LRU.\\nIts limit is 32 MiB.\\n'" }
reconcile: { strategy: compare }
"#,
    );
}

#[test]
fn a_comparison_of_thirty_is_groups_with_their_counts() {
    written(
        "compare_thirty",
        r#"
calls:
  a:
    samples: 30
    env: { N: "{{ index }}" }
    run: "case $((N % 5)) in 0|1|2) echo The limit is 64 MiB.;; 3) echo The limit is 32 MiB; echo and it never expires;; *) echo nobody knows $N;; esac"
reconcile: { strategy: compare }
"#,
    );
}

#[test]
fn a_comparison_of_objects_goes_field_by_field() {
    shipped("compare_fields", "compare-answers.yaml");
}

#[test]
fn a_vote_names_who_voted_what_and_who_is_missing() {
    shipped("vote", "vote.yaml");
}

#[test]
fn what_a_vote_leaves_undecided_comes_first_and_abstentions_are_named() {
    written(
        "vote_tie",
        r#"
defaults: { output: { format: json } }
calls:
  a: { run: "echo '{\"risk\": 3, \"verdict\": \"revert\"}'" }
  b: { run: "echo '{\"risk\": 3, \"verdict\": \"fix forward, once somebody has found out who calls it\"}'" }
  c: { run: "echo '{\"risk\": 3}'" }
  d: { run: "echo '{}'" }
reconcile: { strategy: vote, on: [/risk, /verdict], weights: { a: 1, c: 2.5 } }
"#,
    );
}

#[test]
fn a_ranking_shows_who_beats_whom() {
    written(
        "vote_ranked",
        r#"
defaults: { output: { format: json } }
calls:
  a: { run: "echo '[\"x\",\"y\",\"z\"]'" }
  b: { run: "echo '[\"y\",\"x\",\"z\"]'" }
  c: { run: "echo '[\"x\",\"z\"]'" }
reconcile: { strategy: vote, rule: ranked }
"#,
    );
}

#[test]
fn a_merge_is_a_table_with_its_conflicts_first() {
    shipped("merge", "merge-findings.yaml");
}

#[test]
fn merged_objects_are_fields_with_how_many_have_them() {
    written(
        "merge_objects",
        r#"
defaults: { output: { format: json } }
calls:
  a: { run: "echo '{\"db\": {\"host\": \"x\", \"port\": 5432}, \"tags\": [1,2]}'" }
  b: { run: "echo '{\"db\": {\"host\": \"y\", \"port\": 5432}, \"tags\": [2,3], \"new\": true}'" }
reconcile: { strategy: merge }
"#,
    );
}

#[test]
fn the_best_is_a_ranking_with_reasons() {
    shipped("best", "best-of-three.yaml");
}

#[test]
fn a_cross_check_shows_which_candidates_behave_the_same() {
    written(
        "best_cross_check",
        r#"
defaults: { output: { format: json } }
calls:
  a: { run: "echo '{\"passes\": [1,1,0,1]}'" }
  b: { run: "echo '{\"passes\": [1,1,0,1]}'" }
  c: { run: "echo '{\"passes\": [0,1,1,0]}'" }
reconcile: { strategy: best, cross_check: { passes: /passes } }
"#,
    );
}

#[test]
fn what_a_model_decided_stands_with_its_reason() {
    shipped("decide", "decide.yaml");
}

#[test]
fn what_a_model_wrote_stands_with_what_it_rests_on() {
    shipped("synthesize", "synthesize.yaml");
}

#[test]
fn changes_show_both_sides_of_a_conflict_and_what_goes_together() {
    let folder = Folder::new();
    let numbers: String = (1..=40).map(|n| format!("{n}\n")).collect();
    folder.write("numbers.txt", &numbers);
    for args in [
        &["init", "-q"][..],
        &["add", "-A"],
        &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
    ] {
        let git = std::process::Command::new("git").args(args).current_dir(folder.path()).status().unwrap();
        assert!(git.success());
    }
    let plan = repository().join("plans/merge-changes.yaml");
    folder.write("merge-changes.yaml", &std::fs::read_to_string(plan).unwrap());
    look("patch", &folder, 0, "merge-changes.yaml");
}

#[test]
fn a_step_in_the_middle_and_a_run_reconciled_again_have_the_same_layout() {
    let folder = Folder::with_plan(
        "defaults: { output: { format: json } }\ncalls:\n  a: { run: \"echo '{\\\"v\\\": 1}'\" }\n  b: { run: \"echo '{\\\"v\\\": 1}'\" }\n  \
         tally: { reconcile: { of: [a, b], strategy: vote, on: /v } }\n  use: { run: 'echo {{ calls.tally.json.winner }}', output: { format: text } }\n",
    );
    let bar = "    1  ████████████████  2  a, b";
    let ran = folder.run(&["run", "plan.yaml"]).expect_code(0);
    assert!(ran.out.contains(bar), "{}", ran.out);
    let again = folder
        .run(&["reconcile", "last", "--strategy", "vote", "--set", "on=/v", "--of", "a,b"])
        .expect_code(0);
    assert!(again.out.contains(bar.trim_start()), "{}", again.out);
}

#[test]
fn a_step_in_the_middle_is_shown_in_parts_in_every_report() {
    let folder = Folder::with_plan(
        "calls:\n  a: { run: echo yes }\n  b: { run: echo no }\n  c: { run: echo yes }\n  \
         verdict: { reconcile: { of: [a, b, c], strategy: vote } }\n  last: { needs: [verdict], run: echo done }\n",
    );
    folder.run(&["run", "plan.yaml"]).expect_code(0);
    folder.run(&["report", "--format", "html", "-o", "report.html"]).expect_code(0);
    folder.run(&["report", "--format", "markdown", "-o", "report.md"]).expect_code(0);
    let page = folder.read("report.html");
    assert!(page.contains("<table class=\"tally\">") && page.contains("by plurality"), "{page}");
    let markdown = folder.read("report.md");
    assert!(markdown.contains("| yes | 2 | ███████░░░ | a, c |"), "{markdown}");
    let told = folder.run(&["show", "last", "verdict"]).expect_code(0).out;
    assert!(told.contains("3 of 3 answered · by plurality"), "{told}");
}
