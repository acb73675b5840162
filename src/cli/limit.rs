//! `--limit KEY=VALUE`: a limit of the run, instead of the plan's.
//!
//! Invariant: the same keys, units and refusals as under `limits:` in a plan.

use super::Complaint;
use crate::plan::Plan;
use crate::unit::{self, Usd};

/// Puts the given limits in place of the plan's, the last of each key counting.
///
/// # Errors
/// [`Complaint`] for an unknown key and for a value that is none.
pub(super) fn apply(plan: &mut Plan, limits: &[String]) -> Result<(), Complaint> {
    for text in limits {
        let wrong = |why: String| Complaint::usage(format!("--limit {text}: {why}"));
        let Some((key, value)) = text.split_once('=') else {
            return Err(wrong("write KEY=VALUE, such as `--limit tokens=800k`".to_owned()));
        };
        let number = |value: &str| value.parse::<u32>().ok().filter(|number| *number > 0);
        let limits = &mut plan.limits;
        match key.trim() {
            "tokens" => {
                let tokens = unit::tokens(value).map_err(|error| wrong(error.to_string()))?;
                if tokens.is_zero() {
                    return Err(wrong("it must be more than nothing".to_owned()));
                }
                limits.budget.tokens = Some(tokens);
            }
            "cost" => {
                let dollars = value.trim().trim_start_matches('$').parse::<f64>().ok();
                let dollars = dollars.filter(|dollars| *dollars > 0.0 && *dollars <= 1e9);
                let dollars = dollars
                    .ok_or_else(|| wrong("write an amount in US dollars, such as `cost=2.50`".to_owned()))?;
                limits.budget.cost = Some(Usd((dollars * 1e6).round() as u64));
            }
            "time" => {
                limits.time = Some(unit::duration(value).map_err(|error| wrong(error.to_string()))?);
            }
            "calls" => {
                limits.calls = number(value).ok_or_else(|| wrong("write a number from 1".to_owned()))?;
            }
            "concurrency" => {
                limits.concurrency =
                    number(value).ok_or_else(|| wrong("write a number from 1".to_owned()))?;
            }
            other => {
                let known = "`tokens`, `cost`, `time`, `calls` and `concurrency`";
                return Err(wrong(format!("there is no limit `{other}`; there are {known}")));
            }
        }
    }
    Ok(())
}
