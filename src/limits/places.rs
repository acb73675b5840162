//! How many calls may run at once, and how many may be made at all.
//!
//! Invariants: places are handed out in the order they were asked for; a place is
//! given back when its guard is dropped, however that happens; the count of calls
//! made and promised never passes the limit, under any interleaving.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The run's places: a sliding window over all calls.
#[derive(Debug, Clone)]
pub struct Places {
    window: Arc<Semaphore>,
    made: Arc<AtomicU32>,
    most: u32,
}

/// Calls that are counted before they are made; those that are not made are given back when it is
/// dropped.
#[derive(Debug)]
pub struct Promised {
    made: Arc<AtomicU32>,
    left: AtomicU32,
}

/// A place under the limit; dropping it gives it back.
#[derive(Debug)]
pub struct Place {
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Places {
    /// `at_once` calls at a time (at least one), `most` in all.
    pub fn new(at_once: u32, most: u32) -> Places {
        let window = Semaphore::new(at_once.max(1) as usize);
        Places { window: Arc::new(window), made: Arc::default(), most }
    }

    /// The same, with so many calls made already.
    pub fn with_made(self, made: u32) -> Places {
        self.made.store(made, Ordering::Release);
        self
    }

    /// Counts one more call; false when that would be more than the limit.
    pub fn count_call(&self) -> bool {
        self.add(1).is_ok()
    }

    /// Counts `count` calls that are to be made.
    ///
    /// # Errors
    /// How many more may be made, where that is less: then none is counted.
    pub fn promise(&self, count: u32) -> Result<Promised, u32> {
        self.add(count)?;
        Ok(Promised { made: Arc::clone(&self.made), left: AtomicU32::new(count) })
    }

    /// How many may be made at all.
    pub fn most(&self) -> u32 {
        self.most
    }

    fn add(&self, count: u32) -> Result<(), u32> {
        let fits = |made: u32| made.checked_add(count).filter(|sum| *sum <= self.most);
        let added = self.made.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits);
        added.map(drop).map_err(|made| self.most.saturating_sub(made))
    }

    /// Waits for a place, first in `narrower` (the call's own `concurrency`), then in the run's window.
    ///
    /// The narrower one first, so that a call that is limited further does not sit
    /// on a place that another could use.
    pub async fn take(&self, narrower: Option<&Arc<Semaphore>>) -> Place {
        let mut permits = Vec::with_capacity(2);
        for semaphore in narrower.into_iter().chain([&self.window]) {
            // Never closed, so this cannot fail.
            if let Ok(permit) = Arc::clone(semaphore).acquire_owned().await {
                permits.push(permit);
            }
        }
        Place { _permits: permits }
    }
}

impl Promised {
    /// One of them is made; false when all of them are.
    pub fn make(&self) -> bool {
        self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok()
    }
}

impl Drop for Promised {
    fn drop(&mut self) {
        self.made.fetch_sub(self.left.load(Ordering::Acquire), Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_of_calls_stops_at_the_limit() {
        let places = Places::new(1, 2);
        assert_eq!([places.count_call(), places.count_call(), places.count_call()], [true, true, false]);
    }

    #[test]
    fn what_was_promised_is_there_and_what_was_not_made_comes_back() {
        let places = Places::new(1, 10).with_made(2);
        let promised = places.promise(6).unwrap();
        assert_eq!(places.promise(3).unwrap_err(), 2);
        assert_eq!([places.count_call(), places.count_call(), places.count_call()], [true, true, false]);
        assert!(promised.make() && promised.make());
        drop(promised);
        assert_eq!(places.promise(5).unwrap_err(), 4);
        let last = places.promise(4).unwrap();
        assert_eq!([(); 5].map(|()| last.make()), [true, true, true, true, false]);
    }

    #[tokio::test]
    async fn places_are_handed_out_in_the_order_they_were_asked_for() {
        let places = Places::new(1, 9);
        let held = places.take(None).await;
        let (first, second) = (places.take(None), places.take(None));
        tokio::pin!(first, second);
        assert!(futures::poll!(&mut first).is_pending());
        assert!(futures::poll!(&mut second).is_pending());
        drop(held);
        assert!(futures::poll!(&mut second).is_pending(), "the later one overtook");
        assert!(futures::poll!(&mut first).is_ready());
    }
}
