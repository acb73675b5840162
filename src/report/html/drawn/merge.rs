//! A merge: what is in dispute with both values, then what was found, by whom, where.

use serde_json::Value;

use super::{Drawn, more, table};
use crate::report::computed::counted;
use crate::report::computed::part::{Dispute, Found, Item, Merged};
use crate::report::html::markup::{Attr, Html, class};
use crate::report::html::{fold, value};

/// Conflicts.
const CONFLICTS: usize = 100;
/// Items.
const LISTED: usize = 1000;
/// Items each of which shows how everybody put it.
const WORDED: usize = 300;
/// Items up to which no filter is needed.
const FEW: usize = 8;
/// Agents up to which everybody has a column.
const COLUMNS: usize = 12;

impl Drawn<'_> {
    /// What those who found an item say of it that does not agree.
    pub(super) fn disputes(&self, html: &mut Html, disputes: &[Dispute], noun: &str) {
        self.title(html, crate::report::style::Tone::Warn, "In dispute");
        for dispute in disputes.iter().take(CONFLICTS) {
            html.tag("div", &[class("conflict")], |html| {
                if let Some((number, what)) = &dispute.of {
                    html.tag("p", &[], |html| {
                        html.leaf("b", "warn", &format!("! {number}. "));
                        html.text(what);
                    });
                }
                for (field, choices) in &dispute.fields {
                    if choices.is_empty() {
                        html.leaf("p", "", field);
                    }
                    self.tally(html, field, ["value", "say so"], choices);
                }
            });
        }
        more(html, disputes.len(), CONFLICTS, noun);
    }

    /// Merged items, and those that too few found.
    pub(super) fn found(&self, html: &mut Html, found: &Found<'_>) {
        if !found.items.is_empty() {
            // A few are found by looking.
            html.literal(if found.items.len() <= FEW { "" } else {
                "<form class=\"finder\"><label>Find in these <input type=\"search\" autocomplete=\"off\"></label> \
                 <output></output></form>"
            });
            self.items(html, found, &found.items);
        }
        if !found.left_out.is_empty() {
            let title = format!("Left out: {} that too few found", counted(found.left_out.len(), "item"));
            fold(html, &title, false, |html| self.items(html, found, &found.left_out));
        }
    }

    fn items(&self, html: &mut Html, found: &Found<'_>, items: &[Item<'_>]) {
        let columns = found.voices.len() <= COLUMNS;
        let disputes = items.iter().any(|item| !item.disputed.is_empty());
        html.tag("div", &[class("scroll"), Attr::Fixed("tabindex", "0")], |html| {
            html.tag("table", &[class("found")], |html| {
                html.tag("thead", &[], |html| {
                    html.tag("tr", &[], |html| {
                        super::head(html, "no.");
                        super::head(html, "what");
                        if disputes {
                            super::head(html, "in dispute");
                        }
                        super::head(html, "found by");
                        if columns {
                            for voice in &found.voices {
                                html.tag("th", &[Attr::Fixed("scope", "col"), class("voice")], |html| {
                                    self.name(html, voice);
                                });
                            }
                        } else {
                            super::head(html, "who");
                        }
                    });
                });
                html.tag("tbody", &[], |html| {
                    for (number, item) in (1..).zip(items.iter().take(LISTED)) {
                        html.tag("tr", &[], |html| {
                            html.leaf("td", "number", &format!("{number}."));
                            html.tag("td", &[class("said")], |html| {
                                html.leaf("code", "place", &item.place);
                                html.text(&item.words);
                                if number <= WORDED {
                                    self.members(html, item);
                                }
                            });
                            if disputes {
                                html.tag("td", &[class("warn")], |html| {
                                    html.text(if item.disputed.is_empty() { "" } else { "! " });
                                    html.text(&item.disputed.join(", "));
                                });
                            }
                            html.leaf("td", "number", &format!("{} of {}", item.who.len(), found.answered));
                            if columns {
                                for voice in &found.voices {
                                    match item.who.has(&voice.call) {
                                        true => html.literal("<td class=\"voice good\">✓</td>"),
                                        false => html.literal("<td class=\"voice dim\">–</td>"),
                                    }
                                }
                            } else {
                                html.tag("td", &[class("names")], |html| self.who(html, &item.who));
                            }
                        });
                    }
                });
            });
        });
        more(html, items.len(), LISTED, "item");
    }

    /// How each of them put it.
    fn members(&self, html: &mut Html, item: &Item<'_>) {
        if item.members.is_empty() {
            return;
        }
        let title = if item.members.len() == 1 { "all of it" } else { "as each of them put it" };
        html.tag("details", &[class("members")], |html| {
            html.leaf("summary", "dim", title);
            for (who, original) in item.members.iter().take(COLUMNS) {
                html.tag("div", &[], |html| {
                    html.tag("b", &[], |html| self.name(html, who));
                    match original {
                        Value::String(text) => html.leaf("p", "", text),
                        Value::Null
                        | Value::Bool(_)
                        | Value::Number(_)
                        | Value::Array(_)
                        | Value::Object(_) => {
                            value::write(html, &self.context.names, original);
                        }
                    }
                });
            }
            more(html, item.members.len(), COLUMNS, "wording");
        });
    }

    /// Objects that were merged field by field.
    pub(super) fn merged(&self, html: &mut Html, fields: &[Merged], answered: usize) {
        table(html, "fields", &["field", "has it", "value", "who"], |html| {
            for field in fields.iter().take(LISTED) {
                html.tag("tr", &[class(if field.disputed { "changed" } else { "" })], |html| {
                    html.tag("th", &[Attr::Fixed("scope", "row")], |html| {
                        html.leaf("b", "warn", if field.disputed { "! " } else { "" });
                        html.leaf("code", "", &field.pointer);
                    });
                    html.leaf("td", "number", &format!("{} of {answered}", field.who.len()));
                    html.leaf("td", if field.disputed { "warn" } else { "" }, &field.value);
                    html.tag("td", &[class("names")], |html| self.who(html, &field.who));
                });
            }
        });
        more(html, fields.len(), LISTED, "field");
    }
}
