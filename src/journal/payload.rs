//! Keeps the lines of the journal short: long parts of an event go elsewhere, by the hash
//! of their content.
//!
//! An event stays plain data. On its way to the file it is a JSON value in which
//!
//! - a long text became `{"$blob": "<blake3>", "bytes": n}`, its bytes going to a blob;
//! - a long or very deep list or object became `{"$json": <its compact form, as a text>}`,
//!   where that text may itself be a blob;
//! - a genuine key `$blob` or `$json` got one more `$` in front, as did `$$blob` and so on.
//!
//! Invariant: `unpack(pack(value)) == value`, for every value.

use serde_json::{Map, Value};

/// The most bytes of a text, list or object that stay in the line.
pub(super) const INLINE: usize = 8 * 1024;

/// How deep a value may be before a part of it becomes a text. Readers of JSON stop at 128.
const DEEP: usize = 64;

/// Down to which depth objects are opened to move their members one by one: the record,
/// its outcome, the outcome's output. Below that, and for lists, the whole is moved.
const OPENED: usize = 3;

const BLOB: &str = "$blob";
const JSON: &str = "$json";

/// A text that goes to a file of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blob {
    /// Of the bytes.
    pub(super) hash: blake3::Hash,
    /// What goes into the file.
    pub(super) bytes: String,
}

/// True for a line that [`pack`] would not change and that nothing has to be unpacked from.
pub(super) fn is_plain(line: &str) -> bool {
    // Brackets inside of texts are counted as well: that errs on the safe side.
    !line.contains("$blob\"")
        && !line.contains("$json\"")
        && line.bytes().filter(|b| matches!(b, b'{' | b'[')).count() < DEEP
}

/// Moves what is longer than `inline` bytes from `value` to `blobs`.
pub(super) fn pack(value: Value, inline: usize, blobs: &mut Vec<Blob>) -> Value {
    pack_at(value, 0, inline, blobs)
}

fn pack_at(value: Value, depth: usize, inline: usize, blobs: &mut Vec<Blob>) -> Value {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
        Value::String(text) => pack_text(text, inline, blobs),
        Value::Array(_) | Value::Object(_) if depth >= DEEP => pack_whole(value, inline, blobs),
        Value::Array(ref items) => {
            if is_longer(items, inline) {
                return pack_whole(value, inline, blobs);
            }
            pack_members(value, depth, usize::MAX, blobs)
        }
        Value::Object(ref members) => match (depth < OPENED, is_longer(members, inline)) {
            (true, true) => pack_members(value, depth, inline, blobs),
            (false, true) => pack_whole(value, inline, blobs),
            (_, false) => pack_members(value, depth, usize::MAX, blobs),
        },
    }
}

fn pack_members(value: Value, depth: usize, inline: usize, blobs: &mut Vec<Blob>) -> Value {
    match value {
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| pack_at(item, depth + 1, inline, blobs)).collect())
        }
        Value::Object(members) => members
            .into_iter()
            .map(|(key, member)| {
                let key = if is_reserved(&key) { format!("${key}") } else { key };
                (key, pack_at(member, depth + 1, inline, blobs))
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// Turns a list or object into its compact form, as a text.
fn pack_whole(value: Value, inline: usize, blobs: &mut Vec<Blob>) -> Value {
    let text = pack_members(value, 0, usize::MAX, &mut Vec::new()).to_string();
    Value::Object(Map::from_iter([(JSON.to_owned(), pack_text(text, inline, blobs))]))
}

fn pack_text(text: String, inline: usize, blobs: &mut Vec<Blob>) -> Value {
    if text.len() <= inline {
        return Value::String(text);
    }
    let blob = Blob { hash: blake3::hash(text.as_bytes()), bytes: text };
    let reference = Map::from_iter([
        (BLOB.to_owned(), Value::from(blob.hash.to_hex().as_str())),
        ("bytes".to_owned(), Value::from(blob.bytes.len())),
    ]);
    blobs.push(blob);
    Value::Object(reference)
}

/// `$blob`, `$$blob`, … and `$json`, `$$json`, …
fn is_reserved(key: &str) -> bool {
    key.starts_with('$') && matches!(key.trim_start_matches('$'), "blob" | "json")
}

fn is_longer(value: &impl serde::Serialize, limit: usize) -> bool {
    limit != usize::MAX && serde_json::to_writer(Capped { to: std::io::sink(), left: limit }, value).is_err()
}

/// Passes on at most `left` bytes; then it is an error.
pub(super) struct Capped<W> {
    /// Where they go.
    pub(super) to: W,
    /// How many may still come.
    pub(super) left: usize,
}

impl<W: std::io::Write> std::io::Write for Capped<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::FileTooLarge)?;
        self.to.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

/// Why a packed value cannot be put together again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadFault {
    /// There is no such blob.
    #[error("its blob {hash} is missing")]
    Missing {
        /// The name of the file under `blobs/`.
        hash: String,
    },
    /// The blob does not have the content that its name stands for.
    #[error("its blob {hash} is damaged")]
    Damaged {
        /// The name of the file under `blobs/`.
        hash: String,
    },
    /// The reference itself makes no sense.
    #[error("its payload is malformed: {0}")]
    Malformed(String),
}

/// Puts back what [`pack`] moved; `blob` finds the content of a hash of 64 hex digits.
pub(super) fn unpack(
    value: Value,
    blob: &dyn Fn(&str) -> Result<String, PayloadFault>,
) -> Result<Value, PayloadFault> {
    Ok(match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| unpack(item, blob)).collect::<Result<_, _>>()?)
        }
        Value::Object(mut members) => {
            if let Some(hash) = members.get(BLOB) {
                let hash = hash.as_str().ok_or_else(|| malformed("a blob without a name"))?;
                let text = blob(hash)?;
                if members.get("bytes").and_then(Value::as_u64) != Some(text.len() as u64) {
                    return Err(PayloadFault::Damaged { hash: hash.to_owned() });
                }
                return Ok(Value::String(text));
            }
            if let Some(whole) = members.remove(JSON) {
                let Value::String(text) = unpack(whole, blob)? else {
                    return Err(malformed("a value that is no text"));
                };
                return unpack(serde_json::from_str(&text).map_err(malformed)?, blob);
            }
            let unescaped = members.into_iter().map(|(key, member)| {
                let key =
                    key.strip_prefix('$').filter(|_| is_reserved(&key)).map(str::to_owned).unwrap_or(key);
                Ok((key, unpack(member, blob)?))
            });
            Value::Object(unescaped.collect::<Result<_, PayloadFault>>()?)
        }
    })
}

fn malformed(why: impl ToString) -> PayloadFault {
    PayloadFault::Malformed(why.to_string())
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn round_trip(value: Value, inline: usize) -> (Value, Vec<Blob>) {
        let mut blobs = Vec::new();
        let packed = pack(value, inline, &mut blobs);
        let text = packed.to_string();
        let by_hash: HashMap<_, _> =
            blobs.iter().map(|b| (b.hash.to_hex().to_string(), b.bytes.clone())).collect();
        let back = unpack(serde_json::from_str(&text).unwrap(), &|hash| {
            by_hash.get(hash).cloned().ok_or(PayloadFault::Missing { hash: hash.to_owned() })
        });
        (back.unwrap(), blobs)
    }

    #[test]
    fn a_long_text_leaves_the_line_and_comes_back() {
        let long = "x".repeat(INLINE + 1);
        let event = json!({"outcome": {"output": {"text": long, "json": null}, "status": "ok"}});
        let (back, blobs) = round_trip(event.clone(), INLINE);
        assert_eq!(back, event);
        assert_eq!(blobs.iter().map(|b| b.bytes.as_str()).collect::<Vec<_>>(), [long.as_str()]);
    }

    #[test]
    fn a_long_list_of_short_items_leaves_the_line_as_one_blob_equal_to_its_text() {
        let list = json!((0..5_000).collect::<Vec<_>>());
        let event = json!({"outcome": {"output": {"text": list.to_string(), "json": list}}});
        let (back, blobs) = round_trip(event.clone(), INLINE);
        assert_eq!(back, event);
        assert_eq!(blobs.len(), 2);
        assert_eq!(blobs[0], blobs[1]);
    }

    #[test]
    fn a_value_deeper_than_any_reader_takes_comes_back() {
        let mut deep = json!("bottom");
        for _ in 0..100 {
            deep = json!({"$json": [deep], "b": "}{"});
        }
        let (back, _) = round_trip(json!({"outcome": {"output": {"json": deep}}}), INLINE);
        assert_eq!(back, json!({"outcome": {"output": {"json": deep}}}));
    }

    #[test]
    fn a_genuine_reference_is_not_followed() {
        let value = json!({"a": {"$blob": "0000", "bytes": 3}, "$json": "[1]", "$$$blob": {"$$json": 1}});
        assert_eq!(round_trip(value.clone(), INLINE), (value, vec![]));
    }

    pub(in crate::journal) fn hostile_text() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("\u{2028}\u{2029}\0\u{7f}\r\n".to_owned()),
            Just(r#"","crc":"00000000"}"#.to_owned()),
            Just("{\"$blob\":\"aa\",\"bytes\":2}".to_owned()),
            Just("$blob".to_owned()),
            Just("$$json".to_owned()),
            ".*",
            ".{40,60}",
        ]
    }

    pub(in crate::journal) fn hostile_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            hostile_text().prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 48, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::vec((hostile_text(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_comes_back_as_it_was(value in hostile_value(), inline in 0_usize..200) {
            prop_assert_eq!(round_trip(value.clone(), inline).0, value);
        }
    }
}
