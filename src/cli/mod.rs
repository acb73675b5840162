//! The command line: one file per subcommand.

pub mod explain;
pub mod graph;
