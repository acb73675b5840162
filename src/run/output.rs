//! Reads what came back in the shape that the plan asked for.
//!
//! Invariant: pure. An answer either is in the asked shape or is refused with words
//! that the one who answered can act on.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use crate::outcome::{Cause, Output};
use crate::plan::{Format, OutputSpec};

/// How many of a validator's complaints are repeated.
const COMPLAINTS: usize = 8;

/// Turns raw text into an output of the asked shape.
///
/// `omitted` is how many bytes the producer already left out of `text`. `must_answer`
/// is true where an empty text is no answer (a model's; a command may print nothing).
///
/// # Errors
/// A [`Cause`] with code `empty_answer`, `not_json`, `schema` or `output_cut`; its message says
/// what to send instead.
pub(crate) fn read(text: &str, omitted: u64, spec: &OutputSpec, must_answer: bool) -> Result<Output, Cause> {
    // What was cut already has its mark; cutting it again would hide it.
    let (text, cut) = if omitted > 0 { (Cow::Borrowed(text), 0) } else { bound(text, spec.max_bytes.0) };
    let omitted_bytes = omitted + cut;
    if must_answer && text.trim().is_empty() {
        return Err(Cause::new("empty_answer", "the answer was empty"));
    }
    let json = match spec.format {
        Format::Text if spec.schema.is_none() => None,
        Format::Lines => {
            let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
            Some(Value::from(lines.collect::<Vec<_>>()))
        }
        Format::Json | Format::Text => {
            if omitted_bytes > 0 {
                let message = format!(
                    "the JSON output was cut: {omitted_bytes} bytes over `output.max_bytes` were left out; raise it or print less"
                );
                return Err(Cause::new("output_cut", message));
            }
            Some(json(&text)?)
        }
    };
    if let (Some(schema), Some(value)) = (&spec.schema, &json) {
        validate(schema, value)?;
    }
    Ok(Output { text: text.into(), json: json.map(Arc::new), omitted_bytes })
}

/// The output of a computed value, which has no text to be read: `text`, or the value's own form.
///
/// # Errors
/// A [`Cause`] with code `schema`.
pub(crate) fn computed(text: &str, value: &Value, spec: &OutputSpec) -> Result<Output, Cause> {
    if let Some(schema) = &spec.schema {
        validate(schema, value)?;
    }
    let output = Output::json(value.clone());
    Ok(if text.is_empty() { output } else { Output { text: text.into(), ..output } })
}

/// Keeps head and tail of a text that is longer than `most` bytes, with a visible mark between.
fn bound(text: &str, most: u64) -> (Cow<'_, str>, u64) {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if text.len() <= most {
        return (Cow::Borrowed(text), 0);
    }
    let head = text.floor_char_boundary(most - most / 2);
    let tail = text.ceil_char_boundary(text.len() - most / 2);
    let cut = (tail - head) as u64;
    (Cow::Owned(format!("{}\n[… {cut} bytes left out …]\n{}", &text[..head], &text[tail..])), cut)
}

/// The one JSON value in `text`: the whole of it, or what stands in its first code fence, or
/// from its first bracket to its last.
fn json(text: &str) -> Result<Value, Cause> {
    let whole = text.trim();
    let error = match serde_json::from_str(whole) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    for candidate in [fenced(whole), bracketed(whole)].into_iter().flatten() {
        if let Ok(value) = serde_json::from_str(candidate) {
            return Ok(value);
        }
    }
    Err(Cause::new(
        "not_json",
        format!("the answer is not JSON ({error}); answer with one JSON value and nothing else"),
    ))
}

/// The inside of the first fence. It ends at the last closing fence, because JSON may itself hold fences.
fn fenced(text: &str) -> Option<&str> {
    let start = text.find("```")?;
    let inside = &text[start + 3..];
    let body = &inside[inside.find('\n')? + 1..];
    body.rfind("```").map(|end| body[..end].trim())
}

fn bracketed(text: &str) -> Option<&str> {
    let start = text.find(['{', '['])?;
    let end = text.rfind(['}', ']'])?;
    text.get(start..=end)
}

fn validate(schema: &Value, value: &Value) -> Result<(), Cause> {
    // The plan was checked, so the schema compiles; if it does not, that is what went wrong.
    let validator = jsonschema::validator_for(schema).map_err(|error| {
        Cause::new("schema", format!("the plan's `output.schema` is no JSON Schema: {error}"))
    })?;
    let mut complaints: Vec<String> = validator
        .iter_errors(value)
        .take(COMPLAINTS + 1)
        .map(|error| {
            let place = error.instance_path().to_string();
            if place.is_empty() { error.to_string() } else { format!("at {place}: {error}") }
        })
        .collect();
    if complaints.is_empty() {
        return Ok(());
    }
    if complaints.len() > COMPLAINTS {
        complaints.truncate(COMPLAINTS);
        complaints.push("and more".to_owned());
    }
    Err(Cause::new("schema", format!("the answer does not fit the schema: {}", complaints.join("; "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Bytes;
    use serde_json::json;

    fn spec(format: Format, schema: Option<Value>) -> OutputSpec {
        OutputSpec { format, schema: schema.map(Arc::new), max_bytes: Bytes(1000), file: None }
    }

    #[test]
    fn json_is_found_in_fences_and_prose_even_when_it_holds_fences() {
        let json_spec = spec(Format::Json, None);
        let inner = json!({"code": "```rust\nfn x() {}\n```"});
        for text in [
            inner.to_string(),
            format!("```json\n{inner}\n```"),
            format!("Here it is:\n```\n{inner}\n```\nDone."),
            format!("Sure! {inner}"),
        ] {
            let output = read(&text, 0, &json_spec, true).unwrap();
            assert_eq!(output.json.as_deref(), Some(&inner), "{text}");
        }
        assert_eq!(read("no json", 0, &json_spec, true).unwrap_err().code, "not_json");
    }

    #[test]
    fn an_answer_outside_the_schema_is_refused_with_the_validators_words() {
        let schema = json!({"type": "object", "required": ["verdict"], "properties": {"verdict": {"enum": ["keep", "revert"]}}});
        let with_schema = spec(Format::Json, Some(schema));
        let cause = read(r#"{"verdict": "perhaps"}"#, 0, &with_schema, true).unwrap_err();
        assert_eq!(cause.code, "schema");
        assert!(cause.message.contains("/verdict") && cause.message.contains("keep"), "{}", cause.message);
        assert!(read(r#"{"verdict": "keep"}"#, 0, &with_schema, true).is_ok());
    }

    #[test]
    fn lines_are_the_non_empty_ones() {
        let output = read("a\n\nb  \r\n", 0, &spec(Format::Lines, None), false).unwrap();
        assert_eq!(output.json.as_deref(), Some(&json!(["a", "b"])));
    }

    #[test]
    fn a_long_output_keeps_head_and_tail_and_says_what_is_missing() {
        let text = "é".repeat(2000);
        let output = read(&text, 0, &spec(Format::Text, None), true).unwrap();
        assert!(output.omitted_bytes >= 3000 - 4 && output.text.contains("bytes left out"));
        assert!(output.text.len() < 1100);
        assert_eq!(read(&text, 0, &spec(Format::Json, None), true).unwrap_err().code, "output_cut");
    }

    #[test]
    fn an_empty_answer_is_none_where_one_is_due() {
        assert_eq!(read(" \n", 0, &spec(Format::Text, None), true).unwrap_err().code, "empty_answer");
        assert!(read("", 0, &spec(Format::Text, None), false).is_ok());
    }
}
