//! What models write is Markdown more often than not: read here, laid out by `terminal` and by the page.
//!
//! Invariants: nothing is lost and nothing is run together: a line of the text stays a line, markup of
//! HTML is text, an image is its address. What comes out is no cleaner than what went in, and
//! entities can even bring control characters: every text and every address still has to
//! pass the sanitiser. Linear in the text; a text too deep or too long to be laid out is none.

pub mod terminal;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag};

pub use pulldown_cmark::Alignment;

/// Blocks in blocks, emphasis in emphasis: nobody means more, and drawing it is recursive.
const DEEPEST: usize = 24;
/// Bytes of a text that is laid out; longer ones are shown as they are.
const LONGEST: usize = 1024 * 1024;

/// A part of a text that stands by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A heading and its level, from 1.
    Heading(u8, Vec<Inline>),
    /// Lines of text.
    Paragraph(Vec<Inline>),
    /// A block of code, line by line as it is.
    Code(String),
    /// What is quoted.
    Quote(Vec<Block>),
    /// A list, numbered from there where it is numbered.
    List(Option<u64>, Vec<Vec<Block>>),
    /// A table: how each column is aligned, its head, its rows.
    Table(Vec<Alignment>, Vec<Cell>, Vec<Vec<Cell>>),
    /// A line across.
    Rule,
}

/// What stands in one place of a table.
pub type Cell = Vec<Inline>;

/// A part of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Inline {
    /// Text as it is.
    Text(String),
    /// Code as it is.
    Code(String),
    /// The end of a line.
    Break,
    /// Something emphasised.
    Emphasis(Vec<Inline>),
    /// Something emphasised more.
    Strong(Vec<Inline>),
    /// Something taken back.
    Strike(Vec<Inline>),
    /// A link and where it says that it leads.
    Link(String, Vec<Inline>),
    /// An image, which is not shown, and where it is.
    Image(String, Vec<Inline>),
}

/// An address that a reader may follow: of the web, or of a person's mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// `None` for every other kind, and for one with white space or invisible characters in it.
    pub fn of(text: &str) -> Option<Address> {
        let known = ["http://", "https://", "mailto:"];
        let begins = |scheme: &&str| text.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
        let clean = super::sanitise::line(text, &super::style::Style::FILE);
        let is_plain = clean == text && !text.contains(char::is_whitespace);
        (is_plain && known.iter().any(begins)).then(|| Address(text.to_owned()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads a text; `None` for one that is to be shown as it is.
pub fn read(text: &str) -> Option<Vec<Block>> {
    if text.len() > LONGEST {
        return None;
    }
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut depth = 0_usize;
    let too_deep = Parser::new_ext(text, options).any(|event| {
        depth += usize::from(matches!(event, Event::Start(_)));
        depth = depth.saturating_sub(usize::from(matches!(event, Event::End(_))));
        depth > DEEPEST
    });
    (!too_deep).then(|| blocks(&mut Parser::new_ext(text, options)))
}

/// True where laying it out would change nothing but the place of line breaks.
pub fn is_plain(blocks: &[Block]) -> bool {
    let text = |inline: &Inline| matches!(inline, Inline::Text(_) | Inline::Break);
    blocks.iter().all(|block| matches!(block, Block::Paragraph(inlines) if inlines.iter().all(text)))
}

/// The blocks up to the end of the one that is open.
fn blocks<'t>(events: &mut impl Iterator<Item = Event<'t>>) -> Vec<Block> {
    let mut out = Vec::new();
    // In a tight list, the text of an item stands in no paragraph.
    let mut loose = Vec::new();
    while let Some(event) = events.next() {
        let found = match event {
            Event::End(_) => break,
            Event::Start(tag) => block(tag, events).map_err(Some),
            Event::Rule => Ok(Block::Rule),
            Event::Text(_)
            | Event::Code(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::Html(_)
            | Event::InlineHtml(_)
            | Event::FootnoteReference(_)
            | Event::SoftBreak
            | Event::HardBreak
            | Event::TaskListMarker(_) => Err(inline(event)),
        };
        let block = match found {
            Ok(block) => block,
            Err(inline) => {
                loose.extend(inline);
                continue;
            }
        };
        if !loose.is_empty() {
            out.push(Block::Paragraph(std::mem::take(&mut loose)));
        }
        out.push(block);
    }
    if !loose.is_empty() {
        out.push(Block::Paragraph(loose));
    }
    out
}

fn block<'t>(tag: Tag<'t>, events: &mut impl Iterator<Item = Event<'t>>) -> Result<Block, Inline> {
    Ok(match tag {
        Tag::Paragraph => Block::Paragraph(inlines(events)),
        Tag::Heading { level, .. } => Block::Heading(number(level), inlines(events)),
        Tag::BlockQuote(_) => Block::Quote(blocks(events)),
        Tag::CodeBlock(CodeBlockKind::Fenced(_) | CodeBlockKind::Indented) => Block::Code(verbatim(events)),
        Tag::HtmlBlock | Tag::MetadataBlock(_) => {
            let text = verbatim(events);
            let lines = text.trim_end().split('\n').map(|line| Inline::Text(line.to_owned()));
            let broken = lines.flat_map(|line| [Inline::Break, line]).skip(1);
            Block::Paragraph(broken.collect())
        }
        Tag::List(from) => {
            let mut items = Vec::new();
            while let Some(Event::Start(_)) = events.next() {
                items.push(blocks(events));
            }
            Block::List(from, items)
        }
        Tag::Table(alignments) => table(alignments, events),
        Tag::Item
        | Tag::FootnoteDefinition(_)
        | Tag::DefinitionList
        | Tag::DefinitionListTitle
        | Tag::DefinitionListDefinition
        | Tag::TableHead
        | Tag::TableRow
        | Tag::TableCell => Block::Quote(blocks(events)),
        Tag::Emphasis
        | Tag::Strong
        | Tag::Strikethrough
        | Tag::Superscript
        | Tag::Subscript
        | Tag::Link { .. }
        | Tag::Image { .. } => return Err(spanned(tag, events)),
    })
}

fn table<'t>(alignments: Vec<Alignment>, events: &mut impl Iterator<Item = Event<'t>>) -> Block {
    let mut rows = Vec::new();
    while let Some(Event::Start(_)) = events.next() {
        let mut cells = Vec::new();
        while let Some(Event::Start(_)) = events.next() {
            cells.push(inlines(events));
        }
        rows.push(cells);
    }
    let mut rows = rows.into_iter();
    Block::Table(alignments, rows.next().unwrap_or_default(), rows.collect())
}

fn number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

/// The text up to the end of what is open.
fn verbatim<'t>(events: &mut impl Iterator<Item = Event<'t>>) -> String {
    let mut text = String::new();
    for event in events {
        if matches!(event, Event::End(_)) {
            break;
        }
        if let Event::Text(part) | Event::Html(part) = event {
            text.push_str(&part);
        }
    }
    text
}

/// What stands in a line up to the end of what is open.
fn inlines<'t>(events: &mut impl Iterator<Item = Event<'t>>) -> Vec<Inline> {
    let mut out = Vec::new();
    while let Some(event) = events.next() {
        match event {
            Event::End(_) => break,
            Event::Start(tag) => out.push(spanned(tag, events)),
            Event::Text(_)
            | Event::Code(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::Html(_)
            | Event::InlineHtml(_)
            | Event::FootnoteReference(_)
            | Event::SoftBreak
            | Event::HardBreak
            | Event::Rule
            | Event::TaskListMarker(_) => out.extend(inline(event)),
        }
    }
    out
}

fn spanned<'t>(tag: Tag<'t>, events: &mut impl Iterator<Item = Event<'t>>) -> Inline {
    let inside = inlines(events);
    match tag {
        Tag::Strong => Inline::Strong(inside),
        Tag::Strikethrough => Inline::Strike(inside),
        Tag::Link { dest_url, .. } => Inline::Link(dest_url.into_string(), inside),
        Tag::Image { dest_url, .. } => Inline::Image(dest_url.into_string(), inside),
        // All but the first three do not occur in a line.
        Tag::Emphasis
        | Tag::Superscript
        | Tag::Subscript
        | Tag::Paragraph
        | Tag::Heading { .. }
        | Tag::BlockQuote(_)
        | Tag::CodeBlock(_)
        | Tag::HtmlBlock
        | Tag::List(_)
        | Tag::Item
        | Tag::FootnoteDefinition(_)
        | Tag::DefinitionList
        | Tag::DefinitionListTitle
        | Tag::DefinitionListDefinition
        | Tag::Table(_)
        | Tag::TableHead
        | Tag::TableRow
        | Tag::TableCell
        | Tag::MetadataBlock(_) => Inline::Emphasis(inside),
    }
}

fn inline(event: Event<'_>) -> Option<Inline> {
    match event {
        Event::Text(text)
        | Event::Html(text)
        | Event::InlineHtml(text)
        | Event::InlineMath(text)
        | Event::DisplayMath(text)
        | Event::FootnoteReference(text) => Some(Inline::Text(text.into_string())),
        Event::Code(text) => Some(Inline::Code(text.into_string())),
        Event::SoftBreak | Event::HardBreak | Event::Rule => Some(Inline::Break),
        Event::TaskListMarker(done) => Some(Inline::Text((if done { "[x] " } else { "[ ] " }).to_owned())),
        Event::Start(_) | Event::End(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Inline {
        Inline::Text(text.to_owned())
    }

    #[test]
    fn a_text_comes_apart_into_blocks_and_lines_stay_lines() {
        let read = read(
            "# Title\n\none\n**two** `x`\n\n- a\n- b\n  1. c\n\n> said\n\n```rust\nfn x() {}\n```\n***\n",
        );
        let paragraph = |inlines: Vec<Inline>| Block::Paragraph(inlines);
        assert_eq!(
            read.unwrap(),
            [
                Block::Heading(1, vec![text("Title")]),
                paragraph(vec![
                    text("one"),
                    Inline::Break,
                    Inline::Strong(vec![text("two")]),
                    text(" "),
                    Inline::Code("x".to_owned()),
                ]),
                Block::List(
                    None,
                    vec![
                        vec![paragraph(vec![text("a")])],
                        vec![
                            paragraph(vec![text("b")]),
                            Block::List(Some(1), vec![vec![paragraph(vec![text("c")])]]),
                        ],
                    ],
                ),
                Block::Quote(vec![paragraph(vec![text("said")])]),
                Block::Code("fn x() {}\n".to_owned()),
                Block::Rule,
            ]
        );
    }

    #[test]
    fn markup_of_html_is_text() {
        let read = read("<script>\nalert(1)\n</script>\n\na <b onclick=x>c</b>").unwrap();
        assert_eq!(
            read,
            [
                Block::Paragraph(vec![
                    text("<script>"),
                    Inline::Break,
                    text("alert(1)"),
                    Inline::Break,
                    text("</script>"),
                ]),
                Block::Paragraph(vec![text("a "), text("<b onclick=x>"), text("c"), text("</b>")]),
            ]
        );
        assert!(is_plain(&read));
    }

    #[test]
    fn what_is_too_deep_or_too_long_is_left_as_it_is() {
        assert_eq!(read(&">".repeat(100_000)), None);
        assert_eq!(read(&"> - ".repeat(50_000)), None);
        assert!(read(&"*_[](".repeat(20_000)).is_none_or(|blocks| !blocks.is_empty()));
        assert_eq!(read(&"a".repeat(LONGEST + 1)), None);
    }

    #[test]
    fn only_addresses_of_the_web_and_of_mail_are_followed() {
        for good in ["https://a.example/x?y=1", "HTTP://a.example", "mailto:a@b.example"] {
            assert_eq!(Address::of(good).unwrap().as_str(), good);
        }
        let bad =
            ["javascript:alert(1)", "data:text/html,x", "file:///etc", "#x", "/x", "", "java\nscript:x"];
        for bad in bad.into_iter().chain([
            "https://a b",
            "https://a\u{202e}b",
            " https://a",
            "httpss://x",
            "vbscript:x",
        ]) {
            assert_eq!(Address::of(bad), None, "{bad}");
        }
    }
}
