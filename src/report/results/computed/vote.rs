//! A vote: what is undecided first, then each question with its tally as bars and who abstained.

use serde_json::Value;

use super::bars::{self, Choice};
use super::{Told, conflicts, counted, list, more, number, share, shown, string};
use crate::report::results::page::Page;
use crate::report::style::Tone;

/// Choices listed of one question.
const CHOICES: usize = 12;
/// Questions listed.
const QUESTIONS: usize = 40;

pub(super) fn write(page: &mut Page<'_>, told: &Told<'_>) -> bool {
    let questions = list(told.result, "questions");
    if questions.is_empty() {
        return false;
    }
    let mut facts = vec![(None, string(told.result, "rule").to_owned())];
    facts.extend(conflicts(told));
    told.headline(page, facts);
    let (open, won): (Vec<&Value>, Vec<&Value>) =
        questions.iter().partition(|question| string(question, "outcome") != "won");
    for question in open.iter().chain(&won).take(QUESTIONS) {
        self::question(page, told, question);
    }
    more(page, 0, questions.len(), QUESTIONS, "question");
    weights(page, told);
    true
}

fn question(page: &mut Page<'_>, told: &Told<'_>, question: &Value) {
    page.blank();
    let won = string(question, "outcome") == "won";
    let (tone, mark) = if won { (Tone::Good, page.style.pick("✓", "+")) } else { (Tone::Warn, "!") };
    let pointer = string(question, "pointer");
    let subject = if pointer.is_empty() { String::new() } else { format!("{pointer}: ") };
    page.entry(0, tone, mark, &format!("{subject}{}", sentence(question)));

    let tally = list(question, "tally");
    let choices: Vec<Choice> =
        tally.iter().take(CHOICES).map(|choice| self::choice(told, question, choice, tally.len())).collect();
    bars::write(page, 2, &choices);
    more(page, 2, tally.len(), CHOICES, "choice");
    if !list(question, "abstained").is_empty() {
        let who = told.names(question.get("abstained"));
        page.sentence(2, 2, Some(Tone::Warn), &format!("abstained: {who}"));
    }
    if let Some(agreement) = question.get("agreement").and_then(Value::as_f64) {
        let text = format!("the rankings agree on {:.0} % of all pairs", agreement * 100.0);
        page.sentence(2, 2, Some(Tone::Dim), &text);
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
    Choice { value: shown(value), tone, share, figure, who: told.names(choice.get("by")) }
}

/// What a question came to, without its subject.
fn sentence(question: &Value) -> String {
    let tally = list(question, "tally");
    let votes = usize::try_from(number(question, "votes")).unwrap_or(usize::MAX);
    let value = |choice: &Value| choice.get("value").map(shown).unwrap_or_default();
    let first = tally.first();
    let leader = first.map(value).unwrap_or_default();
    let lead = first.map_or(0, |choice| number(choice, "votes"));
    let of = format!("{lead} of {}", counted(votes, "vote"));
    match string(question, "outcome") {
        "won" => {
            let winner = question.get("winner").map(shown).unwrap_or_default();
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
            let tied: Vec<String> = list(question, "tied").iter().take(4).map(shown).collect();
            format!("a tie between {}", tied.join(" and "))
        }
        "no_majority" => format!("no majority: {leader} leads with {of}"),
        "not_unanimous" => format!("not unanimous: {leader} has {of}"),
        "no_quorum" => format!("no quorum: only {votes} voted"),
        _ => "undecided".to_owned(),
    }
}

/// What each vote weighs, and how good weights that were learned are.
fn weights(page: &mut Page<'_>, told: &Told<'_>) {
    let Some(weights) = told.result.get("weights").and_then(Value::as_object) else { return };
    page.blank();
    let all: Vec<String> = weights
        .iter()
        .map(|(call, weight)| {
            let name = told.name(&Value::from(call.as_str()));
            format!("{name} {:.2}", weight.as_f64().unwrap_or_default())
        })
        .collect();
    page.sentence(0, 2, None, &format!("A vote weighs: {}", all.join(", ")));
    if let Some(learned) = told.result.get("learned") {
        let text = format!(
            "Learned from {} of {}: right on {:.0} %, confidence off by {:.1} points on average",
            counted(usize::try_from(number(learned, "rows")).unwrap_or(usize::MAX), "question"),
            string(learned, "from"),
            share(learned, "accuracy") * 100.0,
            share(learned, "calibration_error") * 100.0
        );
        page.sentence(0, 2, Some(Tone::Dim), &text);
    }
}
