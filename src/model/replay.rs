//! Streams recorded from real servers and a mock one (`mock-*`), read by the dialects that they belong to.
//! `gemini-stream` is written by hand from Google's own types: nothing recorded has signatures.

use std::ops::ControlFlow;

use serde_json::{Value, json};

use super::dialect::{self, Draft, Ending, Fault, Fold, Step};
use super::{Stop, ToolCall, sse};
use crate::outcome::Usage;
use crate::plan::Api;
use crate::unit::Tokens;

/// Reads chunks as the HTTP room does; the step is that of the last event.
fn feed(api: Api, chunks: &[&[u8]]) -> Result<(Step, Box<dyn Fold>), Fault> {
    let mut fold = dialect::of(api).fold(1);
    let mut parser = sse::Parser::default();
    let mut last = Ok(Step::Ping);
    for chunk in chunks {
        parser
            .push(chunk, |event| {
                last = fold.event(event.kind, &event.data);
                if matches!(last, Ok(Step::Done) | Err(_)) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
            .unwrap();
        if matches!(last, Ok(Step::Done) | Err(_)) {
            break;
        }
    }
    last.map(|step| (step, fold))
}

fn replay(api: Api, chunks: &[&[u8]]) -> Draft {
    let (step, fold) = feed(api, chunks).unwrap();
    // Gemini's last event cannot be told from one before the last.
    assert_eq!(step, if api == Api::Gemini { Step::Settled } else { Step::Done });
    fold.finish().unwrap()
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/http/{name}.sse", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn used(input: u64, output: u64, cached: u64) -> Option<Usage> {
    let (input, output, cached) = (Tokens(input), Tokens(output), Tokens(cached));
    Some(Usage { input, output, cached, requests: 1, ..Usage::default() })
}

fn expected(text: &str, assistant: Value, end: Ending, usage: Option<Usage>, model: &str) -> Draft {
    let model = Some(model.to_owned());
    Draft { text: text.to_owned(), assistant, calls: Vec::new(), end, usage, model }
}

/// The same, with one call.
fn asking(draft: Draft, id: &str, name: &str, input: Value) -> Draft {
    let call = ToolCall { id: id.to_owned(), name: name.to_owned(), input: Ok(input) };
    Draft { calls: vec![call], ..draft }
}

fn recordings() -> Vec<(&'static str, Api, Draft)> {
    let pong = "PONG from the fake model.";
    let cut = format!("ame\"{}", "name\"".repeat(12));
    let long = "the reviewer disagrees and returned the check into the third try. the two reports and returned \
                the tool read the text. all steps ran in the read. no conflict remains in the check into the vote \
                is safe. no conflict remains in the text.";
    let short = "the lock is two reports and says the third try.";
    let item = |id: &str, text: &str| {
        json!([{
            "type": "message", "status": "completed", "id": id,
            "content": [{"type": "output_text", "annotations": [], "text": text}], "role": "assistant"
        }])
    };
    vec![
        (
            "llama-server-chat-stream",
            Api::OpenAiChat,
            expected(
                &cut,
                json!({"role": "assistant", "content": cut}),
                Ending::Truncated("`max_tokens`"),
                used(18, 64, 17),
                "tiny",
            ),
        ),
        (
            "llama-server-chat-tool-stream",
            Api::OpenAiChat,
            asking(
                expected(
                    "",
                    json!({"role": "assistant", "content": null, "tool_calls": [{
                        "id": "XwEVvbGQk36KEmFTYMjlKI0ft4Frd9fa", "type": "function",
                        "function": {"name": "read_file", "arguments": "{\"path\" :\"a.txt\",\"n\" :7 }"}
                    }]}),
                    Ending::Reply(Stop::Tools),
                    used(724, 60, 723),
                    "tiny-tool",
                ),
                "XwEVvbGQk36KEmFTYMjlKI0ft4Frd9fa",
                "read_file",
                json!({"path": "a.txt", "n": 7}),
            ),
        ),
        (
            "llama-server-messages-stream",
            Api::Anthropic,
            expected(
                long,
                json!([{"type": "text", "text": long}]),
                Ending::Reply(Stop::End),
                used(18, 50, 17),
                "tiny",
            ),
        ),
        (
            "mock-chat-stream",
            Api::OpenAiChat,
            expected(
                pong,
                json!({"role": "assistant", "content": pong}),
                Ending::Reply(Stop::End),
                used(111, 7, 0),
                "gpt-4o",
            ),
        ),
        (
            "mock-messages-stream",
            Api::Anthropic,
            expected(
                pong,
                json!([{"type": "text", "text": pong}]),
                Ending::Reply(Stop::End),
                used(111, 7, 0),
                "c",
            ),
        ),
        (
            "mock-messages-tool-stream",
            Api::Anthropic,
            asking(
                expected(
                    "I will read the file.",
                    json!([
                        {"type": "text", "text": "I will read the file."},
                        {"type": "tool_use", "id": "toolu_DlwoSogLUJElg1HY", "name": "Read",
                         "input": {"file_path": "/tmp/repo/docs/meeting/notes.txt"}}
                    ]),
                    Ending::Reply(Stop::Tools),
                    used(0, 0, 0),
                    "c",
                ),
                "toolu_DlwoSogLUJElg1HY",
                "Read",
                json!({"file_path": "/tmp/repo/docs/meeting/notes.txt"}),
            ),
        ),
        (
            "mock-responses-stream",
            Api::OpenAiResponses,
            expected(
                pong,
                item("msg-Pq_cZI4eIuZQqQ-8", pong),
                Ending::Reply(Stop::End),
                used(111, 7, 0),
                "gpt-4o",
            ),
        ),
        (
            "llama-server-messages-tool-stream",
            Api::Anthropic,
            asking(
                expected(
                    "",
                    json!([{"type": "tool_use", "id": "8Nh3aGfLSYJ69HWo9jFKCj4OtliCdOKC", "name": "read_file",
                            "input": {"path": "b.txt", "n": 2}}]),
                    Ending::Reply(Stop::Tools),
                    used(724, 69, 723),
                    "tiny-tool",
                ),
                "8Nh3aGfLSYJ69HWo9jFKCj4OtliCdOKC",
                "read_file",
                json!({"path": "b.txt", "n": 2}),
            ),
        ),
        (
            "llama-server-responses-stream",
            Api::OpenAiResponses,
            expected(
                short,
                json!([{
                    "type": "message", "status": "completed", "id": "msg_RH8VOi7mXlBZpFm742SlT2MP9oV51IFN",
                    "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": short}],
                    "role": "assistant"
                }]),
                Ending::Reply(Stop::End),
                used(18, 12, 17),
                "tiny",
            ),
        ),
        (
            "llama-server-responses-tool-stream",
            Api::OpenAiResponses,
            asking(
                expected(
                    "",
                    json!([{
                        "id": "fc_GuC9uqyFQlJORbAF7H1G0bCn1ZpqyLA2", "type": "function_call", "status": "completed",
                        "arguments": "{\"path\"\n\t\t\t\t:\"b.txt\",\"n\":3 }",
                        "call_id": "call_GuC9uqyFQlJORbAF7H1G0bCn1ZpqyLA2", "name": "read_file"
                    }]),
                    Ending::Reply(Stop::Tools),
                    used(524, 62, 523),
                    "tiny-tool",
                ),
                "call_GuC9uqyFQlJORbAF7H1G0bCn1ZpqyLA2",
                "read_file",
                json!({"path": "b.txt", "n": 3}),
            ),
        ),
        (
            "mock-gemini-stream",
            Api::Gemini,
            Draft {
                model: None,
                ..expected(
                    pong,
                    json!({"role": "model", "parts": [{"text": pong}]}),
                    Ending::Reply(Stop::End),
                    used(0, 0, 0),
                    "",
                )
            },
        ),
        ("mock-gemini-tool-stream", Api::Gemini, two_calls()),
        (
            "gemini-stream",
            Api::Gemini,
            expected(
                pong,
                json!({"role": "model", "parts": [{"text": pong}, {"text": "", "thoughtSignature": "c2ln"}]}),
                Ending::Reply(Stop::End),
                Some(Usage { reasoning: Tokens(4), ..used(111, 11, 100).unwrap() }),
                "gemini-3-pro",
            ),
        ),
    ]
}

fn two_calls() -> Draft {
    let part = |file: &str| json!({"functionCall": {"name": "Read", "args": {"file_path": file}}});
    let call = |id: &str, file: &str| ToolCall {
        id: id.to_owned(),
        name: "Read".to_owned(),
        input: Ok(json!({"file_path": file})),
    };
    Draft {
        text: "I will read the file.".to_owned(),
        assistant: json!({
            "role": "model",
            "parts": [{"text": "I will read the file."}, part("a.txt"), part("b.txt")]
        }),
        calls: vec![call("call00101", "a.txt"), call("call00102", "b.txt")],
        end: Ending::Reply(Stop::Tools),
        usage: used(0, 0, 0),
        model: None,
    }
}

#[test]
fn a_recorded_stream_gives_its_answer_in_one_piece_and_byte_by_byte() {
    for (name, api, draft) in recordings() {
        let bytes = read(name);
        assert_eq!(replay(api, &[&bytes]), draft, "{name}");
        let each: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(replay(api, &each), draft, "{name}, byte by byte");
    }
}

#[test]
fn a_recorded_stream_gives_its_answer_wherever_it_is_cut_in_two() {
    for (name, api, draft) in recordings() {
        let bytes = read(name);
        // The long ones every seventh byte, which is no multiple of anything in them.
        for at in (0..bytes.len()).step_by(if bytes.len() < 3000 { 1 } else { 7 }) {
            let (head, tail) = bytes.split_at(at);
            assert_eq!(replay(api, &[head, tail]), draft, "{name} cut at {at}");
        }
    }
}

#[test]
fn a_recorded_stream_that_ends_early_is_not_done() {
    for (name, api, _) in recordings() {
        let bytes = read(name);
        let mut fold = dialect::of(api).fold(1);
        let mut parser = sse::Parser::default();
        let mut is_over = false;
        let end = bytes.chunks(1).position(|byte| {
            let take = |event: sse::Event<'_>| {
                // A settled chat stream lacks nothing but its usage and `[DONE]`.
                is_over = matches!(fold.event(event.kind, &event.data), Ok(Step::Done | Step::Settled));
                ControlFlow::Continue(())
            };
            parser.push(byte, take).unwrap();
            is_over
        });
        let whole = String::from_utf8(bytes.clone()).unwrap();
        let terminal = match api {
            Api::Anthropic => "event: message_stop",
            Api::OpenAiResponses => "event: response.completed",
            Api::OpenAiChat => "\"finish_reason\":\"",
            Api::Gemini => "\"finishReason\":",
        };
        let last = whole.find(terminal).unwrap();
        assert!(end.is_some_and(|end| end > last), "{name} was done at {end:?}, before byte {last}");
    }
}
