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
use super::{Message, Request, Stop, ToolCall, ToolResult, ToolSpec, calls, marks, schema};
use crate::outcome::Usage;
use crate::unit::Tokens;

/// The dialect.
pub(super) struct Messages;

impl Dialect for Messages {
    fn path(&self, _model: &str) -> String {
        "/messages".to_owned()
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
        if !request.tools.is_empty() {
            body.insert("tools".to_owned(), request.tools.iter().map(tool).collect());
        }
        let messages = request.messages.iter().map(|message| match message {
            Message::User(text) => json!({"role": "user", "content": text}),
            Message::Assistant(text) => json!({"role": "assistant", "content": text}),
            Message::Echo(content) => json!({"role": "assistant", "content": content}),
            Message::Results { results, note } => {
                // The results come first: text before them is refused.
                let note = note.iter().map(|text| json!({"type": "text", "text": text}));
                json!({"role": "user", "content": results.iter().map(result).chain(note).collect::<Value>()})
            }
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
        if request.cache || request.shared.is_some() {
            marks::set(&mut body, request.cache, request.shared);
        }
        Value::Object(body)
    }

    fn fold(&self, messages: usize) -> Box<dyn Fold> {
        Box::new(MessageFold { messages, ..MessageFold::default() })
    }
}

fn tool(tool: &ToolSpec) -> Value {
    json!({"name": tool.name, "description": tool.description, "input_schema": tool.parameters})
}

fn result(result: &ToolResult) -> Value {
    let mut block = Map::new();
    block.insert("type".to_owned(), json!("tool_result"));
    block.insert("tool_use_id".to_owned(), json!(result.id));
    match (result.text.is_empty(), result.is_error) {
        (true, false) => {}
        // An error without a word is refused.
        (true, true) => drop(block.insert("content".to_owned(), json!("It failed and said nothing."))),
        (false, _) => drop(block.insert("content".to_owned(), json!(result.text))),
    }
    if result.is_error {
        block.insert("is_error".to_owned(), json!(true));
    }
    Value::Object(block)
}

/// One response, so far.
#[derive(Debug, Default)]
struct MessageFold {
    messages: usize,
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
            cache_written: counts.written,
            requests: 1,
            ..Usage::default()
        })
    }

    fn finish(self: Box<Self>) -> Result<Draft, Fault> {
        let usage = self.usage();
        let reason = self.stop_reason.unwrap_or_default();
        let is_cut = matches!(reason.as_str(), "max_tokens" | "model_context_window_exceeded");
        let mut answer = String::new();
        let (mut content, mut calls) = (Vec::new(), Vec::new());
        for block in self.blocks.into_values() {
            let is_call = block.start.get("type").and_then(Value::as_str) == Some("tool_use");
            let (mut block, input) = match block.finish() {
                Ok(block) => {
                    let input = calls::object(block.get("input").cloned().unwrap_or_default());
                    (block, input)
                }
                // A tool call that was cut off has half of its input: it is no call.
                Err(_) if is_cut => continue,
                Err(Bad { block, why }) if is_call => (block, Err(why)),
                Err(Bad { why, .. }) => return Err(Fault::Garbled(why)),
            };
            if is_call {
                if input.is_err() {
                    // Anything but an object would be refused; the call's result tells the model.
                    block.insert("input".to_owned(), json!({}));
                }
                let given = block.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
                let id =
                    given.map_or_else(|| calls::made_up_id(self.messages, calls.len() + 1), str::to_owned);
                block.insert("id".to_owned(), json!(id));
                let Some(name) = block.get("name").and_then(Value::as_str).filter(|name| !name.is_empty())
                else {
                    if is_cut {
                        continue;
                    }
                    return Err(Fault::Garbled("a tool call has no name".to_owned()));
                };
                calls.push(ToolCall { id, name: name.to_owned(), input });
            }
            let block = Value::Object(block);
            if text(&block, "type") == Some("text") {
                answer.push_str(text(&block, "text").unwrap_or_default());
            }
            content.push(block);
        }
        let end = match reason.as_str() {
            "max_tokens" => Ending::Truncated("`max_tokens`"),
            "model_context_window_exceeded" => Ending::Truncated("the model's context window"),
            "refusal" => {
                let detail = |key| self.stop_details.as_ref().and_then(|details| text(details, key));
                Ending::Refused(
                    detail("explanation").or_else(|| detail("category")).unwrap_or_default().to_owned(),
                )
            }
            _ if !calls.is_empty() => Ending::Reply(Stop::Tools),
            "end_turn" => Ending::Reply(Stop::End),
            "stop_sequence" => Ending::Reply(Stop::StopSequence),
            "pause_turn" => Ending::Reply(Stop::Paused),
            other => Ending::Reply(Stop::Other(other.to_owned())),
        };
        Ok(Draft { text: answer, assistant: Value::Array(content), calls, end, usage, model: self.model })
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
    fn finish(mut self) -> Result<Map<String, Value>, Bad> {
        let kind = self.start.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        append(&mut self.start, "text", &self.text);
        append(&mut self.start, "thinking", &self.thinking);
        if !self.input.is_empty() {
            match serde_json::from_str(&self.input) {
                Ok(input) => drop(self.start.insert("input".to_owned(), input)),
                Err(_) => {
                    let why = calls::arguments(&self.input).err().unwrap_or_default();
                    return Err(Bad { block: self.start, why });
                }
            }
        } else if kind.ends_with("tool_use") && !self.start.contains_key("input") {
            self.start.insert("input".to_owned(), json!({}));
        }
        Ok(self.start)
    }
}

/// A block whose input is no JSON.
struct Bad {
    block: Map<String, Value>,
    why: String,
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
            tools: Vec::new(),
            cache: false,
            shared: None,
        }
    }

    fn fold(events: &[&str]) -> Result<Draft, Fault> {
        let mut fold = Messages.fold(1);
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
    fn the_results_of_a_message_go_back_in_one_message_and_before_any_text() {
        let result = |id: &str, text: &str, is_error| ToolResult {
            id: id.to_owned(),
            name: "read".to_owned(),
            text: text.to_owned(),
            is_error,
        };
        let said = json!([{"type": "tool_use", "id": "a", "name": "read", "input": {}, "new": 1}]);
        let asked = Request {
            messages: vec![
                Message::User("1".to_owned()),
                Message::Echo(said.clone().into()),
                Message::Results {
                    results: vec![
                        result("a", "x", false),
                        result("b", "no", true),
                        result("c", "", false),
                        result("d", "", true),
                    ],
                    note: Some("Go on.".to_owned()),
                },
            ],
            tools: vec![ToolSpec {
                name: "read".to_owned(),
                description: "Reads.".to_owned(),
                parameters: json!({"type": "object"}),
            }],
            ..request()
        };
        let body = Messages.body(&asked, "");
        assert_eq!(
            body["tools"],
            json!([{"name": "read", "description": "Reads.", "input_schema": {"type": "object"}}])
        );
        assert_eq!(
            body["messages"],
            json!([
                {"role": "user", "content": "1"},
                {"role": "assistant", "content": said},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": "x"},
                    {"type": "tool_result", "tool_use_id": "b", "content": "no", "is_error": true},
                    {"type": "tool_result", "tool_use_id": "c"},
                    {"type": "tool_result", "tool_use_id": "d", "content": "It failed and said nothing.", "is_error": true},
                    {"type": "text", "text": "Go on."}
                ]}
            ])
        );
    }

    #[test]
    fn calls_are_read_whatever_the_stop_reason_says_and_however_their_input_came() {
        let start = |index: u64, block: Value| {
            json!({"type": "content_block_start", "index": index, "content_block": block}).to_string()
        };
        let input = |index: u64, json: &str| {
            json!({"type": "content_block_delta", "index": index, "delta": {"type": "input_json_delta", "partial_json": json}})
                .to_string()
        };
        let events = [
            start(0, json!({"type": "tool_use", "id": "a", "name": "f", "input": {}})),
            start(1, json!({"type": "tool_use", "id": "", "name": "g", "input": {"x": 1}})),
            input(0, "{\"p\":"),
            start(2, json!({"type": "tool_use", "id": "c", "name": "h"})),
            input(2, ""),
            input(0, " \"q\"}"),
            start(3, json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})),
            stop("end_turn"),
        ];
        let draft = fold(&events.each_ref().map(String::as_str)).unwrap();
        let call = |id: &str, name: &str, input: Value| ToolCall {
            id: id.to_owned(),
            name: name.to_owned(),
            input: Ok(input),
        };
        assert_eq!(
            draft.calls,
            [
                call("a", "f", json!({"p": "q"})),
                call("call00102", "g", json!({"x": 1})),
                call("c", "h", json!({}))
            ]
        );
        assert_eq!(draft.end, Ending::Reply(Stop::Tools));
        assert_eq!(draft.assistant[1]["id"], json!("call00102"), "the result must find its call");
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
        let draft = fold(&[call, input, &done]).unwrap();
        assert_eq!(
            draft.calls,
            [ToolCall {
                id: "t".to_owned(),
                name: "n".to_owned(),
                input: Err("the arguments are not valid JSON (EOF while parsing an object at line 1 column 4): {\"a\"".to_owned())
            }],
            "half an input is the model's to hear of"
        );
        assert_eq!(draft.assistant, json!([{"type": "tool_use", "id": "t", "name": "n", "input": {}}]));
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
            cache_written: Tokens(10),
            requests: 1,
            ..Usage::default()
        };
        assert_eq!(draft.unwrap().usage, Some(expected));
        assert_eq!(fold(&[TEXT]).unwrap().usage, None, "none given is not none used");
    }
}
