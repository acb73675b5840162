//! Telling people: what is said, which way, and what a dead address does to a run.

use std::collections::BTreeSet;

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::provider::{Provider, Script};
use crate::support::{Folder, parse_lines};

/// What was delivered, from the journal: topic, way, and the cause's code where it was not.
fn deliveries(folder: &Folder) -> BTreeSet<(String, String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    parse_lines(&folder.run(&["show", "--json"]).out)
        .iter()
        .filter(|record| record["type"] == "notice_delivered")
        .map(|record| {
            let code = text(&record["cause"]["code"]);
            (text(&record["topic"]).unwrap(), text(&record["to"]).unwrap(), code)
        })
        .collect()
}

fn row(topic: &str, to: &str, code: Option<&str>) -> (String, String, Option<String>) {
    (topic.to_owned(), to.to_owned(), code.map(str::to_owned))
}

const PLAN: &str = r#"
name: nightly
notify: { command: 'printf "%s\n" "$(cat)" >> told'  }
calls:
  slow: { description: The slow one, run: "echo done", background: true }
  one:  { run: "echo yes" }
  two:  { run: "echo no" }
  ask:  { ask: "Ship it?", default: "no" }
reconcile: { of: [one, two], strategy: vote }
"#;

#[test]
fn a_command_hears_of_the_run_a_background_call_a_question_and_conflicts_once_each() {
    let folder = Folder::with_plan(PLAN);
    folder.run(&["run", "plan.yaml"]).expect_code(0);
    let told: Vec<Value> =
        folder.read("told").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut kinds: Vec<&str> = told.iter().map(|notice| notice["type"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["fanout.background", "fanout.conflict", "fanout.question", "fanout.run"]);
    let of = |kind: &str| told.iter().find(|notice| notice["type"] == kind).unwrap();
    assert_eq!(of("fanout.background")["data"]["text"], "The slow one");
    assert_eq!(of("fanout.run")["data"]["success"], true);
    assert_eq!(of("fanout.run")["data"]["title"], "nightly: ok");
    assert_eq!(
        deliveries(&folder),
        ["background", "conflict", "question", "run"].map(|topic| row(topic, "command", None)).into()
    );
}

#[test]
fn a_blocked_call_is_told_and_a_topic_that_nobody_wants_is_not() {
    let plan = PLAN.replace("notify: {", "notify: { on: [blocked],");
    let plan = plan.replace("calls:", "calls:\n  stuck: { prompt: Go., agent: { command: [sh, -c, \"echo 'Password:'; read x\"], output: text }, idle_timeout: 1s, retries: 0, on_error: ignore }");
    let folder = Folder::with_plan(&plan);
    folder.run(&["run", "plan.yaml"]);
    let told: Vec<String> = deliveries(&folder).into_iter().map(|(topic, _, _)| topic).collect();
    assert!(told.iter().all(|topic| topic == "blocked"), "{told:?}");
}

#[test]
fn a_webhook_gets_json_with_a_signature_that_its_secret_confirms() {
    let provider = Provider::start();
    provider.in_turn([Script::raw(503, "text/plain", "busy"), Script::raw(204, "text/plain", "")]);
    let plan = "notify: { on: run, webhook: { url_env: HOOK, secret_env: HOOK_SECRET } }\ncalls: { a: { run: echo a } }\n";
    let folder = Folder::with_plan(plan);
    let env = [("HOOK", provider.base_url() + "/messages"), ("HOOK_SECRET", "s3cret-of-mine".to_owned())];
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    folder.run_with(&env, &["run", "plan.yaml"]).expect_code(0);
    let requests = provider.requests();
    assert_eq!(requests.len(), 2, "{:?}: a passing fault is tried again", deliveries(&folder));
    let last = requests.last().unwrap();
    let header = |name: &str| last.header(name).unwrap().to_owned();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"s3cret-of-mine").unwrap();
    mac.update(
        format!(
            "{}.{}.{}",
            header("webhook-id"),
            header("webhook-timestamp"),
            String::from_utf8_lossy(&last.body)
        )
        .as_bytes(),
    );
    let expected = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    assert_eq!(header("webhook-signature"), format!("v1,{expected}"));
    let body: Value = serde_json::from_slice(&last.body).unwrap();
    assert_eq!((body["type"].as_str(), body["data"]["exit"].as_u64()), (Some("fanout.run"), Some(0)));
    assert_eq!(deliveries(&folder), [row("run", "webhook", None)].into());
}

#[test]
fn a_dead_webhook_neither_fails_nor_holds_a_run_and_is_named() {
    // Nobody listens on this port: it was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let plan =
        format!("notify: {{ webhook: 'http://127.0.0.1:{port}/x' }}\ncalls: {{ a: {{ run: echo a }} }}\n");
    let folder = Folder::with_plan(&plan);
    let ran = folder.run(&["run", "plan.yaml"]).expect_code(0);
    assert!(ran.err.contains("not told") && ran.err.contains(&port.to_string()), "{}", ran.err);
    let told = deliveries(&folder);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(["unreachable", "given_up"].contains(&told.iter().next().unwrap().2.as_deref().unwrap()));
}

#[test]
fn what_is_missing_is_said_with_the_delivery() {
    let plan = "notify: { bell: true, desktop: true, command: [no-such-program], webhook: { url_env: NO_HOOK }, on: run }\ncalls: { a: { run: echo a } }\n";
    let folder = Folder::with_plan(plan);
    let mut command = folder.fanout(&["run", "plan.yaml"]);
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    crate::support::Ran::of(command.output().unwrap()).expect_code(0);
    assert_eq!(
        deliveries(&folder),
        [
            row("run", "bell", Some("no_terminal")),
            row("run", "command", Some("not_found")),
            row("run", "desktop", Some("no_desktop")),
            row("run", "webhook", Some("no_variable")),
        ]
        .into()
    );
}

#[test]
fn a_plan_that_tells_nobody_or_writes_a_secret_is_refused() {
    for (notify, words) in [
        ("{ on: run }", "names nobody"),
        ("{ command: 'echo {{ vars.x }}' }", "a template cannot stand here"),
        ("{ webhook: { url: 'https://x', url_env: X } }", "exclude each other"),
        ("{ webhook: { secret_env: X } }", "no address"),
        ("{ webhook: 'https://user:pw@x' }", "holds a name or password"),
        (
            "{ webhook: { url: 'https://x', secret_env: whsec_a+b } }",
            "`secret_env` is the name of a variable",
        ),
        ("{ bell: true, on: [runs] }", "did you mean"),
    ] {
        let plan = format!("vars: {{ x: 1 }}\nnotify: {notify}\ncalls: {{ a: {{ run: echo a }} }}\n");
        let ran = Folder::with_plan(&plan).run(&["validate", "plan.yaml"]).expect_code(2);
        assert!(ran.err.contains(words), "{notify}: {}", ran.err);
    }
}
