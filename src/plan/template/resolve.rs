//! Resolves names and attributes: does it exist, is it in scope, and what is it?
//!
//! Invariant: whatever does not exist is reported once, with what was probably meant;
//! what was already reported is not reported again further along the same path.

use std::ops::Range;
use std::sync::Arc;

use minijinja::machinery::ast::{BinOpKind, Expr};

use super::Mention;
use super::check::Check;
use super::fault;
use super::names::{Also, CallShape, closest};
use super::reach::start_of;
use super::shape::{Origin, Root, Shape, Source};

/// What `calls.<id>` has.
const OF_A_CALL: [&str; 5] = ["output", "json", "status", "error", "usage"];
/// What `calls.<id>` of an expanded call has.
const OF_AN_EXPANDED_CALL: [&str; 4] = ["outputs", "status", "error", "usage"];
/// What each of `calls.<id>.outputs` has.
const OF_AN_INSTANCE: [&str; 8] = ["output", "json", "status", "error", "usage", "item", "matrix", "index"];
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
/// So many faults into a plan, looking for what was meant costs more than it helps.
const ENOUGH: usize = 200;

impl Check<'_> {
    /// A name that stands on its own.
    pub(super) fn name(&mut self, name: &str, at: Range<usize>) -> Shape {
        if let Some(local) = self.local(name) {
            let (shape, sure) = (local.shape.clone(), local.sure);
            if !sure {
                let help = "set it before, or on every path";
                self.fault(fault::NAME, at.clone(), format!("`{name}` is set on some paths only"), help);
            }
            return match shape {
                Shape::Instance(call, _) => Shape::Instance(call, at),
                shape => shape,
            };
        }
        let names = self.names;
        if names.item == Some(name) {
            return Shape::said(Source::Item(name.into()), false);
        }
        match name {
            "vars" => return Shape::Root(Root::Vars),
            "env" => return Shape::Root(Root::Env),
            "calls" if names.calls => return Shape::Root(Root::Calls),
            "matrix" if !names.axes.is_empty() => return Shape::Root(Root::Matrix),
            _ => {}
        }
        match names.also.iter().find(|also| also.name() == name) {
            Some(Also::Goal | Also::Index | Also::Round | Also::Status) => Shape::Own,
            Some(Also::Run) => Shape::Root(Root::Run),
            Some(Also::Reconcile) => Shape::Root(Root::Reconcile),
            Some(Also::Notifications) => Shape::Notifications,
            Some(also @ (Also::Previous | Also::Output | Also::Json)) => {
                Shape::said(Source::Name(also.name()), false)
            }
            None => {
                let (message, help) = self.unknown_name(name);
                self.fault(fault::NAME, at, message, help);
                Shape::Faulty
            }
        }
    }

    fn unknown_name(&self, name: &str) -> (String, String) {
        let unknown = format!("`{name}` is not defined");
        let elsewhere = format!("`{name}` is not in scope here");
        let names = self.names;
        let help = match name {
            "loop" => return (elsewhere, "it exists inside of `{% for %}`".to_owned()),
            "calls" => return (elsewhere, "no call has run yet when this is read".to_owned()),
            "item" if names.item.is_some() => {
                format!("this call names its item with `as`: write `{}`", names.item.unwrap_or_default())
            }
            "item" => return (elsewhere, "only calls with `for_each` have it".to_owned()),
            "matrix" => return (elsewhere, "only calls with `matrix` have it".to_owned()),
            "index" => {
                return (elsewhere, "only calls with `for_each`, `matrix` or `samples` have it".to_owned());
            }
            "previous" | "round" => return (elsewhere, "only calls with `repeat` have it".to_owned()),
            "reconcile" => return (elsewhere, "it exists once the parent's last step is done".to_owned()),
            "goal" | "run" | "notifications" => {
                return (elsewhere, "only what is read when a call starts has it".to_owned());
            }
            name if names.known.call(name).is_some() && names.calls => {
                let part = match names.known.call(name) {
                    Some(CallShape::Expanded) => "outputs",
                    Some(CallShape::Single) | None => "output",
                };
                format!("`{name}` is a call: write `{}.{part}`", path("calls", name))
            }
            name if names.known.has_var(name) => format!("write `{}`", path("vars", name)),
            "steps" | "needs" | "jobs" | "tasks" | "results" | "outputs" => {
                "results of other calls are in `calls.<id>.output`".to_owned()
            }
            "inputs" | "params" | "parameters" | "variables" | "var" => {
                "values from outside are in `vars.<name>`".to_owned()
            }
            name => {
                let also = names.also.iter().map(|also| also.name());
                let own = ["vars", "env"].into_iter().chain(names.calls.then_some("calls"));
                let matrix = (!names.axes.is_empty()).then_some("matrix");
                let all = self.locals().chain(also).chain(own).chain(matrix).chain(names.item);
                match closest(name, all) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "in scope are: ".to_owned() + &self.in_scope(),
                }
            }
        };
        (unknown, help)
    }

    fn in_scope(&self) -> String {
        let mut all: Vec<&str> = self.locals().filter(|local| *local != "loop").collect();
        all.extend(self.names.item);
        all.push("vars");
        all.extend(self.names.calls.then_some("calls"));
        all.extend((!self.names.axes.is_empty()).then_some("matrix"));
        all.push("env");
        all.extend(self.names.also.iter().map(|also| also.name()));
        all.dedup();
        format!("`{}`", all.join("`, `"))
    }

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
                let near = self.near(name, self.names.known.vars());
                let help = near.map_or_else(
                    || format!("add `{name}` under `vars`"),
                    |near| format!("did you mean `{}`?", path("vars", near)),
                );
                self.unknown(fault::VAR, at_name, format!("there is no var `{name}`"), help)
            }
            Shape::Root(Root::Env) => {
                if self.names.known.has_var(name) || self.names.env.contains(&name) {
                    return Shape::Own;
                }
                let near = closest(name, self.names.env.iter().copied());
                let help = near.map_or_else(
                    || format!("list `{name}` under the call's `env`, or under `vars`"),
                    |near| format!("did you mean `env.{near}`?"),
                );
                self.unknown(fault::NAME, at_name, format!("`{name}` is not in `env` here"), help)
            }
            Shape::Root(Root::Matrix) => {
                if self.names.axes.contains(&name) {
                    return Shape::said(Source::Item("matrix".into()), false);
                }
                let near = closest(name, self.names.axes.iter().copied());
                let help = match near {
                    Some(near) => format!("did you mean `{}`?", path("matrix", near)),
                    None => format!("its axes are `{}`", self.names.axes.join("`, `")),
                };
                self.unknown(fault::ATTRIBUTE, at_name, format!("the matrix has no axis `{name}`"), help)
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
                self.unknown(fault::ATTRIBUTE, at_name, "`outputs` is a list".to_owned(), help)
            }
            Shape::Notification if matches!(name, "id" | "status" | "description") => Shape::Own,
            Shape::Own | Shape::Faulty => base,
            other => Shape::made_of([&other]),
        }
    }

    fn call_named(&mut self, id: &str, at: Range<usize>) -> Shape {
        if let Some(shape) = self.names.known.call(id) {
            return Shape::Call(id.into(), shape);
        }
        let near = self.near(id, self.names.known.calls());
        let help = near.map_or_else(String::new, |near| format!("did you mean `{}`?", path("calls", near)));
        self.unknown(fault::CALL, at, format!("there is no call `{id}`"), help)
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
        if let Some(faulty) = self.not_built(name, &at_name) {
            self.mention(&whole, None, at);
            return faulty;
        }
        let (has, wrong) = match shape {
            CallShape::Single => (&OF_A_CALL[..], name == "outputs"),
            CallShape::Expanded => {
                (&OF_AN_EXPANDED_CALL[..], matches!(name, "output" | "json" | "item" | "index"))
            }
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
            return self.unknown(fault::ATTRIBUTE, at_name, message, help);
        }
        let known = self.one_of(has, name, at_name, "a call");
        self.mention(&whole, known, at);
        match known {
            None => Shape::Faulty,
            Some("outputs") => Shape::Outputs(id.clone()),
            Some("status" | "usage") => Shape::Own,
            Some(part) => Shape::said(Source::Call(id.clone()), part != "error"),
        }
    }

    fn of_instance(
        &mut self,
        id: Arc<str>,
        instance: Range<usize>,
        name: &str,
        at_name: Range<usize>,
    ) -> Shape {
        if let Some(faulty) = self.not_built(name, &at_name) {
            return faulty;
        }
        match self.one_of(&OF_AN_INSTANCE, name, at_name, "an instance of a call") {
            None => Shape::Faulty,
            Some("status" | "usage" | "index") => Shape::Own,
            Some(part @ ("item" | "matrix")) => Shape::said(Source::Item(part.into()), false),
            Some(part) => Shape::Said(Origin {
                sources: vec![Source::Call(id)],
                whole: part != "error",
                instance: (!instance.is_empty()).then_some(instance),
            }),
        }
    }

    fn not_built(&mut self, name: &str, at: &Range<usize>) -> Option<Shape> {
        let help = match name {
            "workspace" => "the files of a call cannot be reached from another one yet",
            "diff" => "have the call print its changes, as with `git diff`, and use its `.output`",
            _ => return None,
        };
        Some(self.unknown(
            fault::NOT_BUILT,
            at.clone(),
            format!("`.{name}` is not built yet"),
            help.to_owned(),
        ))
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
        let help = match closest(name, has.iter().copied()) {
            Some(near) => format!("did you mean `.{near}`?"),
            None => format!("it has `.{}`", has.join("`, `.")),
        };
        self.fault(fault::ATTRIBUTE, at, format!("{of} has no `.{name}`"), help);
        None
    }

    fn unknown(&mut self, code: &'static str, at: Range<usize>, message: String, help: String) -> Shape {
        self.fault(code, at, message, help);
        Shape::Faulty
    }

    /// What `name` was probably meant to be, as long as there are not too many faults to ask.
    fn near<'n>(&self, name: &str, all: impl Iterator<Item = &'n str>) -> Option<&'n str> {
        if self.faults.len() < ENOUGH { closest(name, all) } else { None }
    }

    /// `calls.a-b.output` is read as a subtraction: is it a name with a hyphen?
    pub(super) fn hyphen(&mut self, expr: &Expr) -> Option<Shape> {
        let mut first = expr;
        while let Expr::BinOp(op) = first
            && matches!(op.op, BinOpKind::Sub)
        {
            first = &op.left;
        }
        let Expr::GetAttr(get) = first else { return None };
        let Expr::Var(root) = &get.expr else { return None };
        if self.local(root.id).is_some() {
            return None;
        }
        let end = get.span().end_offset as usize;
        let start = end - get.name.len();
        let rest = self.text.get(start..)?;
        let length =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(rest.len());
        let name = rest.get(..length)?.trim_end_matches('-');
        let names = self.names;
        let exists = |name: &str| match root.id {
            "calls" => names.calls && names.known.call(name).is_some(),
            "vars" => names.known.has_var(name),
            "matrix" => names.axes.contains(&name),
            "env" => names.env.contains(&name),
            _ => false,
        };
        if !name.contains('-') || !exists(name) {
            return None;
        }
        let written = format!("{}[\"{name}\"]", root.id);
        let at = start_of(first)..start + name.len();
        let message = format!("`{name}` holds a hyphen, so this is read as a subtraction");
        self.fault(fault::NAME, at.clone(), message, format!("write `{written}`"));
        match (root.id, names.known.call(name)) {
            ("calls", Some(shape)) => self.mention(&Shape::Call(name.into(), shape), None, at),
            ("vars", _) => self.var(name),
            _ => {}
        }
        Some(Shape::Faulty)
    }

    /// Notes that a call is mentioned.
    pub(super) fn mention(&mut self, shape: &Shape, attribute: Option<&'static str>, at: Range<usize>) {
        if let Shape::Call(id, _) = shape {
            let at = self.span(at);
            self.mentions.push(Mention { call: id.clone(), attribute, at });
        }
    }

    fn var(&mut self, name: &str) {
        if !self.vars.iter().any(|known| **known == *name) {
            self.vars.push(name.into());
        }
    }

    /// Notes that any of the vars may be read.
    pub(super) fn all_vars(&mut self) {
        let known = self.names.known;
        for name in known.vars() {
            self.var(name);
        }
    }
}

/// How `name` of `root` is written.
fn path(root: &str, name: &str) -> String {
    if name.contains('-') { format!("{root}[\"{name}\"]") } else { format!("{root}.{name}") }
}
