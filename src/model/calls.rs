//! Tools, what a model asks of them and what it is told: the same in every dialect.
//!
//! Invariant: a call is handed on whatever its arguments are. Arguments that are no
//! JSON object are an `Err` with words that a model can act on, never a guess.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::shown;

/// A tool as a model is told of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// Its name: letters, digits, `_` and `-`, at most 64 of them; every provider takes those.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// The JSON Schema of its arguments; an object at its root.
    pub parameters: Value,
}

/// One thing that a model asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// What its result is known by; never empty, made up where the server gave none.
    pub id: String,
    /// The tool's name as the model wrote it: there may be no such tool.
    pub name: String,
    /// The arguments, an object; not checked against the tool's schema. `Err` says why
    /// they are none, for the model to read.
    pub input: Result<Value, String>,
}

/// What a model is told that a call came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResult {
    /// [`ToolCall::id`] of the call that it answers.
    pub id: String,
    /// [`ToolCall::name`] of that call.
    pub name: String,
    /// What came of it; may be empty.
    pub text: String,
    /// True for a call that failed or was not carried out.
    pub is_error: bool,
}

impl ToolResult {
    /// The text for a dialect that cannot mark a result as an error: an error says so itself.
    pub(super) fn told(&self) -> String {
        let says_so = self.text.trim_start().get(..5).is_some_and(|head| head.eq_ignore_ascii_case("error"));
        if self.is_error && !says_so { format!("Error: {}", self.text) } else { self.text.clone() }
    }
}

/// The arguments of a call as a dialect wrote them: JSON text, or nothing for none.
pub(super) fn arguments(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    match serde_json::from_str(text) {
        Ok(value) => object(value),
        Err(error) => Err(format!("the arguments are not valid JSON ({error}): {}", shown(text, 500))),
    }
}

/// The arguments of a call as a dialect nested them.
pub(super) fn object(value: Value) -> Result<Value, String> {
    match value {
        Value::Object(_) => Ok(value),
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(format!("the arguments are not a JSON object: {}", shown(&value.to_string(), 500)))
        }
    }
}

/// A name for a call that came without one: the `number`th, from 1, of the answer to a
/// conversation of `messages` messages.
///
/// Nine letters and digits, since some servers take nothing else (Mistral's); the same for
/// the same conversation, so that a repeated request is the same request.
pub(super) fn made_up_id(messages: usize, number: usize) -> String {
    format!("call{:03}{:02}", messages % 1000, number % 100)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_an_object_or_words_for_the_model() {
        for empty in ["", " \n", "{}", "null"] {
            assert_eq!(arguments(empty), Ok(json!({})), "{empty:?}");
        }
        assert_eq!(arguments(r#"{"a": [1]}"#), Ok(json!({"a": [1]})));
        assert_eq!(
            arguments(r#"{"a": "#),
            Err(r#"the arguments are not valid JSON (EOF while parsing a value at line 1 column 6): {"a":"#
                .to_owned())
        );
        assert_eq!(arguments("[1]"), Err("the arguments are not a JSON object: [1]".to_owned()));
    }

    #[test]
    fn an_error_says_so_where_the_dialect_cannot() {
        let told = |text: &str, is_error| {
            ToolResult { id: "i".into(), name: "n".into(), text: text.into(), is_error }.told()
        };
        assert_eq!(told("no such file", true), "Error: no such file");
        assert_eq!(told("error: no such file", true), "error: no such file");
        assert_eq!(told("é", true), "Error: é");
        assert_eq!(told("fine", false), "fine");
    }
}
