//! `fanout` runs many agent calls at once, sequences the dependent ones, and
//! reconciles what comes back in the parent process.
//!
//! ```text
//! plan text ─plan─▶ Plan ─graph─▶ CallGraph ─run─▶ outcomes ─reconcile─▶ verdict ─▶ exit code
//!                                              │
//!                                            events (one way, down)
//!                                              ├─▶ journal   (durable: the run is its journal)
//!                                              ├─▶ progress  (terminal)
//!                                              └─▶ reports
//! ```

pub mod agent;
pub mod cli;
pub mod event;
pub mod graph;
pub mod id;
pub mod journal;
pub mod limits;
pub mod model;
pub mod notify;
pub mod outcome;
pub mod plan;
pub mod process;
pub mod reconcile;
pub mod report;
pub mod run;
pub mod sandbox;
pub mod tool;
pub mod unit;
pub mod workspace;
