//! The gates of a run: one for each host and key, found by whoever makes a request.
//!
//! Invariant: two requests to the same host with the same key pass the same gate,
//! whoever makes them and whatever their provider is called.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::gate::{Declared, Gate};

/// All gates of a run.
#[derive(Debug, Default)]
pub struct Gates {
    of: Mutex<HashMap<(String, String), Arc<Gate>>>,
}

impl Gates {
    /// The gate of a host and of the key that this variable holds (empty for none). What the plan
    /// declares counts from the first time on.
    pub fn of(&self, host: &str, key: &str, declared: Declared) -> Arc<Gate> {
        self.found((host.to_owned(), key.to_owned()), || Gate::new(declared))
    }

    /// The gate of a program.
    pub fn of_program(&self, name: &str) -> Arc<Gate> {
        // No host has such a name.
        self.found((format!("program {name}"), String::new()), Gate::of_program)
    }

    fn found(&self, name: (String, String), new: impl FnOnce() -> Gate) -> Arc<Gate> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(of.entry(name).or_insert_with(|| Arc::new(new())))
    }
}
