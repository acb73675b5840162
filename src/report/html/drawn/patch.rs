//! Changes of several: what clashes with both sides, what goes in, file by file.

use super::{Drawn, more, sign, table};
use crate::report::computed::counted;
use crate::report::computed::part::{Change, Clash, Sign};
use crate::report::computed::who::Who;
use crate::report::html::fold;
use crate::report::html::markup::{Attr, Html, class};
use crate::report::sanitise::prefix;
use crate::report::style::Tone;

/// Conflicts shown with both sides.
const CONFLICTS: usize = 60;
/// Changes and files.
const LISTED: usize = 300;
/// Bytes of a change, and of one side of a conflict.
const BYTES: usize = 256 * 1024;

impl Drawn<'_> {
    pub(super) fn clashes(&self, html: &mut Html, clashes: &[Clash]) {
        self.title(html, Tone::Warn, "In conflict");
        for clash in clashes.iter().take(CONFLICTS) {
            html.tag("div", &[class("conflict")], |html| {
                html.tag("p", &[], |html| {
                    sign(html, Sign::Bad);
                    html.text(&clash.message);
                });
                html.tag("div", &[class("sides scroll"), Attr::Fixed("tabindex", "0")], |html| {
                    for (who, said) in &clash.sides {
                        html.tag("article", &[], |html| {
                            html.tag("p", &[], |html| html.tag("b", &[], |html| self.who(html, who)));
                            lines(html, said);
                        });
                    }
                });
            });
        }
        more(html, clashes.len(), CONFLICTS, "conflict");
    }

    /// Every change: in or out, and how large it is.
    pub(super) fn changes(&self, html: &mut Html, changes: &[Change], unchanged: &Who) {
        table(html, "changes", &["change", "", "added", "removed", "files"], |html| {
            for change in changes.iter().take(LISTED) {
                html.tag("tr", &[], |html| {
                    html.tag("th", &[Attr::Fixed("scope", "row")], |html| self.name(html, &change.call));
                    html.tag("td", &[class(if change.merged { "good" } else { "warn" })], |html| {
                        html.text(if change.merged { "✓ merged" } else { "✗ left out" });
                    });
                    html.leaf("td", "number", &format!("+{}", change.added));
                    html.leaf("td", "number", &format!("-{}", change.removed));
                    html.leaf("td", "number", &change.files.to_string());
                });
            }
        });
        more(html, changes.len(), LISTED, "change");
        if !unchanged.is_empty() {
            html.tag("p", &[class("dim")], |html| {
                html.text("Changed nothing: ");
                self.who(html, unchanged);
            });
        }
    }

    pub(super) fn files(&self, html: &mut Html, files: &[(String, Who)]) {
        let title = format!("{} merged", counted(files.len(), "file"));
        fold(html, &title, files.len() <= 40, |html| {
            html.tag("ul", &[], |html| {
                for (path, who) in files.iter().take(LISTED) {
                    html.tag("li", &[], |html| {
                        html.leaf("code", "", path);
                        html.text(" ");
                        html.tag("span", &[class("dim")], |html| self.who(html, who));
                    });
                }
            });
            more(html, files.len(), LISTED, "file");
        });
    }
}

/// Lines of a diff, each with its own mark in front.
pub(super) fn lines(html: &mut Html, diff: &str) {
    html.tag("pre", &[class("patch"), Attr::Fixed("tabindex", "0")], |html| {
        let cut = prefix(diff, BYTES);
        for (n, line) in cut.lines().enumerate() {
            html.text(if n > 0 { "\n" } else { "" });
            match line.as_bytes().first() {
                Some(b'+') => html.leaf("span", "ins", line),
                Some(b'-') => html.leaf("span", "del", line),
                Some(b'@') => html.leaf("span", "dim", line),
                Some(_) | None => html.text(line),
            }
        }
        html.text(if cut.len() < diff.len() { "\n…" } else { "" });
    });
}
