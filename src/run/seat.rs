//! How an instance comes by what it needs to begin: its turn at its model's gate, then a place.
//!
//! Invariant: who waits at a gate holds no place; waiting before it has begun does not count
//! against the call's time.

use super::attempt::Bounds;
use super::instance::Instance;
use super::level::Level;
use super::steps;
use super::stop::Phase;
use super::work::takes_place;
use crate::agent::Access;
use crate::limits::gate::{Bound, Entry, Turn};
use crate::limits::places::{Places, Promised};
use crate::outcome::{Cause, Outcome, Status};
use crate::plan::{Action, AgentKind, Call};
use crate::unit::Tokens;

/// The calls of an expanded call, counted before the first of them is made: all or none.
#[derive(Debug)]
pub(super) struct Promise {
    own: Option<Promised>,
    all: Promised,
}

impl Promise {
    /// Counts `instances` of a call, less those that earlier processes of the run have done. `None`
    /// for calls that do not count.
    ///
    /// # Errors
    /// The cause, where they are more than `limits.calls` allows.
    pub(super) fn of(level: &Level, call: &Call, instances: usize) -> Result<Option<Promise>, Cause> {
        if !takes_place(&call.action) || level.world.rehearsal {
            return Ok(None);
        }
        let id = level.event_id(call);
        let count = u32::try_from(instances).unwrap_or(u32::MAX);
        let count = count.saturating_sub(level.world.history.done(&id));
        let promise = |places: &Places, whose: &str| {
            places.promise(count).map_err(|left| {
                let message = format!(
                    "`{id}` comes to {count} calls, and {left} of the {} are left that `limits.calls` of \
                     {whose} allows; none was made. Raise it and resume",
                    places.most()
                );
                Cause::new("calls_limit", message)
            })
        };
        let own = level.own.as_ref().map(|own| promise(own, "the plan")).transpose()?;
        Ok(Some(Promise { own, all: promise(&level.world.places, "the run")? }))
    }

    /// One of them is made; false when all of them are.
    fn make(&self) -> bool {
        self.own.as_ref().is_none_or(Promised::make) && self.all.make()
    }
}

/// What a first prompt is taken for before it is rendered.
const PROMPT: Tokens = Tokens(2_000);

impl Instance<'_> {
    /// Waits for its turn at its model's gate and for a place, unless the run or the call is told to
    /// stop first. `begun`: its time is running.
    pub(super) async fn sit(&self, access: &Access, begun: Option<Bounds>) -> Result<(), Outcome> {
        let take = async {
            // The gate first: who waits there holds no place.
            if let Some(turn) = self.turn(access, begun).await {
                access.seat.keep(turn);
            }
            access.seat.take().await;
        };
        let over = async {
            match begun {
                Some(bounds) => {
                    tokio::time::sleep_until(bounds.deadline).await;
                    Outcome::ended(Status::TimedOut, bounds.exceeded())
                }
                None => std::future::pending().await,
            }
        };
        let stop = &self.level.world.stop;
        tokio::select! {
            biased;
            () = stop.reached(Phase::Draining) => Err(steps::not_started(stop)),
            () = self.enough.reached(Phase::Ending) => Err(steps::not_started(self.enough)),
            () = self.level.over.reached(Phase::Ending) => Err(steps::not_started(&self.level.over)),
            outcome = over => Err(outcome),
            () = take => Ok(()),
        }
    }

    /// A turn for the first request of its agent. `None` where there is no gate, and where there will
    /// be no turn in time: the request itself says why.
    async fn turn(&self, access: &Access, begun: Option<Bounds>) -> Option<Turn> {
        let Action::Prompt { agent, .. } = &self.call.action else { return None };
        let (gate, model) = self.level.world.agents.gate(agent, &self.level.plan.providers)?;
        let (tokens, who) = match &agent.kind {
            AgentKind::Model(settings) => {
                (settings.max_tokens + PROMPT, settings.models.first()?.to_string())
            }
            AgentKind::Command(settings) => (Tokens(0), settings.argv.first()?.clone()),
        };
        let bound = match begun {
            Some(bounds) => Bound::Until(bounds.deadline),
            None => Bound::Patience(self.call.timeout),
        };
        let entry = Entry { model, tokens, begun: begun.is_some(), ahead: access.ahead, bound };
        gate.enter(entry, &|waiting| access.waits_at(&who, waiting)).await.ok()
    }

    /// Counts its first try: that was promised where the call is expanded.
    pub(super) fn count_first(&self) -> Result<(), Cause> {
        if self.promised.is_some_and(Promise::make) { Ok(()) } else { self.count() }
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
