//! `vote` through its front door.

use serde_json::{Value, json};

use super::super::fixture::{answer, failed, inputs, json_answer, settings};
use super::super::{Answer, Inputs, ReconcileError, Reconciled, reconcile};
use crate::plan::Quantity;

fn vote(with: Value, inputs: &Inputs) -> Reconciled {
    reconcile("vote", &settings(with), inputs).unwrap()
}

fn five_of_whom_two_died() -> Inputs {
    inputs([
        json_answer("r[0]", json!({"verdict": "revert"})),
        json_answer("r[1]", json!({"verdict": "Revert"})),
        failed("r[2]", "the provider was overloaded"),
        json_answer("r[3]", json!({"verdict": "keep"})),
        failed("r[4]", "exit status 137"),
    ])
}

fn by(agent: &str, answer: Answer) -> Answer {
    Answer { agent: Some(agent.to_owned()), ..answer }
}

#[test]
fn two_of_five_dead_are_named_and_the_vote_says_three_of_five() {
    let result = vote(json!({"on": "/verdict", "normalize": "case"}), &five_of_whom_two_died());
    assert_eq!(
        result.text,
        "3 of 5 answered (plurality)\n\n\
         /verdict: revert wins (2 of 3 votes), confidence 0.58\n  \
           2  revert  r[0], r[1]\n  \
           1  keep    r[3]\n\n\
         Missing:\n  r[2] failed: the provider was overloaded\n  r[4] failed: exit status 137"
            .replace("  2  revert", "    2  revert")
            .replace("  1  keep", "    1  keep")
    );
    assert_eq!(result.json["winner"], json!("revert"));
    assert_eq!(
        result.json["questions"],
        json!([{
            "pointer": "/verdict",
            "outcome": "won",
            "decided_by": "votes",
            "winner": "revert",
            "confidence": 0.5772,
            "votes": 3,
            "tally": [
                {"value": "revert", "votes": 2, "weight": 2.0, "share": 0.6667, "confidence": 0.5772, "by": ["r[0]", "r[1]"]},
                {"value": "keep", "votes": 1, "weight": 1.0, "share": 0.3333, "confidence": 0.0968, "by": ["r[3]"]},
            ],
            "abstained": [],
        }])
    );
    assert!(result.conflicts.is_empty());
}

#[test]
fn fewer_answers_than_min_fail_the_step_with_the_census() {
    let inputs = Inputs { min: Some(Quantity::Count(4)), ..five_of_whom_two_died() };
    let error = reconcile("vote", &settings(json!({"on": "/verdict"})), &inputs).unwrap_err();
    assert_eq!(
        error.to_string(),
        "3 of 5 answered, and 4 are needed: r[2] failed: the provider was overloaded; r[4] failed: exit status 137"
    );
    let ReconcileError::TooFew { needed: 4, census } = error else { panic!("{error:?}") };
    assert_eq!(census.missing.len(), 2);
}

#[test]
fn each_rule_asks_for_its_own_kind_of_lead() {
    let split =
        inputs([answer("a", "x"), answer("b", "x"), answer("c", "y"), answer("d", "z"), answer("e", "w")]);
    let outcome = |rule: &str, inputs: &Inputs| {
        let result = vote(json!({"rule": rule}), inputs);
        (
            result.json["questions"][0]["outcome"].clone(),
            result.json["winner"].clone(),
            result.conflicts.len(),
        )
    };
    assert_eq!(outcome("plurality", &split), (json!("won"), json!("x"), 0));
    assert_eq!(outcome("majority", &split), (json!("no_majority"), Value::Null, 1));
    assert_eq!(outcome("unanimity", &split), (json!("not_unanimous"), Value::Null, 1));
    let same = inputs([answer("a", "x"), answer("b", "x"), failed("c", "dead")]);
    assert_eq!(outcome("majority", &same), (json!("won"), json!("x"), 0));
    assert_eq!(outcome("unanimity", &same), (json!("won"), json!("x"), 0));
}

#[test]
fn a_tie_is_broken_only_as_declared() {
    let tie =
        inputs([by("weak", answer("a", "x")), by("strong", answer("b", "y")), by("weak", answer("c", "z"))]);
    let reported = vote(json!({}), &tie);
    assert_eq!(reported.json["winner"], Value::Null);
    assert_eq!(reported.json["decided"], json!(false));
    assert_eq!(reported.json["questions"][0]["tied"], json!(["x", "y", "z"]));
    assert_eq!(reported.conflicts[0].message, "tied between x and y and z");
    let first = vote(json!({"ties": "first"}), &tie);
    assert_eq!(
        (&first.json["winner"], &first.json["questions"][0]["decided_by"]),
        (&json!("x"), &json!("first"))
    );
    let weights = json!({"strong": 2, "weak": 1});
    let even =
        inputs([by("weak", answer("a", "x")), by("weak", answer("b", "x")), by("strong", answer("c", "y"))]);
    let heaviest = vote(json!({"ties": "weight", "weights": weights}), &even);
    assert_eq!(
        (&heaviest.json["winner"], &heaviest.json["questions"][0]["decided_by"]),
        (&json!("y"), &json!("weight"))
    );
    match reconcile("vote", &settings(json!({"ties": "fail"})), &tie) {
        Err(ReconcileError::Conflict { message, .. }) => assert_eq!(message, "tied between x and y and z"),
        other => panic!("{other:?}"),
    }
    let halves = inputs([answer("a", "x"), answer("b", "y")]);
    assert_eq!(vote(json!({"rule": "majority", "ties": "first"}), &halves).json["winner"], json!("x"));
    assert_eq!(vote(json!({"rule": "majority", "ties": "first"}), &tie).json["winner"], Value::Null);
}

#[test]
fn a_quorum_counts_those_who_voted_on_the_question() {
    let inputs = inputs([
        json_answer("a", json!({"x": 1, "y": 2})),
        json_answer("b", json!({"x": 1})),
        json_answer("c", json!({"x": 1, "z": 1})),
    ]);
    let result = vote(json!({"on": ["/x", "/y"], "quorum": "60%"}), &inputs);
    assert_eq!(result.json["winner"], json!({"/x": 1, "/y": null}));
    assert_eq!(result.json["questions"][1]["abstained"], json!(["b", "c"]));
    assert_eq!(result.conflicts[0].message, "/y: no quorum; 1 voted and 2 have to");
    assert_eq!(result.json["confidence"], Value::Null);
}

#[test]
fn weights_go_by_the_most_particular_name_and_an_unknown_name_is_an_error() {
    let inputs = inputs([
        by("codex", answer("r[0]", "x")),
        by("codex", answer("r[1]", "x")),
        by("claude", answer("r[2]", "y")),
    ]);
    let result = vote(json!({"weights": {"codex": 1, "r[1]": 0.5, "claude": 2}}), &inputs);
    assert_eq!(result.json["winner"], json!("y"));
    assert_eq!(result.json["weights"], json!({"r[0]": 1.0, "r[1]": 0.5, "r[2]": 2.0}));
    let error = reconcile("vote", &settings(json!({"weights": {"cluade": 2}})), &inputs).unwrap_err();
    assert_eq!(error.to_string(), "`weights.cluade`: nobody here is called `cluade`");
}

#[test]
fn weights_are_learned_from_rows_whose_answer_is_known() {
    let mut rows = String::new();
    for n in 0..40 {
        // The expert is right nine times of ten; the others are together right one time of four.
        let expert = if n % 10 == 0 { "no" } else { "yes" };
        let others = if n % 4 == 0 { "yes" } else { "maybe" };
        rows.push_str(
            &json!({"gold": "yes", "answers": {"expert": expert, "b": others, "c": others}}).to_string(),
        );
        rows.push('\n');
    }
    let inputs = Inputs {
        files: [("past.jsonl".to_owned(), rows.into())].into(),
        ..inputs([
            by("expert", answer("r[0]", "x")),
            by("b", answer("r[1]", "y")),
            by("c", answer("r[2]", "y")),
        ])
    };
    let with = json!({"weights": {"from": "past.jsonl"}});
    assert_eq!(super::super::needs("vote", &settings(with.clone())).unwrap().files, ["past.jsonl"]);
    let result = vote(with, &inputs);
    assert_eq!(result.json["winner"], json!("x"), "{}", result.text);
    assert_eq!(result.json["learned"]["rows"], json!(40));
    assert_eq!(result.json["learned"]["voters"]["expert"]["right"], json!(36));
    let broken = Inputs { files: [("past.jsonl".to_owned(), "{\"gold\": 1}".into())].into(), ..inputs };
    let error =
        reconcile("vote", &settings(json!({"weights": {"from": "past.jsonl"}})), &broken).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`past.jsonl`, line 1: there is no map `answers`; each line is `{\"gold\": …, \"answers\": {\"name\": …}}`"
    );
}

#[test]
fn rankings_go_to_whoever_beats_all_others() {
    // Borda alone would pick b: c's two voters rank it low. Copeland picks a, who beats both.
    let inputs = inputs([
        json_answer("v[0]", json!(["a", "b", "c"])),
        json_answer("v[1]", json!(["a", "b", "c"])),
        json_answer("v[2]", json!(["a", "b", "c"])),
        json_answer("v[3]", json!(["b", "c", "a"])),
        json_answer("v[4]", json!(["b", "c", "a"])),
    ]);
    let result = vote(json!({"rule": "ranked"}), &inputs);
    assert_eq!(result.json["winner"], json!("a"));
    assert_eq!(result.json["questions"][0]["ranking"], json!(["a", "b", "c"]));
    let tally = &result.json["questions"][0]["tally"];
    assert_eq!(
        (&tally[0]["wins"], &tally[0]["points"], &tally[1]["points"]),
        (&json!(2), &json!(6.0), &json!(7.0))
    );
    let partial =
        super::super::fixture::inputs([answer("a", "x\ny\n"), answer("b", "y\n"), answer("c", "y\nz")]);
    assert_eq!(
        vote(json!({"rule": "ranked"}), &partial).json["questions"][0]["ranking"],
        json!(["y", "x", "z"])
    );
}

#[test]
fn a_pointer_that_nobody_has_is_an_error_that_says_what_there_is() {
    let error = reconcile("vote", &settings(json!({"on": "/verdit"})), &five_of_whom_two_died()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`r[0]` cannot be used: it has `/verdict`; `on` asks for `/verdit`, and none of 3 answers has that"
    );
}
