//! What starts when: eager, in turns, under the limits, expanded, in the background.

use serde_json::Value;

use crate::provider::{Provider, Script};
use crate::support::{Folder, outcomes, position};

#[test]
fn a_dependent_starts_before_an_unrelated_slow_call_of_its_turn_is_done() {
    // `slow` ends only once `after` has run, so a barrier between turns would never end.
    let folder = Folder::with_plan(
        r#"
limits: { time: 30s }
calls:
  quick: { run: echo quick }
  slow: { run: "until [ -e done ]; do sleep 0.02; done; echo slow" }
  after: { run: "touch done; echo after {{ calls.quick.output }}" }
"#,
    );
    let (events, ran) = folder.events(&[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(position(&events, "call_started", "after") < position(&events, "call_finished", "slow"));
    assert_eq!(outcomes(&events)["after"]["output"]["text"], "after quick");
}

#[test]
fn independent_calls_start_together() {
    // Each waits for the other to have started: in sequence this would never end.
    let folder = Folder::with_plan(
        r#"
limits: { time: 30s }
calls:
  a: { run: "touch a; until [ -e b ]; do sleep 0.02; done" }
  b: { run: "touch b; until [ -e a ]; do sleep 0.02; done" }
"#,
    );
    folder.run(&["run", "plan.yaml"]).expect_code(0);
}

#[test]
fn concurrency_is_a_sliding_window() {
    let folder = Folder::with_plan(
        r#"
limits: { concurrency: 2 }
calls:
  each:
    for_each: [1, 2, 3, 4, 5]
    run: "echo {{ item }}"
"#,
    );
    let (events, _) = folder.events(&[]);
    let (mut now, mut most) = (0, 0);
    for event in &events {
        match event["type"].as_str() {
            Some("call_started") => now += 1,
            Some("call_finished") => now -= 1,
            _ => {}
        }
        most = most.max(now);
    }
    assert_eq!(most, 2);
}

#[test]
fn a_list_from_an_earlier_result_becomes_instances() {
    let folder = Folder::with_plan(
        r#"
calls:
  list: { run: "printf 'x\ny\n'", output: { format: lines } }
  each: { for_each: calls.list.json, as: name, run: "echo {{ name }} {{ index }}" }
  all: { run: "echo {{ calls.each.outputs | map(attribute='output') | join(',') }}" }
"#,
    );
    let (events, ran) = folder.events(&[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(outcomes(&events)["all"]["output"]["text"], "x 0,y 1");
}

#[test]
fn an_empty_list_is_ok_and_empty() {
    let folder = Folder::with_plan(
        "calls:\n  each: { for_each: [], run: echo x }\n  after: { run: \"echo {{ calls.each.outputs | length }}\" }\n",
    );
    let (events, ran) = folder.events(&[]);
    assert_eq!((ran.code, &outcomes(&events)["after"]["output"]["text"]), (0, &"0".into()));
}

#[test]
fn a_matrix_multiplies_excludes_and_includes() {
    let folder = Folder::with_plan(
        r#"
calls:
  build:
    matrix:
      os: [linux, mac]
      db: [pg, lite]
      exclude: [{ os: mac, db: pg }]
      include: [{ os: windows, db: lite }]
    run: "echo {{ matrix.os }}-{{ matrix.db }}"
"#,
    );
    let (events, _) = folder.events(&[]);
    let mut texts: Vec<String> =
        outcomes(&events).values().map(|o| o["output"]["text"].as_str().unwrap().to_owned()).collect();
    texts.sort();
    assert_eq!(texts, ["linux-lite", "linux-pg", "mac-lite", "windows-lite"]);
}

#[test]
fn join_any_cancels_the_rest() {
    let folder = Folder::with_plan(
        "calls:\n  race: { for_each: [0, 60, 60], join: any, run: \"sleep {{ item }}; echo {{ item }}\" }\n",
    );
    let (events, ran) = folder.events(&[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let by_id = outcomes(&events);
    assert_eq!(by_id["race[0]"]["status"], "ok");
    assert_eq!(by_id["race[1]"]["cause"]["code"], "enough");
}

#[test]
fn a_need_can_take_any_outcome_and_some_needs_can_be_enough() {
    let folder = Folder::with_plan(
        r#"
require: { cleanup: all, some: all }
calls:
  bad: { run: exit 1 }
  good: { run: echo good }
  cleanup: { run: "echo {{ calls.bad.status }}", needs: { bad: done } }
  some: { run: echo some, needs: [bad, good], needs_at_least: 1 }
  none: { run: echo none, needs: [bad, good], needs_at_least: 2 }
"#,
    );
    let (events, ran) = folder.events(&[]);
    let by_id = outcomes(&events);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(by_id["cleanup"]["output"]["text"], "failed");
    assert_eq!(by_id["some"]["status"], "ok");
    assert_eq!(by_id["none"]["status"], "skipped");
}

#[test]
fn a_background_call_is_not_waited_for_by_a_turn_and_its_notice_reaches_later_templates_once_done() {
    let folder = Folder::with_plan(
        r#"
limits: { time: 30s }
calls:
  back: { background: true, description: In the back, run: "until [ -e go ]; do sleep 0.02; done; echo from behind" }
  front: { run: "echo front" }
  wait: { needs: [front], run: "touch go; until ls .fanout/runs/*/outputs/back.txt 2>/dev/null; do sleep 0.02; done" }
  later: { needs: [wait], run: "echo {{ notifications | map(attribute='summary') | join(',') }}" }
reconcile: { strategy: collect, of: [later] }
"#,
    );
    let (events, ran) = folder.events(&[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(position(&events, "call_finished", "front") < position(&events, "call_finished", "back"));
    assert_eq!(outcomes(&events)["later"]["output"]["text"], "from behind");
    let posted = events.iter().filter(|event| event["type"] == "notification_posted").count();
    let drained: Vec<_> = events.iter().filter(|event| event["type"] == "notifications_drained").collect();
    assert_eq!(posted, 1);
    assert_eq!(drained.iter().filter(|event| event["by"] == "(reconcile)").count(), 1, "{drained:?}");
}

#[test]
fn a_stop_call_ends_the_run_early_as_it_says() {
    let plan = |status: &str| {
        format!(
            "calls:\n  found: {{ run: echo yes }}\n  halt: {{ when: \"calls.found.output == 'yes'\", stop: {{ status: {status}, reason: seen enough }} }}\n  long: {{ run: sleep 60 }}\n"
        )
    };
    for (status, code) in [("success", 0), ("failure", 1)] {
        let (events, ran) = Folder::with_plan(&plan(status)).events(&[]);
        assert_eq!(ran.code, code, "{}", ran.err);
        assert_eq!(outcomes(&events)["long"]["status"], "cancelled");
    }
}

#[test]
fn on_error_stop_starts_nothing_more() {
    let folder = Folder::with_plan(
        "limits: { concurrency: 1 }\ncalls:\n  first: { run: exit 1, on_error: stop }\n  second: { run: echo x, needs: { first: done } }\n",
    );
    let (events, ran) = folder.events(&[]);
    assert_eq!((ran.code, &outcomes(&events)["second"]["status"]), (1, &"cancelled".into()));
}

#[test]
fn a_list_of_more_calls_than_the_run_may_make_starts_none_of_them() {
    let made = |limit: usize| {
        let folder = Folder::with_plan(&format!(
            "limits: {{ calls: {limit} }}\ncalls:\n  list: {{ value: [1, 2, 3, 4] }}\n  each: {{ for_each: calls.list.json, run: \"echo {{{{ item }}}}\" }}\n",
        ));
        let (events, ran) = folder.events(&[]);
        let started = events.iter().filter(|e| e["type"] == "call_started" && e["agent"] == "sh").count();
        (ran.code, started)
    };
    assert_eq!(made(2), (5, 0));
    assert_eq!(made(4), (0, 4));
}

#[test]
fn a_question_is_answered_beforehand_or_by_default_or_the_plan_is_refused() {
    let plan = "calls:\n  who: { ask: Who reads it? }\n  say: { run: \"echo {{ calls.who.output }}\" }\n";
    let folder = Folder::with_plan(plan);
    let (events, _) = folder.events(&["--answer", "who=you"]);
    assert_eq!(outcomes(&events)["say"]["output"]["text"], "you");
    let refused = folder.run(&["run", "plan.yaml"]).expect_code(2);
    assert!(refused.err.contains("--answer who="), "{}", refused.err);
    let (events, _) = Folder::with_plan(&plan.replace("it? }", "it?, default: all }")).events(&[]);
    assert_eq!(outcomes(&events)["say"]["output"]["text"], "all");
}

#[test]
fn a_sub_plan_is_a_call_with_its_own_vars() {
    let folder = Folder::with_plan(
        r#"
calls:
  inner: { plan: inner.yaml, with: { who: world } }
  say: { run: "echo {{ calls.inner.json.greet }}" }
"#,
    );
    folder.write(
        "inner.yaml",
        "vars: { who: nobody }\ncalls:\n  greet: { run: \"echo hello {{ vars.who }}\" }\nreconcile: { strategy: command, command: \"sed 's/.*hello world.*/{\\\"greet\\\": \\\"hi\\\"}/'\" }\n",
    );
    let (events, ran) = folder.events(&[]);
    assert_eq!(ran.code, 0, "{}{}", ran.err, ran.out);
    assert_eq!(outcomes(&events)["say"]["output"]["text"], "hi");
    assert_eq!(outcomes(&events)["inner.greet"]["output"]["text"], "hello world");
}

#[test]
fn repeat_runs_until_it_holds_and_fails_at_its_max() {
    let plan = |max: u32| {
        format!(
            "calls:\n  count: {{ run: \"echo x >> log; wc -l < log | tr -d ' '\", repeat: {{ until: \"output == '3'\", max: {max} }} }}\n"
        )
    };
    let (events, ran) = Folder::with_plan(&plan(5)).events(&[]);
    assert_eq!((ran.code, &outcomes(&events)["count"]["output"]["text"]), (0, &"3".into()));
    let (events, ran) = Folder::with_plan(&plan(2)).events(&[]);
    assert_eq!((ran.code, &outcomes(&events)["count"]["cause"]["code"]), (1, &"repeat_max".into()));
}

#[test]
fn a_failed_call_has_no_output_unless_the_template_says_what_instead() {
    let folder = Folder::with_plan(
        r#"
require: { careful: all }
calls:
  bad: { run: "echo half; exit 1" }
  careful: { run: "echo {{ calls.bad.output | default('nothing') }}", needs: { bad: done } }
  careless: { run: "echo {{ calls.bad.output }}", needs: { bad: done } }
"#,
    );
    let (events, ran) = folder.events(&[]);
    let by_id = outcomes(&events);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(by_id["careful"]["output"]["text"], "nothing");
    assert_eq!(by_id["careless"]["cause"]["code"], "template");
}

#[test]
fn a_sub_plan_keeps_its_own_limits() {
    let folder = Folder::with_plan("calls:\n  inner: { plan: inner.yaml }\n");
    folder.write(
        "inner.yaml",
        "limits: { calls: 2 }\ncalls:\n  list: { value: [1, 2, 3] }\n  each: { for_each: calls.list.json, run: \"echo {{ item }}\" }\n",
    );
    let (events, ran) = folder.events(&[]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    let by_id = outcomes(&events);
    let over = by_id.values().filter(|outcome| outcome["status"] == "over_budget").count();
    assert_eq!((over, &by_id["inner"]["cause"]["code"]), (1, &"sub_plan".into()));
}

#[test]
fn a_sub_plan_ends_with_its_call_and_everything_in_it_has_an_outcome() {
    let folder = Folder::with_plan("calls:\n  inner: { plan: inner.yaml, timeout: 300ms }\n");
    folder
        .write("inner.yaml", "calls:\n  slow: { run: sleep 60 }\n  after: { run: echo x, needs: [slow] }\n");
    let (events, ran) = folder.events(&[]);
    let by_id = outcomes(&events);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert_eq!(by_id["inner"]["status"], "timed_out");
    assert_eq!(by_id["inner.slow"]["status"], "cancelled");
    assert!(by_id.contains_key("inner.after"));
}

#[test]
fn a_request_is_on_record_before_its_provider_has_it_and_its_answer_once() {
    let provider = Provider::start();
    let folder = Folder::with_plan(&format!(
        "providers: {{ lab: {{ api: openai-chat, base_url: '{}' }} }}\n\
         agents: {{ m: {{ model: lab/tiny, tools: [] }} }}\ndefaults: {{ agent: m }}\n\
         calls:\n  many: {{ prompt: 'number {{{{ item }}}}', for_each: [1, 2, 3, 4, 5, 6, 7, 8] }}\n",
        provider.base_url()
    ));
    let runs = folder.path().join(".fanout/runs");
    let records = move || {
        let dir = std::fs::read_dir(&runs).unwrap().next().unwrap().unwrap().path();
        let text = std::fs::read_to_string(dir.join("journal.jsonl")).unwrap();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<Value>>()
    };
    let now = records.clone();
    provider.answer(move |request| {
        let (records, prompt) = (now(), request.prompt());
        let is = |record: &&Value, kind: &str| record["type"] == kind;
        let begun = records.iter().find(|one| is(one, "call_started") && one["input"] == prompt.as_str());
        let asked = begun.is_some_and(|begun| {
            records.iter().any(|one| is(&one, "request_started") && one["instance"] == begun["instance"])
        });
        Script::text(if asked { "on record" } else { "unknown" })
    });
    folder.run(&["run", "plan.yaml"]).expect_code(0);
    let records = records();
    let of_first = |one: &&Value| one["instance"] == serde_json::json!({"call": "many", "index": 0});
    let kinds: Vec<&Value> = records.iter().filter(of_first).map(|one| &one["type"]).collect();
    assert_eq!(kinds, ["call_started", "request_started", "request_finished", "call_finished"]);
    let ends = records.iter().filter(|one| one["type"] == "call_finished");
    let texts: Vec<&Value> = ends.map(|one| &one["outcome"]["output"]["text"]).collect();
    assert_eq!(texts, ["on record"; 8]);
}
