//! The command line: arguments, settings, terminal, exit codes.

pub mod diagnostics;
pub mod explain;
pub mod graph;
