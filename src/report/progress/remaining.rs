//! How long a run may still take: the longest chain of what is left, as far as durations are known.
//!
//! Invariants: a pure function of the view, the past and the time; nothing is said where a part of
//! what is left was never seen to end, where a person is waited for, or when it is nearly over.

use std::collections::HashMap;
use std::time::Duration;

use crate::id::CallId;
use crate::report::fold::{CallView, InstanceView, RunView, State};

/// How long the instances of each call took in earlier runs, run by run, the newest first.
pub type Past = HashMap<CallId, Vec<Vec<Duration>>>;

/// So much must have passed before anything is said, and be left.
const LEAST: Duration = Duration::from_secs(2);
/// So many of its siblings must have ended before they tell more of an instance than earlier runs do.
const SIBLINGS: usize = 3;

/// The time that is left at `now`, a time of the run; `None` where nobody can say.
pub(super) fn estimate(view: &RunView, past: &Past, now: Duration) -> Option<Duration> {
    let head = view.head.as_ref()?;
    if now < LEAST || view.finish.is_some() || view.stop.is_some() {
        return None;
    }
    let places = head.concurrency.max(1);
    let mut planned: Vec<_> = head.calls.iter().collect();
    planned.sort_by_key(|call| call.turn);
    let (mut ends, mut longest, mut work) = (HashMap::new(), Duration::ZERO, Duration::ZERO);
    for planned in planned {
        let call = view.call(&planned.id)?;
        let left = left(call, past, places, now)?;
        let ready: Duration =
            planned.needs.iter().filter_map(|need| ends.get(need).copied()).max().unwrap_or_default();
        let end = ready + left.chain;
        work += left.work;
        longest = longest.max(end);
        ends.insert(&planned.id, end);
    }
    Some(longest.max(work / places)).filter(|left| *left >= LEAST)
}

/// What is left of one call.
#[derive(Debug, Default)]
struct Left {
    /// From the moment at which it can start, or from now, to its end.
    chain: Duration,
    /// Of all its instances, one after the other.
    work: Duration,
}

fn left(call: &CallView, past: &Past, places: u32, now: Duration) -> Option<Left> {
    let size = usize::try_from(call.size()).unwrap_or(usize::MAX);
    let whole_ended = call.whole.as_ref().is_some_and(|whole| whole.outcome.is_some());
    if whole_ended || call.labels.is_some() && usize::try_from(call.done()).is_ok_and(|done| done >= size) {
        return Some(Left::default());
    }
    let known = match expected(call, past) {
        Some(known) => known,
        None if matches!(call.planned.kind.as_str(), "value" | "stop" | "reconcile") => Duration::ZERO,
        None => return None,
    };
    if call.planned.kind == "ask" {
        return None;
    }
    // A call that is not expanded yet comes to as many instances as last time.
    let before = past.get(call.id()).and_then(|runs| runs.first()).map_or(1, Vec::len);
    let touched = call.whole.as_ref().is_some_and(|whole| whole.state != State::Waiting);
    let size = if call.labels.is_none() && !touched { before.max(1) } else { size };
    let mut left = Left::default();
    let (mut seen, mut longest) = (0, Duration::ZERO);
    for (_, instance) in call.each() {
        seen += 1;
        let one = of_instance(instance, known, now);
        left.work += one;
        longest = longest.max(one);
    }
    let waiting = size.saturating_sub(seen);
    if waiting > 0 {
        left.work += known * u32::try_from(waiting).unwrap_or(u32::MAX);
        longest = longest.max(known);
    }
    left.chain = longest.max(left.work / places);
    Some(left)
}

fn of_instance(instance: &InstanceView, known: Duration, now: Duration) -> Duration {
    match instance.state {
        State::Finished => Duration::ZERO,
        State::Waiting => known,
        State::Running => match instance.retry_at().filter(|at| *at > now) {
            Some(at) => (at - now) + known,
            // One that takes longer than the others is about to end, as far as anybody knows.
            None => known.saturating_sub(now.saturating_sub(instance.started.unwrap_or(now))).max(known / 10),
        },
    }
}

/// How long an instance of the call takes: as its siblings did, or those of earlier runs.
fn expected(call: &CallView, past: &Past) -> Option<Duration> {
    let took = |instance: &InstanceView| {
        instance.outcome.as_ref().filter(|outcome| outcome.is_ok() && !outcome.reused)?;
        Some(instance.ended?.saturating_sub(instance.started?))
    };
    let siblings: Vec<Duration> = call.each().filter_map(|(_, instance)| took(instance)).collect();
    let before: Vec<Duration> = past.get(call.id()).into_iter().flatten().flatten().copied().collect();
    let told = if siblings.len() >= SIBLINGS || before.is_empty() { siblings } else { before };
    middle(told)
}

fn middle(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

/// As people say it: no more digits than it is worth.
pub(super) fn shown(left: Duration) -> String {
    match left.as_secs() {
        seconds @ 0..60 => format!("~{seconds}s left"),
        seconds @ 60..600 => {
            let seconds = (seconds + 5) / 10 * 10;
            format!("~{}m{:02}s left", seconds / 60, seconds % 60)
        }
        seconds @ 600..3600 => format!("~{}m left", (seconds + 30) / 60),
        seconds => format!("~{}h{:02}m left", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, PlannedCall};
    use crate::report::sample::{Script, planned};

    fn id(text: &str) -> CallId {
        CallId::parse(text).unwrap()
    }

    fn past(calls: &[(&str, &[&[u64]])]) -> Past {
        let times = |run: &&[u64]| run.iter().map(|time| Duration::from_secs(*time)).collect();
        calls.iter().map(|(call, runs)| (id(call), runs.iter().map(times).collect())).collect()
    }

    fn needing(name: &str, turn: u32, needs: &[&str]) -> PlannedCall {
        PlannedCall { turn, needs: needs.iter().map(|need| id(need)).collect(), ..planned(name, name) }
    }

    fn at(script: &Script, past: &Past, now: u64) -> Option<u64> {
        let view = RunView::of(&script.records);
        estimate(&view, past, Duration::from_secs(now)).map(|left| left.as_secs())
    }

    fn places(script: &mut Script, places: u32) {
        if let Some(Event::RunStarted(head)) = script.records.first_mut().map(|record| &mut record.event) {
            head.concurrency = places;
        }
    }

    #[test]
    fn the_longest_chain_of_what_is_left_counts_and_what_is_done_does_not() {
        let calls = vec![
            planned("a", "a"),
            planned("b", "b"),
            needing("c", 2, &["a"]),
            needing("d", 2, &["b"]),
            needing("e", 3, &["c", "d"]),
        ];
        let past = past(&[
            ("a", &[&[10]]),
            ("b", &[&[30]]),
            ("c", &[&[40]]),
            ("d", &[&[5]]),
            ("e", &[&[2], &[2], &[9]]),
        ]);
        let mut script = Script::planned("p", calls);
        script.start("a").start("b");
        // a 10 and c 40, or b 30 and d 5; then e.
        assert_eq!(at(&script, &past, 3), Some(7 + 40 + 2));
        script.wait(10.0).ok("a", "x").start("c");
        assert_eq!(at(&script, &past, 20), Some(30 + 2));
        // The one that takes longer than last time is not over before it is.
        assert_eq!(at(&script, &past, 100), Some(5 + 3 + 2));
    }

    #[test]
    fn siblings_that_are_done_tell_what_the_others_take_under_the_limit_of_places() {
        let labels: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let mut script = Script::new("p", &["each"]);
        places(&mut script, 2);
        script.expand("each", &labels).start("each[0]").start("each[1]").wait(8.0);
        assert_eq!(at(&script, &Past::new(), 8), None, "none has ended yet");
        script.ok("each[0]", "x").start("each[2]");
        let left = at(&script, &Past::new(), 8).unwrap();
        // Eight of eight seconds and one that is nearly done, on two places.
        assert_eq!(left, 32);
        assert_eq!(at(&script, &past(&[("each", &[&[4; 10]])]), 8).unwrap(), 16, "one sibling is no rule");
    }

    #[test]
    fn a_call_that_is_not_expanded_yet_comes_to_as_many_as_last_time() {
        let mut script = Script::planned("p", vec![planned("a", "a"), needing("each", 2, &["a"])]);
        places(&mut script, 2);
        script.start("a");
        assert_eq!(at(&script, &past(&[("a", &[&[10]]), ("each", &[&[4, 6, 5, 5], &[1]])]), 4), Some(6 + 10));
    }

    #[test]
    fn nothing_is_said_where_nobody_can_know() {
        let mut script = Script::planned("p", vec![planned("a", "a"), needing("b", 2, &["a"])]);
        script.start("a");
        let both = past(&[("a", &[&[10]]), ("b", &[&[10]])]);
        assert_eq!(at(&script, &past(&[("a", &[&[10]])]), 5), None, "nobody has seen b end");
        assert_eq!(at(&script, &both, 1), None, "it has only begun");
        assert_eq!(at(&script, &both, 5), Some(15));
        let asking = PlannedCall { kind: "ask".into(), ..needing("q", 2, &["a"]) };
        let mut script = Script::planned("p", vec![planned("a", "a"), asking]);
        script.start("a");
        assert_eq!(at(&script, &past(&[("a", &[&[10]]), ("q", &[&[10]])]), 5), None, "a person is asked");
    }

    #[test]
    fn an_estimate_has_no_more_digits_than_it_is_worth() {
        let shown = |seconds| super::shown(Duration::from_secs(seconds));
        assert_eq!(
            [7, 59, 64, 118, 700, 4000].map(shown),
            ["~7s left", "~59s left", "~1m00s left", "~2m00s left", "~12m left", "~1h06m left"]
        );
    }
}
