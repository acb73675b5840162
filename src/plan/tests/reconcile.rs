//! Parent steps.

use super::*;
use serde_json::{Value, json};

const CALLS: &str = "agents: { ann: { model: anthropic/x } }\ncalls:\n  a: { run: a }\n  b: { run: b }\n";

fn step(reconcile: &str) -> Reconcile {
    plan(&format!("{CALLS}reconcile: {reconcile}\n")).reconcile
}

fn wrong(reconcile: &str) -> Vec<String> {
    faults(&format!("{CALLS}reconcile: {reconcile}\n"))
}

#[test]
fn the_settings_of_every_strategy_are_handed_on_as_they_stand() {
    assert_eq!(step("{ of: b, min: 50% }").of, [1]);
    assert_eq!(step("{ min: 50% }").min, Some(Quantity::Share(0.5)));
    for (written, settings) in [
        ("{ strategy: compare, normalize: [case, space] }", json!({"normalize": ["case", "space"]})),
        (
            "{ strategy: vote, on: [/verdict], quorum: 60%, weights: { a: 2, ann: 1, lab/x: 0.5 } }",
            json!({"on": ["/verdict"], "quorum": "60%", "weights": {"a": 2, "ann": 1, "lab/x": 0.5}}),
        ),
        (
            "{ strategy: merge, items: /findings, key: [/file, /line], similar: { on: /title, at: 0.85 }, conflicts: [/severity], on_conflict: report, keep: { min_agree: 2 } }",
            json!({
                "key": ["/file", "/line"], "conflicts": ["/severity"], "items": "/findings",
                "similar": {"on": ["/title"], "at": 0.85}, "on_conflict": "report", "keep": {"min_agree": 2}
            }),
        ),
        (
            "{ strategy: merge, on_conflict: { prefer: [b, ann] } }",
            json!({"on_conflict": {"prefer": ["b", "ann"]}}),
        ),
        ("{ strategy: best, by: /score }", json!({"by": "/score"})),
    ] {
        assert_eq!(Value::Object(step(written).strategy.settings), settings, "{written}");
    }
    let command = step("{ strategy: command, command: [python3, merge.py, '{{ run.id }}'] }");
    assert!(matches!(command.strategy.command, Some(Command::Argv(words)) if words.len() == 3));
}

#[test]
fn keys_that_a_strategy_does_not_have_are_not_ignored() {
    assert_eq!(
        wrong("{ strategy: collect, quorum: 2 }"),
        ["5:33: E0110 `quorum` means nothing to the strategy `collect`"]
    );
    assert_eq!(
        wrong("{ strategy: colect }"),
        [
            "5:24: E0302 unknown strategy `colect`; it can be `collect`, `compare`, `vote`, `merge`, `best`, `patch`, `synthesize` or `command`"
        ]
    );
    assert_eq!(wrong("{ strategy: command }"), ["5:24: E0106 the strategy `command` needs a `command`"]);
    assert_eq!(wrong("{ strategy: best }"), ["5:24: E0106 the strategy `best` needs `by`"]);
    assert_eq!(wrong("{ of: [] }"), ["5:18: E0108 `of` names no calls"]);
    assert_eq!(wrong("{ of: [a, c] }"), ["5:22: E0202 there is no call `c`"]);
    assert_eq!(wrong("{ min: 3 }"), ["5:19: E0310 the step reads 2 calls; 3 can never answer"]);
    assert_eq!(
        wrong("{ strategy: vote, on: verdict }"),
        ["5:34: E0107 `verdict` is no JSON pointer: it has to begin with a slash"]
    );
    assert_eq!(
        wrong("{ strategy: vote, weights: { c: 1 } }"),
        ["5:41: E0202 there is no call and no agent `c`"]
    );
    assert_eq!(
        wrong("{ strategy: vote, weights: { a: -1 } }"),
        ["5:44: E0107 a weight is a number that is not negative"]
    );
    assert_eq!(
        wrong("{ strategy: merge, similar: { on: /t, at: 2 } }"),
        ["5:54: E0303 `at` must be between 0 and 1"]
    );
    assert_eq!(wrong("{ strategy: merge, similar: { at: 0.5 } }"), Vec::<String>::new());
}

#[test]
fn a_step_in_the_middle_reads_its_needs_and_counts_those_that_failed() {
    let plan = plan(&format!(
        "{CALLS}  m: {{ reconcile: {{ strategy: compare }}, needs: {{ a: done, b: success }} }}\n  n: {{ reconcile: {{ of: [a, m] }} }}\n"
    ));
    let of = |call: usize| {
        let Action::Reconcile(step) = &plan.calls[call].action else { panic!() };
        step.of.clone()
    };
    assert_eq!((of(2), of(3)), (vec![0, 1], vec![0, 2]));
    let needs: Vec<(usize, Accept, bool)> =
        plan.calls[3].needs.iter().map(|n| (n.call, n.accept, n.data)).collect();
    assert_eq!(needs, [(0, Accept::Done, true), (2, Accept::Done, true)]);
    assert_eq!(plan.reconcile.of, [3]);
    assert_eq!(
        faults(&format!("{CALLS}  m: {{ reconcile: {{ strategy: compare }} }}\n")),
        ["5:8: E0106 `m` does not say which calls it reads"]
    );
    assert_eq!(
        faults(&format!("{CALLS}  m: {{ reconcile: {{ of: [a, m] }} }}\n")),
        ["5:25: E0203 `m` reads itself"]
    );
}

#[test]
fn what_counts_as_a_success_is_checked_against_the_calls() {
    let require =
        |text: &str| plan(&format!("{CALLS}  c: {{ run: c, samples: 3 }}\nrequire: {text}\n")).require;
    assert_eq!(require("all"), Require::All);
    assert_eq!(require("2"), Require::Some(Quantity::Count(2)));
    assert_eq!(require("80%"), Require::Some(Quantity::Share(0.8)));
    assert_eq!(require("{ c: 2, a: all }"), Require::PerCall(vec![(2, Some(Quantity::Count(2))), (0, None)]));
    let wrong = |text: &str| faults(&format!("{CALLS}require: {text}\n"));
    assert_eq!(wrong("3"), ["5:10: E0310 the plan has 2 calls; 3 can never succeed"]);
    assert_eq!(wrong("{ a: 2 }"), ["5:12: E0310 `a` is one call; more than 1 can never succeed"]);
    assert_eq!(wrong("{ x: 2 }"), ["5:12: E0202 there is no call `x`"]);
    assert_eq!(
        wrong("most"),
        ["5:10: E0107 expected `all`, a number such as `2`, or a share such as `80%`, found the text `most`"]
    );
    let fail_on = plan(&format!("{CALLS}fail_on: reconcile.json.agree < 0.5\n")).fail_on;
    assert!(fail_on.is_some());
}
