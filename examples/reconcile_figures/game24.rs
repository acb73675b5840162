//! Game of 24: a hundred attempts a puzzle and a checker; the best is one that passes it.

use std::io::Write;

use fanout::outcome::{Cause, Outcome, Output, Status};
use fanout::reconcile::{Inputs, ReconcileError, reconcile};
use serde_json::{Value, json};

use super::{Stop, answer};

pub(crate) fn measure(rows: &[Value], out: &mut impl Write) -> Result<(), Stop> {
    writeln!(out, "Game of 24, 100 samples a puzzle; share of puzzles solved")?;
    writeln!(out, "  prompt     puzzles   one sample   vote   best by checks   any sample")?;
    for style in ["standard", "cot"] {
        let puzzles: Vec<&Value> = rows
            .iter()
            .filter(|row| row.get("prompt_style").and_then(Value::as_str) == Some(style))
            .collect();
        let mut sums = [0.0; 4];
        for puzzle in &puzzles {
            let numbers = puzzle.get("numbers").and_then(Value::as_str).unwrap_or_default();
            let samples: Vec<&str> = puzzle
                .get("samples")
                .and_then(Value::as_array)
                .map(|samples| samples.iter().filter_map(Value::as_str).collect())
                .unwrap_or_default();
            let right = samples.iter().filter(|sample| solves(sample, numbers)).count();
            let figures = [
                right as f64 / samples.len().max(1) as f64,
                decided("vote", &json!({"normalize": "space", "ties": "first"}), &samples, numbers)?,
                decided("best", &json!({"by": "checks"}), &samples, numbers)?,
                f64::from(u8::from(right > 0)),
            ];
            for (sum, figure) in sums.iter_mut().zip(figures) {
                *sum += figure / puzzles.len() as f64;
            }
        }
        let [one, vote, best, any] = sums;
        let count = puzzles.len();
        writeln!(out, "  {style:<8}   {count:>7}   {one:>10.3}   {vote:.3}   {best:>14.3}   {any:>10.3}")?;
    }
    Ok(())
}

/// 1 when the strategy's winner solves the puzzle. `best` sees the checker's verdicts as the
/// outcomes of the calls; `vote` sees the final expressions only.
fn decided(strategy: &str, settings: &Value, samples: &[&str], numbers: &str) -> Result<f64, Stop> {
    let mut answers = Vec::new();
    for (index, sample) in samples.iter().enumerate() {
        let text = Output::text(expression(sample));
        let outcome = if strategy == "vote" || solves(sample, numbers) {
            Outcome::ok(text)
        } else {
            let cause = Cause::new("check_failed", "the check exited 1");
            Outcome { output: text, ..Outcome::ended(Status::Failed, cause) }
        };
        answers.push(answer(index, "gpt-4", outcome)?);
    }
    let inputs = Inputs { answers, ..Inputs::default() };
    let winner = match reconcile(strategy, &settings.as_object().cloned().unwrap_or_default(), &inputs) {
        Ok(result) => {
            let winner = result.json.pointer("/winner/value").or(result.json.get("winner"));
            winner.and_then(Value::as_str).map(str::to_owned)
        }
        Err(ReconcileError::TooFew { .. }) => None,
        Err(other) => return Err(other.into()),
    };
    Ok(f64::from(u8::from(winner.is_some_and(|winner| solves(&winner, numbers)))))
}

/// The final line without `Answer:` and without what stands after the equals sign.
fn expression(sample: &str) -> String {
    let last = sample.trim().lines().last().unwrap_or_default();
    let last = last.strip_prefix("Answer:").unwrap_or(last);
    last.split('=').next().unwrap_or_default().trim().to_owned()
}

/// True when the sample's expression uses each number once and comes to 24.
fn solves(sample: &str, numbers: &str) -> bool {
    let expression = expression(sample);
    let mut used: Vec<&str> =
        expression.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty()).collect();
    let mut given: Vec<&str> = numbers.split_whitespace().collect();
    used.sort_unstable();
    given.sort_unstable();
    used == given && value(&expression).is_some_and(|value| (value - 24.0).abs() < 1e-6)
}

/// The value of an expression of whole numbers, `+ - * /` and parentheses; `None` for anything else.
fn value(expression: &str) -> Option<f64> {
    let marks: Vec<char> = expression.chars().filter(|c| !c.is_whitespace()).collect();
    let mut rest = marks.as_slice();
    let value = sum(&mut rest)?;
    (rest.is_empty() && value.is_finite()).then_some(value)
}

fn sum(rest: &mut &[char]) -> Option<f64> {
    let mut total = product(rest)?;
    while let [operator @ ('+' | '-'), after @ ..] = *rest {
        *rest = after;
        let next = product(rest)?;
        total += if *operator == '+' { next } else { -next };
    }
    Some(total)
}

fn product(rest: &mut &[char]) -> Option<f64> {
    let mut total = factor(rest)?;
    while let [operator @ ('*' | '/'), after @ ..] = *rest {
        *rest = after;
        let next = factor(rest)?;
        total = if *operator == '*' { total * next } else { total / next };
    }
    Some(total)
}

fn factor(rest: &mut &[char]) -> Option<f64> {
    if let ['(', inside @ ..] = *rest {
        *rest = inside;
        let value = sum(rest)?;
        let [')', after @ ..] = *rest else { return None };
        *rest = after;
        return Some(value);
    }
    let digits: String = rest.iter().take_while(|c| c.is_ascii_digit()).collect();
    *rest = rest.get(digits.len()..).unwrap_or_default();
    digits.parse().ok()
}
