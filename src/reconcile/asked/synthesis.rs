//! `synthesize`: the model writes the answer, from answers under labels and what was computed of them.
//!
//! Invariants: every claim cites an answer that is there, with words that stand in it where it
//! quotes; the result names calls, never labels; nothing of an answer is left out without a note.

use serde_json::{Map, Value, json};

use super::super::Reconciled;
use super::super::wording::{counted, show};
use super::blind::Blind;
use super::decision::{self, FACTS, Ruling};
use super::evidence::Open;
use super::extent::{enclosed, excerpt};
use super::notes::Reading;
use super::{Asked, Inquiry, Question};

/// Conflicts that a synthesis decides; the result names the others as open.
const CONFLICTS: usize = 40;
/// Complaints that are repeated to the model.
const COMPLAINTS: usize = 8;

/// A synthesis on its way.
#[derive(Debug)]
pub(super) struct Synthesis {
    prompt: String,
    decides: bool,
    open: Vec<Open>,
    facts: String,
    reading: Reading,
    left_out: usize,
    answer: Option<Answered>,
}

/// What the model wrote, checked.
#[derive(Debug)]
struct Answered {
    text: String,
    claims: Vec<Claim>,
    rulings: Vec<Ruling>,
    unresolved: Vec<String>,
}

#[derive(Debug)]
struct Claim {
    claim: String,
    /// Which answers, and the words that stand there; the words may be empty.
    cites: Vec<(String, String)>,
}

impl Synthesis {
    pub(super) fn new(
        prompt: String,
        decides: bool,
        mut open: Vec<Open>,
        facts: &Reconciled,
        blind: &Blind,
    ) -> Synthesis {
        open.truncate(CONFLICTS);
        let reading = Reading::new(blind);
        Synthesis { prompt, decides, open, facts: facts.text.clone(), reading, left_out: 0, answer: None }
    }

    fn task(&self) -> &str {
        if self.prompt.trim().is_empty() {
            "Answer the goal from the agents' answers."
        } else {
            self.prompt.trim()
        }
    }

    pub(super) fn question(&self, inquiry: &Inquiry) -> Option<Question> {
        if self.answer.is_some() {
            return None;
        }
        if let Some(question) = self.reading.question(inquiry, self.task()) {
            return Some(question);
        }
        let mut prompt = inquiry.head();
        let facts = enclosed("computed", &excerpt(&self.facts, FACTS).0);
        prompt.push_str(&format!("\n# Computed from the answers\n\n{facts}\n"));
        if !self.open.is_empty() {
            let conflicts = enclosed("conflicts", &decision::numbered(&self.open));
            prompt.push_str(&format!("\n# Open conflicts\n\n{conflicts}\n"));
        }
        let (answers, left_out) = self.reading.shown();
        let how = match (self.reading.rounds, left_out) {
            (0, 0) => String::new(),
            (0, left_out) => format!(
                "They are longer than fits: {left_out} bytes in the middle of the longest are left out, each time with a note. \
                 Say so where an answer may rest on what is missing.\n\n"
            ),
            (_, _) => "There were more than fit at once. These are your notes on them; a citation in a note is a citation \
                       of the answer itself.\n\n"
                .to_owned(),
        };
        prompt.push_str(&format!("\n# The answers\n\n{how}{answers}# The task\n\n{}\n\n", self.task()));
        prompt.push_str(
            "# How to answer\n\n`answer` is the whole answer in Markdown, for people; after each statement it cites the \
             answers that it rests on, as [@A] or [@A; @B]. `claims` lists the statements that it stands on, each \
             with the answers cited: `answer` is a label, `quote` the exact words of that answer, as short as \
             they can be, or empty where a whole answer is meant. ",
        );
        prompt.push_str(if self.reading.rounds > 0 {
            "Leave `quote` empty: you have notes and not the words. "
        } else {
            ""
        });
        if self.decides && !self.open.is_empty() {
            prompt.push_str(
                "`decisions` settles each open conflict once: its number, the number of the right choice (0 where it \
                 cannot be decided), and why. ",
            );
        }
        prompt.push_str("`unresolved` lists what stays uncertain, and is empty where nothing does.\n");
        Some(Question { prompt, schema: self.schema().into(), purpose: "write the answer".to_owned() })
    }

    fn schema(&self) -> Value {
        let cite = object(&[("answer", json!({"type": "string"})), ("quote", json!({"type": "string"}))]);
        let claim = object(&[
            ("claim", json!({"type": "string"})),
            ("cites", json!({"type": "array", "items": cite})),
        ]);
        let mut fields =
            vec![("answer", json!({"type": "string"})), ("claims", json!({"type": "array", "items": claim}))];
        if self.decides && !self.open.is_empty() {
            fields.push(("decisions", decision::schema()));
        }
        fields.push(("unresolved", json!({"type": "array", "items": {"type": "string"}})));
        object(&fields)
    }

    pub(super) fn hear(&mut self, answer: &Value, blind: &Blind) -> Result<(), String> {
        if self.reading.hear(answer, blind)? {
            return Ok(());
        }
        let mut wrong = Vec::new();
        let text = match blind.reveal(answer["answer"].as_str().unwrap_or_default()) {
            Ok(text) => text,
            Err(unknown) => {
                wrong.extend(unknown.iter().map(|cite| format!("`answer` cites {cite}, which is not there")));
                String::new()
            }
        };
        if text.trim().is_empty() && wrong.is_empty() {
            wrong.push("`answer` is empty".to_owned());
        }
        let claims = answer["claims"].as_array().map(Vec::as_slice).unwrap_or_default();
        if claims.is_empty() {
            wrong.push("`claims` is empty: nothing says what the answer rests on".to_owned());
        }
        let claims = claims.iter().map(|claim| claim_of(claim, blind, &mut wrong)).collect();
        let rulings = if self.decides && !self.open.is_empty() {
            decision::read(&answer["decisions"], &self.open).unwrap_or_else(|error| {
                wrong.push(error);
                Vec::new()
            })
        } else {
            Vec::new()
        };
        if !wrong.is_empty() {
            let more = wrong.len().saturating_sub(COMPLAINTS);
            wrong.truncate(COMPLAINTS);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            return Err(format!("{}{more}. The answers are {}.", wrong.join("; "), blind.known()));
        }
        let unresolved = answer["unresolved"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let unresolved = unresolved.map(|one| blind.reveal(one).unwrap_or_else(|_| one.to_owned())).collect();
        self.left_out = self.reading.shown().1;
        self.answer = Some(Answered { text, claims, rulings, unresolved });
        Ok(())
    }

    pub(super) fn finish(self, computed: Reconciled, blind: &Blind, asked: &Asked) -> Reconciled {
        let Some(answered) = self.answer else { return computed };
        let Reconciled { json: own, conflicts, .. } = computed;
        let mut own = decision::fields(own);
        let census = own.remove("census").unwrap_or_default();
        own.remove("conflicts");
        let open = decision::still_open(conflicts, &self.open, &answered.rulings);
        let mut json = Map::new();
        json.insert("strategy".to_owned(), json!("synthesize"));
        json.insert("census".to_owned(), census);
        json.insert("answer".to_owned(), json!(answered.text));
        json.insert("claims".to_owned(), answered.claims.iter().map(Claim::json).collect());
        json.insert("decisions".to_owned(), json!(decision::decisions(&self.open, &answered.rulings)));
        json.insert("unresolved".to_owned(), json!(answered.unresolved));
        json.insert("labels".to_owned(), json!(blind.all));
        json.insert("asked".to_owned(), json!(asked));
        json.insert(
            "read".to_owned(),
            json!({"rounds": self.reading.rounds, "left_out_bytes": self.left_out}),
        );
        json.insert("computed".to_owned(), Value::Object(own));
        json.insert("conflicts".to_owned(), json!(open));

        let mut parts = vec![answered.text.trim().to_owned()];
        let rests: Vec<String> = answered.claims.iter().map(Claim::line).collect();
        parts.push(format!("RESTS ON\n{}", rests.join("\n")));
        if !answered.rulings.is_empty() {
            parts.push(decision::lines(&self.open, &answered.rulings, blind, asked));
        }
        if !answered.unresolved.is_empty() {
            let lines: Vec<String> = answered.unresolved.iter().map(|one| format!("  {one}")).collect();
            parts.push(format!("UNRESOLVED\n{}", lines.join("\n")));
        }
        if self.left_out > 0 {
            parts.push(format!("{} did not fit and were left out", counted(self.left_out, "byte")));
        }
        Reconciled { json: Value::Object(json), text: parts.join("\n\n"), conflicts: open }
    }
}

impl Claim {
    fn json(&self) -> Value {
        let cites = self.cites.iter().map(|(call, quote)| {
            if quote.is_empty() { json!({"call": call}) } else { json!({"call": call, "quote": quote}) }
        });
        json!({"claim": self.claim, "cites": cites.collect::<Vec<_>>()})
    }

    fn line(&self) -> String {
        let mut calls: Vec<&str> = self.cites.iter().map(|(call, _)| call.as_str()).collect();
        calls.dedup();
        let mut line = format!("  {} [{}]", self.claim.trim(), calls.join("; "));
        for (call, quote) in self.cites.iter().filter(|(_, quote)| !quote.is_empty()) {
            line.push_str(&format!("\n    {call}: “{}”", show(&Value::from(quote.as_str()), 100)));
        }
        line
    }
}

fn claim_of(claim: &Value, blind: &Blind, wrong: &mut Vec<String>) -> Claim {
    let said = claim["claim"].as_str().unwrap_or_default().trim().to_owned();
    let short = show(&claim["claim"], 60);
    if said.is_empty() {
        wrong.push("a claim is empty".to_owned());
    }
    let said = blind.reveal(&said).unwrap_or_else(|unknown| {
        wrong.extend(
            unknown.iter().map(|cite| format!("the claim \"{short}\" cites {cite}, which is not there")),
        );
        String::new()
    });
    let cites = claim["cites"].as_array().map(Vec::as_slice).unwrap_or_default();
    if cites.is_empty() {
        wrong.push(format!("the claim \"{short}\" cites no answer"));
    }
    let mut found = Vec::with_capacity(cites.len());
    for cite in cites {
        let label = cite["answer"].as_str().unwrap_or_default();
        let quote = cite["quote"].as_str().unwrap_or_default().trim();
        let Some(one) = blind.find(label) else {
            wrong.push(format!("the claim \"{short}\" cites `{label}`, which is not there"));
            continue;
        };
        if !stands_in(quote, &one.text) {
            let quote = show(&Value::from(quote), 80);
            wrong.push(format!(
                "answer {label} does not contain the words \"{quote}\" that are quoted from it"
            ));
        }
        found.push((one.call.clone(), quote.to_owned()));
    }
    Claim { claim: said, cites: found }
}

/// True for words that stand in a text, however its lines are broken; an omission splits a quotation.
fn stands_in(quote: &str, text: &str) -> bool {
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = flat(text);
    let parts = quote.split("[…]").flat_map(|part| part.split("…")).flat_map(|part| part.split("..."));
    let mut parts = parts.map(|part| flat(part.trim().trim_matches(['"', '“', '”'])));
    parts.all(|part| part.is_empty() || text.contains(&part) || unescaped(&text).contains(&part))
}

/// A text that is JSON, with the escapes of its strings undone as a reader sees them.
fn unescaped(text: &str) -> String {
    text.replace("\\\"", "\"").replace("\\n", " ").replace("\\\\", "\\")
}

/// An object with exactly these fields.
pub(super) fn object(fields: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false})
}
