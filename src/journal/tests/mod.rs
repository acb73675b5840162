//! The journal against a world that fails, tears, forgets and damages.

mod bytes;
mod crash;
mod faults;
mod lock;
mod order;
mod outputs;
mod resume;
mod runs;
mod tail;
mod world;

use std::path::Path;
use std::sync::Arc;

use futures::executor::block_on;
use serde_json::json;

use super::*;
use crate::event::{Census, FORMAT, PlannedCall, RunFinished, RunStarted};
use crate::id::CallId;
use crate::outcome::{Cause, Output, Status};

fn head(run: &RunId) -> RunStarted {
    let call = PlannedCall {
        id: id("graph"),
        description: "Call graph".into(),
        kind: "run".into(),
        turn: 1,
        needs: vec![],
        after: vec![],
        background: false,
        check: false,
    };
    RunStarted {
        format: FORMAT,
        fanout: "0.1.0".into(),
        pid: 4711,
        run: run.clone(),
        name: "demo".into(),
        description: Some("Looks around".into()),
        goal: None,
        plan: "plan.yaml".into(),
        plan_path: "/x/plan.yaml".into(),
        vars: serde_json::Map::new(),
        concurrency: 8,
        turns: 1,
        calls: vec![call],
    }
}

fn id(name: &str) -> CallId {
    CallId::parse(name).unwrap()
}

fn nth(index: u32) -> InstanceId {
    InstanceId::nth(id("review"), index)
}

fn key(index: u32) -> ContentKey {
    ContentKey::of([b"review".as_slice(), &index.to_le_bytes()])
}

fn started(index: u32) -> Event {
    Event::CallStarted { instance: nth(index), key: key(index), agent: "sh".into(), input: "ls".into() }
}

fn text(text: impl Into<Arc<str>>) -> Outcome {
    Outcome::ok(Output::text(text))
}

/// Too long for its line.
fn long(index: u32) -> Outcome {
    text(format!("{index} ").repeat(5_000))
}

fn failed() -> Outcome {
    Outcome::ended(Status::Failed, Cause::new("exit_status", "exit status 1"))
}

fn ended(exit: u8) -> Event {
    let census = Census::default();
    Event::RunFinished(RunFinished { success: exit == 0, reasons: vec![], exit, census })
}

fn warned(message: &str) -> Event {
    Event::Warned { code: "test".into(), message: message.into() }
}

fn create(root: &Path, options: Options) -> Journal {
    Journal::create(root, head, vec![], options).unwrap()
}

fn finish(journal: &Journal, index: u32, outcome: Outcome) -> Result<Durable<Outcome>, JournalError> {
    block_on(journal.finish(nth(index), Some(key(index)), outcome))
}

/// Seven records with one blob, closed.
fn small_run(root: &Path) -> std::path::PathBuf {
    let journal = create(root, Options::default());
    journal.note(started(0));
    finish(&journal, 0, text("zero")).unwrap();
    journal.note(started(1));
    finish(&journal, 1, long(1)).unwrap();
    let result = json!({"agree": true, "$blob": [1.5, null]});
    let reconciled = Event::Reconciled { step: CallId::parent_step(), result, text: "agreed".into() };
    block_on(journal.commit(reconciled)).unwrap();
    block_on(journal.commit(ended(0))).unwrap();
    block_on(journal.close()).unwrap();
    journal.dir().to_owned()
}

fn file(dir: &Path) -> std::path::PathBuf {
    dir.join(writer::FILE)
}

fn events(past: &Past) -> Vec<Event> {
    past.records.iter().map(|record| record.event.clone()).collect()
}
