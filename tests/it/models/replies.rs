//! What is sent, and what a good answer comes to.

use std::sync::Mutex;

use fanout::model::{Message, RateHeaders, Reply, Request, Stop, Window};
use fanout::outcome::Usage;
use fanout::plan::Api;
use fanout::unit::Tokens;
use serde_json::json;

use super::{APIS, KEY, NO_BOUNDS, ask, at, client, quiet, request};
use crate::provider::{Provider, Script, ms};

fn usage(input: u64, output: u64) -> Usage {
    Usage { input: Tokens(input), output: Tokens(output), requests: 1, ..Usage::default() }
}

#[tokio::test]
async fn an_answer_is_the_same_streamed_and_not_in_every_dialect() {
    for api in APIS {
        let provider = Provider::start();
        let text = "Zwölf, 十二, 💡 {{ not a template }}";
        let script = Script::text(text).usage(12, 7);
        provider.in_turn([script.clone().pieces(9).chunked_by(1), script.unstreamed()]);
        let (streamed, whole) = (ask(&provider, api).await.unwrap(), ask(&provider, api).await.unwrap());
        let part = json!({"type": "text", "text": text});
        let item = json!({"type": "message", "id": "msg_scripted", "role": "assistant",
                          "content": [{"type": "output_text", "text": text, "annotations": []}]});
        let assistant = match api {
            Api::Anthropic => json!([part]),
            Api::OpenAiChat => json!({"role": "assistant", "content": text}),
            Api::Gemini => json!({"role": "model", "parts": [{"text": text}]}),
            Api::OpenAiResponses => json!([item]),
        };
        let expected = Reply {
            text: text.to_owned(),
            assistant,
            calls: Vec::new(),
            stop: Stop::End,
            usage: usage(12, 7),
            usage_estimated: false,
            model: Some("tiny".to_owned()),
            request_id: Some("req_scripted".to_owned()),
            rate: RateHeaders::default(),
        };
        assert_eq!((streamed, whole), (expected.clone(), expected), "{api:?}");
    }
}

#[tokio::test]
async fn a_request_reaches_its_path_with_its_key_and_nothing_else_of_ours() {
    for (api, path, header, value) in [
        (Api::Anthropic, "/v1/messages", "x-api-key", KEY.to_owned()),
        (Api::OpenAiChat, "/v1/chat/completions", "authorization", format!("Bearer {KEY}")),
        (Api::OpenAiResponses, "/v1/responses", "authorization", format!("Bearer {KEY}")),
        (Api::Gemini, "/v1/models/tiny:streamGenerateContent?alt=sse", "x-goog-api-key", KEY.to_owned()),
    ] {
        let provider = Provider::start();
        let mut named = at(&provider.base_url(), api);
        named.headers = vec![("x-team".to_owned(), "blue".to_owned())];
        client().ask(&named, &request("hello"), NO_BOUNDS, &quiet).await.unwrap();
        let requests = provider.requests();
        let [seen] = requests.as_slice() else { panic!("{} requests", requests.len()) };
        assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", path));
        assert_eq!(seen.header(header), Some(value.as_str()));
        assert_eq!(seen.header("x-team"), Some("blue"));
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert_eq!(seen.prompt(), "Be brief.\nhello");
        let mut names: Vec<_> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let mut expected = vec![
            "accept",
            "accept-encoding",
            "content-length",
            "content-type",
            "host",
            header,
            "user-agent",
            "x-team",
        ];
        if api == Api::Anthropic {
            expected.push("anthropic-version");
        }
        expected.sort_unstable();
        assert_eq!(names, expected);
    }
}

#[tokio::test]
async fn a_query_of_the_base_url_stays_at_the_end_of_the_address() {
    let provider = Provider::start();
    let base = format!("{}/?api-version=7", provider.base_url());
    client().ask(&at(&base, Api::OpenAiChat), &request("x"), NO_BOUNDS, &quiet).await.unwrap();
    client().ask(&at(&base, Api::Gemini), &request("x"), NO_BOUNDS, &quiet).await.unwrap();
    let paths: Vec<String> = provider.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(
        paths,
        ["/v1/chat/completions?api-version=7", "/v1/models/tiny:streamGenerateContent?api-version=7&alt=sse"]
    );
}

#[tokio::test]
async fn an_echoed_turn_goes_back_as_it_came() {
    for api in APIS {
        let provider = Provider::start();
        let reply = ask(&provider, api).await.unwrap();
        let assistant = reply.assistant.clone();
        let again = Request {
            messages: vec![
                Message::User("hello".to_owned()),
                Message::Echo(reply.assistant.into()),
                Message::User("go on".to_owned()),
            ],
            ..request("")
        };
        client().ask(&at(&provider.base_url(), api), &again, NO_BOUNDS, &quiet).await.unwrap();
        let body = &provider.requests()[1].json;
        let echoed = match api {
            Api::Anthropic => body["messages"][1]["content"].clone(),
            Api::OpenAiChat => body["messages"][2].clone(),
            Api::Gemini => body["contents"][1].clone(),
            Api::OpenAiResponses => json!([body["input"][1]]),
        };
        assert_eq!(echoed, assistant, "{api:?}");
    }
}

#[tokio::test]
async fn requests_share_their_connections() {
    for api in APIS {
        let provider = Provider::start();
        let client = client();
        let lab = at(&provider.base_url(), api);
        for _ in 0..5 {
            client.ask(&lab, &request("x"), NO_BOUNDS, &quiet).await.unwrap();
        }
        assert_eq!((provider.count(), provider.connections()), (5, 1), "{api:?}");
    }
}

#[tokio::test]
async fn dropping_a_request_closes_its_connection() {
    let provider = Provider::start();
    provider.answer(|_| Script::text("never to be seen").stall_after(200));
    let (client, lab, asked) = (client(), at(&provider.base_url(), Api::Anthropic), request("x"));
    let (seen, seeing) = tokio::sync::oneshot::channel();
    let seen = Mutex::new(Some(seen));
    let on_progress = |_: fanout::model::Progress<'_>| {
        if let Some(seen) = seen.lock().unwrap().take() {
            seen.send(()).unwrap();
        }
    };
    tokio::select! {
        _ = client.ask(&lab, &asked, NO_BOUNDS, &on_progress) => panic!("it answered"),
        _ = seeing => assert_eq!(provider.open_connections(), 1),
    }
    drop(client);
    while provider.open_connections() > 0 {
        tokio::time::sleep(ms(1)).await;
    }
}

#[tokio::test]
async fn progress_shows_the_text_as_it_grows() {
    for api in APIS {
        let provider = Provider::start();
        provider.answer(|_| Script::text("abcdef").pieces(6).pause(ms(2)));
        let texts = Mutex::new(Vec::new());
        let on_progress =
            |progress: fanout::model::Progress<'_>| texts.lock().unwrap().push(progress.text.to_owned());
        client().ask(&at(&provider.base_url(), api), &request("x"), NO_BOUNDS, &on_progress).await.unwrap();
        let mut texts = texts.into_inner().unwrap();
        texts.dedup();
        assert!(
            texts.len() > 2 && texts.windows(2).all(|pair| pair[1].starts_with(&pair[0])),
            "{api:?} {texts:?}"
        );
    }
}

#[tokio::test]
async fn usage_that_nobody_gave_is_estimated_and_says_so() {
    for api in APIS {
        let provider = Provider::start();
        provider.answer(|_| Script::text("x".repeat(400)).no_usage());
        let reply = ask(&provider, api).await.unwrap();
        let sent = provider.requests()[0].body.len() as u64;
        assert_eq!((reply.usage, reply.usage_estimated), (usage(sent.div_ceil(4), 100), true), "{api:?}");
    }
}

#[tokio::test]
async fn rate_limit_headers_are_kept() {
    let provider = Provider::start();
    let limits = Script::text("ok")
        .header("x-ratelimit-limit-requests", "60")
        .header("x-ratelimit-remaining-requests", "59")
        .header("x-ratelimit-reset-requests", "1s");
    provider.answer(move |_| limits.clone());
    let window = Window { limit: Some(60), remaining: Some(59), reset: Some(ms(1000)) };
    let reply = ask(&provider, Api::OpenAiChat).await.unwrap();
    assert_eq!(reply.rate, RateHeaders { requests: window, ..RateHeaders::default() });
}

#[tokio::test]
async fn an_empty_answer_is_an_empty_reply_and_not_a_missing_one() {
    for api in APIS {
        let provider = Provider::start();
        provider.answer(|_| Script::text(""));
        assert_eq!(ask(&provider, api).await.unwrap().text, "", "{api:?}");
    }
}
