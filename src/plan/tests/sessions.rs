//! `session`: the calls of one come one after the other, and one agent has all of it.

use super::*;

fn with(calls: &str) -> String {
    format!(
        "agents:\n  ann: {{ model: anthropic/claude-sonnet-5 }}\n  bob: {{ model: openai/gpt-5 }}\n\
         defaults: {{ agent: ann }}\ncalls:\n{calls}"
    )
}

#[test]
fn each_call_of_a_session_needs_the_one_before_it() {
    let text = with(
        "  a: { prompt: x, session: s }\n  b: { prompt: x }\n  c: { prompt: x, session: t }\n  \
         d: { prompt: x, session: s }\n  e: { prompt: x, session: s, needs: { d: done } }\n  f: { prompt: x, session: t }\n",
    );
    let plan = plan(&text);
    let previous =
        |call: &Call| call.session.as_ref().map(|session| (session.name.clone(), session.previous));
    let expected = [
        Some(("s", None)),
        None,
        Some(("t", None)),
        Some(("s", Some(0))),
        Some(("s", Some(3))),
        Some(("t", Some(2))),
    ];
    let expected: Vec<_> = expected.map(|it| it.map(|(name, at)| (name.to_owned(), at))).into();
    assert_eq!(plan.calls.iter().map(previous).collect::<Vec<_>>(), expected);
    let needs =
        |call: &Call| call.needs.iter().map(|need| (need.call, need.accept, need.data)).collect::<Vec<_>>();
    assert_eq!(needs(&plan.calls[3]), [(0, Accept::Success, true)]);
    assert_eq!(needs(&plan.calls[4]), [(3, Accept::Done, true)], "what is written decides what is accepted");
    assert_eq!(plan.reconcile.of, [1, 4, 5], "an answer that is gone on from is no result by itself");
}

#[test]
fn a_default_session_is_for_calls_with_a_prompt() {
    let plan = plan(
        "defaults: { session: s, agent: { model: anthropic/claude-sonnet-5 } }\ncalls:\n  a: { prompt: x }\n  b: { run: x }\n  c: { prompt: x }\n",
    );
    let sessions = plan.calls.iter().map(|call| call.session.as_ref().map(|session| session.previous));
    assert_eq!(sessions.collect::<Vec<_>>(), [Some(None), None, Some(Some(0))]);
}

#[test]
fn what_cannot_be_one_conversation_is_refused_with_what_to_write() {
    let first = "  a: { prompt: x, session: s }\n";
    for (second, fault) in [
        ("{ run: x, session: s }", "`session` means nothing in `b`: it belongs to a call with a `prompt`"),
        (
            "{ prompt: x, session: s, agent: bob }",
            "`b` goes on with the session `s` as `bob`, and `a` before it is `ann`",
        ),
        ("{ prompt: x, session: s, samples: 3 }", "`b` is several calls at once"),
        ("{ prompt: x, session: s, for_each: [1, 2] }", "`b` is several calls at once"),
        ("{ prompt: x, session: s, isolation: worktree }", "`b` works in a workspace of its own"),
        ("{ prompt: x, session: s, cache: true }", "`b` may take over the result of another run"),
        ("{ prompt: x, session: s, cwd: sub }", "`b` and `a` share the session `s` and not their `cwd`"),
        (
            "{ prompt: x, session: s, needs: [a], needs_at_least: 1 }",
            "`b` may begin before the call before it in its session has ended",
        ),
        ("{ prompt: x, session: '' }", "the session has no name"),
    ] {
        let loaded = read(&with(&format!("{first}  b: {second}\n")));
        let [one] = loaded.diagnostics.as_slice() else { panic!("{second}: {:?}", lines(&loaded)) };
        assert!(one.message.starts_with(fault), "{second}: {}", one.message);
        assert!(one.help.is_some() || second.contains("''"), "{second}");
    }
}

#[test]
fn an_order_against_that_of_the_plan_is_a_cycle() {
    let text =
        with("  a: { prompt: \"{{ calls.b.output }}\", session: s }\n  b: { prompt: x, session: s }\n");
    assert_eq!(faults(&text), ["6:20: E0203 these calls need each other: a → b → a"]);
}
