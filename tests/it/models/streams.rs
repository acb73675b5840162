//! What goes wrong once a stream has begun.

use fanout::model::{Class, Failure};
use fanout::outcome::Usage;
use fanout::plan::Api;
use fanout::unit::Tokens;

use super::{APIS, IMPATIENT, ask, ask_within};
use crate::provider::{Provider, Script, ms};

/// The bytes that a script's whole stream has in this dialect.
fn stream_of(api: Api) -> &'static str {
    match api {
        Api::Anthropic => include_str!("../../fixtures/http/mock-messages-stream.sse"),
        Api::OpenAiChat => include_str!("../../fixtures/http/mock-chat-stream.sse"),
        Api::Gemini => include_str!("../../fixtures/http/gemini-stream.sse"),
        Api::OpenAiResponses => include_str!("../../fixtures/http/mock-responses-stream.sse"),
    }
}

/// Where the event that ends the answer begins.
fn terminal(api: Api) -> usize {
    let mark = match api {
        Api::Anthropic => "event: message_stop",
        Api::Gemini => "data: {\"candidates\":[{\"finishReason\"",
        Api::OpenAiChat => {
            "data: {\"id\":\"chatcmpl-mGBfRgR7paquO-zY\",\"object\":\"chat.completion.chunk\",\"created\":1795197848,\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{},"
        }
        Api::OpenAiResponses => "event: response.completed",
    };
    stream_of(api).find(mark).unwrap()
}

async fn failure(provider: &Provider, api: Api) -> Box<Failure> {
    ask(provider, api).await.expect_err("an answer where a failure was due")
}

#[tokio::test]
async fn a_stream_that_breaks_anywhere_is_a_failed_attempt_and_never_a_result() {
    for api in APIS {
        let (provider, bytes) = (Provider::start(), stream_of(api));
        provider.answer(move |request| {
            let cut = request.header("x-cut").and_then(|cut| cut.parse().ok()).unwrap_or(usize::MAX);
            Script::events(bytes).cut_after(cut)
        });
        let client = super::client();
        for cut in (1..=terminal(api)).step_by(11).chain([terminal(api)]) {
            let mut lab = super::at(&provider.base_url(), api);
            lab.headers = vec![("x-cut".to_owned(), cut.to_string())];
            let failure =
                client.ask(&lab, &super::request("x"), super::NO_BOUNDS, &super::quiet).await.unwrap_err();
            assert_eq!(
                (failure.class, failure.is_transient()),
                (Class::Interrupted, true),
                "{api:?} cut at {cut}"
            );
            assert!("PONG from the fake model.".starts_with(&failure.partial), "{}", failure.partial);
        }
    }
}

#[tokio::test]
async fn a_stream_that_ends_in_good_order_but_too_early_is_a_failed_attempt() {
    for api in APIS {
        let provider = Provider::start();
        provider.answer(move |_| Script::events(&stream_of(api).as_bytes()[..terminal(api)]));
        let failure = failure(&provider, api).await;
        assert_eq!(
            (failure.class, failure.partial.as_str()),
            (Class::Interrupted, "PONG from the fake model.")
        );
        assert!(failure.message.contains("no terminal event"), "{}", failure.message);
        assert!(failure.usage.input > Tokens(0) && failure.usage.requests == 1, "what it cost is counted");
    }
}

#[tokio::test]
async fn the_terminal_event_ends_the_answer_though_the_socket_stays_open() {
    for api in APIS {
        let provider = Provider::start();
        provider.answer(|_| Script::text("done").keep_open());
        assert_eq!(ask(&provider, api).await.unwrap().text, "done", "{api:?}");
        // And with the client goes what it left open.
        while provider.open_connections() > 0 {
            tokio::time::sleep(ms(1)).await;
        }
    }
}

#[tokio::test]
async fn a_chat_stream_without_done_is_complete_once_it_has_its_finish_reason() {
    let provider = Provider::start();
    let script = Script::text("done").without_done();
    provider.in_turn([script.clone(), script.no_usage().keep_open()]);
    for _ in 0..2 {
        assert_eq!(ask_within(&provider, Api::OpenAiChat, IMPATIENT).await.unwrap().text, "done");
    }
}

#[tokio::test]
async fn a_stalled_stream_runs_into_the_idle_timeout() {
    for api in APIS {
        let provider = Provider::start();
        provider.answer(move |_| Script::events(&stream_of(api).as_bytes()[..terminal(api)]).keep_open());
        let failure = ask_within(&provider, api, IMPATIENT).await.unwrap_err();
        assert_eq!((failure.class, failure.is_transient()), (Class::Stalled, true), "{api:?}");
        assert_eq!(failure.partial, "PONG from the fake model.");
        assert!(failure.message.contains("(idle_timeout)"), "{}", failure.message);
    }
}

#[tokio::test]
async fn pings_and_comments_are_no_progress() {
    let provider = Provider::start();
    let pings = "event: ping\ndata: {\"type\":\"ping\"}\n\n: keep-alive\n\n".repeat(500);
    provider.answer(move |_| Script::events(pings.clone()).chunked_by(48).pause(ms(5)));
    let failure = ask_within(&provider, Api::Anthropic, IMPATIENT).await.unwrap_err();
    assert_eq!(failure.class, Class::Stalled, "{}", failure.message);
}

#[tokio::test]
async fn progress_keeps_a_slow_stream_alive() {
    for api in APIS {
        let provider = Provider::start();
        // Each pause is a tenth of the bound, all of them together several times the bound.
        provider.answer(|_| Script::text("x".repeat(40)).pieces(40).pause(ms(30)));
        let bounds = fanout::model::Bounds { deadline: None, idle: Some(ms(300)) };
        assert_eq!(ask_within(&provider, api, bounds).await.unwrap().text.len(), 40, "{api:?}");
    }
}

#[tokio::test]
async fn an_error_event_is_the_status_that_it_stands_for() {
    for api in APIS {
        let provider = Provider::start();
        for (kind, class, status) in [
            ("overloaded_error", Class::Overloaded, 529),
            ("rate_limit_error", Class::RateLimited, 429),
            ("server_error", Class::ServerError, 500),
            ("invalid_request_error", Class::BadRequest, 400),
            ("insufficient_quota", Class::OutOfMoney, 402),
        ] {
            provider.in_turn([Script::error_event(kind, "sorry")]);
            let failure = failure(&provider, api).await;
            assert_eq!((failure.class, failure.status), (class, Some(status)), "{api:?} {kind}");
            assert_eq!(failure.partial, "half an ", "{api:?}");
        }
    }
}

#[tokio::test]
async fn unknown_events_and_fields_are_let_be() {
    for api in APIS {
        let provider = Provider::start();
        let noise = match api {
            Api::OpenAiChat | Api::Gemini => "data: {\"new\":{\"deep\":[1]}}\n\n",
            Api::Anthropic | Api::OpenAiResponses => {
                "event: from.the.future\ndata: {\"type\":\"from.the.future\",\"index\":\"x\"}\n\n"
            }
        };
        let bytes = format!("{noise}{}", stream_of(api).replace("\n\n", &format!("\n\n{noise}")));
        provider.answer(move |_| Script::events(bytes.clone()));
        assert_eq!(ask(&provider, api).await.unwrap().text, "PONG from the fake model.", "{api:?}");
    }
}

#[tokio::test]
async fn data_that_is_no_json_breaks_the_protocol() {
    for api in APIS {
        let provider = Provider::start();
        let broken = stream_of(api).replace("\"odel.\"", "\"odel.");
        provider.answer(move |_| Script::events(broken.clone()));
        let failure = failure(&provider, api).await;
        assert_eq!((failure.class, failure.is_transient()), (Class::Protocol, true), "{api:?}");
        assert_eq!(failure.partial, "PONG from the fake m");
    }
}

#[tokio::test]
async fn bytes_that_are_no_utf_8_are_replaced() {
    for api in APIS {
        let provider = Provider::start();
        let mut bytes = stream_of(api).as_bytes().to_vec();
        for at in 0..bytes.len() - 4 {
            if &bytes[at..at + 4] == b"PONG" {
                bytes[at] = 0xFF;
            }
        }
        provider.answer(move |_| Script::events(bytes.clone()));
        assert_eq!(ask(&provider, api).await.unwrap().text, "\u{FFFD}ONG from the fake model.", "{api:?}");
    }
}

#[tokio::test]
async fn line_ends_marks_and_cuts_change_nothing() {
    for api in APIS {
        let provider = Provider::start();
        let plain = ask_with(&provider, api, stream_of(api).as_bytes().to_vec()).await;
        for ends in ["\r\n", "\r"] {
            let odd = format!("\u{FEFF}: hello{ends}{ends}{}", stream_of(api).replace('\n', ends));
            assert_eq!(ask_with(&provider, api, odd.into_bytes()).await, plain, "{api:?} {ends:?}");
        }
    }
}

async fn ask_with(provider: &Provider, api: Api, bytes: Vec<u8>) -> fanout::model::Reply {
    provider.in_turn([Script::events(bytes).chunked_by(3)]);
    ask(provider, api).await.unwrap()
}

#[tokio::test]
async fn an_event_of_more_than_16_mib_is_refused() {
    let provider = Provider::start();
    let bytes = format!("data: {}", "x".repeat(17 << 20));
    provider.answer(move |_| Script::events(bytes.clone()));
    let failure = failure(&provider, Api::Anthropic).await;
    assert_eq!((failure.class, failure.is_transient()), (Class::TooLarge, false), "{}", failure.message);
}

#[tokio::test]
async fn a_gzip_bomb_stops_at_64_mib() {
    let provider = Provider::start();
    let bomb = bomb();
    assert!(bomb.len() < 1 << 20);
    provider.answer(move |_| {
        Script::raw(200, "application/json", bomb.clone()).header("content-encoding", "gzip")
    });
    let failure = failure(&provider, Api::OpenAiChat).await;
    assert_eq!(failure.class, Class::TooLarge, "{}", failure.message);
    assert!(failure.message.contains("larger than 64.0 MiB"), "{}", failure.message);
}

/// `[` and a hundred million more of them, as gzip: one fixed Huffman block of copies of the byte before.
fn bomb() -> Vec<u8> {
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
    put(0x30 + u32::from(b'['), 8, true);
    for _ in 0..400_000 {
        put(0b1100_0101, 8, true);
        put(0, 5, true);
    }
    put(0, 7, true);
    put(0, 8, false);
    bytes
}

#[tokio::test]
async fn a_refusal_and_a_cut_answer_are_no_answers() {
    for api in APIS {
        let provider = Provider::start();
        let (cut, refused) =
            (Script::text("half an ans").truncated(), Script::text("I would rather not").refusal());
        provider.in_turn([cut.clone(), cut.unstreamed(), refused.clone(), refused.unstreamed()]);
        for _ in 0..2 {
            let failure = failure(&provider, api).await;
            assert_eq!(
                (failure.class, failure.partial.as_str()),
                (Class::Truncated, "half an ans"),
                "{api:?}"
            );
            assert!(
                failure.message.contains("raise the agent's max_tokens (now 1.0k)"),
                "{}",
                failure.message
            );
            let usage = Usage { input: Tokens(10), output: Tokens(5), requests: 1, ..Usage::default() };
            assert_eq!(failure.usage, usage);
        }
        for _ in 0..2 {
            let failure = failure(&provider, api).await;
            assert_eq!((failure.class, failure.is_transient()), (Class::Refused, false), "{api:?}");
            assert!(failure.message.contains("tiny refused: I would rather not"), "{}", failure.message);
        }
    }
}
