//! Work that waits for a disk, on a thread that may wait.
//!
//! Invariant: dropping the future tells the work to stop; it looks often enough that it ends soon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Said;

/// Whether the work has been given up.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sets it when the future is dropped.
struct OnDrop(Stop);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// Does `work` on a thread of its own.
pub(super) async fn run(work: impl FnOnce(&Stop) -> Result<String, Said> + Send + 'static) -> Said {
    let stop = Stop::default();
    let _guard = OnDrop(stop.clone());
    match tokio::task::spawn_blocking(move || work(&stop)).await {
        Ok(Ok(text)) => Said::done(text),
        Ok(Err(said)) => said,
        Err(error) => Said::error(format!("the tool itself failed: {error}")),
    }
}
