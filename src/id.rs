//! Who is who in a run: names of runs, calls, instances and attempts.
//!
//! Invariant: an id that exists is valid. Ids are parsed once, at the edge, and
//! cheap to clone ever after. Nothing here knows what the named thing does.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest id that a call may have, in bytes.
pub const MAX_CALL_ID: usize = 64;

/// Names one run: `20261120-231505-7f3a`, local start time and the fraction of the second in four hex digits.
///
/// Sorts by start time. Also the name of the run's directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Arc<str>);

impl RunId {
    /// Takes a name as it stands; the journal makes new ones and reads old ones.
    pub fn new(name: &str) -> RunId {
        RunId(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one call of a plan, as written under `calls:`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(Arc<str>);

/// Why a text is no call id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` cannot be an id: use letters, digits, `_`, `-` (first a letter or `_`, at most {MAX_CALL_ID} characters)"
)]
pub struct InvalidId {
    /// The text that was refused.
    pub text: String,
}

impl CallId {
    /// Parses an id: ASCII letters, digits, `_` and `-`, first a letter or `_`, at most 64 bytes.
    ///
    /// # Errors
    /// [`InvalidId`] with the text when it is anything else.
    pub fn parse(text: &str) -> Result<CallId, InvalidId> {
        let first = text.bytes().next();
        let ok = text.len() <= MAX_CALL_ID
            && first.is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if ok { Ok(CallId(text.into())) } else { Err(InvalidId { text: text.to_owned() }) }
    }

    /// The id of the parent's last step, which no call can have: `(reconcile)`.
    pub fn parent_step() -> CallId {
        CallId("(reconcile)".into())
    }

    /// The id of a call of a sub-plan, seen from the plan that runs it: `audit.scan`, `audit[2].scan`.
    ///
    /// No call of a plan can have such an id itself, because of the dot.
    pub fn within(outer: &InstanceId, inner: &CallId) -> CallId {
        CallId(format!("{outer}.{inner}").into())
    }

    /// True for the parent's last step, in the plan itself or in one that it runs.
    pub fn is_parent_step(&self) -> bool {
        *self.0 == *"(reconcile)" || self.0.ends_with(".(reconcile)")
    }

    /// True for `outer` itself and for every call of the plans that it runs.
    pub fn is_within(&self, outer: &CallId) -> bool {
        match self.0.strip_prefix(&*outer.0) {
            Some(rest) => rest.is_empty() || rest.starts_with(['.', '[']),
            None => false,
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for CallId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one instance of a call: `review` for a plain call, `review[2]` for an expanded one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceId {
    /// The call that it is an instance of.
    pub call: CallId,
    /// Its place in the expansion, from 0; `None` for a call that is not expanded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
}

impl InstanceId {
    /// The only instance of a call that is not expanded.
    pub fn only(call: CallId) -> InstanceId {
        InstanceId { call, index: None }
    }

    /// One instance of an expanded call.
    pub fn nth(call: CallId, index: u32) -> InstanceId {
        InstanceId { call, index: Some(index) }
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            None => write!(f, "{}", self.call),
            Some(index) => write!(f, "{}[{index}]", self.call),
        }
    }
}

/// Which try of an instance this is, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptNo(pub u32);

impl fmt::Display for AttemptNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a piece of work *is*, as a hash: equal keys mean the same work on the same inputs.
///
/// Made from content only (what the call is, its rendered inputs, agent, tools and
/// policy), never from position or time. 64 hex digits, BLAKE3.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentKey(Arc<str>);

impl ContentKey {
    /// The key of the given parts, each length-prefixed so that no two lists collide.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> ContentKey {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        ContentKey(hasher.finalize().to_hex().as_str().into())
    }

    /// The 64 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_could_leave_its_folder_is_refused() {
        for bad in ["", "../x", "a/b", "a.b", "1st", "-x", "a b", "é", &"x".repeat(65)] {
            assert!(CallId::parse(bad).is_err(), "{bad:?} was taken");
        }
        for good in ["a", "_a", "call_sites", "call-sites", "A1"] {
            assert_eq!(CallId::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn moving_a_byte_between_parts_changes_the_key() {
        let one = ContentKey::of([b"ab".as_slice(), b"c"]);
        let two = ContentKey::of([b"a".as_slice(), b"bc"]);
        assert_ne!(one, two);
    }
}
