//! Results of every strategy, for the tests of all that draw them.

use serde_json::{Value, json};

/// A result of each strategy, of two or more shapes, with a text of a stranger's wherever one can stand.
pub(in crate::report) fn results(evil: &str) -> Vec<Value> {
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
        "members": [{"by": "a", "at": 0, "item": {"t": evil}}, {"by": "b", "at": 1, "item": evil}],
    });
    let many: Vec<Value> =
        (0..8).map(|n| json!({"size": 1, "by": [format!("g{n}")], "value": {"x": n, "y": evil}})).collect();
    let texts: Vec<Value> = (0..8)
        .map(|n| json!({"size": 1, "by": [format!("g{n}")], "value": format!("{n}\n{evil}")}))
        .collect();
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
        of("compare", json!({"groups": many, "similarity": similarity, "differences": {"fields": fields}})),
        of(
            "compare",
            json!({"groups": texts, "similarity": {"by": evil, "matrix": [[1.0, 0.5, 0.1]]}, "differences": {"lines": spread}}),
        ),
        of("command", json!({"text": evil, "more": [evil]})),
        of("command", json!({"found": [evil], "by": {evil: evil}})),
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
                "answer": format!("# {evil}\n\nso [a] and [b; {evil}]\n\n{evil}"), "claims": [{"claim": evil, "cites": [{"call": "a", "quote": evil}, {"call": "b"}]}],
                "unresolved": [evil], "asked": {"agent": evil}, "read": {"left_out_bytes": 7},
            }),
        ),
    ]
}
