//! A recorded run is played again with nobody asked, and plans are tested against recorded answers.

use serde_json::{Value, json};

use crate::provider::{Provider, Script};
use crate::support::{Folder, Ran, outcomes, parse_lines, repository};

/// Every way in which something is asked: commands, models, tools, a list, samples of which two are enough,
/// rounds, checks, a question, a plan inside, steps of the parent with a program, news of the background.
const ALL: &str = r#"
name: all
vars: { who: nobody }
providers: { lab: { api: anthropic, base_url: BASE, api_key_env: LAB_KEY } }
agents: { m: { model: lab/tiny, tools: [] }, t: { model: lab/tiny, tools: [bash, agent] } }
defaults: { agent: m, timeout: 60s }
calls:
  names: { run: "echo names >> effects; echo '[\"x\",\"y\"]'", output: { format: json } }
  each: { for_each: "calls.names.json", prompt: "each {{ item }} for {{ vars.who }}" }
  fast: { samples: 3, join: 2, run: "echo fast >> effects; sleep 0.{{ 4 - index }}; echo fast-{{ index }}" }
  broken: { run: "echo broken >> effects; echo why >&2; exit 3", retries: 0, on_error: ignore }
  rounds: { run: "echo round >> effects; echo {{ round }}", repeat: { until: "round >= 2", max: 3 } }
  checked: { run: "echo checked >> effects; echo fine", check: "echo check >> effects; grep -q fine" }
  tools: { prompt: "use tools", agent: t }
  news: { run: "echo news >> effects; echo built", background: true }
  late: { prompt: "late {{ notifications }}", needs: [news] }
  ask: { ask: "Go on?", default: "yes" }
  inner: { plan: inner.yaml, with: { who: "calls.ask.output" } }
  skipped: { run: "echo skipped >> effects", when: "calls.ask.output == 'no'" }
  mid: { reconcile: { of: [each], strategy: command, command: "echo mid >> effects; wc -c" } }
  last: { run: "echo last >> effects; cat", stdin: "{{ calls.mid.output }}{% for one in calls.fast.outputs %}{{ one.output }}{% endfor %}" }
reconcile: { strategy: vote, of: [each] }
"#;

const INNER: &str = r#"
name: inner
vars: { who: nobody }
calls: { x: { run: "echo x >> effects; echo {{ vars.who }}" } }
"#;

const KEYS: [(&str, &str); 2] = [("LAB_KEY", "sk-x"), ("NO_PROXY", "127.0.0.1")];

fn provider() -> Provider {
    let provider = Provider::start();
    provider.answer(|request| {
        let prompt = request.prompt();
        match (prompt.contains("use tools"), prompt.contains("small task"), request.messages()) {
            (true, _, 1) => Script::text("")
                .call("bash", &json!({"command": "echo tool >> effects"}))
                .call("agent", &json!({"description": "small", "prompt": "small task"})),
            (true, _, _) => Script::text("tools are done"),
            (_, true, _) => Script::text("small is done"),
            _ => Script::text(format!("said {prompt}")),
        }
    });
    provider
}

fn folder(plan: &str, provider: &Provider) -> Folder {
    let folder = Folder::with_plan(&plan.replace("BASE", &format!("{}/v1", provider.base_url())));
    folder.write("inner.yaml", INNER);
    folder.write("effects", "");
    folder
}

fn results(ran: &Ran) -> Value {
    let document: Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {}", ran.out));
    let pick = |end: &Value| {
        let keys = ["id", "status", "cause", "output", "json", "exit", "usage", "agent", "stderr"];
        keys.iter().map(|key| ((*key).to_owned(), end[*key].clone())).collect::<serde_json::Map<_, _>>()
    };
    let calls = document["calls"].as_array().unwrap().iter();
    // What a subagent did is inside of the answer of its call.
    let calls = calls.filter(|call| !call["id"].as_str().unwrap().contains(".agent-")).map(|call| {
        let instances = call["instances"].as_array().into_iter().flatten();
        json!([pick(call), instances.map(pick).collect::<Vec<_>>()])
    });
    json!([document["success"], document["exit"], document["reconcile"], calls.collect::<Vec<_>>()])
}

/// All files beneath a folder with their sizes.
fn files(folder: &Folder) -> Vec<(String, u64)> {
    let mut open = vec![folder.path().to_owned()];
    let mut files = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => open.push(entry.path()),
                false => files.push((entry.path().display().to_string(), entry.metadata().unwrap().len())),
            }
        }
    }
    files.sort();
    files
}

#[test]
fn a_run_is_played_again_from_its_journal_with_nothing_called_and_nothing_written() {
    let provider = provider();
    let folder = folder(ALL, &provider);
    let real = folder.run_with(&KEYS, &["run", "plan.yaml", "--var", "who=me", "-o", "json"]).expect_code(0);
    let (count, effects, before) = (provider.count(), folder.read("effects"), files(&folder));
    assert!(count >= 6 && effects.contains("tool") && effects.contains("mid"), "{count}: {effects}");
    drop(provider);
    // No key, no server: nothing can be asked.
    for _ in 0..3 {
        let ran = folder.run(&["run", "plan.yaml", "--replay", "last", "-o", "json"]).expect_code(0);
        assert!(ran.err.contains("nothing is called and nothing is written"), "{}", ran.err);
        let (played, was) = (results(&ran), results(&real));
        assert!(played == was, "{played:#}\nis not\n{was:#}");
    }
    assert_eq!(files(&folder), before);
    assert_eq!(folder.read("effects"), effects);
}

#[test]
fn no_process_is_started_and_nothing_is_connected_to_by_a_replay() {
    let provider = provider();
    let folder = folder(ALL, &provider);
    folder.run_with(&KEYS, &["run", "plan.yaml", "-q"]).expect_code(0);
    let plain = folder.fanout(&[]);
    let mut command = std::process::Command::new("strace");
    command.args(["-f", "-qq", "-o", "trace", "-e", "trace=execve,socket,connect,vfork,fork"]);
    command.arg(plain.get_program()).args(["run", "plan.yaml", "--replay", "last", "-q"]);
    let Ok(output) = command.current_dir(folder.path()).output() else {
        return skipped("no `strace` here");
    };
    let ran = Ran::of(output);
    if ran.err.contains("ptrace") {
        return skipped("no tracing here");
    }
    ran.expect_code(0);
    let trace = folder.read("trace");
    let calls: Vec<&str> = trace.lines().filter(|line| line.contains('(')).collect();
    // Only its own start.
    assert!(calls.len() == 1 && calls[0].contains("execve"), "{trace}");
}

#[expect(clippy::print_stderr, reason = "a test that shows nothing must say so")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}

const CHAIN: &str = r#"
name: chain
providers: { lab: { api: anthropic, base_url: BASE, api_key_env: LAB_KEY } }
agents: { m: { model: lab/tiny, tools: [] } }
calls:
  a: { prompt: "Tell me one", agent: m }
  b: { run: "echo b >> effects; echo {{ calls.a.output }}" }
  c: { run: "echo c >> effects; echo c" }
"#;

#[test]
fn what_was_not_recorded_fails_by_name_with_what_has_changed_and_nothing_is_called() {
    let provider = provider();
    let folder = folder(CHAIN, &provider);
    folder.run_with(&KEYS, &["run", "plan.yaml", "-q"]).expect_code(0);
    let (plan, count, effects) = (folder.read("plan.yaml"), provider.count(), folder.read("effects"));
    let cases = [
        (
            "Tell me one",
            "Tell me two",
            "a",
            "its prompt has changed (it was «Tell me one» and is «Tell me two»)",
        ),
        ("echo c\"", "echo d\"", "c", "its command has changed"),
        ("run: \"echo c >>", "env: { X: y }, run: \"echo c >>", "c", "its settings have changed"),
        ("  c: {", "  d: {", "d", "the recorded run had no such call"),
        (
            "m: { model: lab/tiny",
            "m: { model: lab/big",
            "a",
            "it was done by `lab/tiny` and is now for `lab/big`",
        ),
        ("calls:", "calls:\n  z: { value: \"'one'\" }", "", ""),
    ];
    for (from, to, call, why) in cases {
        assert!(plan.contains(from), "{from}");
        folder.write("plan.yaml", &plan.replacen(from, to, 1));
        let ran = folder.run_with(&KEYS, &["run", "plan.yaml", "--replay", "last", "--json"]);
        let ended = outcomes(&parse_lines(&ran.out));
        if call.is_empty() {
            assert_eq!((ran.code, &ended["z"]["output"]["text"]), (0, &json!("one")), "{}", ran.err);
            continue;
        }
        assert_eq!(ran.code, 1, "{to}: {}", ran.err);
        let cause = &ended[call]["cause"];
        assert_eq!(cause["code"], "not_recorded", "{to}: {cause}");
        let message = cause["message"].as_str().unwrap();
        let whole = format!("`{call}` has no recorded answer in run ");
        assert!(message.starts_with(&whole) && message.contains(why), "{to}: {message}");
        assert!(message.contains("Nothing was called; run the plan without `--replay`"), "{message}");
        // What does not depend on it is answered all the same.
        let other = if call == "a" { "c" } else { "a" };
        assert_eq!(ended[other]["status"], "ok", "{to}");
    }
    assert_eq!((provider.count(), folder.read("effects")), (count, effects));
}

#[test]
fn what_failed_fails_again_and_who_was_first_is_first_again() {
    let plan = r#"
calls:
  race: { samples: 4, join: 1, run: "sleep {{ [3, 0.1, 3, 3][index] }}; echo {{ index }}" }
  bad: { run: "echo no >&2; exit 7", retries: 0 }
  after: { run: "echo never", needs: [bad] }
reconcile: { strategy: command, of: [race], command: "echo broken >&2; exit 4" }
"#;
    let folder = Folder::with_plan(plan);
    let real = folder.run(&["run", "plan.yaml", "-o", "json"]).expect_code(1);
    for _ in 0..3 {
        let ran = folder.run(&["run", "plan.yaml", "--replay", "last", "-o", "json"]).expect_code(1);
        let (played, was) = (results(&ran), results(&real));
        assert!(played == was, "{played:#}\nis not\n{was:#}");
    }
    assert!(real.out.contains("of the reconciliation failed"), "{}", real.out);
}

const TESTED: &str = r#"
name: tested
vars: { n: 2 }
calls:
  one: { run: "echo one >> effects; echo {{ vars.n }}" }
  sum: { value: "calls.one.output | int + 1" }
  words: { run: "printf 'a\nb\nc\n'", needs: [one] }
reconcile: { strategy: collect }
"#;

#[test]
fn a_plan_is_tested_against_recorded_answers_and_a_difference_is_shown() {
    let folder = Folder::with_plan(TESTED);
    folder.write("effects", "");
    let none = folder.run(&["test"]).expect_code(2);
    assert!(none.err.contains("no plan here has recorded answers"), "{}", none.err);
    let none = folder.run(&["test", "plan.yaml"]).expect_code(2);
    assert!(none.out.contains("`fanout test --update plan.yaml` runs it and records them"), "{}", none.out);
    let ran = folder.run(&["test", "--update", "plan.yaml", "--var", "n=5"]).expect_code(0);
    assert!(ran.err.contains("wrote plan.recorded.json"), "{}", ran.err);
    assert!(ran.out.ends_with("ok   plan.yaml: 2 answers\n"), "{}", ran.out);
    assert_eq!(folder.read("effects"), "one\n");
    // By its name, by the folder, without any; the vars are the recorded ones.
    for args in [&["test", "plan.yaml"][..], &["test", "."], &["test"]] {
        assert_eq!(folder.run(args).expect_code(0).out, "ok   plan.yaml: 2 answers\n");
    }
    folder.write(
        "plan.yaml",
        &TESTED.replace("+ 1", "+ 10").replace("strategy: collect", "strategy: collect, of: [sum]"),
    );
    let ran = folder.run(&["test"]).expect_code(1);
    insta::assert_snapshot!(ran.out);
    let ran = folder.run(&["test", "--json"]).expect_code(1);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&document["success"], &document["plans"][0]["ok"]), (&json!(false), &json!(false)));
    assert_eq!(
        document["plans"][0]["differences"][0],
        json!({"at": "sum output", "expected": "6", "found": "15"})
    );
    assert_eq!(folder.read("effects"), "one\n", "nothing was called");
    // Recorded from a run that was made already.
    folder.run(&["run", "plan.yaml", "-q", "--var", "n=7"]).expect_code(0);
    folder.run(&["test", "--update", "plan.yaml", "--run", "last"]).expect_code(0);
    assert_eq!(folder.run(&["test"]).expect_code(0).out, "ok   plan.yaml: 2 answers\n");
    assert_eq!(folder.read("effects"), "one\none\n");
    let replayed = folder.run(&["run", "plan.yaml", "--replay", "plan.recorded.json", "-q"]).expect_code(0);
    assert!(replayed.out.contains("17"), "{}", replayed.out);
}

#[test]
fn a_plan_with_an_error_or_a_call_that_was_not_recorded_is_no_success() {
    let folder = Folder::with_plan(TESTED);
    folder.run(&["test", "--update", "plan.yaml"]).expect_code(0);
    folder.write("plan.yaml", &TESTED.replace("printf", "echo"));
    let ran = folder.run(&["test"]).expect_code(1);
    assert!(ran.out.contains("words status\n    - ok\n    + failed"), "{}", ran.out);
    assert!(
        ran.out.contains("`words` has no recorded answer in plan.recorded.json: its command"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("if that is as it should be: fanout test --update plan.yaml"), "{}", ran.out);
    folder.write("plan.yaml", &TESTED.replace("collect", "collekt"));
    let ran = folder.run(&["test"]).expect_code(2);
    assert!(
        ran.err.contains("collekt") && ran.out.starts_with("FAIL plan.yaml: "),
        "{}\n{}",
        ran.out,
        ran.err
    );
    folder.write("plan.recorded.json", "{\"format\": 99}");
    assert!(folder.run(&["test"]).expect_code(2).out.contains("has format 99"), "a later format is named");
}

#[test]
fn what_comes_out_anew_each_time_is_pointed_out_when_it_is_recorded() {
    let folder = Folder::with_plan("calls: { a: { run: \"echo {{ run.dir }}\" } }");
    folder.run(&["test", "--update", "plan.yaml"]).expect_code(1);
    let ran = folder.run(&["test"]).expect_code(1);
    assert!(ran.out.contains("its command") || ran.out.contains("its settings"), "{}", ran.out);
}

#[test]
fn an_answer_with_a_secret_is_not_recorded() {
    let folder = Folder::with_plan("calls: { a: { run: \"cat secret\" } }");
    folder.write("secret", "sk-very-secret-value-1234");
    let ran = folder
        .run_with(&[("MY_API_TOKEN", "sk-very-secret-value-1234")], &["test", "--update", "plan.yaml"])
        .expect_code(6);
    assert!(ran.err.contains("the answer of `a` holds a secret"), "{}", ran.err);
    assert!(!folder.path().join("plan.recorded.json").exists());
}

#[test]
fn the_plans_that_ship_with_recorded_answers_pass_without_a_key_and_follow_the_schema() {
    let schema = std::fs::read_to_string(repository().join("docs/recorded.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let follows = |file: &std::path::Path| {
        let document: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let errors: Vec<String> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0], "{}", file.display());
    };
    let elsewhere = Folder::new();
    let plans = repository().join("plans");
    let ran = elsewhere.run(&["test", plans.to_str().unwrap()]).expect_code(0);
    assert!(ran.out.lines().count() >= 2, "{}", ran.out);
    assert!(!elsewhere.path().join(".fanout").exists());
    for file in std::fs::read_dir(plans).unwrap().flatten().map(|entry| entry.path()) {
        if file.to_string_lossy().ends_with(".recorded.json") {
            follows(&file);
        }
    }
    let provider = provider();
    let folder = folder(ALL, &provider);
    folder.run_with(&KEYS, &["test", "--update", "plan.yaml"]).expect_code(0);
    follows(&folder.path().join("plan.recorded.json"));
    // The folder may be another one.
    let moved = Folder::new();
    for name in ["plan.yaml", "inner.yaml", "plan.recorded.json"] {
        moved.write(name, &folder.read(name));
    }
    moved.run(&["test"]).expect_code(0);
}
