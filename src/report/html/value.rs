//! A JSON value as people read it: lists of like objects as tables, objects as pairs, texts as text.

use serde_json::{Map, Value};

use super::markup::{Attr, Html, class};
use super::names::Names;

/// Rows and entries shown of one list.
const ROWS: usize = 300;
/// Columns of a table; objects with more are listed one by one.
const COLUMNS: usize = 9;
/// Deeper than this a value stands as JSON.
const DEPTH: usize = 4;
/// Characters of one value.
const LETTERS: usize = 4_000;

/// Writes a value.
pub(super) fn write(html: &mut Html, names: &Names, value: &Value) {
    at_depth(html, names, value, 0);
}

fn at_depth(html: &mut Html, names: &Names, value: &Value, depth: usize) {
    match value {
        Value::Null => html.leaf("span", "dim", "none"),
        Value::Bool(_) | Value::Number(_) => html.text(&value.to_string()),
        Value::String(text) => string(html, names, text),
        Value::Array(items) if items.is_empty() => html.leaf("span", "dim", "none"),
        Value::Array(_) | Value::Object(_) if depth >= DEPTH => {
            html.tag("code", &[], |html| html.short(&value.to_string(), LETTERS));
        }
        Value::Array(items) => match columns(items) {
            Some(columns) => table(html, names, items, &columns, depth),
            None if items.iter().all(|item| !item.is_array() && !item.is_object()) => {
                for (n, item) in items.iter().take(ROWS).enumerate() {
                    html.text(if n > 0 { ", " } else { "" });
                    at_depth(html, names, item, depth + 1);
                }
                more(html, items.len());
            }
            None => html.tag("ol", &[], |html| {
                for item in items.iter().take(ROWS) {
                    html.tag("li", &[], |html| at_depth(html, names, item, depth + 1));
                }
                more(html, items.len());
            }),
        },
        Value::Object(fields) => pairs(html, names, fields, depth),
    }
}

fn string(html: &mut Html, names: &Names, text: &str) {
    if names.anchor(text).is_some() {
        names.write(html, text);
    } else if text.trim().contains('\n') || text.len() > LETTERS {
        html.tag("pre", &[], |html| {
            let cut = crate::report::sanitise::prefix(text, LETTERS);
            html.text(cut);
            html.text(if cut.len() < text.len() { "…" } else { "" });
        });
    } else {
        html.text(text);
    }
}

fn more(html: &mut Html, count: usize) {
    if count > ROWS {
        html.leaf("p", "dim", &format!("… {} more", count - ROWS));
    }
}

/// The fields that a list of objects has, in order of their first appearance; `None` if it is no table.
fn columns(items: &[Value]) -> Option<Vec<&str>> {
    let mut columns: Vec<&str> = Vec::new();
    for item in items.iter().take(ROWS) {
        for name in item.as_object()?.keys() {
            if !columns.contains(&name.as_str()) {
                columns.push(name);
            }
        }
        if columns.len() > COLUMNS {
            return None;
        }
    }
    Some(columns).filter(|columns| !columns.is_empty())
}

fn table(html: &mut Html, names: &Names, items: &[Value], columns: &[&str], depth: usize) {
    html.tag("div", &[class("scroll"), Attr::Fixed("tabindex", "0")], |html| {
        html.tag("table", &[], |html| {
            html.tag("thead", &[], |html| {
                html.tag("tr", &[], |html| columns.iter().for_each(|name| html.leaf("th", "", name)));
            });
            html.tag("tbody", &[], |html| {
                for item in items.iter().take(ROWS) {
                    html.tag("tr", &[], |html| {
                        for name in columns {
                            html.tag("td", &[], |html| {
                                if let Some(value) = item.get(name).filter(|value| !value.is_null()) {
                                    at_depth(html, names, value, depth + 1);
                                }
                            });
                        }
                    });
                }
            });
        });
        more(html, items.len());
    });
}

fn pairs(html: &mut Html, names: &Names, fields: &Map<String, Value>, depth: usize) {
    html.tag("dl", &[], |html| {
        for (name, value) in fields.iter().take(ROWS) {
            html.leaf("dt", "", name);
            html.tag("dd", &[], |html| at_depth(html, names, value, depth + 1));
        }
    });
    more(html, fields.len());
}
