//! How many tokens a text probably is, before its provider has counted them.
//!
//! Invariant: the guess errs on the high side; it is never less than what the provider
//! has shown so far for as many bytes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::unit::Tokens;

/// Before anything is known, so many bytes are a token. English prose has four, code three,
/// Chinese and Japanese two to three.
const AT_FIRST: f64 = 2.5;
/// What a provider adds to every request: its own markup, the frame of tools.
const FRAME: u64 = 64;
/// Fewer tokens than this say nothing about their bytes.
const LEAST: u64 = 100;

/// What has been learned of each model.
#[derive(Debug, Default)]
pub struct Estimates {
    /// The fewest bytes a token that each model was seen to have.
    bytes: Mutex<HashMap<String, f64>>,
}

impl Estimates {
    /// The tokens of a request of so many bytes.
    pub fn tokens(&self, model: &str, bytes: usize) -> Tokens {
        let known = self.bytes.lock().unwrap_or_else(PoisonError::into_inner).get(model).copied();
        // A tenth for texts that are denser than those seen so far.
        let each = known.map_or(AT_FIRST, |fewest| fewest * 0.9).max(1.0);
        Tokens((bytes as f64 / each).ceil() as u64 + FRAME)
    }

    /// The provider has counted a request.
    pub fn learn(&self, model: &str, bytes: usize, counted: Tokens) {
        if counted.0 < LEAST {
            return;
        }
        let each = bytes as f64 / counted.0 as f64;
        let mut known = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let fewest = known.entry(model.to_owned()).or_insert(each);
        *fewest = fewest.min(each);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guess_follows_what_the_provider_counts() {
        let estimates = Estimates::default();
        assert_eq!(estimates.tokens("m", 2_500), Tokens(1_064));
        estimates.learn("m", 4_000, Tokens(1_000));
        assert_eq!(estimates.tokens("m", 3_600), Tokens(1_064));
        // The densest text counts; a short one says nothing.
        estimates.learn("m", 2_000, Tokens(1_000));
        estimates.learn("m", 9_000, Tokens(1_000));
        estimates.learn("m", 10, Tokens(50));
        assert_eq!(estimates.tokens("m", 1_800), Tokens(1_064));
        assert_eq!(estimates.tokens("other", 2_500), Tokens(1_064));
    }
}
