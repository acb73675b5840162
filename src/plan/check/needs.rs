//! What a call needs: what it says, and what its templates mention.
//!
//! Invariant: a call needs another at most once, and what is written under `needs`
//! decides what is accepted.

use std::collections::BTreeMap;

use super::Scope;
use crate::plan::diagnostic::{Diagnostic, Span};
use crate::plan::file::call::{AcceptWord, NeedsFile};
use crate::plan::load::Load;
use crate::plan::read::{At, Field};
use crate::plan::template::Mention;
use crate::plan::{Accept, Need, code};

/// The needs of every call, whether or not the rest of it could be checked.
#[derive(Debug)]
pub(super) struct Edges {
    /// By position.
    pub(super) calls: Vec<CallEdges>,
}

/// The needs of one call.
#[derive(Debug, Clone, Default)]
pub(super) struct CallEdges {
    /// Its id.
    pub(super) id: String,
    /// Where its id stands.
    pub(super) at: Span,
    /// What it needs, and where that is written.
    pub(super) needs: Vec<(usize, Span)>,
}

impl Edges {
    /// For so many calls, none of which needs another yet.
    pub(super) fn new(calls: usize) -> Edges {
        Edges { calls: vec![CallEdges::default(); calls] }
    }

    /// Takes down the needs of a call; only the first call of an id counts.
    pub(super) fn set(&mut self, position: usize, id: &At<String>, needs: &[Need]) {
        let Some(call) = self.calls.get_mut(position).filter(|call| call.id.is_empty()) else { return };
        call.id.clone_from(&id.value);
        call.at = id.at;
        call.needs = needs.iter().map(|need| (need.call, need.at)).collect();
    }
}

/// Needs as they are collected.
#[derive(Debug, Default)]
pub(super) struct Needs {
    found: BTreeMap<usize, Need>,
}

impl Needs {
    /// Adds what is written under `needs`. `own` is the position of the call itself; `from_defaults`
    /// where the key was taken over, so that a call does not need itself.
    pub(super) fn written(
        &mut self,
        load: &mut Load<'_>,
        needs: Option<&Field<NeedsFile>>,
        own: Option<usize>,
        from_defaults: bool,
        scope: &Scope<'_>,
    ) {
        let Some(needs) = needs else { return };
        match &needs.value {
            NeedsFile::List(ids) => {
                for id in ids {
                    self.one(load, id, Accept::Success, own, from_defaults, scope);
                }
            }
            NeedsFile::Map(ids) => {
                for (id, accept) in &ids.0 {
                    let accept = match accept {
                        Some(AcceptWord::Done) => Accept::Done,
                        Some(AcceptWord::Success) | None => Accept::Success,
                    };
                    self.one(load, id, accept, own, from_defaults, scope);
                }
            }
        }
    }

    fn one(
        &mut self,
        load: &mut Load<'_>,
        id: &At<String>,
        accept: Accept,
        own: Option<usize>,
        from_defaults: bool,
        scope: &Scope<'_>,
    ) {
        let Some(call) = scope.position(id, load) else { return };
        if own == Some(call) {
            if !from_defaults {
                let fault = Diagnostic::error(code::CYCLE, id.at, format!("`{}` needs itself", id.value));
                load.fault(fault.help("remove it"));
            }
            return;
        }
        self.found.entry(call).or_insert(Need { call, accept, at: id.at, data: false });
    }

    /// Adds what templates mention. Unknown calls were reported by whoever read the template.
    pub(super) fn mentioned(
        &mut self,
        load: &mut Load<'_>,
        mentions: &[Mention],
        own: Option<usize>,
        scope: &Scope<'_>,
    ) {
        let mut told = false;
        for mention in mentions {
            let Some(call) = scope.positions.get(&*mention.call).copied() else { continue };
            if own == Some(call) {
                if !told {
                    let message = format!("`{}` mentions itself", mention.call);
                    let fault = Diagnostic::error(code::CYCLE, mention.at, message);
                    load.fault(fault.help("a call sees its own last round as `previous`, with `repeat`"));
                }
                told = true;
                continue;
            }
            let accept = match mention.attribute {
                Some("status" | "error") => Accept::Done,
                Some(_) | None => Accept::Success,
            };
            let need = self.found.entry(call).or_insert(Need { call, accept, at: mention.at, data: false });
            // Among mentions the strictest counts; what is written under `needs` came first and stays.
            if need.data && accept == Accept::Success {
                need.accept = Accept::Success;
            }
            need.data = true;
        }
    }

    /// Adds the calls that a parent step in the middle of the plan reads: it counts those that failed.
    pub(super) fn reads(&mut self, calls: &[usize], at: Span) {
        for call in calls {
            let need =
                self.found.entry(*call).or_insert(Need { call: *call, accept: Accept::Done, at, data: true });
            need.data = true;
        }
    }

    /// Adds the call before it in its session, of whose answer it knows. What is written under `needs`
    /// decides what is accepted of that.
    pub(super) fn goes_on_from(&mut self, call: usize, at: Span) {
        let need = self.found.entry(call).or_insert(Need { call, accept: Accept::Success, at, data: true });
        need.data = true;
    }

    /// The positions of those found so far, in plan order.
    pub(super) fn calls(&self) -> Vec<usize> {
        self.found.keys().copied().collect()
    }

    /// All of them, in plan order.
    pub(super) fn finish(self) -> Vec<Need> {
        self.found.into_values().collect()
    }
}
