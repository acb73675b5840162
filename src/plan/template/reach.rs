//! Walks the expressions of a template: what each is made of, and whether it exists.
//!
//! Invariant: all operands are walked, also those that a run may never reach.

use std::ops::Range;

use minijinja::machinery::ast::{self, BinOpKind, CallArg, CallType, Expr, UnaryOpKind};
use minijinja::value::ValueKind;

use super::check::Check;
use super::filters::{self, FUNCTIONS};
use super::shape::{Root, Shape};
use crate::plan::code;
use crate::plan::suggest::did_you_mean;

/// Filters that give some of the elements of a list.
const SELECTING: [&str; 8] =
    ["selectattr", "rejectattr", "select", "reject", "sort", "reverse", "list", "unique"];

/// The first byte of an expression. The engine's own span begins at its last operator.
pub(super) fn start_of(expr: &Expr) -> usize {
    let mut expr = expr;
    loop {
        expr = match expr {
            Expr::GetAttr(get) => &get.expr,
            Expr::GetItem(get) => &get.expr,
            Expr::Slice(slice) => &slice.expr,
            Expr::Call(call) => &call.expr,
            Expr::BinOp(op) => &op.left,
            Expr::Compare(compare) => &compare.expr,
            Expr::IfExpr(choice) => &choice.true_expr,
            Expr::Test(test) => &test.expr,
            Expr::UnaryOp(op) if matches!(op.op, UnaryOpKind::Not) && op.span() == op.expr.span() => &op.expr,
            Expr::Filter(filter) => match &filter.expr {
                Some(inner) => inner,
                None => return filter.span().start_offset as usize,
            },
            Expr::Var(_)
            | Expr::Const(_)
            | Expr::UnaryOp(_)
            | Expr::List(_)
            | Expr::Tuple(_)
            | Expr::Map(_) => return expr.span().start_offset as usize,
        }
    }
}

fn whole(expr: &Expr) -> Range<usize> {
    let start = start_of(expr);
    start..(expr.span().end_offset as usize).max(start)
}

impl Check<'_> {
    /// What an expression is, as a value: a name at the top that is not a value is reported.
    pub(super) fn value(&mut self, expr: &Expr) -> Shape {
        let shape = self.reach(expr);
        match &shape {
            Shape::Root(Root::Calls) => {
                let help =
                    "name the call, as in `calls.<id>.output`: it has to be known before the run starts";
                self.fault(code::TEMPLATE_DYNAMIC, whole(expr), "`calls` cannot be used as a whole", help);
                Shape::Faulty
            }
            Shape::Root(Root::Vars) => {
                self.all_vars();
                Shape::Own
            }
            Shape::Call(..) => {
                self.mention(&shape, None, whole(expr));
                shape
            }
            Shape::Root(Root::Env | Root::Matrix | Root::Run | Root::Reconcile)
            | Shape::Own
            | Shape::Outputs(_)
            | Shape::Instance(..)
            | Shape::Notifications
            | Shape::Notification
            | Shape::Loop(_)
            | Shape::Said(_)
            | Shape::Faulty => shape,
        }
    }

    /// As [`Check::value`], where a name that is set on some paths only is all right.
    fn perhaps(&mut self, expr: &Expr) -> Shape {
        if let Expr::Var(var) = expr
            && let Some(local) = self.local(var.id)
        {
            return local.shape.clone();
        }
        self.value(expr)
    }

    fn reach(&mut self, expr: &Expr) -> Shape {
        match expr {
            Expr::Const(_) => Shape::Own,
            Expr::Var(var) => self.name(var.id, whole(expr)),
            Expr::GetAttr(get) => {
                let base = self.reach(&get.expr);
                let end = get.span().end_offset as usize;
                self.attribute(base, get.name, whole(expr), end - get.name.len()..end)
            }
            Expr::GetItem(get) => self.item(get, whole(expr)),
            Expr::Slice(slice) => {
                let base = self.value(&slice.expr);
                for bound in [&slice.start, &slice.stop, &slice.step].into_iter().flatten() {
                    self.value(bound);
                }
                if base.is_list() { base } else { Shape::made_of([&base]) }
            }
            Expr::UnaryOp(op) => {
                let operand = self.value(&op.expr);
                match op.op {
                    UnaryOpKind::Not => Shape::Own,
                    UnaryOpKind::Neg => Shape::made_of([&operand]),
                }
            }
            Expr::BinOp(op) => self.operator(op, expr),
            Expr::Compare(compare) => {
                self.value(&compare.expr);
                for op in &compare.ops {
                    self.value(&op.expr);
                }
                Shape::Own
            }
            Expr::IfExpr(choice) => {
                self.value(&choice.test_expr);
                let one = self.value(&choice.true_expr);
                match &choice.false_expr {
                    Some(other) => Shape::either(one, self.value(other)),
                    None => one,
                }
            }
            Expr::Filter(_) => self.filters(expr, Shape::Own),
            Expr::Test(test) => {
                if matches!(test.name, "defined" | "undefined") {
                    self.perhaps(&test.expr);
                } else {
                    self.value(&test.expr);
                }
                self.arguments(&test.args);
                let start = test.span().start_offset as usize;
                self.is_test(test.name, start..start + test.name.len());
                Shape::Own
            }
            Expr::Call(call) => self.call(call, whole(expr)),
            Expr::List(list) => self.all(&list.items),
            Expr::Tuple(tuple) => self.all(&tuple.items),
            Expr::Map(map) => {
                let keys = self.all(&map.keys);
                let values = self.all(&map.values);
                Shape::made_of([&keys, &values])
            }
        }
    }

    fn all(&mut self, items: &[Expr]) -> Shape {
        let shapes: Vec<Shape> = items.iter().map(|item| self.value(item)).collect();
        Shape::made_of(&shapes)
    }

    fn item(&mut self, get: &ast::GetItem, at: Range<usize>) -> Shape {
        let base = self.reach(&get.expr);
        if let Expr::Const(constant) = &get.subscript_expr {
            return match constant.value.as_str() {
                Some(name) => {
                    let span = get.subscript_expr.span();
                    self.attribute(base, name, at, span.start_offset as usize..span.end_offset as usize)
                }
                None => self.any_item(base, constant.value.kind() == ValueKind::Number, at),
            };
        }
        self.value(&get.subscript_expr);
        if base == Shape::Root(Root::Calls) {
            let help = "write the id itself, as in `calls[\"my-call\"].output`: what a call needs has to be known before the run starts";
            self.fault(
                code::TEMPLATE_DYNAMIC,
                whole(&get.subscript_expr),
                "a call cannot be looked up by a computed name",
                help,
            );
            return Shape::Faulty;
        }
        self.any_item(base, true, at)
    }

    /// `base[…]` where what stands in the brackets is only known at run time.
    fn any_item(&mut self, base: Shape, one: bool, at: Range<usize>) -> Shape {
        match base {
            Shape::Outputs(call) if one => Shape::Instance(call, at),
            Shape::Notifications if one => Shape::Notification,
            Shape::Root(Root::Vars) => {
                self.all_vars();
                Shape::Own
            }
            Shape::Root(Root::Calls) => {
                self.fault(code::TEMPLATE_DYNAMIC, at, "calls are named, not numbered", "write `calls.<id>`");
                Shape::Faulty
            }
            Shape::Call(..) => {
                self.mention(&base, None, at);
                Shape::made_of([&base])
            }
            Shape::Outputs(_)
            | Shape::Notifications
            | Shape::Root(Root::Env | Root::Matrix | Root::Run | Root::Reconcile)
            | Shape::Own
            | Shape::Instance(..)
            | Shape::Notification
            | Shape::Loop(_)
            | Shape::Said(_)
            | Shape::Faulty => Shape::made_of([&base]),
        }
    }

    fn operator(&mut self, op: &ast::BinOp, expr: &Expr) -> Shape {
        if matches!(op.op, BinOpKind::Sub)
            && let Some(shape) = self.hyphen(expr)
        {
            return shape;
        }
        let (left, right) = (self.value(&op.left), self.value(&op.right));
        match op.op {
            BinOpKind::Eq
            | BinOpKind::Ne
            | BinOpKind::Lt
            | BinOpKind::Lte
            | BinOpKind::Gt
            | BinOpKind::Gte
            | BinOpKind::In => Shape::Own,
            BinOpKind::ScAnd | BinOpKind::ScOr => Shape::either(left, right),
            BinOpKind::Add
            | BinOpKind::Sub
            | BinOpKind::Mul
            | BinOpKind::Div
            | BinOpKind::FloorDiv
            | BinOpKind::Rem
            | BinOpKind::Pow
            | BinOpKind::Concat => Shape::made_of([&left, &right]),
        }
    }

    /// A chain of filters; `head` is what goes into the first of a `{% filter %}` block.
    pub(super) fn filters(&mut self, expr: &Expr, head: Shape) -> Shape {
        let Expr::Filter(filter) = expr else { return self.value(expr) };
        let base = match &filter.expr {
            Some(inner @ Expr::Filter(_)) => self.filters(inner, head),
            Some(inner) if matches!(filter.name, "default" | "d") => self.perhaps(inner),
            Some(inner) => self.value(inner),
            None => head,
        };
        let arguments = self.arguments(&filter.args);
        let start = filter.span().start_offset as usize;
        self.is_filter(filter.name, start..start + filter.name.len());
        self.named_arguments(filter);
        if base.is_list() && SELECTING.contains(&filter.name) {
            base
        } else if base.is_list() && matches!(filter.name, "first" | "last") {
            self.any_item(base, true, whole(expr))
        } else {
            Shape::made_of([&base, &arguments])
        }
    }

    fn arguments(&mut self, args: &[CallArg]) -> Shape {
        let mut shapes = Vec::with_capacity(args.len());
        for arg in args {
            shapes.push(match arg {
                CallArg::Pos(value)
                | CallArg::Kwarg(_, value)
                | CallArg::PosSplat(value)
                | CallArg::KwargSplat(value) => self.value(value),
            });
        }
        Shape::made_of(&shapes)
    }

    /// `map("upper")` and its like name another filter or test.
    fn named_arguments(&mut self, filter: &ast::Filter) {
        let (position, test) = match filter.name {
            "map" => (0, false),
            "select" | "reject" => (0, true),
            "selectattr" | "rejectattr" => (1, true),
            _ => return,
        };
        let Some(CallArg::Pos(arg @ Expr::Const(constant))) = filter.args.get(position) else { return };
        let Some(name) = constant.value.as_str() else { return };
        if test { self.is_test(name, whole(arg)) } else { self.is_filter(name, whole(arg)) }
    }

    fn is_filter(&mut self, name: &str, at: Range<usize>) {
        if !filters::names().any(|known| known == name) {
            let help = match name {
                "strip" => "write `trim`".to_owned(),
                "to_json" | "dump" => "write `json`".to_owned(),
                "to_yaml" => "write `yaml`".to_owned(),
                "len" | "size" => "write `length`".to_owned(),
                name => did_you_mean(name, filters::names()).unwrap_or_default(),
            };
            self.fault(code::TEMPLATE_FILTER, at, format!("there is no filter `{name}`"), help);
        }
    }

    fn is_test(&mut self, name: &str, at: Range<usize>) {
        if !filters::TESTS.contains(&name) {
            let help = did_you_mean(name, filters::TESTS).unwrap_or_default();
            self.fault(code::TEMPLATE_FILTER, at, format!("there is no test `{name}`"), help);
        }
    }

    fn call(&mut self, call: &ast::Call, at: Range<usize>) -> Shape {
        let arguments = self.arguments(&call.args);
        match call.identify_call() {
            CallType::Function(name) if self.local(name).is_none() => {
                if FUNCTIONS.contains(&name) {
                    return arguments;
                }
                let help = if filters::names().any(|filter| filter == name) {
                    format!("it is a filter: write `… | {name}`")
                } else {
                    did_you_mean(name, FUNCTIONS).unwrap_or_default()
                };
                let start = start_of(&call.expr);
                self.fault(
                    code::TEMPLATE_FILTER,
                    start..start + name.len(),
                    format!("there is no function `{name}`"),
                    help,
                );
            }
            CallType::Method(base, name) => {
                let shape = self.value(base);
                if matches!(shape, Shape::Loop(_)) && matches!(name, "cycle" | "changed") {
                    return arguments;
                }
                let filter = match name {
                    "strip" => "trim",
                    "len" => "length",
                    "startswith" => "is startingwith",
                    "endswith" => "is endingwith",
                    name => name,
                };
                let help = if filter.starts_with("is ") {
                    format!("write `… {filter} \"…\"`")
                } else if filters::names().any(|known| known == filter) {
                    format!("use the filter: `… | {filter}`")
                } else {
                    "use a filter: `… | name`".to_owned()
                };
                let end = call.expr.span().end_offset as usize;
                let message = format!("values have no methods such as `{name}()`");
                self.fault(code::TEMPLATE_FILTER, end - name.len()..end, message, help);
            }
            CallType::Function(_) | CallType::Object(_) => {
                self.value(&call.expr);
                self.fault(code::TEMPLATE_FILTER, at, "this is not a function", "");
            }
        }
        Shape::Faulty
    }
}
