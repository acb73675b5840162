//! Markdown on the page, in elements of ours.
//!
//! Invariant: it goes through the writer of markup like everything else: what a model wrote is
//! text in these elements, and only an address of the web or of mail becomes a link.

use super::markup::{Attr, Html, class};
use super::names::Names;
use crate::report::prose::{Address, Alignment, Block, Cell, Inline};

/// Writes the blocks.
pub(super) fn write(html: &mut Html, text: &[Block]) {
    html.tag("div", &[class("prose")], |html| Prose { names: None }.blocks(html, text));
}

/// Writes the blocks of an answer that cites calls, as `[a]` or `[a; b]`: they lead there.
pub(super) fn write_citing(html: &mut Html, text: &[Block], names: &Names) {
    html.tag("div", &[class("prose answer")], |html| Prose { names: Some(names) }.blocks(html, text));
}

/// The same within a sentence of ours.
pub(super) fn write_inside(html: &mut Html, text: &[Block], names: &Names) {
    Prose { names: Some(names) }.item(html, text);
}

/// How it is written.
#[derive(Clone, Copy)]
struct Prose<'a> {
    /// The calls that may be cited.
    names: Option<&'a Names>,
}

impl Prose<'_> {
    fn blocks(self, html: &mut Html, blocks: &[Block]) {
        for one in blocks {
            self.block(html, one);
        }
    }

    fn block(self, html: &mut Html, block: &Block) {
        match block {
            // Headings of the page stay the only ones in its outline that are above these.
            Block::Heading(1, text) => html.tag("h4", &[], |html| self.inlines(html, text)),
            Block::Heading(2, text) => html.tag("h5", &[], |html| self.inlines(html, text)),
            Block::Heading(_, text) => html.tag("h6", &[], |html| self.inlines(html, text)),
            Block::Paragraph(text) => html.tag("p", &[], |html| self.inlines(html, text)),
            Block::Code(text) => {
                html.tag("pre", &[Attr::Fixed("tabindex", "0")], |html| {
                    html.leaf("code", "", text.trim_end())
                });
            }
            Block::Quote(inside) => html.tag("blockquote", &[], |html| self.blocks(html, inside)),
            Block::List(from, items) => {
                let items = |html: &mut Html| {
                    items.iter().for_each(|item| html.tag("li", &[], |html| self.item(html, item)))
                };
                match from {
                    Some(from) => html.tag("ol", &[Attr::Number("start", *from as f64)], items),
                    None => html.tag("ul", &[], items),
                }
            }
            Block::Table(alignments, head, rows) => self.table(html, alignments, head, rows),
            Block::Rule => html.literal("<hr>"),
        }
    }

    /// An item that is one paragraph needs none.
    fn item(self, html: &mut Html, item: &[Block]) {
        match item {
            [Block::Paragraph(text), rest @ ..]
                if !rest.iter().any(|block| matches!(block, Block::Paragraph(_))) =>
            {
                self.inlines(html, text);
                self.blocks(html, rest);
            }
            item => self.blocks(html, item),
        }
    }

    fn table(self, html: &mut Html, alignments: &[Alignment], head: &[Cell], rows: &[Vec<Cell>]) {
        let row = |html: &mut Html, name: &'static str, cells: &[Cell]| {
            html.tag("tr", &[], |html| {
                for (cell, alignment) in cells.iter().zip(alignments) {
                    let attrs: &[Attr<'_>] = match alignment {
                        Alignment::Right => &[class("right")],
                        Alignment::Center => &[class("center")],
                        Alignment::Left | Alignment::None => &[],
                    };
                    html.tag(name, attrs, |html| self.inlines(html, cell));
                }
            });
        };
        html.tag("div", &[class("scroll"), Attr::Fixed("tabindex", "0")], |html| {
            html.tag("table", &[], |html| {
                html.tag("thead", &[], |html| row(html, "th", head));
                html.tag("tbody", &[], |html| rows.iter().for_each(|cells| row(html, "td", cells)));
            });
        });
    }

    fn inlines(self, html: &mut Html, inlines: &[Inline]) {
        // A bracket ends a piece of text, so a citation is in several.
        for pieces in inlines.chunk_by(|a, b| matches!((a, b), (Inline::Text(_), Inline::Text(_)))) {
            match (pieces, self.names) {
                ([Inline::Text(_), ..], Some(names)) => {
                    let text = pieces
                        .iter()
                        .map(|piece| if let Inline::Text(text) = piece { text.as_str() } else { "" });
                    citing(html, &text.collect::<String>(), names);
                }
                (pieces, _) => pieces.iter().for_each(|one| self.inline(html, one)),
            }
        }
    }

    fn inline(self, html: &mut Html, inline: &Inline) {
        match inline {
            Inline::Text(text) => html.text(text),
            Inline::Code(text) => html.leaf("code", "", text),
            Inline::Break => html.literal("<br>"),
            Inline::Emphasis(inside) => html.tag("em", &[], |html| self.inlines(html, inside)),
            Inline::Strong(inside) => html.tag("strong", &[], |html| self.inlines(html, inside)),
            Inline::Strike(inside) => html.tag("s", &[], |html| self.inlines(html, inside)),
            Inline::Link(to, inside) => self.link(html, to, inside),
            Inline::Image(to, inside) => {
                html.text("[image: ");
                self.inlines(html, inside);
                html.text("] ");
                self.link(html, to, &[Inline::Text(to.clone())]);
            }
        }
    }

    /// A link says where it leads: its text is a stranger's.
    fn link(self, html: &mut Html, to: &str, inside: &[Inline]) {
        let same = matches!(inside, [Inline::Text(text)] if to.strip_prefix("mailto:").unwrap_or(to) == text);
        match Address::of(to) {
            Some(address) => {
                html.tag("a", &[Attr::Away(&address)], |html| self.inlines(html, inside));
            }
            None => self.inlines(html, inside),
        }
        if !same {
            html.leaf("span", "dim", &format!(" ({to})"));
        }
    }
}

/// Text in which `[a; b]` leads to the calls, where they are all there.
fn citing(html: &mut Html, text: &str, names: &Names) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        let inside = after
            .split_once(']')
            .map(|(inside, _)| inside)
            .filter(|inside| inside.split(';').all(|name| names.anchor(name.trim()).is_some()));
        html.text(before);
        html.text("[");
        rest = after;
        let Some(inside) = inside else { continue };
        for (n, name) in inside.split(';').enumerate() {
            html.text(if n > 0 { "; " } else { "" });
            names.write(html, name.trim());
        }
        rest = after.get(inside.len()..).unwrap_or_default();
    }
    html.text(rest);
}
