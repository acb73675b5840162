//! A model in this process: one request, and the next model of the list where the first is no good.
//!
//! Invariants: models are tried in the order of the list, each at most once an ask;
//! the answer says which of them gave it; what the others cost is counted.

use futures::FutureExt;
use futures::future::BoxFuture;
use indexmap::IndexMap;

use super::failure::{Failure, Kind};
use super::news::Seldom;
use super::request::Requests;
use super::{Agent, Answer, Ask, News, prompt};
use crate::model::{Bounds, Class, Progress, Request, Stop, schema};
use crate::outcome::Usage;
use crate::plan::{ModelAgent, ModelName, Provider};
use crate::unit::Tokens;

/// A model with its settings, about to be asked.
pub(super) struct Model<'a> {
    pub(super) requests: &'a Requests,
    pub(super) settings: &'a ModelAgent,
    pub(super) providers: &'a IndexMap<String, Provider>,
}

impl Agent for Model<'_> {
    fn answer<'a>(&'a self, ask: Ask, news: &'a News<'a>) -> BoxFuture<'a, Result<Answer, Box<Failure>>> {
        async move {
            let seldom = Seldom::new(news);
            let mut passed_over = Vec::new();
            let mut usage = Usage::default();
            let mut models = self.settings.models.iter().peekable();
            while let Some(name) = models.next() {
                match self.ask_one(name, &ask, &seldom).await {
                    Ok(mut answer) => {
                        usage.add(&answer.usage);
                        (answer.usage, answer.passed_over) = (usage, passed_over);
                        return Ok(answer);
                    }
                    Err(mut failure) => {
                        usage.add(&failure.usage);
                        if models.peek().is_some() && another_may_help(&failure, ask.last_try) {
                            passed_over.push(format!("{name}: {}", failure.message));
                            continue;
                        }
                        failure.usage = usage;
                        if !passed_over.is_empty() {
                            let before = passed_over.join("; ");
                            failure.message = format!("{}; before that: {before}", failure.message);
                        }
                        return Err(failure);
                    }
                }
            }
            let message = "the agent has no model; name one under `model:`";
            Err(Box::new(Failure::new(Kind::Model(Class::BadRequest), "(no model)", message)))
        }
        .boxed()
    }
}

/// Whether the next model of the list is to be asked.
///
/// Not after a failure that the attempt loop will try again with this one, and not
/// where another model would fail in the same way.
fn another_may_help(failure: &Failure, last_try: bool) -> bool {
    match failure.kind {
        Kind::Model(Class::Truncated | Class::TimedOut | Class::Bug) => false,
        Kind::Model(_) | Kind::Empty => !failure.is_transient() || last_try,
        Kind::Spawn(_)
        | Kind::ExitStatus
        | Kind::Signal
        | Kind::Reported
        | Kind::Blocked
        | Kind::Unconfined
        | Kind::OverBudget
        | Kind::Unreadable
        | Kind::TimedOut
        | Kind::Idle => false,
    }
}

impl Model<'_> {
    async fn ask_one(
        &self,
        name: &ModelName,
        ask: &Ask,
        seldom: &Seldom<'_>,
    ) -> Result<Answer, Box<Failure>> {
        let agent = name.to_string();
        let Some(provider) = self.providers.get(&name.provider) else {
            let message = format!("`{agent}`: the plan has no provider `{}`", name.provider);
            return Err(Box::new(Failure::new(Kind::Model(Class::BadRequest), &agent, message)));
        };
        let in_words =
            ask.schema.as_deref().is_some_and(|schema| schema::needs_instruction(provider, schema));
        let request = Request {
            model: name.model.clone(),
            system: ask.system.clone(),
            messages: prompt::conversation(ask, in_words),
            schema: ask.schema.clone(),
            max_tokens: self.settings.max_tokens,
            temperature: self.settings.temperature,
            effort: self.settings.effort.clone(),
            tools: Vec::new(),
            cache: false,
        };
        let bounds = Bounds { deadline: Some(ask.deadline), idle: ask.idle_timeout };
        let on_progress = |progress: Progress<'_>| {
            if !progress.text.is_empty() {
                // Nobody counts them for us before the end: about four bytes each.
                seldom.text(progress.text, Tokens((progress.text.len() / 4) as u64));
            }
        };
        let reply =
            match self.requests.send(&ask.access, name, provider, &request, bounds, &on_progress).await {
                Ok(reply) => reply,
                Err(failure) => return Err(failure),
            };
        let bad = match reply.stop {
            Stop::Tools => {
                let message = format!("{agent} asked for a tool, though it was given none");
                Some(Failure::new(Kind::Model(Class::Protocol), &agent, message).transient(true))
            }
            Stop::End | Stop::StopSequence | Stop::Paused | Stop::Other(_)
                if reply.text.trim().is_empty() =>
            {
                Some(Failure::new(Kind::Empty, &agent, format!("{agent} gave an empty answer")))
            }
            Stop::End | Stop::StopSequence | Stop::Paused | Stop::Other(_) => None,
        };
        if let Some(failure) = bad {
            return Err(Box::new(Failure { usage: reply.usage, partial: reply.text, ..failure }));
        }
        Ok(Answer {
            text: reply.text,
            usage: reply.usage,
            usage_estimated: reply.usage_estimated,
            agent,
            request_id: reply.request_id,
            ..Answer::default()
        })
    }
}
