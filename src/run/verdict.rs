//! Whether a run succeeded, why not, and with which exit status.
//!
//! Invariant: "everyone died" never reads as "nothing found". A verdict is computed
//! from outcomes and the plan's own `require` and `fail_on`, from nothing else.

use super::confine::NO_SANDBOX;
use super::level::{Level, Local, data};
use super::parent::Whole;
use super::stop::Why;
use crate::outcome::{Cause, Status};
use crate::plan::{Call, OnError, Quantity, Require};

/// The cause's code when `on_conflict: fail` met conflicts.
pub(crate) const CONFLICT: &str = "conflict";

/// What a run came to, and its exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// 0: everything that the plan requires succeeded.
    Success,
    /// 1: a call failed, `require` was not met, or `fail_on` held.
    Failed,
    /// 3: the results contradict each other and the plan says `on_conflict: fail`.
    Conflict,
    /// 5: a limit of the run was used up.
    Budget,
    /// 6: a call was refused because nothing could confine it.
    Policy,
    /// 128 + n: ended by signal n.
    Signal(i32),
}

impl Verdict {
    /// The exit status of the process.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Success => 0,
            Verdict::Failed => 1,
            Verdict::Conflict => 3,
            Verdict::Budget => 5,
            Verdict::Policy => 6,
            Verdict::Signal(signal) => 128u8.saturating_add(u8::try_from(signal).unwrap_or(2)),
        }
    }
}

/// A verdict with its reasons.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    /// Sentences; the first is the one to show if there is room for one.
    pub(crate) reasons: Vec<String>,
}

impl Judged {
    pub(crate) fn success(&self) -> bool {
        self.verdict == Verdict::Success
    }
}

/// Judges a level.
pub(crate) fn of(level: &Level, whole: &Whole) -> Judged {
    let mut found: Vec<(Verdict, String)> = Vec::new();
    match level.world.stop.why() {
        Some(why @ Why::Signal(signal)) => found.push((Verdict::Signal(signal), why.message())),
        Some(why @ Why::Time) => found.push((Verdict::Budget, why.message())),
        Some(why @ Why::Stop { success: false, .. }) => found.push((Verdict::Failed, why.message())),
        Some(Why::Stop { success: true, reason }) => {
            // The plan itself says that this is how a success looks, whatever else was still open.
            return Judged {
                verdict: Verdict::Success,
                reasons: vec![format!("the plan stopped the run: {reason}")],
            };
        }
        Some(Why::Error { .. } | Why::Enough { .. } | Why::Over | Why::Outer { .. }) | None => {}
    }
    found.extend(required(level));
    match &whole.reconciled {
        Err(cause) if cause.code == "interrupted" => {}
        Err(cause) => {
            let verdict = if cause.code == CONFLICT { Verdict::Conflict } else { Verdict::Failed };
            found.push((verdict, format!("the reconciliation failed: {}", cause.message)));
        }
        Ok(_) => {}
    }
    found.extend(fail_on(level, whole));
    let verdict = worst(found.iter().map(|(verdict, _)| *verdict));
    found.sort_by_key(|(reason, _)| *reason != verdict);
    Judged { verdict, reasons: found.into_iter().map(|(_, reason)| reason).collect() }
}

/// A signal outranks a refusal, a refusal a budget, a budget a plain failure, and a plain failure a conflict: a
/// conflict between answers means most where all were there.
fn worst(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Success => 0,
        Verdict::Conflict => 1,
        Verdict::Failed => 2,
        Verdict::Budget => 3,
        Verdict::Policy => 4,
        Verdict::Signal(_) => 5,
    };
    verdicts.max_by_key(rank).unwrap_or(Verdict::Success)
}

/// What `require` says.
fn required(level: &Level) -> Vec<(Verdict, String)> {
    let calls = &level.plan.calls;
    let blamed = blamed(level);
    let verdict = |position: usize| match level.store.get(position) {
        Some(result) if result.status == Status::OverBudget => Verdict::Budget,
        Some(result) if result.cause.as_ref().is_some_and(|cause| cause.code == NO_SANDBOX) => {
            Verdict::Policy
        }
        Some(_) | None => Verdict::Failed,
    };
    match &level.plan.require {
        Require::All => (0..calls.len())
            .filter(|position| blamed[*position] == Blame::Counts)
            .map(|position| (verdict(position), sentence(level, position)))
            .collect(),
        Require::Some(quantity) => {
            let asked: Vec<usize> = (0..calls.len())
                .filter(|at| !matches!(blamed[*at], Blame::Excused | Blame::Ignored))
                .collect();
            let ok = asked.iter().filter(|at| blamed[**at] == Blame::Ok).count() as u32;
            let wanted = quantity.of(asked.len() as u32);
            if ok >= wanted {
                return Vec::new();
            }
            let all = asked.len();
            let mut found =
                vec![(Verdict::Failed, format!("{ok} of {all} calls succeeded; `require` wants {wanted}"))];
            found.extend(
                asked
                    .into_iter()
                    .filter(|at| blamed[*at] == Blame::Counts)
                    .map(|position| (verdict(position), sentence(level, position))),
            );
            found
        }
        Require::PerCall(wants) => {
            wants.iter().filter_map(|(position, want)| per_call(level, *position, *want)).collect()
        }
    }
}

fn per_call(level: &Level, position: usize, want: Option<Quantity>) -> Option<(Verdict, String)> {
    let result = level.store.get(position)?;
    let total = result.instances.len() as u32;
    let ok = result.instances.iter().filter(|instance| instance.outcome.is_ok()).count() as u32;
    let met = match want {
        None => result.is_ok() && total > 0,
        Some(quantity) => total > 0 && ok >= quantity.of(total),
    };
    if met {
        return None;
    }
    let id = level.plan.calls.get(position).map(|call| call.id.as_str()).unwrap_or_default();
    let wanted = want.map_or_else(|| "all".to_owned(), |quantity| quantity.of(total).to_string());
    let mut sentence_ = format!("`{id}`: {ok} of {total} succeeded; `require` wants {wanted}");
    if let Some(cause) = &result.cause {
        sentence_ = format!("{sentence_}; {}", cause.message);
    }
    Some((Verdict::Failed, sentence_))
}

/// Whether a call's outcome counts against the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blame {
    Ok,
    /// It failed, and the run with it.
    Counts,
    /// Skipped by its own `when`, or because of such a one.
    Excused,
    /// It failed and says `on_error: ignore`: nobody's fault, but what needs it got nothing.
    Ignored,
}

fn blamed(level: &Level) -> Vec<Blame> {
    let mut blamed = vec![Blame::Excused; level.plan.calls.len()];
    // Needs come before what needs them, turn by turn.
    for position in level.graph.turns().into_iter().flatten() {
        blamed[position] = blame(level, position, &blamed);
    }
    blamed
}

fn blame(level: &Level, position: usize, before: &[Blame]) -> Blame {
    let (Some(call), Some(result)) = (level.plan.calls.get(position), level.store.get(position)) else {
        return Blame::Counts;
    };
    let code = result.cause.as_ref().map(|cause| cause.code.as_str());
    match (result.status, code) {
        (Status::Ok, _) => Blame::Ok,
        (Status::OverBudget, _) => Blame::Counts,
        (Status::Skipped, Some("when_false" | "not_selected")) => Blame::Excused,
        _ if call.on_error == OnError::Ignore => Blame::Ignored,
        (Status::Cancelled, Some("run_over")) => Blame::Excused,
        (Status::Skipped, _) => {
            let guilty = |need: &crate::plan::Need| {
                matches!(before.get(need.call), Some(Blame::Counts | Blame::Ignored))
            };
            if call.needs.iter().any(guilty) { Blame::Counts } else { Blame::Excused }
        }
        (
            Status::Failed
            | Status::TimedOut
            | Status::Blocked
            | Status::Refused
            | Status::InvalidOutput
            | Status::Cancelled,
            _,
        ) => Blame::Counts,
    }
}

fn sentence(level: &Level, position: usize) -> String {
    let call: Option<&Call> = level.plan.calls.get(position);
    let id = call.map(|call| call.id.as_str()).unwrap_or_default();
    let Some(result) = level.store.get(position) else { return format!("`{id}` has no outcome") };
    let why = result.cause.as_ref().map(|cause: &Cause| cause.message.lines().next().unwrap_or_default());
    match why {
        Some(why) => format!("`{id}` {}: {why}", result.status.words()),
        None => format!("`{id}` {}", result.status.words()),
    }
}

/// What `fail_on` says.
fn fail_on(level: &Level, whole: &Whole) -> Option<(Verdict, String)> {
    let expression = level.plan.fail_on.as_ref()?;
    let reconciled = whole.reconciled.as_ref().ok()?;
    let seen = data(serde_json::json!({
        "output": reconciled.text,
        "json": reconciled.json,
        "conflicts": reconciled.conflicts,
    }));
    let local = Local { more: vec![("reconcile", seen)], ..Local::default() };
    let holds = level.scope(None, &local).and_then(|scope| expression.holds(&scope));
    match holds {
        Ok(false) => None,
        Ok(true) => Some((Verdict::Failed, format!("`fail_on` holds: {}", expression.source.trim()))),
        Err(error) => Some((Verdict::Failed, format!("`fail_on` cannot be evaluated: {error}"))),
    }
}
