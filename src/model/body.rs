//! Reads one response body into a fold: how long it may be silent, how much it may
//! hold, and whether it is a stream or a document.
//!
//! Invariant: success means that the fold saw its end. Whatever else ends the
//! reading is a [`Broken`].

use std::ops::ControlFlow;
use std::time::Duration;

use reqwest::Response;
use serde_json::Value;

use super::Progress;
use super::clock::{Clock, Expired};
use super::complaint::Complaint;
use super::dialect::{Fault, Fold, Step};
use super::sse::{EventTooLarge, Parser};

/// The most that a body may hold, in bytes, after decompression.
pub(super) const MAX_BODY: usize = 64 << 20;

/// The most that is read of the body of an error, in bytes.
pub(super) const MAX_ERROR_BODY: usize = 64 << 10;

/// How long a last event with the usage may take after the answer is complete.
const GRACE: Duration = Duration::from_secs(2);

/// How long the end of a body may take after its terminal event before the answer is
/// handed over without it. Nearly always it comes at once.
const END_OF_BODY: Duration = Duration::from_millis(50);

/// How much of a body that is no answer is kept for the message, in bytes.
const HEAD: usize = 120;

/// How a body stands after its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// At its end: the connection is free for the next request.
    Reached,
    /// Not yet at its end. Dropped now, it takes its connection along.
    Open,
}

/// Why a body gave no answer.
#[derive(Debug)]
pub(super) enum Broken {
    Expired(Expired),
    /// The connection broke.
    Lost(reqwest::Error),
    /// It ended before the answer did.
    Cut,
    /// It passed [`MAX_BODY`].
    TooLarge,
    EventTooLarge(EventTooLarge),
    /// It is no answer at all; holds its first bytes.
    Foreign(Vec<u8>),
    Fault(Fault),
}

enum Shape {
    /// Nothing but white space so far.
    Unknown,
    Stream(Box<Parser>),
    Document(Vec<u8>),
}

/// Reads the body into `fold`, until its terminal event.
///
/// # Errors
/// [`Broken`] with the reason; what came until then is in the fold.
pub(super) async fn read(
    response: &mut Response,
    fold: &mut dyn Fold,
    clock: &mut Clock,
    on_progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<End, Broken> {
    let mut shape = Shape::Unknown;
    let mut head = Vec::new();
    let (mut bytes, mut settled, mut events) = (0_usize, false, 0_u64);
    let patience = clock.idle();
    loop {
        let chunk = match clock.run(response.chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            // The answer is there; how the connection ends is nobody's business.
            Ok(Ok(None)) if settled => return Ok(End::Reached),
            _ if settled => return Ok(End::Open),
            Ok(Ok(None)) => break,
            Ok(Err(error)) => return Err(Broken::Lost(error)),
            Err(expired) => return Err(Broken::Expired(expired)),
        };
        bytes = bytes.saturating_add(chunk.len());
        clock.byte();
        if bytes > MAX_BODY {
            return Err(Broken::TooLarge);
        }
        if matches!(shape, Shape::Unknown) {
            shape = match chunk.iter().find(|byte| !byte.is_ascii_whitespace()) {
                None => continue,
                Some(b'{' | b'[') => Shape::Document(Vec::new()),
                Some(b'<') => return Err(Broken::Foreign(chunk.iter().copied().take(HEAD).collect())),
                Some(_) => Shape::Stream(Box::default()),
            };
        }
        match &mut shape {
            Shape::Unknown => {}
            Shape::Document(document) => {
                document.extend_from_slice(&chunk);
                clock.progress();
            }
            Shape::Stream(parser) => {
                if head.len() < HEAD {
                    head.extend(chunk.iter().take(HEAD - head.len()));
                }
                let mut step = Ok(Step::Ping);
                let (mut moved, before) = (false, events);
                let is_comment = parser.is_between_lines() && chunk.starts_with(b":");
                let parsed = parser.push(&chunk, |event| {
                    events += 1;
                    step = fold.event(event.kind, &event.data);
                    moved |= step != Ok(Step::Ping);
                    if matches!(step, Ok(Step::Done) | Err(_)) {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                });
                match (parsed, step) {
                    (_, Ok(Step::Done)) => {
                        clock.shorten(END_OF_BODY);
                        return Ok(to_end(response, clock).await);
                    }
                    (_, Err(fault)) => return Err(Broken::Fault(fault)),
                    (Err(error), _) => return Err(Broken::EventTooLarge(error)),
                    (Ok(()), Ok(Step::Settled)) => {
                        settled = true;
                        clock.shorten(GRACE);
                    }
                    // It goes on after all.
                    (Ok(()), Ok(Step::Progress)) if settled => {
                        settled = false;
                        clock.lengthen(patience);
                    }
                    (Ok(()), Ok(Step::Progress | Step::Ping)) if moved && !settled => clock.progress(),
                    (Ok(()), Ok(Step::Progress | Step::Ping)) if events > before => clock.ping(),
                    (Ok(()), Ok(Step::Progress | Step::Ping)) if is_comment => clock.beat(),
                    (Ok(()), Ok(Step::Progress | Step::Ping)) => {}
                }
            }
        }
        on_progress(Progress { text: fold.text(), bytes: bytes as u64 });
    }
    match shape {
        Shape::Document(document) => read_document(&document, fold).map(|()| End::Reached),
        // Not one event, and nobody said that there would be any.
        Shape::Stream(_) if events == 0 && !is_event_stream(response) => Err(Broken::Foreign(head)),
        Shape::Unknown if !is_event_stream(response) => Err(Broken::Foreign(head)),
        Shape::Stream(_) | Shape::Unknown => Err(Broken::Cut),
    }
}

/// Reads on to the end of a body whose answer is there, within the clock's bounds.
pub(super) async fn to_end(response: &mut Response, clock: &mut Clock) -> End {
    // What comes now is nobody's, so not much of it is waited for.
    for _ in 0..16 {
        match clock.run(response.chunk()).await {
            Ok(Ok(Some(_))) => {}
            Ok(Ok(None)) => return End::Reached,
            Ok(Err(_)) | Err(_) => break,
        }
    }
    End::Open
}

fn read_document(document: &[u8], fold: &mut dyn Fold) -> Result<(), Broken> {
    match serde_json::from_slice::<Value>(document) {
        Ok(value) if value.is_array() => match Complaint::read(&value) {
            Some(complaint) => Err(Broken::Fault(Fault::Complaint(complaint))),
            None => fold.document(value).map_err(Broken::Fault),
        },
        Ok(value) => fold.document(value).map_err(Broken::Fault),
        Err(error) if error.is_eof() => Err(Broken::Cut),
        Err(_) => Err(Broken::Foreign(document.iter().copied().take(HEAD).collect())),
    }
}

fn is_event_stream(response: &Response) -> bool {
    let kind = response.headers().get(reqwest::header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Reads the body of an error, as far as it comes and no further than its bound.
pub(super) async fn read_error(response: &mut Response, clock: &mut Clock) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < MAX_ERROR_BODY {
        let Ok(Ok(Some(chunk))) = clock.run(response.chunk()).await else { break };
        body.extend(chunk.iter().take(MAX_ERROR_BODY - body.len()));
    }
    body
}
