//! Compares answers without running anything: reconciliation is a pure function.
//!
//! `cargo run --example compare_answers`

use std::io::Write;

use fanout::id::{CallId, InstanceId};
use fanout::outcome::{Cause, Outcome, Output, Status};
use fanout::reconcile::{Answer, Inputs, reconcile};
use serde_json::json;

fn answer(name: &str, outcome: Outcome) -> Result<Answer, Box<dyn std::error::Error>> {
    Ok(Answer {
        instance: InstanceId::only(CallId::parse(name)?),
        label: None,
        description: name.to_owned(),
        agent: None,
        outcome,
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let said = |text: &str| Outcome::ok(Output::text(text));
    let inputs = Inputs {
        answers: vec![
            answer("first", said("Revert it."))?,
            answer("second", said("revert it"))?,
            answer("third", said("Fix it forward: the test is wrong."))?,
            answer(
                "fourth",
                Outcome::ended(Status::TimedOut, Cause::new("timeout", "it took longer than 5m")),
            )?,
        ],
        ..Inputs::default()
    };
    let settings = json!({"normalize": ["case", "punctuation"]});
    let Some(settings) = settings.as_object() else { return Ok(()) };
    let reconciled = reconcile("compare", settings, &inputs)?;
    writeln!(std::io::stdout(), "{}", reconciled.text)?;
    Ok(())
}
