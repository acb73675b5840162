//! The gate before scripted providers, on a clock that only goes on when everybody waits.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::{FutureExt, join_all};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// A provider that takes so many requests in each window and turns the others away.
struct Provider {
    window: Duration,
    most: usize,
    latency: Duration,
    /// Whether it says when to come back.
    announces: bool,
    began: Instant,
    /// When each request came, and until when it was told to wait if it was turned away.
    came: Mutex<Vec<(Duration, Option<Duration>)>>,
}

impl Provider {
    fn new(window: Duration, most: usize, announces: bool) -> Provider {
        let latency = Duration::from_millis(200);
        Provider { window, most, latency, announces, began: Instant::now(), came: Mutex::default() }
    }

    async fn ask(&self) -> Result<(), Option<Duration>> {
        let now = self.began.elapsed();
        let number = now.as_nanos() / self.window.as_nanos();
        let window = self.window * u32::try_from(number).unwrap();
        let answer = {
            let mut came = self.came.lock().unwrap();
            let taken = came.iter().filter(|(at, refused)| *at >= window && refused.is_none()).count();
            let end = window + self.window;
            let refused = (taken >= self.most).then_some(end);
            came.push((now, refused));
            refused.map(|end| end - now)
        };
        tokio::time::sleep(self.latency).await;
        match answer {
            None => Ok(()),
            Some(wait) => Err(self.announces.then(|| wait.saturating_sub(self.latency))),
        }
    }

    /// Requests in each window: those that were taken, and those that were turned away.
    fn by_window(&self) -> Vec<(usize, usize)> {
        let came = self.came.lock().unwrap();
        let number = |at: &Duration| (at.as_nanos() / self.window.as_nanos()) as usize;
        let last = came.iter().map(|(at, _)| number(at)).max().unwrap_or(0);
        let mut windows = vec![(0, 0); last + 1];
        for (at, refused) in came.iter() {
            let window = &mut windows[number(at)];
            if refused.is_some() { window.1 += 1 } else { window.0 += 1 }
        }
        windows
    }

    /// Requests that were sent after somebody had been told to wait for longer.
    fn too_early(&self) -> usize {
        let came = self.came.lock().unwrap();
        let early = |(at, _): &&(Duration, Option<Duration>)| {
            let told = came.iter().filter(|(other, _)| *other + self.latency < *at);
            told.filter_map(|(_, until)| *until).any(|until| *at < until)
        };
        came.iter().filter(early).count()
    }
}

fn entry(begun: bool, ahead: u32) -> Entry {
    Entry { model: "m".into(), tokens: Tokens(100), begun, ahead, bound: Bound::Patience(MINUTE * 60) }
}

/// One call: it comes again for as long as it is turned away.
async fn call(gate: &Arc<Gate>, provider: &Provider) {
    let mut begun = false;
    loop {
        let mut turn = gate.enter(entry(begun, 0), &|_| {}).await.unwrap();
        if !turn.use_now() {
            continue;
        }
        begun = true;
        match provider.ask().await {
            Ok(()) => {
                turn.accepted();
                return;
            }
            Err(wait) => turn.limited(wait, true),
        }
    }
}

fn chance() -> f64 {
    static SEED: AtomicU64 = AtomicU64::new(1);
    let n = SEED.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
    ((n ^ (n >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 11) as f64 / (1_u64 << 53) as f64
}

fn gate(declared: Declared) -> Arc<Gate> {
    Arc::new(Gate::with_chance(declared, chance))
}

#[tokio::test(start_paused = true)]
async fn a_hundred_calls_pass_sixty_a_minute_and_none_comes_before_its_time() {
    let provider = Provider::new(MINUTE, 60, true);
    let gate = gate(Declared::default());
    join_all((0..100).map(|_| call(&gate, &provider))).await;
    assert_eq!(provider.too_early(), 0);
    let windows = provider.by_window();
    assert_eq!(windows.iter().map(|(taken, _)| taken).sum::<usize>(), 100);
    assert_eq!(windows.len(), 2, "{windows:?}");
    // Nothing faster is possible than one minute and the second window's own answers.
    assert!(provider.began.elapsed() < MINUTE.mul_f64(1.1), "{:?}", provider.began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn with_a_declared_rate_no_request_is_turned_away() {
    let provider = Provider::new(MINUTE, 60, true);
    let rate = Rate { count: 60, per: MINUTE };
    let gate = gate(Declared { requests: Some(rate), ..Declared::default() });
    tokio::time::advance(Duration::from_secs(40)).await;
    join_all((0..200).map(|_| call(&gate, &provider))).await;
    let refused: usize = provider.by_window().iter().map(|(_, refused)| refused).sum();
    assert_eq!(refused, 0, "{:?}", provider.by_window());
    assert!(provider.began.elapsed() < MINUTE * 4 + Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_storm_falls_under_the_limit_within_two_windows_and_recovers() {
    for announces in [true, false] {
        let window = Duration::from_secs(10);
        let provider = Provider::new(window, 50, announces);
        let gate = gate(Declared::default());
        let all = join_all((0..1_000).map(|_| call(&gate, &provider)));
        all.await;
        let windows = provider.by_window();
        assert_eq!(windows.iter().map(|(taken, _)| taken).sum::<usize>(), 1_000);
        for (number, (taken, refused)) in windows.iter().enumerate().skip(2) {
            assert!(taken + refused <= 50 + 50 / 4, "window {number} of {windows:?}");
        }
        let busy = &windows[2..windows.len() - 1];
        let mean = busy.iter().map(|(taken, _)| taken).sum::<usize>() / busy.len();
        assert!(mean >= if announces { 40 } else { 25 }, "{windows:?}");
        if announces {
            assert_eq!(provider.too_early(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn throughput_recovers_when_the_storm_is_over() {
    let window = Duration::from_secs(10);
    let mut provider = Provider::new(window, 20, true);
    let gate = gate(Declared::default());
    join_all((0..100).map(|_| call(&gate, &provider))).await;
    provider.most = 1_000;
    provider.came.lock().unwrap().clear();
    provider.began = Instant::now();
    join_all((0..3_000).map(|_| call(&gate, &provider))).await;
    let windows = provider.by_window();
    let best = windows.iter().map(|(taken, _)| *taken).max().unwrap();
    assert!(best > 400 && windows.len() <= 20, "{windows:?}");
}

#[tokio::test(start_paused = true)]
async fn as_many_as_the_plan_declares_go_at_once_and_eight_where_it_does_not() {
    for (declared, at_once) in [(Some(40), 40), (Some(3), 3), (None, 8)] {
        let gate = gate(Declared { concurrency: declared, ..Declared::default() });
        let mut turns = Vec::new();
        while let Some(Ok(turn)) = gate.enter(entry(false, 0), &|_| {}).now_or_never() {
            turns.push(turn);
        }
        assert_eq!(turns.len(), at_once, "{declared:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn those_that_have_begun_go_first_then_the_longest_way_then_the_first_come() {
    let gate = gate(Declared { concurrency: Some(1), ..Declared::default() });
    let mut held = Some(gate.enter(entry(false, 0), &|_| {}).await.unwrap());
    let order = Mutex::new(Vec::new());
    let come = |name, begun, ahead| {
        let (gate, order) = (&gate, &order);
        async move {
            let turn = gate.enter(entry(begun, ahead), &|_| {}).await.unwrap();
            order.lock().unwrap().push(name);
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(turn);
        }
    };
    let all = [("a", false, 1), ("b", false, 1), ("c", false, 3), ("d", true, 0), ("e", false, 3)];
    let all = join_all(all.map(|(name, begun, ahead)| come(name, begun, ahead)));
    let release = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        held.take();
    };
    futures::join!(all, release);
    assert_eq!(*order.lock().unwrap(), ["d", "c", "e", "a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_wait_so_long_hears_it_at_once() {
    let gate = gate(Declared::default());
    let mut turn = gate.enter(entry(false, 0), &|_| {}).await.unwrap();
    assert!(turn.use_now());
    turn.limited(Some(MINUTE * 5), true);
    drop(turn);
    let now = Instant::now();
    let until = |deadline| Entry { bound: Bound::Until(deadline), ..entry(true, 0) };
    let refused = gate.enter(until(now + MINUTE), &|_| {}).await.unwrap_err();
    let Shut::TooLong(TooLong::Asked { asked, left }) = refused else { panic!("{refused:?}") };
    assert!(asked >= MINUTE * 5 && left == MINUTE);
    let impatient = Entry { bound: Bound::Patience(MINUTE), ..entry(false, 0) };
    assert!(matches!(gate.enter(impatient, &|_| {}).await, Err(Shut::TooLong(_))));
    assert_eq!(now, Instant::now(), "it waited before it failed");
    // Somebody who can wait does.
    gate.enter(until(now + MINUTE * 10), &|_| {}).await.unwrap();
    assert!(now.elapsed() >= MINUTE * 5);
}

#[tokio::test(start_paused = true)]
async fn a_turn_from_before_a_limit_is_of_no_use_after_it() {
    let gate = gate(Declared::default());
    let mut one = gate.enter(entry(false, 0), &|_| {}).await.unwrap();
    let mut other = gate.enter(entry(false, 0), &|_| {}).await.unwrap();
    assert!(one.use_now());
    one.limited(Some(Duration::from_secs(7)), true);
    assert!(!other.use_now());
    tokio::time::advance(Duration::from_secs(8)).await;
    assert!(other.use_now());
}

#[tokio::test(start_paused = true)]
async fn a_broken_key_lets_nobody_pass_and_says_why() {
    let gate = gate(Declared { concurrency: Some(1), ..Declared::default() });
    let held = gate.enter(entry(false, 0), &|_| {}).await.unwrap();
    let broken = Broken { code: "unauthorized", message: "the key in LAB_KEY is wrong".into() };
    let waiting = gate.enter(entry(false, 0), &|_| {});
    let shut = async {
        tokio::task::yield_now().await;
        gate.shut(None, broken.clone());
    };
    let (refused, ()) = futures::join!(waiting, shut);
    assert_eq!(refused.unwrap_err(), Shut::Broken(broken));
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn an_unused_turn_costs_nothing() {
    let rate = Rate { count: 1, per: MINUTE };
    let gate = gate(Declared { requests: Some(rate), ..Declared::default() });
    let now = Instant::now();
    drop(gate.enter(entry(false, 0), &|_| {}).await.unwrap());
    let mut turn = gate.enter(entry(false, 0), &|_| {}).await.unwrap();
    assert!(turn.use_now() && now == Instant::now());
    drop(turn);
    drop(gate.enter(entry(false, 0), &|_| {}).await.unwrap());
    assert!(now.elapsed() >= MINUTE);
}

#[tokio::test(start_paused = true)]
async fn what_a_response_says_is_left_holds_back_those_who_come_after() {
    let gate = gate(Declared::default());
    let mut turn = gate.enter(entry(false, 0), &|_| {}).await.unwrap();
    assert!(turn.use_now());
    let requests = Left { limit: Some(60), remaining: Some(1), reset: Some(Duration::from_secs(30)) };
    turn.announced(requests, Left::default());
    drop(turn);
    let now = Instant::now();
    let mut sent = Vec::new();
    for _ in 0..3 {
        let mut turn = gate.enter(entry(false, 0), &|_| {}).await.unwrap();
        assert!(turn.use_now());
        sent.push(now.elapsed().as_secs());
    }
    assert_eq!(sent, [0, 30, 30]);
}
