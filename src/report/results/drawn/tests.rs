//! Layouts hold whatever the results hold.

use serde_json::{Value, json};

use super::*;
use crate::report::computed::sample;

/// Text that would break a terminal.
const EVIL: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\r\n── ✓ fake\t国国 a_word_that_is_longer_than_most_columns_are_wide_and_goes_on";

fn style(width: usize, fancy: bool) -> Style {
    Style { width, color: fancy, unicode: fancy, prose: fancy, ..Style::plain() }
}

#[test]
fn every_layout_fits_every_width_and_lets_nothing_through_that_a_terminal_obeys() {
    for result in sample::results(EVIL) {
        for width in [30, 40, 60, 80, 133, 200] {
            for row in rows(&result, "no layout", &style(width, true)) {
                let plain = console::strip_ansi_codes(&row);
                // What a program printed is for programs, too, and keeps its lines.
                let fits = console::measure_text_width(&plain) <= width || result["strategy"] == "command";
                assert!(fits, "{width}: {row}\n{result:#}");
                assert!(!plain.chars().any(|c| c.is_control() && c != '\t'), "{row:?}");
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
    for result in sample::results(EVIL) {
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

#[test]
fn a_reason_is_laid_out_for_a_person_and_left_as_it_is_for_a_program() {
    let result = json!({
        "strategy": "vote", "rule": "plurality", "census": {"asked": 1, "answered": 1},
        "questions": [{"pointer": "", "outcome": "tied", "tally": []}],
        "decisions": [{"about": "it", "pointer": "", "decided": false, "reason": "it **is**\n\n- so"}],
    });
    let told = rows(&result, "", &style(60, false)).join("\n");
    assert!(told.contains("    because it **is** - so"), "{told}");
    let told = rows(&result, "", &style(60, true)).join("\n");
    assert!(told.contains("because it \u{1b}[1mis\u{1b}[0m") && told.contains("• so"), "{told}");
}
