//! What makes two items the same: fields that must agree, and how close their lines must be.
//!
//! Invariant: agreeing is an equality of texts but for the fields with a window, so
//! items fall into blocks and no block has to be compared with another.

use serde_json::Value;

use super::super::normalize::Normalize;
use super::super::settings::{Settings, SettingsError, kind};
use super::path::{Roots, is_path};
use super::position::{Span, lines};

/// How far apart lines may be where the plan does not say.
const WINDOW: u32 = 3;
const HELP: &str = "write JSON pointers such as `/file`, or `{/line: 5}` for lines at most 5 apart";

/// The fields of a step's `key`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) fields: Vec<Field>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) pointer: String,
    /// How far apart two lines may be; `None` where values must be equal.
    window: Option<u32>,
}

/// What an item has in the fields of the key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Equal for items that agree on every field without a window.
    pub(super) block: String,
    /// Where it stands on the others.
    pub(super) span: Span,
}

impl Key {
    /// Reads `key`: a pointer, a map of one pointer to its window, or a list of these.
    pub(super) fn read(settings: &Settings<'_>) -> Result<Key, SettingsError> {
        let mut fields = Vec::new();
        let all: Vec<&Value> = match settings.get("key") {
            None => Vec::new(),
            Some(Value::Array(all)) if !all.is_empty() => all.iter().collect(),
            Some(one) => vec![one],
        };
        for field in all {
            match field {
                Value::String(pointer) => {
                    let pointer = settings.check_pointer("key", pointer)?;
                    let window = names_a_line(&pointer).then_some(WINDOW);
                    fields.push(Field { pointer, window });
                }
                Value::Object(windows) if !windows.is_empty() => {
                    for (pointer, window) in windows {
                        let pointer = settings.check_pointer("key", pointer)?;
                        let Some(window) = window.as_u64().and_then(|lines| u32::try_from(lines).ok()) else {
                            let message = format!("{} is no number of lines", kind(window));
                            return Err(settings.error("key", message, HELP));
                        };
                        fields.push(Field { pointer, window: Some(window) });
                    }
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    let message = format!("{} is no field", kind(field));
                    return Err(settings.error("key", message, HELP));
                }
            }
        }
        Ok(Key { fields })
    }

    /// Where each item stands. A field that an item lacks agrees only with one that lacks it too.
    pub(super) fn places(&self, items: &[&Value], normalize: &Normalize) -> Vec<Place> {
        let mut places = vec![Place::default(); items.len()];
        for field in &self.fields {
            let values: Vec<&Value> =
                items.iter().map(|item| item.pointer(&field.pointer).unwrap_or(&Value::Null)).collect();
            let texts = values.iter().filter_map(|value| value.as_str());
            let roots = Roots::new(texts.filter(|text| is_path(text)));
            for (place, value) in places.iter_mut().zip(values) {
                match (field.window, lines(value)) {
                    (Some(window), Some(lines)) => {
                        place.block.push_str("#,");
                        place.span.push(lines, window);
                    }
                    (Some(_) | None, _) => {
                        let text = match value.as_str().filter(|text| is_path(text)) {
                            Some(path) => Value::String(roots.spell(path)).to_string(),
                            None => normalize.key(value),
                        };
                        place.block.push_str(&text);
                        place.block.push(',');
                    }
                }
            }
        }
        places
    }

    /// `src/a.rs:42`: what people call the place of an item; empty without such fields.
    pub(super) fn show(&self, item: &Value) -> String {
        let parts = self.fields.iter().filter_map(|field| match item.pointer(&field.pointer)? {
            Value::String(text) if is_path(text) => Some(Roots::default().spell(text)),
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            value @ Value::Array(_) => lines(value).map(|(first, last)| format!("{first}-{last}")),
            Value::Null | Value::Bool(_) | Value::Object(_) => None,
        });
        parts.collect::<Vec<String>>().join(":")
    }
}

/// True for `/line`, `/start_line`, `/lineNumber`, `/location/row`.
fn names_a_line(pointer: &str) -> bool {
    let name = pointer.rsplit('/').next().unwrap_or_default().to_lowercase();
    let of_lines = |start: &str| {
        name == start || name.ends_with(&format!("_{start}")) || name.starts_with(&format!("{start}_"))
    };
    ["line", "lines", "lineno", "row"].iter().any(|start| of_lines(start))
        || ["linenumber", "startline", "endline"].contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    fn read(key: Value) -> Result<Key, SettingsError> {
        let map = Map::from_iter([("key".to_owned(), key)]);
        Key::read(&Settings::new(&map, "", &["key"]).unwrap())
    }

    fn agree(key: Value, one: Value, other: Value) -> bool {
        let places = read(key).unwrap().places(&[&one, &other], &Normalize::folding());
        places[0].block == places[1].block && places[0].span.fits(&places[1].span)
    }

    #[test]
    fn lines_have_a_window_and_everything_else_is_equal_but_for_case_space_and_spelling() {
        let at = |file: &str, line: u32| json!({"file": file, "line": line});
        assert!(agree(json!(["/file", "/line"]), at("./src/a.rs", 10), at("src/a.rs", 13)));
        assert!(agree(json!(["/file", "/line"]), at("src/a.rs", 10), at("/p/src/a.rs", 12)));
        assert!(!agree(json!(["/file", "/line"]), at("src/a.rs", 10), at("src/a.rs", 14)));
        assert!(agree(json!(["/file", {"/line": 5}]), at("src/a.rs", 10), at("src/a.rs", 15)));
        assert!(!agree(json!("/file"), at("src/a.rs", 1), at("src/b.rs", 1)));
        assert!(agree(json!("/rule"), json!({"rule": "No  Unwrap"}), json!({"rule": "no unwrap"})));
        assert!(!agree(json!("/n"), json!({"n": 1}), json!({"n": 2})));
        assert!(!agree(json!("/line"), json!({"line": 1}), json!({})));
        assert!(agree(json!("/line"), json!({}), json!({"line": null})));
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        for bad in [json!(3), json!([]), json!({"/line": "three"}), json!("file"), json!([["/a"]])] {
            assert!(read(bad.clone()).is_err(), "{bad} was taken");
        }
    }
}
