//! Answers without their names: labels in an order that favours nobody, and the way back.
//!
//! Invariants: the order depends on what was answered and on nothing else, so the same
//! answers are shown in the same order whoever gave them first; every label stands for
//! exactly one answer; who missed has none.

use serde::Serialize;

use super::super::{Answer, Panel};

/// One answer under its label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Labelled {
    /// `A`, `B`, …: how the model is told of it.
    pub(super) label: String,
    /// The instance that it stands for.
    pub(super) call: String,
    /// How people are told who that is.
    #[serde(skip)]
    pub(super) name: String,
    /// What it was about, where that gives nobody away.
    #[serde(skip)]
    pub(super) about: Option<String>,
    /// The whole answer.
    #[serde(skip)]
    pub(super) text: String,
    /// Its place among all that were asked.
    #[serde(skip)]
    position: usize,
}

/// The answers of a panel, blind, in the order in which they are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blind {
    pub(super) all: Vec<Labelled>,
    asked: usize,
}

impl Blind {
    /// Labels everybody who said something.
    pub(super) fn of(panel: &Panel<'_>) -> Blind {
        let own: Vec<[u8; 32]> =
            panel.voices.iter().map(|voice| *digest(&[voice.text()]).as_bytes()).collect();
        let mut sorted = own.clone();
        sorted.sort_unstable();
        let seed = sorted.iter().fold(blake3::Hasher::new(), |mut hasher, part| {
            hasher.update(part);
            hasher
        });
        let seed = seed.finalize().to_hex();
        let mut order: Vec<(String, usize)> = panel
            .voices
            .iter()
            .enumerate()
            .map(|(at, voice)| (digest(&[seed.as_str(), voice.text(), &voice.call]).to_hex().to_string(), at))
            .collect();
        order.sort();
        let answers: Vec<&Answer> = panel.voices.iter().map(|voice| voice.answer).collect();
        let labelled = order.iter().enumerate().filter_map(|(place, (_, at))| {
            let voice = panel.voices.get(*at)?;
            let position =
                panel.inputs.answers.iter().position(|other| other.instance == voice.answer.instance)?;
            Some(Labelled {
                label: label(place),
                call: voice.call.clone(),
                name: voice.name.clone(),
                about: about(voice.answer, &answers),
                text: voice.text().to_owned(),
                position,
            })
        });
        Blind { all: labelled.collect(), asked: panel.inputs.answers.len() }
    }

    /// The label of each answer by its place among all that were asked; `-` for who said nothing.
    pub(super) fn labels(&self) -> Vec<String> {
        let mut labels = vec!["-".to_owned(); self.asked];
        for one in &self.all {
            if let Some(slot) = labels.get_mut(one.position) {
                slot.clone_from(&one.label);
            }
        }
        labels
    }

    /// The answer under a label, with or without the `@` of a citation.
    pub(super) fn find(&self, label: &str) -> Option<&Labelled> {
        let label = label.trim().trim_start_matches('@');
        self.all.iter().find(|one| one.label == label)
    }

    /// For a message: `A, B and C`, or `A to Z` where there are many.
    pub(super) fn known(&self) -> String {
        match self.all.as_slice() {
            [] => "none".to_owned(),
            [one] => one.label.clone(),
            [first, .., last] if self.all.len() > 8 => format!("{} to {}", first.label, last.label),
            [first @ .., last] => {
                let first: Vec<&str> = first.iter().map(|one| one.label.as_str()).collect();
                format!("{} and {}", first.join(", "), last.label)
            }
        }
    }

    /// A text with every `[@A]` and `[@A; @B]` replaced by the calls that they stand for.
    ///
    /// # Errors
    /// The citations in it that stand for nothing.
    pub(super) fn reveal(&self, text: &str) -> Result<String, Vec<String>> {
        let mut out = String::with_capacity(text.len());
        let mut unknown = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("[@") {
            let (before, cite) = rest.split_at(start);
            out.push_str(before);
            let Some(end) = cite.find(']') else {
                rest = cite;
                break;
            };
            let inside = cite.get(1..end).unwrap_or_default();
            let parts: Vec<&str> = inside.split([';', ',']).map(str::trim).collect();
            if parts.iter().all(|part| part.starts_with('@') && !part.contains(char::is_whitespace)) {
                let names: Vec<String> = parts
                    .iter()
                    .map(|part| match self.find(part) {
                        Some(one) => one.call.clone(),
                        None => {
                            unknown.push((*part).to_owned());
                            (*part).to_owned()
                        }
                    })
                    .collect();
                out.push_str(&format!("[{}]", names.join("; ")));
            } else {
                out.push_str(cite.get(..=end).unwrap_or_default());
            }
            rest = cite.get(end + 1..).unwrap_or_default();
        }
        out.push_str(rest);
        if unknown.is_empty() { Ok(out) } else { Err(unknown) }
    }
}

/// `A` to `Z`, then `AA`, `AB`, ….
fn label(mut place: usize) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(char::from(b'A' + u8::try_from(place % 26).unwrap_or(0)));
        if place < 26 {
            break;
        }
        place = place / 26 - 1;
    }
    letters.iter().rev().collect()
}

fn digest(parts: &[&str]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize()
}

/// What an answer was about, for the model: what the plan says of the call, and the item. Left out
/// where it could say who answered: the name of an agent, or what tells answers of different
/// agents apart.
fn about(answer: &Answer, all: &[&Answer]) -> Option<String> {
    let agents: Vec<&str> =
        all.iter().flat_map(|one| [&one.agent, &one.outcome.agent]).flatten().map(String::as_str).collect();
    let lower = |text: &str| text.to_lowercase();
    let names_agent = |text: &str| {
        let text = lower(text);
        agents.iter().any(|agent| {
            let model = agent.rsplit('/').next().unwrap_or(agent);
            let family = model.split(['-', ':', '.']).next().unwrap_or(model);
            [*agent, model, family].iter().any(|name| name.len() > 2 && text.contains(&lower(name)))
        })
    };
    let written = answer.description != answer.instance.call.as_str();
    let several = all.iter().any(|other| other.instance.call != answer.instance.call);
    let description = (written && several).then(|| answer.description.clone());
    let mut by: Vec<&Option<String>> = all
        .iter()
        .filter(|other| other.instance.call == answer.instance.call)
        .map(|other| &other.outcome.agent)
        .collect();
    by.dedup();
    let label = answer.label.clone().filter(|_| by.len() == 1);
    let parts: Vec<String> = description.into_iter().chain(label).filter(|part| !names_agent(part)).collect();
    (!parts.is_empty()).then(|| parts.join(": "))
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::{answer, failed, inputs};
    use super::*;

    #[test]
    fn labels_follow_what_was_said_and_not_the_plan_order() {
        let order = |answers: Vec<Answer>| {
            let inputs = inputs(answers);
            let blind = Blind::of(&Panel::new(&inputs).unwrap());
            blind.all.iter().map(|one| (one.label.clone(), one.text.clone())).collect::<Vec<_>>()
        };
        let (a, b, c) = (answer("a", "one"), answer("b", "two"), answer("c", "three"));
        let first = order(vec![a.clone(), failed("x", "dead"), b.clone(), c.clone()]);
        assert_eq!(first, order(vec![c, b, a]));
        assert_eq!(first.iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>(), ["A", "B", "C"]);
    }

    #[test]
    fn the_first_of_the_plan_is_not_shown_first_more_often_than_the_others() {
        let mut first = [0; 3];
        for round in 0..300 {
            let texts = ["x", "y", "z"].map(|text| format!("{text}{round}"));
            let inputs = inputs([answer("a", &texts[0]), answer("b", &texts[1]), answer("c", &texts[2])]);
            let blind = Blind::of(&Panel::new(&inputs).unwrap());
            let call = blind.all[0].call.as_str();
            first[["a", "b", "c"].iter().position(|name| *name == call).unwrap()] += 1;
        }
        assert!(first.iter().all(|count| (70..=130).contains(count)), "{first:?}");
    }

    #[test]
    fn a_citation_becomes_the_call_and_one_of_nothing_is_named() {
        let inputs = inputs([answer("a", "one"), answer("b", "two")]);
        let blind = Blind::of(&Panel::new(&inputs).unwrap());
        let call = |label: &str| blind.find(label).unwrap().call.clone();
        let (a, b) = (call("A"), call("B"));
        assert_eq!(
            blind.reveal("x [@A] y [@A; @B], [@A, @B] and list[0] and [@home sweet]").unwrap(),
            format!("x [{a}] y [{a}; {b}], [{a}; {b}] and list[0] and [@home sweet]")
        );
        assert_eq!(blind.reveal("[@A] [@Z]").unwrap_err(), ["@Z"]);
        assert_eq!(blind.reveal("open [@A").unwrap(), "open [@A");
    }

    #[test]
    fn a_label_that_tells_agents_apart_is_not_told() {
        let by = |name: &str, label: &str, agent: &str| {
            let mut one = Answer { label: Some(label.to_owned()), ..answer(name, label) };
            one.outcome.agent = Some(agent.to_owned());
            one
        };
        let about_of = |answers: &[Answer]| {
            let all: Vec<&Answer> = answers.iter().collect();
            answers.iter().map(|one| about(one, &all)).collect::<Vec<_>>()
        };
        let same = [by("r[0]", "src/a.rs", "lab/qwen"), by("r[1]", "src/b.rs", "lab/qwen")];
        assert_eq!(about_of(&same), [Some("src/a.rs".to_owned()), Some("src/b.rs".to_owned())]);
        let different = [by("r[0]", "fast", "lab/qwen"), by("r[1]", "slow", "lab/gpt-5")];
        assert_eq!(about_of(&different), [None, None]);
        let named = [by("r[0]", "qwen once", "lab/qwen3"), by("r[1]", "again", "lab/qwen3")];
        assert_eq!(about_of(&named)[1], Some("again".to_owned()));
    }

    #[test]
    fn there_is_a_label_for_everybody() {
        assert_eq!([0, 25, 26, 51, 52, 701, 702].map(label), ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]);
    }
}
