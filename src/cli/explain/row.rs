//! The tree of rows that an explanation is, and its two forms.
//!
//! Invariant: the YAML form can be read back by a YAML reader, whatever the values hold, and
//! what it shows stays on its line and away from the terminal's controls.

use serde_json::{Map, Value, json};

use crate::cli::graph::one_line;

/// Texts are cut after so many characters in the YAML form.
const LONGEST: usize = 120;
/// The column at which comments begin, where there is room.
const COMMENTS: usize = 40;

/// A key with what belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    key: String,
    cell: Cell,
    /// What the YAML form shows instead of a value that is long or made for programs.
    shown: Option<String>,
    default: bool,
    note: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Cell {
    One(Value),
    Map(Vec<Row>),
    /// A list in JSON, a map from the keys in YAML.
    List(Vec<Row>),
}

impl Row {
    /// A key with one value.
    pub(super) fn new(key: &str, value: Value) -> Row {
        Row { key: key.to_owned(), cell: Cell::One(value), shown: None, default: false, note: String::new() }
    }

    /// A key whose default is to have no value.
    pub(super) fn optional(key: &str, value: Option<Value>) -> Row {
        let default = value.is_none();
        Row { default, ..Row::new(key, value.unwrap_or(Value::Null)) }
    }

    /// A key with rows of its own.
    pub(super) fn map(key: &str, rows: Vec<Row>) -> Row {
        Row { cell: Cell::Map(rows), ..Row::new(key, Value::Null) }
    }

    /// A key with numbered rows.
    pub(super) fn list(key: &str, rows: Vec<Row>) -> Row {
        Row { cell: Cell::List(rows), ..Row::new(key, Value::Null) }
    }

    /// What it is about.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// With something shorter to show; of ids and plain words, since it is shown as it is.
    pub(super) fn shown(self, text: String) -> Row {
        Row { shown: Some(text), ..self }
    }

    /// Marked as the default if it is.
    pub(super) fn default_if(self, default: bool) -> Row {
        Row { default, ..self }
    }

    /// With a few words behind it; none if empty.
    pub(super) fn note(self, note: &str) -> Row {
        Row { note: note.to_owned(), ..self }
    }
}

/// The rows as a YAML map, each default and note as a comment.
pub(super) fn yaml(rows: &[Row]) -> String {
    let mut out = String::new();
    write(rows, 0, &mut out);
    out
}

/// The rows as an object, with the paths of those that are defaults under `defaults`.
pub(super) fn json(rows: &[Row]) -> Value {
    let mut defaults = Vec::new();
    let mut object = object(rows, "", &mut defaults);
    object.insert("defaults".to_owned(), json!(defaults));
    Value::Object(object)
}

fn write(rows: &[Row], depth: usize, out: &mut String) {
    for row in rows {
        let mut line = format!("{}{}:", "  ".repeat(depth), scalar(&row.key));
        let inner: &[Row] = match &row.cell {
            Cell::One(value) => {
                line.push(' ');
                line.push_str(&row.shown.clone().unwrap_or_else(|| flow(value)));
                &[]
            }
            Cell::Map(rows) | Cell::List(rows) if rows.is_empty() => {
                line.push_str(" {}");
                &[]
            }
            Cell::Map(rows) | Cell::List(rows) => rows,
        };
        let words = if row.default { "default" } else { "" };
        let comment =
            [words, row.note.as_str()].iter().filter(|text| !text.is_empty()).copied().collect::<Vec<_>>();
        if !comment.is_empty() {
            let width = console::measure_text_width(&line);
            line.push_str(&" ".repeat(COMMENTS.saturating_sub(width).max(2)));
            line.push_str(&format!("# {}", comment.join(", ")));
        }
        out.push_str(&line);
        out.push('\n');
        write(inner, depth + 1, out);
    }
}

fn object(rows: &[Row], path: &str, defaults: &mut Vec<String>) -> Map<String, Value> {
    let mut object = Map::new();
    for row in rows {
        let path = if path.is_empty() { row.key.clone() } else { format!("{path}.{}", row.key) };
        let value = match &row.cell {
            Cell::One(value) => value.clone(),
            Cell::Map(rows) => Value::Object(self::object(rows, &path, defaults)),
            Cell::List(rows) => {
                self::object(rows, &path, defaults).into_iter().map(|(_, value)| value).collect()
            }
        };
        if row.default {
            defaults.push(path);
        }
        object.insert(row.key.clone(), value);
    }
    object
}

/// A value on one line, as YAML's flow style has it.
fn flow(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => scalar(text),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) if entries.is_empty() => "{}".to_owned(),
        Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{}: {}", scalar(key), flow(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A text on one line: plain where nobody could take it for something else, else in double quotes.
fn scalar(text: &str) -> String {
    let text = match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    };
    if is_plain(&text) {
        return text;
    }
    // JSON's escapes are YAML's. Line feeds stay visible; other controls are replaced.
    let lines: Vec<String> = text.split('\n').map(|line| keep_spaces(line, one_line)).collect();
    Value::String(lines.join("\n")).to_string()
}

/// Cleans a text but leaves its indentation, which means something in prompts.
fn keep_spaces(line: &str, clean: fn(&str) -> String) -> String {
    let spaces = line.len() - line.trim_start_matches(' ').len();
    format!("{}{}", &line[..spaces], clean(&line[spaces..]))
}

fn is_plain(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let reserved = ["true", "false", "null", "none", "yes", "no", "on", "off", "y", "n"];
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    // `10m` and `16k` are texts to every YAML reader; `1e3` and `0x1f` are not.
    let quantity = text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| "smhdkMB%".contains(c))
        && !text.contains(['e', 'E', 'x', 'o', '_'])
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '%');
    let words = text.chars().all(|c| word(c) || c == ' ');
    quantity
        || (begins
            && words
            && !text.ends_with(' ')
            && !reserved.contains(&text.to_ascii_lowercase().as_str()))
}
