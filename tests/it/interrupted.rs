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

#[test]
fn what_was_in_flight_at_a_kill_is_summed_as_possibly_billed() {
    use crate::provider::{Provider, Script};
    let provider = Provider::start();
    provider.on("quick", Script::text("done"));
    provider.on("slow", Script::silence());
    let folder = Folder::with_plan(&format!(
        "providers: {{ lab: {{ api: anthropic, base_url: '{}', api_key_env: LAB_KEY }} }}\n\
         agents: {{ m: {{ model: lab/tiny, tools: [], max_tokens: 1k }} }}\ndefaults: {{ agent: m }}\n\
         calls: {{ one: {{ prompt: quick }}, two: {{ prompt: slow a }}, three: {{ prompt: slow b }} }}\n",
        provider.base_url()
    ));
    let mut command = folder.fanout(&["run", "plan.yaml", "-q"]);
    let mut child = command.env("LAB_KEY", "sk-x").env("NO_PROXY", "127.0.0.1").spawn().unwrap();
    let begun = || {
        let runs = std::fs::read_dir(folder.path().join(".fanout/runs")).ok();
        let dir = runs.and_then(|mut runs| runs.next()).and_then(Result::ok);
        let text = dir.and_then(|dir| std::fs::read_to_string(dir.path().join("journal.jsonl")).ok());
        let text = text.unwrap_or_default();
        text.matches("request_started").count() == 3 && text.matches("\"call_finished\"").count() == 1
    };
    eventually("one is answered, two are in flight", begun);
    signal(&child, "KILL");
    child.wait().unwrap();
    let json = |args: &[&str]| -> serde_json::Value {
        let ran = folder.run_with(&[("LAB_KEY", "sk-x"), ("NO_PROXY", "127.0.0.1")], args).expect_code(0);
        serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {}", ran.out))
    };
    let forecast = json(&["resume", "--dry-run", "-o", "json"]);
    let possibly = &forecast["possibly_billed"];
    assert_eq!(possibly["requests"], 2, "{forecast}");
    // What was sent and the most that could come back, twice.
    let tokens = possibly["tokens"].as_u64().unwrap();
    assert!((2_000..4_000).contains(&tokens), "{forecast}");
    let text = folder.run(&["resume", "--dry-run"]).expect_code(0).out;
    assert!(text.contains("possibly billed so far: at most 2.1k tokens (2 requests"), "{text}");
    // The resume is answered by another server.
    let provider = Provider::start();
    let plan = folder.read("plan.yaml");
    let base = plan.split('\'').nth(1).unwrap().to_owned();
    folder.write("plan.yaml", &plan.replace(&base, &provider.base_url()));
    let result = json(&["resume", "-q", "-o", "json"]);
    assert_eq!(result["possibly_billed"], *possibly, "{result:#}");
    assert_eq!(result["usage"]["requests"], 3, "what may be billed is no part of what was used");
    let shown = folder.run(&["show"]).expect_code(0).out;
    assert!(shown.contains("possibly billed besides: at most 2"), "{shown}");
}
