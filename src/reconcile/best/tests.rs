//! `best` through its front door.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::fixture::{answer, ended, inputs, json_answer, settings};
use super::super::{Answer, Inputs, ReconcileError, Reconciled, needs, program_input, reconcile};
use crate::outcome::{Cause, Outcome, Output, Status};
use crate::unit::Usd;

fn best(with: Value, inputs: &Inputs) -> Reconciled {
    reconcile("best", &settings(with), inputs).unwrap()
}

fn cost(dollars: f64, mut answer: Answer) -> Answer {
    answer.outcome.usage.cost = Some(Usd((dollars * 1e6) as u64));
    answer
}

fn check_failed(name: &str, text: &str) -> Answer {
    let cause = Cause::new("check_failed", "the check exited 1");
    ended(name, Outcome { output: Output::text(text), ..Outcome::ended(Status::Failed, cause) })
}

fn order(result: &Reconciled) -> Vec<&str> {
    result.json["ranking"].as_array().unwrap().iter().map(|entry| entry["call"].as_str().unwrap()).collect()
}

#[test]
fn a_later_criterion_counts_only_among_equals_and_the_unknown_come_last() {
    let inputs = inputs([
        cost(0.03, json_answer("s[0]", json!({"score": 7}))),
        cost(0.01, json_answer("s[1]", json!({"score": "7"}))),
        json_answer("s[2]", json!({"score": 9, "x": 1})),
        cost(0.02, json_answer("s[3]", json!({"other": 1}))),
        json_answer("s[4]", json!({"score": 7})),
    ]);
    let result = best(json!({"by": ["/score", "cost"]}), &inputs);
    assert_eq!(order(&result), ["s[2]", "s[1]", "s[0]", "s[4]", "s[3]"]);
    assert_eq!(result.json["winner"], json!({"call": "s[2]", "value": {"score": 9, "x": 1}}));
    assert_eq!(
        result.json["ranking"][1],
        json!({
            "rank": 2, "call": "s[1]", "eligible": true, "scores": {"/score": 7.0, "cost": 0.01},
            "reasons": "/score 7; $0.0100", "because": "ahead of s[0] by cost",
        })
    );
    assert!(result.text.starts_with(
        "5 of 5 answered; best by /score, then cost\n\ns[2] is best, ahead of s[1] by /score\n"
    ));
    let least = best(json!({"by": [{"min": "/score"}, {"max": "cost"}]}), &inputs);
    assert_eq!(order(&least)[..2], ["s[0]", "s[1]"]);
}

#[test]
fn whoever_failed_its_check_is_listed_and_never_wins() {
    let inputs =
        inputs([check_failed("s[0]", "short"), answer("s[1]", "much longer"), check_failed("s[2]", "x")]);
    let result = best(json!({"by": ["checks", "size"]}), &inputs);
    assert_eq!(order(&result), ["s[1]", "s[2]", "s[0]"]);
    assert_eq!(result.json["ranking"][1]["eligible"], json!(false));
    assert_eq!(result.json["ranking"][1]["reasons"], json!("the check exited 1; 1 B"));
    assert_eq!(result.json["ranking"][0]["because"], json!("ahead of s[2] as that one's check failed"));
    let none = super::super::fixture::inputs([check_failed("s[0]", "x")]);
    let error = reconcile("best", &settings(json!({"by": "checks"})), &none).unwrap_err();
    assert_eq!(error.to_string(), "0 of 1 answered, and 1 is needed: s[0] failed: the check exited 1");
}

#[test]
fn marks_time_and_size_are_criteria_too() {
    let slow = |mut answer: Answer, seconds| {
        answer.outcome.took = Duration::from_secs(seconds);
        answer
    };
    let inputs = inputs([
        slow(json_answer("a", json!({"tests": {"one": "pass", "two": "fail"}})), 9),
        slow(json_answer("b", json!({"tests": {"one": "pass", "two": "ok"}})), 70),
        slow(json_answer("c", json!({"tests": [true, {"passed": true}]})), 60),
    ]);
    let result = best(json!({"by": [{"checks": "/tests"}, "time"]}), &inputs);
    assert_eq!(order(&result), ["c", "b", "a"]);
    assert_eq!(result.json["ranking"][0]["reasons"], json!("passes 2 of 2 checks; 1m00s"));
}

#[test]
fn a_majority_of_wrong_answers_does_not_win_the_cross_check() {
    let candidate =
        |name: &str, text: &str, bits: &str| json_answer(name, json!({"code": text, "passes": bits}));
    let inputs = inputs([
        candidate("s[0]", "wrong 1", "110000000000"),
        candidate("s[1]", "wrong 2", "110000000000"),
        candidate("s[2]", "wrong 3", "110000000000"),
        candidate("s[3]", "right", "001111111100"),
        candidate("s[4]", "also right", "001111111100"),
        candidate("s[5]", "wrong 4", "110000000000"),
    ]);
    let result = best(json!({"cross_check": {"passes": "/passes"}}), &inputs);
    assert_eq!(order(&result)[..2], ["s[3]", "s[4]"]);
    assert_eq!(result.json["ranking"][0]["reasons"], json!("behaves like 1 other; they pass 8 of 12 tests"));
    assert_eq!(result.json["cross_check"]["groups"][1]["by"], json!(["s[0]", "s[1]", "s[2]", "s[5]"]));
}

#[test]
fn the_program_gets_every_candidate_and_every_different_test_and_fills_in_the_table() {
    let solution =
        |name: &str, code: &str, tests: Value| json_answer(name, json!({"code": code, "tests": tests}));
    let mut inputs = inputs([
        solution("s[0]", "a", json!(["t1", "t2"])),
        solution("s[1]", "b", json!("t2\n t3 \n")),
        json_answer("tester", json!({"tests": ["t1"]})),
    ]);
    let with = settings(json!({"cross_check": {"candidates": "/code", "tests": "/tests"}}));
    assert!(needs("best", &with).unwrap().program);
    let input = program_input("best", &with, &inputs).unwrap();
    assert_eq!(
        input["candidates"],
        json!([{"call": "s[0]", "candidate": "a"}, {"call": "s[1]", "candidate": "b"}])
    );
    assert_eq!(
        input["tests"],
        json!([{"test": "t1", "by": ["s[0]", "tester"]}, {"test": "t2", "by": ["s[0]", "s[1]"]}, {"test": "t3", "by": ["s[1]"]}])
    );
    inputs.program_output = Some(r#"{"passes": {"s[0]": "000", "s[1]": [true, true, false]}}"#.into());
    let result = reconcile("best", &with, &inputs).unwrap();
    assert_eq!(result.json["winner"], json!({"call": "s[1]", "value": "b"}));
    assert_eq!(order(&result), ["s[1]", "s[0]"]);
    inputs.program_output = Some(r#"{"passes": [[true, true, false]]}"#.into());
    assert_eq!(
        reconcile("best", &with, &inputs).unwrap_err().to_string(),
        "the cross-check's program gave 0 marks for `s[1]`, and there are 3 tests: it is to print \
         `{\"passes\": [[true, false, …], …]}`, a row for each candidate"
    );
}

#[test]
fn settings_that_cannot_rank_are_refused() {
    let fault = |with: Value| match super::super::check_settings("best", &settings(with)) {
        Err(error) => (error.key, error.message),
        Ok(()) => panic!("taken"),
    };
    assert_eq!(fault(json!({})).1, "nothing says which candidate is better");
    assert_eq!(fault(json!({"by": "chekcs"})), ("by".into(), "there is no `chekcs`".into()));
    assert_eq!(fault(json!({"by": "cross_check"})).1, "`cross_check` needs to know what passes what");
    assert_eq!(fault(json!({"by": [3]})).1, "a number of this shape is no criterion");
    assert_eq!(fault(json!({"cross_check": {"pases": "/x"}})).0, "cross_check.pases");
    let nobody = inputs([json_answer("a", json!({"x": "high"}))]);
    match reconcile("best", &settings(json!({"by": "/x"})), &nobody) {
        Err(ReconcileError::Answer { message, .. }) => {
            assert_eq!(message, "`by` asks for a number at `/x`, and none of 1 candidate has one");
        }
        other => panic!("{other:?}"),
    }
}
