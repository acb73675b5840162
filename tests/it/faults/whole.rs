//! What faults of a provider come to in a run of the real program: memory stays bounded, what
//! else was asked goes on, and what was finished is kept.

use std::process::{Command, Stdio};

use fanout::plan::Api;

use crate::provider::{Provider, Script};
use crate::support::{Folder, Ran};

pub(super) fn stream_of(api: Api) -> &'static str {
    match api {
        Api::Anthropic => include_str!("../../fixtures/http/mock-messages-stream.sse"),
        Api::OpenAiChat => include_str!("../../fixtures/http/mock-chat-stream.sse"),
        Api::OpenAiResponses => include_str!("../../fixtures/http/mock-responses-stream.sse"),
        Api::Gemini => include_str!("../../fixtures/http/gemini-stream.sse"),
    }
}

/// `first` and then 258 times `copies` more of it, as gzip: one fixed Huffman block of copies of
/// the byte before.
pub(super) fn bomb(first: u8, copies: usize) -> Vec<u8> {
    let mut bytes = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255];
    let (mut held, mut count) = (0_u32, 0_u32);
    let mut put = |value: u32, bits: u32, is_code: bool| {
        // Codes go in from their highest bit, everything else from its lowest.
        for bit in 0..bits {
            let bit = if is_code { value >> (bits - 1 - bit) } else { value >> bit };
            held |= (bit & 1) << count;
            count += 1;
            if count == 8 {
                bytes.push(held as u8);
                (held, count) = (0, 0);
            }
        }
    };
    put(1, 1, false);
    put(1, 2, false);
    put(0x30 + u32::from(first), 8, true);
    for _ in 0..copies {
        put(0b1100_0101, 8, true);
        put(0, 5, true);
    }
    put(0, 7, true);
    put(0, 8, false);
    bytes
}

fn plan(provider: &Provider, api: &str) -> Folder {
    Folder::with_plan(&format!(
        "providers: {{ lab: {{ api: {api}, base_url: '{}' }} }}
defaults: {{ agent: {{ model: lab/tiny, tools: [] }}, retries: 0, timeout: 60s }}
calls:
  bad: {{ prompt: bad one }}
  good: {{ prompt: good one }}
",
        provider.base_url()
    ))
}

/// Runs the plan with no more than so many MiB of address space.
fn within(folder: &Folder, mebibytes: usize) -> Ran {
    let fanout = folder.fanout(&["run", "plan.yaml", "--json"]);
    let mut command = Command::new("sh");
    let limit = format!("ulimit -v {}; exec \"$0\" \"$@\"", mebibytes << 10);
    command.args(["-c", &limit]).arg(fanout.get_program()).args(fanout.get_args());
    command.current_dir(folder.path()).stdin(Stdio::null());
    for (name, value) in fanout.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Ran::of(command.output().unwrap())
}

#[test]
fn a_bomb_an_event_of_64_mebibytes_and_an_endless_head_cost_one_call_and_bounded_memory() {
    // Unpacked it would be a gigabyte; the whole process has 900 MiB of addresses.
    let bomb = bomb(b'[', 4_000_000);
    let mut event = b"data: ".to_vec();
    event.resize(64 << 20, b'x');
    let scripts = [
        (Script::raw(200, "application/json", bomb).header("content-encoding", "gzip"), "too_large"),
        (Script::events(event), "too_large"),
        (Script::text("never read").header("x-endless", &"x".repeat(16 << 20)), "protocol"),
    ];
    for api in ["anthropic", "openai-chat", "openai-responses", "gemini"] {
        for (script, code) in &scripts {
            let provider = Provider::start();
            provider.on("good one", Script::text("fine")).on("bad one", script.clone());
            let ran = within(&plan(&provider, api), 900);
            assert_eq!(ran.code, 1, "{api} {code}: {}\n{}", ran.out, ran.err);
            let told = ran.out.contains(&format!("\"code\":\"{code}\"")) && ran.out.contains("fine");
            assert!(told, "{api} {code}: {}", ran.out);
        }
    }
}

#[test]
fn a_provider_that_fails_in_any_way_costs_its_own_call_and_no_other() {
    for api in ["anthropic", "openai-chat", "openai-responses", "gemini"] {
        for (script, code) in [
            (Script::error(400, "invalid_request_error", "no"), "bad_request"),
            // Not a 401: that shuts the key for all, as the tests of limits show.
            (Script::error_event("overloaded_error", "busy"), "overloaded"),
            (Script::text("half").cut_after(40), "interrupted"),
            (Script::raw(200, "text/html", "<html>"), "protocol"),
            (Script::text("half").truncated(), "truncated"),
            (Script::text("I would rather not").refusal(), "refused"),
            (Script::hang_up(), "unreachable"),
        ] {
            let provider = Provider::start();
            provider.on("good one", Script::text("fine")).on("bad one", script);
            let ran = plan(&provider, api).run(&["run", "plan.yaml", "--json"]);
            assert_eq!(ran.code, 1, "{api} {code}: {}\n{}", ran.out, ran.err);
            assert!(ran.out.contains(&format!("\"code\":\"{code}\"")), "{api} {code}: {}", ran.out);
            assert!(ran.out.contains("fine"), "{api} {code}: {}", ran.out);
        }
    }
}
