//! Measures the reconciliation strategies on answers of real systems.
//!
//! ```text
//! cargo run --release --example reconcile_figures [FOLDER [WHAT…]]
//! ```
//!
//! FOLDER holds the data sets (default `../shared/data`); without it only the speed is measured
//! and the program says so. WHAT is `findings`, `gsm8k`, `humaneval`, `game24` or `speed`; without
//! it all are measured. docs/reconciliation.md has the figures.

mod findings;
mod game24;
mod gsm8k;
mod humaneval;
mod speed;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fanout::id::{CallId, InstanceId};
use fanout::outcome::Outcome;
use fanout::reconcile::Answer;
use serde_json::Value;

/// Whatever stops a measurement.
type Stop = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let mut args = std::env::args();
    let folder = args.nth(1).map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let what: Vec<String> = args.collect();
    match measure(&folder, &what, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            // Nothing is left to do where even standard error is closed.
            let _ = writeln!(io::stderr(), "reconcile_figures: {stop}");
            ExitCode::FAILURE
        }
    }
}

fn measure(folder: &Path, what: &[String], out: &mut impl Write) -> Result<(), Stop> {
    let wanted = |name: &str| what.is_empty() || what.iter().any(|one| one == name);
    if folder.is_dir() {
        if wanted("findings") {
            findings::measure(&rows(folder, "code_review_findings.jsonl")?, out)?;
        }
        if wanted("gsm8k") {
            gsm8k::measure(&rows(folder, "gsm8k_4systems.jsonl")?, out)?;
        }
        if wanted("humaneval") {
            humaneval::measure(&rows(folder, "humaneval_codegen16b_100.jsonl")?, out)?;
        }
        if wanted("game24") {
            game24::measure(&rows(folder, "game24_gpt4_100samples.jsonl")?, out)?;
        }
    } else {
        let folder = folder.display();
        writeln!(out, "SKIPPED: there is no folder {folder}; name the one that holds the data sets")?;
    }
    if wanted("speed") { speed::measure(out) } else { Ok(()) }
}

/// The rows of a file with one JSON value a line.
fn rows(folder: &Path, name: &str) -> Result<Vec<Value>, Stop> {
    let path = folder.join(name);
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    text.lines().map(|line| serde_json::from_str(line).map_err(Stop::from)).collect()
}

/// One instance of the call `sample`, answered by `agent`.
fn answer(index: usize, agent: &str, outcome: Outcome) -> Result<Answer, Stop> {
    let call = CallId::parse("sample")?;
    let instance = InstanceId::nth(call, u32::try_from(index)?);
    let description = "Sample".to_owned();
    Ok(Answer { instance, label: None, description, agent: Some(agent.to_owned()), outcome })
}

/// A shuffle that is the same on every run: SplitMix64 and Fisher-Yates.
fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = seed;
    for at in (1..count).rev() {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        order.swap(at, (mixed % (at as u64 + 1)) as usize);
    }
    order
}
