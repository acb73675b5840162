//! The filters, tests and functions that a template may use, and those that fanout adds to Jinja's.
//!
//! Invariant: a filter reads its arguments and, under the plan's folder, files; it
//! changes nothing. docs/templates.md describes each filter that is added here.

use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind, State};

use super::files;
use super::insertion::{BYTES_PER_TOKEN, cut_middle};
use super::render::{Render, plain_text};

/// Filters that Jinja brings.
pub(super) const BUILT_IN: [&str; 48] = [
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "zip",
];

/// Filters that fanout adds.
pub(super) const OWN: [&str; 8] =
    ["json", "yaml", "head", "tail", "truncate_tokens", "fence", "read", "glob"];

/// Tests: what may follow `is`.
pub(super) const TESTS: [&str; 36] = [
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "escaped",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "int",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "safe",
    "sameas",
    "sequence",
    "startingwith",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
];

/// Functions.
pub(super) const FUNCTIONS: [&str; 2] = ["range", "dict"];

/// Every filter.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    OWN.into_iter().chain(BUILT_IN)
}

/// Adds fanout's own filters.
pub(super) fn install(engine: &mut Environment<'static>) {
    engine.add_filter("json", json);
    engine.add_filter("yaml", yaml);
    engine.add_filter("head", head);
    engine.add_filter("tail", tail);
    engine.add_filter("truncate_tokens", truncate_tokens);
    engine.add_filter("fence", fence);
    engine.add_filter("read", read);
    engine.add_filter("glob", glob);
}

/// An error of a filter: `message` is all that people see.
pub(super) fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// How many lines or elements `head` and `tail` keep when they are not told.
const SOME_LINES: usize = 10;

fn json(value: Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    options.assert_all_used()?;
    given(&value, "json")?;
    let failed = |error: serde_json::Error| wrong(format!("`json` cannot write this: {error}"));
    let Some(indent) = indent else { return serde_json::to_string(&value).map_err(failed) };
    let indent = " ".repeat(indent.min(16));
    let mut text = Vec::new();
    let pretty = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
    let mut writer = serde_json::Serializer::with_formatter(&mut text, pretty);
    serde::Serialize::serialize(&value, &mut writer).map_err(failed)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn yaml(value: Value) -> Result<String, Error> {
    given(&value, "yaml")?;
    let text =
        serde_yaml::to_string(&value).map_err(|error| wrong(format!("`yaml` cannot write this: {error}")))?;
    Ok(text.trim_end_matches('\n').to_owned())
}

fn head(value: Value, count: Option<usize>) -> Result<Value, Error> {
    some(&value, "head", count, |total, count| 0..count.min(total))
}

fn tail(value: Value, count: Option<usize>) -> Result<Value, Error> {
    some(&value, "tail", count, |total, count| total.saturating_sub(count)..total)
}

/// Some of the lines of a text or of the elements of a list.
fn some(
    value: &Value,
    filter: &str,
    count: Option<usize>,
    which: impl Fn(usize, usize) -> std::ops::Range<usize>,
) -> Result<Value, Error> {
    given(value, filter)?;
    let count = count.unwrap_or(SOME_LINES);
    if let Some(text) = value.as_str() {
        let lines: Vec<&str> = text.lines().collect();
        let kept = lines.get(which(lines.len(), count)).unwrap_or_default();
        return Ok(Value::from(kept.join("\n")));
    }
    let items: Vec<Value> = value
        .try_iter()
        .map_err(|_| wrong(format!("`{filter}` needs a text or a list, not {}", value.kind())))?
        .collect();
    let kept = items.get(which(items.len(), count)).unwrap_or_default();
    Ok(Value::from(kept.to_vec()))
}

fn truncate_tokens(value: Value, tokens: u64) -> Result<String, Error> {
    given(&value, "truncate_tokens")?;
    let text = plain_text(&value)?;
    let limit = usize::try_from(tokens.saturating_mul(BYTES_PER_TOKEN)).unwrap_or(usize::MAX);
    Ok(cut_middle(&text, limit, None).unwrap_or(text))
}

/// A fence is longer than any run of backticks in what it encloses.
fn fence(value: Value, language: Option<String>) -> Result<String, Error> {
    given(&value, "fence")?;
    let text = plain_text(&value)?;
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    let end = if text.ends_with('\n') { "" } else { "\n" };
    Ok(format!("{fence}{}\n{text}{end}{fence}", language.unwrap_or_default()))
}

fn read(state: &State, path: Value) -> Result<String, Error> {
    given(&path, "read")?;
    let render = Render::of(state)?;
    files::read(render.dir(), path_text(&path, "read")?).map_err(wrong)
}

fn glob(state: &State, pattern: Value) -> Result<Vec<String>, Error> {
    given(&pattern, "glob")?;
    let render = Render::of(state)?;
    files::glob(render.dir(), path_text(&pattern, "glob")?).map_err(wrong)
}

fn path_text<'v>(value: &'v Value, filter: &str) -> Result<&'v str, Error> {
    value.as_str().ok_or_else(|| wrong(format!("`{filter}` needs a path as text, not {}", value.kind())))
}

fn given(value: &Value, filter: &str) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(Error::new(ErrorKind::UndefinedError, format!("what goes into `{filter}` has no value")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::template::render::engine;

    fn run(template: &str, value: impl Into<Value>) -> String {
        let value = value.into();
        engine().render_str(template, minijinja::context! { x => value }).unwrap()
    }

    #[test]
    fn every_filter_and_test_that_the_check_knows_is_there_and_no_other() {
        let engine = engine();
        for name in names() {
            assert_eq!(
                engine.render_str("{{ n is filter }}", minijinja::context! { n => name }).unwrap(),
                "true",
                "{name}"
            );
        }
        for name in TESTS {
            assert_eq!(
                engine.render_str("{{ n is test }}", minijinja::context! { n => name }).unwrap(),
                "true",
                "{name}"
            );
        }
        let mut globals: Vec<String> = engine.globals().map(|(name, _)| name.to_owned()).collect();
        globals.sort();
        let mut functions = FUNCTIONS.to_vec();
        functions.sort();
        assert_eq!(globals, functions);
    }

    #[test]
    fn the_documentation_lists_every_own_filter() {
        let page = std::fs::read_to_string("docs/templates.md").unwrap();
        for name in OWN {
            assert!(page.contains(&format!("| `{name}")), "docs/templates.md does not describe `{name}`");
        }
        for name in BUILT_IN {
            assert!(page.contains(&format!("`{name}`")), "docs/templates.md does not name `{name}`");
        }
    }

    #[test]
    fn json_and_yaml_keep_numbers_and_order() {
        let value =
            Value::from(minijinja::value::Serde(serde_json::json!({"b": 1, "a": [1.5, "x<y", null]})));
        assert_eq!(run("{{ x|json }}", value.clone()), r#"{"b":1,"a":[1.5,"x<y",null]}"#);
        assert_eq!(run("{{ [1]|json(indent=2) }}", ()), "[\n  1\n]");
        assert_eq!(run("{{ x|yaml }}", value), "b: 1\na:\n- 1.5\n- x<y\n- null");
    }

    #[test]
    fn head_and_tail_keep_lines_or_elements() {
        assert_eq!(run("{{ x|head(2) }}", "a\nb\nc\n"), "a\nb");
        assert_eq!(run("{{ x|tail(1) }}", "a\nb\nc\n"), "c");
        assert_eq!(run("{{ x|tail(9) }}", "a\nb"), "a\nb");
        assert_eq!(run("{{ x|head(1)|json }}", vec![1, 2]), "[1]");
        assert_eq!(run("{{ x|tail(1)|json }}", vec![1, 2]), "[2]");
        let error = engine().render_str("{{ 5|head }}", ()).unwrap_err();
        assert_eq!(error.detail(), Some("`head` needs a text or a list, not number"));
    }

    #[test]
    fn a_fence_cannot_be_closed_from_within() {
        assert_eq!(run("{{ x|fence('rust') }}", "fn a() {}"), "```rust\nfn a() {}\n```");
        assert_eq!(run("{{ x|fence }}", "a ```` b\n"), "`````\na ```` b\n`````");
    }

    #[test]
    fn truncating_leaves_a_mark() {
        assert_eq!(run("{{ x|truncate_tokens(1) }}", "abc"), "abc");
        assert_eq!(run("{{ x|truncate_tokens(1) }}", "abcdefgh"), "ab\n[… 4 of 8 bytes left out]\ngh");
    }
}
