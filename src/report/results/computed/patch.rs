//! Changes of several workspaces: both sides of each conflict first, then what goes together, file by file.

use serde_json::Value;

use super::cell::{Cell, row};
use super::compare::{room, unified};
use super::{Told, conflicts, counted, list, more, number, string, title};
use crate::report::results::page::Page;
use crate::report::style::{Style, Tone};

/// Conflicts shown with both sides.
const CONFLICTS: usize = 12;
/// Lines shown of one side.
const SIDE: usize = 16;
/// Files listed.
const FILES: usize = 40;
/// Lines of the merged change.
const PATCH: usize = 80;
/// Two sides stand beside each other where each has so many columns.
const LEAST: usize = 26;

pub(super) fn write(page: &mut Page<'_>, told: &Told<'_>) -> bool {
    let Some(candidates) = told.result.get("candidates").and_then(Value::as_array) else { return false };
    if candidates.is_empty() {
        told.headline(page, vec![(Some(Tone::Warn), "nobody changed anything".to_owned())]);
        return true;
    }
    let applied = list(told.result, "applied");
    let whole = applied.len() == candidates.len();
    let how = match (whole, candidates.len()) {
        (true, 1) => "one change".to_owned(),
        (true, count) => format!("all {count} changes go together"),
        (false, count) => format!("{} of {count} changes go together", applied.len()),
    };
    let mut facts = vec![(whole.then_some(Tone::Good), how)];
    facts.extend(conflicts(told));
    told.headline(page, facts);
    let open = list(told.result, "conflicts");
    if !open.is_empty() {
        title(page, Tone::Warn, "In conflict");
        open.iter().take(CONFLICTS).for_each(|one| conflict(page, told, one));
        more(page, 2, open.len(), CONFLICTS, "conflict");
    }
    page.blank();
    changes(page, told, candidates, applied);
    files(page, told);
    let patch = string(told.result, "patch");
    if !patch.is_empty() {
        title(page, Tone::Strong, "The merged change");
        unified(page, patch, PATCH);
    }
    page.blank();
    let checked = if applied.len() > 1 { " The merged change as a whole has passed no check." } else { "" };
    page.sentence(
        0,
        2,
        Some(Tone::Info),
        &format!("Nothing is applied yet: `fanout apply` does it.{checked}"),
    );
    true
}

/// One place with what each side makes of it.
fn conflict(page: &mut Page<'_>, told: &Told<'_>, conflict: &Value) {
    let style = page.style;
    page.entry(0, Tone::Warn, style.pick("✗", "x"), string(conflict, "message"));
    let sides = list(conflict, "sides");
    let gap = format!(" {} ", style.pick("│", "|"));
    let count = sides.len().max(1);
    let width = style.width.saturating_sub(2 + 3 * (count - 1)) / count;
    let lines: Vec<Vec<Cell>> = sides.iter().map(|side| lines(told, side, style)).collect();
    if width >= LEAST {
        let height = lines.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..height {
            let cell = |side: &Vec<Cell>| (side.get(at).cloned().unwrap_or_default(), width.min(70));
            row(page, 2, &gap, &lines.iter().map(cell).collect::<Vec<_>>());
        }
    } else {
        for cell in lines.into_iter().flatten() {
            row(page, 2, "", &[(cell, room(page, 2))]);
        }
    }
}

/// Who, then what they do there.
fn lines(told: &Told<'_>, side: &Value, style: &Style) -> Vec<Cell> {
    let value = side.get("value").unwrap_or(&Value::Null);
    let said = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut cells = vec![Cell::line(Some(Tone::Strong), &told.names(side.get("by")), style)];
    for line in said.lines().take(SIDE) {
        let tone = match line.as_bytes().first() {
            Some(b'+') => Some(Tone::Good),
            Some(b'-') => Some(Tone::Bad),
            Some(_) | None => None,
        };
        cells.push(Cell::verbatim(tone, line, style));
    }
    let rest = said.lines().count().saturating_sub(SIDE);
    if rest > 0 {
        let text = format!("{} {}", style.ellipsis(), counted(rest, "more line"));
        cells.push(Cell::line(Some(Tone::Dim), &text, style));
    }
    cells
}

/// Every change: in or out, and how large it is.
fn changes(page: &mut Page<'_>, told: &Told<'_>, candidates: &[Value], applied: &[Value]) {
    let style = page.style;
    let call = |candidate: &Value| candidate.get("call").cloned().unwrap_or_default();
    let names: Vec<Cell> =
        candidates.iter().map(|one| Cell::line(Some(Tone::Strong), &told.name(&call(one)), style)).collect();
    let width = names.iter().map(Cell::columns).max().unwrap_or(0).min((style.width / 3).max(8));
    let left = style.width.saturating_sub(1 + width + 8 + 6);
    for (candidate, name) in candidates.iter().zip(names) {
        let goes_in = applied.contains(&call(candidate));
        let (tone, mark, word) = if goes_in {
            (Tone::Good, style.pick("✓", "+"), "merged")
        } else {
            (Tone::Warn, style.pick("✗", "x"), "left out")
        };
        let files = usize::try_from(number(candidate, "files")).unwrap_or(usize::MAX);
        let mut size = Cell::line(Some(Tone::Good), &format!("+{}", number(candidate, "added")), style);
        size.add(Some(Tone::Bad), &format!(" -{}", number(candidate, "removed")), style);
        size.add(None, &format!("  {}", counted(files, "file")), style);
        let word = Cell::line(Some(tone), word, style);
        let cells = [(Cell::line(Some(tone), mark, style), 1), (name, width), (word, 8), (size, left)];
        row(page, 0, "  ", &cells);
    }
    let unchanged = list(told.result, "unchanged");
    if !unchanged.is_empty() {
        let who = told.names(told.result.get("unchanged"));
        page.sentence(0, 2, Some(Tone::Dim), &format!("changed nothing: {who}"));
    }
}

fn files(page: &mut Page<'_>, told: &Told<'_>) {
    let files = list(told.result, "files");
    if files.is_empty() {
        return;
    }
    title(page, Tone::Strong, &format!("{} merged", counted(files.len(), "file")));
    for file in files.iter().take(FILES) {
        page.sentence(2, 4, None, &format!("{} ({})", string(file, "path"), told.names(file.get("by"))));
    }
    more(page, 2, files.len(), FILES, "file");
}
