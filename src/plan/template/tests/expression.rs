//! Expressions: what they come to, and what they need.

use serde_json::json;

use super::*;

fn evaluate(text: &str) -> Result<serde_json::Value, String> {
    let names = json!({"vars": {"count": 3, "list": [1, 2.5, "x"], "text": "a"}, "item": {"n": 18446744073709551615_u64}});
    let made = graph(json!({"output": "yes", "json": {"ok": true, "n": -1}, "status": "ok"}));
    read_expression(text).evaluate(&scope(names, made)).map_err(|error| error.message)
}

#[test]
fn data_comes_out_as_it_went_in() {
    for (text, expected) in [
        ("vars.count", json!(3)),
        ("{{ vars.list }}", json!([1, 2.5, "x"])),
        ("item.n", json!(18446744073709551615_u64)),
        ("calls.graph.json", json!({"ok": true, "n": -1})),
        ("vars.count + 1", json!(4)),
        ("vars.count / 2", json!(1.5)),
        ("{'a': vars.text, 'b': [none]}", json!({"a": "a", "b": [null]})),
        ("calls.graph.output == 'yes' and vars.count > 2", json!(true)),
        ("vars.text ~ '!'", json!("a!")),
        ("range(3) | list", json!([0, 1, 2])),
        ("calls.graph.json.none | default('no')", json!("no")),
        ("calls.graph.json.none is defined", json!(false)),
        ("1.0", json!(1.0)),
    ] {
        assert_eq!(evaluate(text), Ok(expected), "{text}");
    }
}

#[test]
fn a_missing_value_is_an_error_and_not_false() {
    assert_eq!(evaluate("calls.graph.json.none"), Err("`calls.graph.json.none` has no value".to_owned()));
    assert_eq!(evaluate("calls.history.output == 'x'"), Err("`calls.history` has no value".to_owned()));
    assert_eq!(evaluate("not vars.good.x"), Err("`vars.good` has no value".to_owned()));
}

#[test]
fn truth_is_that_of_jinja() {
    let names = json!({"vars": {"count": 0, "list": [], "text": "no"}});
    let scope = scope(names, said("x"));
    let holds = |text: &str| read_expression(text).holds(&scope).map_err(|error| error.message);
    assert_eq!(holds("vars.count"), Ok(false));
    assert_eq!(holds("vars.list"), Ok(false));
    assert_eq!(holds("vars.text"), Ok(true));
    assert_eq!(holds("calls.graph.status == 'ok'"), Ok(true));
    assert_eq!(holds("calls.graph.json"), Err("`calls.graph.json` has no value".to_owned()));
}

#[test]
fn what_is_mentioned_is_known_beforehand() {
    let template = read(
        "{% if vars.good %}{{ calls.graph.output }}{% else %}{{ calls.history.json.x }}{% endif %}{{ calls['call-sites'].status }}{{ vars.good }}{{ vars.text }}",
        Destination::Prompt,
    );
    let mentions: Vec<_> = template.mentions().iter().map(|m| (m.call.to_string(), m.attribute)).collect();
    let expected = [("graph", Some("output")), ("history", Some("json")), ("call-sites", Some("status"))];
    assert_eq!(mentions, expected.map(|(call, attribute)| (call.to_owned(), attribute)));
    assert_eq!(template.vars().iter().map(|var| &**var).collect::<Vec<_>>(), ["good", "text"]);

    let text = " {{ calls.review.outputs | length > 1 }}";
    let expression = read_expression(text);
    assert_eq!(&*expression.source, "calls.review.outputs | length > 1");
    let [mention] = expression.mentions() else { panic!("{:?}", expression.mentions()) };
    assert_eq!(&text[mention.at.start as usize..mention.at.end as usize], "calls.review.outputs");
    assert_eq!((&*mention.call, mention.attribute), ("review", Some("outputs")));
}

#[test]
fn a_text_where_an_expression_belongs_is_refused() {
    let known = known();
    for text in
        ["see {{ vars.good }}", "{{ vars.good }} == {{ vars.text }}", "{% if vars.good %}x{% endif %}"]
    {
        let mut faults = Vec::new();
        expression(&plain(text), &all_names(&known), &mut faults);
        assert_eq!(faults.len(), 1, "{text}");
        assert!(faults[0].message.contains("an expression belongs here"), "{:?}", faults[0]);
    }
}
