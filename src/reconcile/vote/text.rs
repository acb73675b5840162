//! A vote for people: who answered, then each question with its tally and who abstained.

use super::super::Panel;
use super::super::wording::{counted, show};
use super::question::{Question, calls};
use super::weights::{Scale, Weights};
use super::{Rule, Vote};

/// Choices listed of one question.
const CHOICES: usize = 10;
/// Characters of a choice.
const WIDTH: usize = 48;

/// Writes it.
pub(super) fn write(vote: &Vote, panel: &Panel<'_>, scale: &Scale, questions: &[Question]) -> String {
    let mut parts = vec![format!("{} ({})", panel.census.headline(), vote.rule.word())];
    parts.extend(questions.iter().map(|question| section(vote, panel, question)));
    if let Some(learned) = &scale.learned {
        parts.push(format!(
            "Weights learned from {} of {}: right on {:.0} %, confidence off by {:.1} points on average",
            counted(learned.rows, "question"),
            learned.from,
            learned.accuracy * 100.0,
            learned.calibration_error * 100.0
        ));
    }
    parts.join("\n\n")
}

fn section(vote: &Vote, panel: &Panel<'_>, question: &Question) -> String {
    let mut lines = vec![match question.confidence() {
        Some(confidence) => format!("{}, confidence {confidence:.2}", question.sentence()),
        None => question.sentence(),
    }];
    let shown: Vec<String> =
        question.choices.iter().take(CHOICES).map(|choice| show(&choice.value, WIDTH)).collect();
    let width = shown.iter().map(|value| value.chars().count()).max().unwrap_or(0);
    for ((at, choice), value) in question.choices.iter().enumerate().zip(&shown) {
        let by = panel.names(&calls(panel, &choice.by));
        let score = match question.items.get(at) {
            Some(item) => format!("{:>3} – {}", item.wins, item.losses),
            None if vote.weights == Weights::Equal => format!("{:>3}", choice.votes()),
            None => format!("{:>3} (weight {:.2})", choice.votes(), choice.weight),
        };
        lines.push(format!("  {score}  {value:<width$}  {by}"));
    }
    if let Some(rest) = question.choices.get(CHOICES..).filter(|rest| !rest.is_empty()) {
        let votes: usize = rest.iter().map(|choice| choice.votes()).sum();
        let with = if vote.rule == Rule::Ranked {
            String::new()
        } else {
            format!(" with {}", counted(votes, "vote"))
        };
        lines.push(format!("  … {}{with}", counted(rest.len(), "more choice")));
    }
    if let Some(concord) = question.concord {
        lines.push(format!("  rankings agree on {:.0} % of pairs", concord * 100.0));
    }
    if !question.abstained.is_empty() {
        lines.push(format!("  abstained: {}", panel.names(&calls(panel, &question.abstained))));
    }
    lines.join("\n")
}
