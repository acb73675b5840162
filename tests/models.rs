//! Models and agents against a scripted provider.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "it/agents.rs"]
mod agents;
#[path = "it/models/mod.rs"]
mod models;
mod provider;
