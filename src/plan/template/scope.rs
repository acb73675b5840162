//! Resolves the names that stand on their own: locals, `vars`, `calls`, `item`, ….
//!
//! Invariant: a name that is not in scope here is reported with the reason, where there is one.

use std::ops::Range;

use minijinja::machinery::ast::{BinOpKind, Expr};

use super::Mention;
use super::check::Check;
use super::names::{Also, CallShape};
use super::reach::start_of;
use super::shape::{Root, Shape, Source};
use crate::plan::code;
use crate::plan::suggest::{did_you_mean, list};

impl Check<'_> {
    /// A name that stands on its own.
    pub(super) fn name(&mut self, name: &str, at: Range<usize>) -> Shape {
        if let Some(local) = self.local(name) {
            let (shape, sure) = (local.shape.clone(), local.sure);
            if !sure {
                let help = "set it before, or on every path";
                self.fault(
                    code::TEMPLATE_NAME,
                    at.clone(),
                    format!("`{name}` is set on some paths only"),
                    help,
                );
            }
            // It is the name here that gives the instance.
            return if let Shape::Instance(call, _) = shape { Shape::Instance(call, at) } else { shape };
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
                self.fault(code::TEMPLATE_NAME, at, message, help);
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
                did_you_mean(name, all).unwrap_or_else(|| format!("in scope are {}", self.in_scope()))
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
        let mut seen = std::collections::HashSet::new();
        all.retain(|name| seen.insert(*name));
        let quoted: Vec<String> = all.iter().map(|name| format!("`{name}`")).collect();
        list(&quoted, "and")
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
        self.fault(code::TEMPLATE_NAME, at.clone(), message, format!("write `{written}`"));
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

    /// Notes that a var is mentioned.
    pub(super) fn var(&mut self, name: &str) {
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
pub(super) fn path(root: &str, name: &str) -> String {
    if name.contains('-') { format!("{root}[\"{name}\"]") } else { format!("{root}.{name}") }
}
