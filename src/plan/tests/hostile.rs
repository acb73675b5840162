//! Texts that nobody would write, and edits that anybody makes.

use super::*;
use proptest::prelude::*;

const SAMPLE: &str = "version: 1
goal: Finde héraus {{ vars.x }}
x-base: &base { timeout: 5m, env: { A: \"1\" } }
vars: { x: 1, y: { required: false, type: integer, default: 2 } }
agents: { e: { model: anthropic/claude-sonnet-5, system: 'be {{ vars.y }}' } }
defaults: { agent: e, retries: 2 }
calls:
  a: { <<: *base, run: \"echo {{ vars.x }}\" }
  b:
    prompt: |
      Look at {{ calls.a.output }} and 日本
      {% if calls.a.status == 'ok' %}fine{% endif %}
    for_each: [1, '{{ vars.x }}']
    output: { schema: { type: object } }
  c: { reconcile: { of: [a, b], strategy: vote, on: /v, min: 50% }, matrix: { os: [l, m], include: [{ os: w }] } }
  d: { stop: { status: success, reason: '{{ calls.c.outputs }}' }, when: calls.c.status == 'ok', needs: { a: done } }
reconcile: { strategy: compare }
require: { a: all, b: 2 }
";

/// Whatever the text, reading it comes back, and every place lies in its file.
fn survives(text: &str) -> Result<(), TestCaseError> {
    let loaded = read(text);
    prop_assert_eq!(loaded.plan.is_none(), loaded.has_errors());
    for fault in &loaded.diagnostics {
        for at in std::iter::once(&fault.at).chain(fault.related.iter().map(|(at, _)| at)) {
            let (_, source) = &loaded.sources.files[usize::from(at.file)];
            prop_assert!(
                source.get(at.start as usize..at.end as usize).is_some(),
                "{:?} in {:?}",
                fault,
                source
            );
        }
    }
    prop_assert_eq!(
        render(&loaded.diagnostics, &loaded.sources, false).is_empty(),
        loaded.diagnostics.is_empty()
    );
    Ok(())
}

#[test]
fn the_sample_is_sound() {
    plan(SAMPLE);
}

#[test]
fn what_was_found_once_is_not_found_again() {
    // A fault in the middle of a character.
    survives(&SAMPLE.replace("{{ vars.x }}", "{{é vars.x }}")).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn an_edited_plan_is_read_or_refused(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..4, "[ \n\t:{}\\[\\]&*!|>'\"#%@`,?a-c0-2é-]{0,3}"), 1..4)
    ) {
        let mut text: Vec<char> = SAMPLE.chars().collect();
        for (at, remove, insert) in edits {
            let at = at.index(text.len());
            let end = (at + remove).min(text.len());
            text.splice(at..end, insert.chars());
        }
        survives(&text.into_iter().collect::<String>())?;
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,80}") {
        survives(&text)?;
    }

    #[test]
    fn any_value_of_a_key_is_read_or_refused(
        key in prop::sample::select(vec!["run", "needs", "for_each", "matrix", "env", "output", "repeat", "pass", "reconcile", "value", "agent", "check", "stop", "with", "join", "tags", "timeout", "sandbox", "cache"]),
        value in "[a-c:{}\\[\\], '\"0-9%/]{0,20}"
    ) {
        survives(&call(&format!("prompt: x\n{key}: {value}")))?;
    }
}
