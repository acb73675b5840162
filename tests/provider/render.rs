//! Scripts as bytes, in the dialect of the request's path.

use std::time::Duration;

use serde_json::{Value, json};

use super::Request;
use super::script::{Answer, Body, Call, Ending, Script, Stop};

/// A response, ready to be written.
pub(super) struct Response {
    pub(super) head: String,
    pub(super) pieces: Vec<Piece>,
    pub(super) chunked: bool,
    pub(super) ending: Ending,
    pub(super) limit: Option<usize>,
}

pub(super) enum Piece {
    Bytes(Vec<u8>),
    Pause(Duration),
}

#[derive(Clone, Copy)]
enum Dialect {
    Messages,
    Chat,
    Responses,
    Gemini,
}

impl Dialect {
    fn of(path: &str) -> Option<Dialect> {
        let path = path.split('?').next().unwrap_or(path);
        if path.contains("enerateContent") {
            return Some(Dialect::Gemini);
        }
        let known = [
            ("/messages", Dialect::Messages),
            ("/chat/completions", Dialect::Chat),
            ("/responses", Dialect::Responses),
        ];
        known.into_iter().find(|(end, _)| path.ends_with(end)).map(|(_, dialect)| dialect)
    }
}

/// The response that a script gives to a request.
pub(super) fn respond(script: &Script, request: &Request) -> Response {
    let Some(dialect) = Dialect::of(&request.path) else {
        let body = json!({"error": {"type": "not_found_error", "message": "no such path"}}).to_string();
        return Response {
            head: head(404, "application/json", &[], Some(body.len())),
            pieces: vec![Piece::Bytes(body.into_bytes())],
            chunked: false,
            ending: Ending::Whole,
            limit: None,
        };
    };
    let asked = request.json.get("stream") == Some(&Value::Bool(true))
        || request.path.ends_with(":streamGenerateContent?alt=sse");
    let json = |value: Value| ("application/json", vec![value.to_string().into_bytes()]);
    let (content_type, parts) = match &script.body {
        Body::Answer(answer) if answer.streamed && asked => {
            ("text/event-stream", stream(dialect, answer, request))
        }
        Body::Answer(answer) => json(document(dialect, answer, request)),
        Body::Error { kind, message } => json(error(dialect, kind, message)),
        Body::ErrorEvent { kind, message } => {
            let answer = Answer {
                text: "half an ".to_owned(),
                pieces: 1,
                usage: None,
                stop: Stop::End,
                streamed: true,
                done: true,
                calls: Vec::new(),
            };
            let mut parts = stream(dialect, &answer, request);
            parts.truncate(match dialect {
                Dialect::Messages | Dialect::Responses => 3,
                Dialect::Chat => 2,
                Dialect::Gemini => 1,
            });
            let mut event = error(dialect, kind, message);
            if let (Dialect::Responses, Some(inner)) = (dialect, event.get("error")) {
                event = json!({"type": "error", "code": inner["type"], "message": inner["message"], "param": null});
            }
            parts.push(named(dialect, "error", &event));
            ("text/event-stream", parts)
        }
        Body::Raw { content_type, bytes } => (content_type.as_str(), vec![bytes.clone()]),
    };
    let parts = match script.chunk {
        None => parts,
        Some(size) => parts.concat().chunks(size).map(<[u8]>::to_vec).collect(),
    };
    let mut pieces = Vec::new();
    for part in parts {
        if !pieces.is_empty() && !script.pause.is_zero() {
            pieces.push(Piece::Pause(script.pause));
        }
        pieces.push(Piece::Bytes(part));
    }
    let empty = matches!(script.status, 204 | 304);
    Response {
        head: head(script.status, content_type, &script.headers, empty.then_some(0)),
        pieces: if empty { Vec::new() } else { pieces },
        chunked: !empty,
        ending: script.ending,
        limit: script.limit,
    }
}

fn head(status: u16, content_type: &str, headers: &[(String, String)], length: Option<usize>) -> String {
    let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
    let own = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    if !own("content-type") && status != 204 {
        head.push_str(&format!("content-type: {content_type}\r\n"));
    }
    if !own("request-id") && !own("x-request-id") {
        head.push_str("request-id: req_scripted\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match length {
        None => head.push_str("transfer-encoding: chunked\r\n"),
        Some(_) if status == 204 || status == 304 => {}
        Some(length) => head.push_str(&format!("content-length: {length}\r\n")),
    }
    head.push_str("\r\n");
    head
}

/// One event; chat streams have no names.
fn named(dialect: Dialect, name: &str, data: &Value) -> Vec<u8> {
    match dialect {
        Dialect::Chat | Dialect::Gemini => format!("data: {data}\n\n"),
        Dialect::Messages | Dialect::Responses => format!("event: {name}\ndata: {data}\n\n"),
    }
    .into_bytes()
}

/// A text in so many pieces of about the same length, at character borders.
fn split(text: &str, pieces: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let size = characters.len().div_ceil(pieces.max(1)).max(1);
    characters.chunks(size).map(|piece| piece.iter().collect()).collect()
}

fn stream(dialect: Dialect, answer: &Answer, request: &Request) -> Vec<Vec<u8>> {
    let model = request.model();
    let pieces = split(&answer.text, answer.pieces);
    let calls = answer.calls.iter().zip(1_u64..).map(|(call, number)| (call, number, id(request, number)));
    let (input, output) = answer.usage.unwrap_or_default();
    let mut events: Vec<(&str, Value)> = Vec::new();
    match dialect {
        Dialect::Messages => {
            let mut message = json!({"id": "msg_scripted", "type": "message", "role": "assistant", "model": model,
                "content": [], "stop_reason": null, "stop_sequence": null});
            let mut delta = json!({"type": "message_delta", "delta": {"stop_reason": messages_stop(answer), "stop_sequence": null}});
            if answer.usage.is_some() {
                message["usage"] = json!({"input_tokens": input, "output_tokens": 1});
                delta["usage"] = json!({"output_tokens": output});
            }
            if answer.stop == Stop::Refusal {
                delta["delta"]["stop_details"] =
                    json!({"type": "refusal", "category": null, "explanation": answer.text});
            }
            events.push(("message_start", json!({"type": "message_start", "message": message})));
            let mut block = |index: u64, start: Value, deltas: Vec<Value>| {
                events.push((
                    "content_block_start",
                    json!({"type": "content_block_start", "index": index, "content_block": start}),
                ));
                for delta in deltas {
                    events.push((
                        "content_block_delta",
                        json!({"type": "content_block_delta", "index": index, "delta": delta}),
                    ));
                }
                events.push(("content_block_stop", json!({"type": "content_block_stop", "index": index})));
            };
            if !answer.text.is_empty() || answer.calls.is_empty() {
                let deltas =
                    pieces.iter().map(|piece| json!({"type": "text_delta", "text": piece})).collect();
                block(0, json!({"type": "text", "text": ""}), deltas);
            }
            for (call, number, id) in calls {
                let start = json!({"type": "tool_use", "id": id, "name": call.name, "input": {}});
                let fragments = split(&call.arguments, 2).into_iter();
                let deltas = fragments
                    .map(|piece| json!({"type": "input_json_delta", "partial_json": piece}))
                    .collect();
                block(number, start, deltas);
            }
            events.push(("message_delta", delta));
            events.push(("message_stop", json!({"type": "message_stop"})));
        }
        Dialect::Chat => {
            let chunk = |delta: Value, finish: Value| {
                json!({"id": "chatcmpl-scripted", "object": "chat.completion.chunk", "model": model,
                    "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
            };
            events.push(("", chunk(json!({"role": "assistant", "content": ""}), Value::Null)));
            let key = if answer.stop == Stop::Refusal { "refusal" } else { "content" };
            for piece in pieces {
                events.push(("", chunk(json!({ key: piece }), Value::Null)));
            }
            for (call, number, id) in calls {
                let delta = |call: Value| chunk(json!({"tool_calls": [call]}), Value::Null);
                let function = json!({"name": call.name, "arguments": ""});
                events.push((
                    "",
                    delta(json!({"index": number - 1, "id": id, "type": "function", "function": function})),
                ));
                for piece in split(&call.arguments, 2) {
                    events.push(("", delta(json!({"index": number - 1, "function": {"arguments": piece}}))));
                }
            }
            events.push(("", chunk(json!({}), json!(chat_stop(answer)))));
            if answer.usage.is_some() {
                let mut last = chunk(json!({}), Value::Null);
                last["choices"] = json!([]);
                last["usage"] = json!({"prompt_tokens": input, "completion_tokens": output});
                events.push(("", last));
            }
        }
        Dialect::Responses => {
            let response = document(dialect, answer, request);
            let begun = json!({"id": "resp_scripted", "status": "in_progress", "model": model, "output": []});
            let item = json!({"type": "message", "id": "msg_scripted", "role": "assistant", "content": []});
            events.push(("response.created", json!({"type": "response.created", "response": begun})));
            events.push((
                "response.output_item.added",
                json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
            ));
            for piece in pieces {
                events.push((
                    "response.output_text.delta",
                    json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": piece}),
                ));
            }
            for (call, number, id) in calls {
                for piece in split(&call.arguments, 2) {
                    events.push((
                        "response.function_call_arguments.delta",
                        json!({"type": "response.function_call_arguments.delta", "item_id": format!("fc_{id}"),
                            "output_index": number, "delta": piece}),
                    ));
                }
            }
            for (at, item) in response["output"].as_array().into_iter().flatten().enumerate() {
                events.push((
                    "response.output_item.done",
                    json!({"type": "response.output_item.done", "output_index": at, "item": item}),
                ));
            }
            let name =
                if answer.stop == Stop::MaxTokens { "response.incomplete" } else { "response.completed" };
            events.push((name, json!({"type": name, "response": response})));
        }
        Dialect::Gemini => {
            let mut last = document(dialect, answer, request);
            let chunk = |part: Value| {
                json!({"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}],
                    "modelVersion": model, "responseId": "resp_scripted"})
            };
            if answer.stop != Stop::Refusal {
                for piece in pieces {
                    events.push(("", chunk(json!({"text": piece}))));
                }
                if let Some(parts) =
                    last.pointer_mut("/candidates/0/content/parts").and_then(Value::as_array_mut)
                {
                    parts.retain(|part| part.get("text").is_none());
                    for part in std::mem::take(parts) {
                        events.push(("", chunk(part)));
                    }
                }
            }
            events.push(("", last));
        }
    }
    let mut parts: Vec<Vec<u8>> = events.iter().map(|(name, data)| named(dialect, name, data)).collect();
    if matches!(dialect, Dialect::Chat) && answer.done {
        parts.push(b"data: [DONE]\n\n".to_vec());
    }
    parts
}

fn document(dialect: Dialect, answer: &Answer, request: &Request) -> Value {
    let model = request.model();
    let calls = answer.calls.iter().zip(1_u64..).map(|(call, number)| (call, id(request, number)));
    let has_text = !answer.text.is_empty() || answer.calls.is_empty();
    let (input, output) = answer.usage.unwrap_or_default();
    let refused = answer.stop == Stop::Refusal;
    let mut document = match dialect {
        Dialect::Messages => {
            let text = json!({"type": "text", "text": answer.text});
            let uses = calls.map(
                |(call, id)| json!({"type": "tool_use", "id": id, "name": call.name, "input": call.value()}),
            );
            let content: Value =
                if refused { json!([]) } else { has_text.then_some(text).into_iter().chain(uses).collect() };
            let mut message = json!({"id": "msg_scripted", "type": "message", "role": "assistant", "model": model,
                "content": content, "stop_reason": messages_stop(answer), "stop_sequence": null,
                "usage": {"input_tokens": input, "output_tokens": output}});
            if refused {
                message["stop_details"] =
                    json!({"type": "refusal", "category": null, "explanation": answer.text});
            }
            message
        }
        Dialect::Chat => {
            let mut message = if refused {
                json!({"role": "assistant", "content": null, "refusal": answer.text})
            } else {
                json!({"role": "assistant", "content": has_text.then_some(&answer.text)})
            };
            if !answer.calls.is_empty() {
                let function = |call: &Call| json!({"name": call.name, "arguments": call.arguments});
                message["tool_calls"] = calls
                    .map(|(call, id)| json!({"id": id, "type": "function", "function": function(call)}))
                    .collect();
            }
            json!({"id": "chatcmpl-scripted", "object": "chat.completion", "model": model,
                "choices": [{"index": 0, "message": message, "finish_reason": chat_stop(answer)}],
                "usage": {"prompt_tokens": input, "completion_tokens": output}})
        }
        Dialect::Responses => {
            let part = if refused {
                json!({"type": "refusal", "refusal": answer.text})
            } else {
                json!({"type": "output_text", "text": answer.text, "annotations": []})
            };
            let message =
                json!({"type": "message", "id": "msg_scripted", "role": "assistant", "content": [part]});
            let items = calls.map(|(call, id)| {
                json!({"type": "function_call", "id": format!("fc_{id}"), "call_id": id, "name": call.name,
                    "arguments": call.arguments, "status": "completed"})
            });
            let cut = answer.stop == Stop::MaxTokens;
            json!({"id": "resp_scripted", "object": "response", "model": model,
                "status": if cut { "incomplete" } else { "completed" },
                "incomplete_details": if cut { json!({"reason": "max_output_tokens"}) } else { Value::Null },
                "output": has_text.then_some(message).into_iter().chain(items).collect::<Value>(),
                "usage": {"input_tokens": input, "output_tokens": output, "total_tokens": input + output}})
        }
        Dialect::Gemini => {
            let text = json!({"text": answer.text});
            // The first call of a message carries the signature that has to come back.
            let uses = answer.calls.iter().zip(0..).map(|(call, number)| {
                let mut part = json!({"functionCall": {"name": call.name, "args": call.value()}});
                if number == 0 {
                    part["thoughtSignature"] = json!("c2NyaXB0ZWQ=");
                }
                part
            });
            let parts: Value =
                if refused { json!([]) } else { has_text.then_some(text).into_iter().chain(uses).collect() };
            let (reason, why) = match answer.stop {
                Stop::End => ("STOP", Value::Null),
                Stop::MaxTokens => ("MAX_TOKENS", Value::Null),
                Stop::Refusal => ("SAFETY", json!(answer.text)),
            };
            json!({"responseId": "resp_scripted", "modelVersion": model,
                "candidates": [{"content": {"role": "model", "parts": parts}, "index": 0,
                    "finishReason": reason, "finishMessage": why}],
                "usageMetadata": {"promptTokenCount": input, "candidatesTokenCount": output}})
        }
    };
    if let (None, Some(document)) = (answer.usage, document.as_object_mut()) {
        document.remove("usage");
        document.remove("usageMetadata");
    }
    document
}

fn error(dialect: Dialect, kind: &str, message: &str) -> Value {
    match dialect {
        Dialect::Messages => json!({"type": "error", "error": {"type": kind, "message": message}}),
        Dialect::Chat | Dialect::Responses => {
            json!({"error": {"message": message, "type": kind, "param": null, "code": null}})
        }
        Dialect::Gemini => json!({"error": {"message": message, "status": kind}}),
    }
}

/// The id of a call by its place: the conversation's messages, and its number among the calls.
fn id(request: &Request, number: u64) -> String {
    format!("call_{}_{number}", request.messages())
}

impl Call {
    /// The arguments where they are nested, not quoted.
    fn value(&self) -> Value {
        serde_json::from_str(&self.arguments).unwrap_or_else(|_| json!(self.arguments))
    }
}

fn messages_stop(answer: &Answer) -> &'static str {
    match answer.stop {
        Stop::End if answer.calls.is_empty() => "end_turn",
        Stop::End => "tool_use",
        Stop::MaxTokens => "max_tokens",
        Stop::Refusal => "refusal",
    }
}

fn chat_stop(answer: &Answer) -> &'static str {
    match answer.stop {
        Stop::End if !answer.calls.is_empty() => "tool_calls",
        Stop::End | Stop::Refusal => "stop",
        Stop::MaxTokens => "length",
    }
}
