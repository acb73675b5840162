//! What the parent's model decided or wrote, and what that rests on: citations lead to the calls.

use super::{Drawn, more, sign};
use crate::report::computed::part::{Claim, Decision, Sign};
use crate::report::html::markup::{Html, class};
use crate::report::prose;
use crate::report::style::Tone;

/// Claims and decisions.
const LISTED: usize = 200;

impl Drawn<'_> {
    pub(super) fn claims(&self, html: &mut Html, claims: &[Claim]) {
        self.title(html, Tone::Strong, "Rests on");
        html.tag("ul", &[class("claims")], |html| {
            for claim in claims.iter().take(LISTED) {
                html.tag("li", &[], |html| {
                    self.words(html, &claim.text);
                    html.tag("ul", &[], |html| {
                        for (who, quote) in &claim.cites {
                            html.tag("li", &[], |html| {
                                self.name(html, who);
                                if !quote.is_empty() {
                                    html.text(": ");
                                    html.leaf("span", "quoted", &format!("“{quote}”"));
                                }
                            });
                        }
                    });
                });
            }
        });
        more(html, claims.len(), LISTED, "claim");
    }

    /// What the model settled of the conflicts, and why.
    pub(super) fn decisions(&self, html: &mut Html, who: Option<&str>, decisions: &[Decision]) {
        let who = who.map(|who| format!(" ({who})")).unwrap_or_default();
        self.title(html, Tone::Strong, &format!("Decided by the parent{who}"));
        for decision in decisions.iter().take(LISTED) {
            let open = decision.chosen.is_none();
            html.tag("div", &[class(if open { "conflict" } else { "conflict decided" })], |html| {
                html.tag("p", &[], |html| {
                    sign(html, if open { Sign::Open } else { Sign::Good });
                    html.leaf("b", "", &decision.about);
                });
                html.tag("p", &[], |html| match &decision.chosen {
                    Some((value, by)) => {
                        html.leaf("b", "good", value);
                        html.text(", as ");
                        self.who(html, by);
                        html.text(" said");
                    }
                    None => html.leaf("b", "warn", "left open"),
                });
                for (value, by) in decision.others.iter().take(LISTED) {
                    html.tag("p", &[class("dim")], |html| {
                        html.text(if open { "" } else { "not " });
                        html.text(value);
                        html.text(" (");
                        self.who(html, by);
                        html.text(")");
                    });
                }
                html.tag("div", &[class("reason")], |html| {
                    html.leaf("span", "dim", "because ");
                    self.words(html, &decision.reason);
                });
            });
        }
        more(html, decisions.len(), LISTED, "decision");
    }

    /// A sentence or more of a model's: Markdown where it is some.
    pub(super) fn words(&self, html: &mut Html, text: &str) {
        match prose::read(text) {
            Some(blocks) => super::super::prose::write_inside(html, &blocks, &self.context.names),
            None => html.text(text),
        }
    }
}
