//! Views of records, told one by one and all at once.

use super::*;
use crate::report::sample::{self, Script};
use crate::unit::Tokens;

#[test]
fn a_mixed_run_is_counted_by_status_and_turn() {
    let view = RunView::of(&sample::mixed());
    let census = view.finish.as_ref().unwrap().census.clone();
    assert_eq!(view.tally.planned, census.planned);
    assert_eq!(view.tally.by_status, census.by_status);
    assert_eq!((view.tally.done, view.tally.running), (census.planned, 0));
    let turns: Vec<_> = view.turns.iter().map(|(n, turn)| (*n, turn.planned, turn.done)).collect();
    assert_eq!(turns, [(1, 8, 8), (2, 3, 3)]);
    assert_eq!(view.notifications[&1].drained_by, Some(CallId::parent_step()));
}

#[test]
fn records_one_by_one_and_all_at_once_give_the_same_view() {
    let records = sample::mixed();
    let mut one_by_one = RunView::default();
    for record in &records {
        one_by_one.apply(record);
    }
    assert_eq!(one_by_one, RunView::of(&records));
}

#[test]
fn a_census_counted_from_records_is_the_census_that_the_run_wrote() {
    let mut records = sample::mixed();
    let whole = RunView::of(&records).census();
    records.pop();
    assert_eq!(RunView::of(&records).census(), whole);
}

#[test]
fn progress_shows_only_while_it_runs() {
    let mut script = Script::new("p", &["a"]);
    script.start("a").progress("a", "reading x", 70);
    let view = RunView::of(&script.records);
    let (_, id, running) = view.running().next().unwrap();
    assert_eq!(
        (id.to_string(), running.activity.as_str(), running.tokens),
        ("a".into(), "reading x", Tokens(70))
    );
    script.ok("a", "done").progress("a", "too late", 90);
    let view = RunView::of(&script.records);
    assert_eq!(view.running().count(), 0);
    assert_eq!(view.instance(&sample::instance("a")).unwrap().activity, "");
}

#[test]
fn a_resumed_run_goes_on_counting_and_forgets_what_was_cut_off() {
    let mut script = Script::new("p", &["a", "b"]);
    script.wait(2.0).start("a").start("b").wait(3.0).ok("a", "x").resumed().wait(1.0);
    let view = RunView::of(&script.records);
    assert_eq!((view.tally.running, view.tally.done, view.resumed), (0, 1, 1));
    assert_eq!(view.instance(&sample::instance("b")).unwrap().state, State::Waiting);
    script.start("b").wait(1.0).ok("b", "y").ok("a", "x");
    let view = RunView::of(&script.records);
    assert_eq!((view.tally.running, view.tally.done), (0, 2));
    assert_eq!(view.instance(&sample::instance("b")).unwrap().started, Some(Duration::from_secs(6)));
    assert_eq!(view.elapsed, Duration::from_secs(7));
}

#[test]
fn an_expansion_counts_instances_one_by_one_and_an_empty_one_none() {
    let mut script = Script::new("p", &["each", "none"]);
    script.expand("each", &["x", "y", "z"]).expand("none", &[]);
    assert_eq!(RunView::of(&script.records).tally.planned, 3);
    script.start("each[1]").ok("each[1]", "").ok("none", "[]");
    let view = RunView::of(&script.records);
    assert_eq!((view.tally.planned, view.tally.done), (4, 2));
    let each = &view.calls[0];
    assert_eq!((each.size(), each.done(), each.ok(), each.label(Some(2))), (3, 1, 1, Some("z")));
}

#[test]
fn a_run_that_goes_on_reads_as_one() {
    let mut script = Script::new("p", &["each", "later"]);
    script.expand("each", &["x", "y", "z"]).start("each[0]").start("each[1]").wait(1.0).ok("each[0]", "x");
    let mut view = RunView::of(&script.records);
    view.live = true;
    let each = view.calls[0].clone();
    assert_eq!((each.standing(), each.stands()), (Standing::Open, "1 of 3 done".to_owned()));
    assert_eq!(view.untouched_word(), "not reached yet");
    let began = view.began.unwrap();
    view.tick(began + Duration::from_secs(7));
    assert_eq!(view.elapsed, Duration::from_secs(7));
    view.tick(began);
    assert_eq!(view.elapsed, Duration::from_secs(7), "time does not go back");
    script.finish(false, &[]);
    let mut view = RunView { live: true, ..RunView::of(&script.records) };
    view.tick(began + Duration::from_secs(70));
    assert_eq!(view.elapsed, Duration::from_secs(1), "it has ended");
    assert_eq!(view.untouched_word(), "never reached");
}

#[test]
fn a_record_of_an_unknown_call_is_shown_and_not_lost() {
    let mut script = Script::new("p", &["a"]);
    script.start("ghost").ok("ghost", "boo");
    let view = RunView::of(&script.records);
    assert_eq!((view.calls.len(), view.tally.planned, view.tally.done), (2, 2, 1));
}
