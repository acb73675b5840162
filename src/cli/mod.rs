//! The command line: arguments, settings, terminal, exit codes.

pub mod diagnostics;
