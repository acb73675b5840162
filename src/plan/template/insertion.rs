//! What others said, in a prompt: bounded by `pass`, and verbatim between markers.
//!
//! Invariants: a marker ends with a word that what it encloses does not contain, so
//! nothing can close its own marker; the word is made from the content, so the same
//! inputs give the same prompt. What is left out is said, never silent.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use minijinja::value::{Value, ValueKind};
use serde_json::Value as Json;

use super::Results;
use super::emit::Entry;
use super::render::{plain_text, to_json};
use crate::plan::{Overflow, Pass};
use crate::unit::Tokens;

/// How many bytes count as one token.
pub(super) const BYTES_PER_TOKEN: u64 = 4;
/// The longest item that stands in a sentence as it is.
const MAX_INLINE: usize = 1024;

/// How many digits the word of a marker has.
const WORD: usize = 12;

/// What bounds what is not the output of a call.
fn default_pass() -> Pass {
    Pass { fields: Vec::new(), max_tokens: Tokens(16_000), as_file: false, overflow: Overflow::Truncate }
}

/// A value as it enters a prompt.
///
/// # Errors
/// A sentence, when `pass` does not let it through.
pub(super) fn enter(
    value: &Value,
    entry: &Entry,
    index: Option<u64>,
    results: &Arc<dyn Results>,
) -> Result<String, minijinja::Error> {
    let wrong = super::filters::wrong;
    match entry {
        Entry::Text => plain_text(value),
        Entry::Item(label) => {
            let text = plain_text(value)?;
            let structured = matches!(value.kind(), ValueKind::Map | ValueKind::Seq | ValueKind::Iterable);
            let lines = text.contains(['\n', '\r', '\x0b', '\x0c', '\u{85}', '\u{2028}', '\u{2029}']);
            if !structured && !lines && text.len() <= MAX_INLINE {
                return Ok(text);
            }
            let what = What { label, call: None, index: None, status: None };
            what.bounded(&text, &default_pass(), results).map_err(wrong)
        }
        Entry::Quote { label, calls, whole } => {
            if matches!(value.kind(), ValueKind::Number | ValueKind::Bool | ValueKind::None) {
                return plain_text(value);
            }
            let passes = calls.iter().filter_map(|call| results.pass(call));
            let mut pass = passes.min_by_key(|pass| pass.max_tokens).unwrap_or_else(default_pass);
            let call = if let [call] = &**calls { Some(&**call) } else { None };
            let what = What { label, call, index, status: None };
            if !whole {
                // Only a whole output has a file and fields.
                pass.as_file = false;
                pass.fields.clear();
            }
            what.passed(value, &pass, results)
        }
        Entry::Each(call) => {
            let pass = results.pass(call).unwrap_or_else(default_pass);
            let mut parts = Vec::new();
            for (place, instance) in value.try_iter()?.enumerate() {
                let of = |name: &str| instance.get_attr(name).ok().filter(|value| !value.is_undefined());
                let index =
                    of("index").and_then(|index| u64::try_from(index.as_i64()?).ok()).unwrap_or(place as u64);
                let status = of("status").and_then(|status| status.as_str().map(str::to_owned));
                let status = status.filter(|status| status != "ok");
                let what =
                    What { label: call, call: Some(call), index: Some(index), status: status.as_deref() };
                parts.push(match of("output") {
                    Some(output) if !output.is_none() => what.passed(&output, &pass, results)?,
                    _ => what.marked(""),
                });
            }
            Ok(if parts.is_empty() { format!("(no results of {call})") } else { parts.join("\n") })
        }
    }
}

/// Whose words they are.
struct What<'a> {
    label: &'a str,
    /// The one call that said it.
    call: Option<&'a str>,
    /// Which instance of it.
    index: Option<u64>,
    /// How the instance ended, if not well.
    status: Option<&'a str>,
}

impl What<'_> {
    fn passed(
        &self,
        value: &Value,
        pass: &Pass,
        results: &Arc<dyn Results>,
    ) -> Result<String, minijinja::Error> {
        let wrong = super::filters::wrong;
        if pass.as_file {
            let path = self.file(results).ok_or_else(|| {
                wrong(format!(
                    "`pass.as: file` of `{}` cannot be kept: its output is in no file",
                    self.name()
                ))
            })?;
            return Ok(path.display().to_string());
        }
        let mut text = plain_text(value)?;
        if !pass.fields.is_empty() {
            text = self.fields(value, &pass.fields)?;
        }
        self.bounded(&text, pass, results).map_err(wrong)
    }

    /// Only these fields of an output that is a JSON object.
    fn fields(&self, value: &Value, fields: &[String]) -> Result<String, minijinja::Error> {
        let json = match value.as_str() {
            Some(text) => serde_json::from_str(text).unwrap_or(Json::Null),
            None => to_json(value)?,
        };
        let Json::Object(mut object) = json else {
            let name = self.name();
            let message = format!("`pass.fields` of `{name}` needs a JSON object, which its output is not");
            return Err(super::filters::wrong(message));
        };
        object.retain(|key, _| fields.contains(key));
        Ok(Json::Object(object).to_string())
    }

    fn bounded(&self, text: &str, pass: &Pass, results: &Arc<dyn Results>) -> Result<String, String> {
        let limit = usize::try_from(pass.max_tokens.0.saturating_mul(BYTES_PER_TOKEN)).unwrap_or(usize::MAX);
        if text.len() <= limit {
            return Ok(self.marked(text));
        }
        let file = self.file(results);
        match (pass.overflow, file) {
            (Overflow::Fail, _) => Err(format!(
                "the output of `{}` is {} bytes, more than its `pass.max_tokens` of {} lets through ({} bytes)",
                self.name(),
                thousands(text.len()),
                pass.max_tokens,
                thousands(limit),
            )),
            (Overflow::File, Some(path)) => Ok(format!(
                "[the output of {} is {} bytes; read it in {}]",
                self.name(),
                thousands(text.len()),
                path.display()
            )),
            (Overflow::File | Overflow::Truncate, file) => {
                Ok(self.marked(&cut_middle(text, limit, file).unwrap_or_else(|| text.to_owned())))
            }
        }
    }

    /// Between markers, as it is.
    fn marked(&self, text: &str) -> String {
        let name = self.name();
        let word = word_not_in(&name, text, WORD);
        let status = self.status.map(|status| format!(" status=\"{status}\"")).unwrap_or_default();
        format!("<result of=\"{name}\"{status} id=\"{word}\">\n{text}\n</result {word}>")
    }

    fn name(&self) -> Cow<'_, str> {
        match self.index {
            Some(index) => format!("{}[{index}]", self.label).into(),
            None => self.label.into(),
        }
    }

    fn file(&self, results: &Arc<dyn Results>) -> Option<PathBuf> {
        let call = self.call?;
        match self.index {
            Some(index) => results.file(&format!("{call}[{index}]")).or_else(|| results.file(call)),
            None => results.file(call),
        }
    }
}

/// The same word for the same text, and none that the text contains.
fn word_not_in(name: &str, text: &str, length: usize) -> String {
    let mut round: u64 = 0;
    loop {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&round.to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(&[0]);
        hasher.update(text.as_bytes());
        let hash = hasher.finalize().to_hex();
        let word = hash.as_str().get(..length).unwrap_or_default();
        if !text.contains(word) {
            return word.to_owned();
        }
        round += 1;
    }
}

/// Head and tail of a text, with a line between them that says what is missing.
///
/// `None` when the text is not longer than `limit` bytes. The line does not count.
pub(super) fn cut_middle(text: &str, limit: usize, file: Option<PathBuf>) -> Option<String> {
    if text.len() <= limit {
        return None;
    }
    let mut head = limit.div_ceil(2);
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    let mut tail = text.len() - limit / 2;
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    let (kept, rest) = (text.get(..head)?, text.get(tail..)?);
    let mut cut = String::with_capacity(limit + 128);
    cut.push_str(kept);
    if !kept.is_empty() && !kept.ends_with('\n') {
        cut.push('\n');
    }
    let _ = write!(cut, "[… {} of {} bytes left out", thousands(tail - head), thousands(text.len()));
    if let Some(file) = file {
        let _ = write!(cut, "; the whole output is in {}", file.display());
    }
    cut.push_str("]\n");
    cut.push_str(rest);
    Some(cut)
}

/// `12345` as `12,345`.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_the_text_contains_is_not_taken() {
        for left in "0123456789abcdef".chars() {
            let text = "0123456789abcdef".replace(left, "");
            assert_eq!(word_not_in("graph", &text, 1), left.to_string());
        }
    }

    #[test]
    fn numbers_are_written_in_groups() {
        assert_eq!(
            [0, 999, 1000, 12345, 1234567].map(thousands),
            ["0", "999", "1,000", "12,345", "1,234,567"]
        );
    }
}
