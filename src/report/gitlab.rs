//! What GitLab reads: findings as a code quality report (`fanout report --format codequality`).
//!
//! Invariants: as for SARIF, from which the places and fingerprints are taken: a path never
//! leads out of the source tree and a fingerprint does not depend on the line; every entry
//! has a place, because GitLab drops the whole report for one that has none; no two
//! fingerprints are the same, because GitLab shows only one of those.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::fold::RunView;
use super::sanitise;
use super::sarif::{self, Level};

/// The report as text, with a newline at its end.
///
/// # Errors
/// Only for values that have no JSON form, which none of a finding's have by construction.
pub fn code_quality(view: &RunView) -> serde_json::Result<String> {
    let mut seen: HashMap<String, u32> = HashMap::new();
    let entries: Vec<Value> = sarif::findings(view)
        .iter()
        .map(|finding| {
            let place = sarif::place(view, finding);
            let times = seen.entry(place.fingerprint.clone()).or_default();
            *times += 1;
            let fingerprint = match times {
                1 => place.fingerprint.clone(),
                times => format!("{}-{times}", place.fingerprint),
            };
            json!({
                "description": place.message,
                "check_name": finding.rule,
                "fingerprint": fingerprint,
                "severity": match finding.level {
                    Level::Error => "major",
                    Level::Warning => "minor",
                    Level::Note => "info",
                },
                "location": { "path": place.path, "lines": { "begin": place.line.unwrap_or(1) } },
            })
        })
        .collect();
    let mut text = sanitise::json(&serde_json::to_string_pretty(&entries)?).into_owned();
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::Script;

    fn of(items: &Value) -> Value {
        let mut script = Script::new("audit", &["a"]);
        script.start("a").ok("a", "x").reconciled(json!({ "items": items }), "text").finish(true, &[]);
        serde_json::from_str(&code_quality(&RunView::of(&script.records)).unwrap()).unwrap()
    }

    #[test]
    fn merged_findings_have_a_place_a_severity_and_a_fingerprint_of_their_own() {
        let item =
            |line: u64| json!({ "file": "./src/a b.rs", "line": line, "message": "m", "severity": "high" });
        let report =
            of(&json!([item(3), item(9), { "file": "/etc/passwd", "message": "x", "level": "nit" }]));
        assert_eq!(report[0]["location"], json!({ "path": "src/a b.rs", "lines": { "begin": 3 } }));
        assert_eq!((&report[0]["severity"], &report[2]["severity"]), (&json!("major"), &json!("info")));
        assert_eq!(report[2]["location"], json!({ "path": "plan.yaml", "lines": { "begin": 1 } }));
        assert_eq!(report[2]["description"], "/etc/passwd: x");
        assert_ne!(report[0]["fingerprint"], report[1]["fingerprint"]);
        assert_eq!(of(&json!([item(7)]))[0]["fingerprint"], report[0]["fingerprint"]);
    }

    #[test]
    fn nothing_found_is_an_empty_report() {
        assert_eq!(of(&json!([])), json!([]));
    }
}
