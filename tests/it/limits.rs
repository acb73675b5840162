//! Gates and budgets, from the command line to a scripted provider and back.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::provider::{Provider, Script, ms};
use crate::support::{Folder, Ran, eventually, outcomes, parse_lines};

const KEYS: &[(&str, &str)] = &[("LAB_KEY", "key-secret")];

/// A plan whose agent `a` asks the scripted provider; a request is reserved with 200 tokens of output.
fn plan(provider: &Provider, rest: &str) -> Folder {
    let url = provider.base_url();
    Folder::with_plan(&format!(
        "providers:
  lab: {{ api: openai-chat, base_url: \"{url}\", api_key_env: LAB_KEY }}
agents:
  a: {{ model: lab/tiny, max_tokens: 0.2k, tools: [] }}
defaults: {{ agent: a }}
{rest}"
    ))
}

fn events(ran: &Ran) -> Vec<Value> {
    parse_lines(&ran.out)
}

/// How many instances ended in each status.
fn statuses(events: &[Value]) -> HashMap<String, usize> {
    let mut statuses = HashMap::new();
    for outcome in outcomes(events).values() {
        *statuses.entry(outcome["status"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    statuses
}

fn count(statuses: &[(&str, usize)]) -> HashMap<String, usize> {
    statuses.iter().map(|(status, count)| ((*status).to_owned(), *count)).collect()
}

#[test]
fn a_provider_that_allows_so_many_in_a_window_answers_all_and_hears_nobody_before_the_time_it_told_them() {
    const MOST: usize = 20;
    const WINDOW: Duration = Duration::from_millis(600);
    let provider = Provider::start();
    let began = Instant::now();
    // Accepted in the window, by its number.
    let taken: Mutex<HashMap<u128, usize>> = Mutex::default();
    let told: std::sync::Arc<Mutex<Vec<(String, Instant)>>> = std::sync::Arc::default();
    let tell = std::sync::Arc::clone(&told);
    provider.answer(move |request| {
        let now = began.elapsed();
        let number = now.as_millis() / WINDOW.as_millis();
        let end = WINDOW * u32::try_from(number + 1).unwrap();
        let mut taken = taken.lock().unwrap();
        let so_far = taken.entry(number).or_default();
        if *so_far < MOST {
            *so_far += 1;
            return Script::text("fine");
        }
        // Rounded up: a header has whole milliseconds.
        let wait = (end - now).as_millis() + 1;
        tell.lock().unwrap().push((request.prompt(), request.at + Duration::from_millis(wait as u64)));
        Script::error(429, "rate_limit_error", "slow").header("retry-after-ms", &wait.to_string())
    });
    let folder = plan(
        &provider,
        "limits: { concurrency: 60 }\ncalls:\n  q: { prompt: \"question {{ item }} of many\", for_each: \
         \"{{ range(0, 100) | list }}\", retries: 0 }\n",
    );
    let ran = folder.run_with(KEYS, &["run", "plan.yaml", "--json"]).expect_code(0);
    assert_eq!(statuses(&events(&ran)), count(&[("ok", 100)]));
    let requests = provider.requests();
    let told = told.lock().unwrap();
    for prompt in requests.iter().map(|request| request.prompt()) {
        let came = requests.iter().filter(|request| request.prompt() == prompt).map(|request| request.at);
        let told = told.iter().filter(|(whose, _)| *whose == prompt).map(|(_, until)| *until);
        for (again, until) in came.skip(1).zip(told) {
            assert!(again >= until, "`{prompt}` came again {:?} before it was told to", until - again);
        }
    }
    assert_eq!(requests.len(), 100 + told.len());
    let shown = folder.run(&["show", "--output", "json"]).expect_code(0);
    let lab = serde_json::from_str::<Value>(&shown.out).unwrap()["providers"]["lab"].clone();
    assert_eq!((&lab["requests"], &lab["rate_limited"]), (&requests.len().into(), &told.len().into()));
    assert!(lab["input"].as_u64().unwrap() > 0 && lab["cost"].is_null(), "{lab}");
    let shown = folder.run(&["show"]).expect_code(0);
    assert!(shown.out.contains(&format!("{} requests", requests.len())), "{}", shown.out);
}

#[test]
fn a_limited_call_gives_its_place_to_others() {
    let provider = Provider::start();
    provider.in_turn([
        Script::error(429, "rate_limit_error", "slow").header("retry-after-ms", "700"),
        Script::text("at last"),
    ]);
    let folder = plan(
        &provider,
        "limits: { concurrency: 1 }\ncalls:\n  asks: { prompt: hello }\n  works: { run: \"true\" }\n",
    );
    let ran = folder.run_with(KEYS, &["run", "plan.yaml", "--json"]).expect_code(0);
    let events = events(&ran);
    let ended = |id: &str| crate::support::position(&events, "call_finished", id);
    let limited = events.iter().position(|event| event["type"] == "attempt_failed").unwrap();
    assert!(limited < ended("works") && ended("works") < ended("asks"), "{}", ran.out);
    let waits = events.iter().any(|event| event["type"] == "call_waiting" && event["reason"] == "rate_limit");
    assert!(waits, "nobody hears that it waits: {}", ran.out);
}

#[test]
fn a_wait_that_is_longer_than_the_time_fails_now_and_a_second_model_answers() {
    let provider = Provider::start();
    provider.answer(|request| match request.model() {
        "tiny" => Script::error(429, "rate_limit_error", "slow").header("retry-after", "900"),
        _ => Script::text("second"),
    });
    let folder = plan(&provider, "calls: { q: { prompt: hello, timeout: 60s } }\n");
    let ran = folder.run_with(KEYS, &["run", "plan.yaml", "--json"]).expect_code(1);
    let outcome = &outcomes(&events(&ran))["q"];
    assert_eq!(outcome["cause"]["code"], "rate_limited");
    let message = outcome["cause"]["message"].as_str().unwrap();
    assert!(message.contains("15m") && message.contains("longer than the"), "{message}");
    let both =
        "calls: { q: { prompt: hello, timeout: 60s, agent: { model: [lab/tiny, lab/other], tools: [] } } }\n";
    let ran = plan(&provider, both).run_with(KEYS, &["run", "plan.yaml", "--json"]).expect_code(0);
    assert_eq!(outcomes(&events(&ran))["q"]["agent"], "lab/other");
}

#[test]
fn a_key_that_is_turned_away_is_not_tried_by_everybody() {
    let provider = Provider::start();
    provider.answer(|_| Script::error(401, "authentication_error", "bad key"));
    let folder =
        plan(&provider, "limits: { concurrency: 3 }\ncalls: { q: { prompt: hello, samples: 40 } }\n");
    let ran = folder.run_with(KEYS, &["run", "plan.yaml", "--json"]).expect_code(1);
    assert!(provider.count() <= 8, "{} requests with a key that is no good", provider.count());
    let outcomes = outcomes(&events(&ran));
    assert_eq!(outcomes.len(), 40);
    for outcome in outcomes.values() {
        assert_eq!(outcome["cause"]["code"], "unauthorized");
        assert!(outcome["cause"]["message"].as_str().unwrap().contains("LAB_KEY"), "{outcome}");
    }
}

#[test]
fn a_budget_of_tokens_is_never_passed_and_a_resume_with_more_goes_on() {
    let provider = Provider::start();
    provider.answer(|_| Script::text("fine").usage(60, 50).delay(ms(5)));
    let folder = plan(
        &provider,
        "limits: { concurrency: 8, tokens: 1.5k }\ncalls: { q: { prompt: \"hello {{ index }}\", samples: 20 } }\n",
    );
    let ran = folder.run_with(KEYS, &["run", "plan.yaml", "--json"]).expect_code(5);
    let first = events(&ran);
    let spent = provider.count() * 110;
    assert!(spent <= 1_500 && spent > 1_000, "{spent} of 1500 tokens");
    let over = 20 - provider.count();
    assert_eq!(statuses(&first), count(&[("ok", provider.count()), ("over_budget", over)]));
    let notice = first.iter().filter(|event| event["type"] == "warned" && event["code"] == "budget").count();
    assert_eq!(notice, 1, "at four fifths it says so, once");
    // What is spent stays spent.
    folder.run_with(KEYS, &["resume", "--json"]).expect_code(5);
    let ran = folder.run_with(KEYS, &["resume", "--limit", "tokens=9k", "--json"]).expect_code(0);
    assert_eq!(statuses(&events(&ran)), count(&[("ok", 20)]));
    assert_eq!(provider.count(), 20, "what was answered is not asked again");
}

#[test]
fn a_request_that_a_kill_has_cut_off_is_taken_for_billed() {
    let provider = Provider::start();
    provider.in_turn([Script::silence()]);
    provider.answer(|_| Script::text("fine").usage(60, 50));
    let folder = plan(&provider, "limits: { tokens: 0.4k }\ncalls: { q: { prompt: hello } }\n");
    let mut child = folder.fanout(&["run", "plan.yaml"]).envs(KEYS.iter().copied()).spawn().unwrap();
    eventually("the request is there", || provider.count() == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    let ran = folder.run_with(KEYS, &["resume", "--json"]).expect_code(5);
    let outcome = &outcomes(&events(&ran))["q"];
    assert_eq!((&outcome["status"], &outcome["cause"]["code"]), (&"over_budget".into(), &"budget".into()));
    folder.run_with(KEYS, &["resume", "--limit", "tokens=1k"]).expect_code(0);
    assert_eq!(provider.count(), 2);
}

#[test]
fn a_call_and_a_plan_have_budgets_of_their_own() {
    let provider = Provider::start();
    provider.answer(|_| Script::text("fine").usage(60, 50));
    let folder = plan(
        &provider,
        "calls:
  own: { prompt: hello, samples: 6, limits: { tokens: 0.6k } }
  free: { prompt: hello, samples: 6 }
  inner: { plan: inner.yaml }
",
    );
    let head = folder.read("plan.yaml").split("calls:").next().unwrap().to_owned();
    folder.write(
        "inner.yaml",
        &format!("{head}limits: {{ tokens: 0.6k }}\ncalls: {{ x: {{ prompt: hello, samples: 6 }} }}\n"),
    );
    let ran = folder.run_with(KEYS, &["run", "plan.yaml", "--json"]).expect_code(5);
    let outcomes = outcomes(&events(&ran));
    let ok = |call: &str| {
        outcomes.iter().filter(|(id, outcome)| id.starts_with(call) && outcome["status"] == "ok").count()
    };
    assert_eq!(ok("free"), 6);
    for bounded in ["own", "inner.x"] {
        assert!((1..=5).contains(&ok(bounded)), "{bounded}: {} of 6", ok(bounded));
    }
}

#[test]
fn what_subagents_use_counts_against_the_budget_of_their_call_and_of_the_run() {
    for (limits, of) in [("", "the call"), ("limits: { tokens: 1.5k }\n", "the run")] {
        let provider = Provider::start();
        // The first request hands out six pieces of work; each of them would be affordable alone.
        provider.answer(|request| {
            let prompt = request.prompt();
            let script = if prompt.contains("piece of work") || prompt.contains("so it went") {
                Script::text("so it went")
            } else {
                (0..6).fold(Script::text(""), |script, n| {
                    let task = format!("piece of work {n}");
                    script.call("agent", &serde_json::json!({"description": task, "prompt": task}))
                })
            };
            script.usage(100, 100).delay(ms(20))
        });
        let own = if limits.is_empty() { ", limits: { tokens: 1.5k }" } else { "" };
        let calls = format!("{limits}calls: {{ lead: {{ prompt: Share it out.{own} }} }}\n");
        let folder = plan(&provider, &calls);
        let shared = folder.read("plan.yaml").replace("tools: []", "tools: [agent]");
        folder.write("plan.yaml", &shared);
        let ran = folder.run_with(KEYS, &["run", "plan.yaml", "--json"]).expect_code(5);
        let spent = provider.count() * 200;
        assert!(spent <= 1_500 && provider.count() > 2, "{of}: {} requests", provider.count());
        assert_eq!(outcomes(&events(&ran))["lead"]["status"], "over_budget", "{of}");
    }
}

#[test]
fn a_request_that_its_deadline_cuts_off_is_charged_in_full() {
    let provider = Provider::start();
    provider.answer(|_| Script::silence());
    // Room for two requests; each is cut off by its timeout, and nobody knows what it has cost.
    let folder = plan(
        &provider,
        "limits: { tokens: 0.6k }\ncalls: { q: { prompt: hello, timeout: 3s, samples: 4, concurrency: 1, on_error: ignore } }\n",
    );
    let ran = folder.run_with(KEYS, &["run", "plan.yaml", "--json"]).expect_code(5);
    assert_eq!(statuses(&events(&ran)), count(&[("timed_out", 2), ("over_budget", 2)]));
    assert_eq!(provider.count(), 2);
}

#[test]
fn money_is_counted_with_the_plans_prices_and_an_unknown_price_is_refused() {
    let provider = Provider::start();
    provider.answer(|_| Script::text("fine").usage(100, 50));
    let calls = "limits: { cost: 0.01 }\ncalls: { q: { prompt: hello, samples: 9 } }\n";
    let folder = plan(&provider, calls);
    let ran = folder.run_with(KEYS, &["validate", "plan.yaml"]).expect_code(2);
    assert!(ran.err.contains("nobody knows the price of `lab/tiny`"), "{}", ran.err);
    let priced = folder
        .read("plan.yaml")
        .replace("api_key_env: LAB_KEY", "api_key_env: LAB_KEY, prices: { tiny: { input: 10, output: 20 } }");
    folder.write("plan.yaml", &priced);
    folder.run_with(KEYS, &["validate", "plan.yaml"]).expect_code(0);
    let ran = folder.run_with(KEYS, &["run", "plan.yaml", "--json"]).expect_code(5);
    let outcomes = outcomes(&events(&ran));
    let known = outcomes.values().filter(|outcome| outcome["status"] == "ok");
    assert!(known.clone().all(|outcome| outcome["usage"]["cost"] == 2_000));
    assert!(known.count() * 2_000 <= 10_000);
}

#[test]
fn a_list_that_comes_to_more_calls_than_are_left_is_refused_before_the_first_of_them() {
    let folder = Folder::with_plan(
        "limits: { calls: 6 }
calls:
  list: { run: \"echo '[1, 2, 3, 4, 5, 6, 7]'\", output: { format: json } }
  each: { run: \"echo {{ item }} >> made\", for_each: \"{{ calls.list.json }}\" }
",
    );
    let ran = folder.run(&["run", "plan.yaml", "--json"]).expect_code(5);
    let outcome = &outcomes(&events(&ran))["each"];
    assert_eq!(
        (&outcome["status"], &outcome["cause"]["code"]),
        (&"over_budget".into(), &"calls_limit".into())
    );
    let message = outcome["cause"]["message"].as_str().unwrap();
    assert!(message.contains("comes to 7 calls, and 5 of the 6 are left"), "{message}");
    assert!(!folder.path().join("made").exists(), "some of them were made");
    folder.run(&["resume", "--limit", "calls=8"]).expect_code(0);
    assert_eq!(folder.read("made").lines().count(), 7);
    // What is known before is an error before.
    let folder = Folder::with_plan(
        "limits: { calls: 20 }\ncalls: { q: { run: \"true\", samples: 7, attempts: 3, check: { command: \"true\" } } }\n",
    );
    let ran = folder.run(&["run", "plan.yaml"]).expect_code(2);
    assert!(ran.err.contains("the plan can make 21 calls, and `limits.calls` allows 20"), "{}", ran.err);
}
