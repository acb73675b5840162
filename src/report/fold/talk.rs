//! What an agent said and did on its way to an answer, in order, as people see it.
//!
//! Invariant: what it asked for and what came of it stand in one step; an end without
//! a begin (a tool that was refused) is a step of its own.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::{InstanceView, as_written};
use crate::event::{Event, JobStatus, ModelAnswer};
use crate::id::ContentKey;
use crate::unit::{Tokens, human_duration};

/// One step of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct StepView {
    /// The model or the tool; `bg-1` for a background job.
    pub who: String,
    /// When it was recorded.
    pub at: Duration,
    /// What was said or done.
    pub said: Said,
    key: ContentKey,
}

/// What was said or done; all texts unsanitised.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// A model answered.
    Model {
        /// What it said.
        text: String,
        /// The tools that it asked for.
        asks: Vec<String>,
        /// Tokens both ways.
        tokens: Tokens,
    },
    /// A tool was used.
    Tool {
        /// Its arguments; null for one that never started.
        input: Value,
        /// What the model was told; `None` until its end.
        text: Option<String>,
        /// True when it failed or was refused.
        is_error: bool,
        /// How long it took.
        took: Duration,
    },
    /// A background job of the agent ended.
    Job {
        /// How.
        status: JobStatus,
        /// What it printed or answered.
        text: String,
        /// How long it ran.
        took: Duration,
    },
}

impl StepView {
    /// The step in one line: what matters of it first; its texts as far as their first lines.
    pub fn line(&self) -> String {
        let mut line = String::new();
        match &self.said {
            Said::Model { text, asks, tokens } => {
                line.push_str(first(text));
                if !asks.is_empty() {
                    let _ = write!(line, "{}asks for {}", gap(&line), asks.join(", "));
                }
                if !tokens.is_zero() {
                    let _ = write!(line, "{}({tokens} tokens)", gap(&line));
                }
            }
            Said::Tool { input, text, took, .. } => {
                if !input.is_null() {
                    let _ = write!(line, "{input}");
                }
                match text {
                    None => line.push_str(" (no end on record)"),
                    Some(text) => {
                        let _ = write!(line, "{}{} ({})", arrow(&line), first(text), human_duration(*took));
                    }
                }
            }
            Said::Job { status, text, took } => {
                let _ = write!(line, "{} after {}: {}", status.as_str(), human_duration(*took), first(text));
            }
        }
        line
    }
}

/// The first line of a text, cut where it goes on and on.
fn first(text: &str) -> &str {
    let line = text.trim().lines().next().unwrap_or_default();
    line.char_indices().nth(240).and_then(|(end, _)| line.get(..end)).unwrap_or(line)
}

fn gap(line: &str) -> &'static str {
    if line.is_empty() { "" } else { " " }
}

fn arrow(line: &str) -> &'static str {
    if line.is_empty() { "" } else { " -> " }
}

impl InstanceView {
    /// Takes in a record of its conversation; any other changes nothing.
    pub(super) fn converse(&mut self, event: &Event, at: Duration) {
        let mut push = |key: &ContentKey, who: String, said| {
            self.talk.push(StepView { key: key.clone(), who, at, said });
        };
        match event {
            Event::ModelAnswered { key, answer, .. } => {
                let ModelAnswer { model, text, calls, usage, .. } = answer;
                let asks = calls.iter().map(|call| call.name.clone()).collect();
                let tokens = usage.input + usage.output;
                push(key, model.clone(), Said::Model { text: text.clone(), asks, tokens });
            }
            Event::ToolStarted { key, tool, input, .. } => {
                let said =
                    Said::Tool { input: input.clone(), text: None, is_error: false, took: Duration::ZERO };
                push(key, tool.clone(), said);
            }
            Event::ToolEnded { key: ended, tool, text: told, is_error: failed, took: time, .. } => {
                let open = self.talk.iter_mut().rev().find(|step| step.key == *ended);
                let open = open.map(|step| &mut step.said);
                if let Some(Said::Tool { text: text @ None, is_error, took, .. }) = open {
                    (*text, *is_error, *took) = (Some(told.clone()), *failed, as_written(*time));
                    return;
                }
                let (text, took) = (Some(told.clone()), as_written(*time));
                let said = Said::Tool { input: Value::Null, text, is_error: *failed, took };
                self.talk.push(StepView { key: ended.clone(), who: tool.clone(), at, said });
            }
            Event::JobEnded { key, job, status, text, took, .. } => {
                let said = Said::Job { status: *status, text: text.clone(), took: as_written(*took) };
                push(key, format!("bg-{job}"), said);
            }
            Event::RunStarted(_)
            | Event::RunResumed { .. }
            | Event::CallExpanded { .. }
            | Event::ResultsForgotten { .. }
            | Event::CallStarted { .. }
            | Event::CallProgressed { .. }
            | Event::CallWaiting { .. }
            | Event::RequestStarted(_)
            | Event::RequestFinished(_)
            | Event::SessionExtended { .. }
            | Event::WorkspaceMade { .. }
            | Event::ConflictsFound { .. }
            | Event::AttemptFailed { .. }
            | Event::AttemptFinished { .. }
            | Event::ModelAsked { .. }
            | Event::SubagentPlanned { .. }
            | Event::CallFinished { .. }
            | Event::NotificationPosted { .. }
            | Event::NotificationsDrained { .. }
            | Event::QuestionAsked { .. }
            | Event::QuestionAnswered { .. }
            | Event::StopRequested { .. }
            | Event::Reconciled { .. }
            | Event::Warned { .. }
            | Event::NoticeDelivered { .. }
            | Event::RunFinished(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::RunView;
    use crate::report::sample;

    #[test]
    fn a_conversation_is_told_step_by_step_and_survives_a_resume() {
        let records = sample::talk();
        let view = RunView::of(&records);
        let lines = |view: &RunView| -> Vec<String> {
            let talk = &view.instance(&sample::instance("review")).unwrap().talk;
            talk.iter().map(|step| format!("{}: {}", step.who, step.line())).collect()
        };
        insta::assert_snapshot!(lines(&view).join("\n"), @r#"
        anthropic/claude-sonnet-5: I look at the file first. asks for read_file, bash (1.3k tokens)
        read_file: {"path":"src/auth.rs"} -> fn login() { (0.0s)
        bash: this agent may not use `bash` (0.0s)
        bg-1: failed after 3.0s: 2 tests failed
        anthropic/claude-sonnet-5: `login` is not written. (1.3k tokens)
        "#);
        let mut script = sample::Script::new("p", &["review"]);
        script.records = records;
        script.resumed();
        assert_eq!(lines(&RunView::of(&script.records)), lines(&view));
    }
}
