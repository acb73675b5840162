//! Where the parts of a plan stand that carry no place themselves.
//!
//! Invariant: only places are read here; nothing is checked.

use super::include::{Merged, Named};
use crate::plan::Places;
use crate::plan::diagnostic::Span;
use crate::plan::file::PlanFile;

/// The places of a plan whose includes are merged and whose other keys are not taken yet.
pub(super) fn of(file: &PlanFile, merged: &Merged) -> Places {
    let limits = file.limits.as_ref().map(|limits| &limits.value);
    let keys = [
        ("require", file.require.as_ref().map(|field| field.key)),
        ("limits.calls", limits.and_then(|limits| limits.calls.as_ref()).map(|field| field.key)),
        ("limits.concurrency", limits.and_then(|limits| limits.concurrency.as_ref()).map(|field| field.key)),
    ];
    Places {
        vars: names(&merged.vars).collect(),
        providers: names(&merged.providers).collect(),
        includes: merged.includes.clone(),
        keys: keys.into_iter().filter_map(|(key, at)| Some((key.to_owned(), at?))).collect(),
    }
}

fn names<T>(named: &Named<T>) -> impl Iterator<Item = (String, Span)> {
    named.iter().map(|(name, (written, _))| (name.clone(), written.at))
}
