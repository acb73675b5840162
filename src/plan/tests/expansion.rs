//! `for_each`, `matrix`, `samples` and what goes with them.

use super::*;
use serde_json::json;

#[test]
fn lists_stay_lists_and_templates_make_them_dynamic() {
    let plan = plan(
        "vars: { x: src }
calls:
  a: { run: 'wc -l {{ item }}', for_each: [a.rs, { n: 1 }, 3] }
  b: { run: 'wc -l {{ file }} {{ index }}', for_each: ['{{ vars.x }}/a', b], as: file }
  c: { run: 'wc -l {{ item.path }}', for_each: 'calls.a.outputs' }
  d: { prompt: hi, samples: 5, join: any, concurrency: 2 }
",
    );
    assert!(
        matches!(&plan.calls[0].expand, Some(Expand::List(list)) if *list == [json!("a.rs"), json!({"n": 1}), json!(3)])
    );
    assert!(
        matches!(&plan.calls[1].expand, Some(Expand::Dynamic(e)) if &*e.source == r#"[((vars.x) ~ "/a"),"b",]"#
        || &*e.source == r#"[("" ~ (vars.x) ~ "/a"),"b",]"#),
        "{:?}",
        plan.calls[1].expand
    );
    assert_eq!(plan.calls[1].item_name, "file");
    assert!(matches!(&plan.calls[2].expand, Some(Expand::Dynamic(_))));
    assert_eq!(plan.calls[2].needs[0].call, 0);
    assert!(matches!(plan.calls[3].expand, Some(Expand::Samples(5))));
    assert_eq!((plan.calls[3].join, plan.calls[3].concurrency), (Join::AtLeast(1), Some(2)));
}

#[test]
fn a_matrix_is_multiplied_out_with_include_and_exclude() {
    let plan = plan(
        "calls:
  a:
    run: build {{ matrix.os }} {{ matrix.node }} {{ matrix.experimental }}
    matrix:
      os: [linux, mac]
      node: [18, 20]
      exclude: [{ os: mac, node: 18 }]
      include: [{ node: 20, experimental: true }, { os: windows, node: 22 }]
",
    );
    let Some(Expand::Matrix(combinations)) = &plan.calls[0].expand else { panic!() };
    assert_eq!(
        json!(combinations),
        json!([
            {"os": "linux", "node": 18},
            {"os": "linux", "node": 20, "experimental": true},
            {"os": "mac", "node": 20, "experimental": true},
            {"os": "windows", "node": 22}
        ])
    );
}

#[test]
fn what_cannot_be_expanded_is_named() {
    let table = [
        ("run: x\nmatrix: {}", "4:13: E0305 the matrix has no axes"),
        ("run: x\nmatrix: { os: [] }", "4:15: E0305 the axis `os` has no values"),
        ("run: x\nmatrix: { os: linux }", "4:19: E0107 expected a list, found the text `linux`"),
        (
            "run: x\nmatrix: { os: [a], exclude: [{ so: a }] }",
            "4:36: E0305 `exclude` names `so`, which is no axis",
        ),
        (
            "run: x\nmatrix: { os: [a], exclude: [{ os: a }] }",
            "4:13: E0305 `exclude` leaves no combination of this matrix",
        ),
        ("run: x\nmatrix: { os: ['{{ vars.x }}'] }", "4:20: E0410 templates are not allowed in a matrix"),
        (
            "run: x\nfor_each: { a: 1 }",
            "4:15: E0107 expected a list, or an expression that gives one, found a map",
        ),
        ("run: x\nfor_each: [1]\nsamples: 2", "5:5: E0110 `one` has both `for_each` and `samples`"),
        ("run: x\nfor_each: [1]\nas: vars", "5:9: E0201 `vars` means something else in templates"),
        ("run: x\nfor_each: [1]\njoin: some", "5:11: E0302 unknown join `some`; it can be `all` or `any`"),
        (
            "run: x\nsamples: 3\njoin: 4",
            "5:11: E0310 this call has 3 instances; 4 of them can never be enough",
        ),
        (
            "run: x\nfor_each: [1]\njoin: 2",
            "5:11: E0310 this call has 1 instance; 2 of them can never be enough",
        ),
        ("run: echo {{ item }}\nsamples: 2", "3:18: E0402"),
        ("run: echo {{ matrix.so }}\nmatrix: { os: [a] }", "3:25: E040"),
    ];
    for (keys, expected) in table {
        let found = faults(&call(keys));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{keys}: {found:?}");
    }
}

#[test]
fn a_matrix_that_explodes_is_not_multiplied_out() {
    let axes: String = (0..10).map(|n| format!("a{n}: [1, 2, 3, 4, 5, 6, 7, 8, 9, 0], ")).collect();
    let found = faults(&call(&format!("run: x\nmatrix: {{ {axes} }}")));
    assert_eq!(
        found,
        ["4:13: E0305 the matrix has 10000000000 combinations; at most 100000 are multiplied out"]
    );
}

#[test]
fn an_expanded_call_is_mentioned_as_a_list() {
    let text = "calls:\n  a: { run: x, samples: 2 }\n  b: { prompt: '{{ calls.a.output }}' }\n";
    assert!(faults(text)[0].contains("E0404"), "{:?}", faults(text));
    plan(&text.replace("a.output", "a.outputs"));
}
