//! Programs and tests that one model wrote for the same tasks: the best by cross-checking.

use std::collections::HashMap;
use std::io::Write;

use fanout::outcome::{Outcome, Output};
use fanout::reconcile::{Inputs, reconcile};
use serde_json::{Value, json};

use super::{Stop, answer, shuffled};

/// One task: samples as positions of distinct programs.
struct Task {
    programs: Vec<String>,
    samples: Vec<usize>,
    /// For each program the tests that it passes, as a text of `0` and `1`.
    passes: Vec<String>,
    right: Vec<bool>,
}

pub(crate) fn measure(rows: &[Value], out: &mut impl Write) -> Result<(), Stop> {
    let tasks: Vec<Task> = rows.iter().filter_map(task).collect();
    writeln!(
        out,
        "HumanEval, {} tasks, CodeGen-16B; share of tasks solved by the first choice",
        tasks.len()
    )?;
    writeln!(out, "  samples   one at random   text vote   size x tests   best, cross_check   any")?;
    for (count, repeats) in [(100, 1), (50, 10), (20, 20), (10, 40), (5, 40)] {
        let mut sums = [0.0; 5];
        let mut solved = vec![0.0; tasks.len()];
        for seed in 0..repeats {
            for (number, task) in tasks.iter().enumerate() {
                let order = shuffled(task.samples.len(), seed * 1000 + number as u64);
                // All samples stand as they came; fewer are drawn at random.
                let order = if count == 100 { (0..task.samples.len()).collect() } else { order };
                let drawn: Vec<usize> =
                    order.iter().take(count).filter_map(|at| task.samples.get(*at)).copied().collect();
                let share = drawn.iter().filter(|p| task.is_right(**p)).count() as f64 / drawn.len() as f64;
                let any = f64::from(u8::from(share > 0.0));
                let best = task.best(&drawn)?;
                if let Some(solved) = solved.get_mut(number) {
                    *solved += best / repeats as f64;
                }
                let figures = [share, task.text_vote(&drawn), task.codet(&drawn), best, any];
                for (sum, figure) in sums.iter_mut().zip(figures) {
                    *sum += figure / (tasks.len() as f64 * repeats as f64);
                }
            }
        }
        let [one, text, codet, best, any] = sums;
        let spread = solved.iter().map(|one| (one - best).powi(2)).sum::<f64>() / (tasks.len() - 1) as f64;
        let error = (spread / tasks.len() as f64).sqrt();
        let best = format!("{best:.3} ± {error:.3}");
        writeln!(out, "  {count:>7}   {one:>13.3}   {text:>9.3}   {codet:>12.3}   {best:>17}   {any:.3}")?;
    }
    writeln!(out, "  (± is the standard error over tasks)\n")?;
    Ok(())
}

impl Task {
    fn is_right(&self, program: usize) -> bool {
        self.right.get(program).copied().unwrap_or(false)
    }

    /// What `best` picks.
    fn best(&self, drawn: &[usize]) -> Result<f64, Stop> {
        let mut answers = Vec::new();
        for (index, program) in drawn.iter().enumerate() {
            let value = json!({"code": self.programs.get(*program), "passes": self.passes.get(*program)});
            answers.push(answer(index, "codegen-16b", Outcome::ok(Output::json(value)))?);
        }
        let settings = json!({"cross_check": {"passes": "/passes"}});
        let inputs = Inputs { answers, ..Inputs::default() };
        let result = reconcile("best", &settings.as_object().cloned().unwrap_or_default(), &inputs)?;
        let code = result.json.pointer("/winner/value/code").and_then(Value::as_str);
        let picked = self.programs.iter().position(|program| Some(program.as_str()) == code);
        Ok(f64::from(u8::from(picked.is_some_and(|program| self.is_right(program)))))
    }

    /// The program that was written most often; the mean over ties.
    fn text_vote(&self, drawn: &[usize]) -> f64 {
        let mut counts: HashMap<usize, usize> = HashMap::new();
        for program in drawn {
            *counts.entry(*program).or_default() += 1;
        }
        let most = counts.values().copied().max().unwrap_or(0);
        let leaders: Vec<usize> = counts.into_iter().filter(|(_, n)| *n == most).map(|(p, _)| p).collect();
        self.share(&leaders)
    }

    /// CodeT: the group with the highest size times tests passed; the mean over its members.
    fn codet(&self, drawn: &[usize]) -> f64 {
        let mut groups: HashMap<&str, Vec<usize>> = HashMap::new();
        for program in drawn {
            groups.entry(self.passes.get(*program).map_or("", String::as_str)).or_default().push(*program);
        }
        let score = |bits: &str, size: usize| bits.bytes().filter(|b| *b == b'1').count() * size;
        let best = groups.iter().map(|(bits, members)| score(bits, members.len())).max().unwrap_or(0);
        let leaders = groups.iter().filter(|(bits, members)| score(bits, members.len()) == best);
        let shares: Vec<f64> = leaders.map(|(_, members)| self.share(members)).collect();
        shares.iter().sum::<f64>() / shares.len().max(1) as f64
    }

    fn share(&self, programs: &[usize]) -> f64 {
        let right = programs.iter().filter(|program| self.is_right(**program)).count();
        right as f64 / programs.len().max(1) as f64
    }
}

fn task(row: &Value) -> Option<Task> {
    let texts = |key: &str| -> Option<Vec<String>> {
        Some(row.get(key)?.as_array()?.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect())
    };
    let numbers = |key: &str| -> Option<Vec<usize>> {
        let numbers = row.get(key)?.as_array()?.iter().filter_map(Value::as_u64);
        Some(numbers.filter_map(|n| usize::try_from(n).ok()).collect())
    };
    Some(Task {
        programs: texts("completions")?,
        samples: numbers("samples")?,
        passes: texts("test_vector")?,
        right: numbers("passes_official")?.into_iter().map(|passes| passes == 1).collect(),
    })
}
