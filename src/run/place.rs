//! An instance and the limits: its place, its count, and when it has to end.
//!
//! Invariant: who waits for a place hears of a stop while it waits.

use super::instance::{Held, Instance};
use super::steps;
use super::stop::Phase;
use crate::limits::places::Places;
use crate::outcome::{Cause, Outcome};

impl Instance<'_> {
    /// Waits for a place, unless the run or the call is told to stop first.
    pub(super) async fn place(&self) -> Result<Held, Outcome> {
        // The plan's own window first: who waits there holds none of the run's places.
        let take = async {
            let own = match &self.level.own {
                Some(own) => Some(own.take(None).await),
                None => None,
            };
            (own, self.level.world.places.take(self.narrower).await)
        };
        let stop = &self.level.world.stop;
        tokio::select! {
            biased;
            () = stop.reached(Phase::Draining) => Err(steps::not_started(stop)),
            () = self.enough.reached(Phase::Ending) => Err(steps::not_started(self.enough)),
            () = self.level.over.reached(Phase::Ending) => Err(steps::not_started(&self.level.over)),
            place = take => Ok(place),
        }
    }

    /// Counts one more call, against the plan's own limit and the run's.
    pub(super) fn count(&self) -> Result<(), Cause> {
        let own = self.level.own.as_ref().is_none_or(Places::count_call);
        if own && self.level.world.places.count_call() {
            return Ok(());
        }
        let whose = if own { "the run" } else { "the plan" };
        let message = format!("{whose} made as many calls as `limits.calls` allows; raise it and resume");
        Err(Cause::new("calls_limit", message))
    }

    /// Ends with the cause when running work has to end.
    pub(super) async fn ending(&self) -> Cause {
        let stop = &self.level.world.stop;
        tokio::select! {
            biased;
            () = stop.reached(Phase::Ending) => steps::stop_cause(stop),
            () = self.enough.reached(Phase::Ending) => steps::stop_cause(self.enough),
            () = self.level.over.reached(Phase::Ending) => steps::stop_cause(&self.level.over),
        }
    }
}
