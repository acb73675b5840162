//! What a resume would do: the same run, rehearsed on its journal with nothing done and
//! nothing written.
//!
//! Invariant: there is no second set of rules here. What is reused and what runs is what the
//! run itself decides, call by call; this only says why.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::load::Ready;
use super::run::journal_complaint;
use super::{Complaint, alone};
use crate::event::{Event, Record};
use crate::id::{CallId, InstanceId};
use crate::journal::{Journal, Listener, Nowhere, Options, Past, Salvage};
use crate::outcome::{Outcome, Status, Usage};
use crate::plan::OnInterrupt;
use crate::report::fold::{PossiblyBilled, RunView};
use crate::report::sanitise::{line, short};
use crate::report::style::{Style, Tone};
use crate::run::{REHEARSED, World};

/// How each instance ended in a rehearsal, in the order in which it did.
pub type Heard = Vec<(InstanceId, Outcome)>;

/// Rehearses a resume of the run in `dir`: which calls may start, and which are done anew.
///
/// # Errors
/// [`Complaint`] when the run is in use or its journal cannot be used.
pub fn rehearse(
    dir: &Path,
    ready: &Ready,
    (only, redo): (&Option<HashSet<CallId>>, &[CallId]),
    salvage: Salvage,
) -> Result<Heard, Complaint> {
    let heard: Arc<Mutex<Heard>> = Arc::default();
    let listener = {
        let heard = Arc::clone(&heard);
        Box::new(move |record: &Arc<Record>| {
            if let Event::CallFinished { instance, outcome, .. } = &record.event {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.push((instance.clone(), outcome.clone()));
            }
        }) as Listener
    };
    alone::until(async {
        let options = Options { storage: Arc::new(Nowhere), salvage, ..Options::default() };
        let (journal, _) =
            Journal::resume(dir, vec![listener], options).map_err(|error| journal_complaint(&error))?;
        journal.forget(redo.to_vec());
        let (rehearsal, only) = (true, only.clone());
        let alone = alone::world(ready, Arc::new(journal));
        let world = Arc::new(World { resumed: true, rehearsal, only, ..alone });
        // How it ends says nothing: most of it was not done.
        let _ = crate::run::run(Arc::clone(&ready.plan), Arc::clone(&world)).await;
        world.journal.close().await.map_err(|error| journal_complaint(&error))
    })?;
    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *heard))
}

/// What a resume would do, and why.
#[derive(Debug, Default, PartialEq)]
pub struct Forecast {
    run: String,
    /// The plan's files that are not what they were.
    changed: Vec<String>,
    /// Taken over, with what it took to get them.
    reused: Vec<InstanceId>,
    saved: Usage,
    /// Run, each with the reason.
    runs: Vec<(InstanceId, String)>,
    /// Come after what runs; whether and with what is not known yet.
    after: Vec<InstanceId>,
    /// What the processes that were cut off may be billed for.
    possibly: PossiblyBilled,
}

impl Forecast {
    /// Puts a rehearsal and the run's past together.
    pub fn of(
        earlier: &Past,
        view: &RunView,
        ready: &Ready,
        heard: &Heard,
        (changed, redo): (Vec<String>, &[CallId]),
    ) -> Forecast {
        let possibly = view.possibly_billed_if_cut_off();
        let mut forecast =
            Forecast { run: earlier.head.run.to_string(), changed, possibly, ..Forecast::default() };
        let cut_off: HashSet<InstanceId> =
            earlier.cut_off().into_iter().map(|cut_off| cut_off.instance).collect();
        // Who waits, directly or not, for something that runs.
        let mut unsettled: HashSet<&str> = HashSet::new();
        for (instance, outcome) in heard {
            let code = outcome.cause.as_ref().map_or("", |cause| cause.code.as_str());
            if outcome.reused {
                forecast.saved.add(&outcome.usage);
                forecast.reused.push(instance.clone());
            } else if code == REHEARSED {
                unsettled.insert(instance.call.as_str());
                let why = why(instance, view, ready, (&cut_off, redo));
                forecast.runs.push((instance.clone(), why));
            }
        }
        for (instance, outcome) in heard {
            let code = outcome.cause.as_ref().map_or("", |cause| cause.code.as_str());
            let waits = match ready.plan.position(instance.call.as_str()) {
                Some(at) => ready.graph.needs(at).any(|need| {
                    ready.plan.calls.get(need.call).is_some_and(|call| unsettled.contains(call.id.as_str()))
                }),
                None => outcome.status == Status::Skipped,
            };
            if !outcome.reused && waits && code != REHEARSED && code != "not_selected" {
                unsettled.insert(instance.call.as_str());
                forecast.after.push(instance.clone());
            }
        }
        forecast
    }

    /// As a document for programs.
    pub fn json(&self) -> Value {
        let names = |ids: &[InstanceId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        let runs: Vec<Value> =
            self.runs.iter().map(|(id, why)| json!({"id": id.to_string(), "reason": why})).collect();
        json!({
            "run": self.run,
            "changed": self.changed,
            "reused": names(&self.reused),
            "saved": self.saved,
            "runs": runs,
            "after": names(&self.after),
            "possibly_billed": self.possibly,
        })
    }

    /// For people.
    pub fn text(&self, style: &Style) -> String {
        let count = |n: usize, one: &str, more: &str| format!("{n} {}", if n == 1 { one } else { more });
        let mut head = vec![
            format!("{} taken over", count(self.reused.len(), "result is", "results are")),
            count(self.runs.len(), "call runs", "calls run"),
        ];
        if !self.after.is_empty() {
            head.push(format!("{} after that", count(self.after.len(), "comes", "come")));
        }
        let mut text = format!("{}: {}\n", style.paint(Tone::Strong, &self.run), head.join(", "));
        let mut row = |tone: Tone, word: &str, rest: &str| {
            let rest = short(rest, style.width.saturating_sub(9), style);
            text.push_str(&format!("  {} {rest}\n", style.paint(tone, format!("{word:<6}"))));
        };
        if !self.changed.is_empty() {
            row(Tone::Warn, "note", &format!("changed since the run began: {}", self.changed.join(", ")));
        }
        if !self.possibly.is_none() {
            row(Tone::Warn, "note", &format!("possibly billed so far: {}", self.possibly.sentence()));
        }
        if !self.reused.is_empty() {
            let tokens = self.saved.input + self.saved.output;
            let saved = match self.saved.cost {
                Some(cost) if self.saved.requests > 0 => {
                    format!(" ({tokens} tokens, {cost} not spent again)")
                }
                _ if !tokens.is_zero() => format!(" ({tokens} tokens not spent again)"),
                _ => String::new(),
            };
            row(Tone::Good, "reuse", &format!("{}{saved}", grouped(&self.reused)));
        }
        for (id, why) in by_reason(&self.runs) {
            row(Tone::Info, "run", &format!("{id}: {why}"));
        }
        if !self.after.is_empty() {
            row(Tone::Dim, "after", &grouped(&self.after));
        }
        text
    }
}

/// Why it is not taken over.
fn why(
    id: &InstanceId,
    view: &RunView,
    ready: &Ready,
    (cut_off, redo): (&HashSet<InstanceId>, &[CallId]),
) -> String {
    if redo.iter().any(|call| id.call.is_within(call)) {
        return "done anew, as `--from` says".to_owned();
    }
    if cut_off.contains(id) {
        let call = ready.plan.position(id.call.as_str()).and_then(|at| ready.plan.calls.get(at));
        let how = match call.map(|call| call.on_interrupt) {
            Some(OnInterrupt::Fail) if call.is_some_and(crate::run::is_program) => {
                "; `on_interrupt: fail` says not to repeat it"
            }
            Some(OnInterrupt::Ask) if call.is_some_and(crate::run::is_program) => {
                "; `on_interrupt: ask` asks first"
            }
            _ => ", and is repeated",
        };
        return format!("it was running when the run was cut off{how}");
    }
    match view.instance(id).and_then(|instance| instance.outcome.as_ref()) {
        None => "it has not been started".to_owned(),
        Some(outcome) if outcome.is_ok() => "its inputs or its settings have changed".to_owned(),
        Some(outcome) => match (&outcome.cause, outcome.status) {
            (_, Status::Skipped | Status::Cancelled) | (None, _) => {
                format!("it was {}", outcome.status.words())
            }
            (Some(cause), status) => format!("it ended as {}: {}", status.words(), cause.message),
        },
    }
}

/// `a, review ×12, b`: the instances of a call as one.
fn grouped(ids: &[InstanceId]) -> String {
    let mut counts: Vec<(&CallId, usize, &InstanceId)> = Vec::new();
    let mut places: BTreeMap<&CallId, usize> = BTreeMap::new();
    for id in ids {
        let place = *places.entry(&id.call).or_insert_with(|| {
            counts.push((&id.call, 0, id));
            counts.len() - 1
        });
        if let Some(count) = counts.get_mut(place) {
            count.1 += 1;
        }
    }
    let names = counts.into_iter().map(|(call, count, id)| match count {
        1 => id.to_string(),
        count => format!("{call} x{count}"),
    });
    names.collect::<Vec<_>>().join(", ")
}

/// One row for all instances of a call that run for the same reason.
fn by_reason(runs: &[(InstanceId, String)]) -> Vec<(String, String)> {
    let mut rows: Vec<(Vec<InstanceId>, &str)> = Vec::new();
    for (id, why) in runs {
        match rows.last_mut() {
            Some((ids, last)) if *last == why && ids.last().is_some_and(|last| last.call == id.call) => {
                ids.push(id.clone());
            }
            _ => rows.push((vec![id.clone()], why)),
        }
    }
    let style = Style::plain();
    rows.into_iter().map(|(ids, why)| (grouped(&ids), line(why, &style))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Tokens;

    #[test]
    fn a_forecast_groups_instances_and_says_why() {
        let only = |name: &str| InstanceId::only(CallId::parse(name).unwrap());
        let nth = |name: &str, n| InstanceId::nth(CallId::parse(name).unwrap(), n);
        let forecast = Forecast {
            run: "20261121-004218-7f3a".into(),
            changed: vec!["plan.yaml".into()],
            reused: vec![only("a"), nth("review", 0), nth("review", 1), nth("one", 3)],
            saved: Usage::default(),
            runs: vec![
                (nth("review", 2), "it has not been started".into()),
                (nth("review", 3), "it has not been started".into()),
                (only("b"), "its inputs or its settings have changed".into()),
            ],
            after: vec![only("c")],
            possibly: PossiblyBilled { requests: 0, tokens: Tokens(12_000), cost: None },
        };
        let expected = "\
20261121-004218-7f3a: 4 results are taken over, 3 calls run, 1 comes after that
  note   changed since the run began: plan.yaml
  note   possibly billed so far: at most 12.0k tokens
  reuse  a, review x2, one[3]
  run    review x2: it has not been started
  run    b: its inputs or its settings have changed
  after  c
";
        assert_eq!(forecast.text(&Style::plain()), expected);
        assert_eq!(forecast.json()["runs"][2]["id"], "b");
    }
}
