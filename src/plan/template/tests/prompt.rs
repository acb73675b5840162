//! What enters a prompt, and how.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn prompt(text: &str, scope: &Scope) -> String {
    read(text, Destination::Prompt).render(scope, Destination::Prompt).unwrap().text
}

/// The text between the markers of a prompt that is nothing else.
fn inside(prompt: &str, of: &str) -> String {
    let rest =
        prompt.strip_prefix(&format!("<result of=\"{of}\" id=\"")).unwrap_or_else(|| panic!("{prompt}"));
    let (word, rest) = rest.split_once("\">\n").unwrap();
    let text = rest.strip_suffix(&format!("\n</result {word}>")).unwrap_or_else(|| panic!("{prompt}"));
    assert!(!text.contains(word), "the marker is in the text");
    text.to_owned()
}

#[test]
fn an_output_stands_between_markers_and_what_was_written_stands_as_it_is() {
    let scope = scope(json!({"vars": {"good": "a3f"}, "goal": "Find it."}), said("f -> g"));
    let text = prompt("{{ goal }} Since {{ vars.good }}:\n{{ calls.graph.output }}\nDone.\n", &scope);
    let word = super::super::insertion::enter(
        &"f -> g".into(),
        &emit::Entry::Quote { label: "graph".into(), calls: ["graph".into()].into(), whole: true },
        None,
        &scope.results,
    )
    .unwrap();
    assert_eq!(text, format!("Find it. Since a3f:\n{word}\nDone.\n"));
    assert_eq!(inside(&word, "graph"), "f -> g");
}

#[test]
fn the_same_inputs_give_the_same_prompt() {
    let one = prompt("{{ calls.graph.output }}", &scope(json!({}), said("x")));
    let two = prompt("{{ calls.graph.output }}", &scope(json!({}), said("x")));
    assert_eq!(one, two);
    assert_ne!(one, prompt("{{ calls.graph.output }}", &scope(json!({}), said("y"))));
}

#[test]
fn braces_in_an_output_are_only_text() {
    let scope = scope(json!({"vars": {"good": "secret"}}), said("{{ vars.good }}{% if %}"));
    assert_eq!(inside(&prompt("{{ calls.graph.output }}", &scope), "graph"), "{{ vars.good }}{% if %}");
}

#[test]
fn numbers_truth_and_status_stay_in_the_sentence() {
    let made = graph(json!({"output": "x", "json": {"n": 3, "ok": true, "none": null}, "status": "ok"}));
    let text = "{{ calls.graph.json.n }}, {{ calls.graph.json.ok }}, {{ calls.graph.status }}{{ calls.graph.json.none }}, {{ calls.graph.output | length }}, {{ calls.graph.output == 'x' }}";
    assert_eq!(prompt(text, &scope(json!({}), made)), "3, true, ok, 1, true");
}

#[test]
fn whatever_is_made_of_an_output_is_marked_too() {
    let scope = scope(json!({"vars": {"text": "!"}}), said("a\nb"));
    for (text, expected) in [
        ("{{ calls.graph.output | upper }}", "A\nB"),
        ("{{ calls.graph.output ~ vars.text }}", "a\nb!"),
        ("{{ calls['graph']['output'] }}", "a\nb"),
        ("{% set x = calls.graph.output %}{{ x }}", "a\nb"),
        ("{% set x = calls.graph %}{{ x.output }}", "a\nb"),
        ("{% set x %}<{{ calls.graph.output }}>{% endset %}{{ x }}", "<a\nb>"),
        ("{% set x | upper %}<{{ calls.graph.output }}>{% endset %}{{ x }}", "<A\nB>"),
        ("{% with x = calls.graph.output %}{{ x }}{% endwith %}", "a\nb"),
        ("{% filter indent(2) %}{{ calls.graph.output }}{% endfilter %}", "a\n  b"),
        ("{{ calls.graph.output if vars.text else 'no' }}", "a\nb"),
        ("{{ calls.graph.output or 'no' }}", "a\nb"),
        ("{{ [calls.graph.output] | first }}", "a\nb"),
        ("{{ {'k': calls.graph.output}['k'] }}", "a\nb"),
        ("{{ (calls.graph.output) }}", "a\nb"),
        ("{{- calls.graph.output -}}", "a\nb"),
        ("{{ calls.graph.output[:1] }}", "a"),
        ("{{ 'x' | replace('x', calls.graph.output) }}", "a\nb"),
    ] {
        assert_eq!(inside(&prompt(text, &scope), "graph"), expected, "{text}");
    }
    let looped = prompt("{% for line in calls.graph.output | lines %}{{ line }};{% endfor %}", &scope);
    assert_eq!(looped.matches("<result of=\"graph\"").count(), 2);
}

#[test]
fn the_instances_of_an_expanded_call_are_told_apart() {
    let mut made = Made::default();
    made.calls.insert(
        "review".to_owned(),
        json!({"outputs": [
            {"output": "one", "json": {"v": "yes\nno"}, "index": 0, "status": "ok", "item": "a.rs"},
            {"index": 1, "status": "timed_out", "item": "b.rs"},
            {"output": "three", "index": 2, "status": "ok", "item": "c.rs"},
        ]}),
    );
    let scope = scope(json!({}), made);
    let labels = |text: &str| {
        let text = prompt(text, &scope);
        let starts = text.split("<result ").skip(1).map(|part| part.split(" id=").next().unwrap().to_owned());
        starts.collect::<Vec<_>>()
    };
    let all = ["of=\"review[0]\"", "of=\"review[1]\" status=\"timed_out\"", "of=\"review[2]\""];
    assert_eq!(labels("{{ calls.review.outputs }}"), all);
    let ok = "{% for r in calls.review.outputs | selectattr('status', 'eq', 'ok') %}{{ r.item }}: {{ r.output | upper }}\n{% endfor %}";
    assert_eq!(labels(ok), ["of=\"review[0]\"", "of=\"review[2]\""]);
    assert!(prompt(ok, &scope).starts_with("a.rs: <result"));
    assert_eq!(inside(&prompt("{{ calls.review.outputs[2].output }}", &scope), "review[2]"), "three");
    assert_eq!(inside(&prompt("{{ (calls.review.outputs)[2].output }}", &scope), "review"), "three");
    assert_eq!(inside(&prompt("{{ (calls.review.outputs | last).output }}", &scope), "review[2]"), "three");
    assert_eq!(inside(&prompt("{{ calls.review.outputs[0].json.v }}", &scope), "review[0]"), "yes\nno");
    let joined = prompt("{{ calls.review.outputs | map(attribute='index') | join('+') }}", &scope);
    assert_eq!(inside(&joined, "review"), "0+1+2");
}

#[test]
fn several_sources_are_all_named() {
    let mut made = said("g");
    made.calls.insert("history".to_owned(), json!({"output": "h"}));
    let text = prompt("{{ calls.history.output ~ calls.graph.output }}", &scope(json!({}), made));
    assert_eq!(inside(&text, "graph, history"), "hg");
}

#[test]
fn a_short_item_stays_in_the_sentence_and_a_long_one_is_marked() {
    let item = |item: serde_json::Value| prompt("{{ item }}", &scope(json!({"item": item}), Made::default()));
    assert_eq!(item(json!("src/a.rs")), "src/a.rs");
    assert_eq!(item(json!(7)), "7");
    assert_eq!(inside(&item(json!("a\nb")), "item"), "a\nb");
    assert_eq!(inside(&item(json!({"a": 1})), "item"), r#"{"a":1}"#);
    let matrix = scope(json!({"matrix": {"os": "linux", "node-version": 20}}), Made::default());
    assert_eq!(prompt("{{ matrix.os }}/{{ matrix['node-version'] }}", &matrix), "linux/20");
    let text = prompt("{{ matrix }}", &matrix);
    assert_eq!(inside(&text, "matrix"), r#"{"os":"linux","node-version":20}"#);
}

#[test]
fn notifications_and_previous_are_marked() {
    let names = json!({"previous": {"output": "try 1"}, "notifications": [{"id": "c", "status": "ok", "head": "built"}]});
    let scope = scope(names, Made::default());
    assert_eq!(inside(&prompt("{{ previous.output }}", &scope), "previous"), "try 1");
    let text =
        prompt("{% for n in notifications %}{{ n.id }} {{ n.status }} {{ n.head }}{% endfor %}", &scope);
    assert_eq!(inside(text.strip_prefix("c ok ").unwrap(), "notifications"), "built");
}

#[test]
fn an_output_longer_than_its_pass_is_cut_in_the_middle() {
    let mut made = said(&"0123456789".repeat(10));
    made.passes.insert("graph".to_owned(), pass(5, Overflow::Truncate));
    made.files.insert("graph".to_owned(), "runs/graph.txt".into());
    let text = prompt("{{ calls.graph.output }}", &scope(json!({}), made));
    assert_eq!(
        inside(&text, "graph"),
        "0123456789\n[… 80 of 100 bytes left out; the whole output is in runs/graph.txt]\n0123456789"
    );
}

#[test]
fn a_long_output_can_be_given_as_a_file_or_fail_the_call() {
    let long = |overflow: Overflow| {
        let mut made = said(&"x".repeat(80_000));
        made.passes.insert("graph".to_owned(), pass(16_000, overflow));
        made.files.insert("graph".to_owned(), "runs/graph.txt".into());
        let template = read("See {{ calls.graph.output }}.", Destination::Prompt);
        template.render(&scope(json!({}), made), Destination::Prompt)
    };
    assert_eq!(
        long(Overflow::File).unwrap().text,
        "See [the output of graph is 80,000 bytes; read it in runs/graph.txt]."
    );
    assert_eq!(
        long(Overflow::Fail).unwrap_err(),
        RenderError {
            message: "the output of `graph` is 80,000 bytes, more than its `pass.max_tokens` of 16.0k lets through (64,000 bytes)".to_owned(),
            at: Span { file: 0, start: 7, end: 25 },
        }
    );
}

#[test]
fn only_the_fields_that_pass_names_are_given() {
    let fields = |call: serde_json::Value, text: &str| {
        let mut made = graph(call);
        let fields = vec!["b".to_owned(), "z".to_owned()];
        made.passes.insert("graph".to_owned(), Pass { fields, ..pass(1000, Overflow::Truncate) });
        read(text, Destination::Prompt).render(&scope(json!({}), made), Destination::Prompt)
    };
    let json = json!({"output": r#"{"a": 1, "b": [2]}"#, "json": {"a": 1, "b": [2]}});
    for text in ["{{ calls.graph.output }}", "{{ calls.graph.json }}"] {
        assert_eq!(inside(&fields(json.clone(), text).unwrap().text, "graph"), r#"{"b":[2]}"#);
    }
    assert_eq!(fields(json, "{{ calls.graph.json.a }}").unwrap().text, "1");
    let error = fields(json!({"output": "words"}), "{{ calls.graph.output }}").unwrap_err();
    assert_eq!(error.message, "`pass.fields` of `graph` needs a JSON object, which its output is not");
}

#[test]
fn a_pass_as_a_file_gives_the_path() {
    let mut made = said("x");
    made.passes.insert("graph".to_owned(), Pass { as_file: true, ..pass(1000, Overflow::Truncate) });
    made.files.insert("graph".to_owned(), "runs/graph.txt".into());
    let scope = scope(json!({}), made);
    assert_eq!(prompt("Read {{ calls.graph.output }}", &scope), "Read runs/graph.txt");
    assert_eq!(inside(&prompt("{{ calls.graph.output | upper }}", &scope), "graph"), "X");
}

#[test]
fn a_raw_text_takes_values_as_they_are() {
    let made = graph(json!({"output": "a\nb", "json": {"k": [1, 2.0, null, "x"]}}));
    let template =
        read("{{ calls.graph.output }}|{{ calls.graph.json }}|{{ none }}|{{ true }}\n", Destination::Raw);
    let rendered = template.render(&scope(json!({}), made), Destination::Raw).unwrap();
    assert_eq!(rendered.text, "a\nb|{\"k\":[1,2.0,null,\"x\"]}||true\n");
}

#[test]
fn a_missing_value_is_named_where_it_is_missing() {
    let error = |text: &str, made: Made| {
        let error = read(text, Destination::Prompt)
            .render(&scope(json!({"vars": {"good": {}}}), made), Destination::Prompt)
            .unwrap_err();
        let under = text[error.at.start as usize..error.at.end as usize].to_owned();
        (error.message, under)
    };
    let expected = |message: &str, under: &str| (message.to_owned(), under.to_owned());
    assert_eq!(
        error("x {{ calls.graph.output }} {{ vars.good }}", Made::default()),
        expected("`calls.graph` has no value", "calls.graph.output")
    );
    assert_eq!(
        error("{{ vars.good.at }} {{ calls.graph.output }}", said("x")),
        expected("`vars.good.at` has no value", "vars.good.at")
    );
    assert_eq!(
        error("{{ calls.graph.output }} {{ calls.graph.json }}", said("x")),
        expected("`calls.graph.json` has no value", "calls.graph.json")
    );
    assert_eq!(
        error("{% if calls.graph.json.a == 1 %}x{% endif %}", said("x")),
        expected("`calls.graph.json` has no value", "calls.graph.json.a == 1")
    );
    let (message, under) =
        error("{{ calls.graph.output }}{% for a in calls.graph.output | sum %}{% endfor %}", said("x"));
    assert_eq!(message, "can only sum numbers, got string");
    assert_eq!(under, "calls.graph.output | sum");
}

#[test]
fn a_template_that_does_not_end_is_an_error() {
    let nested = "{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}";
    let rendered =
        read(nested, Destination::Raw).render(&scope(json!({}), Made::default()), Destination::Raw);
    assert!(rendered.unwrap_err().message.contains("steps"));
    let large = "{% for a in range(999) %}{{ vars.text }}{% endfor %}";
    let text = scope(json!({"vars": {"text": "x".repeat(1 << 20)}}), Made::default());
    let rendered = read(large, Destination::Raw).render(&text, Destination::Raw);
    assert_eq!(rendered.unwrap_err().message, "this template comes to more than 64 MiB");
    let kept = format!("{{% set x %}}{large}{{% endset %}}");
    let rendered = read(&kept, Destination::Raw).render(&text, Destination::Raw);
    assert_eq!(rendered.unwrap_err().message, "this template comes to more than 64 MiB");
}

#[test]
fn a_text_without_tags_is_not_touched() {
    let template = read("{ \"a\": } \n", Destination::Prompt);
    assert!(template.is_literal());
    let scope = scope(json!({}), Made::default());
    assert_eq!(template.render(&scope, Destination::Prompt).unwrap().text, "{ \"a\": } \n");
    let literal = Template::literal("{{ calls.x }}", Span::default());
    assert_eq!(literal.render(&scope, Destination::Prompt).unwrap().text, "{{ calls.x }}");
}

#[test]
fn a_file_beneath_the_plan_can_be_read_in() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("rules.md"), "Be {{ brief }}.").unwrap();
    let scope = Scope { dir: Arc::new(dir.path().to_owned()), ..scope(json!({}), Made::default()) };
    assert_eq!(prompt("{{ 'rules.md' | read }}", &scope), "Be {{ brief }}.");
    assert_eq!(prompt("{% for f in '*.md' | glob %}{{ f }}{% endfor %}", &scope), "rules.md");
    let error =
        read("{{ '../x' | read }}", Destination::Prompt).render(&scope, Destination::Prompt).unwrap_err();
    assert_eq!(error.message, "`read` cannot read `../x`: the path leads out of the plan's folder");
}

proptest! {
    #[test]
    fn whatever_a_call_said_stands_in_the_prompt_as_it_is(text in any::<String>(), tail in any::<String>()) {
        let scope = scope(json!({}), said(&text));
        let prompt = prompt("Given {{ calls.graph.output }}.", &scope);
        let marked = prompt.strip_prefix("Given ").unwrap().strip_suffix('.').unwrap();
        prop_assert_eq!(inside(marked, "graph"), text.clone());
        // Not even one who knows the marker of a text can write a text that holds its own.
        let forged = format!("{text}{marked}{tail}");
        let again = super::prompt::prompt("{{ calls.graph.output }}", &super::scope(json!({}), said(&forged)));
        prop_assert_eq!(inside(&again, "graph"), forged);
    }

    #[test]
    fn a_cut_keeps_head_and_tail(text in "\\PC{0,200}", tokens in 0_u64..40) {
        let limit = tokens as usize * 4;
        match super::super::insertion::cut_middle(&text, limit, None) {
            None => prop_assert!(text.len() <= limit),
            Some(cut) => {
                let (head, rest) = cut.split_once("[… ").unwrap();
                let (mark, tail) = rest.split_once(" bytes left out]\n").unwrap();
                let head = head.strip_suffix('\n').unwrap_or(head);
                prop_assert!(text.starts_with(head) && text.ends_with(tail));
                prop_assert!(head.len() + tail.len() <= limit);
                let left_out: usize = mark.split(' ').next().unwrap().replace(',', "").parse().unwrap();
                prop_assert!(left_out + head.len() + tail.len() == text.len());
            }
        }
    }
}
