//! Faults before a stream begins.

use fanout::model::Class;
use fanout::plan::Api;

use super::{Rude, failure};
use crate::models::{APIS, NO_BOUNDS, at, client, quiet, request};
use crate::provider::{Provider, Script};

#[tokio::test]
async fn a_prompt_that_is_too_long_is_told_from_other_bad_requests_in_every_dialect() {
    for (api, kind, words) in [
        (Api::Anthropic, "invalid_request_error", "prompt is too long: 250000 tokens > 200000 maximum"),
        (Api::OpenAiChat, "invalid_request_error", "This model's maximum context length is 8192 tokens."),
        (
            Api::OpenAiResponses,
            "invalid_request_error",
            "Your input exceeds the context window of this model.",
        ),
        (
            Api::Gemini,
            "INVALID_ARGUMENT",
            "The input token count (9) exceeds the maximum number of tokens allowed (8).",
        ),
    ] {
        let provider = Provider::start();
        provider.in_turn([Script::error(400, kind, words), Script::error(400, kind, "no such field")]);
        let long = failure(&provider, api).await;
        assert_eq!((long.class, long.is_transient()), (Class::ContextTooLong, false), "{api:?}");
        assert!(long.message.contains("shorten the prompt"), "{}", long.message);
        assert_eq!(failure(&provider, api).await.class, Class::BadRequest, "{api:?}");
    }
}

#[tokio::test]
async fn money_that_is_gone_is_never_waited_for() {
    let daily = r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[
        {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDay"}]}]}}"#;
    for (api, script) in [
        (Api::Anthropic, Script::error(402, "billing_error", "m")),
        (Api::OpenAiChat, Script::error(429, "insufficient_quota", "m")),
        (Api::OpenAiResponses, Script::error(429, "insufficient_quota", "m")),
        (Api::Gemini, Script::raw(429, "application/json", daily)),
    ] {
        let provider = Provider::start();
        provider.in_turn([script]);
        let failure = failure(&provider, api).await;
        assert_eq!((failure.class, failure.is_transient()), (Class::OutOfMoney, false), "{api:?}");
        assert!(failure.message.contains("waiting does not help"), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_key_that_google_calls_a_bad_request_is_a_bad_key() {
    let body = r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT",
        "details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}"#;
    let provider = Provider::start();
    provider.in_turn([Script::raw(400, "application/json", body)]);
    let failure = failure(&provider, Api::Gemini).await;
    assert_eq!((failure.class, failure.is_transient()), (Class::Unauthorized, false));
    assert!(failure.message.contains("check the key in LAB_KEY"), "{}", failure.message);
}

#[tokio::test]
async fn a_wait_in_googles_error_body_is_passed_on() {
    let body = r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[
        {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"17s"}]}}"#;
    let provider = Provider::start();
    provider.in_turn([Script::raw(429, "application/json", body)]);
    let failure = failure(&provider, Api::Gemini).await;
    assert_eq!((failure.class, failure.retry_after), (Class::RateLimited, Some(crate::provider::ms(17_000))));
}

#[tokio::test]
async fn a_head_without_an_end_is_refused_in_every_dialect() {
    for api in APIS {
        let provider = Provider::start();
        let mut many = Script::text("x");
        for number in 0..90 {
            many = many.header(&format!("x-filler-{number}"), &"y".repeat(1000));
        }
        let thousands = (0..5000).fold(Script::text("x"), |script, n| script.header(&format!("x-{n}"), "y"));
        provider.in_turn([many, Script::text("x").header("x-filler", &"y".repeat(600_000)), thousands]);
        for what in ["90 headers of 1 kB", "one of 600 kB", "5,000 small ones"] {
            assert_eq!(failure(&provider, api).await.class, Class::Protocol, "{api:?}: {what}");
        }
    }
}

#[tokio::test]
async fn what_is_no_http_is_named_and_may_pass() {
    for api in APIS {
        let heads: [&[u8]; 4] = [
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"HTTP/1.1 999999 What\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        ];
        let rude = Rude::start(heads.map(<[u8]>::to_vec).to_vec());
        for head in heads {
            let lab = at(&rude.base_url, api);
            let failure = client().ask(&lab, &request("x"), NO_BOUNDS, &quiet).await.unwrap_err();
            let shown = String::from_utf8_lossy(head);
            assert!(failure.is_transient(), "{api:?} {shown}: {failure}");
            assert!(
                matches!(failure.class, Class::Protocol | Class::Unreachable),
                "{api:?} {shown}: {failure}"
            );
        }
    }
}

#[tokio::test]
async fn a_body_shorter_than_its_length_is_a_broken_answer() {
    for api in APIS {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 5000\r\n\r\n";
        let rude = Rude::start(vec![format!("{head}: hello\n\n").into_bytes()]);
        let lab = at(&rude.base_url, api);
        let failure = client().ask(&lab, &request("x"), NO_BOUNDS, &quiet).await.unwrap_err();
        assert_eq!((failure.class, failure.is_transient()), (Class::Interrupted, true), "{api:?}: {failure}");
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closed_between_requests_is_no_lasting_fault() {
    let body = r#"{"content":[{"type":"text","text":"ok"}],"stop_reason":"end_turn"}"#;
    let whole = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // It says nothing of closing, and closes.
    let rude = Rude::start(vec![whole.into_bytes(); 10]);
    let (client, lab) = (client(), at(&rude.base_url, Api::Anthropic));
    for _ in 0..10 {
        match client.ask(&lab, &request("x"), NO_BOUNDS, &quiet).await {
            Ok(reply) => assert_eq!((reply.text.as_str(), reply.usage.requests), ("ok", 1)),
            // Closed in the very moment in which it was used again: the attempt loop tries once more.
            Err(failure) => assert!(failure.is_transient(), "{failure}"),
        }
    }
}

#[tokio::test]
async fn a_server_without_tls_at_an_https_address_is_named() {
    let rude = Rude::start(vec![b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(); APIS.len()]);
    let base = rude.base_url.replace("http://", "https://");
    for api in APIS {
        let failure = client().ask(&at(&base, api), &request("x"), NO_BOUNDS, &quiet).await.unwrap_err();
        assert_eq!(failure.class, Class::Unreachable, "{failure}");
        // Where there are no certificates at all, that is said first.
        let words = ["could not connect to lab (127.0.0.1:", "could not set up TLS"];
        assert!(words.iter().any(|words| failure.message.starts_with(words)), "{failure}");
    }
}
