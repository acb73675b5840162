//! What the calls of a plan make their requests with: seats under its limits and the run's,
//! and the accounts that they are charged to.
//!
//! Invariant: a request of a sub-plan is charged to the sub-plan, to the call that runs it and
//! to the run.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;

use super::World;
use super::level::Level;
use crate::agent::{Access, Book};
use crate::event::Event;
use crate::id::InstanceId;
use crate::journal::Journal;
use crate::limits::budget::Account;
use crate::limits::seat::Seat;
use crate::plan::Plan;

/// The accounts of one plan.
#[derive(Debug)]
pub(crate) struct Accounts {
    /// Those that every call is charged to.
    all: Vec<Account>,
    /// A call's own, by its position.
    own: Vec<Option<Account>>,
}

impl Accounts {
    /// Opens the accounts of a plan. `within` is the instance that runs it, with the accounts that
    /// this one is charged to.
    pub(crate) fn open(plan: &Plan, world: &World, within: Option<(&InstanceId, &[Account])>) -> Accounts {
        let (ledger, history) = (&world.ledger, &world.history);
        let mut all = within.map_or_else(Vec::new, |(_, outer)| outer.to_vec());
        let (whose, spent) = match within {
            None => ("the run".to_owned(), history.of_run()),
            Some((outer, _)) => (format!("the plan of `{outer}`"), history.inside(outer)),
        };
        all.push(ledger.open(&whose, plan.limits.budget, spent));
        let own = plan.calls.iter().map(|call| {
            let id = match within {
                None => call.id.clone(),
                Some((outer, _)) => crate::id::CallId::within(outer, &call.id),
            };
            (!call.budget.is_none())
                .then(|| ledger.open(&format!("`{id}`"), call.budget, history.of_call(&id)))
        });
        Accounts { own: own.collect(), all }
    }

    /// Those of the call at `position`; `None` for the plan's last step.
    pub(crate) fn of(&self, position: Option<usize>) -> Vec<Account> {
        let own = position.and_then(|at| self.own.get(at).copied().flatten());
        self.all.iter().copied().chain(own).collect()
    }
}

impl Level {
    /// What an instance makes its requests with. `position` is its call; `None` for the last step.
    ///
    /// A step of the parent takes no place: nothing else of its plan runs beside it that
    /// it could keep from working.
    pub(crate) fn access(
        &self,
        instance: &InstanceId,
        position: Option<usize>,
        seated: Option<Option<&Arc<Semaphore>>>,
    ) -> Arc<Access> {
        let places = match seated {
            // The plan's own window first: who waits there holds none of the run's places.
            Some(_) => self.own.iter().chain([&self.world.places]).cloned().collect(),
            None => Vec::new(),
        };
        Arc::new(Access {
            instance: instance.clone(),
            seat: Seat::new(places, seated.flatten().cloned()),
            ahead: position.map_or(0, |at| self.graph.ahead(at)),
            ledger: Arc::clone(&self.world.ledger),
            accounts: self.accounts.of(position),
            book: Some(Arc::new(Written(Arc::clone(&self.world.journal)))),
            made: AtomicU64::new(0),
        })
    }
}

/// The journal, for those who know nothing of it.
struct Written(Arc<Journal>);

impl Book for Written {
    fn note(&self, event: Event) {
        self.0.note(event);
    }

    fn note_before_more(&self, event: Event) {
        self.0.note_before_more(event);
    }

    fn write(&self, event: Event) -> BoxFuture<'_, Result<(), String>> {
        async move { self.0.write(event).await.map_err(|error| error.to_string()) }.boxed()
    }

    fn commit(&self, event: Event) -> BoxFuture<'_, Result<(), String>> {
        async move { self.0.commit(event).await.map(|_| ()).map_err(|error| error.to_string()) }.boxed()
    }
}
