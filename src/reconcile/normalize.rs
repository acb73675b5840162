//! When two answers are the same: an equality key for any value, after `normalize`.
//!
//! Invariants: JSON is compared as JSON (field order and `1` against `1.0` make no
//! difference), ends of texts are trimmed, and nothing else is ignored unless the
//! plan says so. The order in which a plan lists the steps makes no difference.

use serde_json::Value;

use super::number::{numbers, whole_number};
use super::panel::{Voice, parse_json};
use super::settings::{Settings, SettingsError, kind};

/// What a plan wants ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Normalize {
    /// Upper and lower case are the same.
    case: bool,
    /// A run of white space is one space.
    space: bool,
    /// Numbers are compared by value: `$1,000.50` and `$1000.5`.
    number: bool,
    /// A text that is JSON is compared as JSON.
    json: bool,
    /// Punctuation is ignored, but for the point and sign of a number.
    punctuation: bool,
    /// The caller's expression stands for the answer.
    pub(super) expression: Option<String>,
}

const WORDS: [&str; 5] = ["case", "space", "number", "json", "punctuation"];
const HELP: &str =
    "write a list of `case`, `space`, `number`, `json`, `punctuation`, or `{expression: \"…\"}`";

impl Normalize {
    /// Reads the key `normalize`: a word, a map with an expression, or a list of these.
    pub(super) fn read(settings: &Settings<'_>) -> Result<Normalize, SettingsError> {
        let mut normalize = Normalize::default();
        match settings.get("normalize") {
            None => {}
            Some(Value::Array(steps)) => {
                for step in steps {
                    normalize.step(settings, step)?;
                }
            }
            Some(step) => normalize.step(settings, step)?,
        }
        Ok(normalize)
    }

    /// Case and white space make no difference.
    pub(super) fn folding() -> Normalize {
        Normalize { case: true, space: true, ..Normalize::default() }
    }

    fn step(&mut self, settings: &Settings<'_>, step: &Value) -> Result<(), SettingsError> {
        match step {
            Value::String(word) => match word.as_str() {
                "case" => self.case = true,
                "space" => self.space = true,
                "number" => self.number = true,
                "json" => self.json = true,
                "punctuation" => self.punctuation = true,
                unknown => {
                    return Err(settings.unknown_word("normalize", unknown, &WORDS));
                }
            },
            Value::Object(map) => {
                let inner = Settings::new(map, "normalize.", &["expression"])?;
                self.expression = inner.text("expression", HELP)?.map(str::to_owned);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                return Err(settings.error("normalize", format!("{} is no step", kind(step)), HELP));
            }
        }
        Ok(())
    }

    /// What the answer is taken to be: the expression's text, its JSON, or its text.
    pub(super) fn content(&self, voice: &Voice<'_>) -> Value {
        match voice.normalized.filter(|_| self.expression.is_some()) {
            Some(text) => Value::String(text.to_owned()),
            None if self.json => voice.data().cloned().unwrap_or_else(|| voice.value()),
            None => voice.value(),
        }
    }

    /// The key of a value; equal keys mean the same value.
    pub(super) fn key(&self, value: &Value) -> String {
        let mut key = String::new();
        match value {
            Value::String(text) if self.json => match parse_json(text) {
                Some(parsed) => self.write(&parsed, &mut key),
                None => self.write(value, &mut key),
            },
            Value::String(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => self.write(value, &mut key),
        }
        key
    }

    /// The text with everything ignored that is to be ignored.
    pub(super) fn text(&self, text: &str) -> String {
        let mut text = text.trim().to_owned();
        if self.number {
            text = numbers(&text);
        }
        if self.case {
            text = text.to_lowercase();
        }
        if self.punctuation {
            text = without_punctuation(&text);
        }
        if self.space || self.punctuation {
            text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        text
    }

    /// Writes a value so that equal values give equal texts: fields by name, numbers by value.
    fn write(&self, value: &Value, key: &mut String) {
        match value {
            Value::Null | Value::Bool(_) => key.push_str(&value.to_string()),
            Value::Number(number) => {
                let text = number.to_string();
                key.push_str(&whole_number(&text).unwrap_or(text));
            }
            Value::String(text) => {
                let text = self.text(text);
                match whole_number(&text).filter(|_| self.number) {
                    Some(number) => key.push_str(&number),
                    None => key.push_str(&Value::String(text).to_string()),
                }
            }
            Value::Array(items) => {
                key.push('[');
                for item in items {
                    self.write(item, key);
                    key.push(',');
                }
                key.push(']');
            }
            Value::Object(fields) => {
                let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
                sorted.sort_by_key(|(name, _)| *name);
                key.push('{');
                for (name, field) in sorted {
                    key.push_str(&Value::String(name.clone()).to_string());
                    key.push(':');
                    self.write(field, key);
                    key.push(',');
                }
                key.push('}');
            }
        }
    }
}

/// Every mark that is neither letter nor digit becomes a space; apostrophes vanish; the point
/// inside a number and the sign before one stay.
fn without_punctuation(text: &str) -> String {
    let all: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    for (at, &c) in all.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| all.get(at));
        let digit_after = all.get(at + 1).is_some_and(char::is_ascii_digit);
        let kept = c.is_alphanumeric()
            || c.is_whitespace()
            || (c == '.' && digit_after && before.is_some_and(char::is_ascii_digit))
            || (c == '-' && digit_after && !before.is_some_and(|b| b.is_alphanumeric()));
        if kept {
            out.push(c);
        } else if !matches!(c, '\'' | '’') {
            out.push(' ');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    fn normalize(steps: Value) -> Normalize {
        let map = Map::from_iter([("normalize".to_owned(), steps)]);
        Normalize::read(&Settings::new(&map, "", &["normalize"]).unwrap()).unwrap()
    }

    fn same(steps: Value, a: Value, b: Value) -> bool {
        let normalize = normalize(steps);
        normalize.key(&a) == normalize.key(&b)
    }

    #[test]
    fn nothing_but_the_ends_is_ignored_unless_the_plan_says_so() {
        assert!(same(json!([]), json!("yes\n"), json!("yes")));
        assert!(!same(json!([]), json!("Yes"), json!("yes")));
        assert!(!same(json!([]), json!("18"), json!(18)));
        assert!(same(json!([]), json!({"a": 1, "b": 2.0}), json!({"b": 2, "a": 1.0})));
        assert!(!same(json!([]), json!([1, 2]), json!([2, 1])));
    }

    #[test]
    fn each_step_ignores_what_it_names() {
        assert!(same(json!("case"), json!("Straße YES"), json!("straße yes")));
        assert!(same(json!("space"), json!("a  b\n c"), json!("a b c")));
        assert!(same(json!(["punctuation", "case"]), json!("No, don't!"), json!("no dont")));
        assert!(!same(json!(["punctuation"]), json!("1.5"), json!("15")));
        assert!(!same(json!(["punctuation"]), json!("-3"), json!("3")));
        assert!(same(json!("json"), json!("```json\n{\"b\":1,\"a\":2}\n```"), json!({"a": 2, "b": 1})));
        assert!(same(json!("number"), json!("18"), json!(18)));
        assert!(!same(json!("number"), json!(["18"]), json!("18")));
    }

    #[test]
    fn numbers_are_compared_by_value() {
        for (a, b) in [
            ("$1,000.50", "$1000.5"),
            ("007", "7"),
            ("-0.0", "0"),
            ("+5", "5"),
            ("1e3", "1000"),
            ("25e-2", "0.25"),
            (".5", "0.50"),
            ("f(1.0, 02)", "f(1, 2)"),
            ("12345678901234567890.0", "12345678901234567890"),
        ] {
            assert!(same(json!("number"), json!(a), json!(b)), "{a} is not {b}");
        }
        for (a, b) in [
            ("1.20.3", "1.2.3"),
            ("v1.10", "v1.1"),
            ("v1.10.0", "v1.10"),
            ("a01", "a1"),
            ("3rd", "03rd"),
            ("1,23", "123"),
            ("-5", "5"),
        ] {
            assert!(!same(json!("number"), json!(a), json!(b)), "{a} is {b}");
        }
    }
}
