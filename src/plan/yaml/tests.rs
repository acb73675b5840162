//! YAML as plans use it, and everything that is refused.

use super::explain::QUOTE_BRACES;
use super::*;
use crate::plan::diagnostic::Sources;

/// The tree in a line: lists in brackets, maps in braces, texts as they stand.
fn shape(node: &Node<'_>) -> String {
    match &node.target().kind {
        Kind::Scalar(text, Style::Plain) => text.to_string(),
        Kind::Scalar(text, _) => format!("{text:?}"),
        Kind::List(items) => format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(", ")),
        Kind::Map(entries) => {
            let lines: Vec<String> =
                entries.iter().map(|entry| format!("{}: {}", entry.key, shape(&entry.value))).collect();
            format!("{{{}}}", lines.join(", "))
        }
        Kind::Shared(_) | Kind::Broken => "!".to_owned(),
    }
}

fn range(at: Span) -> std::ops::Range<usize> {
    at.start as usize..at.end as usize
}

fn tree(text: &str) -> String {
    let mut faults = Vec::new();
    let node = parse(text, 0, &mut faults);
    assert_eq!(faults, [], "{text}");
    shape(&node.unwrap())
}

/// Each fault as `line:column code message`, and where its related places are.
fn faults(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    parse(text, 0, &mut faults);
    let sources = Sources { files: vec![("f".into(), text.into())] };
    let show = |fault: &Diagnostic| {
        let (line, column) = sources.position(fault.at);
        let related = fault.related.iter().map(|(at, words)| {
            let (line, column) = sources.position(*at);
            format!(" [{line}:{column} {words}]")
        });
        format!("{line}:{column} {} {}{}", fault.code, fault.message, related.collect::<String>())
    };
    faults.iter().map(show).collect()
}

fn value<'n, 's>(node: &'n Node<'s>, key: &str) -> &'n Node<'s> {
    let Kind::Map(entries) = &node.target().kind else { panic!("no map") };
    &entries.iter().find(|entry| entry.key == key).unwrap().value
}

#[test]
fn every_style_of_scalar_keeps_its_text_and_place() {
    let text =
        "\u{feff}a: |\r\n  one\r\n  two\r\n\r\nb: >-\n   x\n   y\nc: 'q''q'\nd: \"é\\n\"\ne: é x\ng:\n";
    let mut faults = Vec::new();
    let node = parse(text, 0, &mut faults).unwrap();
    assert_eq!(faults, []);
    let table = [
        ("a", "one\ntwo\n", Style::Literal, "one\r\n  two\r\n\r\n"),
        ("b", "x y", Style::Folded, "x\n   y\n"),
        ("c", "q'q", Style::SingleQuoted, "'q''q'"),
        ("d", "é\n", Style::DoubleQuoted, "\"é\\n\""),
        ("e", "é x", Style::Plain, "é x"),
        ("g", "~", Style::Plain, "g"),
    ];
    for (key, expected, style, raw) in table {
        let node = value(&node, key);
        assert!(
            matches!(&node.kind, Kind::Scalar(text, found) if text == expected && *found == style),
            "{key}: {node:?}"
        );
        assert_eq!(&text[range(node.at)], raw, "{key}");
    }
}

#[test]
fn merge_keys_lose_to_own_keys_wherever_they_stand() {
    assert_eq!(
        tree("b: &b {x: 1, y: 2}\nc: {<<: *b, y: 3}\nd: {y: 3, <<: *b}\n"),
        "{b: {x: 1, y: 2}, c: {y: 3, x: 1}, d: {y: 3, x: 1}}"
    );
    assert_eq!(
        tree("a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b]}\n"),
        "{a: {x: 1}, b: {x: 2, y: 2}, c: {x: 1, y: 2}}",
        "of several the first wins"
    );
    assert_eq!(tree("c: {<<: {x: 1}, \"<<\": 2}"), "{c: {<<: 2, x: 1}}", "quoted it is a key like any other");
}

#[test]
fn what_comes_through_an_alias_knows_where_it_was_used() {
    let text = "b: &b {x: 1}\nc: *b\nd: {<<: *b}\n";
    let mut faults = Vec::new();
    let node = parse(text, 0, &mut faults).unwrap();
    let used = |node: &Node<'_>| node.used.as_deref().map(|at| text[range(*at)].to_owned());
    assert_eq!(used(value(&node, "c")), Some("*b".to_owned()));
    let merged = value(value(&node, "d"), "x");
    assert_eq!(used(merged), Some("*b".to_owned()));
    assert_eq!(&text[range(merged.at)], "1");
}

#[test]
fn a_key_that_stands_twice_is_reported_with_both_places_and_kept() {
    assert_eq!(
        faults("a: 1\nb: 2\na: 3\na: 4\n"),
        [
            "3:1 E0103 the key `a` stands twice [1:1 first here]",
            "4:1 E0103 the key `a` stands twice [1:1 first here]"
        ]
    );
    let many: String = (0..20).map(|n| format!("k{n}: 0\n")).collect();
    assert_eq!(faults(&format!("{many}k7: 1\n")), ["21:1 E0103 the key `k7` stands twice [8:1 first here]"]);
    let mut found = Vec::new();
    let text = "a: 1\na: 2\n";
    assert_eq!(shape(&parse(text, 0, &mut found).unwrap()), "{a: 1, a: 2}");
}

#[test]
fn aliases_that_lead_nowhere_are_named() {
    assert_eq!(
        faults("a: *nix\nb: [*x]"),
        [
            "1:4 E0111 `*nix` refers to an anchor that is not defined above",
            "2:5 E0111 `*x` refers to an anchor that is not defined above",
        ]
    );
    assert_eq!(faults("a: &a [*a]"), ["1:8 E0111 this alias stands inside the value that it refers to"]);
    assert_eq!(faults("a: &a 1\nb: {<<: *a}"), ["2:9 E0111 only a map, or a list of maps, can be merged"]);
}

#[test]
fn a_bomb_is_refused_at_once() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let uses = vec![format!("*a{}", n - 1); 9].join(", ");
        bomb.push_str(&format!("a{n}: &a{n} [{uses}]\n"));
    }
    let found = faults(&bomb);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("E0104 the aliases up to here stand for more than"), "{found:?}");
}

#[test]
fn aliases_do_not_reach_deeper_than_the_limit() {
    // Each level is only four deep as written, but stands in the next one.
    let mut text = String::from("a0: &a0 [[[x]]]\n");
    for n in 1..40 {
        text.push_str(&format!("a{n}: &a{n} [[[*a{}]]]\n", n - 1));
    }
    assert!(faults(&text)[0].contains("E0104 this is nested more than 64 levels deep"));
}

#[test]
fn deep_nesting_is_refused_by_name() {
    for text in ["[".repeat(5_000), "- ".repeat(5_000), "{a: ".repeat(5_000)] {
        let found = faults(&text);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("E0104 this is nested more than 64 levels deep"), "{found:?}");
    }
    assert_eq!(tree(&format!("{}x{}", "[".repeat(64), "]".repeat(64))).len(), 129);
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let text = " ".repeat(MAX_BYTES + 1);
    assert_eq!(faults(&text), ["1:1 E0104 the file has 16777217 bytes; at most 16777216 are read"]);
}

#[test]
fn what_plans_do_not_have_is_refused_by_name() {
    assert_eq!(faults("a: !secret x"), ["1:4 E0109 the tag `!secret` is not allowed: plans have no tags"]);
    assert_eq!(
        faults("a: 1\n---\nb: 2"),
        ["2:1 E0109 a second document begins here; a plan is one document"]
    );
    assert_eq!(faults("[a]: 1\nb: 2"), ["1:1 E0102 a key must be a text"]);
    assert_eq!(faults(""), ["1:1 E0102 the file is empty"]);
    assert_eq!(faults("# only a comment\n"), ["1:1 E0102 the file is empty"]);
}

#[test]
fn syntax_errors_have_a_place_and_say_what_to_do() {
    let help = |text: &str| {
        let mut faults = Vec::new();
        parse(text, 0, &mut faults);
        assert_eq!(faults.len(), 1, "{text:?} {faults:?}");
        let fault = faults.remove(0);
        (fault.at.start, fault.message, fault.help.unwrap_or_default())
    };
    let (at, message, advice) = help("calls:\n\ta: 1\n");
    assert_eq!((at, message.as_str()), (7, "a tab stands where YAML allows only spaces"));
    assert_eq!(advice, "indent with spaces");
    assert_eq!(
        help("a: do this: that").2,
        "a text with `: ` in it needs quotes, or `|` and a line of its own"
    );
    assert_eq!(help("a: `x`").2, "a text that begins with this character needs quotes");
    assert_eq!(help("a: {{ vars.x }}").2, QUOTE_BRACES);
    assert_eq!(help("a: {{ vars.x }} and more").2, QUOTE_BRACES);
    assert!(help("a: \"x").1.starts_with("this is not YAML: "));
}
