//! What is known of a value before anything has run: what it is, and who said it.
//!
//! Invariant: what comes from a call, directly or through any filter, operator or
//! local name, is [`Shape::Said`] or one of the shapes that hold it, never [`Shape::Own`].

use std::ops::Range;
use std::sync::Arc;

use super::names::CallShape;

/// What is known of the value of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// Written in the plan, or counted by fanout: it may stand in a prompt as it is.
    Own,
    /// One of the names at the top.
    Root(Root),
    /// `calls.<id>`.
    Call(Arc<str>, CallShape),
    /// `calls.<id>.outputs`.
    Outputs(Arc<str>),
    /// One of them; the bytes of the expression that gives it.
    Instance(Arc<str>, Range<usize>),
    /// `notifications`.
    Notifications,
    /// One of them.
    Notification,
    /// `loop`, with what the loop goes over.
    Loop(Box<Shape>),
    /// Words of somebody else.
    Said(Origin),
    /// It was reported; nothing more is asked of it.
    Faulty,
}

/// A name at the top that is a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    Calls,
    Vars,
    Env,
    Matrix,
    Run,
    Reconcile,
}

/// Who said it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Origin {
    pub(super) sources: Vec<Source>,
    /// True for exactly the `output` or `json` of one call.
    pub(super) whole: bool,
    /// The bytes of the expression that gives the instance, where one instance said it.
    pub(super) instance: Option<Range<usize>>,
}

/// One who said something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// A call.
    Call(Arc<str>),
    /// The item of a `for_each` or a value of a matrix, under its name: short ones stand as they are.
    Item(Arc<str>),
    /// `notifications`, `previous`, `reconcile`, ….
    Name(&'static str),
}

impl Shape {
    /// What one source said, as a whole or in part.
    pub(super) fn said(source: Source, whole: bool) -> Shape {
        Shape::Said(Origin { sources: vec![source], whole, instance: None })
    }

    /// What a value made of these is.
    pub(super) fn made_of<'a>(parts: impl IntoIterator<Item = &'a Shape>) -> Shape {
        let mut origins = parts.into_iter().filter_map(Shape::origin);
        let Some(mut made) = origins.next() else { return Shape::Own };
        made.whole = false;
        for origin in origins {
            if origin.sources != made.sources || origin.instance != made.instance {
                made.instance = None;
            }
            made.sources.extend(origin.sources);
        }
        made.sources.sort();
        made.sources.dedup();
        Shape::Said(made)
    }

    /// Either of two values.
    pub(super) fn either(one: Shape, other: Shape) -> Shape {
        if one == other { one } else { Shape::made_of([&one, &other]) }
    }

    /// True for a list whose elements are known to be instances or notifications.
    pub(super) fn is_list(&self) -> bool {
        matches!(self, Shape::Outputs(_) | Shape::Notifications)
    }

    /// One element of it.
    pub(super) fn element(&self) -> Shape {
        match self {
            Shape::Own | Shape::Loop(_) => Shape::Own,
            Shape::Faulty => Shape::Faulty,
            Shape::Outputs(call) => Shape::Instance(call.clone(), 0..0),
            Shape::Notifications => Shape::Notification,
            Shape::Root(_) | Shape::Call(..) | Shape::Instance(..) | Shape::Notification | Shape::Said(_) => {
                Shape::made_of([self])
            }
        }
    }

    /// Who said it; `None` for what fanout may say in its own voice.
    pub(super) fn origin(&self) -> Option<Origin> {
        let of = |source: Source| Some(Origin { sources: vec![source], whole: false, instance: None });
        match self {
            Shape::Own | Shape::Loop(_) | Shape::Faulty => None,
            Shape::Root(Root::Vars | Root::Env | Root::Run) => None,
            Shape::Root(Root::Matrix) => of(Source::Item("matrix".into())),
            Shape::Root(Root::Reconcile) => of(Source::Name("reconcile")),
            Shape::Root(Root::Calls) => of(Source::Name("calls")),
            Shape::Call(call, _) | Shape::Outputs(call) => of(Source::Call(call.clone())),
            Shape::Instance(call, at) => Some(Origin {
                sources: vec![Source::Call(call.clone())],
                whole: false,
                instance: (!at.is_empty()).then(|| at.clone()),
            }),
            Shape::Notifications | Shape::Notification => of(Source::Name("notifications")),
            Shape::Said(origin) => Some(origin.clone()),
        }
    }
}

impl Source {
    /// How a marker calls it.
    pub(super) fn label(&self) -> &str {
        match self {
            Source::Call(name) | Source::Item(name) => name,
            Source::Name(name) => name,
        }
    }
}
