//! What the parent's model decided or wrote, and what that rests on.

use super::{more, title};
use crate::report::computed::part::{Claim, Decision, Sign};
use crate::report::prose;
use crate::report::results::page::{Extent, Page};
use crate::report::style::Tone;

/// Entries listed under one title.
const LISTED: usize = 40;
/// Sides shown of a decision that were not chosen.
const SIDES: usize = 4;
/// Lines of a reason.
const LINES: usize = 40;

pub(super) fn claims(page: &mut Page<'_>, claims: &[Claim]) {
    title(page, Tone::Strong, "Rests on");
    for claim in claims.iter().take(LISTED) {
        page.entry(2, Tone::Info, Sign::Point.mark(page.style), &claim.text);
        for (who, quote) in &claim.cites {
            let (open, close) = (page.style.pick("“", "\""), page.style.pick("”", "\""));
            let text = match quote.as_str() {
                "" => who.name.clone(),
                quote => format!("{}: {open}{quote}{close}", who.name),
            };
            page.sentence(4, 2, Some(Tone::Dim), &text);
        }
    }
    more(page, 2, claims.len(), LISTED, "claim");
}

/// What the model settled of the conflicts, and why.
pub(super) fn decisions(page: &mut Page<'_>, who: Option<&str>, decisions: &[Decision]) {
    let who = who.map(|who| format!(" ({who})")).unwrap_or_default();
    title(page, Tone::Strong, &format!("Decided by the parent{who}"));
    for decision in decisions.iter().take(LISTED) {
        let sign = if decision.chosen.is_some() { Sign::Good } else { Sign::Open };
        page.entry(2, sign.tone(), sign.mark(page.style), &decision.about);
        let not = match &decision.chosen {
            Some((value, by)) => {
                let text = format!("{value}, as {} said", by.text());
                page.sentence(4, 2, Some(Tone::Good), &text);
                "not "
            }
            None => {
                page.sentence(4, 2, Some(Tone::Warn), "left open");
                ""
            }
        };
        for (said, by) in decision.others.iter().take(SIDES) {
            page.sentence(4, 2, Some(Tone::Dim), &format!("{not}{said} ({})", by.text()));
        }
        let text = format!("because {}", decision.reason);
        match prose::read(&text).filter(|blocks| page.style.prose && !prose::is_plain(blocks)) {
            Some(_) => page.prose(4, &text, &Extent { lines: LINES, rest: "the JSON result has all of it" }),
            None => page.sentence(4, 2, None, &text),
        }
    }
    more(page, 2, decisions.len(), LISTED, "decision");
}
