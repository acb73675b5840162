//! OpenAI Chat Completions, also spoken by nearly everyone else.
//!
//! Invariant: written for the least careful server. `[DONE]`, ids, indices and
//! usage may be missing; what the assistant's message holds beyond the known
//! fields is kept and goes back as it came.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::complaint::Complaint;
use super::dialect::{Dialect, Draft, Ending, Fault, Fold, Step, count, garbled, is_openai, text};
use super::{Message, Request, Stop, ToolCall, ToolSpec, calls, schema};
use crate::outcome::Usage;

/// The dialect.
pub(super) struct ChatCompletions;

impl Dialect for ChatCompletions {
    fn path(&self, _model: &str) -> String {
        "/chat/completions".to_owned()
    }

    fn body(&self, request: &Request, host: &str) -> Value {
        // OpenAI's own server has renamed what compatible ones know by the old names only.
        let (system_role, max_tokens) =
            if is_openai(host) { ("developer", "max_completion_tokens") } else { ("system", "max_tokens") };
        let mut body = Map::new();
        body.insert("model".to_owned(), json!(request.model));
        let system = request.system.as_ref().map(|text| json!({"role": system_role, "content": text}));
        let mut messages = Vec::from_iter(system);
        for message in &request.messages {
            match message {
                Message::User(text) => messages.push(json!({"role": "user", "content": text})),
                Message::Assistant(text) => messages.push(json!({"role": "assistant", "content": text})),
                Message::Echo(message) => messages.push(Value::clone(message)),
                Message::Results { results, note } => {
                    messages.extend(results.iter().map(
                        |result| json!({"role": "tool", "tool_call_id": result.id, "content": result.told()}),
                    ));
                    messages.extend(note.iter().map(|text| json!({"role": "user", "content": text})));
                }
            }
        }
        body.insert("messages".to_owned(), Value::Array(messages));
        if !request.tools.is_empty() {
            body.insert("tools".to_owned(), request.tools.iter().map(tool).collect());
        }
        body.insert(max_tokens.to_owned(), json!(request.max_tokens.0));
        if let Some(temperature) = request.temperature {
            body.insert("temperature".to_owned(), json!(temperature));
        }
        if let Some(effort) = &request.effort {
            body.insert("reasoning_effort".to_owned(), json!(effort));
        }
        if let Some(native) = request.schema.as_deref().and_then(schema::openai) {
            let format = json!({"name": "answer", "schema": native.schema, "strict": native.strict});
            body.insert("response_format".to_owned(), json!({"type": "json_schema", "json_schema": format}));
        }
        body.insert("stream".to_owned(), json!(true));
        body.insert("stream_options".to_owned(), json!({"include_usage": true}));
        Value::Object(body)
    }

    fn fold(&self, messages: usize) -> Box<dyn Fold> {
        Box::new(ChatFold { messages, ..ChatFold::default() })
    }
}

fn tool(tool: &ToolSpec) -> Value {
    json!({"type": "function", "function": {
        "name": tool.name, "description": tool.description, "parameters": tool.parameters,
    }})
}

/// One response, so far.
#[derive(Debug, Default)]
struct ChatFold {
    messages: usize,
    content: String,
    /// Every other field of the message, merged.
    message: Map<String, Value>,
    calls: Vec<Call>,
    finish_reason: Option<String>,
    usage: Option<Usage>,
    model: Option<String>,
}

/// One tool call, so far.
#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
    /// `type`, `extra_content` and whatever else the server sent.
    rest: Map<String, Value>,
    /// Whatever else its `function` holds.
    function: Map<String, Value>,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(default)]
    choices: Vec<Choice<'a>>,
    #[serde(default)]
    usage: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    /// Some servers send a whole message where a delta belongs.
    #[serde(default)]
    message: Option<Map<String, Value>>,
    #[serde(default)]
    finish_reason: Option<String>,
}

/// What nearly every delta is, read without building a tree. Any other field makes
/// it fail, and the delta is read again as a map.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainDelta<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
}

impl Fold for ChatFold {
    fn event(&mut self, _kind: &str, data: &str) -> Result<Step, Fault> {
        if data.trim() == "[DONE]" {
            return Ok(Step::Done);
        }
        let chunk: Chunk<'_> =
            serde_json::from_str(data).map_err(|error| garbled("a chunk", data, &error))?;
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            let complaint = Complaint::read(&json!({ "error": error }));
            return Err(Fault::Complaint(complaint.unwrap_or_default()));
        }
        if self.model.is_none() {
            self.model = chunk.model.map(Cow::into_owned);
        }
        self.count(chunk.usage.as_ref());
        for choice in chunk.choices.into_iter().filter(|choice| choice.index == 0) {
            if let Some(delta) = choice.delta {
                match serde_json::from_str::<PlainDelta<'_>>(delta.get()) {
                    Ok(delta) => self.content.push_str(&delta.content),
                    Err(_) => self.merge(
                        serde_json::from_str(delta.get())
                            .map_err(|error| garbled("a delta", data, &error))?,
                    ),
                }
            }
            if let Some(message) = choice.message {
                self.merge(message);
            }
            if let Some(reason) = choice.finish_reason {
                self.finish_reason = Some(reason);
            }
        }
        Ok(if self.finish_reason.is_some() { Step::Settled } else { Step::Progress })
    }

    fn document(&mut self, mut document: Value) -> Result<(), Fault> {
        self.model = text(&document, "model").map(str::to_owned);
        self.count(document.get("usage"));
        let choice = document.get_mut("choices").and_then(|choices| choices.get_mut(0)).map(Value::take);
        let Some(mut choice) = choice else {
            let none = || Fault::Garbled("the answer has no `choices`".to_owned());
            return Err(Complaint::read(&document).map_or_else(none, Fault::Complaint));
        };
        self.finish_reason = text(&choice, "finish_reason").map(str::to_owned);
        let Some(Value::Object(message)) = choice.get_mut("message").map(Value::take) else {
            return Err(Fault::Garbled("the answer has no `message`".to_owned()));
        };
        self.merge(message);
        Ok(())
    }

    fn text(&self) -> &str {
        &self.content
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn finish(self: Box<Self>) -> Result<Draft, Fault> {
        let ChatFold { messages, content, message: mut rest, calls, finish_reason, usage, model } = *self;
        let reason = finish_reason.unwrap_or_default();
        let refusal = rest.get("refusal").and_then(Value::as_str).filter(|words| !words.is_empty());
        let end = match (refusal, reason.as_str()) {
            (Some(words), _) => Ending::Refused(words.to_owned()),
            (None, "content_filter") => Ending::Refused("its content filter stopped the answer".to_owned()),
            (None, "length") => Ending::Truncated("`max_tokens`"),
            (None, "error") => return Err(Fault::Complaint(Complaint::default())),
            // Some servers say `stop` where they mean the calls.
            (None, _) if !calls.is_empty() => Ending::Reply(Stop::Tools),
            // None at all, but `[DONE]`: the server ended the stream itself.
            (None, "stop" | "") => Ending::Reply(Stop::End),
            (None, other) => Ending::Reply(Stop::Other(other.to_owned())),
        };
        let mut message = Map::new();
        message.insert("role".to_owned(), rest.shift_remove("role").unwrap_or_else(|| "assistant".into()));
        let no_text = content.is_empty() && !calls.is_empty();
        message.insert("content".to_owned(), if no_text { Value::Null } else { content.as_str().into() });
        message.append(&mut rest);
        let mut asked = Vec::new();
        if !calls.is_empty() {
            let mut echo = Vec::new();
            for (mut call, number) in calls.into_iter().zip(1..) {
                if call.name.is_empty() {
                    if matches!(end, Ending::Truncated(_)) {
                        continue;
                    }
                    return Err(Fault::Garbled("a tool call has no name".to_owned()));
                }
                if call.id.is_empty() {
                    call.id = calls::made_up_id(messages, number);
                }
                let input = calls::arguments(&call.arguments);
                if input.is_err() {
                    // A server that reads them would refuse the whole conversation from now on;
                    // the call's result tells the model.
                    call.arguments = "{}".to_owned();
                }
                asked.push(ToolCall { id: call.id.clone(), name: call.name.clone(), input });
                echo.push(call.finish());
            }
            message.insert("tool_calls".to_owned(), Value::Array(echo));
        }
        Ok(Draft { text: content, assistant: Value::Object(message), calls: asked, end, usage, model })
    }
}

impl ChatFold {
    /// Merges the fields of a message or of a piece of one.
    fn merge(&mut self, fields: Map<String, Value>) {
        for (key, value) in fields {
            match (key.as_str(), value) {
                (_, Value::Null) => {}
                ("content", Value::String(text)) => self.content.push_str(&text),
                ("content", Value::Array(parts)) => self.push_parts(&parts),
                ("tool_calls", Value::Array(calls)) => {
                    calls.into_iter().for_each(|call| self.merge_call(call))
                }
                ("refusal" | "reasoning" | "reasoning_content", Value::String(text)) => {
                    if let Some(Value::String(known)) = self.message.get_mut(&key) {
                        known.push_str(&text);
                    } else {
                        self.message.insert(key, text.into());
                    }
                }
                (_, Value::Array(mut more)) => {
                    if let Some(Value::Array(known)) = self.message.get_mut(&key) {
                        known.append(&mut more);
                    } else {
                        self.message.insert(key, more.into());
                    }
                }
                (_, value) => {
                    self.message.insert(key, value);
                }
            }
        }
    }

    fn push_parts(&mut self, parts: &[Value]) {
        for part in parts.iter().filter_map(|part| part.as_str().or_else(|| text(part, "text"))) {
            self.content.push_str(part);
        }
    }

    /// Adds a fragment to the call of the same index, or begins one.
    ///
    /// Servers that send whole calls give all of them index 0 or none: a new id is a new call.
    fn merge_call(&mut self, fragment: Value) {
        let Value::Object(mut fragment) = fragment else { return };
        let index = fragment.shift_remove("index").and_then(|index| index.as_u64());
        let id = match fragment.shift_remove("id") {
            Some(Value::String(id)) => id,
            Some(_) | None => String::new(),
        };
        let goes_on = |call: &Call| {
            let same_id = id.is_empty() || call.id.is_empty() || call.id == id;
            same_id && (index.is_none() || call.index == index)
        };
        let call = match self.calls.iter().rposition(goes_on).and_then(|at| self.calls.get_mut(at)) {
            Some(call) => call,
            None => {
                self.calls.push(Call { index, ..Call::default() });
                let Some(call) = self.calls.last_mut() else { return };
                call
            }
        };
        if !id.is_empty() {
            call.id = id;
        }
        if let Some(Value::Object(mut function)) = fragment.shift_remove("function") {
            if let Some(name) = function.shift_remove("name").as_ref().and_then(Value::as_str) {
                // Some repeat it with every fragment, so it is set, not appended.
                if !name.is_empty() {
                    call.name = name.to_owned();
                }
            }
            match function.shift_remove("arguments") {
                Some(Value::String(more)) => call.arguments.push_str(&more),
                Some(whole @ (Value::Object(_) | Value::Array(_))) => call.arguments = whole.to_string(),
                Some(Value::Null | Value::Bool(_) | Value::Number(_)) | None => {}
            }
            call.function.append(&mut function);
        }
        call.rest.append(&mut fragment);
    }

    fn count(&mut self, usage: Option<&Value>) {
        let Some(usage) = usage.filter(|usage| usage.is_object()) else { return };
        // Some servers repeat the usage so far with every chunk: the highest counts.
        let known = self.usage.unwrap_or_default();
        let read = |path: &[&str]| count(usage, path).unwrap_or_default();
        self.usage = Some(Usage {
            input: known.input.max(read(&["prompt_tokens"])),
            output: known.output.max(read(&["completion_tokens"])),
            cached: known.cached.max(read(&["prompt_tokens_details", "cached_tokens"])),
            cache_written: known.cache_written.max(read(&["prompt_tokens_details", "cache_write_tokens"])),
            reasoning: known.reasoning.max(read(&["completion_tokens_details", "reasoning_tokens"])),
            requests: 1,
            cost: None,
        });
    }
}

impl Call {
    /// The call as it goes back.
    fn finish(self) -> Value {
        let arguments = if self.arguments.is_empty() { "{}".to_owned() } else { self.arguments };
        let mut call = Map::new();
        call.insert("id".to_owned(), self.id.into());
        let mut rest = self.rest;
        call.insert("type".to_owned(), rest.shift_remove("type").unwrap_or_else(|| "function".into()));
        let mut function = Map::new();
        function.insert("name".to_owned(), self.name.into());
        function.insert("arguments".to_owned(), arguments.into());
        function.extend(self.function);
        call.insert("function".to_owned(), Value::Object(function));
        call.extend(rest);
        Value::Object(call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ToolResult;
    use crate::unit::Tokens;

    fn fold(chunks: &[Value]) -> Result<Draft, Fault> {
        let mut fold = ChatCompletions.fold(1);
        for chunk in chunks {
            fold.event("", &chunk.to_string())?;
        }
        fold.finish()
    }

    fn delta(delta: Value) -> Value {
        json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
    }

    fn finish(reason: &str) -> Value {
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    }

    fn request() -> Request {
        Request {
            model: "m".to_owned(),
            system: Some("s".to_owned()),
            messages: vec![Message::User("u".to_owned())],
            schema: None,
            max_tokens: Tokens(9),
            temperature: None,
            effort: None,
            tools: Vec::new(),
            cache: false,
            shared: None,
        }
    }

    #[test]
    fn openais_own_server_and_compatible_ones_get_their_own_names() {
        let body = |host| ChatCompletions.body(&request(), host);
        assert_eq!(
            body("10.0.0.5:8000"),
            json!({
                "model": "m", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
                "max_tokens": 9, "stream": true, "stream_options": {"include_usage": true}
            })
        );
        let own = body("api.openai.com");
        assert_eq!(own["messages"][0]["role"], json!("developer"));
        assert_eq!((own.get("max_tokens"), &own["max_completion_tokens"]), (None, &json!(9)));
    }

    #[test]
    fn a_schema_is_sent_as_a_response_format() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
        let asked = Request { schema: Some(schema.into()), effort: Some("low".to_owned()), ..request() };
        let body = ChatCompletions.body(&asked, "");
        assert_eq!(body["response_format"]["json_schema"]["strict"], json!(true));
        assert_eq!(body["reasoning_effort"], json!("low"));
    }

    #[test]
    fn tool_calls_are_assembled_however_a_server_cuts_them() {
        let function = |name: &str, arguments: Value| json!({"name": name, "arguments": arguments});
        let calls = |chunks: &[Value]| fold(chunks).unwrap().assistant["tool_calls"].clone();
        let two = json!([
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}}
        ]);
        let by_index = [
            delta(
                json!({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": function("f", json!("{\"x\""))}]}),
            ),
            delta(
                json!({"tool_calls": [{"index": 1, "id": "b", "type": "function", "function": function("g", json!(""))}]}),
            ),
            delta(
                json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "", "arguments": ":1}"}}]}),
            ),
        ];
        assert_eq!(calls(&by_index), two);
        let whole_all_zero = [delta(json!({"tool_calls": [
            {"index": 0, "id": "a", "type": "function", "function": function("f", json!({"x": 1}))},
            {"index": 0, "id": "b", "type": "function", "function": function("g", json!({}))}
        ]}))];
        assert_eq!(calls(&whole_all_zero), two);
        let no_index = [
            delta(json!({"tool_calls": [{"id": "a", "function": function("f", json!("{\"x\":"))}]})),
            delta(json!({"tool_calls": [{"function": {"arguments": "1}"}}]})),
            delta(json!({"tool_calls": [{"id": "b", "function": function("g", json!("{}"))}]})),
        ];
        assert_eq!(calls(&no_index), two);
        let no_id =
            [delta(json!({"tool_calls": [{"index": 0, "id": "", "function": function("f", json!("{}"))}]}))];
        assert_eq!(calls(&no_id)[0]["id"], json!("call00101"));
    }

    #[test]
    fn the_results_of_a_message_go_back_one_message_each() {
        let result = |id: &str, text: &str, is_error| ToolResult {
            id: id.to_owned(),
            name: "read".to_owned(),
            text: text.to_owned(),
            is_error,
        };
        let said = json!({"role": "assistant", "content": null, "reasoning": "hm", "tool_calls": []});
        let asked = Request {
            system: None,
            messages: vec![
                Message::User("1".to_owned()),
                Message::Echo(said.clone().into()),
                Message::Results {
                    results: vec![result("a", "x", false), result("b", "no", true)],
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
        let body = ChatCompletions.body(&asked, "");
        let function = json!({"name": "read", "description": "Reads.", "parameters": {"type": "object"}});
        assert_eq!(body["tools"], json!([{"type": "function", "function": function}]));
        assert_eq!(
            body["messages"],
            json!([
                {"role": "user", "content": "1"}, said,
                {"role": "tool", "tool_call_id": "a", "content": "x"},
                {"role": "tool", "tool_call_id": "b", "content": "Error: no"},
                {"role": "user", "content": "Go on."}
            ])
        );
    }

    #[test]
    fn arguments_that_are_no_json_are_an_error_for_the_model_and_do_not_go_back() {
        let chunk = json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\": "}}]});
        let draft = fold(&[delta(chunk), finish("stop")]).unwrap();
        let why = "the arguments are not valid JSON (EOF while parsing a value at line 1 column 6): {\"x\":";
        let call = ToolCall { id: "a".to_owned(), name: "f".to_owned(), input: Err(why.to_owned()) };
        assert_eq!((draft.calls, draft.end), (vec![call], Ending::Reply(Stop::Tools)));
        assert_eq!(draft.assistant["tool_calls"][0]["function"]["arguments"], json!("{}"));
        let nameless =
            delta(json!({"tool_calls": [{"index": 0, "id": "a", "function": {"arguments": "{}"}}]}));
        assert!(matches!(fold(&[nameless.clone(), finish("tool_calls")]), Err(Fault::Garbled(_))));
        assert!(matches!(fold(&[nameless, finish("length")]).unwrap().end, Ending::Truncated(_)));
    }

    #[test]
    fn unknown_fields_of_the_message_are_kept() {
        let draft = fold(&[
            delta(json!({"role": "assistant", "content": "", "reasoning_content": "hm"})),
            delta(json!({"reasoning_content": "m", "details": [1]})),
            delta(json!({"content": [{"type": "text", "text": "a"}], "details": [2]})),
            delta(json!({"content": "b"})),
            json!({"choices": [{"index": 1, "delta": {"content": "another choice"}}], "new": {}}),
            finish("stop"),
        ])
        .unwrap();
        let message =
            json!({"role": "assistant", "content": "ab", "reasoning_content": "hmm", "details": [1, 2]});
        assert_eq!((draft.text.as_str(), draft.assistant), ("ab", message));
    }

    #[test]
    fn finish_reasons_are_told_apart() {
        let end = |chunks: &[Value]| fold(chunks).unwrap().end;
        let call = delta(json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]}));
        assert_eq!(end(&[finish("stop")]), Ending::Reply(Stop::End));
        assert_eq!(end(&[call.clone(), finish("stop")]), Ending::Reply(Stop::Tools));
        assert_eq!(end(&[call, finish("length")]), Ending::Truncated("`max_tokens`"));
        assert_eq!(
            end(&[delta(json!({"refusal": "I ca"})), delta(json!({"refusal": "n't"})), finish("stop")]),
            Ending::Refused("I can't".to_owned())
        );
        assert!(matches!(end(&[finish("content_filter")]), Ending::Refused(_)));
        assert_eq!(end(&[finish("new")]), Ending::Reply(Stop::Other("new".to_owned())));
    }

    #[test]
    fn the_stream_is_settled_by_a_finish_reason_and_done_by_done() {
        let mut fold = ChatCompletions.fold(1);
        let mut step = |data: &str| fold.event("", data).unwrap();
        assert_eq!(step(&delta(json!({"content": "a"})).to_string()), Step::Progress);
        assert_eq!(step(&finish("stop").to_string()), Step::Settled);
        assert_eq!(
            step(
                r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":4}}}"#
            ),
            Step::Settled
        );
        assert_eq!(step("[DONE]"), Step::Done);
        let usage = Usage {
            input: Tokens(7),
            output: Tokens(5),
            reasoning: Tokens(4),
            requests: 1,
            ..Usage::default()
        };
        assert_eq!(fold.usage(), Some(usage));
    }

    #[test]
    fn an_error_in_the_stream_is_the_providers_complaint() {
        let error = json!({"error": {"code": 502, "message": "down"}, "choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]});
        match fold(&[error]) {
            Err(Fault::Complaint(complaint)) => {
                assert_eq!((complaint.status(), complaint.message.as_str()), (502, "down"))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_document_is_read_like_a_stream() {
        let mut fold = ChatCompletions.fold(1);
        let message = json!({"role": "assistant", "content": "a", "annotations": []});
        let usage = json!({"prompt_tokens": 1, "completion_tokens": 2});
        fold.document(
            json!({"model": "m", "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}),
        )
        .unwrap();
        let draft = fold.finish().unwrap();
        assert_eq!(
            (draft.text.as_str(), draft.assistant, draft.end),
            ("a", message, Ending::Reply(Stop::End))
        );
    }
}
