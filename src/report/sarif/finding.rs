//! Findings as they stand in a merged result, whatever the plan's prompts call their fields.

use serde_json::Value;

use crate::id::CallId;
use crate::report::fold::RunView;

/// One thing that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What kind of thing: letters, digits and dashes.
    pub rule: String,
    /// How bad it is.
    pub level: Level,
    /// The sentence.
    pub message: String,
    /// Where, as it was written; a path inside the source tree.
    pub file: Option<String>,
    /// First line, from 1.
    pub line: Option<u64>,
    /// Last line.
    pub end_line: Option<u64>,
    /// Column, from 1.
    pub column: Option<u64>,
    /// Who found it.
    pub by: Vec<String>,
    /// The share of those asked who found it, 0 to 1.
    pub agreement: Option<f64>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Has to be dealt with.
    Error,
    /// Should be looked at.
    Warning,
    /// Good to know.
    Note,
}

/// The findings of the parent's last step: its merged `items`, else its conflicts.
pub fn findings(view: &RunView) -> Vec<Finding> {
    let step = CallId::parent_step();
    let Some(computed) = view.reconciled.iter().find(|computed| computed.step == step) else {
        return Vec::new();
    };
    let asked = computed.result.pointer("/census/asked").and_then(Value::as_u64);
    let items = computed.result.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let found: Vec<Finding> =
        items.iter().filter(|item| item.is_object()).map(|item| of_item(item, asked)).collect();
    if !found.is_empty() {
        return found;
    }
    computed.conflicts().iter().filter_map(of_conflict).collect()
}

fn of_conflict(conflict: &Value) -> Option<Finding> {
    let text = |name: &str| conflict.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let sides = conflict.get("sides").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    Some(Finding {
        rule: "conflict".to_owned(),
        level: Level::Warning,
        message: text("message").or(text("about"))?.to_owned(),
        file: None,
        line: None,
        end_line: None,
        column: None,
        by: sides.iter().flat_map(names).collect(),
        agreement: None,
    })
}

fn of_item(item: &Value, asked: Option<u64>) -> Finding {
    let by = names(item);
    let stated =
        number(item, &["agreement", "share", "confidence"]).filter(|share| (0.0..=1.0).contains(share));
    let counted = asked.filter(|asked| *asked > 0 && !by.is_empty());
    let counted = counted.map(|asked| (by.len() as f64 / asked as f64).min(1.0));
    let line = |names: &[&str]| number(item, names).filter(|line| *line >= 1.0).map(|line| line as u64);
    let start = line(&["line", "startLine", "start_line", "line_start", "lineno"]);
    let message = text(item, &["message", "title", "text", "description", "summary", "finding", "what"]);
    let (file, in_name) = place(text(item, &["file", "path", "uri", "filename", "file_path"]));
    Finding {
        rule: slug(
            text(item, &["rule", "ruleId", "rule_id", "category", "kind", "type"]).unwrap_or("finding"),
        ),
        level: level(text(item, &["severity", "level", "priority"]).unwrap_or_default()),
        message: message.map_or_else(|| item.to_string(), str::to_owned),
        file,
        line: start.or(in_name),
        end_line: line(&["endLine", "end_line", "line_end"]).filter(|end| Some(*end) >= start),
        column: line(&["column", "startColumn", "start_column", "col"]),
        by,
        agreement: stated.or(counted),
    }
}

/// Where the fields of a finding may stand: in the item itself, or in what it wraps.
const INSIDE: [&str; 6] = ["", "value", "item", "finding", "fields", "location"];

fn field<'a>(item: &'a Value, names: &[&str]) -> Option<&'a Value> {
    let inner =
        INSIDE.iter().filter_map(|inside| if inside.is_empty() { Some(item) } else { item.get(inside) });
    inner
        .filter(|inner| inner.is_object())
        .find_map(|inner| names.iter().find_map(|name| inner.get(name)))
        .filter(|v| !v.is_null())
}

fn text<'a>(item: &'a Value, names: &[&str]) -> Option<&'a str> {
    names
        .iter()
        .find_map(|name| field(item, &[name])?.as_str())
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

fn number(item: &Value, names: &[&str]) -> Option<f64> {
    let value = names.iter().find_map(|name| field(item, &[name]))?;
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn names(item: &Value) -> Vec<String> {
    let by = item.get("by").or_else(|| item.get("found_by")).and_then(Value::as_array);
    let name = |entry: &Value| entry.as_str().or_else(|| entry.get("call")?.as_str()).map(str::to_owned);
    by.into_iter().flatten().filter_map(name).collect()
}

/// `src/auth.ts:42` is a file and a line.
fn place(written: Option<&str>) -> (Option<String>, Option<u64>) {
    let Some(written) = written else { return (None, None) };
    match written.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse().ok()?))) {
        Some((file, line)) if line > 0 && !file.is_empty() => (Some(file.to_owned()), Some(line)),
        Some(_) | None => (Some(written.to_owned()), None),
    }
}

fn level(word: &str) -> Level {
    match word.to_ascii_lowercase().as_str() {
        "critical" | "blocker" | "high" | "error" | "severe" | "p0" | "p1" => Level::Error,
        "low" | "minor" | "info" | "informational" | "note" | "notice" | "style" | "nit" | "trivial" => {
            Level::Note
        }
        _ => Level::Warning,
    }
}

fn slug(word: &str) -> String {
    let mut out = String::new();
    for c in word.chars().take(80) {
        if c.is_ascii_alphanumeric() || c == '_' || c == '.' {
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('-') {
            out.push('-');
        }
    }
    let out = out.trim_matches('-');
    if out.is_empty() { "finding".to_owned() } else { out.to_owned() }
}
