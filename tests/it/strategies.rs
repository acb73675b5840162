//! Every strategy: as the last step, in the middle of a plan with its result in a later prompt, and
//! over the instances of an expanded call; and whoever finishes first makes no difference.

use serde_json::Value;

use crate::support::Folder;

/// One way to reconcile.
struct Row {
    name: &'static str,
    /// Keys of a step, but for `of`.
    step: &'static str,
    /// What a later prompt mentions of `calls.STEP`, and what then stands in it.
    mention: &'static str,
    expected: &'static str,
    /// More at the top of the plan.
    plan: &'static str,
    /// What the calls print, or do: `$N` is 0 for the one and 1 for the other.
    work: &'static str,
    /// Keys of the calls.
    call: &'static str,
}

const SAY: &str = r#"echo "{\"v\": \"yes\", \"score\": $N, \"found\": [{\"n\": $N}, {\"n\": 7}]}""#;
const JSON: &str = "output: { format: json }";

const ROW: Row = Row { name: "", step: "", mention: "", expected: "", plan: "", work: SAY, call: JSON };

const ROWS: [Row; 10] = [
    Row { name: "collect", step: "", mention: ".json.results | length", expected: "2", ..ROW },
    Row {
        name: "compare",
        step: "",
        mention: ".json.differences.fields.shared['/v']",
        expected: "yes",
        ..ROW
    },
    Row { name: "vote", step: ", on: /v", mention: ".json.winner", expected: "yes", ..ROW },
    Row {
        name: "merge",
        step: ", items: /found, key: /n",
        mention: ".json.items | length",
        expected: "3",
        ..ROW
    },
    Row { name: "best", step: ", by: /score", mention: ".json.winner.value.score", expected: "1", ..ROW },
    Row {
        name: "command",
        step: ", command: \"grep -o found | wc -l\"",
        mention: ".output",
        expected: "4",
        ..ROW
    },
    Row {
        name: "patch",
        step: "",
        mention: ".json.applied | length",
        expected: "2",
        work: "sed -i \"$((N * 20 + 3))s/.*/changed/\" numbers.txt; echo done",
        call: "isolation: clone",
        ..ROW
    },
    Row {
        name: "synthesize",
        step: ", prompt: What do they say?",
        mention: ".json.answer",
        expected: "Both say yes [",
        plan: "parent: { command: [cat, synthesis.json] }",
        ..ROW
    },
    Row {
        name: "compare",
        step: ", on_conflict: decide",
        mention: ".json.decisions[0].reason",
        expected: "it is so",
        plan: "parent: { command: [cat, decision.json] }",
        work: r#"echo "{\"v\": $N}""#,
        ..ROW
    },
    Row {
        name: "vote",
        step: ", normalize: [{ expression: \"json.v\" }]",
        mention: ".json.winner",
        expected: "yes",
        ..ROW
    },
];

/// A plan that uses the strategy in all places; `slow` is the one that finishes last.
fn plan(row: &Row, slow: usize) -> String {
    let Row { name, step, mention, plan, work, call, .. } = row;
    let late = format!("[ $N = {slow} ] && sleep 0.3; ");
    let work = format!("{late}{work}").replace('\\', "\\\\").replace('"', "\\\"");
    let step = |of: &str| format!("{{ of: [{of}], strategy: {name}{step} }}");
    let prompt =
        |of: &str| format!("{{ agent: reader, prompt: \"Go on from here: {{{{ calls.{of}{mention} }}}}\" }}");
    format!(
        "{plan}\nagents: {{ reader: {{ command: [cat], input: stdin, output: text }} }}\ncalls:\n  \
         a: {{ env: {{ N: '0' }}, run: \"{work}\", {call} }}\n  \
         b: {{ env: {{ N: '1' }}, run: \"{work}\", {call} }}\n  \
         each: {{ samples: 2, env: {{ N: '{{{{ index }}}}' }}, run: \"{work}\", {call} }}\n  \
         middle: {{ reconcile: {} }}\n  over: {{ reconcile: {} }}\n  \
         reads_middle: {}\n  reads_over: {}\nreconcile: {}\n",
        step("a, b"),
        step("each"),
        prompt("middle"),
        prompt("over"),
        step("each"),
    )
}

fn folder(plan: &str) -> Folder {
    let folder = Folder::with_plan(plan);
    folder.write(
        "synthesis.json",
        r#"{"answer": "Both say yes [@A].", "claims": [{"claim": "It is yes", "cites": [{"answer": "A", "quote": ""}]}], "decisions": [{"conflict": 1, "choice": 1, "reason": "so"}, {"conflict": 2, "choice": 0, "reason": "who knows"}], "unresolved": []}"#,
    );
    folder.write("decision.json", r#"{"decisions": [{"conflict": 1, "choice": 1, "reason": "it is so"}]}"#);
    folder.write("numbers.txt", &(1..=40).map(|n| format!("{n}\n")).collect::<String>());
    folder.write(".gitignore", ".fanout/\n");
    let author = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
    for args in [&["init", "-q"][..], &["add", "-A"], &["commit", "-qm", "start"]] {
        let mut git = std::process::Command::new("git");
        assert!(git.args(author).args(args).current_dir(folder.path()).status().unwrap().success());
    }
    folder
}

/// The result of a run, with what differs between any two runs taken out.
fn result(row: &Row, slow: usize) -> (Value, String) {
    let folder = folder(&plan(row, slow));
    let ran = folder.run(&["run", "plan.yaml", "-o", "json"]).expect_code(0);
    let result: Value = serde_json::from_str(&ran.out).unwrap();
    (result, folder.path().canonicalize().unwrap().display().to_string())
}

#[test]
fn every_strategy_can_be_last_in_the_middle_and_over_instances_and_ignores_who_was_first() {
    for row in &ROWS {
        let runs = [result(row, 0), result(row, 1)];
        for (result, _) in &runs {
            let call = |id: &str| {
                let calls = result["calls"].as_array().unwrap();
                calls
                    .iter()
                    .find(|call| call["id"] == id)
                    .unwrap_or_else(|| panic!("{id}: {result:#}"))
                    .clone()
            };
            for reader in ["reads_middle", "reads_over"] {
                let output = call(reader)["output"].as_str().unwrap().to_owned();
                assert!(
                    output.contains("Go on from here:") && output.contains(row.expected),
                    "{} {}: {output}",
                    row.name,
                    row.step
                );
            }
            let last = &result["reconcile"]["json"];
            assert_eq!(last["strategy"], row.name, "{result:#}");
            assert_eq!(last["census"]["asked"], 2, "{last}");
            assert_eq!(last["census"]["answered"], 2, "{last}");
        }
        let [one, other] = runs.map(|(result, path)| {
            let steps = serde_json::json!([result["reconcile"]["json"], result["reconcile"]["text"]]);
            same(steps, &path)
        });
        assert_eq!(one, other, "{} {}: who finished first shows", row.name, row.step);
    }
}

/// Without the folder's own path, and without what git calls the state that it found.
fn same(mut steps: Value, path: &str) -> Value {
    if let Some(map) = steps[0].as_object_mut() {
        map.remove("base");
    }
    if let Some(entries) = steps.pointer_mut("/0/results").and_then(Value::as_array_mut) {
        entries.iter_mut().filter_map(Value::as_object_mut).for_each(|entry| {
            entry.retain(|key, _| !["duration_ms", "usage", "took_ms"].contains(&key.as_str()));
        });
    }
    serde_json::from_str(&steps.to_string().replace(path, "FOLDER")).unwrap()
}

#[test]
fn a_finished_run_is_put_to_the_parents_model_with_no_call_made_again() {
    let folder = Folder::with_plan(
        "parent: { command: [sh, -c, 'echo asked >> asked; cat decision.json'] }\n\
         defaults: { output: { format: json } }\ncalls:\n  \
         a: { run: \"echo x >> made; echo '{\\\"v\\\": 1, \\\"w\\\": 7}'\" }\n  \
         b: { run: \"echo x >> made; echo '{\\\"v\\\": 2, \\\"w\\\": 7}'\" }\n  \
         dead: { run: exit 3, on_error: ignore }\n",
    );
    folder.write("decision.json", r#"{"decisions": [{"conflict": 1, "choice": 1, "reason": "it is so"}]}"#);
    folder.run(&["run", "plan.yaml"]).expect_code(0);
    let step = |more: &[&str]| {
        let mut args = vec!["reconcile", "last"];
        args.extend_from_slice(more);
        folder.run(&args)
    };
    let decide = ["--strategy", "compare", "--set", "on_conflict=decide"];
    let told = step(&[&decide[..], &["--dry-run"]].concat()).expect_code(0);
    assert!(told.out.contains("would ask sh to decide 1 conflict: about"), "{}", told.out);
    assert!(!folder.path().join("asked").exists(), "a forecast asks nobody");

    let json = step(&[&decide[..], &["-o", "json"]].concat()).expect_code(0);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["json"]["decisions"][0]["reason"], "it is so");
    assert_eq!(json["json"]["census"]["missing"][0]["call"], "dead");
    assert_eq!(json["conflicts"], serde_json::json!([]));
    assert_eq!(folder.read("asked"), "asked\n");

    let same = step(&["--strategy", "vote", "--set", "normalize=[{expression: json.w}]"]).expect_code(0);
    assert!(same.out.contains("7 wins: 2 of 2 votes"), "{}", same.out);
    let own = step(&["--strategy", "command", "--set", "command=grep -c dead"]).expect_code(0);
    assert!(own.out.starts_with("1\n"), "{}", own.out);
    let runs = std::fs::read_dir(folder.path().join(".fanout/runs")).unwrap().count();
    assert_eq!(
        (folder.read("made").as_str(), runs),
        ("x\nx\n", 1),
        "no call is made again, and there is no new run"
    );
}

#[test]
fn a_prompt_over_a_finished_run_may_mention_any_of_its_calls() {
    let said = r#"{"answer": "so [@A]", "claims": [{"claim": "so", "cites": [{"answer": "A", "quote": ""}]}], "unresolved": []}"#;
    let folder = Folder::with_plan(
        "parent: { command: [sh, -c, 'cat > asked; cat answer.json'] }\nvars: { tone: calm }\ncalls:\n  \
         a: { run: echo the first }\n  b: { run: 'echo {{ vars.tone }} second' }\n  \
         each: { for_each: [one, two], run: 'echo did {{ item }}' }\n  dead: { run: exit 3, on_error: ignore }\n",
    );
    folder.write("answer.json", said);
    folder.run(&["run", "plan.yaml"]).expect_code(0);
    let ask = |prompt: &str| {
        let set = format!("prompt={prompt}");
        folder.run(&["reconcile", "last", "--strategy", "synthesize", "--of", "a,b", "--set", &set])
    };
    let told = ask(
        "In {{ vars.tone }} words, knowing {{ calls.dead.error }} and {% for one in calls.each.outputs %}\
         {{ one.item }}={{ one.output }} {% endfor %}",
    );
    assert!(told.expect_code(0).out.contains("so [a]"));
    let asked = folder.read("asked");
    for words in ["In calm words", "exit status 3", "did one", "two=", "the first"] {
        assert!(asked.contains(words), "{words}: {asked}");
    }
    let wrong = ask("{{ calls.dead.output }}").expect_code(1);
    assert!(wrong.err.contains("`calls.dead.output` has no value"), "{}", wrong.err);
    let wrong = ask("{{ calls.nobody.output }}").expect_code(2);
    assert!(
        wrong.err.contains("there is no call `nobody`") && !wrong.err.contains("--parent"),
        "{}",
        wrong.err
    );
}
