//! Response bodies that were recorded, for whoever tests what a provider sent.
//!
//! Invariant: they are read by what reads those that come in.

use std::ops::ControlFlow;

use serde_json::Value;

use super::dialect::{self, Ending, Fault, Fold, Step};
use super::{ToolCall, sse};
use crate::outcome::Usage;
use crate::plan::Api;

/// What a recorded body holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The answer's text.
    pub text: String,
    /// The assistant's turn in the dialect's own form.
    pub assistant: Value,
    /// What it asks for.
    pub calls: Vec<ToolCall>,
    /// The usage, if it gives one.
    pub usage: Option<Usage>,
}

/// Reads a whole recorded body, an event stream in any number of chunks or one document.
///
/// # Errors
/// Why it is no answer, in words: no terminal event, not the protocol, a provider's error, a
/// cut-off, a refusal.
pub fn read_recorded(api: Api, chunks: &[&[u8]]) -> Result<Recorded, String> {
    let mut fold = dialect::of(api).fold(1);
    let first = chunks.iter().flat_map(|chunk| chunk.iter()).find(|byte| !byte.is_ascii_whitespace());
    let over = match first {
        Some(b'{' | b'[') => {
            let document = serde_json::from_slice(&chunks.concat()).map_err(|error| error.to_string())?;
            fold.document(document).map(|()| true)
        }
        Some(_) | None => stream(&mut *fold, chunks),
    };
    if !over.map_err(words)? {
        return Err("no terminal event".to_owned());
    }
    let draft = fold.finish().map_err(words)?;
    match draft.end {
        Ending::Reply(_) => Ok(Recorded {
            text: draft.text,
            assistant: draft.assistant,
            calls: draft.calls,
            usage: draft.usage,
        }),
        Ending::Truncated(by) => Err(format!("cut off by {by}")),
        Ending::Refused(why) => Err(format!("refused: {why}")),
    }
}

/// True where the stream came to its end.
fn stream(fold: &mut dyn Fold, chunks: &[&[u8]]) -> Result<bool, Fault> {
    let mut parser = sse::Parser::default();
    let mut last = Ok(Step::Ping);
    let mut settled = false;
    for chunk in chunks {
        let parsed = parser.push(chunk, |event| {
            last = fold.event(event.kind, &event.data);
            match last {
                Ok(Step::Settled) => settled = true,
                Ok(Step::Progress) => settled = false,
                Ok(Step::Ping | Step::Done) | Err(_) => {}
            }
            if matches!(last, Ok(Step::Done) | Err(_)) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        parsed.map_err(|error| Fault::Garbled(error.to_string()))?;
        if matches!(last, Ok(Step::Done) | Err(_)) {
            break;
        }
    }
    last.map(|step| step == Step::Done || settled)
}

fn words(fault: Fault) -> String {
    match fault {
        Fault::Garbled(what) => what,
        Fault::Complaint(complaint) => {
            format!("the provider says {}: {}", complaint.status(), complaint.message)
        }
    }
}
