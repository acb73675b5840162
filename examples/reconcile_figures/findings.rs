//! What twelve code-review tools found in the same pull requests: merged, and kept where enough agree.
//!
//! A merged finding counts as right for one issue that people found, and only if at least half of
//! its members mean that issue. Settings are chosen on some folds of pull requests and scored on
//! the others; one choice for all labellers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write;

use fanout::outcome::{Outcome, Output};
use fanout::reconcile::{Inputs, reconcile};
use serde_json::{Map, Value, json};

use super::{Stop, answer, shuffled};

/// The default of `similar.at`.
const DEFAULT_AT: f64 = 0.85;
/// How many tools have to find a thing, of about ten that answer.
const DEFAULT_AGREE: usize = 4;
/// What there is to choose from.
const AT: [f64; 7] = [0.78, 0.81, 0.83, 0.85, 0.87, 0.89, 0.91];
const AGREE: [usize; 3] = [3, 4, 5];
const FOLDS: usize = 5;
const SHUFFLES: u64 = 20;

/// One pull request as one labeller sees it.
struct Pull {
    name: String,
    judge: String,
    golden: usize,
    findings: Vec<Finding>,
}

struct Finding {
    tool: String,
    text: String,
    /// The issues that it means.
    golden: BTreeSet<u64>,
}

/// Positions of findings that are said to be the same.
type Groups = Vec<Vec<usize>>;

/// Sums over pull requests.
#[derive(Default, Clone, Copy)]
struct Score {
    golden: f64,
    kept: f64,
    hit: f64,
}

impl Score {
    fn add(&mut self, more: Score) {
        self.golden += more.golden;
        self.kept += more.kept;
        self.hit += more.hit;
    }

    fn precision(&self) -> f64 {
        self.hit / self.kept.max(1.0)
    }

    fn recall(&self) -> f64 {
        self.hit / self.golden.max(1.0)
    }

    fn f1(&self) -> f64 {
        harmonic(self.precision(), self.recall())
    }
}

fn harmonic(a: f64, b: f64) -> f64 {
    if a + b > 0.0 { 2.0 * a * b / (a + b) } else { 0.0 }
}

pub(crate) fn measure(rows: &[Value], out: &mut impl Write) -> Result<(), Stop> {
    let pulls: Vec<Pull> = rows.iter().filter_map(pull).collect();
    let judges: BTreeSet<&str> = pulls.iter().map(|pull| pull.judge.as_str()).collect();
    let judges: Vec<&str> = judges.into_iter().collect();
    let mut merged: Vec<Vec<Groups>> = Vec::new();
    for at in AT {
        merged.push(pulls.iter().map(|pull| merge(pull, at)).collect::<Result<_, _>>()?);
    }
    let default = AT.iter().position(|at| *at == DEFAULT_AT).ok_or("the default is not among the choices")?;
    let names: BTreeSet<&str> = pulls.iter().map(|pull| pull.name.as_str()).collect();
    writeln!(
        out,
        "Code-review findings, {} pull requests, F1 by the labels of{}",
        names.len(),
        columns(&judges)
    )?;

    let each = |score: &dyn Fn(&Pull, usize) -> Score| -> Vec<Score> {
        let of = |judge: &&str| {
            let own = pulls.iter().enumerate().filter(|(_, pull)| pull.judge == **judge);
            own.fold(Score::default(), |mut sum, (at, pull)| {
                sum.add(score(pull, at));
                sum
            })
        };
        judges.iter().map(of).collect()
    };
    let single = judges.iter().map(|judge| best_single(&pulls, judge));
    line(out, "best single tool, picked on these rows", single)?;
    let words: Vec<Groups> = pulls.iter().map(by_words).collect();
    let plain = each(&|pull, at| kept(pull, &words[at], DEFAULT_AGREE));
    line(out, "overlap of words, kept when 4 tools agree", plain.iter().map(Score::f1))?;
    let ours = each(&|pull, at| kept(pull, &merged[default][at], DEFAULT_AGREE));
    line(out, "merge, defaults, kept when 4 tools agree", ours.iter().map(Score::f1))?;
    line(out, "  its precision", ours.iter().map(Score::precision))?;
    line(out, "  its recall", ours.iter().map(Score::recall))?;

    let perfect: Vec<Groups> = pulls.iter().map(by_label).collect();
    let most = each(&|pull, at| kept(pull, &perfect[at], DEFAULT_AGREE));
    line(out, "perfect grouping, kept when 4 tools agree", most.iter().map(Score::f1))?;
    line(out, "  its recall", most.iter().map(Score::recall))?;

    let (folded, chosen) = cross_validated(&pulls, &judges, &merged);
    line(out, "merge, settings chosen on other folds", folded.into_iter())?;
    let cubed = |groups: &[Groups]| -> Vec<f64> {
        judges
            .iter()
            .map(|judge| b_cubed(pulls.iter().zip(groups).filter(|(p, _)| p.judge == **judge)))
            .collect()
    };
    line(out, "B-cubed of the groups, overlap of words", cubed(&words).into_iter())?;
    line(out, "B-cubed of the groups, merge", cubed(&merged[default]).into_iter())?;
    let mut chosen: Vec<((usize, usize), u32)> = chosen.into_iter().collect();
    chosen.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    let folds = FOLDS * SHUFFLES as usize;
    let shown =
        chosen.iter().take(4).map(|((at, agree), n)| format!("at {:.2} and {agree} tools {n}", AT[*at]));
    writeln!(out, "  chosen, of {folds} folds: {}\n", shown.collect::<Vec<_>>().join(", "))?;
    Ok(())
}

fn columns(judges: &[&str]) -> String {
    judges.iter().map(|judge| format!("{judge:>9}")).collect()
}

fn line(out: &mut impl Write, name: &str, figures: impl Iterator<Item = f64>) -> Result<(), Stop> {
    let figures: String = figures.map(|figure| format!("{figure:>9.3}")).collect();
    writeln!(out, "  {name:<53}{figures}")?;
    Ok(())
}

/// F1 by labeller on pull requests that the settings were not chosen on, the mean over the shuffles;
/// and how often each setting was chosen.
fn cross_validated(
    pulls: &[Pull],
    judges: &[&str],
    merged: &[Vec<Groups>],
) -> (Vec<f64>, BTreeMap<(usize, usize), u32>) {
    let names: Vec<&str> =
        pulls.iter().map(|pull| pull.name.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
    let choices: Vec<(usize, usize)> =
        (0..AT.len()).flat_map(|at| AGREE.iter().map(move |agree| (at, *agree))).collect();
    // Every pull request under every choice, scored once.
    let table: Vec<Vec<Score>> = choices
        .iter()
        .map(|(at, agree)| {
            pulls.iter().zip(&merged[*at]).map(|(pull, groups)| kept(pull, groups, *agree)).collect()
        })
        .collect();
    let sum = |choice: usize, judge: &str, inside: &dyn Fn(&str) -> bool| {
        let own =
            pulls.iter().zip(&table[choice]).filter(|(pull, _)| pull.judge == judge && inside(&pull.name));
        own.fold(Score::default(), |mut sum, (_, score)| {
            sum.add(*score);
            sum
        })
    };
    let mut figures = vec![0.0; judges.len()];
    let mut chosen: BTreeMap<(usize, usize), u32> = BTreeMap::new();
    for seed in 0..SHUFFLES {
        let order = shuffled(names.len(), seed);
        let mut scores = vec![Score::default(); judges.len()];
        for fold in 0..FOLDS {
            let held: BTreeSet<&str> =
                order.iter().skip(fold).step_by(FOLDS).filter_map(|at| names.get(*at)).copied().collect();
            let mean = |choice: usize| {
                judges.iter().map(|judge| sum(choice, judge, &|name| !held.contains(name)).f1()).sum::<f64>()
            };
            let best = (0..choices.len()).max_by(|a, b| mean(*a).total_cmp(&mean(*b))).unwrap_or(0);
            *chosen.entry(choices[best]).or_default() += 1;
            for (score, judge) in scores.iter_mut().zip(judges) {
                score.add(sum(best, judge, &|name| held.contains(name)));
            }
        }
        for (figure, score) in figures.iter_mut().zip(&scores) {
            *figure += score.f1() / SHUFFLES as f64;
        }
    }
    (figures, chosen)
}

/// F1 of the tool that has the highest.
fn best_single(pulls: &[Pull], judge: &str) -> f64 {
    let tools: BTreeSet<&str> =
        pulls.iter().flat_map(|pull| &pull.findings).map(|finding| finding.tool.as_str()).collect();
    let of = |tool: &&str| {
        let mut score = Score::default();
        for pull in pulls.iter().filter(|pull| pull.judge == judge) {
            let own = pull.findings.iter().enumerate().filter(|(_, finding)| finding.tool == **tool);
            score.add(kept(pull, &own.map(|(at, _)| vec![at]).collect(), 1));
        }
        score.f1()
    };
    tools.iter().map(of).fold(0.0, f64::max)
}

fn tools(pull: &Pull, group: &[usize]) -> usize {
    group.iter().map(|at| pull.findings[*at].tool.as_str()).collect::<BTreeSet<_>>().len()
}

/// The score of the groups that so many tools agree on.
fn kept(pull: &Pull, groups: &Groups, agree: usize) -> Score {
    let mut kept: Vec<&Vec<usize>> = groups.iter().filter(|group| tools(pull, group) >= agree).collect();
    kept.sort_by_key(|group| std::cmp::Reverse(tools(pull, group)));
    let mut score = Score { golden: pull.golden as f64, kept: kept.len() as f64, hit: 0.0 };
    let mut found: BTreeSet<u64> = BTreeSet::new();
    for group in kept {
        let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
        for issue in group.iter().flat_map(|at| &pull.findings[*at].golden) {
            *counts.entry(*issue).or_default() += 1;
        }
        let mut counts: Vec<(u64, usize)> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let right = counts.iter().find(|(issue, count)| 2 * count >= group.len() && !found.contains(issue));
        if let Some((issue, _)) = right {
            found.insert(*issue);
            score.hit += 1.0;
        }
    }
    score
}

/// B-cubed F1 over the findings that mean an issue.
fn b_cubed<'a>(pulls: impl Iterator<Item = (&'a Pull, &'a Groups)>) -> f64 {
    let (mut precision, mut recall, mut count) = (0.0, 0.0, 0.0_f64);
    for (pull, groups) in pulls {
        let group_of: HashMap<usize, usize> =
            groups.iter().enumerate().flat_map(|(g, group)| group.iter().map(move |at| (*at, g))).collect();
        let labelled: Vec<usize> =
            (0..pull.findings.len()).filter(|at| !pull.findings[*at].golden.is_empty()).collect();
        for one in &labelled {
            let (mut same, mut gold, mut both) = (0.0, 0.0, 0.0);
            for other in &labelled {
                let together = group_of.get(one) == group_of.get(other);
                let meant = !pull.findings[*one].golden.is_disjoint(&pull.findings[*other].golden);
                same += f64::from(u8::from(together));
                gold += f64::from(u8::from(meant));
                both += f64::from(u8::from(together && meant));
            }
            precision += both / same;
            recall += both / gold;
            count += 1.0;
        }
    }
    harmonic(precision / count.max(1.0), recall / count.max(1.0))
}

/// Groups by `merge`, everything kept.
fn merge(pull: &Pull, at: f64) -> Result<Groups, Stop> {
    let mut own: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, finding) in pull.findings.iter().enumerate() {
        own.entry(&finding.tool).or_default().push(at);
    }
    let mut answers = Vec::new();
    for (number, (tool, own)) in own.iter().enumerate() {
        let items = own.iter().map(|at| json!({ "title": pull.findings[*at].text })).collect();
        answers.push(answer(number, tool, Outcome::ok(Output::json(Value::Array(items))))?);
    }
    let own: Vec<Vec<usize>> = own.into_values().collect();
    let mut similar = json!({ "on": "/title" });
    if at != DEFAULT_AT {
        similar["at"] = json!(at);
    }
    let groups = merged(answers, &Map::from_iter([("similar".to_owned(), similar)]))?;
    let place = |(tool, at): (usize, usize)| own.get(tool).and_then(|own| own.get(at)).copied();
    Ok(groups.into_iter().map(|group| group.into_iter().filter_map(place).collect()).collect())
}

/// Merged items, each as its members: (answer, item).
pub(crate) fn merged(
    answers: Vec<fanout::reconcile::Answer>,
    settings: &Map<String, Value>,
) -> Result<Vec<Vec<(usize, usize)>>, Stop> {
    let calls: HashMap<String, usize> =
        answers.iter().enumerate().map(|(at, answer)| (answer.instance.to_string(), at)).collect();
    let result = reconcile("merge", settings, &Inputs { answers, ..Inputs::default() })?;
    let member = |member: &Value| {
        let by = calls.get(member["by"].as_str()?)?;
        Some((*by, usize::try_from(member["at"].as_u64()?).ok()?))
    };
    let items = result.json["items"].as_array().map_or(&[][..], Vec::as_slice);
    let group = |item: &Value| item["members"].as_array().into_iter().flatten().filter_map(member).collect();
    Ok(items.iter().map(group).collect())
}

/// The labels themselves as groups; what means no issue stands alone.
fn by_label(pull: &Pull) -> Groups {
    let mut groups: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    let mut alone = Vec::new();
    for (at, finding) in pull.findings.iter().enumerate() {
        match finding.golden.first() {
            Some(issue) => groups.entry(*issue).or_default().push(at),
            None => alone.push(vec![at]),
        }
    }
    groups.into_values().chain(alone).collect()
}

/// The simple way: words in common of all words, average linkage, joined from .08 on.
fn by_words(pull: &Pull) -> Groups {
    let words: Vec<BTreeSet<String>> = pull.findings.iter().map(|finding| words(&finding.text)).collect();
    let alike = |a: usize, b: usize| {
        let common = words[a].intersection(&words[b]).count();
        common as f64 / (words[a].len() + words[b].len() - common).max(1) as f64
    };
    let mut groups: Groups = (0..words.len()).map(|at| vec![at]).collect();
    loop {
        let mut best = (0.08, None);
        for a in 0..groups.len() {
            for b in a + 1..groups.len() {
                let pairs =
                    groups[a].iter().flat_map(|one| groups[b].iter().map(|other| alike(*one, *other)));
                let mean = pairs.sum::<f64>() / (groups[a].len() * groups[b].len()) as f64;
                if mean > best.0 {
                    best = (mean, Some((a, b)));
                }
            }
        }
        let Some((a, b)) = best.1 else { return groups };
        let joined = groups.swap_remove(b);
        groups[a].extend(joined);
    }
}

fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.filter(|word| word.len() > 2).map(str::to_lowercase).collect()
}

fn pull(row: &Value) -> Option<Pull> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let finding = |value: &Value| {
        let golden = value.get("golden")?.as_array()?.iter().filter_map(Value::as_u64).collect();
        Some(Finding { tool: text(value, "tool")?, text: text(value, "text")?, golden })
    };
    Some(Pull {
        name: text(row, "pr")?,
        judge: text(row, "judge")?,
        golden: row.get("golden")?.as_array()?.len(),
        findings: row.get("findings")?.as_array()?.iter().filter_map(finding).collect(),
    })
}
