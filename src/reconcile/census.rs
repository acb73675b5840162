//! Who was asked, who answered, who is missing and why, whose answer was empty.
//!
//! Invariant: `asked = answered + missing + empty`; nobody is counted twice and
//! nobody is left out.

use std::collections::BTreeMap;

use serde::Serialize;

use super::wording::one_line;
use crate::outcome::{Cause, Status};

/// Who took part in a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Census {
    /// Instances that the step reads.
    pub asked: u32,
    /// Those that succeeded and said something.
    pub answered: u32,
    /// Those that did not succeed, in plan order. They abstain.
    pub missing: Vec<Missing>,
    /// Those that succeeded and said nothing (white space, `null`, `""`, `[]`, `{}`, or an object
    /// or list of only such), in plan order. They agree with nobody.
    pub empty: Vec<Silent>,
    /// How people are told who an instance is, where that is more than its id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, String>,
}

/// An instance that did not succeed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Missing {
    /// The instance: `review[2]`.
    pub call: String,
    /// How people are told who it is.
    #[serde(skip)]
    pub name: String,
    /// What it stands for, if it is one of an expanded call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How it ended.
    pub status: Status,
    /// Why.
    pub cause: Option<Cause>,
}

/// An instance that succeeded and said nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Silent {
    /// The instance: `review[2]`.
    pub call: String,
    /// How people are told who it is.
    #[serde(skip)]
    pub name: String,
    /// What it stands for, if it is one of an expanded call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// How many absent calls a text names before it only counts them.
const NAMED: usize = 12;
/// Characters of a cause.
const CAUSE: usize = 300;

impl Census {
    /// `3 of 5 answered`.
    pub fn headline(&self) -> String {
        format!("{} of {} answered", self.answered, self.asked)
    }

    /// The absent and the empty, by name, for the end of a text; `None` when everybody answered.
    /// A strategy's own text says how many answered.
    pub fn absences(&self) -> Option<String> {
        if self.missing.is_empty() && self.empty.is_empty() {
            return None;
        }
        let mut text = String::new();
        if !self.missing.is_empty() {
            text.push_str("Missing:");
            list(&mut text, self.missing.iter().map(Missing::sentence), self.missing.len());
        }
        if !self.empty.is_empty() {
            let gap = if text.is_empty() { "" } else { "\n" };
            text.push_str(gap);
            text.push_str("Said nothing (an empty answer is not agreement):");
            list(&mut text, self.empty.iter().map(|silent| silent.name.clone()), self.empty.len());
        }
        Some(text)
    }

    /// The sentence for a step that has fewer answers than it needs.
    pub(super) fn too_few(&self, needed: u32) -> String {
        let mut absent: Vec<String> = self.missing.iter().map(Missing::sentence).collect();
        absent.extend(self.empty.iter().map(|silent| format!("{} said nothing", silent.name)));
        let more = absent.len().saturating_sub(NAMED);
        absent.truncate(NAMED);
        if more > 0 {
            absent.push(format!("and {more} more"));
        }
        let who = if absent.is_empty() { "nobody else was asked".to_owned() } else { absent.join("; ") };
        let verb = if needed == 1 { "is" } else { "are" };
        format!("{}, and {needed} {verb} needed: {who}", self.headline())
    }
}

impl Missing {
    /// `review[2] timed out: no answer within 5m`.
    fn sentence(&self) -> String {
        match &self.cause {
            Some(cause) => {
                format!("{} {}: {}", self.name, self.status.words(), one_line(&cause.message, CAUSE))
            }
            None => format!("{} {}", self.name, self.status.words()),
        }
    }
}

fn list(text: &mut String, lines: impl Iterator<Item = String>, of: usize) {
    for line in lines.take(NAMED) {
        text.push_str("\n  ");
        text.push_str(&line);
    }
    if of > NAMED {
        text.push_str(&format!("\n  and {} more", of - NAMED));
    }
}
