//! The parts that a result is shown in.
//!
//! Invariant: texts are as they were written: whoever draws them cleans, escapes and wraps them.

use serde_json::Value;

use super::texts::Stretch;
use super::who::{Named, Who};
use crate::outcome::Status;
use crate::report::style::{Style, Tone};

/// What is said in few words, in its tone.
pub(in crate::report) type Fact = (Option<Tone>, String);

/// Everything there is to show, from top to bottom.
#[derive(Debug, Default)]
pub(in crate::report) struct Shown<'v> {
    pub(in crate::report) facts: Vec<Fact>,
    pub(in crate::report) parts: Vec<Part<'v>>,
}

/// One part.
#[derive(Debug)]
pub(in crate::report) enum Part<'v> {
    /// Who won, or that nobody did.
    Verdict(Sign, String),
    /// The text of an answer.
    Quote(String),
    /// What a model wrote: Markdown.
    Prose(&'v str),
    /// What a program printed: a text, or data.
    Printed(Value),
    /// Sentences that stand by themselves.
    Notes(Vec<Fact>),
    /// A list.
    Entries(Entries),
    /// The questions of a vote, open ones first.
    Questions(Vec<Question>),
    /// Choices under a title; the noun is what one of them is called.
    Bars(String, Vec<Choice>, &'static str),
    /// Groups of answers that are the same.
    Groups(Groups<'v>),
    /// What all share, what some, what only one has.
    Spread(Spread),
    /// Texts side by side.
    Texts(Texts<'v>),
    /// Answers field by field.
    Fields(Fields),
    /// How alike each two groups are.
    Matrix(Matrix),
    /// Merged items in dispute; the noun is what one of them is called.
    Disputes(Vec<Dispute>, &'static str),
    /// Merged items.
    Found(Found<'v>),
    /// Merged objects, field by field.
    Merged(Vec<Merged>, usize),
    /// Candidates by rank.
    Ranking(Vec<Place>),
    /// Changes of the same place.
    Clashes(Vec<Clash>),
    /// Every change, in or out.
    Changes(Vec<Change>, Who),
    /// Files with who changed them.
    Files(Vec<(String, Who)>),
    /// A change as a unified diff.
    Diff(&'static str, &'v str),
    /// What a synthesis rests on.
    Claims(Vec<Claim>),
    /// What the parent's model decided; and who that is.
    Decisions(Option<String>, Vec<Decision>),
}

/// A mark that stands beside a text, so that colour is never the only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Sign {
    Good,
    Bad,
    /// Not decided.
    Open,
    /// Nobody knows.
    Unsure,
    /// One of a list.
    Point,
    /// Nobody knows how it ended.
    Lost,
    /// A call that ended so.
    Ended(Status),
}

impl Sign {
    pub(in crate::report) fn tone(self) -> Tone {
        match self {
            Sign::Good => Tone::Good,
            Sign::Bad | Sign::Lost => Tone::Bad,
            Sign::Open | Sign::Unsure => Tone::Warn,
            Sign::Point => Tone::Info,
            Sign::Ended(status) => Style::tone(status),
        }
    }

    pub(in crate::report) fn mark(self, style: &Style) -> &'static str {
        match self {
            Sign::Good => style.pick("✓", "+"),
            Sign::Bad => style.pick("✗", "x"),
            Sign::Open => "!",
            Sign::Unsure | Sign::Lost => "?",
            Sign::Point => style.pick("•", "*"),
            Sign::Ended(status) => style.mark(status),
        }
    }
}

/// A list under a title.
#[derive(Debug, Default)]
pub(in crate::report) struct Entries {
    pub(in crate::report) title: Option<(Tone, String)>,
    pub(in crate::report) entries: Vec<Entry>,
    /// What one of them is called.
    pub(in crate::report) noun: &'static str,
    /// How many are read at a glance.
    pub(in crate::report) most: usize,
}

impl Entries {
    /// A list with a title, where there is anything in it.
    pub(super) fn titled<'v>(
        tone: Tone,
        title: &str,
        entries: Vec<Entry>,
        (noun, most): (&'static str, usize),
    ) -> Option<Part<'v>> {
        let title = Some((tone, title.to_owned()));
        (!entries.is_empty()).then_some(Part::Entries(Entries { title, entries, noun, most }))
    }
}

/// An entry of a list.
#[derive(Debug)]
pub(in crate::report) struct Entry {
    pub(in crate::report) sign: Sign,
    /// Whom it is about; stands before the text.
    pub(in crate::report) who: Option<Named>,
    pub(in crate::report) text: String,
}

impl Entry {
    pub(super) fn of(sign: Sign, text: &str) -> Entry {
        Entry { sign, who: None, text: text.to_owned() }
    }
}

/// A question of a vote.
#[derive(Debug)]
pub(in crate::report) struct Question {
    pub(in crate::report) sign: Sign,
    /// What it came to, with its subject.
    pub(in crate::report) text: String,
    pub(in crate::report) choices: Vec<Choice>,
    /// Who was silent on it.
    pub(in crate::report) abstained: Who,
    /// Why.
    pub(in crate::report) silence: &'static str,
    pub(in crate::report) notes: Vec<Fact>,
}

/// One choice with how much speaks for it.
#[derive(Debug, Clone)]
pub(in crate::report) struct Choice {
    pub(in crate::report) value: String,
    pub(in crate::report) tone: Option<Tone>,
    /// 0 to 1.
    pub(in crate::report) share: f64,
    /// `3`, `3 (weight 2.41)`.
    pub(in crate::report) figure: String,
    pub(in crate::report) who: Who,
}

/// Answers that are the same.
#[derive(Debug, Clone)]
pub(in crate::report) struct Group<'v> {
    pub(in crate::report) who: Who,
    pub(in crate::report) value: &'v Value,
}

/// All groups, the largest first.
#[derive(Debug)]
pub(in crate::report) struct Groups<'v> {
    pub(in crate::report) groups: Vec<Group<'v>>,
    /// How many answers there are.
    pub(in crate::report) all: usize,
    /// Whether they are texts, to be quoted line by line.
    pub(in crate::report) texts: bool,
}

/// What stands over the column of a group: its number, where the numbers are used, who, how many of all.
#[derive(Debug, Clone)]
pub(in crate::report) struct Head {
    pub(in crate::report) number: String,
    pub(in crate::report) who: Who,
    pub(in crate::report) size: String,
}

impl Head {
    /// All in one.
    pub(in crate::report) fn text(&self) -> String {
        format!("{}{}{}", self.number, self.who.text(), self.size)
    }
}

/// What all share, what some, what only one has.
#[derive(Debug)]
pub(in crate::report) struct Spread {
    /// `line`, `item`.
    pub(in crate::report) noun: &'static str,
    pub(in crate::report) shared: Vec<String>,
    /// The most widely held first.
    pub(in crate::report) some: Vec<(String, Who)>,
    pub(in crate::report) only: Vec<(Named, Vec<String>)>,
}

/// Texts to be read side by side, and what to show where there is no room for that.
#[derive(Debug)]
pub(in crate::report) struct Texts<'v> {
    pub(in crate::report) heads: Vec<Head>,
    /// What was the same in all is folded; empty where there are too many or they are too long.
    pub(in crate::report) rows: Vec<Stretch<'v>>,
    /// For two texts.
    pub(in crate::report) pair: Option<[&'v str; 2]>,
    pub(in crate::report) groups: Groups<'v>,
    pub(in crate::report) spread: Spread,
}

/// How the values of a field stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::report) enum Kind {
    /// It has more than one value.
    Disputed,
    /// Those who have it agree, and not all have it.
    Partial,
    /// All have it and agree.
    Shared,
}

impl Kind {
    pub(in crate::report) fn mark(self, style: &Style) -> (Tone, &'static str) {
        match self {
            Kind::Disputed => (Tone::Warn, style.pick("≠", "!")),
            Kind::Partial => (Tone::Info, "+"),
            Kind::Shared => (Tone::Dim, "="),
        }
    }

    pub(in crate::report) fn words(self) -> &'static str {
        match self {
            Kind::Disputed => "differs",
            Kind::Partial => "not in all",
            Kind::Shared => "the same in all",
        }
    }
}

/// Answers field by field.
#[derive(Debug)]
pub(in crate::report) struct Fields {
    pub(in crate::report) heads: Vec<Head>,
    /// Those that differ first.
    pub(in crate::report) fields: Vec<Field>,
}

impl Fields {
    /// What the marks mean that stand beside these fields.
    pub(in crate::report) fn legend(&self, style: &Style) -> String {
        let mut kinds: Vec<Kind> = self.fields.iter().map(|field| field.kind).collect();
        kinds.dedup();
        let words = kinds.iter().map(|kind| format!("{} {}", kind.mark(style).1, kind.words()));
        words.collect::<Vec<_>>().join(style.dot())
    }
}

/// A field.
#[derive(Debug)]
pub(in crate::report) struct Field {
    pub(in crate::report) pointer: String,
    pub(in crate::report) kind: Kind,
    /// What stands in the column of each group; `None` where it has no such field.
    pub(in crate::report) columns: Vec<Option<(Option<Tone>, String)>>,
    /// Each value with who has it; for a shared one, nobody is named.
    pub(in crate::report) choices: Vec<Choice>,
    /// Those that have no such field.
    pub(in crate::report) absent: Option<Choice>,
}

/// How alike each two groups are, 0 to 1.
#[derive(Debug)]
pub(in crate::report) struct Matrix {
    pub(in crate::report) by: String,
    pub(in crate::report) rows: Vec<Vec<f64>>,
    pub(in crate::report) heads: Vec<Head>,
}

/// A merged item in dispute.
#[derive(Debug)]
pub(in crate::report) struct Dispute {
    /// Its number in the list, and what it is; nothing for a field of the whole.
    pub(in crate::report) of: Option<(usize, String)>,
    /// Each field with its values.
    pub(in crate::report) fields: Vec<(String, Vec<Choice>)>,
}

/// Merged items, and who was asked for them.
#[derive(Debug)]
pub(in crate::report) struct Found<'v> {
    pub(in crate::report) voices: Vec<Named>,
    pub(in crate::report) answered: usize,
    pub(in crate::report) items: Vec<Item<'v>>,
    pub(in crate::report) left_out: Vec<Item<'v>>,
}

/// A merged item.
#[derive(Debug)]
pub(in crate::report) struct Item<'v> {
    pub(in crate::report) who: Who,
    pub(in crate::report) place: String,
    pub(in crate::report) words: String,
    /// The fields on which those who found it disagree.
    pub(in crate::report) disputed: Vec<String>,
    /// Each with its original, as it was found.
    pub(in crate::report) members: Vec<(Named, &'v Value)>,
}

/// A field of merged objects.
#[derive(Debug)]
pub(in crate::report) struct Merged {
    pub(in crate::report) pointer: String,
    pub(in crate::report) value: String,
    pub(in crate::report) who: Who,
    pub(in crate::report) disputed: bool,
}

/// A candidate's place.
#[derive(Debug)]
pub(in crate::report) struct Place {
    pub(in crate::report) rank: u64,
    /// Good for the winner, bad for whoever may not win.
    pub(in crate::report) sign: Option<Sign>,
    pub(in crate::report) call: Named,
    pub(in crate::report) reasons: String,
    /// Why not before or after; may be empty.
    pub(in crate::report) because: String,
}

/// Changes of the same place.
#[derive(Debug)]
pub(in crate::report) struct Clash {
    pub(in crate::report) message: String,
    /// Who, and what they do there: lines of a diff, or what else there is to say.
    pub(in crate::report) sides: Vec<(Who, String)>,
}

/// A change, in or out.
#[derive(Debug)]
pub(in crate::report) struct Change {
    pub(in crate::report) call: Named,
    pub(in crate::report) merged: bool,
    pub(in crate::report) added: u64,
    pub(in crate::report) removed: u64,
    pub(in crate::report) files: usize,
}

/// A statement and what it rests on.
#[derive(Debug)]
pub(in crate::report) struct Claim {
    pub(in crate::report) text: String,
    /// Which answers, and the words that stand there; the words may be empty.
    pub(in crate::report) cites: Vec<(Named, String)>,
}

/// What the parent's model said of a conflict.
#[derive(Debug)]
pub(in crate::report) struct Decision {
    pub(in crate::report) about: String,
    /// The value and who said so; `None` where it was left open.
    pub(in crate::report) chosen: Option<(String, Who)>,
    pub(in crate::report) others: Vec<(String, Who)>,
    /// Markdown.
    pub(in crate::report) reason: String,
}
