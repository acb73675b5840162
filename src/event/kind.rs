//! What an event is about, and whether people should look at it: said once for all who follow a run.
//!
//! Invariant: a new event does not compile before somebody said both of it here.

use super::Event;
use crate::id::{CallId, InstanceId};
use crate::outcome::Status;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// One instance.
    Instance(&'a InstanceId),
    /// A call as a whole, or a step of the parent.
    Call(&'a CallId),
    /// The run.
    Run,
}

impl Event {
    /// What it is about.
    pub fn subject(&self) -> Subject<'_> {
        match self {
            Event::CallStarted { instance, .. }
            | Event::CallProgressed { instance, .. }
            | Event::CallWaiting { instance, .. }
            | Event::AttemptFailed { instance, .. }
            | Event::AttemptFinished { instance, .. }
            | Event::ModelAsked { instance, .. }
            | Event::ModelAnswered { instance, .. }
            | Event::ToolStarted { instance, .. }
            | Event::ToolEnded { instance, .. }
            | Event::JobEnded { instance, .. }
            | Event::SessionExtended { instance, .. }
            | Event::WorkspaceMade { instance, .. }
            | Event::SubagentPlanned { within: instance, .. }
            | Event::CallFinished { instance, .. }
            | Event::NotificationPosted { instance, .. } => Subject::Instance(instance),
            Event::RequestStarted(request) => Subject::Instance(&request.instance),
            Event::RequestFinished(request) => Subject::Instance(&request.instance),
            Event::CallExpanded { call, .. }
            | Event::QuestionAsked { call, .. }
            | Event::QuestionAnswered { call, .. }
            | Event::Reconciled { step: call, .. }
            | Event::ConflictsFound { step: call, .. }
            | Event::NotificationsDrained { by: call, .. } => Subject::Call(call),
            Event::RunStarted(_)
            | Event::RunResumed { .. }
            | Event::ResultsForgotten { .. }
            | Event::StopRequested { .. }
            | Event::Warned { .. }
            | Event::NoticeDelivered { .. }
            | Event::RunFinished(_) => Subject::Run,
        }
    }

    /// True for what people should look at: something did not go as the plan has it.
    pub fn is_trouble(&self) -> bool {
        match self {
            Event::CallFinished { outcome, .. } => match outcome.status {
                Status::Ok => outcome.is_empty_success(),
                // Its own `when` said so: that is the plan at work.
                Status::Skipped => outcome.cause.as_ref().is_none_or(|cause| cause.code != "when_false"),
                Status::Failed
                | Status::TimedOut
                | Status::Blocked
                | Status::Refused
                | Status::InvalidOutput
                | Status::OverBudget
                | Status::Cancelled => true,
            },
            Event::Warned { .. } | Event::StopRequested { .. } | Event::ConflictsFound { .. } => true,
            Event::NoticeDelivered { cause, .. } => cause.is_some(),
            Event::RunFinished(finish) => !finish.success,
            Event::RunStarted(_)
            | Event::RunResumed { .. }
            | Event::CallExpanded { .. }
            | Event::CallStarted { .. }
            | Event::CallProgressed { .. }
            | Event::CallWaiting { .. }
            | Event::RequestStarted(_)
            | Event::RequestFinished(_)
            | Event::ResultsForgotten { .. }
            | Event::AttemptFinished { .. }
            | Event::AttemptFailed { .. }
            | Event::ModelAsked { .. }
            | Event::ModelAnswered { .. }
            | Event::ToolStarted { .. }
            | Event::ToolEnded { .. }
            | Event::JobEnded { .. }
            | Event::SubagentPlanned { .. }
            | Event::SessionExtended { .. }
            | Event::WorkspaceMade { .. }
            | Event::NotificationPosted { .. }
            | Event::NotificationsDrained { .. }
            | Event::QuestionAsked { .. }
            | Event::QuestionAnswered { .. }
            | Event::Reconciled { .. } => false,
        }
    }
}
