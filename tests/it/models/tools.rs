//! Tools over the wire: what a model is told of them, what it asks, what it is told back.

use fanout::model::{Message, Reply, Request, Stop, ToolCall, ToolResult, ToolSpec};
use fanout::plan::Api;
use serde_json::{Value, json};

use super::{APIS, NO_BOUNDS, at, client, quiet, request};
use crate::provider::{Provider, Script};

fn asking(prompt: &str) -> Request {
    let parameters = json!({"type": "object", "properties": {"path": {"type": "string"}}});
    let read = ToolSpec { name: "read".to_owned(), description: "Reads a file.".to_owned(), parameters };
    Request { tools: vec![read], ..request(prompt) }
}

async fn ask(provider: &Provider, api: Api, request: &Request) -> Reply {
    client().ask(&at(&provider.base_url(), api), request, NO_BOUNDS, &quiet).await.unwrap()
}

fn id(api: Api, number: usize) -> String {
    match api {
        Api::Gemini => format!("call001{number:02}"),
        // The system prompt is a message there.
        Api::OpenAiChat => format!("call_2_{number}"),
        Api::Anthropic | Api::OpenAiResponses => format!("call_1_{number}"),
    }
}

fn call(api: Api, number: usize, path: &str) -> ToolCall {
    ToolCall { id: id(api, number), name: "read".to_owned(), input: Ok(json!({ "path": path })) }
}

#[tokio::test]
async fn calls_are_the_same_streamed_and_not_in_every_dialect() {
    for api in APIS {
        let provider = Provider::start();
        let path = |path: &str| json!({ "path": path });
        let script = Script::text("Let me see.").call("read", &path("a")).call("read", &path("b"));
        provider.in_turn([script.clone().chunked_by(1), script.unstreamed()]);
        let streamed = ask(&provider, api, &asking("hello")).await;
        assert_eq!((streamed.text.as_str(), &streamed.stop), ("Let me see.", &Stop::Tools), "{api:?}");
        assert_eq!(streamed.calls, [call(api, 1, "a"), call(api, 2, "b")], "{api:?}");
        assert_eq!(ask(&provider, api, &asking("hello")).await, streamed, "{api:?}");
    }
}

#[tokio::test]
async fn what_the_model_said_goes_back_untouched_and_all_its_results_after_it() {
    for api in APIS {
        let provider = Provider::start();
        provider.in_turn([Script::text("").call("read", &json!({})).call("read", &json!({"path": "b"}))]);
        let reply = ask(&provider, api, &asking("hello")).await;
        let result = |number, text: &str, is_error| ToolResult {
            id: id(api, number),
            name: "read".to_owned(),
            text: text.to_owned(),
            is_error,
        };
        let results = vec![result(1, "one", false), result(2, "two", true)];
        let again = Request {
            messages: vec![
                Message::User("hello".to_owned()),
                Message::Echo(reply.assistant.clone().into()),
                Message::Results { results, note: Some("By the way.".to_owned()) },
            ],
            ..asking("")
        };
        ask(&provider, api, &again).await;
        let body = &provider.requests()[1].json;
        let note = json!({"role": "user", "content": "By the way."});
        let (messages, expected): (&Value, Value) = match api {
            Api::Anthropic => (
                &body["messages"],
                json!([
                    {"role": "user", "content": "hello"},
                    {"role": "assistant", "content": reply.assistant},
                    {"role": "user", "content": [
                        {"type": "tool_result", "tool_use_id": "call_1_1", "content": "one"},
                        {"type": "tool_result", "tool_use_id": "call_1_2", "content": "two", "is_error": true},
                        {"type": "text", "text": "By the way."}
                    ]}
                ]),
            ),
            Api::OpenAiChat => (
                &body["messages"],
                json!([
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "hello"},
                    reply.assistant,
                    {"role": "tool", "tool_call_id": "call_2_1", "content": "one"},
                    {"role": "tool", "tool_call_id": "call_2_2", "content": "Error: two"},
                    note
                ]),
            ),
            Api::OpenAiResponses => (
                &body["input"],
                json!([
                    {"role": "user", "content": "hello"},
                    reply.assistant[0],
                    reply.assistant[1],
                    {"type": "function_call_output", "call_id": "call_1_1", "output": "one"},
                    {"type": "function_call_output", "call_id": "call_1_2", "output": "Error: two"},
                    note
                ]),
            ),
            Api::Gemini => (
                &body["contents"],
                json!([
                    {"role": "user", "parts": [{"text": "hello"}]},
                    reply.assistant,
                    {"role": "user", "parts": [
                        {"functionResponse": {"name": "read", "response": {"output": "one"}}},
                        {"functionResponse": {"name": "read", "response": {"error": "two"}}}
                    ]},
                    {"role": "user", "parts": [{"text": "By the way."}]}
                ]),
            ),
        };
        assert_eq!(*messages, expected, "{api:?}");
    }
}

#[tokio::test]
async fn arguments_that_are_no_json_are_the_models_to_hear_of() {
    for api in APIS {
        let provider = Provider::start();
        provider.in_turn([Script::text("").call_with("read", "{\"path\": ").call_with("read", "")]);
        let reply = ask(&provider, api, &asking("hello")).await;
        let inputs: Vec<_> = reply.calls.into_iter().map(|call| call.input).collect();
        let why = match api {
            // Nested there, so that what is no JSON comes as a text.
            Api::Gemini => r#"the arguments are not a JSON object: "{\"path\": ""#,
            Api::Anthropic | Api::OpenAiChat | Api::OpenAiResponses => {
                r#"the arguments are not valid JSON (EOF while parsing a value at line 1 column 9): {"path":"#
            }
        };
        assert_eq!(inputs.first(), Some(&Err(why.to_owned())), "{api:?}");
        if api != Api::Gemini {
            assert_eq!(inputs.get(1), Some(&Ok(json!({}))), "{api:?}: no argument at all");
        }
    }
}
