//! Layouts hold whatever the results hold.

use serde_json::{Value, json};

use super::*;

/// A result of each strategy that has a layout, with text that would break a terminal.
fn results() -> Vec<Value> {
    let evil = "\u{1b}[2J\u{1b}]0;x\u{7}\r\n── ✓ fake\t国国 a_word_that_is_longer_than_most_columns_are_wide_and_goes_on";
    let census = json!({
        "asked": 4, "answered": 2, "names": {"a": evil},
        "missing": [{"call": "c", "status": "timed_out", "cause": {"code": "timeout", "message": evil}}],
        "empty": [{"call": "d"}],
    });
    let sides = json!([{"value": evil, "by": ["a"]}, {"value": {"k": [1, evil]}, "by": ["b"]}]);
    let conflicts = json!([{"pointer": "/x", "about": evil, "sides": sides, "message": evil}]);
    let decisions = json!([{
        "pointer": "/x", "about": evil, "decided": true, "value": evil, "by": ["a"], "reason": evil, "sides": sides,
    }]);
    let groups = json!([
        {"size": 1, "by": ["a"], "value": format!("one\n{evil}\nsame")},
        {"size": 1, "by": ["b"], "value": "two\nsame\nmore"},
    ]);
    let similarity = json!({"by": "tokens", "matrix": [[1.0, 0.5], [0.5, 1.0]]});
    let fields = json!({
        "shared": {"/s": evil}, "differ": [{"pointer": "/x", "values": sides, "absent": []}],
        "only": [{"call": "a", "values": {"/o": evil}}],
    });
    let spread = json!({
        "shared": [evil], "some": [{"value": evil, "by": ["a", "b"]}], "only": [{"call": "a", "values": [evil]}],
    });
    let item = json!({
        "item": {"t": evil}, "place": evil, "words": evil, "by": ["a", "b"],
        "conflicts": [{"pointer": "/x", "sides": sides}],
    });
    let of = |strategy: &str, own: Value| {
        let mut whole =
            json!({"strategy": strategy, "census": census, "conflicts": conflicts, "decisions": decisions});
        if let (Value::Object(whole), Value::Object(own)) = (&mut whole, own) {
            whole.extend(own);
        }
        whole
    };
    vec![
        of("compare", json!({"groups": groups, "similarity": similarity, "differences": {"lines": spread}})),
        of("compare", json!({"groups": groups, "similarity": similarity, "differences": {"items": spread}})),
        of("compare", json!({"groups": groups, "similarity": similarity, "differences": {"fields": fields}})),
        of(
            "vote",
            json!({
                "rule": "plurality", "weights": {"a": 1.5, "b": 0.5},
                "learned": {"from": evil, "rows": 9, "accuracy": 0.5, "calibration_error": 0.1},
                "questions": [
                    {"pointer": "/x", "outcome": "won", "winner": evil, "confidence": 0.5, "votes": 1, "abstained": ["b"],
                     "tally": [{"value": evil, "votes": 1, "weight": 1.5, "share": 0.75, "by": ["a"]}]},
                    {"pointer": "", "outcome": "tied", "tied": [evil, 3], "winner": null, "votes": 2, "abstained": [],
                     "tally": [{"value": evil, "wins": 1, "losses": 0, "draws": 0, "points": 1, "by": ["a"]}]},
                ],
            }),
        ),
        of("merge", json!({"from": ["a", "b"], "read": 3, "needed": 2, "items": [item], "left_out": [item]})),
        of("merge", json!({"merged": {"x": evil}, "by": {"/x": ["a"]}})),
        of(
            "best",
            json!({
                "by": ["checks"], "winner": {"call": "a", "value": "x"},
                "ranking": [
                    {"rank": 1, "call": "a", "eligible": true, "reasons": evil, "because": evil},
                    {"rank": 2, "call": "b", "eligible": false, "reasons": evil},
                ],
                "cross_check": {"tests": 3, "groups": [{"size": 1, "tests_passed": 2, "score": -1.0, "by": ["a"]}]},
            }),
        ),
        of(
            "patch",
            json!({
                "candidates": [{"call": "a", "files": 1, "added": 1, "removed": 0}, {"call": "b", "files": 2, "added": 3, "removed": 1}],
                "applied": ["a"], "left_out": ["b"], "unchanged": ["c"], "files": [{"path": evil, "by": ["a"]}],
                "patch": format!("--- a\n+++ b\n@@ -1 +1 @@\n-x\n+{evil}\n"),
            }),
        ),
        of(
            "synthesize",
            json!({
                "answer": "short", "claims": [{"claim": evil, "cites": [{"call": "a", "quote": evil}, {"call": "b"}]}],
                "unresolved": [evil], "asked": {"agent": evil}, "read": {"left_out_bytes": 7},
            }),
        ),
    ]
}

fn style(width: usize, fancy: bool) -> Style {
    Style { width, color: fancy, unicode: fancy, ..Style::plain() }
}

#[test]
fn every_layout_fits_every_width_and_lets_nothing_through_that_a_terminal_obeys() {
    for result in results() {
        for width in [30, 40, 60, 80, 133, 200] {
            for row in rows(&result, "no layout", &style(width, true)) {
                let plain = console::strip_ansi_codes(&row);
                assert!(console::measure_text_width(&plain) <= width, "{width}: {row}\n{result:#}");
                assert!(!plain.chars().any(char::is_control), "{row:?}");
            }
            let text = rows(&result, "no layout", &style(width, false)).join("\n");
            assert!(!text.contains("no layout"), "{result}");
            assert!(!text.contains('\u{1b}'), "{text}");
        }
    }
}

#[test]
fn a_result_that_lacks_a_part_is_shown_without_it() {
    fn without(value: &Value, path: &str, found: &mut Vec<String>) {
        let children: Vec<(String, &Value)> = match value {
            Value::Object(map) => map.iter().map(|(key, value)| (format!("{path}/{key}"), value)).collect(),
            Value::Array(list) => {
                list.iter().enumerate().map(|(at, value)| (format!("{path}/{at}"), value)).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        };
        for (path, child) in children {
            without(child, &path, found);
            found.push(path);
        }
    }
    for result in results() {
        let mut paths = Vec::new();
        without(&result, "", &mut paths);
        for path in paths {
            for instead in [Value::Null, json!([]), json!({}), json!(-1), json!("x")] {
                let mut broken = result.clone();
                if let Some(part) = broken.pointer_mut(&path) {
                    *part = instead;
                }
                assert!(!rows(&broken, "no layout", &style(60, false)).is_empty(), "{path}");
            }
        }
    }
}

#[test]
fn what_has_no_layout_stands_as_its_text() {
    let told = rows(&json!({"strategy": "mine"}), "what it said\n  and more", &style(40, false));
    assert_eq!(told, ["what it said", "  and more"]);
    let told = rows(&json!({"strategy": "vote", "questions": []}), "empty", &style(40, false));
    assert_eq!(told, ["empty"]);
}
