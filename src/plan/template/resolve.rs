//! Resolves attributes: what `base.name` is, and whether it exists.
//!
//! Invariant: whatever does not exist is reported once, with what was probably meant;
//! what was already reported is not reported again further along the same path.

use std::ops::Range;
use std::sync::Arc;

use super::check::Check;
use super::names::CallShape;
use super::scope::path;
use super::shape::{Origin, Root, Shape, Source};
use crate::plan::code;
use crate::plan::suggest::{choices, list, nearest};

/// What `calls.<id>` has.
const OF_A_CALL: [&str; 7] = ["output", "json", "status", "error", "usage", "workspace", "diff"];
/// What `calls.<id>` of an expanded call has.
const OF_AN_EXPANDED_CALL: [&str; 4] = ["outputs", "status", "error", "usage"];
/// What each of `calls.<id>.outputs` has.
const OF_AN_INSTANCE: [&str; 10] =
    ["output", "json", "status", "error", "usage", "item", "matrix", "index", "workspace", "diff"];
const OF_A_LOOP: [&str; 13] = [
    "index",
    "index0",
    "revindex",
    "revindex0",
    "first",
    "last",
    "length",
    "depth",
    "depth0",
    "previtem",
    "nextitem",
    "cycle",
    "changed",
];
const OF_A_RUN: [&str; 2] = ["id", "dir"];
const OF_A_RECONCILIATION: [&str; 5] = ["output", "json", "conflicts", "status", "error"];
/// So many faults into a plan, looking through so many names costs more than it helps.
const ENOUGH: usize = 10;
const MANY: usize = 2000;
/// At most so many names are listed where none is near.
const FEW: usize = 12;

impl Check<'_> {
    /// `base.name`; `at` is all of it, `at_name` only the name.
    pub(super) fn attribute(
        &mut self,
        base: Shape,
        name: &str,
        at: Range<usize>,
        at_name: Range<usize>,
    ) -> Shape {
        match base {
            Shape::Root(Root::Calls) => self.call_named(name, at_name),
            Shape::Root(Root::Vars) => {
                if self.names.known.has_var(name) {
                    self.var(name);
                    return Shape::Own;
                }
                let help = self.meant("vars", name, self.names.known.vars());
                let help = help.unwrap_or_else(|| format!("add `{name}` under `vars`"));
                self.unknown(code::TEMPLATE_VAR, at_name, format!("there is no var `{name}`"), help)
            }
            Shape::Root(Root::Env) => {
                if self.names.known.has_var(name) || self.names.env.contains(&name) {
                    return Shape::Own;
                }
                let help = self.meant("env", name, self.names.env.iter().copied());
                let help =
                    help.unwrap_or_else(|| format!("list `{name}` under the call's `env`, or under `vars`"));
                self.unknown(code::TEMPLATE_NAME, at_name, format!("`{name}` is not in `env` here"), help)
            }
            Shape::Root(Root::Matrix) => {
                if self.names.axes.contains(&name) {
                    return Shape::said(Source::Item("matrix".into()), false);
                }
                let axes = self.names.axes.iter().copied();
                let help = self.meant("matrix", name, axes.clone());
                let help = help.unwrap_or_else(|| format!("write {}", choices(axes)));
                self.unknown(
                    code::TEMPLATE_ATTRIBUTE,
                    at_name,
                    format!("the matrix has no axis `{name}`"),
                    help,
                )
            }
            Shape::Root(Root::Run) => {
                self.one_of(&OF_A_RUN, name, at_name, "`run`").map_or(Shape::Faulty, |_| Shape::Own)
            }
            Shape::Root(Root::Reconcile) => {
                match self.one_of(&OF_A_RECONCILIATION, name, at_name, "`reconcile`") {
                    None => Shape::Faulty,
                    Some("status") => Shape::Own,
                    Some(_) => Shape::said(Source::Name("reconcile"), false),
                }
            }
            Shape::Loop(item) => match self.one_of(&OF_A_LOOP, name, at_name, "`loop`") {
                None => Shape::Faulty,
                Some("previtem" | "nextitem") => *item,
                Some(_) => Shape::Own,
            },
            Shape::Call(id, shape) => self.of_call(&id, shape, name, at, at_name),
            Shape::Instance(id, instance) => self.of_instance(id, instance, name, at_name),
            Shape::Outputs(id) => {
                let help = format!(
                    "loop over it, or take one: `{}.outputs[0].{name}`, `… | map(attribute=\"{name}\")`",
                    path("calls", &id)
                );
                self.unknown(code::TEMPLATE_ATTRIBUTE, at_name, "`outputs` is a list".to_owned(), help)
            }
            Shape::Notification if matches!(name, "id" | "status" | "description") => Shape::Own,
            Shape::Own | Shape::Faulty => base,
            Shape::Notifications | Shape::Notification | Shape::Said(_) => Shape::made_of([&base]),
        }
    }

    fn call_named(&mut self, id: &str, at: Range<usize>) -> Shape {
        if let Some(shape) = self.names.known.call(id) {
            return Shape::Call(id.into(), shape);
        }
        let calls = self.names.known.calls();
        let help = match self.meant("calls", id, self.names.known.calls()) {
            Some(meant) => meant,
            None if calls.size_hint().0 <= FEW => {
                let calls: Vec<String> = calls.map(|call| format!("`{call}`")).collect();
                format!("the calls are {}", list(&calls, "and"))
            }
            None => String::new(),
        };
        self.unknown(code::TEMPLATE_CALL, at, format!("there is no call `{id}`"), help)
    }

    fn of_call(
        &mut self,
        id: &Arc<str>,
        shape: CallShape,
        name: &str,
        at: Range<usize>,
        at_name: Range<usize>,
    ) -> Shape {
        let whole = Shape::Call(id.clone(), shape);
        let (has, wrong) = match shape {
            CallShape::Single => (&OF_A_CALL[..], name == "outputs"),
            CallShape::Expanded => (
                &OF_AN_EXPANDED_CALL[..],
                matches!(name, "output" | "json" | "item" | "index" | "workspace" | "diff"),
            ),
        };
        if wrong {
            self.mention(&whole, None, at);
            let (message, help) = match shape {
                CallShape::Single => (
                    format!("`{id}` is one call, not a list"),
                    format!("write `{}.output`", path("calls", id)),
                ),
                CallShape::Expanded => (
                    format!("`{id}` is expanded: it has many results"),
                    format!("loop over `{}.outputs`, each has `.{name}`", path("calls", id)),
                ),
            };
            return self.unknown(code::TEMPLATE_ATTRIBUTE, at_name, message, help);
        }
        if let Some(faulty) = self.shared(id, name, &at_name) {
            self.mention(&whole, None, at);
            return faulty;
        }
        let known = self.one_of(has, name, at_name, "a call");
        self.mention(&whole, known, at);
        match known {
            None => Shape::Faulty,
            Some("outputs") => Shape::Outputs(id.clone()),
            Some("status" | "usage" | "workspace") => Shape::Own,
            Some(part) => Shape::said(Source::Call(id.clone()), !matches!(part, "error" | "diff")),
        }
    }

    fn of_instance(
        &mut self,
        id: Arc<str>,
        instance: Range<usize>,
        name: &str,
        at_name: Range<usize>,
    ) -> Shape {
        if let Some(faulty) = self.shared(&id, name, &at_name) {
            return faulty;
        }
        match self.one_of(&OF_AN_INSTANCE, name, at_name, "an instance of a call") {
            None => Shape::Faulty,
            Some("status" | "usage" | "index" | "workspace") => Shape::Own,
            Some(part @ ("item" | "matrix")) => Shape::said(Source::Item(part.into()), false),
            Some(part) => Shape::Said(Origin {
                sources: vec![Source::Call(id)],
                whole: !matches!(part, "error" | "diff"),
                instance: (!instance.is_empty()).then_some(instance),
            }),
        }
    }

    /// Reports a call whose change is asked for and that has no workspace in which it could be told apart.
    fn shared(&mut self, id: &str, name: &str, at: &Range<usize>) -> Option<Shape> {
        if !matches!(name, "workspace" | "diff") || self.names.known.has_workspace(id) {
            return None;
        }
        let message = format!("`{id}` has no workspace of its own, so there is no `.{name}`");
        let help = format!("give `{id}` the key `isolation: worktree`, or `isolation: clone`");
        Some(self.unknown(code::TEMPLATE_ATTRIBUTE, at.clone(), message, help))
    }

    /// The one of `has` that `name` is; reported where it is none.
    fn one_of(
        &mut self,
        has: &[&'static str],
        name: &str,
        at: Range<usize>,
        of: &str,
    ) -> Option<&'static str> {
        if let Some(known) = has.iter().find(|known| **known == name) {
            return Some(known);
        }
        let near: Vec<String> =
            nearest(name, has.iter().copied()).iter().map(|near| format!("`.{near}`")).collect();
        let help = match near.as_slice() {
            [] => format!("it has `.{}`", has.join("`, `.")),
            near => format!("did you mean {}?", list(near, "or")),
        };
        self.fault(code::TEMPLATE_ATTRIBUTE, at, format!("{of} has no `.{name}`"), help);
        None
    }

    fn unknown(&mut self, code: &'static str, at: Range<usize>, message: String, help: String) -> Shape {
        self.fault(code, at, message, help);
        Shape::Faulty
    }

    /// What of `root` was probably meant, as long as there are not too many faults to ask.
    fn meant<'n>(&self, root: &str, name: &str, all: impl Iterator<Item = &'n str>) -> Option<String> {
        if self.faults.len() >= ENOUGH && all.size_hint().0 >= MANY {
            return None;
        }
        let near: Vec<String> =
            nearest(name, all).iter().map(|near| format!("`{}`", path(root, near))).collect();
        (!near.is_empty()).then(|| format!("did you mean {}?", list(&near, "or")))
    }
}
