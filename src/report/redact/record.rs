//! Records without secrets: every text that people or programs wrote, field by field.
//!
//! Invariant: names of runs and calls, statuses and keys stay as they are, so a
//! redacted record means the same; a new field of an event does not compile before
//! somebody said which of the two it is.

use std::sync::Arc;

use serde_json::Value;

use super::Redactor;
use crate::event::{Event, Exchanged, Memory, ModelAnswer, Record, RunFinished, RunStarted, Thread};
use crate::outcome::{Cause, Outcome, Output};

impl Redactor {
    /// The record as it may be shown; the same one when it holds no secret.
    pub fn record(&self, record: &Arc<Record>) -> Arc<Record> {
        if self.known.is_empty() {
            return Arc::clone(record);
        }
        if has_no_text(&record.event) {
            return Arc::clone(record);
        }
        let mut event = record.event.clone();
        self.event(&mut event);
        if event == record.event {
            return Arc::clone(record);
        }
        Arc::new(Record { event, ..Record::clone(record) })
    }

    fn event(&self, event: &mut Event) {
        match event {
            Event::RunStarted(head) => self.head(head),
            Event::RunResumed { fanout: _, pid: _ } => {}
            Event::CallExpanded { call: _, labels } => labels.iter_mut().for_each(|label| self.string(label)),
            Event::CallStarted { instance: _, key: _, agent, input } => {
                self.string(agent);
                self.string(input);
            }
            Event::CallProgressed { instance: _, activity, tokens: _ } => {
                if let Some(clean) = self.passing(activity) {
                    *activity = clean;
                }
            }
            Event::CallWaiting { instance: _, on: _, reason: _, left: _ }
            | Event::RequestStarted(_)
            | Event::RequestFinished(_) => {}
            Event::AttemptFailed { instance: _, attempt: _, cause, retry_in: _ } => self.cause(cause),
            Event::ResultsForgotten { calls: _ } => {}
            Event::AttemptFinished { instance: _, attempt: _, key: _, outcome } => self.outcome(outcome),
            Event::ModelAsked { instance: _, key: _, model: _ } => {}
            Event::ModelAnswered { instance: _, key: _, answer } => self.answer(answer),
            Event::ToolStarted { instance: _, key: _, tool: _, input, before: _ } => self.value(input),
            Event::ToolEnded { instance: _, key: _, tool: _, text, is_error: _, took: _ } => {
                self.string(text)
            }
            Event::JobEnded { instance: _, key: _, job: _, status: _, text, took: _ } => self.string(text),
            Event::SessionExtended { instance: _, exchanged } => self.exchanged(exchanged),
            Event::WorkspaceMade { instance: _, isolation: _, path, commit: _ } => self.string(path),
            Event::SubagentPlanned { within: _, call } => self.string(&mut call.description),
            Event::CallFinished { instance: _, key: _, outcome } => self.outcome(outcome),
            Event::NotificationPosted { number: _, instance: _, status: _ } => {}
            Event::NotificationsDrained { by: _, numbers: _ } => {}
            Event::QuestionAsked { call: _, question } => self.string(question),
            Event::QuestionAnswered { call: _, by: _ } => {}
            Event::StopRequested { reason: _, message } => self.string(message),
            Event::Reconciled { step: _, result, text } => {
                self.value(result);
                self.string(text);
            }
            Event::ConflictsFound { step: _, count: _, messages } => {
                messages.iter_mut().for_each(|message| self.string(message));
            }
            Event::Warned { code: _, message } => self.string(message),
            Event::NoticeDelivered { topic: _, to: _, attempts: _, cause } => {
                cause.iter_mut().for_each(|cause| self.cause(cause));
            }
            Event::RunFinished(RunFinished { success: _, reasons, exit: _, census: _ }) => {
                reasons.iter_mut().for_each(|reason| self.string(reason));
            }
        }
    }

    fn head(&self, head: &mut RunStarted) {
        self.string(&mut head.name);
        head.description.iter_mut().chain(&mut head.goal).for_each(|text| self.string(text));
        self.string(&mut head.plan);
        self.string(&mut head.plan_path);
        head.vars.values_mut().for_each(|value| self.value(value));
        head.calls.iter_mut().for_each(|call| self.string(&mut call.description));
    }

    fn answer(&self, answer: &mut ModelAnswer) {
        let ModelAnswer { model: _, text, assistant, calls, paused: _, .. } = answer;
        self.string(text);
        self.value(assistant);
        for call in calls {
            self.value(&mut call.input);
            call.unreadable.iter_mut().for_each(|why| self.string(why));
        }
        answer.told.iter_mut().for_each(|told| self.string(told));
    }

    fn exchanged(&self, exchanged: &mut Exchanged) {
        let Exchanged { said, answered, memory } = exchanged;
        self.string(said);
        self.string(answered);
        match memory {
            Some(Memory::Transcript { model: _, messages }) => self.value(messages),
            Some(Memory::Thread(Thread { id, spent: _ })) => id.iter_mut().for_each(|id| self.string(id)),
            None => {}
        }
    }

    fn outcome(&self, outcome: &mut Outcome) {
        outcome.cause.iter_mut().for_each(|cause| self.cause(cause));
        let Output { text, json, omitted_bytes: _ } = &mut outcome.output;
        self.shared(text);
        if let Some(json) = json {
            let mut value = Value::clone(json);
            self.value(&mut value);
            if value != **json {
                *json = Arc::new(value);
            }
        }
        self.shared(&mut outcome.stderr);
        outcome.agent.iter_mut().for_each(|agent| self.string(agent));
        if let Some(changes) = &mut outcome.changes {
            self.shared(&mut changes.patch);
            changes.files.iter_mut().for_each(|file| self.string(&mut file.path));
        }
    }

    fn cause(&self, cause: &mut Cause) {
        self.string(&mut cause.message);
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) => self.string(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => {
                if fields.keys().any(|name| self.text(name).is_some()) {
                    let old = std::mem::take(fields);
                    *fields = old
                        .into_iter()
                        .map(|(name, value)| (self.text(&name).unwrap_or(name), value))
                        .collect();
                }
                fields.values_mut().for_each(|value| self.value(value));
            }
        }
    }

    fn string(&self, text: &mut String) {
        if let Some(clean) = self.text(text) {
            *text = clean;
        }
    }

    fn shared(&self, text: &mut Arc<str>) {
        if let Some(clean) = self.text(text) {
            *text = clean.into();
        }
    }
}

/// True for the most frequent of those in which nothing was written by people or programs: they need no
/// copy to be looked through.
fn has_no_text(event: &Event) -> bool {
    matches!(
        event,
        Event::RequestStarted(_)
            | Event::RequestFinished(_)
            | Event::CallWaiting { .. }
            | Event::ModelAsked { .. }
            | Event::NotificationPosted { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::redact::Key;
    use crate::report::sample;

    #[test]
    fn a_secret_leaves_no_trace_in_any_record() {
        // The sample puts one text into every field that others write.
        let nasty = "✓ all 3 calls ok";
        let redactor = Redactor::new(Key::default(), [("LAB_API_KEY", nasty)]);
        let records = sample::hostile();
        let with = |records: &[Record]| serde_json::to_string(records).unwrap().matches(nasty).count();
        assert!(with(&records) > 15, "{}", with(&records));
        let clean: Vec<Record> =
            records.into_iter().map(|record| Record::clone(&redactor.record(&Arc::new(record)))).collect();
        assert_eq!(with(&clean), 0, "{clean:#?}");
    }

    #[test]
    fn a_record_without_secrets_is_the_same_record() {
        let redactor = Redactor::new(Key::default(), [("LAB_API_KEY", "not in there")]);
        let record = Arc::new(sample::ok().remove(0));
        assert!(Arc::ptr_eq(&redactor.record(&record), &record));
    }
}
