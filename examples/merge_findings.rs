//! How well `merge` does on real code-review findings of twelve tools, and how fast it is.
//!
//! ```text
//! cargo run --example merge_findings -- ../shared/data/code_review_findings.jsonl
//! cargo run --release --example merge_findings -- --speed
//! ```
//!
//! Each line of the file is one pull request with what one labeller found that tools
//! said about it: `judge`, `golden: [{text}]` (what people found) and
//! `findings: [{tool, text, golden: [index]}]`. A merged finding counts as right for one
//! golden issue, and only if at least half of its members match that issue.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::io::Write;
use std::time::Instant;

use fanout::id::{CallId, InstanceId};
use fanout::outcome::{Outcome, Output};
use fanout::reconcile::{Answer, Inputs, reconcile};
use serde_json::{Map, Value, json};

/// What a merged finding needs to be kept: so many tools, of about ten that answer.
const AGREE: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    let default = "../shared/data/code_review_findings.jsonl".to_owned();
    let path = std::env::args().nth(1).unwrap_or(default);
    if path == "--speed" {
        return speed(&mut out);
    }
    match std::fs::read_to_string(&path) {
        Ok(text) => quality(&mut out, &text)?,
        Err(error) => {
            writeln!(out, "SKIPPED: no figures for quality: cannot read {path}: {error}")?;
            writeln!(out, "         give the path of the labelled findings as the first argument")?;
        }
    }
    Ok(())
}

/// Sums over pull requests, for one labeller.
#[derive(Default)]
struct Score {
    golden: f64,
    kept: f64,
    hit: f64,
    /// B-cubed: sums of precision and recall, and over how many findings.
    cubed: (f64, f64, f64),
}

fn quality(out: &mut impl Write, text: &str) -> Result<(), Box<dyn Error>> {
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let row: Value = serde_json::from_str(line)?;
        let judge = row["judge"].as_str().unwrap_or("?").to_owned();
        add(scores.entry(judge).or_default(), &row)?;
    }
    writeln!(out, "labeller    F1  precision  recall  B-cubed   (kept when {AGREE} tools agree)")?;
    for (judge, score) in &scores {
        let (precision, recall) = (score.hit / score.kept.max(1.0), score.hit / score.golden.max(1.0));
        let (p, r, n) = score.cubed;
        writeln!(
            out,
            "{judge:<9} {:.3}      {precision:.3}   {recall:.3}    {:.3}",
            harmonic(precision, recall),
            harmonic(p / n.max(1.0), r / n.max(1.0)),
        )?;
    }
    Ok(())
}

fn harmonic(a: f64, b: f64) -> f64 {
    if a + b > 0.0 { 2.0 * a * b / (a + b) } else { 0.0 }
}

fn add(score: &mut Score, row: &Value) -> Result<(), Box<dyn Error>> {
    let findings = row["findings"].as_array().ok_or("a row has no `findings`")?;
    let mut by_tool: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, finding) in findings.iter().enumerate() {
        by_tool.entry(finding["tool"].as_str().unwrap_or("?")).or_default().push(at);
    }
    let tools: Vec<(&str, Vec<usize>)> = by_tool.into_iter().collect();
    let answers = tools.iter().enumerate().map(|(number, (_, own))| {
        answer(number, own.iter().map(|at| json!({ "title": findings[*at]["text"] })).collect())
    });
    let groups: Vec<Vec<usize>> = merged(answers.collect::<Result<_, _>>()?)?
        .into_iter()
        .map(|group| group.into_iter().map(|(tool, at)| tools[tool].1[at]).collect())
        .collect();
    let golden = |at: usize| -> BTreeSet<u64> {
        findings[at]["golden"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
    };
    score.golden += row["golden"].as_array().map_or(0, Vec::len) as f64;
    let tools_of = |group: &Vec<usize>| {
        group.iter().filter_map(|at| findings[*at]["tool"].as_str()).collect::<BTreeSet<&str>>().len()
    };
    let mut kept: Vec<&Vec<usize>> = groups.iter().filter(|group| tools_of(group) >= AGREE).collect();
    kept.sort_by_key(|group| std::cmp::Reverse(tools_of(group)));
    let mut found: BTreeSet<u64> = BTreeSet::new();
    for group in kept {
        score.kept += 1.0;
        let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
        for issue in group.iter().flat_map(|at| golden(*at)) {
            *counts.entry(issue).or_default() += 1;
        }
        let mut counts: Vec<(u64, usize)> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let right = counts.iter().find(|(issue, count)| 2 * count >= group.len() && !found.contains(issue));
        if let Some((issue, _)) = right {
            found.insert(*issue);
            score.hit += 1.0;
        }
    }
    let group_of: HashMap<usize, usize> =
        groups.iter().enumerate().flat_map(|(g, group)| group.iter().map(move |at| (*at, g))).collect();
    let labelled: Vec<usize> = (0..findings.len()).filter(|at| !golden(*at).is_empty()).collect();
    for one in &labelled {
        let (mut same, mut gold, mut both) = (0.0, 0.0, 0.0);
        for other in &labelled {
            let together = group_of.get(one) == group_of.get(other);
            let meant = !golden(*one).is_disjoint(&golden(*other));
            same += f64::from(u8::from(together));
            gold += f64::from(u8::from(meant));
            both += f64::from(u8::from(together && meant));
        }
        score.cubed.0 += both / same;
        score.cubed.1 += both / gold;
        score.cubed.2 += 1.0;
    }
    Ok(())
}

fn answer(number: usize, items: Vec<Value>) -> Result<Answer, Box<dyn Error>> {
    Ok(Answer {
        instance: InstanceId::only(CallId::parse(&format!("tool{number}"))?),
        label: None,
        description: String::new(),
        agent: None,
        outcome: Outcome::ok(Output::json(Value::Array(items))),
    })
}

/// Items that are the same, as (answer, item).
type Group = Vec<(usize, usize)>;

/// Merges with default settings.
fn merged(answers: Vec<Answer>) -> Result<Vec<Group>, Box<dyn Error>> {
    let settings: Map<String, Value> = Map::from_iter([("similar".to_owned(), json!({ "on": "/title" }))]);
    let result = reconcile("merge", &settings, &Inputs { answers, ..Inputs::default() })?;
    let items = result.json["items"].as_array().cloned().unwrap_or_default();
    let member = |member: &Value| {
        let tool = member["by"].as_str()?.strip_prefix("tool")?.parse().ok()?;
        Some((tool, usize::try_from(member["at"].as_u64()?).ok()?))
    };
    Ok(items
        .iter()
        .map(|item| item["members"].as_array().into_iter().flatten().filter_map(member).collect())
        .collect())
}

/// 50 agents with 200 findings each, about 2000 things in different words.
fn speed(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut roll = move |sides: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % sides).unwrap_or(0)
    };
    let letters: Vec<char> = "etaoinshrdlcumwfgypbvk".chars().collect();
    let words: Vec<String> =
        (0..4000).map(|_| (0..5 + roll(5)).map(|_| letters[roll(letters.len() as u64)]).collect()).collect();
    let frequent = 300;
    let things: Vec<Vec<usize>> = (0..2000)
        .map(|_| (0..12).map(|n| if n % 3 == 0 { roll(frequent) } else { roll(4000) }).collect())
        .collect();
    let mut answers = Vec::new();
    for agent in 0..50 {
        let items: Vec<Value> = (0..200)
            .map(|_| {
                let thing = &things[roll(2000)];
                let said =
                    (0..18).map(|n| if n < 9 { &words[thing[roll(12)]] } else { &words[roll(frequent)] });
                json!({ "title": said.map(String::as_str).collect::<Vec<&str>>().join(" ") })
            })
            .collect();
        answers.push(answer(agent, items)?);
    }
    let start = Instant::now();
    let groups = merged(answers)?;
    writeln!(
        out,
        "speed: 10000 findings of 50 agents are {} different, in {:.1} s",
        groups.len(),
        start.elapsed().as_secs_f64()
    )?;
    Ok(())
}
