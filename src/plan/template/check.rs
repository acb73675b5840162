//! Walks the statements of a template: every branch, with the local names of each.
//!
//! Invariant: every expression of the template is looked at once, on conditional
//! paths too; every place where a value enters the text becomes one [`Emit`].

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use minijinja::machinery::ast::{self, Stmt};
use minijinja::machinery::parse_expr;

use super::emit::Emit;
use super::names::{CallShape, Names};
use super::place::Places;
use super::reach::start_of;
use super::shape::{Origin, Shape};
use super::shell::Shell;
use super::syntax::emit_range;
use super::{Facts, Mention};
use crate::plan::code;
use crate::plan::diagnostic::{Diagnostic, Span};

/// What a walk collects. Read on with [`Check::finish`].
pub(super) struct Check<'c> {
    pub(super) text: &'c str,
    /// Where the walked text begins in the scalar's text.
    pub(super) offset: usize,
    pub(super) names: &'c Names<'c>,
    pub(super) places: &'c Places<'c>,
    pub(super) faults: &'c mut Vec<Diagnostic>,
    pub(super) mentions: Vec<Mention>,
    pub(super) vars: Vec<Arc<str>>,
    /// The local names, innermost last.
    scopes: Vec<Vec<Local>>,
    /// What has been emitted into the `{% set %}` and `{% filter %}` blocks around, outermost first.
    captures: Vec<Vec<Shape>>,
    shell: Option<Shell>,
    emits: Vec<Emit>,
    spots: Vec<(Range<u32>, Span)>,
}

/// A name that the template itself gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Local {
    pub(super) name: String,
    pub(super) shape: Shape,
    /// False when it is set on some paths only.
    pub(super) sure: bool,
}

impl<'c> Check<'c> {
    /// A walk over `text`, which begins at `offset` of the scalar that `places` knows.
    pub(super) fn new(
        text: &'c str,
        offset: usize,
        names: &'c Names<'c>,
        places: &'c Places<'c>,
        faults: &'c mut Vec<Diagnostic>,
    ) -> Check<'c> {
        Check {
            text,
            offset,
            names,
            places,
            faults,
            mentions: Vec::new(),
            vars: Vec::new(),
            scopes: vec![Vec::new()],
            captures: Vec::new(),
            shell: None,
            emits: Vec::new(),
            spots: Vec::new(),
        }
    }

    /// Walks a whole template.
    pub(super) fn template(&mut self, children: &[Stmt], shell: bool) {
        self.shell = shell.then(Shell::new);
        self.statements(children);
        let open = self.shell.as_ref().is_some_and(|shell| !shell.is_closed());
        if open && !self.emits.is_empty() && self.faults.is_empty() {
            let help = "close it, so that it is clear how the values in it are quoted";
            self.fault(
                code::TEMPLATE_SHELL,
                0..self.text.len(),
                "a quote or bracket of this text is never closed",
                help,
            );
        }
    }

    /// Walks a whole expression.
    pub(super) fn expression(&mut self, expr: &ast::Expr) {
        let shape = self.value(expr);
        let at = start_of(expr)..expr.span().end_offset as usize;
        self.not_a_call(&shape, at);
    }

    /// What was found.
    pub(super) fn finish(self) -> Facts {
        Facts {
            routed: OnceLock::new(),
            mentions: self.mentions.into(),
            vars: self.vars.into(),
            emits: self.emits.into(),
            spots: self.spots.into(),
        }
    }

    /// Reports an error at these bytes of the walked text.
    pub(super) fn fault(
        &mut self,
        code: &'static str,
        at: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let help = help.into();
        let span = self.span(at);
        let help = (!help.is_empty()).then_some(help);
        self.faults.push(Diagnostic::error(code, span, message).maybe_help(help));
    }

    /// Where these bytes stand in the file.
    pub(super) fn span(&self, at: Range<usize>) -> Span {
        self.places.span(self.offset + at.start..self.offset + at.end)
    }

    /// The local of this name.
    pub(super) fn local(&self, name: &str) -> Option<&Local> {
        let scopes = self.scopes.iter().rev();
        scopes.flat_map(|scope| scope.iter().rev()).find(|local| local.name == name)
    }

    /// The names that the template has given itself here.
    pub(super) fn locals(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().flatten().map(|local| local.name.as_str())
    }

    fn statements(&mut self, statements: &[Stmt]) {
        for statement in statements {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitRaw(raw) => {
                if let (Some(shell), true) = (&mut self.shell, self.captures.is_empty()) {
                    shell.text(raw.raw);
                }
            }
            Stmt::EmitExpr(emit) => {
                let at = emit_range(self.text, emit);
                let shape = self.spot(&emit.expr);
                self.not_a_call(&shape, at.clone());
                self.emit(at, shape);
            }
            Stmt::IfCond(cond) => {
                self.spot(&cond.expr);
                let at = start_of(&cond.expr)..cond.expr.span().end_offset as usize;
                self.branches(
                    at,
                    |check| check.statements(&cond.true_body),
                    |check| {
                        check.statements(&cond.false_body);
                    },
                );
            }
            Stmt::ForLoop(each) => self.for_loop(each),
            Stmt::WithBlock(with) => {
                self.scopes.push(Vec::new());
                for (target, value) in &with.assignments {
                    let shape = self.spot(value);
                    self.assign(target, shape);
                }
                self.statements(&with.body);
                self.scopes.pop();
            }
            Stmt::Set(set) => {
                let shape = self.spot(&set.expr);
                self.assign(&set.target, shape);
            }
            Stmt::SetBlock(set) => {
                let mut shape = self.captured(&set.body);
                if let Some(filter) = &set.filter {
                    shape = self.filters(filter, shape);
                }
                self.assign(&set.target, shape);
            }
            Stmt::FilterBlock(block) => {
                let end = block.filter.span().end_offset as usize;
                if self.shell.is_some() && self.captures.is_empty() {
                    let help = "use the filter on the value: `{{ value | filter }}`";
                    self.fault(
                        code::TEMPLATE_SHELL,
                        start_of(&block.filter)..end,
                        "a `filter` block cannot hold shell text",
                        help,
                    );
                }
                let body = self.captured(&block.body);
                let shape = self.filters(&block.filter, body);
                self.remember(start_of(&block.filter)..end);
                self.emit(end..end, shape);
            }
            // The reader refuses both.
            Stmt::AutoEscape(_) | Stmt::Do(_) => {}
        }
    }

    fn for_loop(&mut self, each: &ast::ForLoop) {
        let element = self.spot(&each.iter).element();
        if each.recursive {
            let at = start_of(&each.iter)..each.iter.span().end_offset as usize;
            self.fault(code::TEMPLATE_LEFT_OUT, at, "a loop cannot be recursive here", "");
        }
        let shell = self.shell.clone();
        self.scopes.push(Vec::new());
        self.assign(&each.target, element.clone());
        if let Some(filter) = &each.filter_expr {
            self.spot(filter);
        }
        self.define("loop", Shape::Loop(Box::new(element)));
        self.statements(&each.body);
        self.scopes.pop();
        let at = start_of(&each.iter)..each.iter.span().end_offset as usize;
        self.meet(shell, at.clone());
        self.branches(at, |_| {}, |check| check.statements(&each.else_body));
    }

    /// Walks two ways that exclude each other.
    fn branches(&mut self, at: Range<usize>, one: impl FnOnce(&mut Self), other: impl FnOnce(&mut Self)) {
        let shell = self.shell.clone();
        let before = self.scopes.last().cloned().unwrap_or_default();
        one(self);
        let first = self.scopes.last_mut().map(|scope| std::mem::replace(scope, before)).unwrap_or_default();
        let after_first = std::mem::replace(&mut self.shell, shell);
        other(self);
        self.meet(after_first, at);
        if let Some(scope) = self.scopes.last_mut() {
            merge(scope, first);
        }
    }

    /// The shell text was read in two ways, up to here.
    fn meet(&mut self, other: Option<Shell>, at: Range<usize>) {
        let (Some(one), Some(other)) = (self.shell.take(), other) else { return };
        let kept = one.clone();
        self.shell = Some(one.or(other).unwrap_or_else(|| {
            let message = "what follows is in quotes or not, depending on this";
            self.fault(
                code::TEMPLATE_SHELL,
                at,
                message,
                "open and close quotes and brackets on the same path",
            );
            kept
        }));
    }

    /// What the body of a block comes to, as one value.
    fn captured(&mut self, body: &[Stmt]) -> Shape {
        self.captures.push(Vec::new());
        self.statements(body);
        Shape::made_of(&self.captures.pop().unwrap_or_default())
    }

    /// A value enters the text here, or the block that is being captured.
    fn emit(&mut self, at: Range<usize>, shape: Shape) {
        if let Some(capture) = self.captures.last_mut() {
            capture.push(shape);
            return;
        }
        let quoting = match self.shell.as_mut().map(Shell::value) {
            None => None,
            Some(Ok(quoting)) => Some(quoting),
            Some(Err(refusal)) => {
                self.fault(code::TEMPLATE_SHELL, at.clone(), refusal.message, refusal.help);
                return;
            }
        };
        self.emits.push(Emit::new(at, &self.without_broken_instance(shape), quoting));
    }

    /// The expression that gives an instance is written again into the routed text.
    ///
    /// Where its bytes are no expression of their own, as after a bracket that opened before them,
    /// the instance stays without a number.
    fn without_broken_instance(&self, shape: Shape) -> Shape {
        let stands =
            |at: &Range<usize>| self.text.get(at.clone()).is_some_and(|text| parse_expr(text).is_ok());
        if let Shape::Said(Origin { sources, whole, instance: Some(at) }) = &shape
            && !stands(at)
        {
            return Shape::Said(Origin { sources: sources.clone(), whole: *whole, instance: None });
        }
        shape
    }

    /// The value of an expression, whose place is remembered for errors at run time.
    fn spot(&mut self, expr: &ast::Expr) -> Shape {
        self.remember(start_of(expr)..expr.span().end_offset as usize);
        self.value(expr)
    }

    fn remember(&mut self, at: Range<usize>) {
        let narrow = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        self.spots.push((narrow(at.start)..narrow(at.end), self.span(at)));
    }

    fn assign(&mut self, target: &ast::Expr, shape: Shape) {
        let at = start_of(target)..target.span().end_offset as usize;
        if let ast::Expr::Var(var) = target {
            if var.id.starts_with("__") {
                self.fault(code::TEMPLATE_NAME, at, "names that begin with `__` cannot be given", "");
            } else {
                self.define(var.id, shape);
            }
        } else if let ast::Expr::List(list) = target {
            let element = shape.element();
            for item in &list.items {
                self.assign(item, element.clone());
            }
        } else {
            let help = "write `{% set name = … %}`";
            self.fault(code::TEMPLATE_LEFT_OUT, at, "only a name can be set", help);
        }
    }

    fn define(&mut self, name: &str, shape: Shape) {
        let Some(scope) = self.scopes.last_mut() else { return };
        scope.retain(|local| local.name != name);
        scope.push(Local { name: name.to_owned(), shape, sure: true });
    }

    /// A call is not a text; what it said is.
    fn not_a_call(&mut self, shape: &Shape, at: Range<usize>) {
        let (part, what) = if let Shape::Call(_, expanded) = shape {
            (if *expanded == CallShape::Expanded { "outputs" } else { "output" }, "call")
        } else if let Shape::Instance(..) = shape {
            ("output", "instance of a call")
        } else {
            return;
        };
        let written = self.text.get(at.clone()).unwrap_or("").to_owned();
        let help = format!("write `{written}.{part}`");
        self.fault(code::TEMPLATE_ATTRIBUTE, at, format!("this is a whole {what}, not a text"), help);
    }
}

/// What is known of local names after two ways that exclude each other.
fn merge(scope: &mut Vec<Local>, other: Vec<Local>) {
    for local in scope.iter_mut() {
        match other.iter().find(|twin| twin.name == local.name) {
            Some(twin) => {
                local.sure &= twin.sure;
                let shape = std::mem::replace(&mut local.shape, Shape::Own);
                local.shape = Shape::either(shape, twin.shape.clone());
            }
            None => local.sure = false,
        }
    }
    for local in other {
        if !scope.iter().any(|twin| twin.name == local.name) {
            scope.push(Local { sure: false, ..local });
        }
    }
}
