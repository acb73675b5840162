//! A vote: what is undecided first, then each question with its tally and who abstained.

use serde_json::Value;

use super::part::{Choice, Part, Question, Shown, Sign};
use super::{Told, counted, list, number, said, share, shown as text, size, string};
use crate::report::style::Tone;

pub(super) fn shown<'v>(told: &Told<'v>) -> Option<Shown<'v>> {
    let questions = list(told.result, "questions");
    if questions.is_empty() {
        return None;
    }
    let rule = match string(told.result, "rule") {
        "ranked" => "by rank",
        "majority" => "by majority",
        "unanimity" => "by unanimity",
        "plurality" => "by plurality",
        rule => rule,
    };
    let mut facts = vec![(None, rule.to_owned())];
    facts.extend(told.conflicts());
    let (open, won): (Vec<&Value>, Vec<&Value>) =
        questions.iter().partition(|question| string(question, "outcome") != "won");
    let all = open.iter().chain(&won).map(|question| self::question(told, question)).collect();
    let parts = [Part::Questions(all)].into_iter().chain(weights(told)).collect();
    Some(Shown { facts: told.facts(facts), parts })
}

fn question(told: &Told<'_>, question: &Value) -> Question {
    let won = string(question, "outcome") == "won";
    let pointer = string(question, "pointer");
    let subject = if pointer.is_empty() { String::new() } else { format!("{pointer}: ") };
    let tally = list(question, "tally");
    let notes = question.get("agreement").and_then(Value::as_f64).map(|agreement| {
        (Some(Tone::Dim), format!("the rankings agree on {:.0} % of all pairs", agreement * 100.0))
    });
    Question {
        sign: if won { Sign::Good } else { Sign::Open },
        text: format!("{subject}{}", sentence(question)),
        choices: tally.iter().map(|choice| self::choice(told, question, choice, tally.len())).collect(),
        abstained: told.who(question.get("abstained")),
        silence: if pointer.is_empty() { "" } else { ", with nothing there" },
        notes: notes.into_iter().collect(),
    }
}

fn choice(told: &Told<'_>, question: &Value, choice: &Value, of: usize) -> Choice {
    let value = choice.get("value").unwrap_or(&Value::Null);
    let wins = question.get("winner").is_some_and(|winner| !winner.is_null() && winner == value);
    let tied = list(question, "tied").contains(value);
    let (share, figure) = match choice.get("wins") {
        Some(_) => {
            let (wins, losses) = (number(choice, "wins"), number(choice, "losses"));
            let points = wins as f64 + number(choice, "draws") as f64 / 2.0;
            (points / of.saturating_sub(1).max(1) as f64, format!("{wins} won, {losses} lost"))
        }
        None => {
            let votes = number(choice, "votes");
            let weighted = told.result.get("weights").is_some();
            let weight = if weighted {
                format!(" (weight {:.2})", self::share(choice, "weight"))
            } else {
                String::new()
            };
            (self::share(choice, "share"), format!("{votes}{weight}"))
        }
    };
    let tone = match (wins, tied) {
        (true, _) => Some(Tone::Good),
        (false, true) => Some(Tone::Warn),
        (false, false) => None,
    };
    Choice { value: text(value), tone, share, figure, who: told.who(choice.get("by")) }
}

/// What a question came to, without its subject.
fn sentence(question: &Value) -> String {
    let tally = list(question, "tally");
    let votes = size(question, "votes");
    let first = tally.first();
    let leader = said(first.and_then(|choice| choice.get("value")));
    let lead = first.map_or(0, |choice| number(choice, "votes"));
    let of = format!("{lead} of {}", counted(votes, "vote"));
    match string(question, "outcome") {
        "won" => {
            let winner = said(question.get("winner"));
            let winning = tally.iter().find(|choice| choice.get("value") == question.get("winner"));
            let with = match winning {
                Some(one) if one.get("wins").is_some() => {
                    format!(
                        "beats {} of {}",
                        number(one, "wins"),
                        counted(tally.len().saturating_sub(1), "other")
                    )
                }
                Some(one) => format!("{} of {}", number(one, "votes"), counted(votes, "vote")),
                None => counted(votes, "vote"),
            };
            let tie = match string(question, "decided_by") {
                "first" => ", a tie that plan order broke",
                "weight" => ", a tie that the heaviest voter broke",
                _ => "",
            };
            let sure = question.get("confidence").and_then(Value::as_f64);
            let sure = sure.map(|sure| format!(", confidence {sure:.2}")).unwrap_or_default();
            format!("{winner} wins: {with}{tie}{sure}")
        }
        "tied" => {
            let tied: Vec<String> = list(question, "tied").iter().take(4).map(text).collect();
            format!("a tie between {}", tied.join(" and "))
        }
        "no_majority" => format!("no majority: {leader} leads with {of}"),
        "not_unanimous" => format!("not unanimous: {leader} has {of}"),
        "no_quorum" => format!("no quorum: only {votes} voted"),
        _ => "undecided".to_owned(),
    }
}

/// What each vote weighs, and how good weights that were learned are.
fn weights<'v>(told: &Told<'v>) -> Option<Part<'v>> {
    let weights = told.result.get("weights").and_then(Value::as_object)?;
    let all = weights.iter().map(|(call, weight)| {
        let name = told.name(Some(&Value::from(call.as_str()))).name;
        format!("{name} {:.2}", weight.as_f64().unwrap_or_default())
    });
    let all: Vec<String> = all.collect();
    let mut notes = vec![(None, format!("A vote weighs: {}", all.join(", ")))];
    if let Some(learned) = told.result.get("learned") {
        let text = format!(
            "Learned from {} of {}: right on {:.0} %, confidence off by {:.1} points on average",
            counted(size(learned, "rows"), "question"),
            string(learned, "from"),
            share(learned, "accuracy") * 100.0,
            share(learned, "calibration_error") * 100.0
        );
        notes.push((Some(Tone::Dim), text));
    }
    Some(Part::Notes(notes))
}
