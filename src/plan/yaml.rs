//! YAML text to a tree of nodes that know where they stand.
//!
//! Invariants: nothing is dropped silently (a key that stands twice is reported with
//! both places and kept twice), nothing is guessed (plain scalars keep their text;
//! what they mean is decided by who reads them, see `scalar`), and the work is
//! bounded by the size of the text, whatever its aliases say.

mod builder;
mod explain;

use std::borrow::Cow;
use std::sync::Arc;

use granit_parser::Parser;

use builder::Builder;

use super::code;
use super::diagnostic::{Diagnostic, Span};
pub use super::template::Style;

/// Longer files are not read, in bytes.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Deeper nesting is refused.
pub const MAX_DEPTH: usize = 64;
/// More nodes than this are refused.
pub const MAX_NODES: usize = 4_000_000;

/// One node of the tree.
#[derive(Debug, Clone)]
pub(super) struct Node<'s> {
    /// Where it is written; for an alias, where its anchor is.
    pub(super) at: Span,
    /// Where the alias or merge key stands that brought it here.
    pub(super) used: Option<Box<Span>>,
    /// What it is.
    pub(super) kind: Kind<'s>,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(super) enum Kind<'s> {
    /// A text, quoted or not.
    Scalar(Cow<'s, str>, Style),
    /// A list.
    List(Vec<Node<'s>>),
    /// A map, in the order of the file; a key may stand twice (and is reported).
    Map(Vec<Entry<'s>>),
    /// What an anchor names, shared by all its uses.
    Shared(Arc<Node<'s>>),
    /// Something that was reported already.
    Broken,
}

/// One line of a map.
#[derive(Debug, Clone)]
pub(super) struct Entry<'s> {
    /// The key's text.
    pub(super) key: Cow<'s, str>,
    /// Where the key stands.
    pub(super) at: Span,
    /// The value.
    pub(super) value: Node<'s>,
}

impl<'s> Node<'s> {
    fn new(at: Span, kind: Kind<'s>) -> Node<'s> {
        Node { at, used: None, kind }
    }

    /// The node that an alias stands for, or itself.
    pub(super) fn target(&self) -> &Node<'s> {
        match &self.kind {
            Kind::Shared(inner) => inner.target(),
            Kind::Scalar(..) | Kind::List(_) | Kind::Map(_) | Kind::Broken => self,
        }
    }
}

/// Reads one document. `None` when there is no tree to go on with; the reason is in `faults`.
///
/// `text` must not be longer than [`MAX_BYTES`]; `file` is the number that spans get.
pub(super) fn parse<'s>(text: &'s str, file: u16, faults: &mut Vec<Diagnostic>) -> Option<Node<'s>> {
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes; at most {MAX_BYTES} are read", text.len());
        faults.push(Diagnostic::error(code::TOO_BIG, Span { file, start: 0, end: 0 }, message));
        return None;
    }
    let options = granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        disallow_directives: false,
    };
    let mut builder = Builder::new(text, file, faults);
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => builder.take(event, &span)?,
            Err(error) => {
                builder.syntax(&error);
                return None;
            }
        }
    }
    let root = builder.into_tree();
    if root.is_none() {
        let fault = Diagnostic::error(code::SYNTAX, Span { file, start: 0, end: 0 }, "the file is empty");
        faults.push(fault);
    }
    root
}

#[cfg(test)]
mod tests;
