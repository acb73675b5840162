//! How the work of an instance stopped short, and the outcomes that are made of what came of it.

use super::RunError;
use super::attempt::{Fault, Kind, Raw};
use crate::outcome::{Cause, Outcome, Output};

/// Why the work of an instance stopped short.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The instance failed.
    Fault(Fault),
    /// The run cannot go on.
    Run(RunError),
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Ended {
        Ended::Fault(fault)
    }
}

impl From<RunError> for Ended {
    fn from(error: RunError) -> Ended {
        Ended::Run(error)
    }
}

pub(super) fn of_raw(raw: Raw, output: Output) -> Outcome {
    Outcome { stderr: raw.stderr, exit: raw.exit, agent: raw.agent, ..Outcome::ok(output) }
}

pub(super) fn of_fault(fault: Fault) -> Outcome {
    let raw = *fault.partial;
    let output = Output { text: raw.text.into(), json: None, omitted_bytes: raw.omitted };
    Outcome {
        output,
        stderr: raw.stderr,
        exit: raw.exit,
        agent: raw.agent,
        ..Outcome::ended(fault.status, fault.cause)
    }
}

pub(super) fn of_outcome(outcome: Outcome) -> Fault {
    let cause = outcome.cause.unwrap_or_else(|| Cause::new("bug", "ended without a cause"));
    Fault::new(outcome.status, Kind::Final, cause)
}
