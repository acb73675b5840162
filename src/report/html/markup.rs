//! A writer of HTML in which text can only ever be text.
//!
//! Invariants: names of elements and attributes are literals of this program; links
//! lead to anchors of the page or to addresses that were looked at; everything else passes the sanitiser and is
//! escaped on its way in. There is no way to hand in markup that came from elsewhere.

use std::fmt::{self, Write as _};

use crate::report::prose::Address;
use crate::report::sanitise;
use crate::report::style::Style;

/// The page as far as it is written.
#[derive(Debug, Default)]
pub(super) struct Html {
    out: String,
}

/// A place on the page that links lead to: a kind of thing and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    /// A section, by a name of ours.
    Section(&'static str),
    /// A call, by its place in the plan.
    Call(usize),
    /// An instance of an expanded call.
    Instance(usize, u32),
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Anchor::Section(name) => f.write_str(name),
            Anchor::Call(call) => write!(f, "c{call}"),
            Anchor::Instance(call, index) => write!(f, "c{call}-{index}"),
        }
    }
}

/// An attribute.
#[derive(Debug, Clone, Copy)]
pub(super) enum Attr<'a> {
    /// One of ours.
    Fixed(&'static str, &'static str),
    /// A second class beside a first, both of ours.
    Classes(&'static str, &'static str),
    /// A text that is shown or read out: `title`, `aria-label`, or data for the filter.
    Text(&'static str, &'a str),
    /// A number.
    Number(&'static str, f64),
    /// Where a bar stands: its left edge and its width, in percent.
    Span(f64, f64),
    /// The element's own anchor.
    Here(Anchor),
    /// A link to an anchor.
    To(Anchor),
    /// A link that leads away, to an address that a reader may follow.
    Away(&'a Address),
    /// An attribute that has no value.
    Flag(&'static str),
}

/// `class="…"`.
pub(super) fn class(name: &'static str) -> Attr<'static> {
    Attr::Fixed("class", name)
}

impl Html {
    /// The page as text.
    pub(super) fn finish(self) -> String {
        self.out
    }

    /// Markup of ours, from a literal.
    pub(super) fn literal(&mut self, markup: &'static str) {
        self.out.push_str(markup);
    }

    /// An element with something inside.
    pub(super) fn tag(&mut self, name: &'static str, attrs: &[Attr<'_>], inside: impl FnOnce(&mut Html)) {
        self.open(name, attrs);
        inside(self);
        let _ = write!(self.out, "</{name}>");
    }

    /// An element with a text and a class (none if empty).
    pub(super) fn leaf(&mut self, name: &'static str, of_class: &'static str, text: &str) {
        let attrs: &[Attr<'_>] = if of_class.is_empty() { &[] } else { &[class(of_class)] };
        self.tag(name, attrs, |html| html.text(text));
    }

    /// Text: lines stay lines, nothing invisible stays, nothing is markup.
    pub(super) fn text(&mut self, raw: &str) {
        escape(&mut self.out, &sanitise::text(raw, &Style::FILE));
    }

    /// Text as one line, cut after so many columns.
    pub(super) fn short(&mut self, raw: &str, columns: usize) {
        escape(&mut self.out, &sanitise::short(raw, columns, &Style::FILE));
    }

    fn open(&mut self, name: &'static str, attrs: &[Attr<'_>]) {
        let out = &mut self.out;
        let _ = write!(out, "<{name}");
        for attr in attrs {
            let _ = match attr {
                Attr::Fixed(name, value) => write!(out, " {name}=\"{value}\""),
                Attr::Classes(one, other) => write!(out, " class=\"{one} {other}\""),
                Attr::Number(name, value) => write!(out, " {name}=\"{}\"", (value * 100.0).round() / 100.0),
                Attr::Span(left, width) => write!(out, " style=\"left:{left:.3}%;width:{width:.3}%\""),
                Attr::Here(anchor) => write!(out, " id=\"{anchor}\""),
                Attr::To(anchor) => write!(out, " href=\"#{anchor}\""),
                Attr::Flag(name) => write!(out, " {name}"),
                Attr::Away(address) => {
                    let _ = write!(out, " href=\"");
                    escape(out, address.as_str());
                    write!(out, "\" rel=\"noopener noreferrer\" target=\"_blank\"")
                }
                Attr::Text(name, value) => {
                    let _ = write!(out, " {name}=\"");
                    escape(out, &sanitise::text(value, &Style::FILE));
                    write!(out, "\"")
                }
            };
        }
        out.push('>');
    }
}

fn escape(out: &mut String, clean: &str) {
    for c in clean.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_text_in_elements_and_in_attributes() {
        let mut html = Html::default();
        let nasty = "</p><script>x('\"')</script>&amp;\u{2028}\x1b[2J";
        html.tag("p", &[Attr::Text("title", nasty), Attr::To(Anchor::Instance(3, 1))], |html| {
            html.text(nasty)
        });
        let text = "&lt;/p&gt;&lt;script&gt;x(&#39;&quot;&#39;)&lt;/script&gt;&amp;amp;\n";
        assert_eq!(html.finish(), format!("<p title=\"{text}\" href=\"#c3-1\">{text}</p>"));
    }
}
