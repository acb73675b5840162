//! A run with nothing around it: no cache, no sandbox, nobody to ask, no helper that ends its programs.
//!
//! For whoever plays, rehearses or repeats a part of one: what of a run is not so is said there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::runtime::Builder;

use super::load::{self, Ready};
use super::{Complaint, run};
use crate::journal::Journal;
use crate::limits::history::History;
use crate::limits::places::Places;
use crate::run::stop::Stop;
use crate::run::{Races, World};
use crate::sandbox::Sandbox;
use crate::workspace::Workspaces;

/// What there is around a plan's calls.
pub(super) fn world(ready: &Ready, journal: Arc<Journal>) -> World {
    World {
        resumed: false,
        rehearsal: false,
        replay: None,
        cache: None,
        servers: run::servers(),
        agents: run::agents(&ready.plan, journal.run(), None, Sandbox::untried()),
        sandbox: Sandbox::untried(),
        places: Places::new(ready.plan.limits.concurrency, ready.plan.limits.calls),
        ledger: Arc::default(),
        history: History::default(),
        stop: Stop::default(),
        asker: None,
        answers: HashMap::new(),
        only: None,
        environment: Arc::new(load::environment()),
        reaper: None,
        races: Races::default(),
        workspaces: Workspaces::default(),
        census: Mutex::default(),
        journal,
    }
}

/// Works until it is done, on this thread.
///
/// # Errors
/// As the work gives it, and when the system has nothing to wait with.
pub(super) fn until<T>(work: impl Future<Output = Result<T, Complaint>>) -> Result<T, Complaint> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(run::no_thread)?;
    runtime.block_on(work)
}
