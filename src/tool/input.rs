//! What a tool is called with: JSON to its own type, and what is wrong with it in words for a model.
//!
//! Invariant: a tool sees only input that has the right shape.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Said, ToolSpec};

/// Reads the input of `tool`.
pub(super) fn read<T: DeserializeOwned>(spec: &ToolSpec, input: Value) -> Result<T, Said> {
    serde_json::from_value(input).map_err(|error| {
        let schema = &spec.parameters;
        Said::error(format!(
            "the input of `{}` does not fit its schema: {error}\nthe schema: {schema}",
            spec.name
        ))
    })
}

/// One property of a schema: its name, its type, what it is for.
pub(super) type Property = (&'static str, &'static str, &'static str);

/// The spec of a tool whose input is a flat object; `required` of the properties come first.
pub(super) fn spec(name: &str, description: &str, required: usize, properties: &[Property]) -> ToolSpec {
    let described = properties
        .iter()
        .map(|(name, kind, about)| ((*name).to_owned(), json!({ "type": kind, "description": about })));
    let needed: Vec<&str> = properties.iter().take(required).map(|(name, ..)| *name).collect();
    ToolSpec {
        name: name.to_owned(),
        description: description.to_owned(),
        parameters: json!({
            "type": "object",
            "properties": Value::Object(described.collect()),
            "required": needed,
            "additionalProperties": false,
        }),
    }
}
