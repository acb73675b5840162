//! Parser events to a tree, with a stack of our own.
//!
//! Invariant: every event is counted, every alias is paid for, and no map is closed
//! before its keys were compared.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use granit_parser::{ErrorKind, Event, ScalarStyle, ScanError};

use super::explain::{QUOTE_BRACES, explain, is_tab};
use super::{Entry, Kind, MAX_DEPTH, MAX_NODES, Node, Style};
use crate::plan::code;
use crate::plan::diagnostic::{Diagnostic, Span};

/// Aliases may stand for so many nodes, and for four times as many as the file has.
const ALIAS_ALLOWANCE: usize = 100_000;

/// A finished node with what it counts for when it is used again.
struct Made<'s> {
    node: Node<'s>,
    size: usize,
    height: usize,
}

/// What an anchor names.
struct Anchor<'s> {
    node: Arc<Node<'s>>,
    size: usize,
    height: usize,
}

/// A list or map that is not closed yet.
struct Open<'s> {
    start: usize,
    end: usize,
    anchor: usize,
    size: usize,
    height: usize,
    /// True for `{{ … }}` without quotes, which is a map in a map to YAML, and was reported.
    braces: bool,
    content: Content<'s>,
}

enum Content<'s> {
    List(Vec<Node<'s>>),
    Map { entries: Vec<Entry<'s>>, key: Option<(Option<Cow<'s, str>>, Span)>, merges: Vec<(Span, Node<'s>)> },
}

/// A tree that is being built.
pub(super) struct Builder<'s, 'f> {
    text: &'s str,
    file: u16,
    faults: &'f mut Vec<Diagnostic>,
    stack: Vec<Open<'s>>,
    root: Option<Made<'s>>,
    anchors: HashMap<usize, Anchor<'s>>,
    nodes: usize,
    borrowed: usize,
    documents: usize,
}

impl<'s, 'f> Builder<'s, 'f> {
    /// Nothing yet of `text`, which spans know as `file`.
    pub(super) fn new(text: &'s str, file: u16, faults: &'f mut Vec<Diagnostic>) -> Builder<'s, 'f> {
        Builder {
            text,
            file,
            faults,
            stack: Vec::new(),
            root: None,
            anchors: HashMap::new(),
            nodes: 0,
            borrowed: 0,
            documents: 0,
        }
    }

    /// The tree; `None` for a text without any value.
    pub(super) fn into_tree(self) -> Option<Node<'s>> {
        self.root.map(|made| made.node)
    }

    /// Takes one event; `None` ends the reading, with the reason reported.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser may learn new events; none of them is a node"
    )]
    pub(super) fn take(&mut self, event: Event<'s>, span: &granit_parser::Span) -> Option<()> {
        let range = span.byte_range().unwrap_or(0..0);
        let at = self.span(range.start, range.end);
        if let (Some(tag), Some(place)) = (event.tag(), span.tag_span()) {
            let place = place.byte_range().unwrap_or(range.clone());
            let message = format!("the tag `{}` is not allowed: plans have no tags", tag.original());
            let fault = Diagnostic::error(code::YAML_FEATURE, self.span(place.start, place.end), message);
            self.faults.push(fault.help("remove the tag; quote the value to make it a text"));
        }
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Anchor(..) => {}
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message = "a second document begins here; a plan is one document";
                    let fault = Diagnostic::error(code::YAML_FEATURE, at, message);
                    self.faults.push(fault.help("put it into a file of its own, or remove the `---`"));
                    return None;
                }
            }
            Event::Scalar(text, style, anchor, _) => {
                self.count(at)?;
                let node = Node::new(self.scalar_place(at, style), Kind::Scalar(text, style.into()));
                self.finish(Made { node, size: 1, height: 0 }, anchor);
            }
            Event::SequenceStart(_, anchor, _) => self.open(at, anchor, Content::List(Vec::new()))?,
            Event::MappingStart(_, anchor, _) => {
                let content = Content::Map { entries: Vec::new(), key: None, merges: Vec::new() };
                self.open(at, anchor, content)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(&range),
            Event::Alias(id) => self.alias(id, at)?,
            Event::UnresolvedAlias(name) => {
                let message = format!("`*{name}` refers to an anchor that is not defined above");
                let help = format!(
                    "write `&{name}` at the value that it refers to; a text that begins with `*` needs quotes"
                );
                self.faults.push(Diagnostic::error(code::ALIAS, at, message).help(help));
                self.finish(Made { node: Node::new(at, Kind::Broken), size: 1, height: 0 }, 0);
            }
            // Comments are switched off.
            _ => {}
        }
        Some(())
    }

    fn span(&self, start: usize, end: usize) -> Span {
        let clamp = |n: usize| u32::try_from(n.min(self.text.len())).unwrap_or(u32::MAX);
        Span { file: self.file, start: clamp(start), end: clamp(end.max(start)) }
    }

    /// An empty value is shown at its key.
    fn scalar_place(&self, at: Span, style: ScalarStyle) -> Span {
        match self.stack.last().map(|open| &open.content) {
            Some(Content::Map { key: Some((_, key)), .. })
                if style == ScalarStyle::Plain && at.start == at.end =>
            {
                *key
            }
            _ => at,
        }
    }

    fn count(&mut self, at: Span) -> Option<()> {
        self.nodes += 1;
        if self.nodes <= MAX_NODES {
            return Some(());
        }
        let message = format!("the file has more than {MAX_NODES} values");
        self.faults.push(Diagnostic::error(code::TOO_BIG, at, message));
        None
    }

    fn too_deep(&mut self, at: Span) {
        let message = format!("this is nested more than {MAX_DEPTH} levels deep");
        self.faults.push(Diagnostic::error(code::TOO_BIG, at, message));
    }

    fn open(&mut self, at: Span, anchor: usize, content: Content<'s>) -> Option<()> {
        self.count(at)?;
        if self.stack.len() >= MAX_DEPTH {
            self.too_deep(at);
            return None;
        }
        let (start, end) = (at.start as usize, at.end as usize);
        self.stack.push(Open { start, end, anchor, size: 1, height: 0, braces: false, content });
        Some(())
    }

    fn close(&mut self, range: &std::ops::Range<usize>) {
        let Some(mut open) = self.stack.pop() else { return };
        // A flow collection ends at its bracket; a block one where its last value ends.
        let last = self.text.as_bytes().get(range.start).is_some_and(|b| matches!(b, b']' | b'}'));
        let end = if last { range.start + 1 } else { open.end };
        let at = self.span(open.start, end);
        let kind = match open.content {
            _ if open.braces => Kind::Broken,
            Content::List(items) => Kind::List(items),
            Content::Map { mut entries, merges, .. } => {
                self.duplicates(&entries);
                open.size += self.merge(&mut entries, merges);
                Kind::Map(entries)
            }
        };
        let made = Made { node: Node::new(at, kind), size: open.size, height: open.height + 1 };
        self.finish(made, open.anchor);
    }

    /// Puts a finished node where it belongs: under its anchor, and into what is open.
    fn finish(&mut self, made: Made<'s>, anchor: usize) {
        let Made { mut node, size, height } = made;
        if anchor != 0 {
            // The values of a shared map are shared too, so that merging it copies nothing.
            if let Kind::Map(entries) = &mut node.kind {
                for entry in entries {
                    let value = std::mem::replace(&mut entry.value, Node::new(node.at, Kind::Broken));
                    entry.value = share(value);
                }
            }
            node = share(node);
            if let Kind::Shared(inner) = &node.kind {
                self.anchors.insert(anchor, Anchor { node: Arc::clone(inner), size, height });
            }
        }
        self.attach(Made { node, size, height });
    }

    fn attach(&mut self, made: Made<'s>) {
        let text = self.text;
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(made);
            return;
        };
        let Made { node, size, height } = made;
        let place = node.used.as_deref().copied().unwrap_or(node.at);
        open.end = open.end.max(place.end as usize);
        open.size += size;
        open.height = open.height.max(height);
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, key, merges } => match key.take() {
                Some((Some(name), at)) if name == "<<" && text.get(range(at)) == Some("<<") => {
                    merges.push((at, node))
                }
                Some((Some(key), at)) => entries.push(Entry { key, at, value: node }),
                // The value of what was no key.
                Some((None, _)) => {}
                None => match &node.target().kind {
                    Kind::Scalar(name, _) => *key = Some((Some(name.clone()), place)),
                    Kind::Broken => *key = Some((None, place)),
                    Kind::List(_) | Kind::Map(_) | Kind::Shared(_) => {
                        let fault = Diagnostic::error(code::SYNTAX, place, "a key must be a text");
                        let braces = text.get(range(place)).is_some_and(|raw| raw.starts_with('{'));
                        let help = braces.then(|| QUOTE_BRACES.to_owned());
                        self.faults.push(fault.maybe_help(help));
                        open.braces |= braces;
                        *key = Some((None, place));
                    }
                },
            },
        }
    }

    fn alias(&mut self, id: usize, at: Span) -> Option<()> {
        let Some(anchor) = self.anchors.get(&id) else {
            let message = "this alias stands inside the value that it refers to";
            self.faults.push(Diagnostic::error(code::ALIAS, at, message));
            self.finish(Made { node: Node::new(at, Kind::Broken), size: 1, height: 0 }, 0);
            return Some(());
        };
        let (node, size, height) = (Arc::clone(&anchor.node), anchor.size, anchor.height);
        self.borrow(size, at)?;
        if self.stack.len() + height > MAX_DEPTH {
            self.too_deep(at);
            return None;
        }
        let place = node.at;
        let node = Node { at: place, used: Some(Box::new(at)), kind: Kind::Shared(node) };
        self.attach(Made { node, size, height });
        Some(())
    }

    fn borrow(&mut self, size: usize, at: Span) -> Option<()> {
        self.borrowed = self.borrowed.saturating_add(size);
        if self.borrowed <= ALIAS_ALLOWANCE + 4 * self.nodes {
            return Some(());
        }
        let message = format!("the aliases up to here stand for more than {} values", self.borrowed);
        let fault = Diagnostic::error(code::TOO_BIG, at, message);
        self.faults.push(fault.help("write the values out, or alias less at a time"));
        None
    }

    fn duplicates(&mut self, entries: &[Entry<'s>]) {
        let mut report = |again: &Entry<'s>, first: Span| {
            let message = format!("the key `{}` stands twice", again.key);
            let fault = Diagnostic::error(code::DUPLICATE_KEY, again.at, message).label("again here");
            let fault = fault.related(first, "first here");
            self.faults.push(fault.help("rename one of them, or remove it: none is ever dropped"));
        };
        if entries.len() <= 8 {
            for (index, entry) in entries.iter().enumerate() {
                if let Some(first) = entries.iter().take(index).find(|other| other.key == entry.key) {
                    report(entry, first.at);
                }
            }
            return;
        }
        let mut seen: HashMap<&str, Span> = HashMap::with_capacity(entries.len());
        for entry in entries {
            match seen.get(entry.key.as_ref()) {
                Some(first) => report(entry, *first),
                None => drop(seen.insert(&entry.key, entry.at)),
            }
        }
    }

    /// Adds what `<<` brings, own keys first; returns how many nodes came.
    fn merge(&mut self, entries: &mut Vec<Entry<'s>>, merges: Vec<(Span, Node<'s>)>) -> usize {
        if merges.is_empty() {
            return 0;
        }
        let mut have: HashSet<String> = entries.iter().map(|entry| entry.key.to_string()).collect();
        let before = entries.len();
        for (at, node) in merges {
            let place = node.used.as_deref().copied().unwrap_or(at);
            match &node.target().kind {
                Kind::Map(more) => add(entries, &mut have, more, place),
                Kind::List(maps) => {
                    for map in maps {
                        match &map.target().kind {
                            Kind::Map(more) => {
                                let place = map.used.as_deref().copied().unwrap_or(at);
                                add(entries, &mut have, more, place);
                            }
                            Kind::Broken => {}
                            Kind::Scalar(..) | Kind::List(_) | Kind::Shared(_) => self.no_merge(map),
                        }
                    }
                }
                Kind::Broken => {}
                Kind::Scalar(..) | Kind::Shared(_) => self.no_merge(&node),
            }
        }
        entries.len() - before
    }

    fn no_merge(&mut self, node: &Node<'s>) {
        let place = node.used.as_deref().copied().unwrap_or(node.at);
        let fault = Diagnostic::error(code::ALIAS, place, "only a map, or a list of maps, can be merged");
        self.faults.push(fault.help("write `<<: *name`, where `&name` is at a map"));
    }

    /// Reports that the text cannot be read on.
    pub(super) fn syntax(&mut self, error: &ScanError) {
        let start = error.marker().byte_offset().unwrap_or(self.text.len()).min(self.text.len());
        // The parser stands behind a tab when it complains about it.
        let tab = start > 0 && self.text.as_bytes().get(start - 1) == Some(&b'\t');
        let start = if tab && is_tab(error.kind()) { start - 1 } else { start };
        let length = self.text.get(start..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        let at = self.span(start, start + length);
        if *error.kind() == ErrorKind::RecursionLimitExceeded {
            self.too_deep(at);
            return;
        }
        // Braces without quotes were named already; what comes of them is no news.
        if self.faults.iter().any(|fault| fault.help.as_deref() == Some(QUOTE_BRACES)) {
            return;
        }
        let (message, help) = explain(error, self.text, start);
        self.faults.push(Diagnostic::error(code::SYNTAX, at, message).maybe_help(help));
    }
}

fn range(at: Span) -> std::ops::Range<usize> {
    at.start as usize..at.end as usize
}

fn share(node: Node<'_>) -> Node<'_> {
    if matches!(node.kind, Kind::Shared(_)) {
        return node;
    }
    Node { at: node.at, used: None, kind: Kind::Shared(Arc::new(node)) }
}

fn add<'s>(to: &mut Vec<Entry<'s>>, have: &mut HashSet<String>, from: &[Entry<'s>], place: Span) {
    for entry in from {
        if have.insert(entry.key.to_string()) {
            let mut value = entry.value.clone();
            value.used = Some(Box::new(place));
            to.push(Entry { key: entry.key.clone(), at: entry.at, value });
        }
    }
}

impl From<ScalarStyle> for Style {
    fn from(style: ScalarStyle) -> Style {
        match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::SingleQuoted,
            ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
        }
    }
}
