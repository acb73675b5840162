//! `check: {ask: …}`: the model says yes or no to one answer, with the reason.
//!
//! Invariant: only a plain yes passes.

use serde_json::{Value, json};

use super::Question;
use super::extent::{ROOM, enclosed, excerpt};
use super::synthesis::object;

/// Bytes of what was asked of the one who is judged.
const TASK: usize = 16_000;

/// What the model said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// True for yes.
    pub passed: bool,
    /// Why.
    pub reason: String,
}

/// The question whether an answer passes. `task` is what the answer was given to.
pub fn judgement(goal: Option<&str>, question: &str, task: &str, answer: &str) -> Question {
    let goal = goal.map(str::trim).filter(|goal| !goal.is_empty());
    let goal = goal.map(|goal| format!("# Goal\n\n{goal}\n\n")).unwrap_or_default();
    let prompt = format!(
        "{goal}# What was asked\n\n{}\n\n# The answer\n\n{}\n\n# The question about it\n\n{}\n\n\
         # How to answer\n\nFirst the reason, in one to three sentences that the one who answered can act on; then \
         `verdict`: yes or no. Where you cannot tell, it is no.\n",
        enclosed("task", &excerpt(task, TASK).0),
        enclosed("answer", &excerpt(answer, ROOM).0),
        question.trim(),
    );
    let verdict = json!({"type": "string", "enum": ["yes", "no"]});
    let schema = object(&[("reason", json!({"type": "string"})), ("verdict", verdict)]);
    Question { prompt, schema: schema.into(), purpose: "judge the answer".to_owned() }
}

/// Reads what the model said, which satisfies the question's schema.
///
/// # Errors
/// What is wrong with it, in words for the model.
pub fn judge(said: &Value) -> Result<Judged, String> {
    let reason = said["reason"].as_str().unwrap_or_default().trim().to_owned();
    if reason.is_empty() {
        return Err("the verdict has no reason".to_owned());
    }
    Ok(Judged { passed: said["verdict"] == "yes", reason })
}
