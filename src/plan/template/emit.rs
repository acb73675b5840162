//! The places of a template where a value enters its text, and the text with each of them routed.
//!
//! `{{ EXPR }}` becomes `{{ (EXPR)|__enter(n) }}`: what happens to the value is decided
//! at load, from what the expression mentions, and only carried out at run time.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use super::shape::{Origin, Shape, Source};
use super::shell::Quoting;

/// The filter that values enter through; no template can name it.
pub(super) const ENTER: &str = "__enter";

/// One place where a value enters.
#[derive(Debug)]
pub(super) struct Emit {
    /// The expression, in the text. Empty, at the end of the filters, for a `{% filter %}` block.
    pub(super) at: Range<u32>,
    /// How it enters a prompt.
    pub(super) into: Entry,
    /// How it is quoted in a shell; `None` in a template that is not for one.
    pub(super) quoting: Option<Quoting>,
    /// The expression that gives the instance that said it.
    instance: Option<Range<u32>>,
}

/// How a value enters a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// As it is.
    Text,
    /// As it is where it is short, else as [`Entry::Quote`] under this name.
    Item(Arc<str>),
    /// Between markers.
    Quote {
        /// What the marker calls it.
        label: Box<str>,
        /// The calls whose `pass` bounds it.
        calls: Box<[Arc<str>]>,
        /// True when the value is exactly the output of the one call.
        whole: bool,
    },
    /// A list of instances, each between its own markers.
    Each(Arc<str>),
}

impl Emit {
    /// A place where a value of this shape enters.
    pub(super) fn new(at: Range<usize>, shape: &Shape, quoting: Option<Quoting>) -> Emit {
        let (into, instance) = if let Shape::Outputs(call) = shape {
            (Entry::Each(call.clone()), None)
        } else if let Some(origin) = shape.origin() {
            (Entry::of(&origin), origin.instance)
        } else {
            (Entry::Text, None)
        };
        Emit { at: narrow(at), into, quoting, instance: instance.map(narrow) }
    }

    /// True when the engine's own way of writing the value will do.
    fn is_bare(&self) -> bool {
        self.into == Entry::Text && self.quoting.is_none()
    }

    /// What is written after the expression.
    fn tail(&self, text: &str, number: usize) -> String {
        let mut tail = String::new();
        if !self.at.is_empty() {
            tail.push(')');
        }
        let _ = write!(tail, "|{ENTER}({number}");
        if let Some(instance) = &self.instance {
            let given = text.get(instance.start as usize..instance.end as usize).unwrap_or("none");
            let _ = write!(tail, ",({given}).index");
        }
        tail.push(')');
        tail
    }
}

impl Entry {
    fn of(origin: &Origin) -> Entry {
        if let [Source::Item(name)] = origin.sources.as_slice() {
            return Entry::Item(name.clone());
        }
        if let [Source::Call(call)] = origin.sources.as_slice() {
            return Entry::Quote {
                label: call.as_ref().into(),
                calls: Box::new([call.clone()]),
                whole: origin.whole,
            };
        }
        let labels: Vec<&str> = origin.sources.iter().map(Source::label).collect();
        let calls = origin.sources.iter().filter_map(|source| match source {
            Source::Call(call) => Some(call.clone()),
            Source::Item(_) | Source::Name(_) => None,
        });
        Entry::Quote { label: labels.join(", ").into(), calls: calls.collect(), whole: origin.whole }
    }
}

/// The text with every place routed; `None` where none needs it.
pub(super) fn route(text: &str, emits: &[Emit]) -> Option<Box<str>> {
    if emits.iter().all(Emit::is_bare) {
        return None;
    }
    let mut routed = String::with_capacity(text.len() + 24 * emits.len());
    let mut done = 0;
    for (number, emit) in emits.iter().enumerate().filter(|(_, emit)| !emit.is_bare()) {
        let (start, end) = (emit.at.start as usize, emit.at.end as usize);
        routed.push_str(text.get(done..start).unwrap_or(""));
        if start < end {
            routed.push('(');
        }
        routed.push_str(text.get(start..end).unwrap_or(""));
        routed.push_str(&emit.tail(text, number));
        done = end;
    }
    routed.push_str(text.get(done..).unwrap_or(""));
    Some(routed.into())
}

/// Where a byte of the routed text stands in the text itself.
pub(super) fn unroute(text: &str, emits: &[Emit], offset: usize) -> usize {
    let mut shift = 0;
    for (number, emit) in emits.iter().enumerate().filter(|(_, emit)| !emit.is_bare()) {
        let (start, end) = (emit.at.start as usize, emit.at.end as usize);
        if offset < start + shift {
            break;
        }
        shift += usize::from(start < end);
        if offset < end + shift {
            return offset.saturating_sub(shift).max(start);
        }
        let tail = emit.tail(text, number).len();
        if offset < end + shift + tail {
            return end;
        }
        shift += tail;
    }
    offset.saturating_sub(shift)
}

fn narrow(range: Range<usize>) -> Range<u32> {
    let narrow = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
    narrow(range.start)..narrow(range.end)
}
