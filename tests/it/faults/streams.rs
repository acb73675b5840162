//! Faults once a stream has begun.

use fanout::model::{Bounds, Class, Client, Settings};
use fanout::plan::Api;
use serde_json::json;
use tokio::time::Instant;

use super::failure;
use crate::models::{APIS, IMPATIENT, NO_BOUNDS, ask, ask_within, at, keys, quiet, request};
use crate::provider::{Provider, Script, ms};

#[tokio::test]
async fn the_calls_of_a_stream_that_breaks_are_never_handed_over() {
    for api in APIS {
        let provider = Provider::start();
        let script = Script::text("I will.").call("bash", &json!({"command": "rm -r build"}));
        provider.answer(move |request| {
            let cut = request.header("x-cut").and_then(|cut| cut.parse().ok()).unwrap_or(usize::MAX);
            script.clone().cut_after(cut)
        });
        let client = crate::models::client();
        let mut answered = None;
        for cut in (1..).step_by(7) {
            let mut lab = at(&provider.base_url(), api);
            lab.headers = vec![("x-cut".to_owned(), cut.to_string())];
            match client.ask(&lab, &request("x"), NO_BOUNDS, &quiet).await {
                Err(failure) => {
                    assert_eq!(failure.class, Class::Interrupted, "{api:?} cut at {cut}: {failure}");
                }
                Ok(reply) => {
                    answered = Some(reply);
                    break;
                }
            }
            assert!(cut < 10_000, "{api:?} never answers");
        }
        // The first cut that gives an answer at all gives the whole of it.
        let calls = answered.unwrap().calls;
        assert_eq!(calls.len(), 1, "{api:?}");
        assert_eq!(calls[0].input, Ok(json!({"command": "rm -r build"})), "{api:?}");
    }
}

/// A client that gives a heartbeat up soon.
fn anxious() -> Client {
    Client::new(keys(), Settings { proxies: false, heartbeat: ms(60), ..Settings::default() })
}

#[tokio::test]
async fn no_byte_no_event_and_no_progress_are_told_apart() {
    for api in APIS {
        let provider = Provider::start();
        let ping = match api {
            Api::Anthropic => "event: ping\ndata: {\"type\":\"ping\"}\n\n",
            Api::OpenAiResponses => "event: keepalive\ndata: {\"type\":\"keepalive\"}\n\n",
            // No pings there, but comments, which are no events.
            Api::OpenAiChat | Api::Gemini => ": keep-alive\n\n",
        };
        let pinging = match api {
            Api::Anthropic | Api::OpenAiResponses => "signs of life but no answer",
            Api::OpenAiChat | Api::Gemini => "bytes but no event",
        };
        let size = ping.len();
        for (script, words) in [
            (Script::events("data: {").stall_after(1), "nothing"),
            (Script::events("x".repeat(2000)).chunked_by(1).pause(ms(5)), "bytes but no event"),
            (Script::events(ping.repeat(500)).chunked_by(size).pause(ms(5)), pinging),
        ] {
            provider.in_turn([script]);
            let failure = ask_within(&provider, api, IMPATIENT).await.unwrap_err();
            assert_eq!((failure.class, failure.is_transient()), (Class::Stalled, true), "{api:?}");
            let said = failure.message.contains(&format!("sent {words} for 0.1s"))
                // One byte may have been the last thing that moved.
                || (words == "nothing" && failure.message.contains("sent bytes but no event for 0.1s"));
            assert!(said, "{api:?} {words}: {}", failure.message);
        }
    }
}

#[tokio::test]
async fn a_server_that_showed_life_and_stops_is_given_up_before_the_idle_timeout() {
    for api in APIS {
        let provider = Provider::start();
        let beats = ": keep-alive\n\n".repeat(3);
        provider.answer(move |_| Script::events(beats.clone()).chunked_by(14).pause(ms(2)).keep_open());
        let bounds = Bounds { deadline: None, idle: Some(ms(60_000)) };
        let lab = at(&provider.base_url(), api);
        let failure = anxious().ask(&lab, &request("x"), bounds, &quiet).await.unwrap_err();
        assert_eq!((failure.class, failure.is_transient()), (Class::Stalled, true), "{api:?}");
        assert!(failure.message.contains("and then nothing at all for 0.1s"), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_stream_of_one_byte_at_a_time_ends_at_the_deadline() {
    for api in APIS {
        let provider = Provider::start();
        provider.answer(|_| Script::text("x".repeat(500)).pieces(500).chunked_by(1).pause(ms(5)));
        let deadline = Some(Instant::now() + ms(100));
        let failure = ask_within(&provider, api, Bounds { deadline, idle: None }).await.unwrap_err();
        assert_eq!((failure.class, failure.is_transient()), (Class::TimedOut, false), "{api:?}");
    }
}

#[tokio::test]
async fn a_content_type_that_is_wrong_changes_nothing() {
    for api in APIS {
        let provider = Provider::start();
        provider.in_turn([
            Script::text("right"),
            Script::text("right").header("content-type", "application/json"),
            Script::text("right").header("content-type", "application/octet-stream"),
            Script::text("right").unstreamed().header("content-type", "text/event-stream"),
            Script::text("right").unstreamed().header("content-type", "text/plain; charset=latin1"),
        ]);
        let right = ask(&provider, api).await.unwrap();
        for _ in 0..4 {
            assert_eq!(ask(&provider, api).await.unwrap(), right, "{api:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_in_another_encoding_breaks_the_protocol() {
    for api in APIS {
        let provider = Provider::start();
        let wide: Vec<u8> = "data: {}\n\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let packed =
            Script::events(vec![0x28, 0xB5, 0x2F, 0xFD, 0, 1, 2, 3]).header("content-encoding", "zstd");
        let not_gzip = Script::text("x").header("content-encoding", "gzip");
        provider.in_turn([
            Script::raw(200, "application/json; charset=utf-16", wide),
            Script::raw(200, "application/json", vec![0x1F, 0x8B, 8, 0, 0]),
            packed,
            not_gzip,
        ]);
        for what in ["UTF-16", "gzip that nobody spoke of", "zstd", "no gzip though it says so"] {
            let failure = failure(&provider, api).await;
            assert!(failure.is_transient(), "{api:?} {what}: {failure}");
            assert!(
                matches!(failure.class, Class::Protocol | Class::Interrupted),
                "{api:?} {what}: {:?} {failure}",
                failure.class
            );
        }
    }
}

#[tokio::test]
async fn an_event_over_the_bound_is_refused_in_every_dialect_whether_or_not_it_ends() {
    let endless = vec![b'x'; 17 << 20];
    let whole = [b"data: ".to_vec(), endless.clone(), b"\n\n".to_vec()].concat();
    for api in APIS {
        let provider = Provider::start();
        let scripts = [whole.clone(), [b"data: ".to_vec(), endless.clone()].concat(), endless.clone()];
        provider.in_turn(scripts.map(Script::events));
        for what in ["whole", "without an end", "without a field"] {
            let failure = failure(&provider, api).await;
            assert_eq!((failure.class, failure.is_transient()), (Class::TooLarge, false), "{api:?} {what}");
            assert!(failure.message.contains("larger than 16777216 bytes"), "{}", failure.message);
        }
    }
}

#[tokio::test]
async fn a_bomb_stops_in_every_dialect_be_it_a_document_or_a_stream() {
    for api in APIS {
        let provider = Provider::start();
        for first in [b'[', b':'] {
            let bomb = super::whole::bomb(first, 400_000);
            assert!(bomb.len() < 1 << 20);
            let script = Script::raw(200, "application/json", bomb).header("content-encoding", "gzip");
            provider.in_turn([script]);
            let failure = failure(&provider, api).await;
            assert_eq!((failure.class, failure.is_transient()), (Class::TooLarge, false), "{api:?}");
        }
    }
}

#[tokio::test]
async fn what_comes_after_the_terminal_event_is_nobodys() {
    for api in APIS {
        let provider = Provider::start();
        let noise = "data: {\"error\":{\"message\":\"too late\"}}\n\n";
        let bytes = super::whole::stream_of(api).to_owned() + noise;
        provider.answer(move |_| Script::events(bytes.clone()).chunked_by(1 << 16));
        if api == Api::Gemini {
            // Nothing there says which event is the last one: an error counts until the end.
            assert_eq!(failure(&provider, api).await.class, Class::ServerError);
        } else {
            assert_eq!(ask(&provider, api).await.unwrap().text, "PONG from the fake model.", "{api:?}");
        }
    }
}
