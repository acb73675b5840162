//! What the course of a run says about its plan: at most three sentences, and none without evidence.
//!
//! Invariants: a pure function of the view, so an old run is advised as it was; a
//! sentence names who, how long and what to change; it is said only where the time in
//! question is a good part of the run, and never of a run that was stopped, did not
//! end, or was worked on by several processes, whose waits have other reasons.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::course::{Course, Row};
use super::fold::RunView;
use crate::event::Millis;
use crate::id::CallId;
use crate::unit::human_duration;

/// How many are given.
const MOST: usize = 3;
/// Times below this are nobody's concern.
const LEAST: Duration = Duration::from_secs(1);
/// Nor those below this part of the run.
const SHARE: u32 = 10;
/// A call dominates a run of which it took more than one in so many.
const DOMINATES: u32 = 2;

/// One piece of advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// Stable code: `concurrency`, `own_concurrency`, `order_only`, `attempts`,
    /// `provider_limits`, `background_awaited`, `dominant_call`.
    pub code: &'static str,
    /// The sentence. Names of calls stand in it, and nothing that others wrote.
    pub message: String,
    /// The time in question.
    pub lost: Duration,
}

/// What there is to say, the most time first.
pub fn of(view: &RunView) -> Vec<Advice> {
    let whole = view.elapsed;
    if view.finish.is_none() || view.stop.is_some() || view.resumed > 0 {
        return Vec::new();
    }
    let course = Course::of(view);
    let limit = view.head.as_ref().map_or(u32::MAX, |head| head.concurrency);
    let mut all: Vec<Advice> = [places(&course, limit), attempts(&course), dominant(&course)]
        .into_iter()
        .flatten()
        .chain(own_places(&course, limit))
        .chain(gate(view, whole))
        .chain(order(&course))
        .chain(background(&course))
        .filter(|advice| advice.lost >= LEAST.max(whole / SHARE))
        .collect();
    all.sort_by(|a, b| b.lost.cmp(&a.lost).then_with(|| a.message.cmp(&b.message)));
    all.truncate(MOST);
    all
}

/// The advice as the JSON result has it.
pub fn json(all: &[Advice]) -> Value {
    let one = |advice: &Advice| json!({ "code": advice.code, "message": advice.message, "lost_ms": Millis(advice.lost) });
    all.iter().map(one).collect()
}

/// The rows that decided how long the run took.
fn critical<'c>(course: &'c Course<'_>) -> impl Iterator<Item = &'c Row<'c>> {
    course.critical.iter().filter_map(|at| course.rows.get(*at))
}

/// How many of these rows were at work for half of the time or more in which `row` waited for a place.
///
/// A moment would not do: between the end of one call and the start of the next nobody is at work.
fn beside(course: &Course<'_>, row: &Row<'_>, of: impl Fn(&Row<'_>) -> bool) -> usize {
    let (from, to) = (row.ready, row.ready + row.waited());
    let mut changes: Vec<(Duration, i32)> = Vec::new();
    let mut at_work = |begin: Duration, end: Duration, by: i32| {
        let (begin, end) = (begin.max(from), end.min(to));
        if begin < end {
            changes.extend([(begin, by), (end, -by)]);
        }
    };
    for other in course.rows.iter().filter(|other| other.works() && other.id != row.id && of(other)) {
        let Some(started) = other.started else { continue };
        at_work(started, other.ended, 1);
        for attempt in &other.view.attempts {
            // Between two attempts it holds no place.
            at_work(attempt.at, (attempt.at + attempt.retry_in.unwrap_or_default()).min(other.ended), -1);
        }
    }
    changes.sort_unstable();
    let mut times: BTreeMap<i32, Duration> = BTreeMap::new();
    let (mut count, mut since) = (0, from);
    for (at, by) in changes {
        *times.entry(count).or_default() += at.saturating_sub(since);
        (count, since) = (count + by, at);
    }
    let mut time = Duration::ZERO;
    let often = times.into_iter().rev().find(|(_, own)| {
        time += *own;
        time >= row.waited() / 2
    });
    often.and_then(|(count, _)| usize::try_from(count).ok()).unwrap_or(0)
}

/// Whether all places of the run were taken while a row waited for one.
fn is_full(course: &Course<'_>, row: &Row<'_>, limit: u32) -> bool {
    beside(course, row, |_| true) >= usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Independent calls that came one after the other because all places were taken.
fn places(course: &Course<'_>, limit: u32) -> Option<Advice> {
    let waited = critical(course).filter(|row| !row.waited().is_zero() && is_full(course, row, limit));
    let held: Duration = waited.map(Row::waited).sum();
    let lost = held.min(course.whole.saturating_sub(course.least));
    let (count, _) = course.queued;
    let (noun, time) = (if count == 1 { "call" } else { "calls" }, human_duration(lost));
    let message = format!(
        "{count} {noun} waited for a place under `limits.concurrency: {limit}`, which cost the run about {time} of \
         {}: raise it, as far as the providers and this machine allow.",
        human_duration(course.whole)
    );
    (!lost.is_zero()).then_some(Advice { code: "concurrency", message, lost })
}

/// Instances that waited for each other although the run had room.
fn own_places(course: &Course<'_>, limit: u32) -> Vec<Advice> {
    let mut calls: BTreeMap<&CallId, (Duration, usize)> = BTreeMap::new();
    for row in critical(course).filter(|row| !row.waited().is_zero() && row.call.is_expanded()) {
        let siblings = beside(course, row, |other| other.call.id() == row.call.id());
        if siblings > 0 && !is_full(course, row, limit) {
            let (held, most) = calls.entry(row.call.id()).or_default();
            (*held, *most) = (*held + row.waited(), siblings.max(*most));
        }
    }
    let advice = |(call, (lost, most)): (&CallId, (Duration, usize))| {
        let message = format!(
            "the instances of `{call}` waited for each other, {} on the way to the end, while the run had room: its \
             own `concurrency` let {most} run at once.",
            human_duration(lost)
        );
        Advice { code: "own_concurrency", message, lost }
    };
    calls.into_iter().map(advice).collect()
}

/// Calls that waited for one of which they read nothing. Commands are left out: what one leaves
/// behind is its result, too.
fn order(course: &Course<'_>) -> Vec<Advice> {
    let mut found: BTreeMap<(&CallId, &CallId), Duration> = BTreeMap::new();
    for row in critical(course).filter(|row| row.call.planned.kind == "prompt") {
        let Some(last) = row.after.and_then(|at| course.rows.get(at)) else { continue };
        let planned = &row.call.planned;
        if last.call.planned.kind != "prompt" || !planned.after.contains(last.call.id()) {
            continue;
        }
        let others = planned.needs.iter().filter(|need| !planned.after.contains(need));
        let ends =
            |need: &CallId| course.rows.iter().filter(|row| row.call.id() == need).map(|row| row.ended).max();
        let ready = others.filter_map(ends).max().unwrap_or_default();
        let lost = found.entry((row.call.id(), last.call.id())).or_default();
        *lost = (*lost).max(row.ready.saturating_sub(ready));
    }
    let advice = |((call, need), lost): ((&CallId, &CallId), Duration)| {
        let message = format!(
            "`{call}` waited {} for `{need}` and reads nothing of it: unless it relies on something that `{need}` \
             leaves behind, take that out of its `needs`, and both run at once.",
            human_duration(lost)
        );
        Advice { code: "order_only", message, lost }
    };
    found.into_iter().map(advice).collect()
}

/// Time between attempts, on the way to the end.
fn attempts(course: &Course<'_>) -> Option<Advice> {
    let mut codes: BTreeMap<&str, Duration> = BTreeMap::new();
    let mut longest: Option<(Duration, &Row<'_>)> = None;
    for row in critical(course) {
        let mut own = Duration::ZERO;
        for attempt in &row.view.attempts {
            let wait = attempt.retry_in.unwrap_or_default();
            own += wait;
            *codes.entry(attempt.cause.code.as_str()).or_default() += wait;
        }
        if longest.is_none_or(|(most, _)| most < own) {
            longest = Some((own, row));
        }
    }
    let lost = codes.values().sum();
    let (code, _) = codes.into_iter().max_by_key(|(_, time)| *time)?;
    let (_, row) = longest?;
    let what = match code {
        "rate_limited" | "overloaded" => {
            "fewer calls at once, or another provider for some, would lose less".to_owned()
        }
        _ => format!("what `fanout show RUN '{}'` says of it is worth a look", row.id),
    };
    let message = format!(
        "{} passed between attempts on the way to the end, most of it for `{}` and after `{code}`: {what}.",
        human_duration(lost),
        row.id
    );
    Some(Advice { code: "attempts", message, lost })
}

/// Requests that waited for their provider's limits or for a budget, so long that calls did little else.
fn gate(view: &RunView, whole: Duration) -> Option<Advice> {
    let (name, provider) = view.providers.iter().max_by_key(|(_, provider)| provider.waited)?;
    let said = match provider.limited {
        0 => String::new(),
        1 => ", which turned one away".to_owned(),
        turned => format!(", which turned {turned} away"),
    };
    let message = format!(
        "requests to `{name}` waited {} in all for its limits and the budgets{said}: another provider for some calls, \
         or higher limits, would shorten the run.",
        human_duration(provider.waited)
    );
    // Requests wait side by side: only what passes half of the run is sure to have held it up.
    let lost = provider.waited.min(whole);
    (provider.waited >= whole / 2).then_some(Advice { code: "provider_limits", message, lost })
}

/// Background calls that somebody waited for from their start.
fn background(course: &Course<'_>) -> Vec<Advice> {
    let mut found: BTreeMap<(&CallId, &CallId), Duration> = BTreeMap::new();
    for row in course.rows.iter().filter(|row| !row.call.planned.background && row.started.is_some()) {
        let Some(last) = row.after.and_then(|at| course.rows.get(at)) else { continue };
        let Some(started) = last.started.filter(|_| last.call.planned.background) else { continue };
        let others = row.call.planned.needs.iter().filter(|need| *need != last.call.id());
        let ends =
            |need: &CallId| course.rows.iter().filter(|row| row.call.id() == need).map(|row| row.ended).max();
        let free = others.filter_map(ends).max().unwrap_or_default().max(started);
        let waited = row.ready.saturating_sub(free);
        if waited >= last.took() / 10 * 9 {
            let lost = found.entry((last.call.id(), row.call.id())).or_default();
            *lost = (*lost).max(waited);
        }
    }
    let advice = |((call, by), lost): ((&CallId, &CallId), Duration)| {
        let message = format!(
            "`{call}` ran in the background, but `{by}` waited for it at once, {}: leave out `background: true`, or \
             let a later call need it.",
            human_duration(lost)
        );
        Advice { code: "background_awaited", message, lost }
    };
    found.into_iter().map(advice).collect()
}

/// The one call that most of the run was spent on while nothing else was at work.
fn dominant(course: &Course<'_>) -> Option<Advice> {
    let kinds = ["prompt", "run"];
    let row = critical(course).filter(|row| kinds.contains(&row.call.planned.kind.as_str()));
    let row = row.max_by_key(|row| row.took())?;
    let count = course.rows.iter().filter(|row| row.works()).count();
    if count < 3 || row.took() < course.whole / DOMINATES {
        return None;
    }
    let lost = alone(course, row);
    let mut siblings: Vec<Duration> =
        course.rows.iter().filter(|other| other.call.id() == row.call.id()).map(Row::took).collect();
    siblings.sort_unstable();
    let (took, whole) = (human_duration(row.took()), human_duration(course.whole));
    let middle = siblings.get(siblings.len() / 2).filter(|middle| **middle < row.took() / 2);
    let message = match middle {
        Some(middle) if siblings.len() > 2 => format!(
            "`{}` took {took} where its siblings took {} in the middle, and for {} nothing else ran: a shorter \
             `timeout` or a smaller item would end the run sooner.",
            row.id,
            human_duration(*middle),
            human_duration(lost)
        ),
        Some(_) | None => format!(
            "`{}` took {took} of {whole}, and for {} nothing else ran: splitting it, or a faster agent for it, is \
             where time is to be won.",
            row.id,
            human_duration(lost)
        ),
    };
    Some(Advice { code: "dominant_call", message, lost })
}

/// For how long nothing else was at work beside a row.
fn alone(course: &Course<'_>, row: &Row<'_>) -> Duration {
    let Some(started) = row.started else { return Duration::ZERO };
    let others = course.rows.iter().filter(|other| other.works() && other.id != row.id);
    let mut spans: Vec<(Duration, Duration)> =
        others.filter_map(|other| Some((other.started?.max(started), other.ended.min(row.ended)))).collect();
    spans.sort_unstable();
    let (mut alone, mut at) = (Duration::ZERO, started);
    for (from, to) in spans {
        alone += from.saturating_sub(at);
        at = at.max(to);
    }
    alone + row.ended.saturating_sub(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, PlannedCall, Record, RequestFinished};
    use crate::outcome::{Cause, Usage};
    use crate::report::sample::{self, Script, planned};
    use crate::unit::Tokens;

    fn given(records: &[Record]) -> Vec<(&'static str, u64)> {
        let of = |advice: &Advice| (advice.code, advice.lost.as_secs());
        super::of(&RunView::of(records)).iter().map(of).collect()
    }

    fn said(records: &[Record]) -> String {
        let lines: Vec<String> = super::of(&RunView::of(records))
            .iter()
            .map(|advice| format!("{}: {}", advice.code, advice.message))
            .collect();
        lines.join("\n")
    }

    fn id(text: &str) -> CallId {
        CallId::parse(text).unwrap()
    }

    /// A run of independent calls, with so many places.
    fn narrow(places: u32, calls: &[&str]) -> Script {
        let mut script = Script::new("p", calls);
        if let Some(Event::RunStarted(head)) = script.records.first_mut().map(|record| &mut record.event) {
            head.concurrency = places;
        }
        script
    }

    #[test]
    fn calls_that_waited_for_a_place_are_worth_a_sentence() {
        let mut script = narrow(1, &["a", "b", "c"]);
        script.start("a").wait(10.0).ok("a", "x").start("b").wait(10.0).ok("b", "x");
        script.start("c").wait(10.0).ok("c", "x").finish(true, &[]);
        insta::assert_snapshot!(said(&script.records), @"concurrency: 2 calls waited for a place under `limits.concurrency: 1`, which cost the run about 20s of 30s: raise it, as far as the providers and this machine allow.");
    }

    #[test]
    fn a_place_that_changes_hands_in_the_middle_of_a_wait_is_no_free_place() {
        let mut script = narrow(1, &["a", "b", "c"]);
        script.start("a").wait(10.0).ok("a", "x").wait(0.02).start("b").wait(10.0).ok("b", "x").wait(0.02);
        script.start("c").wait(10.0).ok("c", "x").finish(true, &[]);
        assert_eq!(given(&script.records), [("concurrency", 20)]);
        let mut script = narrow(8, &["each"]);
        script.expand("each", &["x", "y", "z"]).start("each[0]").wait(10.0).ok("each[0]", "x").wait(0.02);
        script.start("each[1]").wait(10.0).ok("each[1]", "x").wait(0.02);
        script.start("each[2]").wait(10.0).ok("each[2]", "x").finish(true, &[]);
        assert_eq!(given(&script.records), [("own_concurrency", 20)]);
    }

    #[test]
    fn a_call_between_two_attempts_holds_no_place() {
        let mut script = narrow(1, &["a", "b"]);
        // While `a` waits for its next attempt, `b` could have run: that is not the limit's doing.
        script.start("a").retry("a", 1, Cause::new("timeout", "x"), 20.0).wait(20.0);
        script.start("b").wait(5.0).ok("b", "x").ok("a", "x").finish(true, &[]);
        assert!(!given(&script.records).iter().any(|(code, _)| *code == "concurrency"));
    }

    #[test]
    fn instances_that_waited_for_each_other_are_told_from_a_full_run() {
        let mut script = narrow(8, &["each"]);
        script.expand("each", &["x", "y"]).start("each[0]").wait(10.0).ok("each[0]", "x");
        script.start("each[1]").wait(10.0).ok("each[1]", "x").finish(true, &[]);
        insta::assert_snapshot!(said(&script.records), @"own_concurrency: the instances of `each` waited for each other, 10s on the way to the end, while the run had room: its own `concurrency` let 1 run at once.");
    }

    #[test]
    fn a_need_that_nothing_is_read_of_serialises_what_could_run_at_once() {
        let chained = |kind: &str| {
            let second =
                PlannedCall { turn: 2, needs: vec![id("a")], after: vec![id("a")], ..planned("b", "b") };
            let mut calls = vec![planned("a", "a"), second];
            calls.iter_mut().for_each(|call| call.kind = kind.to_owned());
            let mut script = Script::planned("p", calls);
            script.start("a").wait(6.0).ok("a", "x").start("b").wait(4.0).ok("b", "x").finish(true, &[]);
            script.records
        };
        insta::assert_snapshot!(said(&chained("prompt")), @"order_only: `b` waited 6.0s for `a` and reads nothing of it: unless it relies on something that `a` leaves behind, take that out of its `needs`, and both run at once.");
        assert_eq!(given(&chained("run")), []);
    }

    #[test]
    fn time_between_attempts_is_named_with_its_reason() {
        let mut script = Script::new("p", &["a", "b"]);
        script.start("a").start("b").wait(2.0).ok("b", "x");
        script
            .retry("a", 1, Cause::new("rate_limited", "too many"), 30.0)
            .wait(32.0)
            .ok("a", "x")
            .finish(true, &[]);
        insta::assert_snapshot!(said(&script.records), @"attempts: 30s passed between attempts on the way to the end, most of it for `a` and after `rate_limited`: fewer calls at once, or another provider for some, would lose less.");
    }

    #[test]
    fn a_provider_that_most_of_the_run_waited_for_is_named() {
        let mut script = Script::new("p", &["a", "b"]);
        script.start("a").start("b").wait(20.0);
        for (number, waited) in [(1, 12), (2, 4)] {
            script.event(Event::RequestFinished(RequestFinished {
                instance: sample::instance("a"),
                number,
                provider: "lab".to_owned(),
                model: "m".to_owned(),
                failure: (number == 1).then(|| "rate_limited".to_owned()),
                usage: Usage::default(),
                charged: Tokens(0),
                charged_cost: None,
                saved: None,
                waited: Millis(Duration::from_secs(waited)),
            }));
        }
        script.ok("a", "x").ok("b", "x").finish(true, &[]);
        insta::assert_snapshot!(said(&script.records), @"provider_limits: requests to `lab` waited 16s in all for its limits and the budgets, which turned one away: another provider for some calls, or higher limits, would shorten the run.");
    }

    #[test]
    fn a_background_call_that_is_needed_at_once_gains_nothing() {
        let job = PlannedCall { background: true, kind: "run".into(), ..planned("job", "job") };
        let by = PlannedCall { turn: 2, needs: vec![id("job")], ..planned("by", "by") };
        let mut script = Script::planned("p", vec![job, by]);
        script.start("job").wait(20.0).ok("job", "x").start("by").wait(2.0).ok("by", "x").finish(true, &[]);
        insta::assert_snapshot!(said(&script.records), @"background_awaited: `job` ran in the background, but `by` waited for it at once, 20s: leave out `background: true`, or let a later call need it.");
    }

    #[test]
    fn one_instance_that_takes_much_longer_than_the_others_is_named() {
        let mut script = Script::new("p", &["each"]);
        script.expand("each", &["x", "y", "z"]).start("each[0]").start("each[1]").start("each[2]");
        script.wait(3.0).ok("each[0]", "x").wait(1.0).ok("each[1]", "x").wait(36.0).ok("each[2]", "x");
        script.finish(true, &[]);
        insta::assert_snapshot!(said(&script.records), @"dominant_call: `each[2]` took 40s where its siblings took 4.0s in the middle, and for 36s nothing else ran: a shorter `timeout` or a smaller item would end the run sooner.");
    }

    #[test]
    fn nothing_is_said_of_a_good_run_or_of_one_that_did_not_come_to_its_end() {
        let mut script = Script::new("p", &["a", "b", "c"]);
        script.start("a").start("b").start("c").wait(9.0).ok("a", "x").ok("b", "x").ok("c", "x");
        let unfinished = script.records.clone();
        script.finish(true, &[]);
        assert_eq!(given(&script.records), []);
        assert_eq!(given(&unfinished), []);
        assert_eq!(given(&sample::mixed()), [], "it was stopped");
        assert_eq!(given(&[]), []);
    }

    #[test]
    fn there_are_never_more_than_three_sentences_and_the_longest_time_comes_first() {
        let job = PlannedCall { background: true, ..planned("job", "job") };
        let by = PlannedCall { turn: 2, needs: vec![id("job")], ..planned("by", "by") };
        let only = PlannedCall { turn: 3, needs: vec![id("by")], after: vec![id("by")], ..planned("c", "c") };
        let mut script = Script::planned("p", vec![job, by, only, planned("d", "d")]);
        script.start("job").start("d").wait(1.0).ok("d", "x").wait(9.0).ok("job", "x").start("by").wait(9.0);
        script
            .ok("by", "x")
            .start("c")
            .retry("c", 1, Cause::new("timeout", "x"), 8.0)
            .wait(20.0)
            .ok("c", "x");
        script.finish(true, &[]);
        let given = given(&script.records);
        assert_eq!(given.len(), MOST, "{given:?}");
        assert!(given.is_sorted_by(|a, b| a.1 >= b.1), "{given:?}");
    }
}
