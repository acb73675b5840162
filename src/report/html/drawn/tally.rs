//! Choices with how much speaks for each: a figure, a bar, who.

use super::{Drawn, more, tone};
use crate::report::computed::part::Choice;
use crate::report::html::markup::{Attr, Html, class};

/// Choices of one table.
const CHOICES: usize = 60;

impl Drawn<'_> {
    /// A table of choices; the first head is what a choice is, the second what is counted.
    pub(super) fn tally(
        &self,
        html: &mut Html,
        caption: &str,
        [what, counted]: [&str; 2],
        choices: &[Choice],
    ) {
        if choices.is_empty() {
            return;
        }
        html.tag("div", &[class("scroll"), Attr::Fixed("tabindex", "0")], |html| {
            html.tag("table", &[class("tally")], |html| {
                if !caption.is_empty() {
                    html.leaf("caption", "", caption);
                }
                html.tag("thead", &[], |html| {
                    html.tag("tr", &[], |html| {
                        super::head(html, what);
                        html.tag("th", &[Attr::Fixed("scope", "col"), Attr::Fixed("colspan", "2")], |html| {
                            html.text(counted);
                        });
                        super::head(html, "who");
                    });
                });
                html.tag("tbody", &[], |html| {
                    for choice in choices.iter().take(CHOICES) {
                        html.tag("tr", &[], |html| self.choice(html, choice));
                    }
                });
            });
        });
        more(html, choices.len(), CHOICES, what);
    }

    /// The cells of a choice.
    pub(super) fn choice(&self, html: &mut Html, choice: &Choice) {
        let tone = tone(choice.tone);
        html.tag("th", &[Attr::Fixed("scope", "row"), Attr::Classes("value", tone)], |html| {
            html.text(&choice.value);
        });
        html.leaf("td", "number", &choice.figure);
        html.tag("td", &[class("gauge")], |html| gauge(html, tone, choice.share));
        html.tag("td", &[], |html| self.who(html, &choice.who));
    }
}

/// A bar for a share of the whole.
pub(super) fn gauge(html: &mut Html, tone: &'static str, share: f64) {
    html.tag("div", &[class("gauge-track")], |html| {
        let width = share.clamp(0.0, 1.0) * 100.0;
        html.tag("i", &[Attr::Classes("bar", tone), Attr::Span(0.0, width)], |_| {});
    });
}
