//! Budgets under many interleavings, beside one that checks and then counts.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::*;

fn amount(tokens: u64) -> Amount {
    Amount { tokens: Tokens(tokens), cost: Usd(tokens * 3) }
}

fn limit(tokens: u64) -> Budget {
    Budget { tokens: Some(Tokens(tokens)), cost: None }
}

/// A generator of the schedules: the same seed, the same schedule.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

/// Lets others run.
async fn others() {
    let mut first = true;
    std::future::poll_fn(|_| if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }).await;
}

type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs all tasks to their end, a step of one at a time, in an order that the seed decides.
/// `cancel` drops one now and then instead.
fn interleave(mut tasks: Vec<Task<'_>>, seeded: &mut Seeded, cancel: bool, watch: impl Fn()) {
    let mut context = Context::from_waker(Waker::noop());
    let mut steps = 0;
    while !tasks.is_empty() {
        let at = seeded.below(tasks.len() as u64) as usize;
        let gone = cancel && seeded.below(50) == 0;
        if gone || tasks[at].as_mut().poll(&mut context).is_ready() {
            drop(tasks.swap_remove(at));
        }
        watch();
        steps += 1;
        assert!(steps < 1_000_000, "it never ends");
    }
}

/// What several requests do: ask for leave, take a while, and use at most what they asked for.
trait Spending {
    type Held;
    fn reserve(&self, amount: Amount) -> Result<Self::Held, Refused>;
    fn settle(&self, held: Self::Held, used: Amount);
}

struct Ours(Arc<Ledger>, Vec<Account>);

impl Spending for Ours {
    type Held = Reservation;
    fn reserve(&self, amount: Amount) -> Result<Reservation, Refused> {
        self.0.reserve(&self.1, amount)
    }
    fn settle(&self, held: Reservation, used: Amount) {
        held.settle(used);
    }
}

/// Looks whether there is something left, and counts when the request is over.
struct CheckThenCount {
    spent: std::cell::Cell<u64>,
    limit: u64,
}

impl Spending for CheckThenCount {
    type Held = ();
    fn reserve(&self, amount: Amount) -> Result<(), Refused> {
        let fits = self.spent.get() + amount.tokens.0 <= self.limit;
        let over = Over {
            whose: "the run".into(),
            kind: Kind::Tokens,
            spent: self.spent.get(),
            limit: self.limit,
            needs: 0,
        };
        if fits { Ok(()) } else { Err(Refused::Over(over)) }
    }
    fn settle(&self, (): (), used: Amount) {
        self.spent.set(self.spent.get() + used.tokens.0);
    }
}

fn requests<'a, B: Spending>(budget: &'a B, seeded: &mut Seeded) -> Vec<Task<'a>> {
    (0..20)
        .map(|_| {
            let most = 1 + seeded.below(400);
            let used = seeded.below(most + 1);
            let steps = 1 + seeded.below(5);
            Box::pin(async move {
                let held = loop {
                    match budget.reserve(amount(most)) {
                        Ok(held) => break held,
                        Err(Refused::Later) => others().await,
                        Err(Refused::Over(_)) => return,
                    }
                };
                for _ in 0..steps {
                    others().await;
                }
                budget.settle(held, amount(used));
            }) as Task<'a>
        })
        .collect()
}

const LIMIT: u64 = 1_000;

#[test]
fn no_interleaving_overspends_by_one_token_and_check_then_count_does() {
    let mut raced = 0;
    let mut filled = 0;
    for seed in 1..=2_000 {
        let mut seeded = Seeded(seed * 0x9E37_79B9);
        let ledger = Arc::new(Ledger::default());
        let run = ledger.open("the run", limit(LIMIT), Amount::default());
        let call = ledger.open("call a", limit(LIMIT / 2), Amount::default());
        let ours = Ours(Arc::clone(&ledger), vec![run]);
        let inner = Ours(Arc::clone(&ledger), vec![run, call]);
        let mut tasks = requests(&ours, &mut seeded);
        tasks.extend(requests(&inner, &mut seeded));
        interleave(tasks, &mut seeded, seed % 2 == 0, || {
            for (account, most) in [(run, LIMIT), (call, LIMIT / 2)] {
                let (spent, reserved) = ledger.balance(account);
                let sum = spent.plus(reserved).tokens.0;
                assert!(sum <= most, "seed {seed}: {spent:?} spent and {reserved:?} reserved of {most}");
            }
        });
        let (spent, reserved) = ledger.balance(run);
        assert_eq!(reserved, Amount::default(), "seed {seed}: something is still reserved");
        filled = filled.max(spent.tokens.0);

        let mut seeded = Seeded(seed * 0x9E37_79B9);
        let naive = CheckThenCount { spent: std::cell::Cell::new(0), limit: LIMIT };
        let tasks = requests(&naive, &mut seeded);
        interleave(tasks, &mut seeded, false, || {});
        raced += u32::from(naive.spent.get() > LIMIT);
    }
    assert!(raced > 1_000, "the race that this test is about hardly happens: {raced} of 2000");
    assert!(filled > LIMIT * 9 / 10, "the budget is hardly used: {filled}");
}

#[test]
fn it_waits_for_what_may_come_back_and_fails_when_nothing_can() {
    let ledger = Arc::new(Ledger::default());
    let run = ledger.open("the run", limit(100), Amount::default());
    let first = ledger.reserve(&[run], amount(80)).unwrap();
    assert_eq!(ledger.reserve(&[run], amount(30)).unwrap_err(), Refused::Later);
    first.settle(amount(70));
    let second = ledger.reserve(&[run], amount(30)).unwrap();
    second.release();
    let Err(Refused::Over(over)) = ledger.reserve(&[run], amount(31)) else { panic!("it fits") };
    assert_eq!(
        over.to_string(),
        "the next request may use 31, and the run has spent 70 of its `limits.tokens` of 100; raise it and resume"
    );
}

#[test]
fn a_request_that_nobody_settles_may_be_billed() {
    let ledger = Arc::new(Ledger::default());
    let run = ledger.open("the run", limit(100), amount(10));
    drop(ledger.reserve(&[run], amount(30)).unwrap());
    assert_eq!(ledger.balance(run), (amount(40), Amount::default()));
}

#[test]
fn money_is_counted_like_tokens_and_the_narrower_account_decides() {
    let ledger = Arc::new(Ledger::default());
    let run = ledger.open("the run", limit(1_000), Amount::default());
    let cost = Budget { cost: Some(Usd(150)), tokens: None };
    let call = ledger.open("call a", cost, Amount::default());
    let Err(Refused::Over(over)) = ledger.reserve(&[run, call], amount(51)) else { panic!("it fits") };
    assert_eq!((over.kind, over.needs, over.limit), (Kind::Cost, 153, 150));
    assert_eq!(ledger.balance(run).1, Amount::default(), "the wider account keeps nothing");
    ledger.reserve(&[run, call], amount(50)).unwrap().release();
}

#[test]
fn at_four_fifths_it_says_so_once() {
    let ledger = Arc::new(Ledger::default());
    let run = ledger.open("the run", limit(100), Amount::default());
    let spend = |n| ledger.reserve(&[run], amount(n)).unwrap().settle(amount(n));
    assert_eq!(spend(79), []);
    let notice = Notice { whose: "the run".into(), kind: Kind::Tokens, spent: 80, limit: 100 };
    assert_eq!(spend(1), [notice]);
    assert_eq!(spend(1), []);
}
