//! What arrives at an OpenTelemetry collector, taken apart by hand from its protobuf.

use std::collections::HashMap;

use crate::provider::{Provider, Request, Script, ms};
use crate::support::Folder;

/// One field of a protobuf message: its number and what is in it.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(first & 0x7F) << shift;
        if first & 0x80 == 0 {
            break;
        }
    }
    value
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut bytes)),
            1 => {
                let (number, rest) = bytes.split_at(8);
                bytes = rest;
                Value::Number(u64::from_le_bytes(number.try_into().unwrap()))
            }
            2 => {
                let length = varint(&mut bytes) as usize;
                let (inside, rest) = bytes.split_at(length);
                bytes = rest;
                Value::Bytes(inside)
            }
            5 => {
                let (number, rest) = bytes.split_at(4);
                bytes = rest;
                Value::Number(u32::from_le_bytes(number.try_into().unwrap()).into())
            }
            other => panic!("wire type {other}"),
        };
        fields.push((tag >> 3, value));
    }
    fields
}

/// Everything in the fields of that number.
fn all(bytes: &[u8], number: u64) -> Vec<&[u8]> {
    let of_number = fields(bytes).into_iter().filter(|(field, _)| *field == number);
    of_number
        .filter_map(|(_, value)| if let Value::Bytes(inside) = value { Some(inside) } else { None })
        .collect()
}

fn number(bytes: &[u8], number: u64) -> u64 {
    let found = fields(bytes).into_iter().find(|(field, _)| *field == number);
    if let Some((_, Value::Number(value))) = found { value } else { 0 }
}

fn text(bytes: &[u8], number: u64) -> String {
    all(bytes, number).first().map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default()
}

fn attributes(bytes: &[u8], number_of: u64) -> HashMap<String, String> {
    let value = |pair: &[u8]| match fields(all(pair, 2)[0]).into_iter().next() {
        Some((_, Value::Bytes(text))) => String::from_utf8_lossy(text).into_owned(),
        Some((_, Value::Number(number))) => number.to_string(),
        None => String::new(),
    };
    all(bytes, number_of).into_iter().map(|pair| (text(pair, 1), value(pair))).collect()
}

#[derive(Debug)]
struct Span {
    id: Vec<u8>,
    parent: Vec<u8>,
    name: String,
    about: HashMap<String, String>,
    failed: bool,
    took: u64,
}

fn spans(requests: &[Request]) -> Vec<Span> {
    let bodies = requests.iter().filter(|request| request.path == "/v1/traces").map(|request| &request.body);
    let scopes = bodies.flat_map(|body| all(body, 1)).flat_map(|resource| all(resource, 2));
    let spans = scopes.flat_map(|scope| all(scope, 2));
    spans
        .map(|span| Span {
            id: all(span, 2)[0].to_vec(),
            parent: all(span, 4).first().map(|id| id.to_vec()).unwrap_or_default(),
            name: text(span, 5),
            about: attributes(span, 9),
            failed: all(span, 15).first().is_some_and(|status| number(status, 3) == 2),
            took: number(span, 8).checked_sub(number(span, 7)).expect("it ends before it begins"),
        })
        .collect()
}

fn run(collector: &str, more: &[(&str, &str)]) -> (Folder, crate::support::Ran) {
    let provider = Provider::start();
    provider
        .on("second", Script::error(400, "invalid_request_error", "no"))
        .on("first", Script::text("the answer").usage(100, 7).delay(ms(20)));
    let folder = Folder::with_plan(&format!(
        "name: told
providers: {{ lab: {{ api: openai-chat, base_url: \"{}\", api_key_env: LAB_KEY }} }}
calls:
  ask:
    agent: {{ model: lab/tiny, tools: [] }}
    prompt: \"the {{{{ item }}}} thing of key-secret\"
    for_each: [first, second]
  work: {{ run: \"true\" }}
",
        provider.base_url()
    ));
    let mut env = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector),
        ("LAB_KEY", "key-secret"),
        ("NO_PROXY", "127.0.0.1"),
    ];
    env.extend_from_slice(more);
    let ran = folder.run_with(&env, &["run", "plan.yaml"]);
    (folder, ran)
}

fn collector() -> Provider {
    let collector = Provider::start();
    collector.answer(|_| Script::raw(200, "application/x-protobuf", ""));
    collector
}

#[test]
fn a_collector_gets_the_run_its_calls_and_their_requests_each_inside_the_other() {
    let collector = collector();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let (_, ran) = run(&format!("http://{}", collector.host()), &[("TRACEPARENT", parent)]);
    ran.expect_code(1);
    let requests = collector.requests();
    let spans = spans(&requests);
    let named = |name: &str| {
        let found: Vec<&Span> = spans.iter().filter(|span| span.name == name).collect();
        assert!(!found.is_empty(), "no `{name}` among {spans:#?}");
        found
    };
    let whole = named("invoke_workflow told")[0];
    assert_eq!(whole.parent, [0xB7, 0xAD, 0x6B, 0x71, 0x69, 0x20, 0x33, 0x31]);
    assert!(whole.failed && whole.about["gen_ai.operation.name"] == "invoke_workflow");
    let (call, work) = (named("call ask")[0], named("call work")[0]);
    assert_eq!((&call.parent, &work.parent), (&whole.id, &whole.id));
    let agents = named("invoke_agent ask");
    assert!(agents.len() == 2 && agents.iter().all(|agent| agent.parent == call.id));
    let (good, bad): (Vec<&Span>, Vec<&Span>) = agents.into_iter().partition(|agent| !agent.failed);
    assert_eq!((&*good[0].about["fanout.status"], &*bad[0].about["error.type"]), ("ok", "bad_request"));
    let chats = named("chat tiny");
    let chat = chats.iter().find(|chat| chat.parent == good[0].id).unwrap();
    let is = |key: &str| chat.about[key].as_str();
    assert_eq!((is("gen_ai.provider.name"), is("gen_ai.request.model")), ("lab", "tiny"));
    assert_eq!((is("gen_ai.usage.input_tokens"), is("gen_ai.usage.output_tokens")), ("100", "7"));
    assert!(chat.took >= 20_000_000, "{chat:?}");
    // Without leave nothing that somebody wrote, and never a key.
    let sent: Vec<u8> = requests.iter().flat_map(|request| request.body.clone()).collect();
    let sent = String::from_utf8_lossy(&sent);
    assert!(!sent.contains("first thing") && !sent.contains("the answer") && !sent.contains("key-secret"));
    let metrics = requests.iter().filter(|request| request.path == "/v1/metrics");
    let metrics = metrics.flat_map(|request| all(&request.body, 1)).flat_map(|it| all(it, 2));
    let mut units: HashMap<String, String> = HashMap::new();
    let mut input = 0.0;
    for metric in metrics.flat_map(|scope| all(scope, 2)) {
        units.insert(text(metric, 1), text(metric, 3));
        for point in all(metric, 9).into_iter().flat_map(|histogram| all(histogram, 1)) {
            let about = attributes(point, 9);
            if about.get("gen_ai.token.type").is_some_and(|kind| kind == "input") {
                input = f64::from_bits(number(point, 5));
            }
        }
    }
    assert_eq!(units["gen_ai.client.token.usage"], "{token}");
    assert_eq!(units["gen_ai.client.operation.duration"], "s");
    assert!((input - 100.0).abs() < 0.5, "{input} tokens of input");
}

#[test]
fn prompts_and_answers_go_along_where_they_are_asked_for_and_keys_never() {
    let collector = collector();
    let content = ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true");
    let (_, ran) = run(&format!("http://{}", collector.host()), &[content]);
    ran.expect_code(1);
    let spans = spans(&collector.requests());
    let agent = spans.iter().find(|span| span.name == "invoke_agent ask" && !span.failed).unwrap();
    let (input, output) = (&agent.about["gen_ai.input.messages"], &agent.about["gen_ai.output.messages"]);
    assert!(input.contains("the first thing of") && output.contains("the answer"), "{input} {output}");
    assert!(!input.contains("key-secret"), "{input}");
}

#[test]
fn a_collector_that_is_dead_or_silent_changes_nothing_but_a_line() {
    let silent = Provider::start();
    silent.answer(|_| Script::silence());
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [silent.host(), dead.to_string()] {
        let (folder, ran) = run(&format!("http://{address}"), &[]);
        let ran = ran.expect_code(1);
        assert!(ran.err.contains("OpenTelemetry's collector did not get everything"), "{}", ran.err);
        assert!(folder.run(&["show", "--output", "json"]).expect_code(0).out.contains("the answer"));
    }
}

#[test]
fn without_the_variables_nothing_is_sent_and_a_protocol_it_does_not_speak_is_said() {
    let collector = collector();
    let address = format!("http://{}", collector.host());
    let (_, ran) = run(&address, &[("OTEL_SDK_DISABLED", "true")]);
    assert!(!ran.expect_code(1).err.contains("OpenTelemetry"));
    let (_, ran) = run(&address, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    assert!(ran.expect_code(1).err.contains("OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`"));
    assert_eq!(collector.count(), 0);
}
