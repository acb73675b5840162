//! One request to a model: the only way from an agent to a provider.
//!
//! ```text
//! turn at the gate ─▶ place ─▶ reservation ─▶ send ─▶ settle, and tell the gate what it taught
//! ```
//!
//! Invariants: nothing is sent but from here, so that whatever bounds requests bounds
//! all of them; who waits, for a gate or a budget, holds no place; a request that was
//! sent is settled, or charged in full when it is dropped. Nothing here tries twice.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::access::Access;
use super::failure::{Failure, Kind};
use super::prefix::{self, Lead, Prefixes};
use crate::event::{Millis, RequestFinished, RequestStarted};
use crate::limits::budget::{Amount, Refused, Reservation};
use crate::limits::estimate::Estimates;
use crate::limits::gate::{Bound, Broken, Declared, Entry, Gate, Left, Shut, Turn};
use crate::limits::gates::Gates;
use crate::limits::price;
use crate::model::{self, Bounds, Class, Client, Message, Progress, RateHeaders, Reply, Request, Window};
use crate::outcome::Usage;
use crate::plan::{ModelName, Provider};
use crate::unit::{Tokens, Usd};

/// How long a request without a deadline waits for an instant that its provider announces.
const PATIENCE: Duration = Duration::from_secs(600);

/// What all requests of a run are made with.
pub(super) struct Requests {
    pub(super) client: Client,
    pub(super) gates: Gates,
    pub(super) estimates: Estimates,
    /// Reads the prices beside the first request, whose answer takes longer than that.
    pub(super) prices: OnceLock<JoinHandle<()>>,
    pub(super) prefixes: Prefixes,
}

/// One request on its way through.
struct Passage<'a> {
    requests: &'a Requests,
    access: &'a Access,
    name: &'a ModelName,
    provider: &'a Provider,
    gate: Arc<Gate>,
    /// As people know it: `anthropic/claude-sonnet-5`.
    who: String,
    bytes: usize,
    need: Amount,
}

/// Leave to send.
struct Leave {
    turn: Turn,
    reservation: Reservation,
    number: u64,
    waited: Duration,
}

impl Requests {
    /// Sends one request to `name` at its `provider` and reads its answer to the end.
    ///
    /// Waits for its turn and its budget first, outside of the call's place (`access`). `on_progress` is called
    /// after every chunk of the body. Dropping the future closes the connection.
    ///
    /// # Errors
    /// A [`Failure`]; its `partial` holds the text that came before. [`Kind::OverBudget`] when a
    /// budget will not hold it.
    pub(super) async fn send(
        &self,
        access: &Access,
        name: &ModelName,
        provider: &Provider,
        request: &Request,
        bounds: Bounds,
        on_progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Reply, Box<Failure>> {
        if price::may_be_listed(provider) {
            self.prices.get_or_init(|| tokio::task::spawn_blocking(price::prepare));
        }
        let passage = Passage::new(self, access, (name, provider), request);
        let lead = passage.follow(request).await;
        let leave = passage.enter(bounds).await?;
        let heard = |progress: Progress<'_>| {
            leave.turn.accepted();
            lead.iter().for_each(Lead::begun);
            on_progress(progress);
        };
        let result = self.client.ask(provider, request, bounds, &heard).await;
        passage.leave(leave, result).map_err(|failure| Box::new(Failure::of_model(*failure, &passage.who)))
    }
}

/// The gate of a provider.
pub(super) fn gate(gates: &Gates, provider: &Provider) -> Arc<Gate> {
    let rate = &provider.rate;
    let declared = Declared { requests: rate.requests, tokens: rate.tokens, concurrency: rate.concurrency };
    gates.of(host(&provider.base_url), provider.api_key_env.as_deref().unwrap_or(""), declared)
}

/// `host:port` of an address; all of one that has no such part.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

impl<'a> Passage<'a> {
    fn new(
        requests: &'a Requests,
        access: &'a Access,
        (name, provider): (&'a ModelName, &'a Provider),
        request: &Request,
    ) -> Passage<'a> {
        let who = name.to_string();
        let bytes = size(request);
        let input = requests.estimates.tokens(&who, bytes);
        // Looking prices up is not free, and only a budget needs them before.
        let cost = if access.is_bounded() {
            price::most(provider, &name.model, input, request.max_tokens)
        } else {
            None
        };
        let need = Amount { tokens: input + request.max_tokens, cost: cost.unwrap_or_default() };
        let gate = gate(&requests.gates, provider);
        Passage { requests, access, name, provider, gate, who, bytes, need }
    }

    /// Waits for another one that begins in the same way, where its answer has not begun yet. It keeps
    /// its place, and gives back its turn at the gate, which the other one may need.
    async fn follow(&self, request: &Request) -> Option<Lead<'a>> {
        let Some(Message::User(first)) = request.messages.first() else { return None };
        let key = prefix::key(&self.who, &self.provider.base_url, request, first)?;
        let on_wait = || {
            drop(self.access.seat.turn(&self.gate, &self.name.model));
            self.access.waits(&self.who, "shared_prefix", None);
        };
        self.requests.prefixes.enter(&key, on_wait).await
    }

    /// Waits until it may be sent.
    async fn enter(&self, bounds: Bounds) -> Result<Leave, Box<Failure>> {
        let began = Instant::now();
        let access = self.access;
        loop {
            let mut turn = self.turn(bounds).await?;
            access.seat.take().await;
            let changed = access.ledger.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let reservation = match access.ledger.reserve(&access.accounts, self.need) {
                Ok(reservation) => reservation,
                Err(Refused::Over(over)) => {
                    return Err(Box::new(Failure::new(Kind::OverBudget, &self.who, over.to_string())));
                }
                Err(Refused::Later) => {
                    drop(turn);
                    access.seat.leave();
                    access.waits(&self.who, "budget", None);
                    changed.await;
                    continue;
                }
            };
            let (number, waited) = (access.next(), began.elapsed());
            access.starts(self.started(number)).await.map_err(|why| {
                let message = format!("the request could not be written down before it was made: {why}");
                Box::new(Failure::new(Kind::Model(Class::Bug), &self.who, message))
            })?;
            if turn.use_now() {
                return Ok(Leave { turn, reservation, number, waited });
            }
            // The gate has closed since.
            reservation.release();
            access.ends(self.ended(number, waited, Some("not_sent")));
            drop(turn);
            access.seat.leave();
        }
    }

    /// A turn at the gate: the one that the call came by before it began, or a new one.
    async fn turn(&self, bounds: Bounds) -> Result<Turn, Box<Failure>> {
        let access = self.access;
        if let Some(turn) = access.seat.turn(&self.gate, &self.name.model) {
            return Ok(turn);
        }
        let entry = Entry {
            model: self.name.model.as_str().into(),
            tokens: self.need.tokens,
            begun: true,
            ahead: access.ahead,
            bound: bounds.deadline.map_or(Bound::Patience(PATIENCE), Bound::Until),
        };
        let on_wait = |waiting| {
            access.seat.leave();
            access.waits_at(&self.who, waiting);
        };
        self.gate.enter(entry, &on_wait).await.map_err(|shut| Box::new(self.shut(shut)))
    }

    /// What no turn means. Trying again is of no use: that was waited for already.
    fn shut(&self, shut: Shut) -> Failure {
        let (class, message) = match shut {
            Shut::TooLong(too_long) => (Class::RateLimited, format!("{} is limited: {too_long}", self.who)),
            Shut::Broken(Broken { code, message }) => {
                let class = match code {
                    "out_of_money" => Class::OutOfMoney,
                    _ => Class::Unauthorized,
                };
                (class, format!("not asked: {message}"))
            }
        };
        Failure::new(Kind::Model(class), &self.who, message)
    }

    fn started(&self, number: u64) -> RequestStarted {
        let access = self.access;
        let known = self.need.cost != Usd(0);
        RequestStarted {
            instance: access.instance.clone(),
            number,
            provider: self.name.provider.clone(),
            model: self.name.model.clone(),
            reserved: self.need.tokens,
            reserved_cost: known.then_some(self.need.cost),
        }
    }

    fn ended(&self, number: u64, waited: Duration, failure: Option<&str>) -> RequestFinished {
        RequestFinished {
            instance: self.access.instance.clone(),
            number,
            provider: self.name.provider.clone(),
            model: self.name.model.clone(),
            failure: failure.map(str::to_owned),
            usage: Usage::default(),
            charged: Tokens(0),
            charged_cost: None,
            saved: None,
            waited: Millis(waited),
        }
    }

    /// Settles, and tells the gate what the answer taught.
    fn leave(
        &self,
        leave: Leave,
        result: Result<Reply, Box<model::Failure>>,
    ) -> Result<Reply, Box<model::Failure>> {
        let Leave { turn, reservation, number, waited } = leave;
        let access = self.access;
        let (usage, rate, failure) = match &result {
            Ok(reply) => (reply.usage, reply.rate, None),
            Err(failure) => (failure.usage, failure.rate, Some(failure)),
        };
        announce(&turn, &rate);
        match failure {
            None => {
                turn.accepted();
                self.requests.estimates.learn(&self.who, self.bytes, usage.input);
            }
            Some(failure) => self.teach(&turn, failure),
        }
        turn.used(usage.input + usage.output);
        let used = usage.input + usage.output;
        let billed = failure.is_some_and(|failure| may_be_billed(failure));
        let cost = match used.is_zero() {
            // What was turned away is free, what was lost is not known.
            true => (!billed).then_some(Usd(0)),
            false => price::cost(self.provider, &self.name.model, &usage),
        };
        let usage = Usage { cost, ..usage };
        let charged = match billed {
            true => reservation.amount(),
            false => Amount { tokens: used, cost: cost.unwrap_or_default() },
        };
        let charged_cost = if billed { Some(charged.cost).filter(|cost| cost.0 > 0) } else { cost };
        access.tell(reservation.settle(charged));
        access.ends(RequestFinished {
            usage,
            charged: charged.tokens,
            charged_cost,
            saved: if usage.cached.is_zero() {
                None
            } else {
                price::saved(self.provider, &self.name.model, &usage)
            },
            ..self.ended(number, waited, failure.map(|failure| failure.class.code()))
        });
        match result {
            Ok(reply) => Ok(Reply { usage, ..reply }),
            Err(failure) => Err(Box::new(model::Failure { usage, ..*failure })),
        }
    }

    fn teach(&self, turn: &Turn, failure: &model::Failure) {
        match failure.class {
            Class::RateLimited => turn.limited(failure.retry_after, true),
            Class::Overloaded => turn.limited(failure.retry_after, false),
            Class::Unauthorized | Class::OutOfMoney => self.break_circuit(failure),
            Class::Unreachable
            | Class::Interrupted
            | Class::ServerError
            | Class::MissingKey
            | Class::NotFound
            | Class::BadRequest
            | Class::ContextTooLong
            | Class::TooLarge
            | Class::Refused
            | Class::Truncated
            | Class::Protocol
            | Class::Redirected
            | Class::Stalled
            | Class::TimedOut
            | Class::Bug => {}
        }
    }

    /// Nobody else needs to learn that a key is no good.
    fn break_circuit(&self, failure: &model::Failure) {
        let key = match &self.provider.api_key_env {
            Some(variable) => format!("the key in {variable}"),
            None => format!("no key at `{}`", self.provider.name),
        };
        // A key that is right may still not be allowed this model.
        let whole = failure.status != Some(403);
        let scope = if whole { String::new() } else { format!(" for `{}`", self.who) };
        let broken = Broken {
            code: failure.class.code(),
            message: format!("{key} was turned away before{scope}: {}", failure.message).into(),
        };
        let model: Arc<str> = self.name.model.as_str().into();
        self.gate.shut((!whole).then_some(&model), broken);
        let message =
            format!("nothing more is asked with {key}{scope} in this run; put it right, then resume");
        self.access.warns("circuit_open", message);
    }
}

/// Bytes of all that the provider counts.
fn size(request: &Request) -> usize {
    let messages = request.messages.iter().map(|message| match message {
        Message::User(text) | Message::Assistant(text) => text.len(),
        Message::Echo(value) => value.to_string().len(),
        Message::Results { results, note } => {
            let results: usize = results.iter().map(|result| result.text.len() + result.name.len()).sum();
            results + note.as_ref().map_or(0, String::len)
        }
    });
    let tools = request
        .tools
        .iter()
        .map(|tool| tool.name.len() + tool.description.len() + tool.parameters.to_string().len());
    let schema = request.schema.as_ref().map_or(0, |schema| schema.to_string().len());
    messages.chain(tools).sum::<usize>() + request.system.as_ref().map_or(0, String::len) + schema
}

/// True for a failed request that the provider may well bill for, without having said how much.
fn may_be_billed(failure: &model::Failure) -> bool {
    match failure.class {
        Class::Interrupted | Class::Protocol | Class::TooLarge | Class::Stalled | Class::TimedOut => {
            failure.usage.requests > 0
        }
        // Without a connection there is no request; one that was lost later may have been heard.
        Class::Unreachable => failure.usage.requests > 0,
        Class::ServerError
        | Class::Overloaded
        | Class::RateLimited
        | Class::Unauthorized
        | Class::MissingKey
        | Class::OutOfMoney
        | Class::NotFound
        | Class::BadRequest
        | Class::ContextTooLong
        | Class::Refused
        | Class::Truncated
        | Class::Redirected
        | Class::Bug => false,
    }
}

fn announce(turn: &Turn, rate: &RateHeaders) {
    let left =
        |window: Window| Left { limit: window.limit, remaining: window.remaining, reset: window.reset };
    if *rate != RateHeaders::default() {
        turn.announced(left(rate.requests), left(rate.tokens));
    }
}
