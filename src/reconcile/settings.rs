//! Reads a step's keys: typed, by name, with a sentence for whoever wrote them wrong.
//!
//! Invariant: a key that nobody reads is an error, so no setting is silently ignored.

use serde_json::{Map, Value};

use crate::plan::Quantity;

/// What is wrong with one key of a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {message}")]
pub struct SettingsError {
    /// The key, with those it stands under: `weights.from`. `strategy` for the strategy's own name.
    pub key: String,
    /// What is wrong: lowercase, no full stop.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl SettingsError {
    /// A strategy that does not exist.
    pub(super) fn unknown_strategy(name: &str, known: &[&str]) -> SettingsError {
        SettingsError {
            key: "strategy".to_owned(),
            message: format!("there is no strategy `{name}`"),
            help: instead(name, known),
        }
    }
}

/// The keys of a step or of a map inside it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings<'a> {
    map: &'a Map<String, Value>,
    /// The keys that this map stands under, with a dot at the end; empty for the step itself.
    path: &'a str,
}

impl<'a> Settings<'a> {
    /// Takes the keys of a step and refuses those that are not in `known`.
    pub(super) fn new(
        map: &'a Map<String, Value>,
        path: &'a str,
        known: &[&str],
    ) -> Result<Settings<'a>, SettingsError> {
        let settings = Settings { map, path };
        match map.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(settings),
            Some(key) => Err(settings.error(key, "there is no such key here", instead(key, known))),
        }
    }

    /// An error about `key`.
    pub(super) fn error(
        &self,
        key: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> SettingsError {
        SettingsError { key: format!("{}{key}", self.path), message: message.into(), help: help.into() }
    }

    /// An error about a word that is none of `known`.
    pub(super) fn unknown_word(&self, key: &str, word: &str, known: &[&str]) -> SettingsError {
        self.error(key, format!("there is no `{word}`"), instead(word, known))
    }

    /// The value as it stands; `null` counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// What one of the words `allowed` means.
    pub(super) fn word<T: Copy>(&self, key: &str, allowed: &[(&str, T)]) -> Result<Option<T>, SettingsError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let words: Vec<&str> = allowed.iter().map(|(word, _)| *word).collect();
        let Some(text) = value.as_str() else {
            return Err(self.error(key, format!("{} is no word", kind(value)), one_of(&words)));
        };
        match allowed.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => Err(self.unknown_word(key, text, &words)),
        }
    }

    /// A text.
    pub(super) fn text(&self, key: &str, example: &str) -> Result<Option<&'a str>, SettingsError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(other) => Err(self.error(key, format!("{} is no text", kind(other)), example)),
        }
    }

    /// A JSON pointer: empty, or with a slash first.
    pub(super) fn pointer(&self, key: &str) -> Result<Option<String>, SettingsError> {
        match self.text(key, "a JSON pointer such as `/verdict`")? {
            None => Ok(None),
            Some(text) => self.check_pointer(key, text).map(Some),
        }
    }

    /// One JSON pointer or a list of them; empty where the key is absent.
    pub(super) fn pointers(&self, key: &str) -> Result<Vec<String>, SettingsError> {
        const HELP: &str = "a JSON pointer such as `/verdict`, or a list of them";
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![self.check_pointer(key, text)?]),
            Some(Value::Array(items)) if !items.is_empty() => items
                .iter()
                .map(|item| match item.as_str() {
                    Some(text) => self.check_pointer(key, text),
                    None => Err(self.error(key, format!("{} is no JSON pointer", kind(item)), HELP)),
                })
                .collect(),
            Some(other) => Err(self.error(key, format!("{} is no JSON pointer", kind(other)), HELP)),
        }
    }

    pub(super) fn check_pointer(&self, key: &str, text: &str) -> Result<String, SettingsError> {
        if text.is_empty() || text.starts_with('/') {
            return Ok(text.to_owned());
        }
        let message = format!("`{text}` is no JSON pointer: it has to begin with a slash");
        Err(self.error(key, message, format!("write `/{text}`")))
    }

    /// A count, or a share such as `60%`.
    pub(super) fn quantity(&self, key: &str) -> Result<Option<Quantity>, SettingsError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let quantity = match value {
            Value::Number(number) => number
                .as_u64()
                .and_then(|n| u32::try_from(n).ok())
                .map(Quantity::Count)
                .or_else(|| number.as_f64().filter(|f| *f > 0.0 && *f < 1.0).map(Quantity::Share)),
            Value::String(text) => text
                .trim()
                .strip_suffix('%')
                .and_then(|percent| percent.trim().parse::<f64>().ok())
                .filter(|percent| (0.0..=100.0).contains(percent))
                .map(|percent| Quantity::Share(percent / 100.0)),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        match quantity {
            Some(quantity) => Ok(Some(quantity)),
            None => {
                let message = format!("{} is neither a number nor a share", kind(value));
                Err(self.error(key, message, "write a number such as `3`, or a share such as `60%`"))
            }
        }
    }

    /// A map; `None` where the key is absent.
    pub(super) fn map(
        &self,
        key: &str,
        example: &str,
    ) -> Result<Option<&'a Map<String, Value>>, SettingsError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => Err(self.error(key, format!("{} is no map", kind(other)), example)),
        }
    }

    /// `on_conflict: report | fail`; true for `fail`.
    pub(super) fn fails_on_conflict(&self) -> Result<bool, SettingsError> {
        let word = self.word("on_conflict", &[("report", false), ("fail", true)])?;
        Ok(word.unwrap_or(false))
    }
}

/// What kind of JSON it is, with an article: `a list`.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(text) if text.is_empty() => "an empty text",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// `did you mean …?` where something is near, else what there is.
fn instead(given: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(given, word), *word))
        .min()
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4);
    match nearest {
        Some((_, word)) => format!("did you mean `{word}`?"),
        None => one_of(known),
    }
}

/// `write one of …`.
fn one_of(known: &[&str]) -> String {
    if known.is_empty() {
        return "this strategy has no settings".to_owned();
    }
    let quoted: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
    format!("write one of {}", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::check_settings;
    use super::*;
    use serde_json::json;

    fn fault(strategy: &str, settings: Value) -> (String, String, String) {
        let Value::Object(map) = settings else { panic!("settings are a map") };
        let error = check_settings(strategy, &map).unwrap_err();
        (error.key, error.message, error.help)
    }

    #[test]
    fn a_strategy_or_key_that_is_nearly_right_is_told_what_was_meant() {
        assert_eq!(
            fault("colect", json!({})),
            ("strategy".into(), "there is no strategy `colect`".into(), "did you mean `collect`?".into())
        );
        assert_eq!(
            fault("collect", json!({"on": "/x"})),
            ("on".into(), "there is no such key here".into(), "this strategy has no settings".into())
        );
    }

    #[test]
    fn a_plan_takes_the_keys_that_a_strategy_reads_and_no_others() {
        // These are the plan's own: which calls, which strategy, the program.
        const PLAN: [&str; 4] = ["of", "strategy", "min", "command"];
        for strategy in super::super::STRATEGIES {
            let (own, all) = crate::plan::step_keys(strategy);
            for key in all.iter().filter(|key| !PLAN.contains(key)) {
                let map = Map::from_iter([((*key).to_owned(), Value::Null)]);
                let read = check_settings(strategy, &map)
                    .map_or_else(|error| error.message != "there is no such key here", |()| true);
                assert_eq!(own.contains(key), read, "`{key}` of `{strategy}`: the plan, the strategy");
            }
        }
    }

    #[test]
    fn a_quantity_is_a_count_or_a_share() {
        let read = |value: Value| {
            let map = Map::from_iter([("q".to_owned(), value)]);
            Settings::new(&map, "", &["q"]).unwrap().quantity("q")
        };
        assert_eq!(read(json!(3)).unwrap(), Some(Quantity::Count(3)));
        assert_eq!(read(json!("60%")).unwrap(), Some(Quantity::Share(0.6)));
        assert_eq!(read(json!(0.5)).unwrap(), Some(Quantity::Share(0.5)));
        for bad in [json!(-1), json!(1.5), json!("many"), json!("120%"), json!([])] {
            assert!(read(bad.clone()).is_err(), "{bad} was taken");
        }
    }
}
