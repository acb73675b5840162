//! Four systems on grade-school maths: weights learned on one half of the questions, voted on the other.

use std::io::Write;

use fanout::outcome::{Outcome, Output};
use fanout::reconcile::{Inputs, reconcile};
use serde_json::{Map, Value, json};

use super::{Stop, answer, shuffled};

/// Random halves that the figures are averaged over.
const SPLITS: u64 = 200;

/// One question: each system's final answer, and the right one.
struct Question {
    gold: String,
    answers: Vec<(String, String)>,
}

/// How one way of deciding did on some questions.
#[derive(Default)]
struct Tally {
    right: f64,
    of: f64,
    /// Ten bins of confidence: their sum, and how many were right.
    bins: [(f64, f64); 10],
    /// Whether it was right, question by question.
    each: Vec<bool>,
}

impl Tally {
    fn add(&mut self, right: bool, confidence: f64) {
        self.each.push(right);
        let hit = f64::from(u8::from(right));
        self.right += hit;
        self.of += 1.0;
        if let Some((sum, hits)) = self.bins.get_mut(((confidence * 10.0) as usize).min(9)) {
            *sum += confidence;
            *hits += hit;
        }
    }

    fn share(&self) -> f64 {
        100.0 * self.right / self.of
    }

    /// Expected calibration error, in points.
    fn calibration(&self) -> f64 {
        100.0 * self.bins.iter().map(|(sum, hits)| (sum - hits).abs()).sum::<f64>() / self.of
    }
}

pub(crate) fn measure(rows: &[Value], out: &mut impl Write) -> Result<(), Stop> {
    let questions: Vec<Question> = rows.iter().filter_map(question).collect();
    let systems: Vec<String> = questions
        .first()
        .map(|q| q.answers.iter().map(|(name, _)| name.clone()).collect())
        .unwrap_or_default();
    let plain = json!({"normalize": "number", "ties": "first"});
    let reported = json!({"normalize": "number"});
    let learned = json!({"normalize": "number", "weights": {"from": "learned"}});

    let half = questions.len() / 2;
    let (mut gain, mut ahead, mut level) = (0.0, 0, 0);
    let mut sums = [0.0; 6];
    // For each question how much better the weights do than the best single system, over the halves that ask it.
    let mut gains = vec![(0.0, 0.0); questions.len()];
    for seed in 0..SPLITS {
        let order = shuffled(questions.len(), seed);
        let pick = |positions: &[usize]| -> Vec<&Question> {
            positions.iter().filter_map(|at| questions.get(*at)).collect()
        };
        let (known, asking) = (order.get(..half).unwrap_or_default(), order.get(half..).unwrap_or_default());
        let (known, asked) = (pick(known), pick(asking));
        let best = systems.iter().max_by_key(|name| known.iter().filter(|q| q.is_right(name)).count());
        let best = best.ok_or("no system")?;
        let single = 100.0 * asked.iter().filter(|q| q.is_right(best)).count() as f64 / asked.len() as f64;
        let gold: Map<String, Value> =
            known.iter().enumerate().map(|(n, q)| (n.to_string(), json!(q.gold))).collect();
        let answers: Map<String, Value> = sheets(&known).into_iter().collect();
        let labels = json!({ "gold": gold, "answers": answers }).to_string();
        let voted = vote(&asked, &plain, "")?;
        let dissent = vote(&asked, &reported, "")?;
        let weighed = vote(&asked, &learned, &labels)?;
        for (at, right) in asking.iter().zip(&weighed.each) {
            if let (Some((sum, times)), Some(question)) = (gains.get_mut(*at), questions.get(*at)) {
                *sum += f64::from(u8::from(*right)) - f64::from(u8::from(question.is_right(best)));
                *times += 1.0;
            }
        }
        let wins = (weighed.share() - single) * asked.len() as f64 / 100.0;
        gain += wins;
        ahead += u32::from(wins > 0.5);
        level += u32::from(wins.abs() < 0.5);
        for (sum, figure) in sums.iter_mut().zip([
            single,
            voted.share(),
            weighed.share(),
            weighed.calibration(),
            dissent.share(),
            dissent.calibration(),
        ]) {
            *sum += figure / SPLITS as f64;
        }
    }
    let [single, voted, weighed, calibration, dissent, plain_calibration] = sums;
    writeln!(out, "GSM8K, {} questions, 4 systems; mean of {SPLITS} random halves", questions.len())?;
    writeln!(out, "  best single system of the first half     {single:5.1} %")?;
    writeln!(out, "  plain vote, ties broken by plan order    {voted:5.1} %")?;
    writeln!(
        out,
        "  plain vote, ties reported                {dissent:5.1} %   calibration error {plain_calibration:.1} points"
    )?;
    writeln!(
        out,
        "  weights learned on the first half        {weighed:5.1} %   calibration error {calibration:.1} points"
    )?;
    writeln!(
        out,
        "  learned against best single: {:+.2} questions of {}; ahead in {ahead}, level in {level} of {SPLITS} halves",
        gain / SPLITS as f64,
        questions.len() - half
    )?;
    let (mean, error) = mean_and_error(&gains);
    writeln!(
        out,
        "  that is {:+.2} points, 95 % interval over questions {:+.2} to {:+.2}\n",
        100.0 * mean,
        100.0 * (mean - 1.96 * error),
        100.0 * (mean + 1.96 * error)
    )?;
    Ok(())
}

/// Mean and standard error of each question's mean gain.
fn mean_and_error(gains: &[(f64, f64)]) -> (f64, f64) {
    let each: Vec<f64> = gains.iter().map(|(sum, times)| sum / times.max(1.0)).collect();
    let count = each.len() as f64;
    let mean = each.iter().sum::<f64>() / count;
    let spread = each.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (spread / count).sqrt())
}

impl Question {
    fn is_right(&self, system: &str) -> bool {
        self.answers.iter().any(|(name, answer)| name == system && *answer == self.gold)
    }
}

/// Votes on all questions at once, each a field of the systems' answers; the labels are fields of
/// one labelled row. A question without a winner counts as wrong, with no confidence.
fn vote(questions: &[&Question], settings: &Value, labels: &str) -> Result<Tally, Stop> {
    let mut settings = settings.as_object().cloned().unwrap_or_default();
    settings.insert("on".to_owned(), (0..questions.len()).map(|n| json!(format!("/{n}"))).collect());
    let mut answers = Vec::new();
    for (index, (name, sheet)) in sheets(questions).into_iter().enumerate() {
        answers.push(answer(index, &name, Outcome::ok(Output::json(sheet)))?);
    }
    let files = [("learned".to_owned(), labels.into())].into();
    let result = reconcile("vote", &settings, &Inputs { answers, files, ..Inputs::default() })?;
    let mut tally = Tally::default();
    for (number, question) in questions.iter().enumerate() {
        let voted = result.json.pointer(&format!("/questions/{number}"));
        let winner = voted.and_then(|voted| voted.get("winner")?.as_str());
        let confidence = voted.and_then(|voted| voted.get("confidence")?.as_f64()).unwrap_or(0.0);
        tally.add(winner.is_some_and(|winner| same_number(winner, &question.gold)), confidence);
    }
    Ok(tally)
}

/// For each system its answers to all questions, by the question's number.
fn sheets(questions: &[&Question]) -> Vec<(String, Value)> {
    let mut sheets: Vec<(String, Map<String, Value>)> = Vec::new();
    for (number, question) in questions.iter().enumerate() {
        for (at, (name, answer)) in question.answers.iter().enumerate() {
            if sheets.len() == at {
                sheets.push((name.clone(), Map::new()));
            }
            if let Some((_, sheet)) = sheets.get_mut(at) {
                sheet.insert(number.to_string(), json!(answer));
            }
        }
    }
    sheets.into_iter().map(|(name, sheet)| (name, Value::Object(sheet))).collect()
}

fn same_number(a: &str, b: &str) -> bool {
    matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if a == b)
}

/// The final answers stand after `A:` on the last line; dollar signs and commas are taken out.
fn question(row: &Value) -> Option<Question> {
    let plain = |text: &str| {
        let number: String = text.trim().chars().filter(|c| *c != ',' && *c != '$').collect();
        number.parse::<f64>().map_or(number, |value| value.to_string())
    };
    let outputs = row.get("outputs")?.as_object()?;
    let answers = outputs.iter().map(|(name, text)| {
        let text = text.as_str().unwrap_or_default();
        let last = text.rsplit("A:").next().unwrap_or_default();
        let last = if last.trim().is_empty() { "none" } else { last };
        (name.clone(), plain(last))
    });
    Some(Question { gold: plain(row.get("gold")?.as_str()?), answers: answers.collect() })
}
