//! The page: inert whatever is on it, complete, and bounded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::*;
use crate::outcome::{Cause, Outcome, Output, Status};
use crate::report::sample::{self, Script, instance};

/// The elements of a page, as an HTML parser would find them in this page: every `<` of the page
/// that is no text begins one.
fn elements(page: &str) -> Vec<&str> {
    let styled = page.split_once("<style>").unwrap();
    let rest = styled.1.split_once("</style>").unwrap().1;
    let (rest, _) = rest.rsplit_once("<script>").unwrap();
    let all = [styled.0, rest];
    let tags = all.into_iter().flat_map(|part| part.split('<').skip(1));
    tags.map(|tag| tag.split_once('>').unwrap_or_else(|| panic!("an open `<`: {tag}")).0).collect()
}

/// Fails when anything on the page could run, load or lead away.
fn assert_inert(page: &str) {
    const KNOWN: &[&str] = &[
        "!DOCTYPE",
        "html",
        "head",
        "meta",
        "title",
        "body",
        "a",
        "header",
        "main",
        "footer",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "em",
        "s",
        "br",
        "hr",
        "blockquote",
        "p",
        "b",
        "strong",
        "span",
        "small",
        "ul",
        "ol",
        "li",
        "nav",
        "section",
        "details",
        "summary",
        "div",
        "pre",
        "code",
        "table",
        "caption",
        "colgroup",
        "col",
        "thead",
        "tbody",
        "tfoot",
        "tr",
        "th",
        "td",
        "dl",
        "dt",
        "dd",
        "i",
        "figure",
        "figcaption",
        "svg",
        "path",
        "line",
        "rect",
        "text",
        "article",
        "mark",
        "form",
        "label",
        "input",
        "select",
        "option",
        "button",
        "output",
    ];
    for tag in elements(page) {
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap();
        assert!(KNOWN.contains(&name), "<{tag}>");
        // Outside the values, which cannot hold a quotation mark.
        let names: String = tag.split('"').step_by(2).collect();
        assert!(!names.contains(" on") && !names.contains("src"), "<{tag}>");
        if let Some((_, style)) = tag.split_once(" style=\"") {
            let style = style.split('"').next().unwrap();
            let ours = style.strip_prefix("left:").unwrap().replace("width:", "");
            assert!(ours.chars().all(|c| c.is_ascii_digit() || ".%;".contains(c)), "<{tag}>");
        }
        if let Some((_, to)) = tag.split_once("href=\"") {
            let away = ["http://", "https://", "mailto:"].iter().any(|scheme| to.starts_with(scheme));
            let alone = to.ends_with("\" rel=\"noopener noreferrer\" target=\"_blank\"");
            assert!(to.starts_with('#') || away && alone, "<{tag}>");
        }
    }
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    assert!(!page.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
    assert!(!page.contains(['\u{2028}', '\u{2029}', '\u{202e}', '\u{200b}']));
}

#[test]
fn the_policy_names_the_script_that_is_on_the_page() {
    let digest = Sha256::digest(SCRIPT.as_bytes());
    let hash = STANDARD.encode(digest);
    assert!(POLICY.contains(&format!("script-src 'sha256-{hash}'")), "the script's hash is {hash}");
    let live = STANDARD.encode(Sha256::digest(LIVE.as_bytes()));
    let both = format!("script-src 'sha256-{hash}' 'sha256-{live}'");
    assert!(LIVE_POLICY.contains(&both), "the scripts' hashes are {hash} and {live}");
}

#[test]
fn every_kind_of_run_has_an_inert_page() {
    for records in
        [sample::ok(), sample::mixed(), sample::dead(), sample::hostile(), sample::talk(), Vec::new()]
    {
        assert_inert(&render(&RunView::of(&records)));
    }
}

/// Texts that would be markup, script or a command somewhere.
fn nasty(n: usize) -> String {
    const PARTS: &[&str] = &[
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "</pre></details><svg onload=alert(1)>",
        "\" onmouseover=\"alert(1)",
        "' style='background:url(//evil)",
        "<a href=\"javascript:alert(1)\">x</a>",
        "]]><!--",
        "--><base href=//evil>",
        "<meta http-equiv=refresh content=0;url=//evil>",
        "\x1b]8;;http://evil\x1b\\x\x1b]8;;\x1b\\",
        "\u{2028}<iframe src=//evil>",
        "</title></style><style>@import '//evil'",
        "{{7*7}}${7*7}",
        "&lt;script&gt;&#x3c;script>",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
        "\u{202e}<\u{200b}script>",
        "<template><script>",
        "\n\n[x](javascript:alert(1)) <javascript:alert(1)> [y](data:text/html,<script>)",
        "![x](http://evil/x.png) [z](https://a.example/\"onmouseover=alert(1)) [é](&#106;avascript:alert(1))",
        "\n\n| <b> |\n|-|\n| <img src=x onerror=alert(1)> `</td><script>` |\n\n",
    ];
    let part = |k: usize| PARTS[(n / PARTS.len().pow(k as u32) + k * n) % PARTS.len()];
    format!("{}{}\n{}{n}", part(0), part(1), part(2))
}

#[test]
fn nothing_of_five_hundred_hostile_outputs_becomes_markup() {
    let ids: Vec<String> = (0..500).map(|n| format!("call_{n}")).collect();
    let calls = ids.iter().enumerate().map(|(n, id)| sample::planned(id, &nasty(n))).collect();
    let mut script = Script::planned(&nasty(1), calls);
    for (n, id) in ids.iter().enumerate() {
        let text = nasty(n);
        script.start_by(id, &text).retry(id, 1, Cause::new(&text, text.clone()), 0.1).wait(0.2);
        let outcome = match n % 3 {
            0 => Outcome::ok(Output::text(text.as_str())),
            1 => Outcome {
                stderr: text.as_str().into(),
                output: Output::text(text.as_str()),
                ..Outcome::ended(Status::Failed, Cause::new(&text, text.clone()))
            },
            _ => Outcome {
                agent: Some(text.clone()),
                attempts: 2,
                ..Outcome::ok(Output::text(format!("{text}\n{text}")))
            },
        };
        script.end(id, outcome);
    }
    let side = |n| serde_json::json!({ "value": nasty(n), "by": [nasty(n + 1), "call_1"] });
    let conflict = serde_json::json!({ "pointer": nasty(1), "about": nasty(2), "sides": [side(3), side(4)], "message": nasty(5) });
    let groups = serde_json::json!([{ "by": ["call_0", "call_3"], "value": nasty(6) }, { "by": ["call_6"] }]);
    let result = serde_json::json!({ "strategy": nasty(7), "groups": groups, nasty(8): { nasty(9): [nasty(10)] }, "conflicts": [conflict] });
    script.reconciled(result, &nasty(11)).warn("w", &nasty(12)).finish(false, &[&nasty(13)]);
    let page = render(&RunView::of(&script.records));
    assert_inert(&page);
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;"), "the text itself is there");
    assert!(page.contains("<a href=\"http://evil/x.png\" rel="), "a link of the web is one");
    assert!(page.contains("<table><thead><tr><th>&lt;b&gt;</th>"), "a table is one");
}

#[test]
fn whatever_a_strategy_computed_from_hostile_answers_is_text() {
    for n in 0..40 {
        for result in crate::report::computed::sample::results(&nasty(n)) {
            let mut script = Script::new("p", &["a", "b", "step"]);
            script.start("a").ok("a", "x").start("b").ok("b", "y").reconciled(result, &nasty(n + 1));
            let page = render(&RunView::of(&script.finish(true, &[]).records));
            assert_inert(&page);
            assert!(page.contains("<p class=\"facts\">"), "{n}: it has parts of its own");
        }
    }
}

#[test]
fn a_result_that_lacks_a_part_has_a_page_all_the_same() {
    for result in crate::report::computed::sample::results("x") {
        for key in result.as_object().unwrap().keys() {
            for instead in [serde_json::Value::Null, serde_json::json!([3]), serde_json::json!({"x": [{}]})] {
                let mut broken = result.clone();
                broken[key] = instead;
                let mut script = Script::new("p", &["a"]);
                script.reconciled(broken, "text").finish(true, &[]);
                assert_inert(&render(&RunView::of(&script.records)));
                crate::report::markdown::render(&RunView::of(&script.records));
            }
        }
    }
}

#[test]
fn who_is_named_leads_to_the_call() {
    let mut script = Script::new("p", &["graph", "history"]);
    script.start("graph").ok("graph", "x").start("history").ok("history", "y");
    let result = serde_json::json!({
        "strategy": "synthesize", "census": {"asked": 2, "answered": 2}, "conflicts": [],
        "answer": "It **broke** [graph; history], see [nobody] and [1].",
        "claims": [{"claim": "it `broke`", "cites": [{"call": "history", "quote": "a < b"}]}],
    });
    let page = render(&RunView::of(&script.reconciled(result, "").finish(true, &[]).records));
    let links = "It <strong>broke</strong> [<a href=\"#c0\">graph</a>; <a href=\"#c1\">history</a>], see [nobody] and [1].";
    assert!(page.contains(links), "{page}");
    let cite =
        "it <code>broke</code><ul><li><a href=\"#c1\">history</a>: <span class=\"quoted\">“a &lt; b”</span>";
    assert!(page.contains(cite), "{page}");
}

#[test]
fn the_reason_of_a_decision_is_markdown() {
    let mut script = Script::new("p", &["a", "b"]);
    let result = serde_json::json!({
        "strategy": "vote", "rule": "plurality", "census": {"asked": 2, "answered": 2}, "conflicts": [],
        "questions": [{"pointer": "", "outcome": "tied", "tied": ["x", "y"], "votes": 2, "tally": []}],
        "decisions": [{"about": "it", "pointer": "", "decided": true, "value": "x", "by": ["a"], "reason": "It **is** `x` [a].\n\n- one\n- <b>"}],
    });
    let page = render(&RunView::of(&script.reconciled(result, "").finish(true, &[]).records));
    let reason = "It <strong>is</strong> <code>x</code> [<a href=\"#c0\">a</a>].<ul><li>one</li><li>&lt;b&gt;</li></ul>";
    assert!(page.contains(reason), "{page}");
}

#[test]
fn many_merged_items_have_a_filter_and_a_few_have_none() {
    let page = |count: usize| {
        let items: Vec<_> = (0..count)
            .map(|n| serde_json::json!({"item": "x", "words": format!("w {n}"), "by": ["a"]}))
            .collect();
        let result = serde_json::json!({
            "strategy": "merge", "census": {"asked": 1, "answered": 1}, "conflicts": [], "from": ["a"], "items": items,
        });
        let mut script = Script::new("p", &["a"]);
        render(&RunView::of(&script.reconciled(result, "").finish(true, &[]).records))
    };
    assert!(page(9).contains("<form class=\"finder\">") && page(9).contains("w 8"));
    assert!(!page(8).contains("<form class=\"finder\">"));
}

#[test]
fn the_verdict_comes_first_and_an_absence_of_answers_is_named() {
    let page = render(&RunView::of(&sample::dead()));
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}"));
    assert!(at("✗ Failure, exit status 1") < at("id=\"reconciliation\""));
    assert!(at("Nobody answered.") < at("id=\"timeline\""));
}

#[test]
fn a_run_of_a_thousand_calls_is_folded_and_bounded() {
    let labels: Vec<String> = (0..900).map(|n| format!("file {n}")).collect();
    let ids: Vec<String> = (0..150).map(|n| format!("call_{n}")).collect();
    let mut calls: Vec<_> = ids.iter().map(|id| sample::planned(id, id)).collect();
    calls.push(sample::planned("each", "each"));
    let mut script = Script::planned("many", calls);
    script.expand("each", &labels.iter().map(String::as_str).collect::<Vec<_>>());
    let long = "a line of a long output\n".repeat(4_000);
    for id in ids.iter().cloned().chain((0..900).map(|n| format!("each[{n}]"))) {
        script.start(&id).wait(0.01);
        script.end(&id, sample::answer(&long, 0.01));
    }
    let page = render(&RunView::of(&script.finish(true, &[]).records));
    assert!(page.len() < 20 << 20, "{} bytes", page.len());
    assert!(page.contains("left out; all of it: fanout show 20261120-231505-7f3a &#39;each[899]&#39; --raw"));
    assert!(page.contains("91 more calls"));
    assert!(page.contains("… 127 more, in the list of calls"));
    assert!(page.contains(&format!(
        "id=\"{}\"",
        Names::of(&RunView::of(&script.records)).anchor("each[899]").unwrap()
    )));
    assert_inert(&page);
    assert_eq!(instance("each[899]").to_string(), "each[899]");
}

#[test]
fn two_results_stand_side_by_side_with_the_words_that_differ_marked() {
    let mut script = Script::new("two", &["a", "b"]);
    script.start("a").ok("a", "same\nthe cat sat\n").start("b").ok("b", "same\nthe dog sat");
    let page = render(&RunView::of(&script.finish(true, &[]).records));
    assert!(page.contains("the <mark>cat</mark> sat") && page.contains("the <mark>dog</mark> sat"), "{page}");
}

#[test]
fn what_waited_for_what_can_be_read() {
    let needs = vec![crate::id::CallId::parse("a").unwrap()];
    let second = crate::event::PlannedCall { turn: 2, needs, ..sample::planned("b", "b") };
    let mut script = Script::planned("two", vec![sample::planned("a", "a"), second]);
    script.start("a").wait(2.0).ok("a", "x").wait(1.0).start("b").wait(2.0).ok("b", "y").finish(true, &[]);
    let page = render(&RunView::of(&script.records));
    let story = "b: waited for a until 2.0s; then 1.0s for a place; began at 3.0s; took 2.0s; ok; on the critical path";
    assert!(page.contains(story), "{page}");
}

#[test]
fn a_conversation_is_folded_into_its_call() {
    let page = render(&RunView::of(&sample::talk()));
    assert!(page.contains("Conversation, 5 steps"), "{page}");
    assert!(
        page.contains("<b class=\"bad\">bash</b>")
            && page.contains("&quot;path&quot;: &quot;src/auth.rs&quot;")
    );
}

#[test]
fn a_run_that_goes_on_is_not_said_to_have_died() {
    let mut view = RunView::of(&sample::mixed()[..6]);
    view.live = true;
    for text in [render(&view), crate::report::results::render(&view, &crate::report::style::Style::plain())]
    {
        assert!(text.contains("still going on") && text.contains("still at work"), "{text}");
        let about_calls = text.replace("<option>did not end</option>", "");
        assert!(!about_calls.contains("did not") && !about_calls.contains("record ends"), "{text}");
    }
    assert!(render(&view).contains("Content-Security-Policy"));
    let live = render_live(&view);
    assert!(live.contains(LIVE) && !live.contains("Content-Security-Policy"));
}
