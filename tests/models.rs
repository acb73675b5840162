//! Models and agents against a scripted provider.

#[path = "it/agents.rs"]
mod agents;
#[path = "it/models/mod.rs"]
mod models;
mod provider;
