//! What a parent step reads: outcomes as answers, and the person's own idea of when two are the same.

use std::sync::Arc;

use minijinja::Value;

use super::level::{Level, Local, data};
use super::results::CallResult;
use super::work::template_cause;
use crate::id::InstanceId;
use crate::outcome::{Cause, Outcome};
use crate::plan::Reconcile;
use crate::plan::diagnostic::Span;
use crate::plan::template::{self, Also, Known, Names, ScalarText, Style};
use crate::reconcile::Answer;

/// The answers that a step reads, in plan order, instances by index.
pub(crate) fn gather(level: &Level, reconcile: &Reconcile) -> Vec<Answer> {
    let mut answers = Vec::new();
    for position in &reconcile.of {
        let (Some(call), Some(result)) = (level.plan.calls.get(*position), level.store.get(*position)) else {
            continue;
        };
        let result: &Arc<CallResult> = result;
        if result.instances.is_empty() {
            // An expanded call that never became a list is still somebody who is missing.
            let cause = result.cause.clone();
            let outcome = match cause {
                Some(cause) => Outcome::ended(result.status, cause),
                None => continue,
            };
            answers.push(Answer {
                instance: InstanceId::only(call.id.clone()),
                label: None,
                description: call.description.clone(),
                agent: None,
                outcome,
            });
        }
        for instance in &result.instances {
            answers.push(Answer {
                instance: InstanceId { call: call.id.clone(), index: instance.id.index },
                label: instance.label.clone(),
                description: call.description.clone(),
                agent: instance.outcome.agent.clone(),
                outcome: Outcome::clone(&instance.outcome),
            });
        }
    }
    answers
}

/// What `normalize: [{expression: …}]` makes of each answer, as text; empty for those that did not succeed.
///
/// # Errors
/// A [`Cause`] when the expression is wrong or cannot be evaluated for an answer.
pub(crate) fn normalized(level: &Level, source: &str, answers: &[Answer]) -> Result<Vec<String>, Cause> {
    let wrong = |message: String| Cause::new("normalize", format!("`normalize`: {message}"));
    let known = Known::new();
    let mut names = Names::call(&known);
    names.item = Some("call");
    names.also = vec![Also::Output, Also::Json, Also::Index];
    let text = ScalarText { text: source, at: Span::default(), raw: source, style: Style::Plain };
    let mut faults = Vec::new();
    let expression = template::expression(&text, &names, &mut faults);
    if let Some(fault) = faults.first() {
        return Err(wrong(fault.message.clone()));
    }
    let one = |answer: &Answer| {
        if !answer.outcome.is_ok() {
            return Ok(String::new());
        }
        let json = answer.outcome.output.json.as_ref();
        let local = Local {
            index: answer.instance.index.or(Some(0)),
            more: vec![
                ("call", Value::from(answer.instance.to_string())),
                ("output", Value::from(Arc::clone(&answer.outcome.output.text))),
                ("json", json.map_or_else(|| Value::from(()), |json| data(json.as_ref()))),
            ],
            ..Local::default()
        };
        let scope = level.scope(None, &local).map_err(|error| template_cause(&error))?;
        let value = expression
            .evaluate(&scope)
            .map_err(|error| wrong(format!("{}: {}", answer.instance, error.message)))?;
        Ok(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    answers.iter().map(one).collect()
}
