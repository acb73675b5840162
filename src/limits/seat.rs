//! What a call holds while it works: a place under every limit on calls at once, and perhaps
//! a turn at a gate that it came by before it began.
//!
//! Invariant: leaving gives everything back at once; taking it again waits in the order of
//! the places, the narrowest first, and never holds one that it cannot use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use super::gate::{Gate, Turn};
use super::places::{Place, Places};

/// The seat of one call. Shared by all that it does at once.
#[derive(Debug, Default)]
pub struct Seat {
    /// The plan's own places where it has some, then the run's.
    places: Vec<Places>,
    narrower: Option<Arc<Semaphore>>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    places: Vec<Place>,
    turn: Option<Turn>,
}

impl Seat {
    /// A seat under these places, from the inner ones to the run's, and under the call's own
    /// `concurrency`. Holds nothing yet.
    pub fn new(places: Vec<Places>, narrower: Option<Arc<Semaphore>>) -> Seat {
        Seat { places, narrower, held: Mutex::default() }
    }

    /// Waits until it has its places; does nothing when it has them.
    pub async fn take(&self) {
        if self.is_taken() {
            return;
        }
        let mut taken = Vec::with_capacity(self.places.len());
        let last = self.places.len().saturating_sub(1);
        for (at, places) in self.places.iter().enumerate() {
            taken.push(places.take(self.narrower.as_ref().filter(|_| at == last)).await);
        }
        let mut held = self.lock();
        // Somebody else of the same call may have been quicker; then these go back.
        if held.places.is_empty() {
            held.places = taken;
        }
    }

    /// Gives everything back.
    pub fn leave(&self) {
        let given_back = std::mem::take(&mut *self.lock());
        drop(given_back);
    }

    /// Keeps a turn for the first request.
    pub fn keep(&self, turn: Turn) {
        self.lock().turn = Some(turn);
    }

    /// Takes out the turn that was kept, if it is one for this. Another one is given back.
    pub fn turn(&self, gate: &Arc<Gate>, model: &str) -> Option<Turn> {
        let turn = self.lock().turn.take();
        turn.filter(|turn| turn.is_for(gate, model))
    }

    /// True while it holds its places.
    pub fn is_taken(&self) -> bool {
        self.places.is_empty() || !self.lock().places.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_leaves_lets_others_work_and_waits_its_turn_to_come_back() {
        let places = Places::new(1, 9);
        let (one, other) = (Seat::new(vec![places.clone()], None), Seat::new(vec![places], None));
        one.take().await;
        one.take().await;
        let waiting = other.take();
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        one.leave();
        assert!(futures::poll!(&mut waiting).is_ready());
        assert!(other.is_taken() && !one.is_taken());
        let back = one.take();
        tokio::pin!(back);
        assert!(futures::poll!(&mut back).is_pending());
        other.leave();
        assert!(futures::poll!(&mut back).is_ready());
    }
}
