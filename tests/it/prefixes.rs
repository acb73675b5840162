//! A fan-out over one long beginning: the first request goes ahead, the others read it from the cache.

use serde_json::Value;

use crate::provider::{Provider, Request, Script, ms};
use crate::support::{Folder, outcomes, parse_lines};

/// A plan that asks four things about one guide.
fn plan(provider: &Provider, guide: usize, rest: &str) -> Folder {
    Folder::with_plan(&format!(
        "providers: {{ anthropic: {{ api: anthropic, base_url: '{}', api_key_env: LAB_KEY }} }}\n\
         agents: {{ reader: {{ model: anthropic/claude-sonnet-5, tools: [] }} }}\n\
         defaults: {{ agent: reader }}\n\
         calls:\n  guide: {{ run: yes Follow the guide. | head -c {guide}, output: {{ max_bytes: 1MiB }} }}\n  \
         ask:\n    for_each: [north, east, south, west]\n    pass: {{ max_tokens: 100k }}\n    \
         prompt: |\n      {{{{ calls.guide.output }}}}\n      What does it say of the {{{{ item }}}}?\n    {rest}\n",
        provider.base_url()
    ))
}

fn run(folder: &Folder) -> Vec<Value> {
    let ran =
        folder.run_with(&[("LAB_KEY", "sk-x"), ("NO_PROXY", "127.0.0.1")], &["run", "plan.yaml", "--json"]);
    parse_lines(&ran.expect_code(0).out)
}

/// The texts of the first message, and which of them are marked.
fn blocks(request: &Request) -> Vec<(String, bool)> {
    let content = &request.json["messages"][0]["content"];
    let Some(blocks) = content.as_array() else { return vec![(content.as_str().unwrap().to_owned(), false)] };
    let text =
        |block: &Value| (block["text"].as_str().unwrap().to_owned(), block["cache_control"].is_object());
    blocks.iter().map(text).collect()
}

#[test]
fn the_others_are_sent_when_the_first_answer_has_begun_and_what_they_share_is_marked() {
    let provider = Provider::start();
    provider.in_turn([Script::text("first").delay(ms(700))]);
    provider.answer(|_| Script::text("later"));
    let events = run(&plan(&provider, 60_000, ""));
    let requests = provider.requests();
    assert_eq!(requests.len(), 4);
    let begun = requests[0].at + ms(700);
    assert!(requests[1..].iter().all(|request| request.at >= begun), "one did not wait for the first");
    let heads: Vec<_> = requests.iter().map(|request| blocks(request)[0].clone()).collect();
    assert!(heads.iter().all(|(text, marked)| *marked && *text == heads[0].0), "they share one marked block");
    assert!(heads[0].0.contains("What does it say of the"), "{:?}", &heads[0].0[59_000..]);
    let tails: Vec<_> = requests.iter().map(|request| blocks(request)[1].clone()).collect();
    assert!(tails.iter().all(|(_, marked)| !marked) && requests.iter().all(|it| blocks(it).len() == 2));
    assert_eq!(outcomes(&events).values().filter(|outcome| outcome["status"] == "ok").count(), 5);
}

#[test]
fn where_the_first_one_fails_before_it_is_answered_another_one_goes_ahead() {
    let provider = Provider::start();
    provider.in_turn([
        Script::error(529, "overloaded_error", "busy").delay(ms(300)),
        Script::text("second").delay(ms(300)),
    ]);
    provider.answer(|_| Script::text("later"));
    let events = run(&plan(&provider, 60_000, ""));
    assert_eq!(outcomes(&events).values().filter(|outcome| outcome["status"] == "ok").count(), 5);
    let requests = provider.requests();
    assert_eq!(requests.len(), 5);
    let begun = requests[1].at + ms(300);
    assert!(requests[1].at >= requests[0].at + ms(300), "it did not wait for the first");
    assert!(requests[2..].iter().all(|request| request.at >= begun), "one did not wait for the second");
}

#[test]
fn what_is_too_short_to_be_kept_is_neither_marked_nor_waited_for() {
    let provider = Provider::start();
    provider.answer(|_| Script::text("ok"));
    run(&plan(&provider, 3_000, ""));
    let bodies: Vec<String> =
        provider.requests().iter().map(|it| String::from_utf8_lossy(&it.body).into_owned()).collect();
    assert_eq!(bodies.len(), 4);
    assert!(bodies.iter().all(|body| !body.contains("cache_control")));
}
