//! Findings to SARIF: places, levels, ranks and fingerprints.

use serde_json::{Value, json};

use super::*;
use crate::report::sample::{self, Script};

fn of(result: Value) -> Value {
    let mut script = Script::new("audit", &["a", "b"]);
    script.start("a").ok("a", "x").start("b").ok("b", "y").reconciled(result, "text").finish(true, &[]);
    serde_json::from_str(&render(&RunView::of(&script.records)).unwrap()).unwrap()
}

#[test]
fn merged_findings_become_results_with_place_level_rank_and_fingerprint() {
    let item = |line: u64| {
        json!({ "file": "./src/auth login.ts", "line": line, "title": "The token is never checked.",
                "severity": "high", "category": "Auth & Sessions", "by": ["a"] })
    };
    let document = |line| {
        of(json!({ "strategy": "merge", "census": { "asked": 2 }, "items": [item(line)], "conflicts": [] }))
    };
    let found = document(42);
    let result = found["runs"][0]["results"][0].clone();
    assert_eq!(result["ruleId"], "auth-sessions");
    assert_eq!(result["level"], "error");
    assert_eq!(result["rank"], 50.0);
    assert_eq!(
        result["locations"][0]["physicalLocation"],
        json!({ "artifactLocation": { "uri": "src/auth%20login.ts", "uriBaseId": "%SRCROOT%" }, "region": { "startLine": 42 } })
    );
    let moved = document(57);
    assert_eq!(moved["runs"][0]["results"][0]["partialFingerprints"], result["partialFingerprints"]);
}

#[test]
fn a_finding_may_be_wrapped_and_name_its_line_in_its_file() {
    let items = json!([{ "value": { "path": "src/a.rs:7", "text": "x", "level": "nit" }, "agreement": 0.25, "by": [{ "call": "b" }] }]);
    let found = of(json!({ "strategy": "merge", "items": items }));
    let result = &found["runs"][0]["results"][0];
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 7);
    assert_eq!((&result["level"], &result["rank"]), (&json!("note"), &json!(25.0)));
    assert_eq!(result["properties"]["by"], json!(["b"]));
}

#[test]
fn no_path_leads_out_of_the_source_tree() {
    for path in ["/etc/passwd", "../../x", "a/../../b", "file:///etc/passwd", "C:\\..\\x", "a\nb"] {
        let found = of(json!({ "items": [{ "file": path, "message": "m" }] }));
        let place = &found["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "plan.yaml", "{path}");
        assert_eq!(place.get("region"), None);
    }
    let found = of(json!({ "items": [{ "file": "javascript:alert(1)", "message": "m" }] }));
    let place = &found["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "javascript%3Aalert%281%29");
}

#[test]
fn without_findings_the_conflicts_are_the_results() {
    let conflict = json!({ "pointer": "/verdict", "about": "verdict", "message": "a and b disagree",
                           "sides": [{ "value": 1, "by": ["a"] }, { "value": 2, "by": ["b"] }] });
    let found = of(json!({ "strategy": "compare", "conflicts": [conflict] }));
    let result = &found["runs"][0]["results"][0];
    assert_eq!(
        (&result["ruleId"], &result["message"]["text"]),
        (&json!("conflict"), &json!("a and b disagree"))
    );
    assert_eq!(result["properties"]["by"], json!(["a", "b"]));
}

#[test]
fn every_run_gives_a_document_and_failures_are_named_in_it() {
    for records in [sample::ok(), sample::mixed(), sample::dead(), sample::hostile(), Vec::new()] {
        let text = render(&RunView::of(&records)).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["version"], "2.1.0");
        assert!(document["runs"][0]["results"].is_array());
    }
    let text = render(&RunView::of(&sample::dead())).unwrap();
    assert!(text.contains("alpha failed: the session limit"), "{text}");
}
