//! Needs: what is written, what is mentioned, what goes round in circles.

use super::*;

fn needs(plan: &Plan, call: usize) -> Vec<(usize, Accept, bool)> {
    plan.calls[call].needs.iter().map(|need| (need.call, need.accept, need.data)).collect()
}

const AB: &str = "calls:\n  a: { run: a }\n  b: { run: b }\n";

#[test]
fn needs_are_a_name_a_list_or_a_map() {
    for written in ["a", "[a]", "{ a: success }"] {
        let plan = plan(&format!("{AB}  c: {{ run: c, needs: {written} }}\n"));
        assert_eq!(needs(&plan, 2), [(0, Accept::Success, false)], "{written}");
    }
    let plan = plan(&format!("{AB}  c: {{ run: c, needs: {{ b: done, a: success }}, needs_at_least: 1 }}\n"));
    assert_eq!(needs(&plan, 2), [(0, Accept::Success, false), (1, Accept::Done, false)]);
    assert_eq!(plan.calls[2].needs_at_least, Some(1));
}

#[test]
fn a_mention_needs_success_unless_only_the_status_is_asked_for() {
    let status = plan(&format!("{AB}  c: {{ prompt: 'It was {{{{ calls.a.status }}}}.' }}\n"));
    assert_eq!(needs(&status, 2), [(0, Accept::Done, true)]);
    let both = plan(&format!("{AB}  c: {{ prompt: '{{{{ calls.a.status }}}} {{{{ calls.a.output }}}}' }}\n"));
    assert_eq!(needs(&both, 2), [(0, Accept::Success, true)]);
    let explicit =
        plan(&format!("{AB}  c: {{ prompt: '{{{{ calls.a.output }}}}', needs: {{ a: done }} }}\n"));
    assert_eq!(needs(&explicit, 2), [(0, Accept::Done, true)], "what is written wins");
    let when = plan(&format!("{AB}  c: {{ run: c, when: calls.b.status == 'failed' }}\n"));
    assert_eq!(needs(&when, 2), [(1, Accept::Done, true)]);
}

#[test]
fn unknown_calls_and_calls_that_need_themselves_are_named() {
    assert_eq!(
        lines(&read(&format!("{AB}  call_sites: {{ run: c, needs: [callSites, x] }}\n"))),
        [
            "4:33: E0202 there is no call `callSites` (did you mean `call_sites`?)",
            "4:44: E0202 there is no call `x` (the calls are `a`, `b` or `call_sites`)",
        ]
    );
    assert_eq!(faults(&format!("{AB}  c: {{ run: c, needs: [c] }}\n")), ["4:24: E0203 `c` needs itself"]);
    let own = faults(&format!("{AB}  c: {{ prompt: '{{{{ calls.c.output }}}}' }}\n"));
    assert_eq!(own, ["4:20: E0203 `c` mentions itself"]);
    assert!(
        faults(&format!("{AB}  c: {{ run: c, needs: {{ a: success, b: finished }} }}\n"))[0]
            .contains("E0302")
    );
    assert_eq!(
        faults(&format!("{AB}  c: {{ run: c, needs: [a], needs_at_least: 2 }}\n")),
        ["4:44: E0310 this call needs 1 others; 2 of them can never be enough"]
    );
}

#[test]
fn every_cycle_is_printed_with_the_places_of_its_edges() {
    let text = "calls:
  a: { run: x, needs: [b] }
  b: { prompt: '{{ calls.c.output }}' }
  c: { run: x, when: calls.a.status == 'ok' }
  d: { run: x, needs: [e] }
  e: { run: x, needs: [d] }
  f: { run: x, needs: [a, e] }
";
    let loaded = read(text);
    let found: Vec<(String, Vec<String>)> = loaded
        .diagnostics
        .iter()
        .map(|fault| {
            let slice = |at: &Span| text[at.start as usize..at.end as usize].to_owned();
            let mut places = vec![slice(&fault.at)];
            places.extend(fault.related.iter().map(|(at, _)| slice(at)));
            (fault.message.clone(), places)
        })
        .collect();
    let strings = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
    assert_eq!(
        found,
        [
            (
                "these calls need each other: a → b → c → a".to_owned(),
                strings(&["b", "calls.c.output", "calls.a.status"])
            ),
            ("these calls need each other: d → e → d".to_owned(), strings(&["e", "d"])),
        ]
    );
}

#[test]
fn needs_of_the_defaults_do_not_make_a_call_need_itself() {
    let plan = plan("defaults: { needs: [setup] }\ncalls:\n  setup: { run: x }\n  a: { run: y }\n");
    assert_eq!((needs(&plan, 0), needs(&plan, 1)), (vec![], vec![(0, Accept::Success, false)]));
}

#[test]
fn a_call_that_stands_twice_is_checked_both_times_and_never_dropped() {
    assert_eq!(
        faults("calls:\n  a: { run: x }\n  b: { run: x, needs: [a] }\n  a: { promt: y }\n"),
        ["4:3: E0103 the key `a` stands twice", "4:8: E0105 unknown key `promt`"]
    );
}
