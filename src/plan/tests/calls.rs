//! The keys of a call: exactly one action, defaults, units, words.

use std::time::Duration;

use super::*;
use crate::unit::{Bytes, Tokens};

#[test]
fn a_call_does_exactly_one_thing() {
    assert_eq!(faults("calls:\n  a: { timeout: 5s }\n"), ["2:3: E0106 `a` does nothing"]);
    assert_eq!(
        faults("calls:\n  a: { run: x, prompt: y }\n"),
        ["2:3: E0110 `a` has `prompt` and `run`; a call does one thing"]
    );
    assert_eq!(
        faults("calls:\n  a: { promt: x }\n"),
        ["2:8: E0105 unknown key `promt`"],
        "it is not missing as well"
    );
    assert_eq!(
        faults("calls:\n  a:\n"),
        ["2:3: E0108 there is no value; expected a map with `description`, `prompt`, `run`, `plan`, …"]
    );
    assert_eq!(faults("calls: {}"), ["1:1: E0106 the plan has no calls"]);
    assert_eq!(faults("name: x"), ["1:1: E0106 `calls` is missing"]);
}

#[test]
fn defaults_are_filled_in_and_own_keys_win() {
    let plan = plan(
        "defaults: { timeout: 5m, env: { A: '1', B: '2' }, output: { max_bytes: 64KiB }, pass: { as: file }, tags: [x] }
calls:
  a: { run: a, timeout: 1m, env: { B: '3', C: '4' }, output: json, pass: { max_tokens: 2k } }
  b: { run: b }
",
    );
    let env = |call: &Call| -> Vec<(String, String)> {
        call.env.iter().map(|(key, value)| (key.clone(), value.source.to_string())).collect()
    };
    let pairs = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    };
    let (a, b) = (&plan.calls[0], &plan.calls[1]);
    assert_eq!((a.timeout, b.timeout), (Duration::from_secs(60), Duration::from_secs(300)));
    assert_eq!(env(a), pairs(&[("B", "3"), ("C", "4"), ("A", "1")]));
    assert_eq!(env(b), pairs(&[("A", "1"), ("B", "2")]));
    assert_eq!((a.output.format, a.output.max_bytes), (Format::Json, Bytes(65_536)));
    assert_eq!((a.pass.as_file, a.pass.max_tokens), (true, Tokens(2_000)));
    assert_eq!(a.tags, ["x"]);
}

#[test]
fn what_one_call_does_is_no_default() {
    assert_eq!(
        faults("defaults: { run: ls }\ncalls:\n  a: { prompt: x }\n"),
        ["1:13: E0110 `run` says what one call does; it cannot be a default for all"]
    );
}

#[test]
fn units_words_and_types_are_checked_at_their_place() {
    let table = [
        ("run: x\ntimeout: 5", "4:14: E0301 `5` has no unit"),
        ("run: x\ntimeout: 0s", "4:14: E0303 `timeout` must be more than nothing"),
        (
            "run: x\ntimeout: [5s]",
            "4:14: E0107 expected a length of time such as `5s`, `10m` or `2h`, found a list",
        ),
        (
            "run: x\ntimeout:",
            "4:5: E0108 there is no value; expected a length of time such as `5s`, `10m` or `2h`",
        ),
        ("run: x\nretries: many", "4:14: E0107 expected a whole number, found the text `many`"),
        ("run: x\nretries: -1", "4:14: E0303 -1 is out of range: it can be 0 to 4294967295"),
        ("run: x\nretries: 1.5", "4:14: E0107 expected a whole number, found the number `1.5`"),
        ("run: x\nretries: \"3\"", "4:14: E0107 expected a whole number, found the text `3`"),
        (
            "run: x\nretries: \"{{ vars.n }}\"",
            "4:14: E0410 expected a whole number; templates are not allowed here",
        ),
        ("run: x\nbackground: yes", "4:17: E0107 expected `true` or `false`, found the text `yes`"),
        (
            "run: x\non_error: abort",
            "4:15: E0302 unknown on_error `abort`; it can be `stop`, `continue` or `ignore`",
        ),
        (
            "run: x\noutput: yaml",
            "4:13: E0302 unknown output format `yaml`; it can be `text`, `json` or `lines`",
        ),
        ("run: x\noutput: { max_bytes: 10 }", "4:26: E0301 `10` has no unit"),
        ("run: x\nsamples: 0", "4:14: E0303 `samples` must be at least 1"),
        ("run: x\nattempts: 2", "4:5: E0110 `attempts` needs something that can fail an answer"),
        (
            "run: x\ndescription: see {{ vars.x }}",
            "4:18: E0410 expected a plain text; templates are not allowed here",
        ),
        ("run: \"\"", "3:10: E0108 the command is empty"),
        ("run: []", "3:10: E0108 the command has no program"),
        ("run: { file: x }", "3:10: E0107 expected a command: a text for the shell, or a list, found a map"),
        ("run: x\nenv: { A=B: c }", "4:12: E0201 `A=B` cannot be the name of a variable"),
        ("stop: { status: fine }", "3:21: E0302 unknown status `fine`; it can be `success` or `failure`"),
        ("stop: {}", "3:11: E0106 `status` is missing"),
        ("prompt: |", "3:13: E0108 the prompt is empty"),
    ];
    for (keys, expected) in table {
        assert_eq!(faults(&call(keys)), [expected], "{keys}");
    }
}

#[test]
fn keys_that_mean_nothing_here_are_not_ignored() {
    for (keys, key, owner) in [
        ("run: x\nagent: y", "agent", "a call with a `prompt`"),
        ("prompt: x\nstdin: y", "stdin", "a call with `run`"),
        ("run: x\nwith: { a: 1 }", "with", "a call with `plan`"),
        ("run: x\ndefault: y", "default", "a call with `ask`"),
        ("run: x\nas: y", "as", "a call with `for_each`"),
        ("run: x\njoin: any", "join", "a call with `for_each`, `matrix` or `samples`"),
        ("run: x\nconcurrency: 2", "concurrency", "a call with `for_each`, `matrix` or `samples`"),
    ] {
        let expected = format!("4:5: E0110 `{key}` means nothing in `one`: it belongs to {owner}");
        assert_eq!(faults(&call(keys)), [expected]);
    }
    let from_defaults =
        "defaults: { agent: { model: anthropic/x }, concurrency: 2 }\ncalls:\n  a: { run: x }\n";
    assert!(plan(from_defaults).calls.len() == 1, "what all calls get is not blamed on one");
}

#[test]
fn every_action_is_read() {
    let plan = plan(
        "calls:
  p: { prompt: hi }
  s: { run: 'ls | wc -l' }
  l: { run: [ls, '{{ calls.s.output }}'], stdin: '{{ calls.p.output }}' }
  v: { value: { n: 'calls.s.output | length', fixed: 3 } }
  w: { value: 'calls.v.json.n > 2' }
  a: { ask: 'Go on with {{ calls.w.json }}?', default: 'yes' }
  t: { stop: { status: failure, reason: 'It is {{ calls.a.output }}.' }, when: calls.a.output != 'yes' }
  r: { reconcile: { of: [p, s], strategy: compare } }
",
    );
    let kinds: Vec<&str> = plan.calls.iter().map(|call| call.action.kind()).collect();
    assert_eq!(kinds, ["prompt", "run", "run", "value", "value", "ask", "stop", "reconcile"]);
    let needs: Vec<Vec<usize>> =
        plan.calls.iter().map(|call| call.needs.iter().map(|need| need.call).collect()).collect();
    assert_eq!(needs, [vec![], vec![], vec![0, 1], vec![1], vec![3], vec![4], vec![5], vec![0, 1]]);
    assert_eq!(plan.reconcile.of, [2, 7], "an answer of a person and the end of the run are no results");
    let Action::Value(Computed::Map(entries)) = &plan.calls[3].action else { panic!() };
    assert!(matches!(&entries[0].1, Computed::Expression(e) if &*e.source == "calls.s.output | length"));
    assert!(matches!(&entries[1].1, Computed::Literal(n) if *n == 3));
}

#[test]
fn an_output_schema_is_itself_checked() {
    let plan = plan(&call("run: x\noutput: { schema: { type: object, required: [a] } }"));
    assert_eq!(plan.calls[0].output.format, Format::Json, "a schema makes it JSON");
    let wrong = faults(&call("run: x\noutput: { schema: { type: objct } }"));
    assert!(wrong[0].starts_with("4:23: E0306 this is no JSON Schema: "), "{wrong:?}");
    assert_eq!(
        faults(&call("run: x\noutput: { schema: { type: object }, format: text }")),
        ["4:49: E0110 a text has no schema"]
    );
}

#[test]
fn yaml_words_that_are_no_booleans_stay_texts() {
    let plan = plan(
        "name: no\ndescription: 1e3\nvars: { a: on, b: 0o17, c: 2026-11-20, d: y }\ncalls: { on: { run: echo } }\n",
    );
    assert_eq!((plan.name.as_str(), plan.description.as_deref()), ("no", Some("1e3")));
    assert_eq!(
        serde_json::Value::Object(plan.vars),
        serde_json::json!({"a": "on", "b": 15, "c": "2026-11-20", "d": "y"})
    );
    assert_eq!(plan.calls[0].id.as_str(), "on");
}

#[test]
fn ids_that_could_be_paths_or_look_like_others_are_refused() {
    for id in ["../x", "a/b", "a.b", "1st", "é", "a b"] {
        let found = faults(&format!("calls:\n  \"{id}\": {{ run: x }}\n"));
        assert!(found[0].starts_with(&format!("2:3: E0201 `{id}` cannot be an id")), "{found:?}");
    }
}

#[test]
fn what_is_switched_off_is_allowed() {
    plan(&call("run: x\nisolation: shared\nsandbox: off\ncache: false"));
    plan(&call("run: x\nsandbox: { mode: off }"));
    plan(
        "agents: { x: { tools: [] } }\nreport: { json: out.json, markdown: out.md }\nlimits: { background: cancel }\ncalls: { a: { run: x } }",
    );
}

#[test]
fn no_call_outlives_its_run() {
    let said = lines(&read("limits: { background: detach }\ncalls: { a: { run: x, background: true } }\n"));
    let [one] = said.as_slice() else { panic!("{said:?}") };
    assert!(one.starts_with("1:23: E0302 ") && one.contains("`wait`") && one.contains("`cancel`"), "{one}");
}
