//! OpenAI Responses, stateless: nothing is stored at the provider.
//!
//! Invariant: the deltas are for people; the answer is what the terminal event's
//! `response` holds, and its `output` items go back as they came.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::complaint::Complaint;
use super::dialect::{Dialect, Draft, Ending, Fault, Fold, Step, count, garbled, text};
use super::{Message, Request, Stop, ToolCall, ToolSpec, calls, schema};
use crate::outcome::Usage;

/// The dialect.
pub(super) struct Responses;

impl Dialect for Responses {
    fn path(&self, _model: &str) -> String {
        "/responses".to_owned()
    }

    fn body(&self, request: &Request, _host: &str) -> Value {
        let mut body = Map::new();
        body.insert("model".to_owned(), json!(request.model));
        if let Some(system) = &request.system {
            body.insert("instructions".to_owned(), json!(system));
        }
        let mut input = Vec::new();
        for message in &request.messages {
            match message {
                Message::User(text) => input.push(json!({"role": "user", "content": text})),
                Message::Assistant(text) => input.push(json!({"role": "assistant", "content": text})),
                Message::Echo(items) => input.extend(items.as_array().into_iter().flatten().cloned()),
                Message::Results { results, note } => {
                    input.extend(results.iter().map(|result| {
                        json!({"type": "function_call_output", "call_id": result.id, "output": result.told()})
                    }));
                    input.extend(note.iter().map(|text| json!({"role": "user", "content": text})));
                }
            }
        }
        body.insert("input".to_owned(), Value::Array(input));
        if !request.tools.is_empty() {
            body.insert("tools".to_owned(), request.tools.iter().map(tool).collect());
        }
        body.insert("max_output_tokens".to_owned(), json!(request.max_tokens.0));
        if let Some(temperature) = request.temperature {
            body.insert("temperature".to_owned(), json!(temperature));
        }
        if let Some(effort) = &request.effort {
            body.insert("reasoning".to_owned(), json!({"effort": effort}));
        }
        if let Some(native) = request.schema.as_deref().and_then(schema::openai) {
            let format = json!({
                "type": "json_schema", "name": "answer", "schema": native.schema, "strict": native.strict,
            });
            body.insert("text".to_owned(), json!({"format": format}));
        }
        // Without it the reasoning between the calls of a conversation could not go back.
        if !request.tools.is_empty() {
            body.insert("include".to_owned(), json!(["reasoning.encrypted_content"]));
        }
        // The provider would keep it for thirty days.
        body.insert("store".to_owned(), json!(false));
        body.insert("stream".to_owned(), json!(true));
        Value::Object(body)
    }

    fn fold(&self, messages: usize) -> Box<dyn Fold> {
        Box::new(ResponseFold { messages, ..ResponseFold::default() })
    }
}

/// `strict` is on where nothing is said, and then half of all schemas are refused.
fn tool(tool: &ToolSpec) -> Value {
    json!({
        "type": "function", "name": tool.name, "description": tool.description,
        "parameters": tool.parameters, "strict": false,
    })
}

/// One response, so far.
#[derive(Debug, Default)]
struct ResponseFold {
    messages: usize,
    shown: String,
    /// Finished items by their place, for servers whose last event leaves `output` empty.
    items: BTreeMap<u64, Value>,
    response: Option<Value>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct TextDelta<'a> {
    #[serde(borrow)]
    delta: Cow<'a, str>,
}

impl Fold for ResponseFold {
    fn event(&mut self, kind: &str, data: &str) -> Result<Step, Fault> {
        let bad = |error| garbled("an event", data, &error);
        let named = !kind.is_empty() && kind != "message";
        let kind: Cow<'_, str> =
            if named { kind.into() } else { serde_json::from_str::<Head<'_>>(data).map_err(bad)?.kind };
        match &*kind {
            "response.output_text.delta" => {
                self.shown.push_str(&serde_json::from_str::<TextDelta<'_>>(data).map_err(bad)?.delta);
            }
            "response.output_item.done" => {
                let mut event: Value = serde_json::from_str(data).map_err(bad)?;
                let next = self.items.last_key_value().map_or(0, |(last, _)| last.saturating_add(1));
                let index = event.get("output_index").and_then(Value::as_u64).unwrap_or(next);
                if let Some(item) = event.get_mut("item") {
                    self.items.insert(index, item.take());
                }
            }
            "response.completed" | "response.failed" | "response.incomplete" => {
                let mut event: Value = serde_json::from_str(data).map_err(bad)?;
                let Some(response @ Value::Object(_)) = event.get_mut("response").map(Value::take) else {
                    return Err(Fault::Garbled(format!("`{kind}` came without a response")));
                };
                self.document(response)?;
                return Ok(Step::Done);
            }
            "error" => {
                let event: Value = serde_json::from_str(data).map_err(bad)?;
                // Flat in this dialect, but some servers nest it: both are read.
                return Err(Fault::Complaint(Complaint::read(&event).unwrap_or_default()));
            }
            "response.queued" | "ping" | "keepalive" => return Ok(Step::Ping),
            // The other forty or so: parts, reasoning, arguments; all of it is in the last event.
            _ => {}
        }
        Ok(Step::Progress)
    }

    fn document(&mut self, document: Value) -> Result<(), Fault> {
        let error = document.get("error").filter(|error| !error.is_null());
        let failed = text(&document, "status") == Some("failed");
        if failed || (error.is_some() && document.get("output").is_none()) {
            return Err(Fault::Complaint(Complaint::read(&document).unwrap_or_default()));
        }
        if document.get("output").is_none() && self.items.is_empty() {
            let none = || Fault::Garbled("the answer has no `output`".to_owned());
            return Err(Complaint::read(&document).map_or_else(none, Fault::Complaint));
        }
        self.response = Some(document);
        Ok(())
    }

    fn text(&self) -> &str {
        &self.shown
    }

    fn usage(&self) -> Option<Usage> {
        let usage = self.response.as_ref()?.get("usage").filter(|usage| usage.is_object())?;
        Some(Usage {
            input: count(usage, &["input_tokens"]).unwrap_or_default(),
            output: count(usage, &["output_tokens"]).unwrap_or_default(),
            cached: count(usage, &["input_tokens_details", "cached_tokens"]).unwrap_or_default(),
            cache_written: count(usage, &["input_tokens_details", "cache_write_tokens"]).unwrap_or_default(),
            reasoning: count(usage, &["output_tokens_details", "reasoning_tokens"]).unwrap_or_default(),
            requests: 1,
            cost: None,
        })
    }

    fn finish(self: Box<Self>) -> Result<Draft, Fault> {
        let usage = self.usage();
        let mut response = self.response.unwrap_or_default();
        let model = text(&response, "model").map(str::to_owned);
        let mut output = match response.get_mut("output").map(Value::take) {
            Some(Value::Array(output)) if !output.is_empty() => output,
            Some(_) | None => self.items.into_values().collect(),
        };
        let calls = asked(&mut output, self.messages)?;
        let of_type = |kind: &'static str| output.iter().filter(move |item| text(item, "type") == Some(kind));
        let is_final = |item: &&Value| text(item, "phase") == Some("final_answer");
        let only_final = of_type("message").any(|item| is_final(&item));
        let parts = of_type("message")
            .filter(|item| !only_final || is_final(item))
            .filter_map(|item| item.get("content")?.as_array())
            .flatten();
        let (mut answer, mut refusal) = (String::new(), None);
        for part in parts {
            match text(part, "type") {
                Some("output_text") => answer.push_str(text(part, "text").unwrap_or_default()),
                Some("refusal") => refusal = text(part, "refusal"),
                Some(_) | None => {}
            }
        }
        let reason = response.get("incomplete_details").and_then(|details| text(details, "reason"));
        let incomplete = text(&response, "status") == Some("incomplete") || reason.is_some();
        let end = match (refusal, reason) {
            (Some(words), _) => Ending::Refused(words.to_owned()),
            (None, Some("content_filter")) => {
                Ending::Refused("its content filter stopped the answer".to_owned())
            }
            (None, Some("max_output_tokens")) => Ending::Truncated("`max_tokens`"),
            (None, _) if incomplete => Ending::Truncated("the provider"),
            (None, _) if !calls.is_empty() => Ending::Reply(Stop::Tools),
            (None, _) => Ending::Reply(Stop::End),
        };
        Ok(Draft { text: answer, assistant: Value::Array(output), calls, end, usage, model })
    }
}

/// The calls among the items. One without a `call_id` is given one, since its output must name it.
fn asked(output: &mut [Value], messages: usize) -> Result<Vec<ToolCall>, Fault> {
    let mut asked = Vec::new();
    for item in output.iter_mut().filter(|item| text(item, "type") == Some("function_call")) {
        let Some(name) = text(item, "name").filter(|name| !name.is_empty()).map(str::to_owned) else {
            return Err(Fault::Garbled("a function call has no name".to_owned()));
        };
        let input = match item.get("arguments") {
            Some(Value::String(arguments)) => calls::arguments(arguments),
            other => calls::object(other.cloned().unwrap_or_default()),
        };
        let id = match text(item, "call_id").filter(|id| !id.is_empty()) {
            Some(id) => id.to_owned(),
            None => {
                let id = calls::made_up_id(messages, asked.len() + 1);
                if let Value::Object(item) = item {
                    item.insert("call_id".to_owned(), json!(id));
                }
                id
            }
        };
        asked.push(ToolCall { id, name, input });
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ToolResult;
    use crate::unit::Tokens;

    fn fold(events: &[Value]) -> Result<Draft, Fault> {
        let mut fold = Responses.fold(1);
        for event in events {
            fold.event(event["type"].as_str().unwrap_or_default(), &event.to_string())?;
        }
        fold.finish()
    }

    fn message(phase: &str, text: &str) -> Value {
        json!({"type": "message", "phase": phase, "content": [{"type": "output_text", "text": text}]})
    }

    fn completed(response: Value) -> Value {
        json!({"type": "response.completed", "response": response})
    }

    #[test]
    fn a_request_is_stateless() {
        let request = Request {
            model: "m".to_owned(),
            system: Some("s".to_owned()),
            messages: vec![
                Message::User("1".to_owned()),
                Message::Echo(json!([{"type": "reasoning", "id": "r"}, {"type": "function_call"}]).into()),
                Message::User("2".to_owned()),
            ],
            schema: Some(json!({"type": "object", "properties": {"a": {"type": "string"}}}).into()),
            max_tokens: Tokens(9),
            temperature: None,
            effort: Some("low".to_owned()),
            tools: Vec::new(),
            cache: false,
            shared: None,
        };
        let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        let format = json!({"type": "json_schema", "name": "answer", "schema": schema, "strict": false});
        assert_eq!(
            Responses.body(&request, ""),
            json!({
                "model": "m", "instructions": "s",
                "input": [
                    {"role": "user", "content": "1"}, {"type": "reasoning", "id": "r"}, {"type": "function_call"},
                    {"role": "user", "content": "2"}
                ],
                "max_output_tokens": 9, "reasoning": {"effort": "low"}, "text": {"format": format},
                "store": false, "stream": true
            })
        );
    }

    #[test]
    fn the_final_answer_is_told_from_the_commentary() {
        let output = json!([message("commentary", "let me see "), {"type": "reasoning"}, message("final_answer", "42")]);
        let usage =
            json!({"input_tokens": 5, "output_tokens": 4, "output_tokens_details": {"reasoning_tokens": 3}});
        let draft =
            fold(&[completed(json!({"status": "completed", "output": output, "usage": usage}))]).unwrap();
        let usage = Usage {
            input: Tokens(5),
            output: Tokens(4),
            reasoning: Tokens(3),
            requests: 1,
            ..Usage::default()
        };
        assert_eq!((draft.text.as_str(), draft.assistant, draft.usage), ("42", output, Some(usage)));
    }

    #[test]
    fn items_stand_in_for_an_output_that_the_last_event_leaves_empty() {
        let draft = fold(&[
            json!({"type": "response.output_item.done", "output_index": 1, "item": message("", "b")}),
            json!({"type": "response.output_item.done", "output_index": 0, "item": message("", "a")}),
            completed(json!({"status": "completed", "output": []})),
        ]);
        assert_eq!(draft.unwrap().text, "ab");
    }

    #[test]
    fn calls_are_the_function_call_items_and_their_outputs_name_them() {
        let item = |call_id: &str, arguments: Value| json!({"type": "function_call", "id": "fc", "call_id": call_id, "name": "f", "arguments": arguments});
        let output = [
            item("a", json!("{\"x\":1}")),
            item("", json!("")),
            item("c", json!({"x": 2})),
            item("d", json!("{")),
        ];
        let draft = fold(&[completed(json!({"status": "completed", "output": output}))]).unwrap();
        let call = |id: &str, input: Result<Value, &str>| ToolCall {
            id: id.to_owned(),
            name: "f".to_owned(),
            input: input.map_err(str::to_owned),
        };
        let why = "the arguments are not valid JSON (EOF while parsing an object at line 1 column 1): {";
        assert_eq!(
            draft.calls,
            [
                call("a", Ok(json!({"x": 1}))),
                call("call00102", Ok(json!({}))),
                call("c", Ok(json!({"x": 2}))),
                call("d", Err(why))
            ]
        );
        let mut echo = output;
        echo[1]["call_id"] = json!("call00102");
        assert_eq!((draft.assistant, draft.end), (json!(echo), Ending::Reply(Stop::Tools)));
    }

    #[test]
    fn the_results_of_a_message_go_back_as_items() {
        let request = Request {
            model: "m".to_owned(),
            system: None,
            messages: vec![
                Message::User("1".to_owned()),
                Message::Echo(json!([{"type": "function_call", "call_id": "a"}]).into()),
                Message::Results {
                    results: vec![
                        ToolResult {
                            id: "a".to_owned(),
                            name: "read".to_owned(),
                            text: "x".to_owned(),
                            is_error: false,
                        },
                        ToolResult {
                            id: "b".to_owned(),
                            name: "read".to_owned(),
                            text: "no".to_owned(),
                            is_error: true,
                        },
                    ],
                    note: Some("Go on.".to_owned()),
                },
            ],
            schema: None,
            max_tokens: Tokens(9),
            temperature: None,
            effort: None,
            tools: vec![ToolSpec {
                name: "read".to_owned(),
                description: "Reads.".to_owned(),
                parameters: json!({"type": "object"}),
            }],
            cache: true,
            shared: None,
        };
        let tool = json!({"type": "function", "name": "read", "description": "Reads.", "parameters": {"type": "object"}, "strict": false});
        assert_eq!(
            Responses.body(&request, ""),
            json!({
                "model": "m",
                "input": [
                    {"role": "user", "content": "1"}, {"type": "function_call", "call_id": "a"},
                    {"type": "function_call_output", "call_id": "a", "output": "x"},
                    {"type": "function_call_output", "call_id": "b", "output": "Error: no"},
                    {"role": "user", "content": "Go on."}
                ],
                "tools": [tool], "max_output_tokens": 9, "include": ["reasoning.encrypted_content"],
                "store": false, "stream": true
            })
        );
    }

    #[test]
    fn ends_are_told_apart() {
        let end = |response: Value| fold(&[completed(response)]).map(|draft| draft.end);
        let refusal = json!([{"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}]);
        assert_eq!(end(json!({"output": refusal})).unwrap(), Ending::Refused("no".to_owned()));
        let cut = |reason: &str| json!({"status": "incomplete", "output": [], "incomplete_details": {"reason": reason}});
        assert_eq!(end(cut("max_output_tokens")).unwrap(), Ending::Truncated("`max_tokens`"));
        assert!(matches!(end(cut("content_filter")).unwrap(), Ending::Refused(_)));
        assert_eq!(
            end(json!({"output": [{"type": "function_call", "name": "f"}]})).unwrap(),
            Ending::Reply(Stop::Tools)
        );
        let failed = json!({"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}});
        match end(failed) {
            Err(Fault::Complaint(complaint)) => assert_eq!(complaint.status(), 429),
            other => panic!("{other:?}"),
        }
        assert!(matches!(fold(&[json!({"type": "response.completed"})]), Err(Fault::Garbled(_))));
    }

    #[test]
    fn an_error_event_is_read_flat_and_nested() {
        for error in [
            json!({"type": "error", "code": "server_error", "message": "m", "param": null}),
            json!({"type": "error", "error": {"type": "server_error", "message": "m"}}),
        ] {
            match fold(&[error]) {
                Err(Fault::Complaint(complaint)) => {
                    assert_eq!((complaint.status(), complaint.message.as_str()), (500, "m"));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
