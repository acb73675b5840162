//! Candidates by rank, with the reasons.

use super::cell::{Cell, row};
use super::{more, room};
use crate::report::computed::part::Place;
use crate::report::results::page::Page;
use crate::report::style::Tone;

/// Candidates listed.
const LISTED: usize = 20;

pub(super) fn write(page: &mut Page<'_>, places: &[Place]) {
    page.blank();
    let style = page.style;
    let name = |place: &Place| Cell::line(Some(Tone::Strong), &place.call.name, style);
    let names: Vec<Cell> = places.iter().take(LISTED).map(name).collect();
    let width = names.iter().map(Cell::columns).max().unwrap_or(0).min((style.width / 3).max(8));
    for (place, name) in places.iter().zip(names) {
        let mark = place.sign.map_or(" ", |sign| sign.mark(style));
        let tone = place.sign.map(|sign| sign.tone());
        let number = Cell::verbatim(tone, &format!("{mark}{:>2}.", place.rank), style);
        let reasons = Cell::line(None, &place.reasons, style);
        let left = room(page, 0).saturating_sub(4 + width + 4);
        row(page, 0, "  ", &[(number, 4), (name, width), (reasons, left)]);
        if place.rank > 1 && !place.because.is_empty() {
            let because = Cell::line(Some(Tone::Dim), &place.because, style);
            row(page, 4 + 2 + width + 2, "", &[(because, left)]);
        }
    }
    more(page, 0, places.len(), LISTED, "candidate");
}
