//! A program of its own behind the same gate and the same budgets as a model.
//!
//! Invariant: a program is asked freely until it reports a rate limit; from then on its
//! gate decides when the next one starts. What it will use is not known before, so nothing
//! but a start is refused once a budget is used up.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::failure::{Failure, Kind};
use super::{Agent, Answer, Ask, News};
use crate::event::{Millis, RequestFinished, RequestStarted};
use crate::limits::budget::{Amount, Refused};
use crate::limits::gate::{Bound, Entry, Gate, Shut};
use crate::outcome::Usage;
use crate::unit::{Tokens, Usd};

/// What every start of a program needs at least: a budget that is used up holds no more.
const LEAST: Amount = Amount { tokens: Tokens(1), cost: Usd(1) };

/// A program with its gate.
pub(super) struct Gated<'a> {
    pub(super) inner: Box<dyn Agent + 'a>,
    pub(super) gate: Arc<Gate>,
    pub(super) name: &'a str,
}

impl Agent for Gated<'_> {
    fn answer<'a>(&'a self, ask: Ask, news: &'a News<'a>) -> BoxFuture<'a, Result<Answer, Box<Failure>>> {
        self.pass(ask, news).boxed()
    }
}

impl Gated<'_> {
    async fn pass<'a>(&'a self, ask: Ask, news: &'a News<'a>) -> Result<Answer, Box<Failure>> {
        let access = Arc::clone(&ask.access);
        let began = Instant::now();
        let fail = |kind, message: String| Err(Box::new(Failure::new(kind, self.name, message)));
        let (turn, reservation) = loop {
            let entry = Entry {
                model: "".into(),
                tokens: Tokens(0),
                begun: true,
                ahead: access.ahead,
                bound: Bound::Until(ask.deadline),
            };
            let on_wait = |waiting| {
                access.seat.leave();
                access.waits_at(self.name, waiting);
            };
            let turn = match access.seat.turn(&self.gate, "") {
                Some(turn) => Ok(turn),
                None => self.gate.enter(entry, &on_wait).await,
            };
            let mut turn = match turn {
                Ok(turn) => turn,
                Err(Shut::TooLong(too_long)) => {
                    let message = format!("`{}` is limited: {too_long}", self.name);
                    return fail(Kind::Model(crate::model::Class::RateLimited), message);
                }
                Err(Shut::Broken(broken)) => return fail(Kind::Reported, broken.message.to_string()),
            };
            access.seat.take().await;
            let changed = access.ledger.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match access.ledger.reserve(&access.accounts, LEAST) {
                Ok(reservation) if turn.use_now() => break (turn, reservation),
                Ok(reservation) => reservation.release(),
                Err(Refused::Over(over)) => return fail(Kind::OverBudget, over.to_string()),
                Err(Refused::Later) => {
                    drop(turn);
                    access.seat.leave();
                    access.waits(self.name, "budget", None);
                    changed.await;
                }
            }
        };
        let (number, waited) = (access.next(), Millis(began.elapsed()));
        let (instance, provider) = (access.instance.clone(), self.name.to_owned());
        let started = RequestStarted {
            instance: instance.clone(),
            number,
            provider: provider.clone(),
            model: String::new(),
            reserved: Tokens(0),
            reserved_cost: None,
        };
        if let Err(why) = access.starts(started).await {
            let message = format!("the start could not be written down before it was made: {why}");
            return fail(Kind::Model(crate::model::Class::Bug), message);
        }
        let result = self.inner.answer(ask, news).await;
        let (usage, failure) = match &result {
            Ok(answer) => (answer.usage, None),
            Err(failure) => (failure.usage, Some(failure)),
        };
        match failure {
            Some(failure) if failure.is_rate_limited() => turn.limited(failure.retry_after, true),
            Some(_) | None => turn.accepted(),
        }
        let charged = usage.input + usage.output;
        let cost = usage.cost.unwrap_or_default();
        access.tell(reservation.settle(Amount { tokens: charged, cost }));
        access.ends(RequestFinished {
            instance,
            number,
            provider,
            model: String::new(),
            failure: failure.map(|failure| failure.code().to_owned()),
            usage: Usage { requests: usage.requests, ..usage },
            charged,
            charged_cost: usage.cost,
            saved: None,
            waited,
        });
        result
    }
}
