//! The JSON Schema of a plan file, for editors.
//!
//! Invariant: it is made from the types that plans are read with, so what it allows
//! and what is read cannot drift apart.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::file::PlanFile;

/// The JSON Schema (draft 2020-12) of a plan file, with the description of every key.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<PlanFile>().to_value();
    if let Value::Object(map) = &mut schema {
        map.insert("title".to_owned(), "fanout plan".into());
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn validator() -> jsonschema::Validator {
        jsonschema::draft202012::new(&schema()).unwrap()
    }

    #[test]
    fn good_plans_are_valid_and_bad_ones_are_not() {
        let validator = validator();
        let good = [
            json!({"calls": {"a": {"prompt": "Say hello."}}}),
            json!({
                "version": 1, "x-base": {"anything": true},
                "vars": {"n": 3, "who": {"required": true, "type": "string", "enum": ["a", "b"]}},
                "limits": {"concurrency": 4, "time": "20m"},
                "calls": {
                    "a": {"run": ["ls", "-l"], "timeout": "5m", "needs": {"b": "done"}, "output": "json"},
                    "b": {"prompt": {"file": "p.md"}, "matrix": {"os": ["x"], "include": [{"os": "y"}]}, "join": 2},
                    "c": {"reconcile": {"of": ["a"], "strategy": "vote", "on": "/verdict", "min": "60%"}},
                    "d": {"plan": "other.yaml", "with": {"n": 1}, "agent": {"model": "anthropic/claude-sonnet-5"}},
                },
                "reconcile": {"strategy": "merge", "items": "/findings", "similar": {"on": "/title", "at": 0.85}},
                "require": {"a": "all", "b": 2},
            }),
        ];
        for plan in good {
            let problems: Vec<String> = validator.iter_errors(&plan).map(|e| e.to_string()).collect();
            assert!(problems.is_empty(), "{plan}: {problems:?}");
        }
        let bad = [
            json!({}),
            json!({"calls": {"a": {"promt": "x"}}}),
            json!({"calls": {"a": {"prompt": "x", "timeout": 5}}}),
            json!({"calls": {"a": {"prompt": "x", "timeout": "5"}}}),
            json!({"calls": {"a": {"prompt": "x", "on_error": "ignroe"}}}),
            json!({"calls": {"a": {"prompt": {"file": "x", "flie": "y"}}}}),
            json!({"calls": {"a": {"repeat": {"max": 3}}}}),
            json!({"calls": {"a": {"run": []}}}),
            json!({"calls": {}, "call": {}}),
            json!({"vars": {"x": {"required": true, "tpye": "string"}}, "calls": {}}),
        ];
        for plan in bad {
            assert!(!validator.is_valid(&plan), "{plan} was taken");
        }
    }

    #[test]
    fn every_key_has_a_description() {
        fn walk(value: &Value, path: &str, missing: &mut Vec<String>) {
            if let Some(properties) = value.get("properties").and_then(Value::as_object) {
                for (key, property) in properties {
                    let text = property.get("description").and_then(Value::as_str).unwrap_or("");
                    if text.len() < 3 {
                        missing.push(format!("{path}.{key}"));
                    }
                }
            }
            match value {
                Value::Object(map) => {
                    map.iter().for_each(|(key, value)| walk(value, &format!("{path}.{key}"), missing))
                }
                Value::Array(list) => list.iter().for_each(|value| walk(value, path, missing)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        let mut missing = Vec::new();
        walk(&schema(), "", &mut missing);
        assert_eq!(missing, Vec::<String>::new());
        assert!(schema().pointer("/$defs/CallFile/properties/prompt/description").is_some());
    }
}
