//! One record as one line: JSON, closed by the checksum of all that stands before it.
//!
//! Invariant: a line that [`is_sealed`] is, byte for byte, what [`encode`] wrote.

use crate::event::Record;

use super::payload::{self, Blob, Capped, INLINE, PayloadFault};

/// `,"crc":"` as it stands before the eight digits.
const MARK: &[u8] = br#","crc":""#;
/// How long the end of a line is, from the comma to the brace.
const SEAL: usize = MARK.len() + 8 + 2;

/// Adds a record as a line, with its line feed, to `page`; what is longer than `inline`
/// goes to `blobs` instead.
pub(super) fn encode(
    record: &Record,
    inline: usize,
    page: &mut Vec<u8>,
    blobs: &mut Vec<Blob>,
) -> serde_json::Result<()> {
    let start = page.len();
    if serde_json::to_writer(Capped { to: &mut *page, left: INLINE.min(inline) }, record).is_err()
        || !str::from_utf8(page.get(start..).unwrap_or_default()).is_ok_and(payload::is_plain)
    {
        // Long, deep or with a reserved key: the careful way.
        page.truncate(start);
        let packed = payload::pack(serde_json::to_value(record)?, inline, blobs);
        serde_json::to_writer(&mut *page, &packed)?;
    }
    seal(page, start);
    Ok(())
}

/// Reads a sealed line; `blob` finds the content of a hash of 64 hex digits.
pub(super) fn decode(
    line: &[u8],
    blob: &dyn Fn(&str) -> Result<String, PayloadFault>,
) -> Result<Record, Undecodable> {
    let text = str::from_utf8(line).map_err(|error| Undecodable::Json(error.to_string()))?;
    let json = |error: serde_json::Error| Undecodable::Json(error.to_string());
    if payload::is_plain(text) {
        return serde_json::from_str(text).map_err(json);
    }
    let packed = serde_json::from_str(text).map_err(json)?;
    serde_json::from_value(payload::unpack(packed, blob)?).map_err(json)
}

/// Why a sealed line cannot be read all the same.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undecodable {
    /// It is no record that this version knows.
    #[error("not understood: {0}")]
    Json(String),
    /// A part of it lies elsewhere and is not there.
    #[error(transparent)]
    Payload(#[from] PayloadFault),
}

/// True for a whole and unharmed line, given without its line feed.
pub(super) fn is_sealed(line: &[u8]) -> bool {
    line.len()
        .checked_sub(SEAL)
        .and_then(|end| line.split_at_checked(end))
        .is_some_and(|(body, end)| end == seal_of(body).as_bytes())
}

/// True if a whole line stands at the front of these bytes, with more behind it: so they
/// are not one line that was cut short.
pub(super) fn hides_a_line(bytes: &[u8]) -> bool {
    (0..bytes.len().saturating_sub(SEAL)).any(|at| {
        bytes.get(at..).is_some_and(|rest| rest.starts_with(MARK))
            && bytes.get(..at + SEAL).is_some_and(is_sealed)
    })
}

/// The number of the record in a line.
pub(super) fn number(line: &[u8]) -> Option<u64> {
    split_number(line).map(|(number, _)| number)
}

/// The same line, with its line feed, under another number. `None` if it is no record's line.
pub(super) fn renumber(line: &[u8], seq: u64) -> Option<Vec<u8>> {
    let (_, rest) = split_number(line)?;
    let mut new = format!(r#"{{"seq":{seq}"#).into_bytes();
    new.extend_from_slice(rest.get(..rest.len().checked_sub(SEAL)?)?);
    new.push(b'}');
    seal(&mut new, 0);
    Some(new)
}

fn split_number(line: &[u8]) -> Option<(u64, &[u8])> {
    let rest = line.strip_prefix(br#"{"seq":"#)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = rest.split_at_checked(digits)?;
    Some((str::from_utf8(number).ok()?.parse().ok()?, rest))
}

/// Closes the JSON object that begins at `start` with its checksum and a line feed.
fn seal(page: &mut Vec<u8>, start: usize) {
    page.pop();
    let seal = seal_of(page.get(start..).unwrap_or_default());
    page.extend_from_slice(seal.as_bytes());
    page.push(b'\n');
}

fn seal_of(body: &[u8]) -> String {
    format!(r#","crc":"{:08x}"}}"#, crc32fast::hash(body))
}

/// A stretch of the file up to a line feed, or up to the end of the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    /// Where it begins.
    pub(super) at: u64,
    /// What it holds, without the line feed.
    pub(super) bytes: &'a [u8],
    /// False for the last one when the file does not end with a line feed.
    pub(super) ended: bool,
}

/// Cuts a file at its line feeds.
pub(super) fn pieces(file: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut at = 0;
    file.split_inclusive(|byte| *byte == b'\n').map(move |bytes| {
        let piece = match bytes.strip_suffix(b"\n") {
            Some(bytes) => Piece { at, bytes, ended: true },
            None => Piece { at, bytes, ended: false },
        };
        at += bytes.len() as u64;
        piece
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use jiff::Timestamp;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::event::Event;
    use crate::id::{CallId, ContentKey, InstanceId};
    use crate::journal::payload::tests::{hostile_text, hostile_value};
    use crate::outcome::{Cause, Outcome, Output, Status};

    fn record(event: Event) -> Record {
        let at = Timestamp::from_millisecond(1_790_000_000_123).unwrap();
        Record { seq: 12, at, elapsed: Duration::from_millis(77), event }
    }

    fn line(record: &Record, inline: usize) -> (Vec<u8>, HashMap<String, String>) {
        let (mut page, mut blobs) = (Vec::new(), Vec::new());
        encode(record, inline, &mut page, &mut blobs).unwrap();
        assert_eq!(page.pop(), Some(b'\n'));
        (page, blobs.into_iter().map(|b| (b.hash.to_hex().to_string(), b.bytes)).collect())
    }

    fn round_trip(record: &Record, inline: usize) -> Record {
        let (line, blobs) = line(record, inline);
        assert!(is_sealed(&line) && !line.contains(&b'\n'));
        decode(&line, &|hash| blobs.get(hash).cloned().ok_or(PayloadFault::Missing { hash: hash.to_owned() }))
            .unwrap()
    }

    #[test]
    fn a_line_reads_as_the_format_page_says() {
        let event = Event::Warned { code: "x".into(), message: "a \u{2028} b".into() };
        let (line, _) = line(&record(event), INLINE);
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "{\"seq\":12,\"at\":\"2026-09-21T14:13:20.123Z\",\"elapsed_ms\":77,\"type\":\"warned\",\
             \"code\":\"x\",\"message\":\"a \u{2028} b\",\"crc\":\"c395282b\"}"
        );
    }

    #[test]
    fn a_renumbered_line_is_the_line_of_the_renumbered_record() {
        let mut record = record(Event::Warned { code: "x".into(), message: "y".into() });
        let (old, _) = line(&record, INLINE);
        record.seq = 3;
        let (mut new, _) = line(&record, INLINE);
        new.push(b'\n');
        assert_eq!(renumber(&old, 3), Some(new));
    }

    #[test]
    fn a_line_cut_short_hides_no_line_but_one_with_more_behind_it_does() {
        let event = Event::Reconciled {
            step: CallId::parent_step(),
            result: serde_json::json!({"a": 1, "crc": "00000000"}),
            text: String::new(),
        };
        let (line, _) = line(&record(event), INLINE);
        for cut in 0..=line.len() {
            assert!(!hides_a_line(&line[..cut]), "cut at {cut}");
        }
        assert!(hides_a_line(&[&line[..], b"X"].concat()));
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        let json = proptest::option::of(hostile_value());
        (hostile_text(), json, hostile_text(), any::<u64>(), 0..Status::ALL.len()).prop_map(
            |(text, json, stderr, number, status)| Outcome {
                status: Status::ALL[status],
                cause: Some(Cause::new(&stderr, &*text)),
                output: Output {
                    text: text.into(),
                    json: json.map(std::sync::Arc::new),
                    omitted_bytes: number,
                },
                took: Duration::from_millis(number >> 12),
                stderr: stderr.clone().into(),
                agent: Some(stderr),
                ..Outcome::ok(Output::default())
            },
        )
    }

    fn event() -> impl Strategy<Value = Event> {
        let instance = InstanceId::nth(CallId::parse("review").unwrap(), 3);
        let key = ContentKey::of([b"x".as_slice()]);
        let other = instance.clone();
        prop_oneof![
            outcome().prop_map(move |outcome| Event::CallFinished {
                instance: instance.clone(),
                key: Some(key.clone()),
                outcome
            }),
            hostile_text().prop_map(move |input| Event::CallStarted {
                instance: other.clone(),
                key: ContentKey::of([]),
                agent: input.clone(),
                input
            }),
            (hostile_value(), hostile_text()).prop_map(|(result, text)| Event::Reconciled {
                step: CallId::parent_step(),
                result,
                text
            }),
            proptest::collection::vec(hostile_text(), 0..40)
                .prop_map(|labels| Event::CallExpanded { call: CallId::parse("c").unwrap(), labels }),
        ]
    }

    proptest! {
        #[test]
        fn every_event_comes_back_as_it_was(event in event(), inline in 0_usize..400) {
            let record = record(event);
            prop_assert_eq!(round_trip(&record, inline), record);
        }
    }

    #[test]
    fn a_number_comes_back_to_the_last_bit() {
        let result = Value::from(vec![0.1 + 0.2, 1.797_693_134_862_315_7e308, 5e-324, 8.589_973_e9 / 3.0]);
        let record = record(Event::Reconciled { step: CallId::parent_step(), result, text: String::new() });
        assert_eq!(round_trip(&record, INLINE), record);
    }
}
