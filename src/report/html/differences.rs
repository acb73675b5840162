//! Results side by side, and where they differ, line by line and word by word.

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::markup::{Attr, Html, class};
use super::{Context, fold, section};
use crate::id::{CallId, InstanceId};
use crate::report::computed as shown;
use crate::report::fold::RunView;
use crate::report::sanitise::prefix;

/// Results that stand side by side.
const COLUMNS: usize = 8;
/// Bytes shown of each.
const BYTES: usize = 24 * 1024;
/// Lines of a text that is still compared; the work grows with their product.
const LINES: usize = 2_000;
/// Unchanged lines around a change.
const AROUND: usize = 3;

struct Result<'a> {
    id: InstanceId,
    text: &'a str,
}

/// True when there are two results to look at.
pub(super) fn has(context: &Context<'_>) -> bool {
    results(context.view).len() > 1
}

/// Writes the section.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let results = results(context.view);
    if results.len() < 2 {
        return;
    }
    section(html, "results", "Results side by side", |html| {
        let sides = [
            class("sides scroll"),
            Attr::Fixed("tabindex", "0"),
            Attr::Fixed("role", "group"),
            Attr::Fixed("aria-label", "Results side by side"),
        ];
        html.tag("div", &sides, |html| {
            for result in results.iter().take(COLUMNS) {
                html.tag("article", &[], |html| {
                    html.tag("h3", &[], |html| context.names.write(html, &result.id.to_string()));
                    html.tag("pre", &[], |html| {
                        let cut = prefix(result.text, BYTES);
                        html.text(cut);
                        html.text(if cut.len() < result.text.len() {
                            "\n… (the rest stands with the call)"
                        } else {
                            ""
                        });
                    });
                });
            }
        });
        if results.len() > COLUMNS {
            html.leaf(
                "p",
                "dim",
                &format!("{} more results stand with their calls.", results.len() - COLUMNS),
            );
        }
        let Some((first, others)) = results.split_first() else { return };
        for (n, other) in others.iter().take(COLUMNS - 1).enumerate() {
            let title = format!("Differences: {} and {}", first.id, other.id);
            fold(html, &title, n == 0 && others.len() == 1, |html| difference(html, first, other));
        }
    });
}

/// The results that the parent's last step read; else those that no other call needs. None where
/// a comparison shows them beside each other already.
fn results(view: &RunView) -> Vec<Result<'_>> {
    let step = CallId::parent_step();
    let computed = view.reconciled.iter().find(|computed| computed.step == step);
    if computed.is_some_and(|computed| shown::stand_side_by_side(&computed.result)) {
        return Vec::new();
    }
    let named = computed.map(|computed| named(&computed.result)).unwrap_or_default();
    let needed: std::collections::HashSet<&CallId> =
        view.calls.iter().flat_map(|call| &call.planned.needs).collect();
    let all = view.calls.iter().flat_map(|call| call.each().map(move |(id, instance)| (call, id, instance)));
    let read = all.filter(|(call, id, _)| match named.as_slice() {
        [] => !needed.contains(call.id()) && !call.planned.kind.is_empty(),
        names => names.contains(&id.to_string()),
    });
    let answered = read.filter_map(|(_, id, instance)| {
        let outcome =
            instance.outcome.as_ref().filter(|outcome| outcome.is_ok() && !outcome.output.is_empty())?;
        Some(Result { id, text: &outcome.output.text })
    });
    answered.collect()
}

/// Whom a strategy says it read: `groups` of a comparison, `results` of a collection.
fn named(result: &Value) -> Vec<String> {
    let list = |name: &str| result.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let groups = list("groups").iter().filter_map(|group| group.get("by")?.as_array()).flatten();
    let collected = list("results").iter().filter_map(|entry| entry.get("call"));
    groups.chain(collected).filter_map(Value::as_str).map(str::to_owned).collect()
}

fn difference(html: &mut Html, left: &Result<'_>, right: &Result<'_>) {
    if left.text.trim_end() == right.text.trim_end() {
        html.leaf("p", "dim", "They are the same.");
        return;
    }
    if left.text.lines().count().max(right.text.lines().count()) > LINES {
        html.leaf("p", "dim", "They are too long to be compared here.");
        return;
    }
    let (one, other) = (normal(left.text), normal(right.text));
    let diff = TextDiff::from_lines(&one, &other);
    html.tag("div", &[class("scroll"), Attr::Fixed("tabindex", "0")], |html| {
        html.tag("table", &[class("diff")], |html| {
            html.literal("<colgroup><col class=\"n\"><col><col class=\"n\"><col></colgroup>");
            html.tag("thead", &[], |html| {
                html.tag("tr", &[], |html| {
                    for side in [left, right] {
                        html.tag("th", &[Attr::Fixed("colspan", "2")], |html| {
                            html.text(&side.id.to_string())
                        });
                    }
                });
            });
            for (n, ops) in diff.grouped_ops(AROUND).iter().enumerate() {
                html.tag("tbody", &[], |html| {
                    if n > 0 {
                        html.literal("<tr class=\"gap\"><td colspan=\"4\">⋯</td></tr>");
                    }
                    let mut pairs = Pairs::default();
                    for change in ops.iter().flat_map(|op| diff.iter_inline_changes(op)) {
                        let number = change.old_index().or(change.new_index()).map_or(0, |index| index + 1);
                        let words =
                            change.iter_strings_lossy().map(|(strong, text)| (strong, text.into_owned()));
                        let line = Line { number, words: words.collect() };
                        match change.tag() {
                            ChangeTag::Equal => {
                                pairs.flush(html);
                                let right = change.new_index().map_or(0, |index| index + 1);
                                let other = Line { number: right, words: line.words.clone() };
                                row(html, "", Some(&line), Some(&other));
                            }
                            ChangeTag::Delete => pairs.left.push(line),
                            ChangeTag::Insert => pairs.right.push(line),
                        }
                    }
                    pairs.flush(html);
                });
            }
        });
    });
}

/// One line end, so that a text that does not end its last line differs in nothing.
fn normal(text: &str) -> String {
    format!("{}\n", text.trim_end())
}

#[derive(Clone)]
struct Line {
    number: usize,
    /// The line in pieces; true for those that changed.
    words: Vec<(bool, String)>,
}

/// Removed lines beside the added ones that take their place.
#[derive(Default)]
struct Pairs {
    left: Vec<Line>,
    right: Vec<Line>,
}

impl Pairs {
    fn flush(&mut self, html: &mut Html) {
        for n in 0..self.left.len().max(self.right.len()) {
            row(html, "changed", self.left.get(n), self.right.get(n));
        }
        self.left.clear();
        self.right.clear();
    }
}

fn row(html: &mut Html, of_class: &'static str, left: Option<&Line>, right: Option<&Line>) {
    html.tag("tr", &[class(of_class)], |html| {
        for (line, of_class) in [(left, "del"), (right, "ins")] {
            html.tag("td", &[class("number")], |html| {
                if let Some(line) = line {
                    html.text(&line.number.to_string());
                }
            });
            html.tag("td", &[class(if line.is_some() { of_class } else { "none" })], |html| {
                for (strong, words) in line.iter().flat_map(|line| &line.words) {
                    let words = words.trim_end_matches(['\n', '\r']);
                    if *strong { html.leaf("mark", "", words) } else { html.text(words) }
                }
            });
        }
    });
}
