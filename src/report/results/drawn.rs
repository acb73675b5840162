//! What a step of the parent computed, drawn in a terminal: its parts, each fitted to the width.
//!
//! Invariants: `report::computed` says what is told and in which order, here only how; a result in a
//! shape that is not known stands as its own text; every list is bounded, with the rest counted.

mod asked;
mod bars;
mod cell;
mod compare;
mod fields;
mod merge;
mod patch;
mod ranking;
mod texts;

use serde_json::Value;

use super::page::{Extent, Page};
use crate::report::computed::part::{Entries, Fact, Part, Question};
use crate::report::computed::{self, rest};
use crate::report::style::{Style, Tone};
use cell::{Cell, row};

/// Choices listed of one question.
const CHOICES: usize = 12;
/// Questions listed.
const QUESTIONS: usize = 40;
/// Groups of candidates listed.
const GROUPS: usize = 8;
/// Lines of an answer that is quoted.
const QUOTED: usize = 20;
/// Lines of what a model wrote.
const LINES: usize = 300;
/// Lines of a change.
const PATCH: usize = 80;

/// Rows of a result, painted and fitted to `style.width`, with `text` for what is not known.
pub(super) fn rows(result: &Value, text: &str, style: &Style) -> Vec<String> {
    let mut page = Page::new(style);
    match computed::of(result) {
        Some(shown) => {
            page.facts(0, &shown.facts);
            shown.parts.iter().for_each(|part| self::part(&mut page, part));
        }
        None => page.body(0, text, &Extent { lines: usize::MAX, rest: "" }),
    }
    page.finish().lines().map(str::to_owned).collect()
}

/// Two texts beside each other, or as a unified diff where it is too narrow; empty where they are too long.
pub(super) fn beside(names: [&str; 2], texts: [&str; 2], style: &Style) -> Vec<String> {
    let mut page = Page::new(style);
    let values = texts.map(Value::from);
    texts::write(&mut page, &computed::two(names, &values));
    page.finish().lines().map(str::to_owned).collect()
}

fn part(page: &mut Page<'_>, part: &Part<'_>) {
    match part {
        Part::Verdict(sign, text) => {
            page.blank();
            page.entry(0, sign.tone(), sign.mark(page.style), text);
        }
        Part::Quote(text) => quote(page, 4, text, QUOTED),
        Part::Prose(text) => {
            page.blank();
            page.prose(0, text, &Extent { lines: LINES, rest: "the JSON result has all of it" });
        }
        Part::Printed(value) => {
            page.blank();
            let text = value.as_str().map_or_else(|| format!("{value:#}"), str::to_owned);
            page.body(0, &text, &Extent { lines: usize::MAX, rest: "" });
        }
        Part::Notes(notes) => {
            page.blank();
            notes.iter().for_each(|note| self::note(page, 0, note));
        }
        Part::Entries(entries) => self::entries(page, entries),
        Part::Questions(questions) => {
            questions.iter().take(QUESTIONS).for_each(|question| self::question(page, question));
            more(page, 0, questions.len(), QUESTIONS, "question");
        }
        Part::Bars(text, choices, noun) => {
            title(page, Tone::Strong, text);
            bars::write(page, 2, choices, GROUPS);
            more(page, 2, choices.len(), GROUPS, noun);
        }
        Part::Groups(groups) => compare::groups(page, groups),
        Part::Spread(spread) => compare::spread(page, spread),
        Part::Texts(texts) => {
            if !texts::write(page, texts) {
                compare::groups(page, &texts.groups);
                compare::spread(page, &texts.spread);
            }
        }
        Part::Fields(fields) => fields::write(page, fields),
        Part::Matrix(matrix) => compare::matrix(page, matrix),
        Part::Disputes(disputes, noun) => merge::disputes(page, disputes, noun),
        Part::Found(found) => merge::found(page, found),
        Part::Merged(fields, answered) => merge::merged(page, fields, *answered),
        Part::Ranking(places) => ranking::write(page, places),
        Part::Clashes(clashes) => patch::clashes(page, clashes),
        Part::Changes(changes, unchanged) => patch::changes(page, changes, unchanged),
        Part::Files(files) => patch::files(page, files),
        Part::Diff(text, diff) => {
            title(page, Tone::Strong, text);
            unified(page, diff, PATCH);
        }
        Part::Claims(claims) => asked::claims(page, claims),
        Part::Decisions(who, decisions) => asked::decisions(page, who.as_deref(), decisions),
    }
}

fn question(page: &mut Page<'_>, question: &Question) {
    page.blank();
    page.entry(0, question.sign.tone(), question.sign.mark(page.style), &question.text);
    bars::write(page, 2, &question.choices, CHOICES);
    more(page, 2, question.choices.len(), CHOICES, "choice");
    if !question.abstained.is_empty() {
        let text = format!("abstained{}: {}", question.silence, question.abstained.text());
        page.sentence(2, 2, Some(Tone::Warn), &text);
    }
    question.notes.iter().for_each(|note| self::note(page, 2, note));
}

fn note(page: &mut Page<'_>, indent: usize, (tone, text): &Fact) {
    page.sentence(indent, 2, *tone, text);
}

fn entries(page: &mut Page<'_>, entries: &Entries) {
    if let Some((tone, text)) = &entries.title {
        title(page, *tone, text);
    }
    let most = if entries.title.is_some() { entries.most } else { usize::MAX };
    for entry in entries.entries.iter().take(most) {
        let text = match &entry.who {
            Some(who) => format!("{} {}", who.name, entry.text),
            None => entry.text.clone(),
        };
        page.entry(2, entry.sign.tone(), entry.sign.mark(page.style), &text);
    }
    more(page, 2, entries.entries.len(), most, entries.noun);
}

/// The title of a part, with a blank line before it.
fn title(page: &mut Page<'_>, tone: Tone, text: &str) {
    page.blank();
    page.sentence(0, 2, Some(tone), text);
}

/// `… 3 more items`.
fn more(page: &mut Page<'_>, indent: usize, total: usize, shown: usize, noun: &str) {
    if let Some(text) = rest(total, shown, noun, page.style) {
        page.sentence(indent, 2, Some(Tone::Dim), &text);
    }
}

/// The first lines of an answer, wrapped.
fn quote(page: &mut Page<'_>, indent: usize, text: &str, shown: usize) {
    let lines: Vec<&str> = text.trim_end().lines().skip_while(|line| line.trim().is_empty()).collect();
    for line in lines.iter().take(shown) {
        let cell = Cell::verbatim(None, crate::report::sanitise::prefix(line, computed::VALUE), page.style);
        row(page, indent, "", &[(cell, room(page, indent))]);
    }
    more(page, indent, lines.len(), shown, "line");
}

fn room(page: &Page<'_>, indent: usize) -> usize {
    page.style.width.saturating_sub(indent).min(140)
}

/// A unified diff in its colours, wrapped.
fn unified(page: &mut Page<'_>, text: &str, lines: usize) {
    for line in text.lines().take(lines) {
        let tone = match line.as_bytes().first() {
            Some(b'+') => Some(Tone::Good),
            Some(b'-') => Some(Tone::Bad),
            Some(b'@') => Some(Tone::Info),
            Some(_) | None => None,
        };
        let cell = Cell::verbatim(tone, crate::report::sanitise::prefix(line, computed::VALUE), page.style);
        row(page, 0, "", &[(cell, page.style.width)]);
    }
    more(page, 0, text.lines().count(), lines, "line");
}

#[cfg(test)]
mod tests;
