//! What a step of the parent computed, drawn in Markdown: its parts, in tables that a job summary and a
//! comment show.
//!
//! Invariants: `report::computed` says what is told and in which order, here only how; what others wrote
//! stands in code or with everything escaped that would be markup; what is long is folded, bounded, and
//! its rest counted.

mod compare;
mod merge;

use std::fmt::Write as _;

use super::{Document, code, escape, prose};
use crate::report::computed::part::{
    Choice, Claim, Clash, Decision, Dispute, Fact, Part, Place, Question, Shown,
};
use crate::report::computed::who::Who;
use crate::report::computed::{counted, rest};
use crate::report::sanitise;
use crate::report::style::Style;

/// How marks look.
const STYLE: &Style = &Style::FILE;
/// Rows of one table where there is room, and where there is not.
const ROWS: (usize, usize) = (200, 20);
/// Rows where outputs had to be left out altogether.
const LEAST: usize = 8;
/// Columns of one cell.
const CELL: usize = 300;
/// Bytes of one folded text.
const TEXT: usize = 16 * 1024;
/// Blocks of a bar.
const BAR: usize = 10;

impl Document {
    /// Facts, then every part.
    pub(super) fn shown(&mut self, shown: &Shown<'_>) {
        let facts = shown.facts.iter().enumerate().map(|(n, (_, text))| match n {
            0 => format!("**{}**", escape(text)),
            _ => escape(text),
        });
        let facts: Vec<String> = facts.collect();
        if !facts.is_empty() {
            self.paragraph(&facts.join(" · "));
        }
        shown.parts.iter().for_each(|part| self.part(part));
    }

    pub(super) fn part(&mut self, part: &Part<'_>) {
        match part {
            Part::Verdict(sign, text) => {
                self.paragraph(&format!("{} **{}**", sign.mark(STYLE), escape(text)))
            }
            Part::Quote(text) => self.text(text, ""),
            Part::Prose(text) => self.prose(text),
            Part::Printed(printed) => match printed.as_str() {
                Some(text) => self.text(text, ""),
                None => self.text(&format!("{printed:#}"), "json"),
            },
            Part::Notes(notes) => notes.iter().for_each(|note| self.note(note)),
            Part::Entries(entries) => {
                if let Some((_, text)) = &entries.title {
                    self.title(text);
                }
                let rows = entries.entries.iter().take(self.rows());
                for entry in rows {
                    let who = entry.who.as_ref().map(|who| format!("**{}** ", cell(&who.name)));
                    let (mark, who) = (entry.sign.mark(STYLE), who.unwrap_or_default());
                    let _ = writeln!(self.out, "- {mark} {who}{}", cell(&entry.text));
                }
                self.after(entries.entries.len(), entries.noun);
            }
            Part::Questions(questions) => {
                questions.iter().take(self.rows()).for_each(|question| self.question(question));
                self.rest(questions.len(), "question");
            }
            Part::Bars(title, choices, noun) => {
                self.title(title);
                self.tally([noun, "tests"], choices);
            }
            Part::Groups(groups) => self.groups(groups),
            Part::Spread(spread) => self.spread(spread),
            Part::Texts(texts) => self.texts(texts),
            Part::Fields(fields) => self.fields(fields),
            Part::Matrix(matrix) => self.matrix(matrix),
            Part::Disputes(disputes, noun) => self.disputes(disputes, noun),
            Part::Found(found) => self.found(found),
            Part::Merged(fields, answered) => {
                let rows = fields.iter().map(|field| {
                    let mark = if field.disputed { "! " } else { "" };
                    let agree = format!("{} of {answered}", field.who.len());
                    vec![
                        format!("{mark}{}", path(&field.pointer)),
                        agree,
                        cell(&field.value),
                        who(&field.who),
                    ]
                });
                self.table(&["field", "has it", "value", "who"], rows, (fields.len(), "field"));
            }
            Part::Ranking(places) => self.ranking(places),
            Part::Clashes(clashes) => self.clashes(clashes),
            Part::Changes(changes, unchanged) => {
                let rows = changes.iter().map(|change| {
                    let word = if change.merged { "✓ merged" } else { "✗ left out" };
                    let size = format!("+{} -{}", change.added, change.removed);
                    vec![cell(&change.call.name), word.to_owned(), size, counted(change.files, "file")]
                });
                self.table(&["change", "", "lines", "files"], rows, (changes.len(), "change"));
                if !unchanged.is_empty() {
                    self.paragraph(&format!("Changed nothing: {}", who(unchanged)));
                }
            }
            Part::Files(files) => {
                self.open(&format!("{} merged", counted(files.len(), "file")));
                for (path, by) in files.iter().take(self.rows()) {
                    let _ = writeln!(self.out, "- {} {}", self::path(path), who(by));
                }
                self.after(files.len(), "file");
                self.close();
            }
            Part::Diff(title, diff) => self.folded(title, diff, "diff"),
            Part::Claims(claims) => self.claims(claims),
            Part::Decisions(who, decisions) => self.decisions(who.as_deref(), decisions),
        }
    }

    /// Rows of one table or list.
    fn rows(&self) -> usize {
        match self.most {
            0 => LEAST,
            1..=1024 => ROWS.1,
            _ => ROWS.0,
        }
    }

    fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}\n");
    }

    fn title(&mut self, text: &str) {
        let _ = writeln!(self.out, "### {}\n", escape(text));
    }

    fn note(&mut self, (_, text): &Fact) {
        self.paragraph(&prose::inside(text));
    }

    /// `… 3 more items`; nothing where all are there.
    fn rest(&mut self, total: usize, noun: &str) {
        if let Some(text) = rest(total, self.rows(), noun, STYLE) {
            self.paragraph(&text);
        }
    }

    /// The same after a list.
    fn after(&mut self, total: usize, noun: &str) {
        self.out.push('\n');
        self.rest(total, noun);
    }

    /// Opens a fold; the title is ours.
    fn open(&mut self, title: &str) {
        let title = escape(title).replace('\\', "");
        let _ = writeln!(self.out, "<details><summary>{title}</summary>\n");
    }

    fn close(&mut self) {
        self.out.push_str("</details>\n\n");
    }

    /// A text as it is, as far as there is room.
    fn text(&mut self, text: &str, language: &str) {
        let cut = sanitise::prefix(text, TEXT);
        self.fence(cut, language);
        if cut.len() < text.len() && self.most > 0 {
            self.paragraph(&format!("… {} more bytes", text.len() - cut.len()));
        }
    }

    pub(super) fn folded(&mut self, title: &str, text: &str, language: &str) {
        self.open(title);
        self.text(text, language);
        self.close();
    }

    /// What a model wrote, in Markdown of ours.
    fn prose(&mut self, text: &str) {
        let cut = sanitise::prefix(text, self.most.max(4096));
        match prose::written(cut) {
            Some(written) => self.paragraph(written.trim_end()),
            None => self.fence(cut, ""),
        }
        if cut.len() < text.len() {
            self.paragraph(&format!("… {} more bytes", text.len() - cut.len()));
        }
    }

    fn table(
        &mut self,
        heads: &[&str],
        rows: impl Iterator<Item = Vec<String>>,
        (total, noun): (usize, &str),
    ) {
        let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
        self.table_of(&heads, rows, (total, noun));
    }

    /// A table; the cells are Markdown already.
    fn table_of(
        &mut self,
        heads: &[String],
        rows: impl Iterator<Item = Vec<String>>,
        (total, noun): (usize, &str),
    ) {
        let _ = writeln!(self.out, "| {} |\n|{}", heads.join(" | "), " --- |".repeat(heads.len()));
        for row in rows.take(self.rows()) {
            let _ = writeln!(self.out, "| {} |", row.join(" | "));
        }
        self.after(total, noun);
    }

    fn tally(&mut self, [what, counts]: [&str; 2], choices: &[Choice]) {
        if choices.is_empty() {
            return;
        }
        let rows = choices.iter().map(choice);
        self.table(&[what, counts, "", "who"], rows, (choices.len(), what));
    }

    fn question(&mut self, question: &Question) {
        self.paragraph(&format!("{} **{}**", question.sign.mark(STYLE), cell(&question.text)));
        self.tally(["choice", "votes"], &question.choices);
        if !question.abstained.is_empty() {
            self.paragraph(&format!("Abstained{}: {}", question.silence, who(&question.abstained)));
        }
        question.notes.iter().for_each(|note| self.note(note));
    }

    fn disputes(&mut self, disputes: &[Dispute], noun: &str) {
        self.title("In dispute");
        for dispute in disputes.iter().take(self.rows()) {
            if let Some((number, what)) = &dispute.of {
                self.paragraph(&format!("! **{number}.** {}", cell(what)));
            }
            for (field, choices) in &dispute.fields {
                if choices.is_empty() {
                    self.paragraph(&cell(field));
                } else {
                    let rows = choices.iter().map(choice);
                    self.table_of(
                        &[cell(field), "say so".to_owned(), String::new(), "who".to_owned()],
                        rows,
                        (choices.len(), "value"),
                    );
                }
            }
        }
        self.rest(disputes.len(), noun);
    }

    fn ranking(&mut self, places: &[Place]) {
        let rows = places.iter().map(|place| {
            let mark = place.sign.map_or("", |sign| sign.mark(STYLE));
            let rank = format!("{mark} {}.", place.rank);
            vec![rank.trim().to_owned(), cell(&place.call.name), cell(&place.reasons), cell(&place.because)]
        });
        self.table(&["rank", "candidate", "reasons", "why here"], rows, (places.len(), "candidate"));
    }

    fn clashes(&mut self, clashes: &[Clash]) {
        self.title("In conflict");
        for clash in clashes.iter().take(self.rows()) {
            self.paragraph(&format!("✗ {}", cell(&clash.message)));
            for (by, said) in &clash.sides {
                self.paragraph(&format!("**{}**", who(by)));
                self.text(said, "diff");
            }
        }
        self.rest(clashes.len(), "conflict");
    }

    fn claims(&mut self, claims: &[Claim]) {
        self.open("Rests on");
        for claim in claims.iter().take(self.rows()) {
            let _ = writeln!(self.out, "- {}", prose::inside(&claim.text));
            for (by, quote) in &claim.cites {
                let quote = if quote.is_empty() { String::new() } else { format!(": “{}”", cell(quote)) };
                let _ = writeln!(self.out, "  - **{}**{quote}", cell(&by.name));
            }
        }
        self.after(claims.len(), "claim");
        self.close();
    }

    fn decisions(&mut self, who: Option<&str>, decisions: &[Decision]) {
        let who = who.map(|who| format!(" ({who})")).unwrap_or_default();
        self.title(&format!("Decided by the parent{who}"));
        for decision in decisions.iter().take(self.rows()) {
            let mark = if decision.chosen.is_some() { "✓" } else { "!" };
            let _ = writeln!(self.out, "- {mark} **{}**", cell(&decision.about));
            let not = match &decision.chosen {
                Some((value, by)) => {
                    let _ = writeln!(self.out, "  - **{}**, as {} said", cell(value), self::who(by));
                    "not "
                }
                None => {
                    let _ = writeln!(self.out, "  - **left open**");
                    ""
                }
            };
            for (value, by) in decision.others.iter().take(4) {
                let _ = writeln!(self.out, "  - {not}{} ({})", cell(value), self::who(by));
            }
            let _ = writeln!(self.out, "  - because {}", prose::inside(&decision.reason));
        }
        self.after(decisions.len(), "decision");
    }
}

/// A choice as cells of a row.
fn choice(choice: &Choice) -> Vec<String> {
    vec![cell(&choice.value), escape(&choice.figure), gauge(choice.share), who(&choice.who)]
}

/// A bar for a share of the whole.
fn gauge(share: f64) -> String {
    let full = ((share.clamp(0.0, 1.0) * BAR as f64).round() as usize).min(BAR);
    format!("{}{}", "█".repeat(full), "░".repeat(BAR - full))
}

fn who(who: &Who) -> String {
    escape(&who.text())
}

/// Words of others on one line, cut where they go on and on.
fn cell(text: &str) -> String {
    escape(&sanitise::short(text, CELL, STYLE))
}

/// A path or a pointer, as code in a table.
fn path(text: &str) -> String {
    if text.contains('|') { cell(text) } else { short_code(text) }
}

fn short_code(text: &str) -> String {
    code(&sanitise::short(text, CELL, STYLE))
}
