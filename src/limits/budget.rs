//! Tokens and money that may be spent: reserved before a request, settled after it.
//!
//! Invariants: one lock over all accounts of a run, so that what is checked is still
//! true when it is counted; spent and reserved together never pass a limit, under any
//! interleaving, as long as no request uses more than was reserved for it; a reservation
//! that is dropped without a word counts as spent, since the request may be billed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::plan::Budget;
use crate::unit::{Tokens, Usd};

/// When people hear of it, as a share of the limit.
const NOTICE_AT: f64 = 0.8;

/// Tokens and money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Input and output together.
    pub tokens: Tokens,
    /// What they cost, as far as prices are known.
    pub cost: Usd,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `limits.tokens`.
    Tokens,
    /// `limits.cost`.
    Cost,
}

/// An account of the run, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Account(usize);

/// A budget that nears its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whose it is: `the run`, `the plan of audit`, `call review`.
    pub whose: Arc<str>,
    /// What nears its end.
    pub kind: Kind,
    /// What is spent and what may be: tokens, or millionths of a dollar.
    pub spent: u64,
    /// The limit, in the same unit.
    pub limit: u64,
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (key, show) = self.kind.shown();
        let Notice { whose, spent, limit, .. } = self;
        write!(f, "{whose} has spent {} of its `{key}` of {}", show(*spent), show(*limit))
    }
}

impl Kind {
    /// Its key, and how its amounts are shown.
    fn shown(self) -> (&'static str, fn(u64) -> String) {
        match self {
            Kind::Tokens => ("limits.tokens", |n| Tokens(n).to_string()),
            Kind::Cost => ("limits.cost", |n| Usd(n).to_string()),
        }
    }
}

/// Why nothing was reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It does not fit beside what others have reserved, and may once they settle.
    Later,
    /// It does not fit in what is left, and never will.
    Over(Over),
}

/// A budget that does not hold one more request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct Over {
    /// Whose it is.
    pub whose: Arc<str>,
    /// Of what there is too little.
    pub kind: Kind,
    /// What is spent.
    pub spent: u64,
    /// The limit.
    pub limit: u64,
    /// What the request may use.
    pub needs: u64,
}

impl Over {
    fn sentence(&self) -> String {
        let (key, show) = self.kind.shown();
        let Over { whose, spent, limit, needs, .. } = self;
        let (spent, limit, needs) = (show(*spent), show(*limit), show(*needs));
        format!(
            "the next request may use {needs}, and {whose} has spent {spent} of its `{key}` of {limit}; \
             raise it and resume"
        )
    }
}

/// The accounts of a run.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: Mutex<Vec<State>>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    whose: Arc<str>,
    limit: Budget,
    spent: Amount,
    reserved: Amount,
    noticed: [bool; 2],
}

impl Ledger {
    /// Opens an account in which so much is spent already.
    pub fn open(&self, whose: &str, limit: Budget, spent: Amount) -> Account {
        let mut accounts = self.lock();
        let state =
            State { whose: whose.into(), limit, spent, reserved: Amount::default(), noticed: [false; 2] };
        accounts.push(state);
        Account(accounts.len() - 1)
    }

    /// Reserves an amount in each of the accounts, or in none.
    ///
    /// # Errors
    /// [`Refused`]: whoever is to come later waits for [`Ledger::changed`], which it must have begun
    /// to listen to before.
    pub fn reserve(self: &Arc<Ledger>, chain: &[Account], amount: Amount) -> Result<Reservation, Refused> {
        let mut accounts = self.lock();
        let mut later = false;
        for Account(at) in chain {
            let Some(account) = accounts.get(*at) else { continue };
            if let Some(over) = account.lacks(amount, account.spent) {
                return Err(Refused::Over(over));
            }
            later |= account.lacks(amount, account.spent.plus(account.reserved)).is_some();
        }
        if later {
            return Err(Refused::Later);
        }
        for Account(at) in chain {
            if let Some(account) = accounts.get_mut(*at) {
                account.reserved = account.reserved.plus(amount);
            }
        }
        drop(accounts);
        Ok(Reservation { ledger: Arc::clone(self), chain: chain.into(), amount, settled: false })
    }

    /// Ends when something was settled.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// What is spent and what is reserved in an account.
    pub fn balance(&self, Account(at): Account) -> (Amount, Amount) {
        self.lock().get(at).map(|account| (account.spent, account.reserved)).unwrap_or_default()
    }

    /// True when one of the accounts has a limit.
    pub fn bounds(&self, chain: &[Account]) -> bool {
        let accounts = self.lock();
        chain.iter().any(|Account(at)| accounts.get(*at).is_some_and(|account| !account.limit.is_none()))
    }

    fn settle(&self, chain: &[Account], reserved: Amount, used: Amount) -> Vec<Notice> {
        let mut accounts = self.lock();
        let mut notices = Vec::new();
        for Account(at) in chain {
            if let Some(account) = accounts.get_mut(*at) {
                account.reserved = account.reserved.minus(reserved);
                account.spent = account.spent.plus(used);
                account.notice(&mut notices);
            }
        }
        drop(accounts);
        self.changed.notify_waiters();
        notices
    }

    fn lock(&self) -> MutexGuard<'_, Vec<State>> {
        // Nothing panics while it is held.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn bounds(&self, amount: Amount) -> [(Kind, u64, Option<u64>); 2] {
        [
            (Kind::Tokens, amount.tokens.0, self.limit.tokens.map(|limit| limit.0)),
            (Kind::Cost, amount.cost.0, self.limit.cost.map(|limit| limit.0)),
        ]
    }

    /// What is too little for `amount` beside `taken`.
    fn lacks(&self, amount: Amount, taken: Amount) -> Option<Over> {
        let both = self.bounds(taken.plus(amount)).into_iter().zip(self.bounds(amount));
        for ((kind, sum, limit), (_, needs, _)) in both {
            if let Some(limit) = limit.filter(|limit| sum > *limit) {
                let [(_, tokens, _), (_, cost, _)] = self.bounds(self.spent);
                let spent = if kind == Kind::Tokens { tokens } else { cost };
                return Some(Over { whose: Arc::clone(&self.whose), kind, spent, limit, needs });
            }
        }
        None
    }

    fn notice(&mut self, notices: &mut Vec<Notice>) {
        for (place, (kind, spent, limit)) in self.bounds(self.spent).into_iter().enumerate() {
            let Some(limit) = limit.filter(|limit| spent as f64 >= *limit as f64 * NOTICE_AT) else {
                continue;
            };
            if let Some(noticed) = self.noticed.get_mut(place)
                && !std::mem::replace(noticed, true)
            {
                notices.push(Notice { whose: Arc::clone(&self.whose), kind, spent, limit });
            }
        }
    }
}

impl Amount {
    /// The sum.
    pub fn plus(self, other: Amount) -> Amount {
        Amount { tokens: self.tokens + other.tokens, cost: self.cost + other.cost }
    }

    fn minus(self, other: Amount) -> Amount {
        Amount {
            tokens: Tokens(self.tokens.0.saturating_sub(other.tokens.0)),
            cost: Usd(self.cost.0.saturating_sub(other.cost.0)),
        }
    }
}

/// What one request may use; dropped without a word, all of it counts as spent.
#[derive(Debug)]
#[must_use]
pub struct Reservation {
    ledger: Arc<Ledger>,
    chain: Box<[Account]>,
    amount: Amount,
    settled: bool,
}

impl Reservation {
    /// What is reserved.
    pub fn amount(&self) -> Amount {
        self.amount
    }

    /// The request is over and used this much. Gives the budgets that near their end by it.
    pub fn settle(mut self, used: Amount) -> Vec<Notice> {
        self.settled = true;
        self.ledger.settle(&self.chain, self.amount, used)
    }

    /// The request was never made.
    pub fn release(self) {
        self.settle(Amount::default());
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.settled {
            self.ledger.settle(&self.chain, self.amount, self.amount);
        }
    }
}

#[cfg(test)]
mod tests;
