//! What is found when a template is read.

use super::*;

const WRONG: &[&str] = &[
    // Names.
    "{{ vars.god }}",
    "{{ vars.unheard_of }}",
    "{{ good }}",
    "{{ graph.output }}",
    "{{ var.good }}",
    "{{ steps.graph.output }}",
    "{{ nonsense }}",
    "{{ loop.index }}",
    "{{ notification }}",
    "{{ output }}",
    "{{ env.HOMR }}",
    "{{ env.PATH }}",
    "{{ matrix.oss }}",
    "{{ run.idd }}",
    "{{ reconcile.output }}",
    // Calls.
    "{{ calls.grahp.output }}",
    "{{ calls.nobody.output }}",
    "{{ calls.graph.outptu }}",
    "{{ calls.graph.text }}",
    "{{ calls.graph.outputs }}",
    "{{ calls.review.output }}",
    "{{ calls.review.outputs.output }}",
    "{{ calls.graph }}",
    "{{ calls.review }}",
    "{{ calls }}",
    "{% for c in calls %}{{ c }}{% endfor %}",
    "{{ calls[vars.good].output }}",
    "{{ calls[0] }}",
    "{{ calls['graph'].outptu }}",
    "{{ calls.graph.diff }}{{ calls.graph.workspace.path }}",
    "{% for r in calls.review.outputs %}{{ r }}{{ r.ouput }}{{ r.diff }}{% endfor %}",
    // Hyphens.
    "{{ calls.call-sites.output }}",
    "{{ vars.api-key }}",
    "{{ matrix.node-version }}",
    "{{ calls.callsites.output }}",
    // Paths that may never be taken.
    "{% if false %}{{ nowhere }}{% elif nor_here %}{% else %}{{ or_here }}{% endif %}",
    "{{ 'a' if true else nowhere }}",
    "{% for a in [] %}{{ nowhere }}{% else %}{{ nor_here }}{% endfor %}",
    "{% if vars.good %}{% set x = 1 %}{% endif %}{{ x }}",
    "{% for a in vars.list if b %}{% set x = a %}{% endfor %}{{ x }}{{ a }}",
    "{% with x = y %}{{ x }}{% endwith %}{{ x }}",
    "{% set x %}{{ nowhere }}{% endset %}",
    "{% filter indent(nowhere) %}{{ nor_here }}{% endfilter %}",
    "{{ vars.text | replace(nowhere, b=nor_here) }}{{ vars.list[here:there] }}{{ {a: 1} }}{{ [b] }}{{ not c }}",
    // Filters, tests, functions, methods.
    "{{ vars.text | uper }}{{ vars.text is strng }}{{ rang(3) }}{{ upper(vars.text) }}{{ debug() }}",
    "{{ vars.text.upper() }}{{ vars.text.strip() }}{{ vars.text.startswith('a') }}{{ vars.list.append(1) }}",
    "{{ vars.list | map('uper') }}{{ vars.list | select('od') }}{{ vars.list | selectattr('a', 'eqq', 1) }}",
    "{{ loop(1) }}{% for a in vars.list %}{{ loop.indx }}{{ loop.cycle('a', b) }}{% endfor %}",
    "{% for a in vars.list recursive %}{{ loop(a) }}{% endfor %}",
    // What a template gives itself.
    "{% set __render = 1 %}{% set x.y = 1 %}",
    // Syntax.
    "one\ntwo {{ vars.good \nthree",
    "{{ vars.good } and",
    "name }} is",
    "{{ vars. }}",
    "{{ vars.good == }}",
    "{{ vars.good = 'x' }}",
    "{{ 'abc }}",
    "{{ vars.good && vars.text }}",
    "{{ vars.good ? 1 : 2 }}",
    "{% if vars.good %}",
    "{% if vars.good %}{% endfor %}",
    "{% esle %}",
    "{% include 'x' %}{% macro f() %}{% endmacro %}",
    "${#x} {{ vars.good }}",
    "{{ }}",
    "{{ vars.good | }}",
    "{{ a b }}",
];

#[test]
fn what_is_wrong_is_said_where_it_is_with_what_to_write() {
    let mut report = String::new();
    for text in WRONG {
        report += &format!("{text}\n");
        let found = faults(text, Destination::Prompt);
        assert!(!found.is_empty(), "nothing is wrong with {text}?");
        for fault in found {
            report += &format!("    {fault}\n");
        }
    }
    insta::assert_snapshot!(report);
}

#[test]
fn what_is_right_is_left_alone() {
    for text in [
        "{{ calls.graph.output }}{{ calls.graph.json.a['b'][0] }}{{ calls['call-sites'].error }}",
        "{% for r in calls.review.outputs %}{{ loop.index }}{{ loop.previtem.output if not loop.first }}{{ r.item }}{% endfor %}",
        "{% for r in calls.review.outputs | selectattr('status', 'eq', 'ok') | reverse %}{{ r.output }}{% endfor %}",
        "{{ calls.review.outputs | map(attribute='output') | join('\n') }}",
        "{% if vars.good %}{% set x = 1 %}{% else %}{% set x = 2 %}{% endif %}{{ x }}",
        "{% if vars.good %}{% set x = 1 %}{% endif %}{{ x is defined }}{{ x | default('no') }}",
        "{% set x = 0 %}{% for a in vars.list %}{% set x = a %}{{ x }}{% endfor %}{{ x }}",
        "{% for k, v in vars.good | items %}{{ k }}={{ v }}{% endfor %}",
        "{% for item in vars.list %}{{ item }}{% endfor %}{{ item }}",
        "{{ vars['api-key'] }}{{ matrix['node-version'] }}{{ vars[item] }}{{ env.HOME }}{{ env.good }}",
        "{{ range(3) | list }}{{ dict(a=1) }}{{ vars.count - 1 }}{{ vars.count-vars.count }}",
        "{{ run.id }}{{ run.dir }}{{ goal }}{{ index }}{{ round }}{{ previous.output }}{{ notifications | length }}",
        "{{ calls.graph.usage.output }}{{ calls.review.status }}{{ calls.review.outputs[0].json.x }}",
        "{% raw %}{{ nowhere }}{% endraw %}{# {{ nowhere }} #}",
        "{{ vars.text is startingwith 'a' }}{{ vars.count in vars.list }}{{ vars.list | map('upper') | list }}",
    ] {
        assert_eq!(faults(text, Destination::Prompt), [""; 0], "{text}");
    }
}

#[test]
fn what_is_only_in_scope_elsewhere_is_said_so() {
    let known = known();
    let mut found = Vec::new();
    let mut check = |text: &str, names: &Names| {
        let mut faults = Vec::new();
        template(&plain(text), names, Destination::Prompt, &mut faults);
        found.extend(shown(text, &faults));
    };
    let call = Names::call(&known);
    for text in [
        "{{ item }}",
        "{{ matrix.os }}",
        "{{ index }}",
        "{{ previous }}",
        "{{ round }}",
        "{{ reconcile.json }}",
    ] {
        check(text, &call);
    }
    check("{{ item }}", &Names { item: Some("file"), ..call.clone() });
    let vars = Names::vars(&known);
    for text in ["{{ calls.graph.output }}", "{{ goal }}", "{{ run.id }}", "{{ graph }}"] {
        check(text, &vars);
    }
    let expected = [
        "E0402 [item] `item` is not in scope here (only calls with `for_each` have it)",
        "E0402 [matrix] `matrix` is not in scope here (only calls with `matrix` have it)",
        "E0402 [index] `index` is not in scope here (only calls with `for_each`, `matrix` or `samples` have it)",
        "E0402 [previous] `previous` is not in scope here (only calls with `repeat` have it)",
        "E0402 [round] `round` is not in scope here (only calls with `repeat` have it)",
        "E0402 [reconcile] `reconcile` is not in scope here (it exists once the parent's last step is done)",
        "E0402 [item] `item` is not defined (this call names its item with `as`: write `file`)",
        "E0402 [calls] `calls` is not in scope here (no call has run yet when this is read)",
        "E0402 [goal] `goal` is not in scope here (only what is read when a call starts has it)",
        "E0402 [run] `run` is not in scope here (only what is read when a call starts has it)",
        "E0402 [graph] `graph` is not defined (in scope are `vars` and `env`)",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_fault_is_placed_inside_of_its_scalar() {
    let file = "calls:\n  a:\n    prompt: |\n      One\n\n        {{ vars.god }} and\n      {{ calls.grph.output }}\n";
    let start = file.find('|').unwrap();
    let text = "One\n\n  {{ vars.god }} and\n{{ calls.grph.output }}\n";
    let at = Span { file: 0, start: start as u32, end: file.len() as u32 };
    let scalar = ScalarText { text, at, raw: &file[start..], style: Style::Literal };
    let known = known();
    let mut faults = Vec::new();
    template(&scalar, &Names::call(&known), Destination::Prompt, &mut faults);
    let sources = crate::plan::diagnostic::Sources { files: vec![("plan.yaml".into(), file.into())] };
    let places: Vec<_> = faults.iter().map(|fault| sources.position(fault.at)).collect();
    assert_eq!(places, [(6, 17), (7, 16)]);

    let quoted = r#"when: "'a' == \"{{ x }}\" and nowhere""#;
    let text = "'a' == \"{{ x }}\" and nowhere";
    let at = Span { file: 0, start: 6, end: quoted.len() as u32 };
    let scalar = ScalarText { text, at, raw: &quoted[6..], style: Style::DoubleQuoted };
    let mut faults = Vec::new();
    expression(&scalar, &Names::call(&known), &mut faults);
    assert_eq!(
        shown(quoted, &faults),
        [
            "E0402 [nowhere] `nowhere` is not defined (in scope are `vars`, `calls`, `env`, `goal`, `run` and `notifications`)"
        ]
    );
}

#[test]
fn every_fault_is_reported_in_one_go() {
    let text =
        "{{ a }} {{ calls.b.output }} {% if c %}{{ vars.d }}{% endif %} {{ e | f }} {{ calls.graph.g }}";
    assert_eq!(faults(text, Destination::Raw).len(), 7);
}

#[test]
fn a_plan_of_thousands_of_calls_with_thousands_of_faults_is_read() {
    let mut known = Known::new();
    for n in 0..10_000 {
        known.add_call(&format!("call_{n}"), CallShape::Single);
    }
    let mut faults = Vec::new();
    for n in 0..10_000 {
        let names = Names::call(&known);
        template(
            &plain("List every call site of { legacyClient.fetch }."),
            &names,
            Destination::Prompt,
            &mut faults,
        );
        if n % 10 == 0 {
            let text = format!("See {{{{ calls.call_{n}.output }}}}, {{{{ calls.coll_{n}.output }}}}");
            template(&plain(&text), &names, Destination::Prompt, &mut faults);
        }
    }
    assert_eq!(faults.len(), 1_000);
    assert_eq!(faults[7].help.as_deref(), Some("did you mean `calls.call_70`?"));
}
