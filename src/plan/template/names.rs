//! What a template may mention at the place where it stands.
//!
//! Invariant: looking a name up costs the same in a plan of three calls and of a
//! hundred thousand; a [`Names`] borrows everything and is made anew for each place.

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

/// What exists in the whole plan: its vars and its calls. Built once, before the first template is read.
#[derive(Debug, Clone, Default)]
pub struct Known {
    vars: IndexSet<Arc<str>>,
    calls: IndexMap<Arc<str>, CallShape>,
    own: IndexSet<Arc<str>>,
}

/// Whether a call is one or many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallShape {
    /// It runs once: `calls.<id>.output`.
    Single,
    /// It is expanded (`for_each`, `matrix`, `samples`): `calls.<id>.outputs`.
    Expanded,
}

impl Known {
    /// Nothing exists yet.
    pub fn new() -> Known {
        Known::default()
    }

    /// Adds a name of `vars`.
    pub fn add_var(&mut self, name: &str) {
        self.vars.insert(name.into());
    }

    /// Adds a call; the last shape of an id counts.
    pub fn add_call(&mut self, id: &str, shape: CallShape) {
        self.calls.insert(id.into(), shape);
    }

    /// Says that a call has a workspace of its own: `calls.<id>.workspace` and `.diff`.
    pub fn add_workspace(&mut self, id: &str) {
        self.own.insert(id.into());
    }

    /// True for a call with a workspace of its own.
    pub fn has_workspace(&self, id: &str) -> bool {
        self.own.contains(id)
    }

    /// True for a name of `vars`.
    pub fn has_var(&self, name: &str) -> bool {
        self.vars.contains(name)
    }

    /// The shape of a call, `None` where there is no such call.
    pub fn call(&self, id: &str) -> Option<CallShape> {
        self.calls.get(id).copied()
    }

    /// The names of `vars`, in the order they were added.
    pub fn vars(&self) -> impl Iterator<Item = &str> {
        self.vars.iter().map(|name| &**name)
    }

    /// The ids of the calls, in the order they were added.
    pub fn calls(&self) -> impl Iterator<Item = &str> {
        self.calls.keys().map(|id| &**id)
    }
}

/// A name that is in scope in some places only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Also {
    /// `goal`: the plan's goal.
    Goal,
    /// `run`: `run.id` and `run.dir`.
    Run,
    /// `notifications`: what ended in the background.
    Notifications,
    /// `index`: the place of an instance in its expansion, from 0.
    Index,
    /// `previous`: the round before, in a call with `repeat`.
    Previous,
    /// `round`: the number of the round, from 1.
    Round,
    /// `output`: the text of the round just done.
    Output,
    /// `json`: the same, parsed.
    Json,
    /// `status`: how the round just done ended.
    Status,
    /// `reconcile`: the result of the parent's last step.
    Reconcile,
}

impl Also {
    /// What every template of a call sees.
    pub const CALL: &'static [Also] = &[Also::Goal, Also::Run, Also::Notifications];

    /// The name as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Also::Goal => "goal",
            Also::Run => "run",
            Also::Notifications => "notifications",
            Also::Index => "index",
            Also::Previous => "previous",
            Also::Round => "round",
            Also::Output => "output",
            Also::Json => "json",
            Also::Status => "status",
            Also::Reconcile => "reconcile",
        }
    }
}

/// What is in scope at one place of the plan. `vars` always is.
#[derive(Debug, Clone)]
pub struct Names<'a> {
    /// The plan's vars and calls.
    pub known: &'a Known,
    /// True where `calls` may be mentioned.
    pub calls: bool,
    /// Names that `env.<name>` may have beyond those of `vars`: the keys of the call's `env`.
    pub env: Vec<&'a str>,
    /// What the item of a `for_each` is called: `as`, or `item`.
    pub item: Option<&'a str>,
    /// The axes of the call's matrix, keys of `include` among them; empty where there is none.
    pub axes: Vec<&'a str>,
    /// The other names.
    pub also: Vec<Also>,
}

impl<'a> Names<'a> {
    /// Only `vars` and `env`: for `goal`, agents, and everything that is read before a call runs.
    pub fn vars(known: &'a Known) -> Names<'a> {
        Names { known, calls: false, env: Vec::new(), item: None, axes: Vec::new(), also: Vec::new() }
    }

    /// What a call sees that is neither expanded nor repeated: `vars`, `env`, `calls` and [`Also::CALL`].
    pub fn call(known: &'a Known) -> Names<'a> {
        Names { calls: true, also: Also::CALL.to_vec(), ..Names::vars(known) }
    }
}
