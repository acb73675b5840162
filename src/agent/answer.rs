//! What a program's standard output says, in the form that the plan names.
//!
//! A JSON answer is an object whose `result`, `output`, `text` or `response` holds
//! the answer. It may also say that it failed (`is_error: true`, or an `error`) or
//! that it is stuck on a question (`blocked`), and what it used (`usage`,
//! `total_cost_usd`).
//!
//! Invariant: what a program says about its own failure is believed whatever its
//! exit status; nothing that it prints can make the reading fail otherwise than
//! with a sentence.

use serde_json::Value;

use super::program::fault::Fault;
use super::program::{End, Told, speaker, transcript};
use crate::outcome::Usage;
use crate::plan::CommandOutput;
use crate::unit::{Tokens, Usd};

/// Reads a whole standard output.
pub(super) fn read(output: &str, form: CommandOutput) -> Told {
    match form {
        CommandOutput::Text | CommandOutput::StreamJson => {
            Told { end: End::Answer(output.trim_end().to_owned()), ..Told::default() }
        }
        CommandOutput::Json => {
            // Some print a notice before the object, so its last line will do.
            let last = output.trim_end().rsplit('\n').next().unwrap_or_default();
            let value = serde_json::from_str(output.trim()).or_else(|_| serde_json::from_str(last));
            match value {
                Ok(value) => known(&value).or_else(|| of_value(&value)).unwrap_or_else(|| {
                    let keys = "`result`, `output`, `text` or `response`";
                    unreadable(format!("its JSON has no {keys} that holds an answer"))
                }),
                Err(error) => unreadable(format!("its output is not one JSON value ({error})")),
            }
        }
        CommandOutput::JsonLines => lines(output),
    }
}

/// The final document of a program that is known.
fn known(value: &Value) -> Option<Told> {
    let mut transcript = transcript(speaker(value)?);
    transcript.hear(value);
    let told = transcript.told();
    (!matches!(told.end, End::Nothing | End::Unfinished(_))).then_some(told)
}

/// The last line that holds an answer or a failure counts; usage is taken from the last that holds one.
fn lines(output: &str) -> Told {
    let mut objects = 0_usize;
    let mut end = None;
    let mut usage = Usage::default();
    for value in output.lines().filter_map(|line| serde_json::from_str::<Value>(line.trim()).ok()) {
        if !value.is_object() {
            continue;
        }
        objects += 1;
        let spent = usage_of(&value);
        if spent != Usage::default() {
            usage = spent;
        }
        if let Some(said) = of_value(&value) {
            end = Some(said.end);
        }
    }
    let none = || {
        let keys = "`result`, `output`, `text` or `response`";
        End::Unreadable(match objects {
            0 => "no line of its output is a JSON object".to_owned(),
            _ => format!("none of its {objects} JSON lines has a {keys} that holds an answer"),
        })
    };
    Told { end: end.unwrap_or_else(none), usage, ..Told::default() }
}

/// What one JSON value says; `None` if it says nothing.
fn of_value(value: &Value) -> Option<Told> {
    let usage = usage_of(value);
    let said = |end| Some(Told { end, usage, ..Told::default() });
    let object = match value {
        Value::String(text) => return said(End::Answer(text.clone())),
        Value::Object(object) => object,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return None,
    };
    if let Some(question) = object.get("blocked").and_then(words) {
        return said(End::Blocked(question));
    }
    let answer = ["result", "output", "text", "response"].iter().find_map(|key| words(object.get(*key)?));
    let error = object.get("error").and_then(words);
    match (error, object.get("is_error") == Some(&Value::Bool(true))) {
        (Some(error), _) => said(failed(&error)),
        (None, true) => said(failed(answer.as_deref().unwrap_or("it gave no reason"))),
        (None, false) => said(End::Answer(answer?)),
    }
}

/// A text as it is, a message out of its object, anything else but nothing as JSON.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) => Some(text.clone()),
        Value::Object(object) if object.get("message").is_some_and(Value::is_string) => {
            object.get("message").and_then(Value::as_str).map(str::to_owned)
        }
        Value::Bool(true) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(value.to_string()),
    }
}

fn usage_of(value: &Value) -> Usage {
    let count =
        |key| value.get("usage").and_then(|usage| usage.get(key)?.as_u64()).map(Tokens).unwrap_or_default();
    let cached = count("cache_read_input_tokens");
    let cost = value.get("total_cost_usd").and_then(Value::as_f64).filter(|cost| *cost >= 0.0);
    Usage {
        input: count("input_tokens") + count("cache_creation_input_tokens") + cached,
        output: count("output_tokens"),
        cached,
        cost: cost.map(|cost| Usd((cost * 1e6).round() as u64)),
        ..Usage::default()
    }
}

fn failed(why: &str) -> End {
    End::Failed(Fault::new(None, why))
}

fn unreadable(why: String) -> Told {
    Told { end: End::Unreadable(why), ..Told::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(output: &str, form: CommandOutput) -> End {
        read(output, form).end
    }

    fn answer(text: &str) -> End {
        End::Answer(text.to_owned())
    }

    #[test]
    fn text_is_taken_as_it_stands() {
        assert_eq!(end("  a\nb \n\n", CommandOutput::Text), answer("  a\nb"));
    }

    #[test]
    fn one_json_object_holds_the_answer_under_any_of_its_names() {
        let read = |output| end(output, CommandOutput::Json);
        assert_eq!(read(r#"{"result": "a"}"#), answer("a"));
        assert_eq!(read("note\n{\"response\": \"b\"}\n"), answer("b"));
        assert_eq!(read("{\n  \"output\": {\"n\": 1}\n}"), answer(r#"{"n":1}"#));
        assert_eq!(read(r#""just a string""#), answer("just a string"));
        assert_eq!(read(r#"{"result": "no", "is_error": true}"#), failed("no"));
        assert_eq!(read(r#"{"error": {"message": "m", "code": 1}}"#), failed("m"));
        assert_eq!(read(r#"{"error": null, "text": "a"}"#), answer("a"));
        assert_eq!(read(r#"{"blocked": "Which branch?"}"#), End::Blocked("Which branch?".to_owned()));
        for none in ["", "plain", "{\"a\": 1}", "[1]", "{\"result\": null}"] {
            assert!(matches!(read(none), End::Unreadable(_)), "{none:?}");
        }
    }

    #[test]
    fn the_last_json_line_that_holds_an_answer_counts() {
        let output = "warming up\n{\"type\":\"log\",\"text\":\"thinking\"}\n{\"result\":\"done\",\"usage\":{\"input_tokens\":2,\
                      \"cache_read_input_tokens\":3,\"output_tokens\":4},\"total_cost_usd\":0.5}\n{\"type\":\"bye\"}\nnot json";
        let usage = Usage {
            input: Tokens(5),
            output: Tokens(4),
            cached: Tokens(3),
            cost: Some(Usd(500_000)),
            ..Usage::default()
        };
        assert_eq!(
            read(output, CommandOutput::JsonLines),
            Told { end: answer("done"), usage, ..Told::default() }
        );
        for none in ["", "x\ny", "{\"type\":\"log\"}", "[1]"] {
            assert!(matches!(end(none, CommandOutput::JsonLines), End::Unreadable(_)), "{none:?}");
        }
    }
}
