//! One conversation with one model: turn after turn until it asks for nothing more.
//!
//! ```text
//! request ─▶ answer ─▶ calls? ─yes─▶ all at once ─▶ results ─▶ request …
//!                        └no─▶ jobs at work? ─yes─▶ wait for the next end ─▶ request …
//!                                └no─▶ the answer
//! ```
//!
//! Invariants: the presence of calls decides, not the stop reason; an answer that did not come to
//! its end is a failure, and nothing of it is done; what was answered once is not asked again,
//! in a later try or a later process; the assistant's turns go back as they came.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::desk::Desk;
use super::failure::{Failure, Kind};
use super::news::Seldom;
use super::request::Requests;
use super::toolbox::Toolbox;
use super::{Answer, Ask, Memory, prefix, prompt};
use crate::event::{ModelAnswer, ToolAsked};
use crate::id::ContentKey;
use crate::journal::JournalError;
use crate::model::{Bounds, Message, Progress, Reply, Request, Stop, schema};
use crate::outcome::Usage;
use crate::plan::{ModelAgent, ModelName, Provider};
use crate::unit::Tokens;

/// How much of the time that a call has is kept for the last answer, when its jobs outlast it.
const LAST_WORDS: f64 = 0.2;

/// The most of it.
const MOST_LAST_WORDS: Duration = Duration::from_secs(60);

/// A conversation about to be had.
pub(super) struct Talk<'a> {
    requests: &'a Requests,
    name: &'a ModelName,
    provider: &'a Provider,
    ask: &'a Ask,
    max_turns: u32,
    seldom: &'a Seldom<'a>,
    /// The next request; its messages grow.
    request: Request,
    /// What all requests of this conversation have in common, once that is asked for.
    common: OnceLock<ContentKey>,
    usage: Usage,
    estimated: bool,
    request_id: Option<String>,
    /// The provider paused the last turn: it goes back alone.
    paused: bool,
    began: Instant,
}

impl<'a> Talk<'a> {
    pub(super) fn new(
        requests: &'a Requests,
        (name, provider): (&'a ModelName, &'a Provider),
        settings: &ModelAgent,
        ask: &'a Ask,
        seldom: &'a Seldom<'a>,
    ) -> Talk<'a> {
        let in_words =
            ask.schema.as_deref().is_some_and(|schema| schema::needs_instruction(provider, schema));
        let tools = ask.desk.as_deref().map(Toolbox::specs).unwrap_or_default();
        let request = Request {
            model: name.model.clone(),
            system: ask.system.clone(),
            messages: prompt::conversation(ask, &name.to_string(), in_words),
            // Every turn of a conversation begins as the one before it.
            cache: !tools.is_empty() || ask.thread.is_some(),
            tools,
            schema: ask.schema.clone(),
            shared: None,
            max_tokens: settings.max_tokens,
            temperature: settings.temperature,
            effort: settings.effort.clone(),
        };
        let shared = prefix::shared(provider, &request, &ask.prompt, ask.shared.as_ref());
        let request = Request { shared, ..request };
        Talk {
            requests,
            name,
            provider,
            ask,
            max_turns: settings.max_turns,
            seldom,
            request,
            common: OnceLock::new(),
            usage: Usage::default(),
            estimated: false,
            request_id: None,
            paused: false,
            began: Instant::now(),
        }
    }

    /// Has it, to its answer.
    ///
    /// # Errors
    /// A [`Failure`]; its usage is that of this try.
    pub(super) async fn have(&mut self) -> Result<Answer, Box<Failure>> {
        let mut repaired = false;
        let mut farewell = false;
        let mut last_text = String::new();
        for turn in 1..=self.max_turns {
            let (key, answer) = match self.turn(turn).await {
                Ok(done) => done,
                Err(failure) => return Err(self.failed(failure)),
            };
            if !answer.text.trim().is_empty() {
                last_text.clone_from(&answer.text);
            }
            if !answer.calls.is_empty() {
                Box::pin(self.answer_calls(key, &answer)).await?;
                continue;
            }
            self.request.messages.push(Message::Echo(Arc::new(answer.assistant)));
            self.paused = answer.paused;
            if answer.paused {
                continue;
            }
            if let Some(desk) = &self.ask.desk
                && desk.jobs.are_open()
                && !farewell
            {
                farewell = Box::pin(self.wait(desk)).await;
                continue;
            }
            if answer.text.trim().is_empty() {
                // What a model says to itself when its work is done, or after a text behind results.
                self.request.messages.pop();
                if turn > 1 && !repaired {
                    repaired = true;
                    self.tell("Your last message was empty. Give your whole answer now.");
                    continue;
                }
                let message = format!("{} gave an empty answer", self.name);
                return Err(self.failed(self.failure(Kind::Empty, message)));
            }
            let memory = self.memory();
            return Ok(Answer {
                text: answer.text,
                memory,
                usage: self.usage,
                usage_estimated: self.estimated,
                agent: self.name.to_string(),
                request_id: self.request_id.take(),
                ..Answer::default()
            });
        }
        let message = format!(
            "{} was not done after {} turns (`max_turns`); with a higher one and `fanout resume` it goes on \
             from there",
            self.name, self.max_turns
        );
        let failure = self.failure(Kind::TurnsUsedUp, message);
        Err(self.failed(Box::new(Failure { partial: last_text, ..*failure })))
    }

    /// One request and its answer: the recorded one, or one that is recorded now, with the key of both.
    async fn turn(&mut self, turn: u32) -> Result<(Option<ContentKey>, ModelAnswer), Box<Failure>> {
        let Some(desk) = self.ask.desk.clone() else {
            let reply = self.send().await?;
            let answer = self.record(reply, None);
            self.count(answer.usage, &answer);
            return Ok((None, answer));
        };
        if desk.is_blank() {
            let reply = self.send().await?;
            let answer = self.record(reply, None);
            if answer.is_whole() {
                // It goes into the call's end, which follows at once.
                self.count(answer.usage, &answer);
                return Ok((None, answer));
            }
            let key = self.key();
            let written = Box::pin(desk.answered(&key, answer.clone())).await;
            written.map_err(|error| self.unwritten(&error))?;
            self.count(desk.count(&key, answer.usage), &answer);
            return Ok((Some(key), answer));
        }
        let key = self.key();
        if let Some(answer) = desk.answer(&key) {
            if let Some(told) = &answer.told {
                self.tell(told);
            }
            desk.jobs.delivered(&answer.jobs);
            self.count(desk.count(&key, answer.usage), &answer);
            return Ok((Some(key), answer));
        }
        let news = desk.jobs.news().filter(|_| !self.paused);
        if let Some(news) = &news {
            self.tell(&news.text);
        }
        let written = Box::pin(desk.asked(&key, &self.name.to_string(), turn > 1)).await;
        written.map_err(|error| self.unwritten(&error))?;
        let reply = self.send().await?;
        let (told, jobs) = news.map(|news| (news.text, news.jobs)).unzip();
        let answer = self.record(reply, told);
        let answer = ModelAnswer { jobs: jobs.unwrap_or_default(), ..answer };
        let written = Box::pin(desk.answered(&key, answer.clone())).await;
        written.map_err(|error| self.unwritten(&error))?;
        desk.jobs.delivered(&answer.jobs);
        self.count(desk.count(&key, answer.usage), &answer);
        Ok((Some(key), answer))
    }

    async fn send(&self) -> Result<Reply, Box<Failure>> {
        let bounds = Bounds { deadline: Some(self.ask.deadline), idle: self.ask.idle_timeout };
        let on_progress = |progress: Progress<'_>| {
            if !progress.text.is_empty() {
                // Nobody counts them for us before the end: about four bytes each.
                self.seldom.text(progress.text, Tokens((progress.text.len() / 4) as u64));
            }
        };
        let access = &self.ask.access;
        let sent = self.requests.send(access, self.name, self.provider, &self.request, bounds, &on_progress);
        let reply = sent.await?;
        if reply.stop == Stop::Tools && reply.calls.is_empty() {
            let message = format!("{} asked for a tool and did not say which", self.name);
            let failure = self.failure(Kind::Model(crate::model::Class::Protocol), message);
            return Err(Box::new(
                Failure { usage: reply.usage, partial: reply.text, ..*failure }.transient(true),
            ));
        }
        Ok(reply)
    }

    /// The reply as it is written down.
    fn record(&self, reply: Reply, told: Option<String>) -> ModelAnswer {
        let asked = |call: crate::model::ToolCall| {
            let (input, unreadable) = match call.input {
                Ok(input) => (input, None),
                Err(why) => (Value::Null, Some(why)),
            };
            ToolAsked { id: call.id, name: call.name, input, unreadable }
        };
        ModelAnswer {
            model: self.name.to_string(),
            paused: reply.stop == Stop::Paused,
            text: reply.text,
            assistant: reply.assistant,
            calls: reply.calls.into_iter().map(asked).collect(),
            usage: reply.usage,
            usage_estimated: reply.usage_estimated,
            request_id: reply.request_id,
            told,
            jobs: Vec::new(),
        }
    }

    fn count(&mut self, usage: Usage, answer: &ModelAnswer) {
        self.usage.add(&usage);
        self.estimated |= answer.usage_estimated;
        self.request_id.clone_from(&answer.request_id);
    }

    /// Does what was asked for, and answers all of it.
    async fn answer_calls(
        &mut self,
        key: Option<ContentKey>,
        answer: &ModelAnswer,
    ) -> Result<(), Box<Failure>> {
        let results = match self.ask.desk.as_ref().zip(key) {
            Some((desk, key)) => {
                let toolbox = Toolbox { desk, seldom: self.seldom };
                toolbox
                    .make(&key, &answer.calls)
                    .await
                    .map_err(|error| self.failed(self.unwritten(&error)))?
            }
            None => {
                let message = format!("{} asked for a tool, though it was given none", self.name);
                let failure = self.failure(Kind::Model(crate::model::Class::Protocol), message);
                let failure = Failure { partial: answer.text.clone(), ..*failure }.transient(true);
                return Err(self.failed(Box::new(failure)));
            }
        };
        self.request.messages.push(Message::Echo(Arc::new(answer.assistant.clone())));
        self.request.messages.push(Message::Results { results, note: None });
        Ok(())
    }

    /// The conversation up to here, where somebody may go on with it.
    fn memory(&mut self) -> Option<Memory> {
        self.ask.thread.as_ref()?;
        let messages = serde_json::to_value(std::mem::take(&mut self.request.messages)).ok()?;
        Some(Memory::Transcript { model: self.name.to_string(), messages })
    }

    /// Waits for the end of a job, as long as there is time; true when there is none left and the
    /// model has been told so.
    async fn wait(&mut self, desk: &Arc<Desk>) -> bool {
        // Answered by an earlier try or process: there is nothing to wait for.
        if desk.answer(&self.key()).is_some() {
            return false;
        }
        let whole = self.ask.deadline.saturating_duration_since(self.began);
        let kept = whole.mul_f64(LAST_WORDS).min(MOST_LAST_WORDS);
        let until = self.ask.deadline.checked_sub(kept).unwrap_or(self.ask.deadline);
        self.seldom.say("waiting for background jobs");
        let in_time = tokio::time::timeout_at(until, desk.jobs.next());
        let in_time = if desk.jobs.news().is_some() { Ok(()) } else { desk.aside(in_time).await };
        let Some(running) = desk.jobs.running().filter(|_| in_time.is_err()) else { return false };
        let text = format!(
            "<background-results>\nThe time of this task is nearly over, and these background jobs are still \
             at work; they will be ended with it:\n{running}</background-results>\nGive your final answer now."
        );
        self.tell(&text);
        true
    }

    /// Says something to the model, in the message that is being made.
    fn tell(&mut self, text: &str) {
        match self.request.messages.last_mut() {
            Some(Message::Results { note, .. }) => {
                *note = Some(match note.take() {
                    Some(before) => format!("{before}\n\n{text}"),
                    None => text.to_owned(),
                });
            }
            Some(Message::User(before)) => {
                before.push_str("\n\n");
                before.push_str(text);
            }
            Some(Message::Assistant(_) | Message::Echo(_)) | None => {
                self.request.messages.push(Message::User(text.to_owned()));
            }
        }
    }

    /// The conversation so far, as a hash of its content.
    fn key(&self) -> ContentKey {
        let messages: Vec<String> = self.request.messages.iter().map(as_text).collect();
        let parts = messages.iter().map(String::as_bytes);
        let common = self.common.get_or_init(|| {
            let number = self.ask.desk.as_ref().map_or(0, |desk| desk.conversation());
            common(number, self.name, &self.request)
        });
        ContentKey::of(std::iter::once(common.as_str().as_bytes()).chain(parts))
    }

    fn failure(&self, kind: Kind, message: String) -> Box<Failure> {
        Box::new(Failure::new(kind, &self.name.to_string(), message))
    }

    fn unwritten(&self, error: &JournalError) -> Box<Failure> {
        self.failure(Kind::Unwritten, error.to_string())
    }

    /// The failure with what this try used before it.
    fn failed(&self, mut failure: Box<Failure>) -> Box<Failure> {
        let mut usage = self.usage;
        usage.add(&failure.usage);
        failure.usage = usage;
        failure
    }
}

fn common(conversation: u32, name: &ModelName, request: &Request) -> ContentKey {
    let tools = request.tools.iter().map(|tool| json!([tool.name, tool.description, tool.parameters]));
    let parts = json!([
        conversation,
        name.to_string(),
        request.system,
        tools.collect::<Vec<_>>(),
        request.schema,
        request.max_tokens,
        request.temperature,
        request.effort,
    ]);
    ContentKey::of([parts.to_string().as_bytes()])
}

fn as_text(message: &Message) -> String {
    let value = match message {
        Message::User(text) => json!(["user", text]),
        Message::Assistant(text) => json!(["assistant", text]),
        Message::Echo(turn) => json!(["echo", turn]),
        Message::Results { results, note } => {
            let results = results.iter().map(|result| json!([result.id, result.text, result.is_error]));
            json!(["results", results.collect::<Vec<_>>(), note])
        }
    };
    value.to_string()
}
