//! A plan is found wrong before it costs anything; the plans that ship are right.

use std::io::Write as _;
use std::process::Stdio;

use crate::support::{Folder, Ran, repository};

const TEN: &str = "\
version: 1
nmae: ten mistakes
limits: { concurrency: many, time: 20 }
calls:
  one: { promt: hello }
  two: { run: echo x, needs: [tree] }
  three: { run: \"echo {{ calls.two.outptu }}\" }
  four: { run: \"echo '{{ calls.three.output }}'\" }
  five: { run: echo x, timeout: 5 }
  six: { run: echo x, needs: [seven] }
  seven: { run: echo x, needs: [six] }
  eight: { run: \"echo {% if vars.missing %}x{% endif %}\" }
  two: { run: echo again }
  nine: { run: echo x, on_error: explode }
";

#[test]
fn ten_mistakes_are_ten_findings_each_at_its_place_and_nothing_starts() {
    let folder = Folder::with_plan(TEN);
    let ran = folder.run(&["run", "plan.yaml"]).expect_code(2);
    assert!(!folder.path().join(".fanout").exists(), "something was started");
    insta::assert_snapshot!(ran.err);
    let json = folder.run(&["validate", "plan.yaml", "--json"]).expect_code(2);
    let found: Vec<serde_json::Value> = serde_json::from_str(&json.out).unwrap();
    let errors: Vec<&serde_json::Value> = found.iter().filter(|d| d["severity"] == "error").collect();
    let lines: std::collections::BTreeSet<u64> = errors.iter().map(|d| d["line"].as_u64().unwrap()).collect();
    assert!(errors.len() >= 10, "{}", json.out);
    for line in [2, 3, 5, 6, 7, 8, 9, 10, 12, 13, 14] {
        assert!(
            lines.contains(&line) || lines.contains(&(line + 1)),
            "line {line} has no finding: {lines:?}"
        );
    }
}

fn shipped() -> Vec<std::path::PathBuf> {
    let mut plans: Vec<_> = std::fs::read_dir(repository().join("plans"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    plans.sort();
    plans
}

#[test]
fn every_plan_that_ships_is_valid_and_can_be_drawn_and_explained() {
    let folder = Folder::new();
    assert!(shipped().len() >= 5);
    for plan in shipped() {
        let plan = plan.to_str().unwrap();
        let vars = ["--var", "topic=x", "--var", "test=x"];
        // A var that a plan does not have is a mistake, so each plan gets only its own.
        let text = std::fs::read_to_string(plan).unwrap();
        let given: Vec<&str> = vars
            .chunks(2)
            .filter(|pair| text.contains(&format!("\n  {}:", pair[1].split('=').next().unwrap())))
            .flatten()
            .copied()
            .collect();
        for command in ["validate", "graph", "explain"] {
            let mut args = vec![command, plan];
            args.extend(&given);
            let ran = folder.run_with(&[("ANTHROPIC_API_KEY", "k")], &args).expect_code(0);
            assert!(!ran.err.contains("warning"), "{plan}: {}", ran.err);
        }
        for format in ["mermaid", "dot"] {
            let mut args = vec!["graph", plan, "--format", format];
            args.extend(&given);
            folder.run_with(&[("ANTHROPIC_API_KEY", "k")], &args).expect_code(0);
        }
    }
}

#[test]
fn the_keyless_demo_runs_on_this_repository() {
    let folder = Folder::new();
    let plan = repository().join("plans/attention.yaml");
    let ran = folder.run(&["run", plan.to_str().unwrap()]).expect_code(0);
    for id in ["size", "panics", "fanin", "both", "dependencies"] {
        assert!(ran.out.contains(id), "{id}:\n{}", ran.out);
    }
    // A list may well be empty: what the demo finds is the state of this repository.
    assert!(ran.out.contains("5 calls"), "{}", ran.out);
}

#[test]
fn the_ci_batch_runs_with_other_checks() {
    let folder = Folder::new();
    let plan = repository().join("plans/ci-checks.yaml");
    let checks = folder
        .write("checks.yaml", "checks:\n  - { name: good, run: 'true' }\n  - { name: bad, run: 'false' }\n");
    let args = ["run", plan.to_str().unwrap(), "--vars-file", checks.to_str().unwrap()];
    let ran = folder.run(&args).expect_code(1);
    assert!(ran.out.contains("1 of 2"), "{}", ran.out);
}

#[test]
fn a_starter_plan_validates_and_runs_and_is_never_overwritten() {
    let folder = Folder::new();
    folder.run(&["init"]).expect_code(0);
    folder.run(&["validate", "plan.yaml"]).expect_code(0);
    folder.write("some.txt", "x");
    folder.run(&["run", "plan.yaml"]).expect_code(0);
    let again = folder.run(&["init"]).expect_code(2);
    assert!(again.err.contains("--force"), "{}", again.err);
}

#[test]
fn the_schema_takes_the_shipped_plans_and_refuses_a_wrong_one() {
    let folder = Folder::new();
    let schema: serde_json::Value =
        serde_json::from_str(&folder.run(&["schema"]).expect_code(0).out).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for plan in shipped() {
        // Merge keys are YAML's own and gone before a schema sees the plan.
        let text = std::fs::read_to_string(&plan).unwrap();
        if text.contains("<<:") {
            continue;
        }
        let value: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        let faults: Vec<String> =
            validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(faults.is_empty(), "{}: {faults:#?}", plan.display());
    }
    let wrong = serde_json::json!({"calls": {"a": {"promt": "x"}}});
    assert!(!validator.is_valid(&wrong));
}

#[test]
fn strict_makes_warnings_count() {
    let plan = "vars: { unused: 1 }\ncalls:\n  a: { run: echo a }\n";
    let folder = Folder::with_plan(plan);
    assert!(folder.run(&["validate", "plan.yaml"]).expect_code(0).err.contains("unused"));
    folder.run(&["validate", "plan.yaml", "--strict"]).expect_code(2);
    folder.run(&["run", "plan.yaml", "--strict"]).expect_code(2);
}
#[test]
fn a_plan_from_standard_input_runs_is_resumed_and_is_told_by_its_name() {
    let folder = Folder::new();
    let piped = |args: &[&str], plan: &str| {
        let mut child = folder
            .fanout(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(plan.as_bytes()).unwrap();
        Ran::of(child.wait_with_output().unwrap())
    };
    let plan =
        "calls:\n  a: { run: echo one }\n  b: { run: \"test -e there && echo {{ calls.a.output }}\" }\n";
    let ran = piped(&["run", "-"], plan);
    assert_eq!(ran.code, 1, "{}", ran.err);
    folder.write("there", "");
    let resumed = folder.run(&["resume"]);
    assert_eq!(resumed.code, 0, "{}", resumed.err);
    assert!(
        resumed.err.contains("resume   ok=1 of 2") && !resumed.err.contains("is gone"),
        "{}",
        resumed.err
    );
    let wrong = piped(&["validate", "-"], "calls:\n  a: { rum: ls }\n");
    assert_eq!(wrong.code, 2);
    assert!(
        wrong.err.contains("--> <stdin>:2:8") && wrong.err.contains("<stdin> has 1 error"),
        "{}",
        wrong.err
    );
    let id = piped(&["run", "-", "--detach"], plan);
    assert_eq!(folder.run(&["wait", id.out.trim()]).code, 0, "{}", id.err);
}

#[test]
fn a_missing_plan_and_a_missing_model_say_what_to_do() {
    let folder = Folder::with_plan("calls:\n  a: { prompt: hello }\n");
    let missing = folder.run(&["run", "plna.yaml"]).expect_code(2);
    assert!(missing.err.contains("plna.yaml"), "{}", missing.err);
    let no_model = folder.run(&["run", "plan.yaml"]).expect_code(2);
    assert!(
        no_model.err.contains("ANTHROPIC_API_KEY") && no_model.err.contains("FANOUT_MODEL"),
        "{}",
        no_model.err
    );
}

#[test]
fn a_vote_counts_who_answered_and_names_who_did_not() {
    let folder = Folder::new();
    let plan = repository().join("plans/vote.yaml");
    let ran = folder.run(&["run", plan.to_str().unwrap()]).expect_code(0);
    for words in ["3 of 5 answered", "edsger timed out", "tony failed", "revert"] {
        assert!(ran.out.contains(words), "{words}:\n{}", ran.out);
    }
    let text = std::fs::read_to_string(&plan).unwrap().replace("min: 3", "min: 4");
    let ran = Folder::with_plan(&text).run(&["run", "plan.yaml"]).expect_code(1);
    let said = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["3 of 5 answered, and 4", "edsger timed out", "tony failed"] {
        assert!(said.contains(words), "{words}:\n{}", ran.out);
    }
}

#[test]
fn the_best_of_three_is_the_shortest_that_passes_its_check() {
    let plan = repository().join("plans/best-of-three.yaml");
    let ran = Folder::new().run(&["run", plan.to_str().unwrap(), "-o", "json"]).expect_code(0);
    let result: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let reconciled = result["reconcile"]["json"].to_string();
    assert!(reconciled.contains("\"gregorian\""), "{reconciled}");
    assert_eq!(result["calls"][0]["cause"]["code"], "check_failed", "{}", result["calls"][0]);
}

#[test]
fn what_is_the_same_answer_can_be_an_expression() {
    let plan = "calls:\n  a: { run: echo 'v1.2 (linux)' }\n  b: { run: echo 'v1.2 (mac)' }\nreconcile: { strategy: compare, normalize: [{ expression: \"output | split(' ') | first\" }] }\nfail_on: reconcile.json.groups | length != 1\n";
    Folder::with_plan(plan).run(&["run", "plan.yaml"]).expect_code(0);
}

#[test]
fn the_parent_settles_what_reviewers_disagree_on_and_says_why() {
    let plan = repository().join("plans/decide.yaml");
    let ran = Folder::new().run(&["run", plan.to_str().unwrap()]).expect_code(0);
    for words in [
        "Decided by the parent (cat)",
        "critical, as codex said",
        "not high (claude, gemini)",
        "because Two workers",
    ] {
        assert!(ran.out.contains(words), "{words}:\n{}", ran.out);
    }
}

#[test]
fn a_synthesis_names_the_calls_that_each_claim_rests_on() {
    let plan = repository().join("plans/synthesize.yaml");
    let ran = Folder::new().run(&["run", plan.to_str().unwrap()]).expect_code(0);
    for words in
        ["renamed `refresh_token` [history]", "history: “rename refresh_token to renewToken”", "Unresolved"]
    {
        assert!(ran.out.contains(words), "{words}:\n{}", ran.out);
    }
}

#[test]
fn recorded_answers_are_compared_and_a_program_of_ones_own_decides() {
    let run = |name: &str| {
        let plan = repository().join("plans").join(name);
        Folder::new().run(&["run", plan.to_str().unwrap()]).expect_code(0).out
    };
    let compared = run("compare-answers.yaml");
    for words in ["1. ada, grace (2 of", "≠ /evicts", "│ FIFO ", "+ /bug"] {
        assert!(compared.contains(words), "{words}:\n{compared}");
    }
    let own = run("own-program.yaml");
    assert!(own.contains("reconcile: command") && own.contains("\n  8\n"), "{own}");
}

#[test]
fn a_finished_run_is_reconciled_another_way_with_nothing_called_again() {
    let plan = "calls:\n  a: { run: \"echo x >> made; echo yes\" }\n  b: { run: \"echo x >> made; echo yes\" }\n  \
                c: { run: \"echo x >> made; echo no\" }\n  dead: { run: exit 3, on_error: ignore }\n";
    let folder = Folder::with_plan(plan);
    folder.run(&["run", "plan.yaml"]).expect_code(0);
    let vote =
        folder.run(&["reconcile", "last", "--strategy", "vote", "--set", "rule=majority"]).expect_code(0);
    for words in ["3 of 4 answered · by majority", "yes wins: 2 of 3 votes", "dead failed"] {
        assert!(vote.out.contains(words), "{words}:\n{}", vote.out);
    }
    folder.write(
        "step.yaml",
        "reconcile: { strategy: vote, rule: unanimity, on_conflict: fail, of: [a, c] }\n",
    );
    let json = folder.run(&["reconcile", "last", "-f", "step.yaml", "-o", "json"]).expect_code(3);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["json"]["census"]["asked"], 2);
    folder.run(&["reconcile", "last", "--strategy", "vote", "--set", "min=4"]).expect_code(1);
    for (args, words) in [
        (vec!["--strategy", "voet"], "did you mean `vote`?"),
        (vec!["--strategy", "vote", "--set", "rule=most"], "`rule`"),
        (vec!["--strategy", "vote", "--of", "nobody"], "there is no call `nobody`"),
        (vec!["--strategy", "synthesize", "--set", "prompt=Which?"], "`--parent MODEL` names who is asked"),
    ] {
        let args: Vec<&str> = ["reconcile", "last"].into_iter().chain(args).collect();
        let refused = folder.run(&args).expect_code(2);
        assert!(refused.err.contains(words), "{words}:\n{}", refused.err);
    }
    assert_eq!(folder.read("made"), "x\nx\nx\n");
}

#[test]
fn calls_of_a_run_are_compared_and_two_runs_too() {
    let folder = Folder::with_plan("calls:\n  a: { run: cat a }\n  b: { run: echo same }\n");
    folder.write("a", "one\ntwo\n");
    folder.run(&["run", "plan.yaml"]).expect_code(0);
    let calls = folder.run(&["compare", "last", "a", "b"]).expect_code(0);
    assert!(calls.out.contains("2 of 2 answered · no two the same"), "{}", calls.out);
    let first = std::fs::read_dir(folder.path().join(".fanout/runs")).unwrap().next().unwrap().unwrap();
    let first = first.file_name().into_string().unwrap();
    folder.write("a", "one\nthree\n");
    folder.run(&["run", "plan.yaml"]).expect_code(0);
    let runs = folder.run(&["compare", &first, "last"]).expect_code(0);
    for words in ["1 of 2 the same", "a  changed", "≠ two", "│ three", "b  same"] {
        assert!(runs.out.contains(words), "{words}:\n{}", runs.out);
    }
    let json = folder.run(&["compare", &first, "last", "-o", "json"]).expect_code(0);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        (&json["calls"][0]["change"], &json["calls"][1]["change"]),
        (&"changed".into(), &"same".into())
    );
}
