//! A child process that cannot hang or leak: spawn, streams, deadlines, whole-tree kill.
//!
//! ```text
//! Spec ─spawn─▶ Running ─run─▶ Ended        capture: what is kept of the streams
//!                  │                        sweep:   ends a family, wherever it went
//!                  └──▶ Reaper              orphans: who comes back to us
//! ```
//!
//! Invariants: a program never sees a terminal and never waits for input that
//! does not come; no stream, deadline or death is waited for without a bound;
//! every way out (its own end, a timeout, a stop, a dropped future, and with a
//! [`Reaper`] even SIGKILL of this process) ends all that it started.
//!
//! A family is ended by its process group everywhere, and on Linux also where its members left the
//! group: they are found by descent and by a variable in their environment (`FANOUT_TREE`).
//! Who leaves the group, gives up its parent *and* sheds its environment is found by
//! [`sweep_at_exit`] only.

mod capture;
mod open_files;
mod orphans;
pub mod reaper;
mod run;
mod running;
pub mod signals;
mod spawn;
mod spec;
mod streams;
mod sweep;
mod table;

#[cfg(test)]
mod tests;

pub use capture::{Captured, Keep};
pub use open_files::raise_open_files;
pub use orphans::become_subreaper;
pub use reaper::Reaper;
pub use run::{Ended, EndedBy, Exit, run};
pub use running::Running;
pub use spawn::SpawnError;
pub use spec::{Environment, Inherit, Input, RUN_ID, Spec, Wrapper};
pub use streams::Stream;
pub use sweep::{kill_marked, sweep_at_exit};
