//! Markdown on the page, in elements of ours.
//!
//! Invariant: it goes through the writer of markup like everything else: what a model wrote is
//! text in these elements, and only an address of the web or of mail becomes a link.

use super::markup::{Attr, Html, class};
use crate::report::prose::{Address, Alignment, Block, Cell, Inline};

/// Writes the blocks.
pub(super) fn write(html: &mut Html, text: &[Block]) {
    html.tag("div", &[class("prose")], |html| blocks(html, text));
}

fn blocks(html: &mut Html, blocks: &[Block]) {
    for one in blocks {
        block(html, one);
    }
}

fn block(html: &mut Html, block: &Block) {
    match block {
        // Headings of the page stay the only ones in its outline that are above these.
        Block::Heading(1, text) => html.tag("h4", &[], |html| inlines(html, text)),
        Block::Heading(2, text) => html.tag("h5", &[], |html| inlines(html, text)),
        Block::Heading(_, text) => html.tag("h6", &[], |html| inlines(html, text)),
        Block::Paragraph(text) => html.tag("p", &[], |html| inlines(html, text)),
        Block::Code(text) => {
            html.tag("pre", &[Attr::Fixed("tabindex", "0")], |html| html.leaf("code", "", text.trim_end()));
        }
        Block::Quote(inside) => html.tag("blockquote", &[], |html| blocks(html, inside)),
        Block::List(from, items) => {
            let items = |html: &mut Html| {
                items.iter().for_each(|item| html.tag("li", &[], |html| self::item(html, item)))
            };
            match from {
                Some(from) => html.tag("ol", &[Attr::Number("start", *from as f64)], items),
                None => html.tag("ul", &[], items),
            }
        }
        Block::Table(alignments, head, rows) => table(html, alignments, head, rows),
        Block::Rule => html.literal("<hr>"),
    }
}

/// An item that is one paragraph needs none.
fn item(html: &mut Html, item: &[Block]) {
    match item {
        [Block::Paragraph(text), rest @ ..]
            if !rest.iter().any(|block| matches!(block, Block::Paragraph(_))) =>
        {
            inlines(html, text);
            blocks(html, rest);
        }
        item => blocks(html, item),
    }
}

fn table(html: &mut Html, alignments: &[Alignment], head: &[Cell], rows: &[Vec<Cell>]) {
    let row = |html: &mut Html, name: &'static str, cells: &[Cell]| {
        html.tag("tr", &[], |html| {
            for (cell, alignment) in cells.iter().zip(alignments) {
                let attrs: &[Attr<'_>] = match alignment {
                    Alignment::Right => &[class("right")],
                    Alignment::Center => &[class("center")],
                    Alignment::Left | Alignment::None => &[],
                };
                html.tag(name, attrs, |html| inlines(html, cell));
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

fn inlines(html: &mut Html, inlines: &[Inline]) {
    for one in inlines {
        inline(html, one);
    }
}

fn inline(html: &mut Html, inline: &Inline) {
    match inline {
        Inline::Text(text) => html.text(text),
        Inline::Code(text) => html.leaf("code", "", text),
        Inline::Break => html.literal("<br>"),
        Inline::Emphasis(inside) => html.tag("em", &[], |html| inlines(html, inside)),
        Inline::Strong(inside) => html.tag("strong", &[], |html| inlines(html, inside)),
        Inline::Strike(inside) => html.tag("s", &[], |html| inlines(html, inside)),
        Inline::Link(to, inside) => link(html, to, inside),
        Inline::Image(to, inside) => {
            html.text("[image: ");
            inlines(html, inside);
            html.text("] ");
            link(html, to, &[Inline::Text(to.clone())]);
        }
    }
}

/// A link says where it leads: its text is a stranger's.
fn link(html: &mut Html, to: &str, inside: &[Inline]) {
    let same = matches!(inside, [Inline::Text(text)] if to.strip_prefix("mailto:").unwrap_or(to) == text);
    match Address::of(to) {
        Some(address) => {
            html.tag("a", &[Attr::Away(&address)], |html| inlines(html, inside));
        }
        None => inlines(html, inside),
    }
    if !same {
        html.leaf("span", "dim", &format!(" ({to})"));
    }
}
