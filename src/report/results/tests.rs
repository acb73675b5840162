//! What people see at the end, in snapshots.

use super::*;
use crate::event::Record;
use crate::outcome::Status;
use crate::report::sample::{self, Script};

fn at(records: &[Record], width: usize, fancy: bool) -> String {
    let style = Style { color: fancy, unicode: fancy, width, ..Style::plain() };
    render(&RunView::of(records), &style)
}

/// Escape sequences in angle brackets, so that a snapshot shows them.
fn visible(text: &str) -> String {
    text.replace('\x1b', "<esc>")
}

#[test]
fn an_ok_run_at_every_width() {
    for width in [40, 80, 200] {
        insta::assert_snapshot!(format!("ok_{width}"), at(&sample::ok(), width, false));
        insta::assert_snapshot!(format!("ok_{width}_color"), visible(&at(&sample::ok(), width, true)));
    }
}

#[test]
fn a_mixed_run_at_every_width() {
    for width in [40, 80, 200] {
        insta::assert_snapshot!(format!("mixed_{width}"), at(&sample::mixed(), width, false));
        insta::assert_snapshot!(format!("mixed_{width}_color"), visible(&at(&sample::mixed(), width, true)));
    }
}

#[test]
fn a_run_in_which_everyone_died_at_every_width() {
    for width in [40, 80, 200] {
        insta::assert_snapshot!(format!("dead_{width}"), at(&sample::dead(), width, false));
        insta::assert_snapshot!(format!("dead_{width}_color"), visible(&at(&sample::dead(), width, true)));
    }
}

#[test]
fn hostile_outputs_stay_indented_and_harmless() {
    let style = Style { unicode: true, width: 80, ci: true, ..Style::plain() };
    let text = render(&RunView::of(&sample::hostile()), &style);
    insta::assert_snapshot!(text);
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
    assert!(!text.lines().any(|line| line.trim_start().starts_with("::") || line.contains("##[")));
    let headings: Vec<_> = text.lines().filter(|line| line.starts_with("── ")).collect();
    assert!(
        !headings.iter().any(|line| line.contains("✓ fake: heading") && line.starts_with("── ✓ fake")),
        "{headings:?}"
    );
}

#[test]
fn everyone_died_never_reads_as_nothing_found() {
    let text = at(&sample::dead(), 80, false);
    assert!(text.contains("Nobody answered: no call ended well."), "{text}");
    assert!(text.contains("0 ok"), "{text}");
    assert!(text.contains("alpha, beta, gamma: the session limit"), "{text}");
}

#[test]
fn a_run_of_empty_answers_is_no_plain_success() {
    let mut script = Script::new("p", &["a", "b"]);
    script.start("a").ok("a", "").start("b").ok("b", " \n").finish(true, &[]);
    let text = at(&script.records, 80, false);
    assert!(
        text.contains("2 ok (2 empty)") && text.contains("ok but empty") && text.contains("Nobody answered"),
        "{text}"
    );
}

#[test]
fn a_run_that_was_killed_gives_no_verdict() {
    let mut script = Script::new("p", &["a", "b"]);
    script.start("a").wait(3.0).ok("a", "x").start("b");
    insta::assert_snapshot!(at(&script.records, 80, false));
}

#[test]
fn a_thousand_calls_are_folded_and_every_failure_is_named() {
    let ids: Vec<String> = (0..1000).map(|n| format!("call_{n:03}")).collect();
    let mut script = Script::new("many", &ids.iter().map(String::as_str).collect::<Vec<_>>());
    for (n, id) in ids.iter().enumerate() {
        script.start(id);
        if n % 100 == 7 {
            script.bad(id, Status::Failed, "exit_status", "it exited with status 3");
        } else {
            script.ok(id, &"a line\n".repeat(50));
        }
    }
    script.finish(false, &["10 of 1000 calls failed"]);
    let text = at(&script.records, 80, false);
    let lines = text.lines().count();
    assert!(lines < 1500, "{lines} lines");
    assert!(text.contains("... 900 more calls: fanout show 20261120-231505-7f3a CALL"), "{text}");
    assert!(text.contains("call_907"), "{text}");
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
}

#[test]
fn hundreds_that_died_of_the_same_are_named_and_then_counted_and_the_cause_is_not_lost() {
    let ids: Vec<String> = (0..500).map(|n| format!("call_{n:03}")).collect();
    let mut script = Script::new("many", &ids.iter().map(String::as_str).collect::<Vec<_>>());
    for id in &ids {
        script.start(id).bad(id, Status::Failed, "exit_status", "it exited with status 3");
    }
    let text = at(&script.finish(false, &["nobody"]).records, 80, false);
    let census = text.split("500 calls planned").nth(1).unwrap();
    assert!(census.contains("call_199 and 300 more: it exited"), "{census}");
}

#[test]
fn a_thousand_instances_are_folded_and_ranges_name_the_failures() {
    let labels: Vec<String> = (0..1000).map(|n| format!("file {n}")).collect();
    let mut script = Script::new("many", &["each"]);
    script.expand("each", &labels.iter().map(String::as_str).collect::<Vec<_>>());
    for n in 0..1000 {
        let id = format!("each[{n}]");
        script.start(&id);
        if (400..600).contains(&n) {
            script.bad(&id, Status::Failed, "exit_status", "it exited with status 3");
        } else {
            script.ok(&id, "fine");
        }
    }
    script.finish(false, &["200 of 1000 calls failed"]);
    let text = at(&script.records, 80, false);
    assert!(text.contains("each[400-599]: it exited with status 3"), "{text}");
    assert!(text.contains("... 980 more instances: fanout show 20261120-231505-7f3a 'each[N]'"), "{text}");
    assert!(text.lines().count() < 150);
}

#[test]
fn no_line_of_ours_is_wider_than_the_terminal() {
    let own = |line: &&str| !line.starts_with("  ") || line.contains("waits");
    for width in [20, 40, 80, 200] {
        let text = at(&sample::mixed(), width, false);
        for line in text.lines().filter(own) {
            assert!(console::measure_text_width(line) <= width, "{width}: {line}");
        }
    }
}

#[test]
fn advice_comes_last_and_not_where_nobody_wants_it() {
    let mut script = Script::new("p", &["each"]);
    script.expand("each", &["x", "y"]).start("each[0]").wait(10.0).ok("each[0]", "x");
    script.start("each[1]").wait(10.0).ok("each[1]", "x").finish(true, &[]);
    let view = RunView::of(&script.records);
    for width in [40, 80] {
        let style = Style { width, ..Style::plain() };
        insta::assert_snapshot!(format!("advice_{width}"), render(&view, &style));
        assert!(!render_quietly(&view, &style).contains("Advice"));
    }
}

#[test]
fn a_conversation_is_told_with_its_call() {
    let view = RunView::of(&sample::talk());
    insta::assert_snapshot!(render_one(&view, "review", &Style { width: 80, ..Style::plain() }).unwrap());
    assert!(!render(&view, &Style::plain()).contains("read_file"), "only where the call is asked for");
}
