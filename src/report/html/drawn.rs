//! What a step of the parent computed, drawn on the page: its parts, in tables of ours.
//!
//! Invariants: `report::computed` says what is told and in which order, here only how; who is named is
//! linked to the call; no colour is the only mark; every list is bounded, with the rest counted.

mod asked;
mod compare;
mod merge;
mod patch;
mod tally;

use serde_json::Value;

use super::markup::{Attr, Html, class};
use super::{Context, fold, value};
use crate::report::computed::part::{Entries, Entry, Fact, Part, Place, Question, Shown, Sign};
use crate::report::computed::rest;
use crate::report::computed::who::{Named, Who};
use crate::report::prose;
use crate::report::sanitise::prefix;
use crate::report::style::{Style, Tone};

/// How marks look on the page.
const STYLE: &Style = &Style::FILE;
/// Bytes of one text.
const TEXT: usize = 64 * 1024;
/// Entries of one list.
const LISTED: usize = 200;
/// Draws with the names of the run's calls.
pub(super) struct Drawn<'a> {
    pub(super) context: &'a Context<'a>,
    /// The element of a part's heading.
    pub(super) heading: &'static str,
}

impl Drawn<'_> {
    /// The strategy with the facts, then every part.
    pub(super) fn shown(&self, html: &mut Html, strategy: &str, shown: &Shown<'_>) {
        self.facts(html, strategy, &shown.facts);
        shown.parts.iter().for_each(|part| self.part(html, part));
    }

    fn facts(&self, html: &mut Html, strategy: &str, facts: &[Fact]) {
        html.tag("p", &[class("facts")], |html| {
            html.leaf("b", "", strategy);
            for (tone, text) in facts {
                html.text(" · ");
                html.leaf("span", self::tone(*tone), text);
            }
        });
    }

    pub(super) fn part(&self, html: &mut Html, part: &Part<'_>) {
        match part {
            Part::Verdict(sign, text) => {
                html.tag("p", &[Attr::Classes("verdict", tone(Some(sign.tone())))], |html| {
                    html.leaf("b", "", sign.mark(STYLE));
                    html.text(" ");
                    html.text(text);
                })
            }
            Part::Quote(text) => pre(html, text),
            Part::Prose(text) => self.prose(html, text),
            Part::Printed(printed) => self.printed(html, printed),
            Part::Notes(notes) => notes.iter().for_each(|note| self.note(html, note)),
            Part::Entries(entries) => self.entries(html, entries),
            Part::Questions(questions) => {
                questions.iter().take(LISTED).for_each(|question| self.question(html, question));
                more(html, questions.len(), LISTED, "question");
            }
            Part::Bars(text, choices, noun) => {
                self.title(html, Tone::Strong, text);
                self.tally(html, "", [noun, "tests"], choices);
            }
            Part::Groups(groups) => self.groups(html, groups),
            Part::Spread(spread) => self.spread(html, spread),
            Part::Texts(texts) => self.texts(html, texts),
            Part::Fields(fields) => self.fields(html, fields),
            Part::Matrix(matrix) => self.matrix(html, matrix),
            Part::Disputes(disputes, noun) => self.disputes(html, disputes, noun),
            Part::Found(found) => self.found(html, found),
            Part::Merged(fields, answered) => self.merged(html, fields, *answered),
            Part::Ranking(places) => self.ranking(html, places),
            Part::Clashes(clashes) => self.clashes(html, clashes),
            Part::Changes(changes, unchanged) => self.changes(html, changes, unchanged),
            Part::Files(files) => self.files(html, files),
            Part::Diff(title, diff) => {
                let lines = diff.lines().count();
                fold(html, title, lines <= 200, |html| patch::lines(html, diff));
            }
            Part::Claims(claims) => self.claims(html, claims),
            Part::Decisions(who, decisions) => self.decisions(html, who.as_deref(), decisions),
        }
    }

    fn title(&self, html: &mut Html, tone: Tone, text: &str) {
        let of_class = if tone == Tone::Warn { "warn" } else { "" };
        html.leaf(self.heading, of_class, text);
    }

    /// What a model wrote, with its citations leading to the calls.
    fn prose(&self, html: &mut Html, text: &str) {
        match prose::read(text) {
            Some(blocks) => super::prose::write_citing(html, &blocks, &self.context.names),
            None => pre(html, text),
        }
    }

    fn printed(&self, html: &mut Html, printed: &Value) {
        match printed {
            Value::String(text) => html.tag("pre", &[class("answer")], |html| html.text(prefix(text, TEXT))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                value::write(html, &self.context.names, printed);
            }
        }
    }

    fn entries(&self, html: &mut Html, entries: &Entries) {
        if let Some((tone, text)) = &entries.title {
            self.title(html, *tone, text);
        }
        html.tag("ul", &[class("signed")], |html| {
            entries.entries.iter().take(LISTED).for_each(|entry| self.entry(html, entry));
        });
        more(html, entries.entries.len(), LISTED, entries.noun);
    }

    fn entry(&self, html: &mut Html, entry: &Entry) {
        html.tag("li", &[], |html| {
            self::sign(html, entry.sign);
            if let Some(who) = &entry.who {
                self.name(html, who);
                html.text(" ");
            }
            html.text(&entry.text);
        });
    }

    fn question(&self, html: &mut Html, question: &Question) {
        html.tag("p", &[class("question")], |html| {
            self::sign(html, question.sign);
            html.leaf("b", "", &question.text);
        });
        self.tally(html, "", ["choice", "votes"], &question.choices);
        if !question.abstained.is_empty() {
            html.tag("p", &[class("warn")], |html| {
                html.text(&format!("Abstained{}: ", question.silence));
                self.who(html, &question.abstained);
            });
        }
        question.notes.iter().for_each(|note| self.note(html, note));
    }

    fn note(&self, html: &mut Html, (tone, text): &Fact) {
        html.tag("p", &[class(self::tone(*tone))], |html| self.words(html, text));
    }

    fn ranking(&self, html: &mut Html, places: &[Place]) {
        table(html, "ranking", &["rank", "candidate", "reasons", "why here"], |html| {
            for place in places.iter().take(LISTED) {
                html.tag("tr", &[class(tone(place.sign.map(Sign::tone)))], |html| {
                    html.tag("td", &[class("number")], |html| {
                        place.sign.into_iter().for_each(|sign| self::sign(html, sign));
                        html.text(&format!("{}.", place.rank));
                    });
                    html.tag("th", &[Attr::Fixed("scope", "row")], |html| self.name(html, &place.call));
                    html.leaf("td", "", &place.reasons);
                    html.leaf("td", "dim", &place.because);
                });
            }
        });
        more(html, places.len(), LISTED, "candidate");
    }

    /// How people call an instance, as a link to it.
    fn name(&self, html: &mut Html, who: &Named) {
        self.link(html, &who.name, Some(&who.call));
    }

    fn link(&self, html: &mut Html, text: &str, call: Option<&str>) {
        match call.and_then(|call| self.context.names.anchor(call)) {
            Some(anchor) => html.tag("a", &[Attr::To(anchor)], |html| html.short(text, 80)),
            None => html.short(text, 80),
        }
    }

    /// A list of them.
    fn who(&self, html: &mut Html, who: &Who) {
        for (n, piece) in who.listed().iter().enumerate() {
            html.text(if n > 0 { ", " } else { "" });
            self.link(html, &piece.text, piece.call);
        }
    }
}

/// The class of a tone.
fn tone(tone: Option<Tone>) -> &'static str {
    match tone {
        Some(Tone::Good) => "good",
        Some(Tone::Bad) => "bad",
        Some(Tone::Warn) => "warn",
        Some(Tone::Dim) => "dim",
        Some(Tone::Strong | Tone::Info | Tone::Emphasis | Tone::Strike) | None => "",
    }
}

fn sign(html: &mut Html, sign: Sign) {
    html.leaf("b", tone(Some(sign.tone())), sign.mark(STYLE));
    html.text(" ");
}

fn pre(html: &mut Html, text: &str) {
    html.tag("pre", &[Attr::Fixed("tabindex", "0")], |html| {
        let cut = prefix(text.trim_end(), TEXT);
        html.text(cut);
        html.text(if cut.len() < text.trim_end().len() { "\n…" } else { "" });
    });
}

/// A table that may be wider than the page.
fn table(html: &mut Html, of_class: &'static str, heads: &[&str], rows: impl FnOnce(&mut Html)) {
    html.tag("div", &[class("scroll"), Attr::Fixed("tabindex", "0")], |html| {
        html.tag("table", &[class(of_class)], |html| {
            html.tag("thead", &[], |html| {
                html.tag("tr", &[], |html| heads.iter().for_each(|text| head(html, text)));
            });
            html.tag("tbody", &[], rows);
        });
    });
}

fn head(html: &mut Html, text: &str) {
    html.tag("th", &[Attr::Fixed("scope", "col")], |html| html.short(text, 60));
}

fn more(html: &mut Html, total: usize, shown: usize, noun: &str) {
    if let Some(text) = rest(total, shown, noun, STYLE) {
        html.leaf("p", "dim", &format!("{text}, in the JSON result"));
    }
}
