//! Turns Ctrl-C, SIGTERM and SIGHUP into the run's stop switch. It decides nothing else.

use std::sync::Arc;

use crate::run::World;
use crate::run::stop::{Phase, Why};

/// Ends when the person wants out at once: at the second signal.
///
/// The first signal ends what runs, with its grace period, and starts nothing more.
///
/// # Errors
/// When the signals cannot be listened to.
#[cfg(unix)]
pub async fn watch(world: &Arc<World>, tell: impl Fn(i32)) -> std::io::Result<i32> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut first = true;
    loop {
        let number = tokio::select! {
            _ = interrupt.recv() => 2,
            _ = terminate.recv() => 15,
            _ = hangup.recv() => 1,
        };
        if !first {
            return Ok(number);
        }
        first = false;
        tell(number);
        world.request_stop(Phase::Ending, Why::Signal(number));
    }
}

/// Ends when the person wants out at once: at the second Ctrl-C.
///
/// # Errors
/// When Ctrl-C cannot be listened to.
#[cfg(not(unix))]
pub async fn watch(world: &Arc<World>, tell: impl Fn(i32)) -> std::io::Result<i32> {
    tokio::signal::ctrl_c().await?;
    tell(2);
    world.request_stop(Phase::Ending, Why::Signal(2));
    tokio::signal::ctrl_c().await?;
    Ok(2)
}
