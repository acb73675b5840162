//! A merge for people: what is in dispute first, then a table of what was found and by whom.

use super::super::wording::{counted, names, one_line, show};
use super::Merged;
use super::union::Union;

/// Items listed.
const LISTED: usize = 60;
/// Conflicts listed.
const CONFLICTS: usize = 20;
/// Characters that all columns together may take before they are lettered.
const HEADS: usize = 40;
/// Columns up to which everybody has one.
const COLUMNS: usize = 16;
/// Characters of an item.
const WIDTH: usize = 88;

/// Writes it.
pub(super) fn write(merged: &Merged<'_>) -> String {
    let mut parts = vec![headline(merged)];
    parts.extend(conflicts(merged));
    if !merged.kept.is_empty() {
        parts.push(table(merged, &merged.kept));
    }
    parts.extend(left_out(merged));
    parts.join("\n\n")
}

fn headline(merged: &Merged<'_>) -> String {
    let all = merged.kept.len() + merged.left_out.len();
    let answered = merged.panel.census.headline();
    let mut line = format!("{answered}: {} are {} different", counted(merged.read, "item"), all);
    if merged.needed > 1 {
        line.push_str(&format!("; {} found by {} or more", merged.kept.len(), merged.needed));
    }
    line
}

fn conflicts(merged: &Merged<'_>) -> Option<String> {
    let open: Vec<(usize, &Union)> =
        (1..).zip(&merged.kept).filter(|(_, union)| !union.disputes.is_empty()).collect();
    if open.is_empty() {
        return None;
    }
    let mut lines = vec!["IN DISPUTE".to_owned()];
    for (number, union) in open.iter().take(CONFLICTS) {
        lines.push(format!("{number:>4}  {}", union.name()));
        for dispute in &union.disputes {
            let sides = dispute
                .sides
                .iter()
                .map(|side| format!("{} ({})", show(&side.value, 32), merged.panel.names(&side.by)));
            let field = dispute.pointer.trim_start_matches('/');
            lines.push(format!("      {field}: {}", sides.collect::<Vec<String>>().join(" | ")));
        }
    }
    if open.len() > CONFLICTS {
        lines.push(format!("      … on {}", counted(open.len() - CONFLICTS, "more item")));
    }
    Some(lines.join("\n"))
}

/// One row an item, one column an answer.
fn table(merged: &Merged<'_>, unions: &[Union]) -> String {
    let voices = &merged.panel.voices;
    let calls: Vec<&str> = voices.iter().map(|voice| voice.name.as_str()).collect();
    let mut lines = Vec::new();
    let mut legend = Vec::new();
    let heads: Vec<String> = if calls.len() > COLUMNS {
        Vec::new()
    } else if calls.iter().map(|call| call.chars().count() + 2).sum::<usize>() <= HEADS {
        calls.iter().map(|call| (*call).to_owned()).collect()
    } else {
        let letters: Vec<String> = ('A'..='Z').take(calls.len()).map(String::from).collect();
        legend.extend(letters.iter().zip(voices).map(|(letter, voice)| format!("{letter} {}", voice.name)));
        letters
    };
    let of = calls.len();
    let agree = |count: usize| format!("{count} of {of}");
    let width = agree(of).len();
    if !heads.is_empty() {
        lines.push(format!("      {:<width$}  {}  found", "", heads.join("  ")));
    }
    for (number, union) in (1..).zip(unions.iter().take(LISTED)) {
        let marks = heads.iter().enumerate().map(|(voice, head)| {
            let mark = if union.by.contains(&voice) { "●" } else { "·" };
            format!("{mark:^width$}", width = head.chars().count())
        });
        let marks = marks.collect::<Vec<String>>().join("  ");
        let gap = if marks.is_empty() { "" } else { "  " };
        let place = if union.place.is_empty() { String::new() } else { format!("{}  ", union.place) };
        let what = one_line(&union.words, WIDTH);
        lines.push(format!("{number:>4}  {:>width$}{gap}{marks}  {place}{what}", agree(union.by.len())));
        if heads.is_empty() {
            let by: Vec<&str> = union.by.iter().filter_map(|voice| calls.get(*voice).copied()).collect();
            lines.push(format!("      {}", names(&by)));
        }
    }
    if unions.len() > LISTED {
        lines.push(format!("      … {}", counted(unions.len() - LISTED, "more item")));
    }
    if !legend.is_empty() {
        lines.push(format!("      {}", legend.join(", ")));
    }
    lines.join("\n")
}

fn left_out(merged: &Merged<'_>) -> Option<String> {
    let count = merged.left_out.len();
    (count > 0).then(|| {
        let verb = if count == 1 { "was" } else { "were" };
        format!("{} {verb} found by fewer than {} and left out", counted(count, "item"), merged.needed)
    })
}
