//! How long one request may take: its deadline, its progress, its signs of life.
//!
//! Invariant: three silences are told apart. No byte, bytes that make no event, and
//! events that say no more than that somebody is there: each ends the request in its
//! time, and each failure says which it was.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// How many signs of life make a heartbeat, whose end has a meaning. Many servers send one
/// at the beginning and then think for minutes without a byte.
const HEARTBEAT: u32 = 2;

/// How long one request may take.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bounds {
    /// When it must be done.
    pub deadline: Option<Instant>,
    /// How long nothing may come. Pings and comments are not something.
    pub idle: Option<Duration>,
}

/// Which bound was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expired {
    /// The idle timeout, and what came in its time.
    Idle(Duration, Quiet),
    /// A server that had sent signs of life sends none any more.
    Dead(Duration),
    Deadline,
}

/// What a server sends while it gives no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quiet {
    /// Not one byte.
    Nothing,
    /// Bytes, but no event.
    Bytes,
    /// Events, but only pings.
    Pings,
}

/// One timer for all bounds. What comes only moves a time stamp: the timer itself is
/// set again when it fires too early, not with every chunk.
pub(super) struct Clock {
    bounds: Bounds,
    /// How long a server that sends signs of life may send none.
    heartbeat: Duration,
    progress: Instant,
    event: Instant,
    byte: Instant,
    /// How many signs of life it has sent.
    beats: u32,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    /// Starts now.
    pub(super) fn start(bounds: Bounds, heartbeat: Duration) -> Clock {
        let now = Instant::now();
        let mut clock =
            Clock { bounds, heartbeat, progress: now, event: now, byte: now, beats: 0, timer: None };
        clock.set();
        clock
    }

    /// A byte came.
    pub(super) fn byte(&mut self) {
        self.byte = Instant::now();
    }

    /// An event came, and nothing with it.
    pub(super) fn ping(&mut self) {
        self.event = Instant::now();
        self.beat();
    }

    /// A comment, which is there for nothing but to show life.
    pub(super) fn beat(&mut self) {
        self.beats = self.beats.saturating_add(1);
        if self.beats == HEARTBEAT {
            self.set();
        }
    }

    /// Something came.
    pub(super) fn progress(&mut self) {
        self.progress = Instant::now();
        (self.event, self.byte) = (self.progress, self.progress);
    }

    /// Only the end is missing: it may take this long and no longer.
    pub(super) fn shorten(&mut self, idle: Duration) {
        self.bounds.idle = Some(self.bounds.idle.map_or(idle, |known| known.min(idle)));
        self.progress();
        self.set();
    }

    /// The end is not all that is missing: the idle timeout is what it was.
    pub(super) fn lengthen(&mut self, idle: Option<Duration>) {
        self.bounds.idle = idle;
        self.progress();
        self.set();
    }

    /// The idle timeout in force.
    pub(super) fn idle(&self) -> Option<Duration> {
        self.bounds.idle
    }

    fn set(&mut self) {
        self.timer = self.due().map(|due| Box::pin(sleep_until(due)));
    }

    fn due(&self) -> Option<Instant> {
        let idle = self.bounds.idle.and_then(|idle| self.progress.checked_add(idle));
        let is_beating = self.beats >= HEARTBEAT;
        let beat = self.byte.checked_add(self.heartbeat).filter(|_| is_beating);
        idle.into_iter().chain(beat).chain(self.bounds.deadline).min()
    }

    fn expired(&self, now: Instant) -> Expired {
        if self.bounds.deadline.is_some_and(|deadline| deadline <= now) {
            return Expired::Deadline;
        }
        match self.bounds.idle.filter(|idle| self.progress + *idle <= now) {
            None => Expired::Dead(self.heartbeat),
            Some(idle) if self.event > self.progress => Expired::Idle(idle, Quiet::Pings),
            Some(idle) if self.byte > self.progress => Expired::Idle(idle, Quiet::Bytes),
            Some(idle) => Expired::Idle(idle, Quiet::Nothing),
        }
    }

    /// Runs a future until it is done or a bound has passed.
    pub(super) async fn run<F: Future>(&mut self, future: F) -> Result<F::Output, Expired> {
        let mut future = pin!(future);
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            while let (Some(due), Some(timer)) = (self.due(), self.timer.as_mut()) {
                if timer.as_mut().poll(context).is_pending() {
                    break;
                }
                let now = Instant::now();
                if due <= now {
                    return Poll::Ready(Err(self.expired(now)));
                }
                timer.as_mut().reset(due);
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::advance;

    use super::*;

    const IDLE: Duration = Duration::from_secs(300);
    const BEAT: Duration = Duration::from_secs(60);

    fn clock() -> Clock {
        Clock::start(Bounds { deadline: None, idle: Some(IDLE) }, BEAT)
    }

    /// How long until it gives up, and on what.
    async fn gives_up(clock: &mut Clock) -> (Duration, Expired) {
        let began = Instant::now();
        let expired = clock.run(pending::<()>()).await.unwrap_err();
        (began.elapsed(), expired)
    }

    #[tokio::test(start_paused = true)]
    async fn no_byte_no_event_and_no_progress_are_three_silences() {
        let mut clock = clock();
        assert_eq!(gives_up(&mut clock).await, (IDLE, Expired::Idle(IDLE, Quiet::Nothing)));
        clock.progress();
        advance(Duration::from_secs(40)).await;
        clock.byte();
        let left = Duration::from_secs(260);
        assert_eq!(gives_up(&mut clock).await, (left, Expired::Idle(IDLE, Quiet::Bytes)));
        clock.progress();
        advance(Duration::from_secs(250)).await;
        clock.byte();
        clock.ping();
        let left = Duration::from_secs(50);
        assert_eq!(gives_up(&mut clock).await, (left, Expired::Idle(IDLE, Quiet::Pings)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_showed_life_and_stops_is_dead_long_before_one_that_thinks() {
        let mut clock = clock();
        clock.byte();
        clock.ping();
        assert_eq!(gives_up(&mut clock).await.0, IDLE, "one ping is no heartbeat");
        clock.progress();
        clock.ping();
        assert_eq!(gives_up(&mut clock).await, (BEAT, Expired::Dead(BEAT)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_comes_first_whatever_else_is_due() {
        let deadline = Some(Instant::now() + IDLE);
        let mut clock = Clock::start(Bounds { deadline, idle: Some(IDLE) }, BEAT);
        assert_eq!(gives_up(&mut clock).await, (IDLE, Expired::Deadline));
    }
}
