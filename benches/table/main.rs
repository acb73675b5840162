//! How near fanout comes to its limits, beside what people would use instead: one table.
//!
//! `cargo bench --bench table` runs all workloads, `cargo bench --bench table -- a c h` these,
//! `-- --runs 9` each so often. docs/performance.md says what they are and has the last table.
//! It ends in error only if a workload failed to run, never for a figure.

#[cfg(target_os = "linux")]
mod bare;
#[cfg(target_os = "linux")]
mod graph;
#[cfg(target_os = "linux")]
mod measure;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod table;
#[cfg(target_os = "linux")]
mod workload;

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((role, rest)) if role == "--as-bare" => bare::run(rest),
        Some((role, rest)) if role == "--as-measure" => measure::run(rest),
        Some((role, _)) if role == "--as-server" => server::serve(),
        _ => table::run(&arguments),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::io::Result<()> {
    use std::io::Write;
    writeln!(std::io::stderr(), "the table is measured on Linux only: it reads what the kernel counts there")
}
