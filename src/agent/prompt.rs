//! A prompt with the answers that were not good enough, as a conversation or as one text.
//!
//! Invariant: the prompt itself stands unchanged in both, after what was said before.

use super::{Ask, Exchange};
use crate::model::{Message, schema};

/// The whole of it for the model of this name. `in_words`: the schema is asked for in the prompt, too.
pub(super) fn conversation(ask: &Ask, model: &str, in_words: bool) -> Vec<Message> {
    // Turns go back only to whom they came from: their form is the provider's, and some are signed.
    let transcript = ask.transcript.as_ref().filter(|transcript| transcript.model == model);
    let mut messages = transcript.map_or_else(Vec::new, |transcript| transcript.messages.clone());
    for exchange in ask.before.iter().filter(|_| transcript.is_none()) {
        messages.push(Message::User(exchange.said.clone()));
        messages.push(Message::Assistant(exchange.answered.clone()));
    }
    messages.push(Message::User(first(ask, in_words)));
    for earlier in &ask.earlier {
        // No provider takes an empty message.
        let blank = earlier.answer.trim().is_empty();
        let answer = if blank { "(no answer)" } else { earlier.answer.as_str() };
        messages.push(Message::Assistant(answer.to_owned()));
        messages.push(Message::User(again(&earlier.complaint)));
    }
    messages
}

/// The whole of it for a program; what was said before only to one that does not know it by itself. `native`: the program is given the
/// system prompt, and the schema, as such.
pub(super) fn text(ask: &Ask, native: Native) -> String {
    let mut text = first(ask, !native.schema);
    let knows = ask.thread.as_ref().is_some_and(|thread| thread.id().is_some());
    if !ask.before.is_empty() && !knows {
        let said = |exchange: &Exchange| {
            let Exchange { said, answered } = exchange;
            format!("{}\n<answer>\n{}\n</answer>\n\n", said.trim_end(), answered.trim_end())
        };
        let before: String = ask.before.iter().map(said).collect();
        text = format!("So far in this conversation:\n\n{before}Now:\n\n{text}");
    }
    if let Some(system) = ask.system.as_ref().filter(|_| !native.system) {
        text = format!("{system}\n\n{text}");
    }
    for earlier in &ask.earlier {
        text.push_str("\n\nAn earlier answer to this was:\n<answer>\n");
        text.push_str(earlier.answer.trim_end());
        text.push_str("\n</answer>\n");
        text.push_str(&again(&earlier.complaint));
    }
    text
}

/// What a program is given in other ways than in its prompt.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Native {
    pub(super) system: bool,
    pub(super) schema: bool,
}

fn first(ask: &Ask, in_words: bool) -> String {
    match ask.schema.as_deref().filter(|_| in_words) {
        Some(schema) => format!("{}\n\n{}", ask.prompt, schema::instruction(schema)),
        None => ask.prompt.clone(),
    }
}

fn again(complaint: &str) -> String {
    format!("That answer was not accepted:\n{complaint}\nAnswer the whole of it again, corrected.")
}
