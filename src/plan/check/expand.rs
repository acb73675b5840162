//! What a call is expanded over: a list, an expression, a matrix, a number of samples.

use serde_json::Value;

use super::matrix::{self, Combination};
use super::{Scope, at_least_one, computed};
use crate::id::CallId;
use crate::plan::diagnostic::{Diagnostic, Span};
use crate::plan::file::call::{CallFile, ForEach, JoinFile, JoinWord, MatrixFile};
use crate::plan::file::value::{Data, DataKind};
use crate::plan::load::Load;
use crate::plan::read::{At, Key};
use crate::plan::record::Record as _;
use crate::plan::suggest::did_you_mean;
use crate::plan::template::{Mention, Names};
use crate::plan::{Expand, Join, code};

/// More combinations than this are not multiplied out.
const MAX_COMBINATIONS: usize = 100_000;

/// The keys that make many of one call.
const KEYS: [&str; 3] = ["for_each", "matrix", "samples"];

/// Names that templates have already.
const TAKEN: &[&str] = &[
    "vars",
    "goal",
    "env",
    "calls",
    "matrix",
    "index",
    "run",
    "notifications",
    "previous",
    "round",
    "output",
    "json",
    "status",
    "reconcile",
    "loop",
    "true",
    "false",
    "none",
    "not",
    "and",
    "or",
    "in",
    "is",
    "if",
    "else",
];

/// True for a call that may be many.
pub(super) fn is_expanded(file: &CallFile) -> bool {
    file.for_each.is_some()
        || file.matrix.is_some()
        || file.samples.is_some()
        || KEYS.iter().any(|k| file.wrote(k))
}

/// An expansion, with the names that it gives to templates.
#[derive(Debug, Default)]
pub(super) struct Expansion {
    /// What it is expanded over.
    pub(super) over: Option<Expand>,
    /// What the item is called, where there is one.
    pub(super) item: Option<String>,
    /// The keys of `matrix`.
    pub(super) axes: Vec<String>,
    /// True where there are instances at all, even if over what could not be read.
    pub(super) many: bool,
}

/// Reads what a call is expanded over; takes those keys out of it.
pub(super) fn read(
    load: &mut Load<'_>,
    file: &mut CallFile,
    name: &At<String>,
    scope: &Scope<'_>,
    mentions: &mut Vec<Mention>,
) -> Expansion {
    let many = is_expanded(file);
    let (for_each, matrix, samples) = (file.for_each.take(), file.matrix.take(), file.samples.take());
    let mut keys: Vec<(Span, &str)> = Vec::new();
    keys.extend(for_each.as_ref().map(|field| (field.key, "for_each")));
    keys.extend(matrix.as_ref().map(|field| (field.key, "matrix")));
    keys.extend(samples.as_ref().map(|field| (field.key, "samples")));
    if let [(first, one), (second, two), ..] = keys.as_slice() {
        let message = format!("`{}` has both `{one}` and `{two}`", name.value);
        let fault = Diagnostic::error(code::CONTRADICTION, *second, message).related(*first, "and here");
        load.fault(fault.help("keep one; an axis of a `matrix` can be a list of numbers"));
    }
    let item = item_name(load, file, for_each.is_some() || file.wrote("for_each"));
    let mut expansion = Expansion { over: None, item, axes: Vec::new(), many };
    if let Some(for_each) = for_each {
        expansion.over = list(load, &for_each.value, scope, mentions);
    }
    if let Some(matrix) = matrix {
        let (combinations, axes) = combinations(load, &matrix.value, matrix.at);
        expansion.axes = axes;
        expansion.over = Some(Expand::Matrix(combinations));
    }
    if let Some(samples) = samples {
        expansion.over = Some(Expand::Samples(at_least_one(load, samples.value, samples.at, "samples")));
    }
    expansion
}

/// How many instances are enough.
pub(super) fn join(load: &mut Load<'_>, join: Key<JoinFile>, over: Option<&Expand>) -> Join {
    let instances = over.and_then(|over| match over {
        Expand::List(items) => Some(items.len()),
        Expand::Matrix(combinations) => Some(combinations.len()),
        Expand::Samples(samples) => Some(*samples as usize),
        Expand::Dynamic(_) => None,
    });
    match join.map(|join| (join.value, join.at)) {
        None | Some((JoinFile::Word(JoinWord::All), _)) => Join::All,
        Some((JoinFile::Word(JoinWord::Any), _)) => Join::AtLeast(1),
        Some((JoinFile::Count(count), at))
            if instances.is_some_and(|instances| count as usize > instances) =>
        {
            let instances = instances.unwrap_or_default();
            let noun = if instances == 1 { "instance" } else { "instances" };
            let message = format!("this call has {instances} {noun}; {count} of them can never be enough");
            let fault = Diagnostic::error(code::IMPOSSIBLE, at, message);
            load.fault(fault.help(format!("write {instances} or less, `any`, or `all`")));
            Join::AtLeast(count)
        }
        Some((JoinFile::Count(count), at)) => Join::AtLeast(at_least_one(load, count, at, "join")),
    }
}

fn item_name(load: &mut Load<'_>, file: &mut CallFile, each: bool) -> Option<String> {
    let name = file.r#as.take();
    if let Some(name) = &name {
        let word = &name.value;
        let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !plain || word.is_empty() || word.starts_with(|c: char| c.is_ascii_digit()) {
            let message = format!("`{word}` cannot be a name in templates");
            let fault = Diagnostic::error(code::INVALID_ID, name.at, message);
            load.fault(fault.help("use letters, digits and `_`, first a letter or `_`"));
        } else if TAKEN.contains(&word.as_str()) {
            let message = format!("`{word}` means something else in templates");
            load.fault(Diagnostic::error(code::INVALID_ID, name.at, message).help("choose another name"));
        }
    }
    each.then(|| name.map_or_else(|| "item".to_owned(), |name| name.value))
}

fn list(
    load: &mut Load<'_>,
    for_each: &ForEach,
    scope: &Scope<'_>,
    mentions: &mut Vec<Mention>,
) -> Option<Expand> {
    let names = Names::call(scope.known);
    match for_each {
        ForEach::Expression(text) => Some(Expand::Dynamic(load.expression(text, &names, mentions))),
        ForEach::List(items) if items.iter().any(Data::has_templates) => {
            computed::list(load, items, &names, mentions).map(Expand::Dynamic)
        }
        ForEach::List(items) => Some(Expand::List(items.iter().map(Data::to_json).collect())),
    }
}

fn combinations(load: &mut Load<'_>, matrix: &MatrixFile, at: Span) -> (Vec<Combination>, Vec<String>) {
    let mut axes: Vec<(String, Vec<Value>)> = Vec::new();
    let mut sound = true;
    for (axis, values) in &matrix.axes {
        axis_name(load, axis);
        sound &= values.is_some();
        let values = values.as_deref().unwrap_or(&[]);
        if values.is_empty() && sound {
            let fault =
                Diagnostic::error(code::MATRIX, axis.at, format!("the axis `{}` has no values", axis.value));
            load.fault(fault.help("give it at least one, or remove the axis"));
        }
        values.iter().for_each(|value| no_templates(load, value));
        // An axis that stands twice was reported.
        if !axes.iter().any(|(name, _)| *name == axis.value) {
            axes.push((axis.value.clone(), values.iter().map(Data::to_json).collect()));
        }
    }
    let include = entries(load, &matrix.include);
    let exclude = entries(load, &matrix.exclude);
    for entry in &matrix.exclude {
        let DataKind::Map(keys) = &entry.kind else { continue };
        for (key, _) in keys.iter().filter(|(key, _)| !axes.iter().any(|(name, _)| *name == key.value)) {
            let message = format!("`exclude` names `{}`, which is no axis", key.value);
            let help = did_you_mean(&key.value, axes.iter().map(|(name, _)| name.as_str()));
            load.fault(Diagnostic::error(code::MATRIX, key.at, message).maybe_help(help));
        }
    }
    for entry in &matrix.include {
        let DataKind::Map(keys) = &entry.kind else { continue };
        keys.iter().for_each(|(key, _)| axis_name(load, key));
    }
    let mut names: Vec<String> = axes.iter().map(|(name, _)| name.clone()).collect();
    for key in include.iter().flat_map(serde_json::Map::keys) {
        if !names.contains(key) {
            names.push(key.clone());
        }
    }
    if axes.is_empty() && include.is_empty() {
        load.fault(
            Diagnostic::error(code::MATRIX, at, "the matrix has no axes")
                .help("write `axis: [value, value]`"),
        );
        return (Vec::new(), names);
    }
    let size = matrix::size(&axes);
    if size > MAX_COMBINATIONS {
        let message =
            format!("the matrix has {size} combinations; at most {MAX_COMBINATIONS} are multiplied out");
        load.fault(Diagnostic::error(code::MATRIX, at, message));
        return (Vec::new(), names);
    }
    let combinations = matrix::multiply(&axes, &include, &exclude);
    if combinations.is_empty() && size > 0 {
        load.fault(Diagnostic::error(code::MATRIX, at, "`exclude` leaves no combination of this matrix"));
    }
    (combinations, names)
}

fn entries(load: &mut Load<'_>, list: &[Data]) -> Vec<Combination> {
    let mut maps = Vec::new();
    for entry in list {
        no_templates(load, entry);
        match entry.to_json() {
            Value::Object(map) => maps.push(map),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                let fault = Diagnostic::error(code::MATRIX, entry.at, "expected a map of axes to values");
                load.fault(fault.help("write `- { axis: value }`"));
            }
        }
    }
    maps
}

fn axis_name(load: &mut Load<'_>, axis: &At<String>) {
    if CallId::parse(&axis.value).is_err() {
        let fault =
            Diagnostic::error(code::INVALID_ID, axis.at, format!("`{}` cannot be an axis", axis.value));
        load.fault(fault.help("use letters, digits, `_` and `-`, first a letter or `_`"));
    }
}

fn no_templates(load: &mut Load<'_>, data: &Data) {
    if data.has_templates() {
        let fault =
            Diagnostic::error(code::TEMPLATE_NOT_ALLOWED, data.at, "templates are not allowed in a matrix");
        load.fault(fault.help("write the values out, or use `for_each` with an expression"));
    }
}
