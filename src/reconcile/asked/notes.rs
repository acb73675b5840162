//! Hierarchical reduction: answers that do not fit into one prompt are read in batches, and the
//! notes on them stand for them.
//!
//! Invariants: every answer is in exactly one batch of the first round; a note cites the answers that
//! it rests on, so a citation survives every round; each round halves what is left at least, so
//! there is a last one.

use serde_json::{Value, json};

use super::super::wording::counted;
use super::blind::{Blind, Labelled};
use super::extent::{IN_BATCH, LEAST, ROOM, cap, enclosed, excerpt};
use super::synthesis::object;
use super::{Inquiry, Question};

/// Bytes of the notes on one batch.
const NOTES: usize = 8_000;

/// Something that stands in a prompt between markers.
#[derive(Debug, Clone)]
pub(super) struct Material {
    /// `answer-A`, or `notes-3`.
    name: String,
    about: Option<String>,
    text: String,
}

/// What the final prompt is made of, or is on its way to.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// To be shown.
    now: Vec<Material>,
    /// Notes of this round so far.
    notes: Vec<Material>,
    /// How many batches of this round were read.
    read: usize,
    /// How many rounds were needed.
    pub(super) rounds: u32,
}

impl Reading {
    pub(super) fn new(blind: &Blind) -> Reading {
        Reading { now: blind.all.iter().map(material).collect(), ..Reading::default() }
    }

    /// The batches of this round; none where all fits into one prompt.
    fn batches(&self) -> Vec<&[Material]> {
        let sizes = self.now.iter().map(|one| one.text.len());
        if cap(sizes, ROOM).is_none_or(|most| most >= LEAST) || self.now.len() < 3 {
            return Vec::new();
        }
        let mut batches = Vec::new();
        let (mut start, mut used) = (0, 0);
        for (at, one) in self.now.iter().enumerate() {
            let size = one.text.len().min(IN_BATCH);
            if used + size > ROOM && at > start + 1 {
                batches.extend(self.now.get(start..at));
                (start, used) = (at, 0);
            }
            used += size;
        }
        batches.extend(self.now.get(start..));
        batches
    }

    /// The batch to be read next; `None` when the final prompt can be written.
    pub(super) fn question(&self, inquiry: &Inquiry, task: &str) -> Option<Question> {
        let batches = self.batches();
        let batch = batches.get(self.read)?;
        let mut prompt = inquiry.head();
        prompt.push_str(&format!(
            "\n# The task that the notes are for\n\n{}\n\n# Part {} of {}\n\n",
            task.trim(),
            self.read + 1,
            batches.len()
        ));
        batch.iter().for_each(|one| prompt.push_str(&one.shown(IN_BATCH).0));
        prompt.push_str(
            "\n# What to do\n\nThere is more than fits at once, so you read it in parts, and afterwards you will have \
             your notes and not the text. Note what bears on the task: findings, evidence, figures, places, \
             doubts, and where these answers disagree. Keep what only one of them says. Each note names in \
             `cites` the answers that it rests on, by their labels. At most 40 notes.\n",
        );
        let note = object(&[("note", json!({"type": "string"})), ("cites", labels())]);
        let notes = object(&[("notes", json!({"type": "array", "items": note}))]);
        let purpose =
            format!("read {} ({} of {})", counted(batch.len(), "answer"), self.read + 1, batches.len());
        Some(Question { prompt, schema: notes.into(), purpose })
    }

    /// Takes the notes on a batch. `Ok(false)` where there was no batch to be read.
    pub(super) fn hear(&mut self, answer: &Value, blind: &Blind) -> Result<bool, String> {
        let count = self.batches().len();
        if self.read >= count {
            return Ok(false);
        }
        let mut text = String::new();
        let mut wrong = Vec::new();
        for note in answer["notes"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let cites: Vec<&str> =
                note["cites"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            wrong.extend(
                cites
                    .iter()
                    .filter(|cite| blind.find(cite).is_none())
                    .map(|cite| format!("there is no answer `{cite}`")),
            );
            let cites: Vec<String> =
                cites.iter().map(|cite| format!("@{}", cite.trim_start_matches('@'))).collect();
            let said = note["note"].as_str().unwrap_or_default().trim();
            if cites.is_empty() {
                wrong.push(format!("this note cites no answer: {}", excerpt(said, 80).0));
            }
            text.push_str(&format!("- {said} [{}]\n", cites.join("; ")));
        }
        if text.is_empty() {
            wrong.push("there are no notes".to_owned());
        }
        if !wrong.is_empty() {
            return Err(format!("{}; the answers are {}", wrong.join("; "), blind.known()));
        }
        self.read += 1;
        let (text, _) = excerpt(&text, NOTES);
        self.notes.push(Material { name: format!("notes-{}", self.read), about: None, text });
        if self.read == count {
            self.now = std::mem::take(&mut self.notes);
            self.read = 0;
            self.rounds += 1;
        }
        Ok(true)
    }

    /// Everything for the final prompt, and how many bytes of it were left out.
    pub(super) fn shown(&self) -> (String, usize) {
        let most = cap(self.now.iter().map(|one| one.text.len()), ROOM).unwrap_or(usize::MAX);
        let shown: Vec<(String, usize)> = self.now.iter().map(|one| one.shown(most)).collect();
        let left_out = shown.iter().map(|(_, left_out)| left_out).sum();
        (shown.into_iter().map(|(text, _)| text).collect(), left_out)
    }
}

impl Material {
    fn shown(&self, most: usize) -> (String, usize) {
        let (text, left_out) = excerpt(&self.text, most);
        let about =
            self.about.as_ref().map(|about| format!("{} is about: {about}\n", self.name)).unwrap_or_default();
        (format!("{about}{}\n\n", enclosed(&self.name, &text)), left_out)
    }
}

fn material(one: &Labelled) -> Material {
    Material { name: format!("answer-{}", one.label), about: one.about.clone(), text: one.text.clone() }
}

/// A list of labels.
fn labels() -> Value {
    json!({"type": "array", "items": {"type": "string"}})
}
