//! How a run is told to end early, and how its parts hear of it.
//!
//! Invariant: the phase only ever moves forward, `Running` → `Draining` → `Ending`,
//! and the first reason for a phase stays.

use tokio::sync::watch;

use crate::outcome::Cause;

/// How far a run has been told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Calls start as soon as they can.
    Running,
    /// Nothing new starts; what runs may finish.
    Draining,
    /// What runs is ended too, commands with their grace period.
    Ending,
}

/// Why a run ends early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// A signal, by its number: 2, 15, 1.
    Signal(i32),
    /// A `stop` call of the plan.
    Stop {
        /// `status: success`.
        success: bool,
        /// Its rendered reason.
        reason: String,
    },
    /// A call with `on_error: stop` failed.
    Error {
        /// The sentence that names it.
        message: String,
    },
    /// `limits.time` ran out.
    Time,
    /// So many instances of an expanded call succeeded that its `join` needs no more.
    Enough {
        /// How many it needed.
        wanted: u32,
    },
    /// The call that runs this plan has to end.
    Outer {
        /// Why it has to.
        cause: Cause,
    },
    /// The run is over and `limits.background` says `cancel`.
    Over,
}

impl Why {
    /// The word that events carry.
    pub fn word(&self) -> &'static str {
        match self {
            Why::Signal(1) => "hangup",
            Why::Signal(15) => "terminate",
            Why::Signal(_) => "interrupt",
            Why::Stop { .. } => "stop",
            Why::Error { .. } => "error",
            Why::Time => "time",
            Why::Enough { .. } => "enough",
            Why::Over => "over",
            Why::Outer { .. } => "outer",
        }
    }

    /// The sentence that people read.
    pub fn message(&self) -> String {
        match self {
            Why::Signal(1) => "the terminal was closed".to_owned(),
            Why::Signal(15) => "fanout was asked to terminate".to_owned(),
            Why::Signal(_) => "fanout was interrupted".to_owned(),
            Why::Stop { success: true, reason } => format!("the plan stopped the run: {reason}"),
            Why::Stop { success: false, reason } => format!("the plan stopped the run as failed: {reason}"),
            Why::Error { message } => message.clone(),
            Why::Time => "the run's `limits.time` ran out".to_owned(),
            Why::Enough { wanted: 1 } => "another instance had succeeded, and `join` needs one".to_owned(),
            Why::Outer { cause } => cause.message.clone(),
            Why::Over => "the run was over, and `limits.background` says `cancel`".to_owned(),
            Why::Enough { wanted } => format!("others had succeeded, and `join` needs {wanted}"),
        }
    }
}

/// The switch. Clones share one state.
#[derive(Debug, Clone)]
pub struct Stop {
    state: watch::Sender<(Phase, Option<Why>)>,
}

impl Default for Stop {
    fn default() -> Stop {
        Stop { state: watch::Sender::new((Phase::Running, None)) }
    }
}

impl Stop {
    /// Moves to `phase` because of `why`. Returns false if it was there or further already.
    pub fn request(&self, phase: Phase, why: Why) -> bool {
        self.state.send_if_modified(|state| {
            let moves = phase > state.0;
            if moves {
                state.0 = phase;
                // A signal outranks what the plan itself asked for: the person wants out.
                if state.1.is_none() || matches!(why, Why::Signal(_)) {
                    state.1 = Some(why);
                }
            }
            moves
        })
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.state.borrow().0
    }

    /// Why, once it is past `Running`.
    pub fn why(&self) -> Option<Why> {
        self.state.borrow().1.clone()
    }

    /// Ends when `phase` is reached; never, if it is not.
    pub async fn reached(&self, phase: Phase) {
        let mut seen = self.state.subscribe();
        // The sender lives in `self`, so the channel cannot close while this waits.
        let _ = seen.wait_for(|state| state.0 >= phase).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_never_moves_back_and_keeps_its_first_reason() {
        let stop = Stop::default();
        assert!(stop.request(Phase::Ending, Why::Time));
        assert!(!stop.request(Phase::Draining, Why::Signal(2)));
        assert_eq!((stop.phase(), stop.why()), (Phase::Ending, Some(Why::Time)));
    }
}
