//! `fanout compare`: how far the answers of a run agree, or what changed between two runs.
//!
//! Invariant: nothing is called again; a call that only one run has is named.

use serde_json::{Map, Value, json};

use super::args::{Compare, Output};
use super::reconcile::{inputs, read, show};
use super::terminal::Terminal;
use super::{Complaint, past};
use crate::outcome::Outcome;
use crate::reconcile::reconcile;
use crate::report::fold::RunView;
use crate::report::style::{Style, Tone};
use crate::report::{markdown, results, sanitise};
use crate::unit::human_duration;

/// `fanout compare`.
///
/// # Errors
/// [`Complaint`] when there is no such run or call.
pub fn compare(options: &Compare, terminal: &Terminal) -> Result<u8, Complaint> {
    let first = read(&options.run)?;
    if let [other] = options.with.as_slice()
        && inputs(&first, &options.with).is_err()
        && past::find(Some(other)).is_ok()
    {
        return runs(&first, &read(other)?, options.output, terminal);
    }
    let inputs = inputs(&first, &options.with)?;
    let result = reconcile("compare", &Map::new(), &inputs);
    let result =
        result.map_err(|error| Complaint { code: super::exit::FAILED, message: error.to_string() })?;
    show(&result, options.output, terminal)?;
    Ok(0)
}

/// One instance in two runs.
struct Pair<'a> {
    name: String,
    then: Option<&'a Outcome>,
    now: Option<&'a Outcome>,
}

fn runs(then: &RunView, now: &RunView, output: Output, terminal: &Terminal) -> Result<u8, Complaint> {
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    for (id, view) in then.calls.iter().flat_map(|call| call.each()) {
        pairs.push(Pair { name: id.to_string(), then: view.outcome.as_ref(), now: None });
    }
    for (id, view) in now.calls.iter().flat_map(|call| call.each()) {
        let name = id.to_string();
        match pairs.iter_mut().find(|pair| pair.name == name) {
            Some(pair) => pair.now = view.outcome.as_ref(),
            None => pairs.push(Pair { name, then: None, now: view.outcome.as_ref() }),
        }
    }
    let name = |view: &RunView| view.head.as_ref().map_or_else(String::new, |head| head.run.to_string());
    let style = terminal.out_style();
    let text = match output {
        Output::Json | Output::Yaml => {
            let whole = json!({
                "runs": [name(then), name(now)],
                "calls": pairs.iter().map(Pair::json).collect::<Vec<Value>>(),
            });
            super::past::document(&whole, output)
        }
        Output::Text => table(&pairs, [&name(then), &name(now)], &style),
        Output::Markdown => in_markdown(&pairs, [&name(then), &name(now)]),
    };
    terminal.out(&text).map_err(|error| Complaint::output(&error))?;
    Ok(0)
}

impl Pair<'_> {
    /// `same`, `changed`, `only before`, `only after`, or how the outcome changed.
    fn change(&self) -> String {
        match (self.then, self.now) {
            (Some(then), Some(now)) if then.status != now.status => {
                format!("{} → {}", then.status.words(), now.status.words())
            }
            (Some(then), Some(now)) if then.output.text.trim() == now.output.text.trim() => "same".to_owned(),
            (Some(_), Some(_)) => "changed".to_owned(),
            (Some(_), None) => "only in the first".to_owned(),
            (None, Some(_)) => "only in the second".to_owned(),
            (None, None) => "in neither".to_owned(),
        }
    }

    /// Time and money of both, in words.
    fn figures(&self) -> [String; 2] {
        let time = |outcome: Option<&Outcome>| {
            outcome.map_or_else(|| "-".to_owned(), |one| human_duration(one.took))
        };
        let cost =
            |outcome: Option<&Outcome>| outcome.and_then(|one| one.usage.cost).map(|cost| cost.to_string());
        let both = |a: String, b: String| if a == b { a } else { format!("{a} → {b}") };
        let money = match (cost(self.then), cost(self.now)) {
            (None, None) => String::new(),
            (a, b) => both(a.unwrap_or_else(|| "?".to_owned()), b.unwrap_or_else(|| "?".to_owned())),
        };
        [both(time(self.then), time(self.now)), money]
    }

    /// The lines that changed, as a diff without context, where both have an answer.
    fn lines(&self) -> Vec<String> {
        let (Some(then), Some(now)) = (self.then, self.now) else { return Vec::new() };
        let diff = similar::TextDiff::from_lines(then.output.text.trim_end(), now.output.text.trim_end());
        let changed = diff.iter_all_changes().filter_map(|change| {
            let sign = match change.tag() {
                similar::ChangeTag::Equal => return None,
                similar::ChangeTag::Delete => '-',
                similar::ChangeTag::Insert => '+',
            };
            Some(format!("{sign} {}", change.value().trim_end()))
        });
        changed.collect()
    }

    fn json(&self) -> Value {
        let side = |outcome: Option<&Outcome>| {
            outcome.map(|one| {
                json!({"status": one.status, "output": one.output.text, "duration_ms": one.took.as_millis(), "cost": one.usage.cost})
            })
        };
        json!({"call": self.name, "change": self.change(), "before": side(self.then), "after": side(self.now), "diff": self.lines()})
    }
}

/// Lines of a change that are shown of one call.
const LINES: usize = 40;
/// Columns that the change of a call stands further in.
const INDENT: usize = 4;

fn table(pairs: &[Pair<'_>], [then, now]: [&str; 2], style: &Style) -> String {
    let same = pairs.iter().filter(|pair| pair.change() == "same").count();
    let head = format!("{then} → {now}: {same} of {} the same", pairs.len());
    let mut lines = vec![style.paint(Tone::Strong, sanitise::short(&head, style.width, style))];
    // What changed comes first: that is what one looks for.
    let (same, changed): (Vec<&Pair<'_>>, Vec<&Pair<'_>>) =
        pairs.iter().partition(|pair| pair.change() == "same");
    let width = pairs.iter().map(|pair| pair.name.chars().count()).max().unwrap_or(0).min(32);
    for pair in changed.iter().chain(&same) {
        let [time, money] = pair.figures();
        let change = pair.change();
        let row = format!("  {:<width$}  {change}  {time}  {money}", pair.name);
        let row =
            sanitise::cut(&sanitise::text(row.trim_end(), style).replace('\n', " "), style.width, style);
        lines.push(if change == "same" { style.paint(Tone::Dim, row) } else { row });
        if let (Some(one), Some(other)) = (pair.then, pair.now)
            && change != "same"
        {
            let narrower = Style { width: style.width.saturating_sub(INDENT), ..*style };
            let texts = [one, other].map(|outcome| outcome.output.text.trim_end());
            let rows = results::render_beside([then, now], texts, &narrower);
            lines.extend(
                rows.iter()
                    .take(LINES)
                    .map(|row| format!("{}{row}", " ".repeat(INDENT)).trim_end().to_owned()),
            );
            if rows.len() > LINES {
                let more =
                    format!("{}{} {} more lines", " ".repeat(INDENT), style.ellipsis(), rows.len() - LINES);
                lines.push(style.paint(Tone::Dim, more));
            }
        }
    }
    lines.join("\n") + "\n"
}

fn in_markdown(pairs: &[Pair<'_>], [then, now]: [&str; 2]) -> String {
    let mut text = format!("| call | {then} → {now} | time | cost |\n| --- | --- | --- | --- |\n");
    for pair in pairs {
        let [time, money] = pair.figures();
        text.push_str(&format!(
            "| {} | {} | {time} | {money} |\n",
            pair.name.replace('|', "\\|"),
            pair.change()
        ));
    }
    for pair in pairs {
        let lines = pair.lines();
        if !lines.is_empty() {
            text.push('\n');
            text.push_str(&markdown::folded(&pair.name, &lines.join("\n"), "diff"));
        }
    }
    text
}
