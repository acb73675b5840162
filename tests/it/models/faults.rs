//! What goes wrong before a stream begins: statuses, redirects, connections, keys.

use std::net::TcpListener;

use fanout::model::{Bounds, Class, Client, Failure, Keys, Settings};
use fanout::plan::Api;

use super::{APIS, IMPATIENT, KEY, NO_BOUNDS, ask, ask_within, at, client, quiet, request};
use crate::provider::{Provider, Script, ms};

async fn failure(provider: &Provider, api: Api) -> Box<Failure> {
    let failure = ask(provider, api).await.expect_err("an answer where a failure was due");
    assert!(!failure.message.contains(KEY), "the key is in: {}", failure.message);
    failure
}

#[tokio::test]
async fn a_status_gives_its_class_with_the_providers_words_and_one_request() {
    let cases = [
        (400, Class::BadRequest, false),
        (401, Class::Unauthorized, false),
        (402, Class::OutOfMoney, false),
        (403, Class::Unauthorized, false),
        (404, Class::NotFound, false),
        (408, Class::ServerError, true),
        (409, Class::ServerError, true),
        (413, Class::TooLarge, false),
        (422, Class::BadRequest, false),
        (425, Class::ServerError, true),
        (429, Class::RateLimited, true),
        (500, Class::ServerError, true),
        (502, Class::ServerError, true),
        (503, Class::Overloaded, true),
        (504, Class::ServerError, true),
        (522, Class::ServerError, true),
        (529, Class::Overloaded, true),
    ];
    for api in APIS {
        let provider = Provider::start();
        for (status, class, transient) in cases {
            provider.in_turn([Script::error(status, "some_error", "because \u{1b}[31mred\n\nlines")]);
            let failure = failure(&provider, api).await;
            assert_eq!((failure.class, failure.is_transient()), (class, transient), "{api:?} {status}");
            assert_eq!((failure.status, failure.request_id.as_deref()), (Some(status), Some("req_scripted")));
            let words =
                format!("lab ({}) answered {status}: because \\u{{1b}}[31mred lines", provider.host());
            assert!(failure.message.starts_with(&words), "{}", failure.message);
            assert!(failure.message.ends_with("[request req_scripted]"), "{}", failure.message);
        }
        assert_eq!(provider.count(), cases.len(), "{api:?}: nothing is tried twice");
    }
}

#[tokio::test]
async fn advice_names_the_variable_and_never_the_key() {
    let provider = Provider::start();
    provider.answer(|_| Script::error(401, "authentication_error", &format!("{KEY} is no key of ours")));
    let failure = failure(&provider, Api::Anthropic).await;
    assert_eq!(
        failure.message,
        format!(
            "lab ({}) answered 401: [LAB_KEY] is no key of ours; check the key in LAB_KEY [request req_scripted]",
            provider.host()
        )
    );
}

#[tokio::test]
async fn a_missing_key_is_named_before_anything_is_sent() {
    let provider = Provider::start();
    let client = Client::new(Keys::default(), Settings::default());
    let lab = at(&provider.base_url(), Api::OpenAiChat);
    let failure = client.ask(&lab, &request("x"), NO_BOUNDS, &quiet).await.unwrap_err();
    assert_eq!(failure.class, Class::MissingKey);
    assert!(failure.message.contains("export LAB_KEY="), "{}", failure.message);
    assert_eq!(provider.connections(), 0);
}

#[tokio::test]
async fn a_local_server_needs_no_key_and_no_certificates() {
    let provider = Provider::start();
    let lab = fanout::plan::Provider { api_key_env: None, ..at(&provider.base_url(), Api::OpenAiChat) };
    let client = Client::new(Keys::default(), Settings { proxies: false, ..Settings::default() });
    client.ask(&lab, &request("x"), NO_BOUNDS, &quiet).await.unwrap();
    assert_eq!(provider.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn anthropics_bearer_token_stands_in_for_its_key() {
    let provider = Provider::start();
    let anthropic = fanout::plan::Provider {
        api_key_env: Some("ANTHROPIC_API_KEY".to_owned()),
        ..at(&provider.base_url(), Api::Anthropic)
    };
    let keys = Keys::of([&anthropic], |name| (name == "ANTHROPIC_AUTH_TOKEN").then(|| " token\n".to_owned()));
    let client = Client::new(keys, Settings { proxies: false, ..Settings::default() });
    client.ask(&anthropic, &request("x"), NO_BOUNDS, &quiet).await.unwrap();
    let seen = &provider.requests()[0];
    assert_eq!((seen.header("authorization"), seen.header("x-api-key")), (Some("Bearer token"), None));
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    for api in APIS {
        let (provider, other) = (Provider::start(), Provider::start());
        for (status, to) in
            [(307, other.base_url()), (301, other.base_url()), (302, format!("//{}/x", other.host()))]
        {
            provider.in_turn([Script::raw(status, "text/plain", "moved").header("location", &to)]);
            let failure = failure(&provider, api).await;
            assert_eq!((failure.class, failure.is_transient()), (Class::Redirected, false));
            let to = format!("redirected to http://{}, which is never followed", other.host());
            assert!(failure.message.contains(&to), "{}", failure.message);
            assert!(failure.message.contains("set base_url of provider `lab`"), "{}", failure.message);
        }
        assert_eq!((other.connections(), other.bytes_received()), (0, 0), "{api:?}");
    }
}

#[tokio::test]
async fn a_long_complaint_is_cut() {
    let provider = Provider::start();
    provider.answer(|_| Script::error(400, "invalid_request_error", &"é".repeat(50_000)));
    let failure = failure(&provider, Api::Anthropic).await;
    assert!(failure.message.len() < 2300, "{} bytes", failure.message.len());
    // Longer than what is read of an error: then it is no JSON either.
    provider.answer(|_| Script::error(500, "api_error", &"x".repeat(200_000)));
    assert_eq!(ask(&provider, Api::Anthropic).await.unwrap_err().class, Class::ServerError);
}

#[tokio::test]
async fn the_wait_that_a_provider_asks_for_is_passed_on() {
    for api in APIS {
        let provider = Provider::start();
        let slow = Script::error(429, "rate_limit_error", "slow down");
        let waits = [
            (slow.clone().header("retry-after", "7"), Some(ms(7000))),
            (slow.clone().header("retry-after-ms", "1500").header("retry-after", "7"), Some(ms(1500))),
            (
                slow.clone()
                    .header("date", "Fri, 20 Nov 2026 18:04:08 GMT")
                    .header("retry-after", "Fri, 20 Nov 2026 18:04:18 GMT"),
                Some(ms(10_000)),
            ),
            (slow.clone().header("retry-after", "soon"), None),
            (slow, None),
        ];
        for (script, wait) in waits {
            provider.in_turn([script]);
            let failure = failure(&provider, api).await;
            assert_eq!((failure.class, failure.retry_after), (Class::RateLimited, wait), "{api:?}");
        }
    }
}

#[tokio::test]
async fn x_should_retry_is_obeyed() {
    let provider = Provider::start();
    provider.in_turn([
        Script::error(500, "api_error", "m").header("x-should-retry", "false"),
        Script::error(400, "invalid_request_error", "m").header("x-should-retry", "true"),
    ]);
    assert!(!failure(&provider, Api::Anthropic).await.is_transient());
    assert!(failure(&provider, Api::Anthropic).await.is_transient());
}

#[tokio::test]
async fn a_good_status_with_anything_but_an_answer_breaks_the_protocol() {
    for api in APIS {
        let provider = Provider::start();
        let cases = [
            Script::raw(200, "text/html", "<html>\u{7}Sign in to the proxy</html>"),
            Script::raw(204, "text/plain", ""),
            Script::raw(200, "application/json", "{}"),
            Script::raw(200, "application/json", "[]"),
            Script::raw(200, "application/json", "{nonsense}"),
            Script::raw(200, "text/plain", "upstream connect error"),
            Script::raw(200, "application/json", ""),
            Script::raw(200, "application/octet-stream", vec![0xFF; 300]),
        ];
        for script in cases {
            let shown = format!("{api:?} {script:?}");
            provider.in_turn([script]);
            let failure = failure(&provider, api).await;
            assert_eq!((failure.class, failure.is_transient()), (Class::Protocol, true), "{shown}");
            assert!(!failure.message.contains('\u{7}') && failure.message.len() < 900, "{}", failure.message);
        }
        provider.in_turn([Script::raw(200, "text/html; charset=utf-8", "<html>Sign in</html>")]);
        let message = failure(&provider, api).await.message;
        assert!(message.contains("`<html>Sign in</html>` (text/html; charset=utf-8)"), "{message}");
    }
}

#[tokio::test]
async fn a_good_status_with_an_error_body_is_classified_by_the_error() {
    for api in APIS {
        let provider = Provider::start();
        provider.in_turn([
            Script::error(200, "overloaded_error", "busy"),
            Script::raw(
                200,
                "application/json",
                r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]"#,
            ),
        ]);
        assert_eq!(failure(&provider, api).await.class, Class::Overloaded, "{api:?}");
        assert_eq!(failure(&provider, api).await.class, Class::RateLimited, "{api:?}");
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_a_fault_that_may_pass() {
    // Bound and dropped, so nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let lab = at(&format!("http://127.0.0.1:{port}/v1"), Api::OpenAiChat);
    let failure = client().ask(&lab, &request("x"), NO_BOUNDS, &quiet).await.unwrap_err();
    assert_eq!((failure.class, failure.is_transient()), (Class::Unreachable, true));
    let words = format!("could not connect to lab (127.0.0.1:{port}): ");
    assert!(failure.message.starts_with(&words), "{}", failure.message);
    let lab = at("http://no-such-host.invalid/v1", Api::OpenAiChat);
    let failure = client().ask(&lab, &request("x"), NO_BOUNDS, &quiet).await.unwrap_err();
    assert_eq!((failure.class, failure.is_transient()), (Class::Unreachable, true), "{}", failure.message);
    assert!(
        failure.message.starts_with("could not resolve the name of lab (no-such-host.invalid)"),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn a_connection_closed_before_any_answer_may_pass() {
    let provider = Provider::start();
    provider.answer(|_| Script::hang_up());
    let failure = failure(&provider, Api::Anthropic).await;
    assert_eq!((failure.class, failure.is_transient()), (Class::Unreachable, true), "{}", failure.message);
}

#[tokio::test]
async fn silence_before_the_response_runs_into_the_bounds() {
    let provider = Provider::start();
    provider.answer(|_| Script::silence());
    let idle = ask_within(&provider, Api::Anthropic, IMPATIENT).await.unwrap_err();
    assert_eq!(idle.class, Class::Stalled);
    let deadline = Some(tokio::time::Instant::now() + ms(60));
    let late = ask_within(&provider, Api::Anthropic, Bounds { deadline, idle: None }).await.unwrap_err();
    assert_eq!((late.class, late.is_transient()), (Class::TimedOut, false));
}

#[tokio::test]
async fn an_endless_head_is_refused() {
    let provider = Provider::start();
    let mut many = Script::text("x");
    for number in 0..90 {
        many = many.header(&format!("x-filler-{number}"), &"y".repeat(1000));
    }
    provider.in_turn([many, Script::text("x").header("x-filler", &"y".repeat(600_000))]);
    for _ in 0..2 {
        let failure = failure(&provider, Api::Anthropic).await;
        assert_eq!(failure.class, Class::Protocol, "{}", failure.message);
    }
}

#[tokio::test]
async fn an_address_or_a_header_that_cannot_be_is_named() {
    for (base, words) in
        [("ftp://x/v1", "is no http or https address: `ftp://x/v1`"), ("lab", "is no http or https")]
    {
        let failure =
            client().ask(&at(base, Api::Anthropic), &request("x"), NO_BOUNDS, &quiet).await.unwrap_err();
        assert!(failure.class == Class::BadRequest && failure.message.contains(words), "{}", failure.message);
    }
    let mut lab = at("http://127.0.0.1:9/v1", Api::Anthropic);
    lab.headers = vec![("bad name".to_owned(), "x".to_owned())];
    let failure = client().ask(&lab, &request("x"), NO_BOUNDS, &quiet).await.unwrap_err();
    assert!(failure.message.contains("`bad name` is no header"), "{}", failure.message);
}
