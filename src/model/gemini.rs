//! Gemini generateContent.
//!
//! Invariant: the model's content goes back as it came, thought signatures in their
//! places: a part that carries one is merged with no other. Calls decide that the
//! answer is not done; this API says `STOP` next to them.

use reqwest::header::HeaderName;
use serde_json::{Map, Value, json};

use super::complaint::Complaint;
use super::dialect::{Dialect, Draft, Ending, Fault, Fold, Step, count, garbled, text};
use super::{Message, Request, Stop, ToolCall, ToolResult, ToolSpec, calls, schema};
use crate::outcome::Usage;

/// The dialect.
pub(super) struct GenerateContent;

impl Dialect for GenerateContent {
    fn path(&self, model: &str) -> String {
        // `tunedModels/x` and its kin name their collection themselves.
        let collection = if model.contains('/') { "" } else { "models/" };
        format!("/{collection}{model}:streamGenerateContent")
    }

    fn query(&self) -> Option<&'static str> {
        Some("alt=sse")
    }

    fn key_header(&self) -> (HeaderName, &'static str) {
        (HeaderName::from_static("x-goog-api-key"), "")
    }

    fn body(&self, request: &Request, _host: &str) -> Value {
        let mut body = Map::new();
        if let Some(system) = &request.system {
            body.insert("systemInstruction".to_owned(), json!({"parts": [{"text": system}]}));
        }
        body.insert("contents".to_owned(), Value::Array(contents(&request.messages)));
        if !request.tools.is_empty() {
            let declarations: Value = request.tools.iter().map(tool).collect();
            body.insert("tools".to_owned(), json!([{"functionDeclarations": declarations}]));
        }
        let mut config = Map::new();
        config.insert("maxOutputTokens".to_owned(), json!(request.max_tokens.0));
        if let Some(temperature) = request.temperature {
            config.insert("temperature".to_owned(), json!(temperature));
        }
        if let Some(effort) = &request.effort {
            config.insert("thinkingConfig".to_owned(), json!({"thinkingLevel": effort}));
        }
        // Most models refuse JSON output next to tools; the prompt asks for it in any case.
        if let Some(schema) = request.schema.as_deref().filter(|_| request.tools.is_empty()) {
            config.insert("responseMimeType".to_owned(), json!("application/json"));
            if let Some(reduced) = schema::reduced(schema) {
                config.insert("responseJsonSchema".to_owned(), reduced);
            }
        }
        body.insert("generationConfig".to_owned(), Value::Object(config));
        Value::Object(body)
    }

    fn fold(&self, messages: usize) -> Box<dyn Fold> {
        Box::new(ContentFold { messages, ..ContentFold::default() })
    }
}

fn contents(messages: &[Message]) -> Vec<Value> {
    let user = |text: &str| json!({"role": "user", "parts": [{"text": text}]});
    let mut contents: Vec<Value> = Vec::new();
    for message in messages {
        match message {
            Message::User(text) => contents.push(user(text)),
            Message::Assistant(text) => contents.push(json!({"role": "model", "parts": [{"text": text}]})),
            Message::Echo(content) => contents.push(Value::clone(content)),
            Message::Results { results, note } => {
                let calls = contents.last().map(Value::to_string).unwrap_or_default();
                let parts: Value = results.iter().map(|result| response(result, &calls)).collect();
                contents.push(json!({"role": "user", "parts": parts}));
                contents.extend(note.as_deref().map(user));
            }
        }
    }
    contents
}

fn tool(tool: &ToolSpec) -> Value {
    json!({"name": tool.name, "description": tool.description, "parametersJsonSchema": tool.parameters})
}

/// A result; `calls` is the content that it answers. An id that is not in it was made up here.
fn response(result: &ToolResult, calls: &str) -> Value {
    let key = if result.is_error { "error" } else { "output" };
    let mut response = Map::new();
    if calls.contains(&json!(result.id).to_string()) {
        response.insert("id".to_owned(), json!(result.id));
    }
    response.insert("name".to_owned(), json!(result.name));
    response.insert("response".to_owned(), json!({ key: result.text }));
    json!({ "functionResponse": response })
}

/// One response, so far.
#[derive(Debug, Default)]
struct ContentFold {
    messages: usize,
    shown: String,
    /// Everything of the content but its parts.
    content: Map<String, Value>,
    parts: Vec<Map<String, Value>>,
    finish_reason: Option<String>,
    finish_message: Option<String>,
    /// Why the prompt was not answered at all.
    blocked: Option<String>,
    usage: Option<Usage>,
    model: Option<String>,
}

impl Fold for ContentFold {
    fn event(&mut self, _kind: &str, data: &str) -> Result<Step, Fault> {
        // Some gateways end every stream as OpenAI does.
        if data.trim() == "[DONE]" {
            return Ok(if self.is_over() { Step::Done } else { Step::Ping });
        }
        let chunk = serde_json::from_str(data).map_err(|error| garbled("a chunk", data, &error))?;
        self.take(chunk)
    }

    fn document(&mut self, document: Value) -> Result<(), Fault> {
        if let Value::Array(chunks) = document {
            // The stream of a server that was not asked for events, or does not know them.
            for chunk in chunks {
                self.take(chunk)?;
            }
        } else {
            self.take(document)?;
        }
        if self.is_over() { Ok(()) } else { Err(Fault::Garbled("the answer has no `candidates`".to_owned())) }
    }

    fn text(&self) -> &str {
        &self.shown
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn finish(self: Box<Self>) -> Result<Draft, Fault> {
        let (mut parts, mut asked) = (self.parts, Vec::new());
        for part in &mut parts {
            let Some(Value::Object(call)) = part.get_mut("functionCall") else { continue };
            let Some(name) = call.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()) else {
                return Err(Fault::Garbled("a function call has no name".to_owned()));
            };
            let id = call.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
            asked.push(ToolCall {
                id: id.map_or_else(|| calls::made_up_id(self.messages, asked.len() + 1), str::to_owned),
                name: name.to_owned(),
                input: calls::object(call.get("args").cloned().unwrap_or_default()),
            });
        }
        let reason = self.finish_reason.unwrap_or_default();
        let why = self.finish_message.unwrap_or_default();
        let end = match (self.blocked, reason.as_str()) {
            (Some(why), _) => Ending::Refused(why),
            (None, "MAX_TOKENS") => Ending::Truncated("`max_tokens`"),
            (None, reason) if is_refusal(reason) => Ending::Refused(if why.is_empty() {
                format!("its filter stopped the answer ({reason})")
            } else {
                why
            }),
            (None, reason) if is_accident(reason) => {
                let why = if why.is_empty() { String::new() } else { format!(": {why}") };
                return Err(Fault::Garbled(format!("the answer ended with {reason}{why}")));
            }
            (None, _) if !asked.is_empty() => Ending::Reply(Stop::Tools),
            (None, "STOP") => Ending::Reply(Stop::End),
            (None, other) => Ending::Reply(Stop::Other(other.to_owned())),
        };
        let mut content = Map::new();
        content.insert("role".to_owned(), json!("model"));
        content.extend(self.content);
        content.insert("parts".to_owned(), parts.into_iter().map(Value::Object).collect());
        let (text, assistant) = (self.shown, Value::Object(content));
        Ok(Draft { text, assistant, calls: asked, end, usage: self.usage, model: self.model })
    }
}

impl ContentFold {
    fn is_over(&self) -> bool {
        self.finish_reason.is_some() || self.blocked.is_some()
    }

    fn take(&mut self, mut chunk: Value) -> Result<Step, Fault> {
        if !chunk.is_object() {
            return Err(Fault::Garbled("a chunk is no JSON object".to_owned()));
        }
        if chunk.get("error").is_some_and(|error| !error.is_null()) {
            return Err(Fault::Complaint(Complaint::read(&chunk).unwrap_or_default()));
        }
        if let Some(model) = text(&chunk, "modelVersion") {
            self.model = Some(model.to_owned());
        }
        self.count(chunk.get("usageMetadata"));
        let feedback = chunk.get("promptFeedback");
        if let Some(reason) = feedback.and_then(|feedback| text(feedback, "blockReason")) {
            let said = feedback.and_then(|feedback| text(feedback, "blockReasonMessage")).unwrap_or_default();
            let gap = if said.is_empty() { "" } else { ": " };
            self.blocked = Some(format!("the prompt was blocked ({reason}){gap}{said}"));
        }
        let candidates = chunk.get_mut("candidates").and_then(Value::as_array_mut);
        let first = |candidate: &&mut Value| candidate.get("index").and_then(Value::as_u64).unwrap_or(0) == 0;
        let (mut ends, mut goes_on) = (self.blocked.is_some(), false);
        if let Some(candidate) = candidates.and_then(|list| list.iter_mut().find(first)) {
            if let Some(reason) = text(candidate, "finishReason") {
                self.finish_reason = Some(reason.to_owned());
                ends = true;
            }
            if let Some(said) = text(candidate, "finishMessage") {
                self.finish_message = Some(said.to_owned());
            }
            if let Some(Value::Object(mut content)) = candidate.get_mut("content").map(Value::take) {
                if let Some(Value::Array(parts)) = content.shift_remove("parts") {
                    goes_on = !parts.is_empty();
                    parts.into_iter().for_each(|part| self.push(part));
                }
                self.content.extend(content);
            }
        }
        // Content after a reason to stop: that was not the last word.
        let over = ends || (self.is_over() && !goes_on);
        Ok(if over { Step::Settled } else { Step::Progress })
    }

    /// Adds a part, to the one before where both are plain text of one kind.
    fn push(&mut self, part: Value) {
        let Value::Object(part) = part else { return };
        let is_thought = |part: &Map<String, Value>| part.get("thought") == Some(&Value::Bool(true));
        let is_plain = |part: &Map<String, Value>| {
            part.keys().all(|key| key == "text" || key == "thought")
                && part.get("text").is_some_and(Value::is_string)
        };
        let said = part.get("text").and_then(Value::as_str);
        if let Some(said) = said.filter(|_| !is_thought(&part)) {
            self.shown.push_str(said);
        }
        let merges = |last: &&mut Map<String, Value>| {
            is_plain(last) && is_plain(&part) && is_thought(last) == is_thought(&part)
        };
        if let (Some(last), Some(said)) = (self.parts.last_mut().filter(merges), said) {
            if let Some(Value::String(known)) = last.get_mut("text") {
                known.push_str(said);
            }
            return;
        }
        self.parts.push(part);
    }

    fn count(&mut self, usage: Option<&Value>) {
        let Some(usage) = usage.filter(|usage| usage.is_object()) else { return };
        // Each chunk says what was used so far: the highest counts.
        let known = self.usage.unwrap_or_default();
        let read = |key| count(usage, &[key]).unwrap_or_default();
        let reasoning = read("thoughtsTokenCount");
        self.usage = Some(Usage {
            input: known.input.max(read("promptTokenCount") + read("toolUsePromptTokenCount")),
            output: known.output.max(read("candidatesTokenCount") + reasoning),
            cached: known.cached.max(read("cachedContentTokenCount")),
            reasoning: known.reasoning.max(reasoning),
            requests: 1,
            ..Usage::default()
        });
    }
}

/// A filter's reasons; the images' too.
fn is_refusal(reason: &str) -> bool {
    let known = ["SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE"];
    known.contains(&reason.trim_start_matches("IMAGE_"))
}

/// What may well not happen a second time.
fn is_accident(reason: &str) -> bool {
    let known = [
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MALFORMED_RESPONSE",
        "OTHER",
        "IMAGE_OTHER",
        "NO_IMAGE",
    ];
    known.contains(&reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Tokens;

    fn request(messages: Vec<Message>) -> Request {
        Request {
            model: "gemini-x".to_owned(),
            system: Some("s".to_owned()),
            messages,
            schema: None,
            max_tokens: Tokens(9),
            temperature: None,
            effort: None,
            tools: Vec::new(),
            cache: false,
            shared: None,
        }
    }

    fn read_tool() -> ToolSpec {
        ToolSpec {
            name: "read".to_owned(),
            description: "Reads.".to_owned(),
            parameters: json!({"type": "object"}),
        }
    }

    fn fold(chunks: &[Value]) -> Result<Draft, Fault> {
        let mut fold = GenerateContent.fold(1);
        for chunk in chunks {
            fold.event("", &chunk.to_string())?;
        }
        fold.finish()
    }

    fn parts(parts: Value) -> Value {
        json!({"candidates": [{"content": {"role": "model", "parts": parts}}]})
    }

    fn finish(reason: &str) -> Value {
        json!({"candidates": [{"finishReason": reason}]})
    }

    #[test]
    fn a_request_holds_what_was_asked_and_nothing_else() {
        let user = json!({"role": "user", "parts": [{"text": "u"}]});
        let plain = request(vec![Message::User("u".to_owned())]);
        assert_eq!(
            GenerateContent.body(&plain, ""),
            json!({
                "systemInstruction": {"parts": [{"text": "s"}]}, "contents": [user],
                "generationConfig": {"maxOutputTokens": 9}
            })
        );
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}});
        let asked = Request {
            schema: Some(schema.into()),
            temperature: Some(0.5),
            effort: Some("low".to_owned()),
            ..plain
        };
        let config = GenerateContent.body(&asked, "")["generationConfig"].clone();
        assert_eq!(config["responseMimeType"], json!("application/json"));
        assert_eq!(config["responseJsonSchema"]["additionalProperties"], json!(false));
        assert_eq!(
            (&config["temperature"], &config["thinkingConfig"]),
            (&json!(0.5), &json!({"thinkingLevel": "low"}))
        );
        let with_tools = Request { tools: vec![read_tool()], ..asked };
        let body = GenerateContent.body(&with_tools, "");
        assert_eq!(
            body["tools"],
            json!([{"functionDeclarations": [{"name": "read", "description": "Reads.", "parametersJsonSchema": {"type": "object"}}]}])
        );
        assert_eq!(body["generationConfig"].get("responseMimeType"), None, "refused next to tools");
        let tree = json!({"type": "object", "properties": {"child": {"$ref": "#"}}});
        let asked = Request { schema: Some(tree.into()), tools: Vec::new(), ..with_tools };
        let config = GenerateContent.body(&asked, "")["generationConfig"].clone();
        assert_eq!(
            (&config["responseMimeType"], config.get("responseJsonSchema")),
            (&json!("application/json"), None)
        );
    }

    #[test]
    fn a_model_is_named_in_the_path() {
        assert_eq!(GenerateContent.path("gemini-x"), "/models/gemini-x:streamGenerateContent");
        assert_eq!(GenerateContent.path("tunedModels/mine"), "/tunedModels/mine:streamGenerateContent");
    }

    #[test]
    fn all_results_go_back_in_one_content_and_only_ids_that_the_model_gave() {
        let said = json!({"role": "model", "parts": [
            {"functionCall": {"id": "f1", "name": "read", "args": {}}, "thoughtSignature": "x"},
            {"functionCall": {"name": "read", "args": {}}}
        ]});
        let result = |id: &str, text: &str, is_error| ToolResult {
            id: id.to_owned(),
            name: "read".to_owned(),
            text: text.to_owned(),
            is_error,
        };
        let body = GenerateContent.body(
            &request(vec![
                Message::User("1".to_owned()),
                Message::Echo(said.clone().into()),
                Message::Results {
                    results: vec![result("f1", "x", false), result("call00102", "no", true)],
                    note: Some("Go on.".to_owned()),
                },
            ]),
            "",
        );
        assert_eq!(
            body["contents"],
            json!([
                {"role": "user", "parts": [{"text": "1"}]}, said,
                {"role": "user", "parts": [
                    {"functionResponse": {"id": "f1", "name": "read", "response": {"output": "x"}}},
                    {"functionResponse": {"name": "read", "response": {"error": "no"}}}
                ]},
                {"role": "user", "parts": [{"text": "Go on."}]}
            ])
        );
    }

    #[test]
    fn parts_go_back_as_they_came_and_only_plain_text_is_joined() {
        let draft = fold(&[
            parts(json!([{"text": "hm", "thought": true}])),
            parts(json!([{"text": "m", "thought": true}])),
            parts(json!([{"text": "a"}])),
            parts(json!([{"text": "b"}, {"text": "c", "thoughtSignature": "1"}])),
            parts(json!([{"text": "d"}, {"fromTheFuture": {}}, {"text": "e"}])),
            finish("STOP"),
        ])
        .unwrap();
        let content = json!({"role": "model", "parts": [
            {"text": "hmm", "thought": true}, {"text": "ab"}, {"text": "c", "thoughtSignature": "1"},
            {"text": "d"}, {"fromTheFuture": {}}, {"text": "e"}
        ]});
        assert_eq!(
            (draft.text.as_str(), draft.assistant, draft.end),
            ("abcde", content, Ending::Reply(Stop::End))
        );
    }

    #[test]
    fn calls_are_read_though_the_reason_says_stop() {
        let call = json!([
            {"functionCall": {"id": "x", "name": "f", "args": {"a": 1}}, "thoughtSignature": "s"},
            {"functionCall": {"name": "g"}},
            {"functionCall": {"name": "h", "args": [1]}}
        ]);
        let draft = fold(&[parts(call.clone()), finish("STOP")]).unwrap();
        let asked = |id: &str, name: &str, input: Result<Value, &str>| ToolCall {
            id: id.to_owned(),
            name: name.to_owned(),
            input: input.map_err(str::to_owned),
        };
        assert_eq!(
            draft.calls,
            [
                asked("x", "f", Ok(json!({"a": 1}))),
                asked("call00102", "g", Ok(json!({}))),
                asked("call00103", "h", Err("the arguments are not a JSON object: [1]"))
            ]
        );
        assert_eq!((&draft.assistant["parts"], draft.end), (&call, Ending::Reply(Stop::Tools)));
        let nameless = parts(json!([{"functionCall": {"args": {}}}]));
        assert!(matches!(fold(&[nameless, finish("STOP")]), Err(Fault::Garbled(_))));
    }

    #[test]
    fn reasons_to_stop_are_told_apart() {
        let end =
            |reason: &str| fold(&[parts(json!([{"text": "a"}])), finish(reason)]).map(|draft| draft.end);
        assert_eq!(end("MAX_TOKENS").unwrap(), Ending::Truncated("`max_tokens`"));
        for reason in ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "SPII"] {
            let why = format!("its filter stopped the answer ({reason})");
            assert_eq!(end(reason).unwrap(), Ending::Refused(why));
        }
        for reason in ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "OTHER"] {
            assert_eq!(end(reason), Err(Fault::Garbled(format!("the answer ended with {reason}"))));
        }
        assert_eq!(end("NEW").unwrap(), Ending::Reply(Stop::Other("NEW".to_owned())));
        let blocked =
            json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}});
        assert_eq!(
            fold(&[blocked]).unwrap().end,
            Ending::Refused("the prompt was blocked (SAFETY)".to_owned())
        );
    }

    #[test]
    fn a_stream_is_settled_by_its_last_word_and_not_by_an_earlier_one() {
        let mut fold = GenerateContent.fold(1);
        let mut step = |chunk: Value| fold.event("", &chunk.to_string()).unwrap();
        let early = json!({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]});
        assert_eq!(step(parts(json!([{"text": "a"}]))), Step::Progress);
        assert_eq!(step(early), Step::Settled);
        assert_eq!(step(parts(json!([{"text": "b"}]))), Step::Progress, "it goes on");
        assert_eq!(step(finish("STOP")), Step::Settled);
        assert_eq!(step(json!({"usageMetadata": {"promptTokenCount": 3}})), Step::Settled);
        assert_eq!(fold.event("", "[DONE]").unwrap(), Step::Done);
        assert_eq!(GenerateContent.fold(1).event("", "[DONE]").unwrap(), Step::Ping);
    }

    #[test]
    fn a_document_is_one_answer_or_the_whole_stream_in_a_list() {
        let whole = json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "ab"}]}, "finishReason": "STOP"}]});
        let list = json!([parts(json!([{"text": "a"}])), parts(json!([{"text": "b"}])), finish("STOP")]);
        let read = |document: Value| {
            let mut fold = GenerateContent.fold(1);
            fold.document(document).map(|()| fold.finish().unwrap())
        };
        assert_eq!(read(whole), read(list));
        assert!(matches!(read(json!({})), Err(Fault::Garbled(_))));
        assert!(
            matches!(read(parts(json!([{"text": "a"}]))), Err(Fault::Garbled(_))),
            "it did not say that it was done"
        );
    }

    #[test]
    fn thinking_is_output_and_the_cache_is_part_of_the_input() {
        let usage = json!({"promptTokenCount": 10, "toolUsePromptTokenCount": 2, "candidatesTokenCount": 5,
            "thoughtsTokenCount": 4, "cachedContentTokenCount": 8});
        let draft = fold(&[
            json!({"usageMetadata": {"promptTokenCount": 10}}),
            json!({"usageMetadata": usage}),
            finish("STOP"),
        ]);
        let expected = Usage {
            input: Tokens(12),
            output: Tokens(9),
            cached: Tokens(8),
            reasoning: Tokens(4),
            requests: 1,
            ..Usage::default()
        };
        assert_eq!(draft.unwrap().usage, Some(expected));
    }
}
