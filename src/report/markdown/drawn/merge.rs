//! Merged items: who found each, where, what it says, on what they disagree.

use super::{Document, cell, path, who};
use crate::report::computed::counted;
use crate::report::computed::part::{Found, Item};

/// Agents up to which everybody has a column.
const VOICES: usize = 8;

impl Document {
    pub(super) fn found(&mut self, found: &Found<'_>) {
        if !found.items.is_empty() {
            self.items(found, &found.items);
        }
        if !found.left_out.is_empty() {
            self.open(&format!("Left out: {} that too few found", counted(found.left_out.len(), "item")));
            self.items(found, &found.left_out);
            self.close();
        }
    }

    fn items(&mut self, found: &Found<'_>, items: &[Item<'_>]) {
        let columns = found.voices.len() <= VOICES;
        let places = items.iter().any(|item| !item.place.is_empty());
        let disputes = items.iter().any(|item| !item.disputed.is_empty());
        let mut heads = vec!["no.".to_owned(), "found by".to_owned()];
        if columns {
            heads.extend(found.voices.iter().map(|voice| cell(&voice.name)));
        } else {
            heads.push("who".to_owned());
        }
        heads.extend(places.then(|| "where".to_owned()));
        heads.push("what".to_owned());
        heads.extend(disputes.then(|| "in dispute".to_owned()));
        let rows = (1..).zip(items).map(|(number, item): (usize, _)| {
            let mut row = vec![format!("{number}."), format!("{} of {}", item.who.len(), found.answered)];
            if columns {
                let mark = |call: &str| if item.who.has(call) { "✓" } else { "–" };
                row.extend(found.voices.iter().map(|voice| mark(&voice.call).to_owned()));
            } else {
                row.push(who(&item.who));
            }
            row.extend(places.then(|| path(&item.place)));
            row.push(cell(&item.words));
            let mark = if item.disputed.is_empty() { "" } else { "! " };
            row.extend(disputes.then(|| format!("{mark}{}", cell(&item.disputed.join(", ")))));
            row
        });
        self.table_of(&heads, rows, (items.len(), "item"));
    }
}
