//! The behaviour of `fanout`, from outside: one binary, split by what is shown.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod agents;
mod background;
mod browser;
mod cached;
mod canary;
mod computed;
mod disk;
mod docs;
mod doctor;
mod escapes;
mod faults;
mod fuzz;
mod http_servers;
mod interrupted;
mod layers;
mod limits;
mod merge;
mod models;
mod notify;
mod open_files;
mod order;
mod outcomes;
mod parent;
mod plans;
mod prefixes;
mod programs;
mod prompts;
#[path = "../provider/mod.rs"]
mod provider;
mod real_programs;
mod recording;
mod replayed;
mod reports;
mod resumed;
mod sandbox;
mod schemas;
mod screen;
mod served;
mod servers;
mod sessions;
mod storms;
mod strategies;
mod support;
mod sweep;
#[cfg(feature = "otel")]
mod telemetry;
mod terminal;
mod tools;
mod workspaces;
