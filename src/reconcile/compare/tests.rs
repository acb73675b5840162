//! `compare` through its front door.

use serde_json::{Value, json};

use super::super::fixture::{answer, failed, inputs, json_answer, settings};
use super::super::{Inputs, ReconcileError, Reconciled, reconcile};

fn compare(with: Value, inputs: &Inputs) -> Reconciled {
    reconcile("compare", &settings(with), inputs).unwrap()
}

#[test]
fn same_answers_are_grouped_and_the_absent_are_in_no_group() {
    let inputs = inputs([
        answer("a[0]", "Keep it."),
        answer("a[1]", "revert"),
        failed("a[2]", "exit status 1"),
        answer("a[3]", "REVERT \n"),
        answer("a[4]", ""),
    ]);
    let result = compare(json!({"normalize": "case"}), &inputs);
    assert_eq!(
        result.text,
        "3 of 5 answered, in 2 groups; the largest holds 67 %.\n\n\
         1. a[1], a[3] (2 of 3)\n   revert\n\
         2. a[0] (1 of 3)\n   Keep it.\n\n\
         Similarity by tokens: 0.00\n\n\
         --- a[1]\n+++ a[0]\n@@ -1 +1 @@\n-revert\n+Keep it.\n\n\
         Missing:\n  a[2] failed: exit status 1\n\
         Said nothing (an empty answer is not agreement):\n  a[4]"
    );
    assert_eq!(result.json["groups"][0], json!({"size": 2, "by": ["a[1]", "a[3]"], "value": "revert"}));
    assert_eq!(result.json["agreement"], json!(0.6667));
    assert_eq!(result.conflicts.len(), 1);
    assert_eq!(result.conflicts[0].message, "3 answers fall into 2 groups; the largest holds 2: a[1], a[3]");
}

#[test]
fn objects_are_compared_field_by_field() {
    let inputs = inputs([
        json_answer("a", json!({"verdict": "revert", "at": {"line": 42}, "files": ["x", "y"], "note": "n"})),
        json_answer("b", json!({"verdict": "revert", "at": {"line": 42.0}, "files": ["y", "z"]})),
        json_answer("c", json!({"verdict": "keep", "at": {"line": 42}})),
    ]);
    let result = compare(json!({}), &inputs);
    assert_eq!(
        result.json["differences"],
        json!({"fields": {
            "shared": {"/at/line": 42},
            "differ": [
                {"pointer": "/verdict", "values": [{"value": "revert", "by": ["a", "b"]}, {"value": "keep", "by": ["c"]}]},
                {
                    "pointer": "/files",
                    "values": [{"value": ["x", "y"], "by": ["a"]}, {"value": ["y", "z"], "by": ["b"]}],
                    "absent": ["c"],
                    "items": {"shared": ["y"], "some": [], "only": [{"call": "a", "values": ["x"]}, {"call": "b", "values": ["z"]}]},
                },
            ],
            "only": [{"call": "a", "values": {"/note": "n"}}],
        }})
    );
    let pointers: Vec<&str> = result.conflicts.iter().map(|conflict| conflict.pointer.as_str()).collect();
    assert_eq!(pointers, ["/verdict", "/files"]);
    assert_eq!(result.conflicts[0].message, "`/verdict`: a, b say revert; c says keep");
    assert!(result.text.contains("They differ on 2 fields:\n  /verdict\n    revert: a, b\n    keep: c\n"));
    assert!(result.text.contains("Only a has 1 field:\n  /note: n"));
}

#[test]
fn lists_are_compared_by_item_and_texts_by_line() {
    let lists = inputs([
        json_answer("a", json!(["x", "y"])),
        json_answer("b", json!(["y"])),
        json_answer("c", json!(["y", "w", "x"])),
    ]);
    assert_eq!(
        compare(json!({}), &lists).json["differences"],
        json!({"items": {"shared": ["y"], "some": [{"value": "x", "by": ["a", "c"]}], "only": [{"call": "c", "values": ["w"]}]}})
    );
    let texts = inputs([answer("a", "x\n\ny"), answer("b", "y"), answer("c", "y\nw\nx")]);
    let result = compare(json!({"similarity": "lines"}), &texts);
    assert_eq!(
        result.json["differences"],
        json!({"lines": {"shared": ["y"], "some": [{"value": "x", "by": ["a", "c"]}], "only": [{"call": "c", "values": ["w"]}]}})
    );
    assert_eq!(result.json["similarity"]["by"], json!("lines"));
    assert!(result.text.contains("no two the same"), "{}", result.text);
}

#[test]
fn two_texts_get_a_diff_whose_rows_stand_side_by_side() {
    let inputs = inputs([answer("a", "one\ntwo\nthree"), answer("b", "one\n2\n2b\nthree")]);
    let result = compare(json!({}), &inputs);
    assert_eq!(
        result.json["diff"],
        json!({
            "between": ["a", "b"],
            "unified": "--- a\n+++ b\n@@ -1,3 +1,4 @@\n one\n-two\n+2\n+2b\n three\n",
            "hunks": [{
                "left_line": 1,
                "right_line": 1,
                "rows": [
                    {"same": true, "left": "one", "right": "one"},
                    {"same": false, "left": "two", "right": "2"},
                    {"same": false, "left": null, "right": "2b"},
                    {"same": true, "left": "three", "right": "three"},
                ],
            }],
        })
    );
}

#[test]
fn thirty_different_answers_still_fit_on_a_screen() {
    let answers = (0..30)
        .map(|n| answer(&format!("a[{n}]"), &"line\n".repeat(n + 2).replace("line", &format!("line {n}"))));
    let result = compare(json!({}), &inputs(answers));
    let lines = result.text.lines().count();
    assert!(lines < 130, "{lines} lines:\n{}", result.text);
    assert!(result.text.starts_with("30 of 30 answered, no two the same.\n"));
    assert!(result.text.contains("… 20 more groups with 20 answers"));
    assert_eq!(result.json["groups"].as_array().unwrap().len(), 30);
}

#[test]
fn agreement_is_no_conflict_and_disagreement_fails_only_when_the_plan_says_so() {
    let agreed = inputs([answer("a", "x"), answer("b", "x")]);
    let result = reconcile("compare", &settings(json!({"on_conflict": "fail"})), &agreed).unwrap();
    assert_eq!(
        (result.text.as_str(), result.conflicts.len()),
        ("2 of 2 answered, all the same.\n\n1. a, b (2 of 2)\n   x", 0)
    );
    let split = inputs([answer("a", "x"), answer("b", "y")]);
    match reconcile("compare", &settings(json!({"on_conflict": "fail"})), &split) {
        Err(ReconcileError::Conflict { message, result }) => {
            assert_eq!(message, "no two of 2 answers are the same");
            assert_eq!(result.json["groups"].as_array().unwrap().len(), 2);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_expression_says_what_is_compared() {
    let inputs = Inputs {
        normalized: Some(vec!["18".into(), "18".into()]),
        ..inputs([answer("a", "so it is 18"), answer("b", "18, I think")])
    };
    let with = json!({"normalize": [{"expression": "output | last_number"}]});
    let asked = super::super::needs("compare", &settings(with.clone())).unwrap();
    assert_eq!(asked.expression.as_deref(), Some("output | last_number"));
    assert_eq!(compare(with, &inputs).json["groups"].as_array().unwrap().len(), 1);
}
