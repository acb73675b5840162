//! A JSON Schema in the forms that providers' structured output takes.
//!
//! Invariant: what is sent may say less than the schema, never something else. The
//! answer is validated against the schema itself, by whoever asked.

use serde_json::{Map, Value, json};

use super::dialect::is_openai;
use crate::plan::{Api, Provider};

/// How deep a schema may nest before it is left to the prompt.
const MAX_DEPTH: usize = 64;

/// The sentence that asks for an answer of a schema's shape where the provider cannot be made to give one.
pub fn instruction(schema: &Value) -> String {
    format!(
        "Answer with one JSON value and nothing else: no prose before or after it, no code fence. \
         It must satisfy this JSON Schema:\n{schema}"
    )
}

/// Whether [`instruction`] has to say what the provider's structured output cannot, or may not know of.
///
/// Compatible servers often ignore a `response_format` without a word, so they are told twice.
pub fn needs_instruction(provider: &Provider, schema: &Value) -> bool {
    match provider.api {
        Api::Anthropic => reduced(schema).is_none(),
        Api::OpenAiResponses => openai(schema).is_none(),
        Api::OpenAiChat => {
            let host = reqwest::Url::parse(&provider.base_url).ok();
            let own = host.as_ref().and_then(|url| url.host_str()).is_some_and(is_openai);
            !own || openai(schema).is_none()
        }
        Api::Gemini => true,
    }
}

/// The schema as OpenAI's strict mode takes it; `None` where it cannot say the same.
pub fn strict(schema: &Value) -> Option<Value> {
    openai(schema).filter(|native| native.strict).map(|native| native.schema)
}

/// A schema as OpenAI's dialects take it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Native {
    /// What to send.
    pub(super) schema: Value,
    /// Whether the server is to hold the model to it.
    pub(super) strict: bool,
}

/// The form for OpenAI's dialects; `None` for a schema whose root is no object, which they refuse.
///
/// Strict where every property is required, since the strict subset knows no
/// optional ones; otherwise the schema as it stands, as advice to the model.
pub(super) fn openai(schema: &Value) -> Option<Native> {
    if schema.get("type") != Some(&json!("object")) {
        return None;
    }
    match reduced(schema).filter(requires_everything) {
        Some(schema) => Some(Native { schema, strict: true }),
        None => Some(Native { schema: schema.clone(), strict: false }),
    }
}

/// The subset that Anthropic compiles: objects are closed, and what it does not
/// know stands in the description instead.
///
/// `None` if the schema cannot be put so: recursive, with references that leave it,
/// or nothing but a boolean.
pub(super) fn reduced(schema: &Value) -> Option<Value> {
    let root = schema.as_object()?;
    if is_recursive(schema) {
        return None;
    }
    reduce(root, 0).map(Value::Object)
}

fn reduce(from: &Map<String, Value>, depth: usize) -> Option<Map<String, Value>> {
    if depth > MAX_DEPTH {
        return None;
    }
    let mut to = Map::new();
    let mut left_out = Vec::new();
    let is_object = from.get("type") == Some(&json!("object")) || from.contains_key("properties");
    for (key, value) in from {
        match key.as_str() {
            "properties" | "$defs" | "definitions" => {
                let mut each = Map::new();
                for (name, schema) in value.as_object()? {
                    each.insert(name.clone(), Value::Object(reduce(schema.as_object()?, depth + 1)?));
                }
                to.insert(key.clone(), Value::Object(each));
            }
            "items" => match value {
                Value::Object(items) => {
                    to.insert(key.clone(), Value::Object(reduce(items, depth + 1)?));
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                    left_out.push(format!("{key}: {value}"));
                }
            },
            "anyOf" | "oneOf" | "allOf" => {
                let each: Option<Vec<_>> = value
                    .as_array()?
                    .iter()
                    .map(|schema| Some(Value::Object(reduce(schema.as_object()?, depth + 1)?)))
                    .collect();
                to.insert(if key == "oneOf" { "anyOf" } else { key }.to_owned(), each?.into());
            }
            "type" | "enum" | "const" | "required" | "default" | "title" | "description" => {
                to.insert(key.clone(), value.clone());
            }
            "$ref" => {
                if !value.as_str()?.starts_with("#/") {
                    return None;
                }
                to.insert(key.clone(), value.clone());
            }
            "format" if is_known_format(value) => {
                to.insert(key.clone(), value.clone());
            }
            "minItems" if matches!(value.as_u64(), Some(0 | 1)) => {
                to.insert(key.clone(), value.clone());
            }
            // Written below; or not a constraint at all.
            "additionalProperties" if is_object && !value.is_object() => {}
            "$schema" | "$id" | "$comment" | "examples" | "deprecated" | "readOnly" | "writeOnly" => {}
            _ => left_out.push(format!("{key}: {value}")),
        }
    }
    if is_object {
        to.insert("additionalProperties".to_owned(), json!(false));
    }
    if !left_out.is_empty() {
        let said = to.get("description").and_then(Value::as_str).unwrap_or_default();
        let gap = if said.is_empty() { "" } else { "\n" };
        let description = format!("{said}{gap}{{{}}}", left_out.join(", "));
        to.insert("description".to_owned(), description.into());
    }
    Some(to)
}

fn is_known_format(format: &Value) -> bool {
    const KNOWN: [&str; 9] =
        ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6"];
    format.as_str().is_some_and(|format| KNOWN.contains(&format) || format == "uuid")
}

/// True when every object in a reduced schema requires all of its properties.
fn requires_everything(schema: &Value) -> bool {
    match schema {
        Value::Object(object) => {
            let required = object.get("required").and_then(Value::as_array);
            let properties = object.get("properties").and_then(Value::as_object);
            let all = properties.is_none_or(|properties| {
                properties.keys().all(|name| required.is_some_and(|names| names.iter().any(|it| it == name)))
            });
            all && !object.contains_key("allOf") && object.values().all(requires_everything)
        }
        Value::Array(list) => list.iter().all(requires_everything),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// True when following its references inside the document leads back to where they stand, or nowhere.
fn is_recursive(root: &Value) -> bool {
    fn visit<'a>(root: &'a Value, at: &'a Value, open: &mut Vec<&'a str>, steps: &mut usize) -> bool {
        *steps += 1;
        if *steps > 20_000 || open.len() > MAX_DEPTH {
            return true;
        }
        match at {
            Value::Object(object) => {
                if let Some(Value::String(reference)) = object.get("$ref") {
                    let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
                    let Some(target) = target else { return true };
                    if open.contains(&reference.as_str()) {
                        return true;
                    }
                    open.push(reference);
                    if visit(root, target, open, steps) {
                        return true;
                    }
                    open.pop();
                }
                object.values().any(|value| visit(root, value, open, steps))
            }
            Value::Array(list) => list.iter().any(|value| visit(root, value, open, steps)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
    visit(root, root, &mut Vec::new(), &mut 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provider_does_not_know_moves_to_the_description() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "score": {"type": "integer", "minimum": 0, "maximum": 9, "description": "How good."},
                "tags": {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 2},
                "when": {"type": "string", "format": "date"},
                "kind": {"oneOf": [{"const": "a"}, {"type": "null"}]}
            },
            "required": ["score"]
        });
        assert_eq!(
            reduced(&schema).unwrap(),
            json!({
                "type": "object",
                "properties": {
                    "score": {"type": "integer", "description": "How good.\n{minimum: 0, maximum: 9}"},
                    "tags": {
                        "type": "array",
                        "items": {"type": "string", "description": "{minLength: 1}"},
                        "description": "{minItems: 2}"
                    },
                    "when": {"type": "string", "format": "date"},
                    "kind": {"anyOf": [{"const": "a"}, {"type": "null"}]}
                },
                "required": ["score"],
                "additionalProperties": false
            })
        );
        assert_eq!(
            openai(&schema),
            Some(Native { schema, strict: false }),
            "an optional property is not strict"
        );
    }

    #[test]
    fn a_schema_that_requires_everything_is_strict() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
        let mut closed = schema.clone();
        closed["additionalProperties"] = json!(false);
        assert_eq!(openai(&schema), Some(Native { schema: closed, strict: true }));
    }

    #[test]
    fn a_schema_that_no_provider_takes_is_left_to_the_prompt() {
        let tree = json!({"type": "object", "properties": {"child": {"$ref": "#"}}});
        let deep =
            (0..200).fold(json!({"type": "string"}), |inner, _| json!({"type": "array", "items": inner}));
        for schema in
            [tree, json!({"$ref": "other.json#/x"}), json!({"$ref": "#/$defs/none"}), json!(true), deep]
        {
            assert_eq!(reduced(&schema), None, "{schema}");
        }
        assert_eq!(openai(&json!({"type": "array"})), None);
    }

    #[test]
    fn references_inside_the_schema_stay() {
        let schema = json!({
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/x"}, "b": {"$ref": "#/$defs/x"}},
            "$defs": {"x": {"type": "string"}}
        });
        assert!(reduced(&schema).is_some());
    }
}
