//! Anthropic Messages, also spoken by Ollama, llama.cpp, vLLM and gateways.
//!
//! Invariant: the assistant's content goes back as it came. Blocks are assembled
//! by index from what the stream says, unknown fields and block types included.

use std::borrow::Cow;
use std::collections::BTreeMap;

use reqwest::header::HeaderName;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::complaint::Complaint;
use super::dialect::{Dialect, Draft, Ending, Fault, Fold, Step, count, garbled, text};
use super::{Message, Request, Stop, schema};
use crate::outcome::Usage;
use crate::unit::Tokens;

/// The dialect.
pub(super) struct Messages;

impl Dialect for Messages {
    fn path(&self) -> &'static str {
        "/messages"
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("anthropic-version", "2023-06-01")]
    }

    fn key_header(&self) -> (HeaderName, &'static str) {
        (HeaderName::from_static("x-api-key"), "")
    }

    fn body(&self, request: &Request, _host: &str) -> Value {
        let mut body = Map::new();
        body.insert("model".to_owned(), json!(request.model));
        body.insert("max_tokens".to_owned(), json!(request.max_tokens.0));
        if let Some(system) = &request.system {
            body.insert("system".to_owned(), json!(system));
        }
        let messages = request.messages.iter().map(|message| match message {
            Message::User(text) => json!({"role": "user", "content": text}),
            Message::Assistant(text) => json!({"role": "assistant", "content": text}),
            Message::Echo(content) => json!({"role": "assistant", "content": content}),
        });
        body.insert("messages".to_owned(), messages.collect());
        if let Some(temperature) = request.temperature {
            body.insert("temperature".to_owned(), json!(temperature));
        }
        let mut output = Map::new();
        if let Some(effort) = &request.effort {
            output.insert("effort".to_owned(), json!(effort));
        }
        if let Some(reduced) = request.schema.as_deref().and_then(schema::reduced) {
            output.insert("format".to_owned(), json!({"type": "json_schema", "schema": reduced}));
        }
        if !output.is_empty() {
            body.insert("output_config".to_owned(), Value::Object(output));
        }
        body.insert("stream".to_owned(), json!(true));
        Value::Object(body)
    }

    fn fold(&self) -> Box<dyn Fold> {
        Box::new(MessageFold::default())
    }
}

/// One response, so far.
#[derive(Debug, Default)]
struct MessageFold {
    blocks: BTreeMap<u64, Block>,
    shown: String,
    stop_reason: Option<String>,
    stop_details: Option<Value>,
    counts: Option<Counts>,
    model: Option<String>,
}

/// One content block: how it began, and the deltas that do not stand in it yet.
#[derive(Debug, Default)]
struct Block {
    start: Map<String, Value>,
    text: String,
    thinking: String,
    input: String,
}

/// Token counts, each the highest that was given: they are cumulative, and a
/// restated zero must not wipe out what was known.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    fresh: Tokens,
    written: Tokens,
    read: Tokens,
    output: Tokens,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct DeltaEvent<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    delta: Delta<'a>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Cow<'a, str>,
    #[serde(borrow, default)]
    partial_json: Cow<'a, str>,
    #[serde(borrow, default)]
    thinking: Cow<'a, str>,
    #[serde(borrow, default)]
    signature: Cow<'a, str>,
    #[serde(default)]
    citation: Value,
}

impl Fold for MessageFold {
    fn event(&mut self, kind: &str, data: &str) -> Result<Step, Fault> {
        let named = !kind.is_empty() && kind != "message";
        let kind: Cow<'_, str> = if named {
            kind.into()
        } else {
            serde_json::from_str::<Head<'_>>(data).map_err(|error| garbled("an event", data, &error))?.kind
        };
        match &*kind {
            "content_block_delta" => match serde_json::from_str::<DeltaEvent<'_>>(data) {
                Ok(event) => self.delta(event)?,
                Err(error) => known_delta(data, &error)?,
            },
            "content_block_start" => {
                let event = value(data)?;
                let Some(Value::Object(start)) = event.get("content_block").cloned() else {
                    return Err(Fault::Garbled("a content block began without a block".to_owned()));
                };
                let index = event.get("index").and_then(Value::as_u64).unwrap_or(0);
                if let Some(text) = start.get("text").and_then(Value::as_str) {
                    self.shown.push_str(text);
                }
                if self.blocks.insert(index, Block { start, ..Block::default() }).is_some() {
                    return Err(Fault::Garbled(format!("content block {index} began twice")));
                }
            }
            "message_start" => {
                let event = value(data)?;
                let message = event.get("message").unwrap_or(&Value::Null);
                self.model = text(message, "model").map(str::to_owned);
                self.count(message.get("usage"));
            }
            "message_delta" => {
                let event = value(data)?;
                let delta = event.get("delta").unwrap_or(&Value::Null);
                self.stopped(delta);
                self.count(event.get("usage"));
            }
            "message_stop" => {
                value(data)?;
                return Ok(Step::Done);
            }
            "error" => {
                let complaint = Complaint::read(&value(data)?);
                return Err(Fault::Complaint(complaint.unwrap_or_default()));
            }
            "ping" => return Ok(Step::Ping),
            // `content_block_stop`, and whatever the provider adds later.
            _ => {}
        }
        Ok(Step::Progress)
    }

    fn document(&mut self, document: Value) -> Result<(), Fault> {
        let Value::Object(mut message) = document else {
            return Err(Fault::Garbled("the answer is no JSON object".to_owned()));
        };
        let Some(Value::Array(content)) = message.remove("content") else {
            let complaint = Complaint::read(&Value::Object(message));
            let none = || Fault::Garbled("the answer has no `content`".to_owned());
            return Err(complaint.map_or_else(none, Fault::Complaint));
        };
        for (index, block) in (0..).zip(content) {
            let Value::Object(start) = block else {
                return Err(Fault::Garbled("a content block is no JSON object".to_owned()));
            };
            self.blocks.insert(index, Block { start, ..Block::default() });
        }
        let message = Value::Object(message);
        self.model = text(&message, "model").map(str::to_owned);
        self.stopped(&message);
        self.count(message.get("usage"));
        Ok(())
    }

    fn text(&self) -> &str {
        &self.shown
    }

    fn usage(&self) -> Option<Usage> {
        let counts = self.counts?;
        Some(Usage {
            input: counts.fresh + counts.written + counts.read,
            output: counts.output,
            cached: counts.read,
            requests: 1,
            ..Usage::default()
        })
    }

    fn finish(self: Box<Self>) -> Result<Draft, Fault> {
        let usage = self.usage();
        let reason = self.stop_reason.unwrap_or_default();
        let is_cut = matches!(reason.as_str(), "max_tokens" | "model_context_window_exceeded");
        let mut answer = String::new();
        let mut content = Vec::new();
        for block in self.blocks.into_values() {
            match block.finish() {
                Ok(block) => {
                    if text(&block, "type") == Some("text") {
                        answer.push_str(text(&block, "text").unwrap_or_default());
                    }
                    content.push(block);
                }
                // A tool call that was cut off has half of its input: it is no call.
                Err(_) if is_cut => {}
                Err(fault) => return Err(fault),
            }
        }
        let asks = content.iter().any(|block| text(block, "type") == Some("tool_use"));
        let end = match reason.as_str() {
            "max_tokens" => Ending::Truncated("`max_tokens`"),
            "model_context_window_exceeded" => Ending::Truncated("the model's context window"),
            "refusal" => {
                let detail = |key| self.stop_details.as_ref().and_then(|details| text(details, key));
                Ending::Refused(
                    detail("explanation").or_else(|| detail("category")).unwrap_or_default().to_owned(),
                )
            }
            _ if asks => Ending::Reply(Stop::Tools),
            "end_turn" => Ending::Reply(Stop::End),
            "stop_sequence" => Ending::Reply(Stop::StopSequence),
            "pause_turn" => Ending::Reply(Stop::Paused),
            other => Ending::Reply(Stop::Other(other.to_owned())),
        };
        Ok(Draft { text: answer, assistant: Value::Array(content), end, usage, model: self.model })
    }
}

impl MessageFold {
    fn delta(&mut self, event: DeltaEvent<'_>) -> Result<(), Fault> {
        let (index, delta) = (event.index, event.delta);
        let Some(block) = self.blocks.get_mut(&index) else {
            return Err(Fault::Garbled(format!("content block {index} goes on but never began")));
        };
        let kind = block.start.get("type").and_then(Value::as_str).unwrap_or_default();
        let is_call = kind.ends_with("tool_use");
        match &*delta.kind {
            "text_delta" if is_call => return Err(mismatch(index, "text")),
            "text_delta" => {
                self.shown.push_str(&delta.text);
                block.text.push_str(&delta.text);
            }
            "input_json_delta" if kind == "text" || kind == "thinking" => {
                return Err(mismatch(index, "tool input"));
            }
            "input_json_delta" => block.input.push_str(&delta.partial_json),
            "thinking_delta" => block.thinking.push_str(&delta.thinking),
            "signature_delta" => {
                block.start.insert("signature".to_owned(), delta.signature.into_owned().into());
            }
            "citations_delta" => {
                let citations = block.start.entry("citations").or_insert(Value::Null);
                if citations.is_null() {
                    *citations = json!([]);
                }
                if let Value::Array(list) = citations {
                    list.push(delta.citation);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn stopped(&mut self, from: &Value) {
        if let Some(reason) = text(from, "stop_reason") {
            self.stop_reason = Some(reason.to_owned());
        }
        if let Some(details) = from.get("stop_details").filter(|details| !details.is_null()) {
            self.stop_details = Some(details.clone());
        }
    }

    fn count(&mut self, usage: Option<&Value>) {
        let Some(usage) = usage.filter(|usage| usage.is_object()) else { return };
        let counts = self.counts.get_or_insert_default();
        let raise = |known: &mut Tokens, key| *known = (*known).max(count(usage, &[key]).unwrap_or_default());
        raise(&mut counts.fresh, "input_tokens");
        raise(&mut counts.written, "cache_creation_input_tokens");
        raise(&mut counts.read, "cache_read_input_tokens");
        raise(&mut counts.output, "output_tokens");
    }
}

impl Block {
    /// The block as it would have come in one piece.
    fn finish(mut self) -> Result<Value, Fault> {
        let kind = self.start.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        append(&mut self.start, "text", &self.text);
        append(&mut self.start, "thinking", &self.thinking);
        if !self.input.is_empty() {
            let input = serde_json::from_str(&self.input)
                .map_err(|error| garbled("the input of a tool call", &self.input, &error))?;
            self.start.insert("input".to_owned(), input);
        } else if kind.ends_with("tool_use") && !self.start.contains_key("input") {
            self.start.insert("input".to_owned(), json!({}));
        }
        Ok(Value::Object(self.start))
    }
}

fn append(block: &mut Map<String, Value>, key: &str, more: &str) {
    if more.is_empty() {
        return;
    }
    match block.get_mut(key) {
        Some(Value::String(text)) => text.push_str(more),
        Some(_) | None => {
            block.insert(key.to_owned(), more.into());
        }
    }
}

fn mismatch(index: u64, what: &str) -> Fault {
    Fault::Garbled(format!("content block {index} was given {what}, which is not of its type"))
}

fn value(data: &str) -> Result<Value, Fault> {
    serde_json::from_str(data).map_err(|error| garbled("an event", data, &error))
}

/// Lets a delta of an unknown type pass whatever its fields are; any other must have read well.
fn known_delta(data: &str, error: &serde_json::Error) -> Result<(), Fault> {
    let event = value(data)?;
    let kind = event.get("delta").and_then(|delta| text(delta, "type")).unwrap_or_default();
    let known =
        ["text_delta", "input_json_delta", "thinking_delta", "signature_delta", "citations_delta", ""];
    if known.contains(&kind) { Err(garbled("an event", data, error)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            model: "claude-x".to_owned(),
            system: Some("Be brief.".to_owned()),
            messages: vec![Message::User("Hi".to_owned())],
            schema: None,
            max_tokens: Tokens(100),
            temperature: None,
            effort: None,
        }
    }

    fn fold(events: &[&str]) -> Result<Draft, Fault> {
        let mut fold = Messages.fold();
        for event in events {
            fold.event("", event)?;
        }
        fold.finish()
    }

    fn stop(reason: &str) -> String {
        json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 3}})
            .to_string()
    }

    const TEXT: &str =
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"a"}}"#;

    #[test]
    fn a_request_holds_what_was_asked_and_nothing_else() {
        assert_eq!(
            Messages.body(&request(), "api.anthropic.com"),
            json!({
                "model": "claude-x", "max_tokens": 100, "system": "Be brief.",
                "messages": [{"role": "user", "content": "Hi"}], "stream": true
            })
        );
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}});
        let content =
            json!([{"type": "thinking", "thinking": "", "signature": "s"}, {"type": "text", "text": "a"}]);
        let full = Request {
            system: None,
            messages: vec![
                Message::User("1".to_owned()),
                Message::Echo(content.clone().into()),
                Message::User("2".to_owned()),
                Message::Assistant("b".to_owned()),
                Message::User("3".to_owned()),
            ],
            schema: Some(schema.into()),
            temperature: Some(0.5),
            effort: Some("high".to_owned()),
            ..request()
        };
        let body = Messages.body(&full, "");
        assert_eq!(body["messages"][1], json!({"role": "assistant", "content": content}));
        assert_eq!(body["messages"][3], json!({"role": "assistant", "content": "b"}));
        assert_eq!(body["temperature"], json!(0.5));
        assert_eq!(body["output_config"]["effort"], json!("high"));
        assert_eq!(
            body["output_config"]["format"]["schema"]["properties"]["n"]["description"],
            json!("{minimum: 1}")
        );
    }

    #[test]
    fn blocks_of_every_type_go_back_as_they_came() {
        let draft = fold(&[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"","x":1}}"#,
            r#"{"type":"content_block_start","index":2,"content_block":{"type":"from_the_future","data":[7]}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"se\u00e9 "}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"sig"}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{"a":1}}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"future_delta","text":{"not":"text"}}}"#,
            r#"{"type":"future_event","index":"x"}"#,
            &stop("end_turn"),
            r#"{"type":"message_stop"}"#,
        ])
        .unwrap();
        let content = json!([
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "text", "text": "seé ", "x": 1, "citations": [{"a": 1}]},
            {"type": "from_the_future", "data": [7]}
        ]);
        assert_eq!((draft.text.as_str(), draft.assistant), ("seé ", content));
    }

    #[test]
    fn stop_reasons_are_told_apart() {
        let end = |reason| fold(&[TEXT, &stop(reason)]).unwrap().end;
        assert_eq!(end("end_turn"), Ending::Reply(Stop::End));
        assert_eq!(end("stop_sequence"), Ending::Reply(Stop::StopSequence));
        assert_eq!(end("pause_turn"), Ending::Reply(Stop::Paused));
        assert_eq!(end("new_reason"), Ending::Reply(Stop::Other("new_reason".to_owned())));
        assert_eq!(end("max_tokens"), Ending::Truncated("`max_tokens`"));
        assert_eq!(end("model_context_window_exceeded"), Ending::Truncated("the model's context window"));
        let details = r#"{"type":"message_delta","delta":{"stop_reason":"refusal","stop_details":{"category":"bio","explanation":null}}}"#;
        assert_eq!(fold(&[TEXT, details]).unwrap().end, Ending::Refused("bio".to_owned()));
    }

    #[test]
    fn a_stream_that_contradicts_itself_is_garbled() {
        let call = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"n"}}"#;
        let text = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}"#;
        let input = r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}}"#;
        for events in
            [vec![text], vec![TEXT, TEXT], vec![call, text], vec![TEXT, input], vec!["{"], vec!["7"]]
        {
            assert!(matches!(fold(&events), Err(Fault::Garbled(_))), "{events:?}");
        }
        let (cut, done) = (stop("max_tokens"), stop("tool_use"));
        assert!(matches!(fold(&[call, input, &done]), Err(Fault::Garbled(_))), "half an input is no call");
        let draft = fold(&[call, input, &cut]).unwrap();
        assert_eq!((draft.end, draft.assistant), (Ending::Truncated("`max_tokens`"), json!([])));
    }

    #[test]
    fn usage_is_the_highest_that_was_said_and_input_includes_the_cache() {
        let draft = fold(&[
            r#"{"type":"message_start","message":{"usage":{"input_tokens":2,"cache_creation_input_tokens":10,"cache_read_input_tokens":100,"output_tokens":1}}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":0,"cache_read_input_tokens":null,"output_tokens":30}}"#,
            r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":20}}"#,
        ]);
        let expected = Usage {
            input: Tokens(112),
            output: Tokens(30),
            cached: Tokens(100),
            requests: 1,
            ..Usage::default()
        };
        assert_eq!(draft.unwrap().usage, Some(expected));
        assert_eq!(fold(&[TEXT]).unwrap().usage, None, "none given is not none used");
    }
}
