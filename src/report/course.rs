//! How a run went over time: when each instance was ready, started and ended, and what held up what.
//!
//! Invariant: all of it is computed from the view; a record that is out of place makes
//! a bar that is empty, never a panic. Times are counted from the begin of the run.

use std::collections::HashMap;
use std::time::Duration;

use crate::id::{CallId, InstanceId};
use crate::report::fold::{CallView, InstanceView, RunView, State};

/// Below this a wait is the scheduler's own pace and nobody's news.
const PAUSE: Duration = Duration::from_millis(50);

/// The course of a run.
#[derive(Debug)]
pub(super) struct Course<'a> {
    /// Every instance that something happened to, in plan order.
    pub(super) rows: Vec<Row<'a>>,
    /// The chain of rows that decided how long the run took, first to last, as indices into `rows`.
    pub(super) critical: Vec<usize>,
    /// The time of the whole run.
    pub(super) whole: Duration,
    /// What all instances took, one after the other.
    pub(super) sequential: Duration,
    /// What the longest chain takes when nothing has to wait for a place.
    pub(super) least: Duration,
    /// How many ran at once at most.
    pub(super) most: usize,
    /// How many ran at once on average.
    pub(super) average: f64,
    /// How many instances waited for a place under the limits, and how long in all.
    pub(super) queued: (usize, Duration),
    /// For each step of equal length: how many ran, and how many could have run.
    pub(super) steps: Vec<Step>,
}

/// One instance on the time line.
#[derive(Debug)]
pub(super) struct Row<'a> {
    /// Its call's place in the plan.
    pub(super) at: usize,
    /// Its call.
    pub(super) call: &'a CallView,
    /// Its name.
    pub(super) id: InstanceId,
    /// What is known of it.
    pub(super) view: &'a InstanceView,
    /// When everything that it needs had ended.
    pub(super) ready: Duration,
    /// What ended last of what it needs, as an index into the rows.
    pub(super) after: Option<usize>,
    /// When it took its place; `None` if it never did.
    pub(super) started: Option<Duration>,
    /// When it ended; the end of the record for one that did not.
    pub(super) ended: Duration,
    /// True on the critical path.
    pub(super) critical: bool,
}

impl Row<'_> {
    /// How long it ran.
    pub(super) fn took(&self) -> Duration {
        self.started.map_or(Duration::ZERO, |started| self.ended.saturating_sub(started))
    }

    /// How long it waited for a place although everything it needs was there.
    pub(super) fn waited(&self) -> Duration {
        let wait = self.started.map_or(Duration::ZERO, |started| started.saturating_sub(self.ready));
        if wait > PAUSE { wait } else { Duration::ZERO }
    }

    /// True for one that does the work itself: a sub-plan's time is that of its calls.
    pub(super) fn works(&self) -> bool {
        self.call.planned.kind != "plan"
    }
}

/// How much ran in a stretch of the run, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Step {
    /// Instances at work.
    pub(super) running: usize,
    /// Instances at work or ready to be.
    pub(super) ready: usize,
}

/// Stretches that the chart of concurrency is drawn in.
const STEPS: usize = 240;

impl<'a> Course<'a> {
    /// The course of the run that `view` shows.
    pub(super) fn of(view: &'a RunView) -> Course<'a> {
        let mut rows = Vec::new();
        for (at, call) in view.calls.iter().enumerate() {
            for (id, instance) in call.each().filter(|(_, instance)| instance.state != State::Waiting) {
                let ended = instance.ended.unwrap_or(view.elapsed);
                let (ready, started) = (Duration::ZERO, instance.started);
                let row =
                    Row { at, call, id, view: instance, ready, after: None, started, ended, critical: false };
                rows.push(row);
            }
        }
        let last = last_of_each(&rows);
        let by_name: HashMap<String, usize> =
            rows.iter().enumerate().map(|(index, row)| (row.id.to_string(), index)).collect();
        for index in 0..rows.len() {
            let Some(row) = rows.get(index) else { continue };
            let (ready, after) = binding(row, &rows, &last, &by_name);
            if let Some(row) = rows.get_mut(index) {
                (row.ready, row.after) = (ready, after);
            }
        }
        let critical = critical(&rows);
        for index in &critical {
            if let Some(row) = rows.get_mut(*index) {
                row.critical = true;
            }
        }
        let sequential = rows.iter().filter(|row| row.works()).map(Row::took).sum();
        let waits = || rows.iter().map(Row::waited).filter(|wait| !wait.is_zero());
        let limit = view.head.as_ref().map_or(u32::MAX, |head| head.concurrency);
        let (most, average, steps) = concurrency(&rows, view.elapsed, limit);
        let queued = (waits().count(), waits().sum());
        let least = least(&rows, &last);
        Course { critical, whole: view.elapsed, sequential, least, most, average, queued, steps, rows }
    }

    /// Where a time stands on a line of 100 percent.
    pub(super) fn percent(&self, time: Duration) -> f64 {
        if self.whole.is_zero() {
            0.0
        } else {
            (time.as_secs_f64() / self.whole.as_secs_f64() * 100.0).min(100.0)
        }
    }
}

/// Which instance of each call ended last.
fn last_of_each<'a>(rows: &[Row<'a>]) -> HashMap<&'a CallId, usize> {
    let mut last: HashMap<&CallId, usize> = HashMap::new();
    for (index, row) in rows.iter().enumerate() {
        let known = last.entry(row.call.id()).or_insert(index);
        if rows.get(*known).is_some_and(|known| known.ended < row.ended) {
            *known = index;
        }
    }
    last
}

/// When everything that a row needs had ended, and what came last.
fn binding(
    row: &Row<'_>,
    rows: &[Row<'_>],
    last: &HashMap<&CallId, usize>,
    by_name: &HashMap<String, usize>,
) -> (Duration, Option<usize>) {
    // A call of a sub-plan names no needs in the head of the run: it was ready when it began.
    if let Some((outer, _)) = row.call.id().as_str().rsplit_once('.') {
        return (row.started.unwrap_or(row.ended), by_name.get(outer).copied());
    }
    let needs = row.call.planned.needs.iter().filter_map(|need| last.get(need).copied());
    let latest =
        needs.filter_map(|index| Some((rows.get(index)?.ended, index))).max_by_key(|(ended, _)| *ended);
    latest.map_or((Duration::ZERO, None), |(ended, index)| (ended, Some(index)))
}

/// The rows that decided how long it took: back from what ended last, each time to what it waited for.
fn critical(rows: &[Row<'_>]) -> Vec<usize> {
    let ran = rows.iter().enumerate().filter(|(_, row)| row.started.is_some() && row.works());
    let mut next = ran.max_by_key(|(_, row)| row.ended).map(|(index, _)| index);
    let mut chain = Vec::new();
    while let Some(index) = next.filter(|index| !chain.contains(index)) {
        chain.push(index);
        next = rows.get(index).and_then(|row| row.after);
        // What never ran took no time; the sub-plan that a call belongs to began before it.
        next = next.filter(|index| rows.get(*index).is_some_and(|row| row.started.is_some()));
    }
    chain.reverse();
    chain
}

/// The length of the longest chain, each instance as long as it took, with nothing waiting for a place.
fn least(rows: &[Row<'_>], last: &HashMap<&CallId, usize>) -> Duration {
    let mut ends: HashMap<&CallId, Duration> = HashMap::new();
    let mut longest = Duration::ZERO;
    let mut order: Vec<&Row<'_>> = rows.iter().collect();
    order.sort_by_key(|row| row.call.planned.turn);
    for row in order {
        let needs = row.call.planned.needs.iter().filter(|need| last.contains_key(need));
        let ready = needs.filter_map(|need| ends.get(need).copied()).max().unwrap_or_default();
        let end = ready + row.took();
        let known = ends.entry(row.call.id()).or_default();
        *known = (*known).max(end);
        longest = longest.max(end);
    }
    longest
}

fn concurrency(rows: &[Row<'_>], whole: Duration, limit: u32) -> (usize, f64, Vec<Step>) {
    let working = || rows.iter().filter(|row| row.works()).filter_map(|row| Some((row, row.started?)));
    // At one moment, ends come before starts: a place that is freed and taken is one place.
    let mut changes: Vec<(Duration, i32, i32)> = Vec::new();
    for (row, started) in working() {
        changes.extend([(started, 1, 0), (row.ended, -1, -1), (started.min(row.ready), 0, 1)]);
        // Between two attempts an instance holds no place.
        for attempt in row.view.attempts.iter().filter(|attempt| attempt.retry_in.is_some()) {
            let (from, to) = (attempt.at, attempt.at + attempt.retry_in.unwrap_or_default());
            changes.extend([(from.min(row.ended), -1, -1), (to.min(row.ended), 1, 1)]);
        }
    }
    changes.sort_unstable();
    let mut steps = vec![Step::default(); STEPS];
    let step = |time: Duration| {
        let share = if whole.is_zero() { 0.0 } else { time.as_secs_f64() / whole.as_secs_f64() };
        ((share * STEPS as f64) as usize).min(STEPS - 1)
    };
    // A place is free before the record of its end is written: two records may seem to share it.
    let limit = i32::try_from(limit).unwrap_or(i32::MAX);
    let (mut running, mut ready, mut most, mut from) = (0_i32, 0_i32, 0_i32, 0_usize);
    for group in changes.chunk_by(|a, b| a.0 == b.0) {
        let Some((now, ..)) = group.first() else { continue };
        let to = step(*now);
        fill(&mut steps, from, to, running.min(limit), ready);
        for (_, run, wait) in group {
            running += run;
            ready += wait;
        }
        most = most.max(running.min(limit));
        from = to;
        fill(&mut steps, from, from, running.min(limit), ready);
    }
    let busy: f64 = working().map(|(row, _)| row.took().as_secs_f64()).sum();
    let average = if whole.is_zero() { 0.0 } else { busy / whole.as_secs_f64() };
    (usize::try_from(most).unwrap_or(0), average, steps)
}

/// Each step shows the most that ran in it.
fn fill(steps: &mut [Step], from: usize, to: usize, running: i32, ready: i32) {
    let (running, ready) = (usize::try_from(running).unwrap_or(0), usize::try_from(ready).unwrap_or(0));
    for step in steps.iter_mut().take(to + 1).skip(from) {
        step.running = step.running.max(running);
        step.ready = step.ready.max(ready);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::PlannedCall;
    use crate::report::sample::{Script, planned};

    fn needing(id: &str, turn: u32, needs: &[&str]) -> PlannedCall {
        let needs = needs.iter().map(|need| CallId::parse(need).unwrap()).collect();
        PlannedCall { turn, needs, ..planned(id, id) }
    }

    #[test]
    fn the_critical_path_goes_back_from_what_ended_last_through_what_each_waited_for() {
        let calls =
            vec![planned("a", "a"), planned("b", "b"), needing("c", 2, &["a", "b"]), planned("d", "d")];
        let mut script = Script::planned("p", calls);
        script.start("a").start("b").start("d").wait(1.0).ok("a", "x").wait(3.0).ok("b", "x");
        script.wait(2.0).start("c").wait(1.0).ok("d", "x").wait(3.0).ok("c", "x").finish(true, &[]);
        let view = RunView::of(&script.records);
        let course = Course::of(&view);
        let names: Vec<String> = course.critical.iter().map(|at| course.rows[*at].id.to_string()).collect();
        assert_eq!(names, ["b", "c"]);
        let seconds = Duration::from_secs;
        assert_eq!((course.whole, course.least, course.sequential), (seconds(10), seconds(8), seconds(16)));
        assert_eq!((course.most, course.queued), (3, (1, seconds(2))));
        assert!((course.average - 1.6).abs() < 1e-9, "{}", course.average);
        assert_eq!(course.steps[0], Step { running: 3, ready: 3 });
        assert_eq!(course.steps[STEPS - 1], Step { running: 1, ready: 1 });
    }

    #[test]
    fn a_run_of_nothing_has_a_course_too() {
        let view = RunView::default();
        let course = Course::of(&view);
        assert_eq!((course.rows.len(), course.critical.len(), course.most), (0, 0, 0));
    }
}
