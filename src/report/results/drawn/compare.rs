//! A comparison as groups with their counts, what they share, and how alike they are.

use super::bars;
use super::cell::{Cell, row};
use super::{more, quote, room, title};
use crate::report::computed::part::{Choice, Groups, Matrix, Spread};
use crate::report::computed::{VALUE, counted};
use crate::report::results::page::Page;
use crate::report::sanitise::prefix;
use crate::report::style::Tone;

/// Groups whose answer is quoted.
const GROUPS: usize = 10;
/// Lines quoted of one answer.
const LINES: usize = 6;
/// Groups up to which the whole matrix is shown.
const MATRIX: usize = 12;
/// Lines or items listed under one title.
const LISTED: usize = 12;

/// The groups with their sizes, and what they say.
pub(super) fn groups(page: &mut Page<'_>, groups: &Groups<'_>) {
    page.blank();
    let (all, texts) = (groups.all, groups.texts);
    let groups = &groups.groups;
    let digits = groups.first().map_or(1, |largest| largest.who.len().to_string().len());
    for (number, group) in groups.iter().take(GROUPS).enumerate() {
        let size = group.who.len();
        let choice = Choice {
            value: format!("{}.", number + 1),
            tone: Some(if number == 0 && size > 1 { Tone::Good } else { Tone::Strong }),
            share: size as f64 / all.max(1) as f64,
            figure: format!("{size:>digits$} of {all}"),
            who: group.who.clone(),
        };
        bars::write(page, 0, &[choice], 1);
        match group.value.as_str() {
            Some(text) if texts => quote(page, 4, text, LINES),
            Some(text) => {
                row(page, 4, "", &[(Cell::line(None, prefix(text, VALUE), page.style), room(page, 4))])
            }
            None => {
                let text = group.value.to_string();
                row(page, 4, "", &[(Cell::line(None, prefix(&text, VALUE), page.style), room(page, 4))]);
            }
        }
    }
    let rest: usize = groups.iter().skip(GROUPS).map(|group| group.who.len()).sum();
    if rest > 0 {
        let text =
            format!("… {} with {}", counted(groups.len() - GROUPS, "more group"), counted(rest, "answer"));
        page.sentence(0, 2, Some(Tone::Dim), &text);
    }
}

/// What all share, what some, what only one has.
pub(super) fn spread(page: &mut Page<'_>, spread: &Spread) {
    let noun = spread.noun;
    let line = |page: &mut Page<'_>, mark: &str, tone: Option<Tone>, text: &str| {
        let room = room(page, 4);
        row(
            page,
            2,
            " ",
            &[(Cell::line(tone, mark, page.style), 1), (Cell::line(tone, text, page.style), room)],
        );
    };
    if !spread.shared.is_empty() {
        title(page, Tone::Strong, &format!("All share {}", counted(spread.shared.len(), noun)));
        spread.shared.iter().take(LISTED).for_each(|value| line(page, "=", None, value));
        more(page, 2, spread.shared.len(), LISTED, noun);
    }
    if !spread.some.is_empty() {
        title(page, Tone::Strong, &format!("Some share {}", counted(spread.some.len(), noun)));
        for (value, who) in spread.some.iter().take(LISTED) {
            line(page, "~", None, value);
            page.sentence(6, 2, Some(Tone::Dim), &format!("{}: {}", who.len(), who.text()));
        }
        more(page, 2, spread.some.len(), LISTED, noun);
    }
    if !spread.only.is_empty() {
        title(page, Tone::Strong, "Only one has");
    }
    for (who, values) in spread.only.iter().take(LISTED) {
        page.sentence(2, 2, Some(Tone::Dim), &format!("{}: {}", who.name, counted(values.len(), noun)));
        values.iter().take(LINES).for_each(|value| line(page, "+", Some(Tone::Warn), value));
        more(page, 2, values.len(), LINES, noun);
    }
    more(page, 2, spread.only.len(), LISTED, "answer");
}

/// How alike each two groups are, where it fits.
pub(super) fn matrix(page: &mut Page<'_>, matrix: &Matrix) {
    let size = matrix.rows.len();
    if size > MATRIX || 4 + 6 * size > page.style.width {
        return;
    }
    title(page, Tone::Strong, &format!("How alike the groups are, by {}", matrix.by));
    let heads: String = (1..=size).map(|number| format!("{number:>6}")).collect();
    page.line(&page.style.paint(Tone::Dim, format!("    {heads}")));
    for (at, cells) in matrix.rows.iter().enumerate() {
        let mut text = format!("{:>4}", at + 1);
        for (column, likeness) in cells.iter().enumerate() {
            let cell = format!("{likeness:>6.2}");
            let tone = if column == at {
                Tone::Dim
            } else if *likeness >= 0.8 {
                Tone::Good
            } else {
                Tone::Info
            };
            text.push_str(&page.style.paint(tone, cell));
        }
        page.line(&text);
    }
}
