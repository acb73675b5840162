//! Vars: what the plan declares, and the values that this run gives them.
//!
//! Invariant: nearest wins: `--var`, then `--vars-file`, then `FANOUT_VAR_*`, then the
//! plan's own default, then an included file's; a value of the wrong type is never used.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde_json::Value;

use super::Place;
use super::include::Named;
use crate::plan::code;
use crate::plan::diagnostic::{Diagnostic, Span};
use crate::plan::file::value::Data;
use crate::plan::file::{VarFile, VarShape, VarType};
use crate::plan::load::Load;
use crate::plan::read::{At, Entries, Reader};
use crate::plan::record::Word as _;
use crate::plan::suggest::{choices, did_you_mean};
use crate::plan::{scalar, yaml};

/// One var, with its value for this run.
#[derive(Debug, Clone)]
pub(in crate::plan) struct Var {
    /// Its name.
    pub(in crate::plan) name: String,
    /// Its value; null where it has none.
    pub(in crate::plan) value: Value,
    /// True where the value came from outside.
    pub(in crate::plan) given: bool,
    /// True where it must be given.
    pub(in crate::plan) required: bool,
    /// Where it is declared.
    pub(in crate::plan) at: Span,
    description: Option<String>,
    kind: Option<VarType>,
    values: Option<Vec<Value>>,
}

impl Var {
    /// Why a value is not allowed; `None` where it is.
    pub(in crate::plan) fn objection(&self, value: &Value) -> Option<String> {
        let fits = match self.kind {
            None => true,
            Some(VarType::String) => value.is_string(),
            Some(VarType::Integer) => value.is_i64() || value.is_u64(),
            Some(VarType::Number) => value.is_number(),
            Some(VarType::Boolean) => value.is_boolean(),
            Some(VarType::List) => value.is_array(),
            Some(VarType::Map) => value.is_object(),
        };
        if let (false, Some(kind)) = (fits, self.kind) {
            return Some(format!(
                "the var `{}` must be of type `{}`; {value} is not",
                self.name,
                kind.word()
            ));
        }
        let values = self.values.as_ref().filter(|values| !values.contains(value))?;
        let all: Vec<String> = values.iter().map(shown).collect();
        Some(format!(
            "the var `{}` can be {}; {value} is not among them",
            self.name,
            choices(all.iter().map(String::as_str))
        ))
    }

    /// What a text given from outside means for this var.
    fn value_of(&self, text: &str) -> Option<Value> {
        let as_yaml = || {
            let mut faults = Vec::new();
            let tree = yaml::parse(text, 0, &mut faults)?;
            let data: Option<Data> = Reader::new(&mut faults).read(&tree);
            data.filter(|_| faults.is_empty()).map(|data| data.to_json())
        };
        match self.kind {
            Some(VarType::String) => Some(Value::String(text.to_owned())),
            Some(VarType::List | VarType::Map) => as_yaml(),
            Some(VarType::Integer | VarType::Number | VarType::Boolean) => scalar::plain(text),
            // Without a declared type the default's counts: a commit such as `1e5` stays a text.
            None if self.value.is_string() => Some(Value::String(text.to_owned())),
            None if self.value.is_array() || self.value.is_object() => as_yaml(),
            None => Some(scalar::plain(text).unwrap_or_else(|| Value::String(text.to_owned()))),
        }
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Declares the vars and, for the plan that is run, gives them their values.
pub(super) fn resolve(load: &mut Load<'_>, declared: Named<VarShape>, place: &Place) -> Vec<Var> {
    let mut vars: IndexMap<String, Var> = IndexMap::new();
    for (name, shape) in declared.into_values() {
        let plain = name.value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !plain || name.value.starts_with(|c: char| c.is_ascii_digit()) || name.value.is_empty() {
            let message = format!("`{}` cannot be the name of a var", name.value);
            let fault = Diagnostic::error(code::INVALID_ID, name.at, message);
            load.fault(fault.help("use letters, digits and `_`, first a letter or `_`"));
        }
        let var = declare(load, name, shape);
        vars.insert(var.name.clone(), var);
    }
    if place.chain.len() == 1 {
        give(load, &mut vars);
    }
    vars.into_values().collect()
}

fn declare(load: &mut Load<'_>, name: At<String>, shape: Option<VarShape>) -> Var {
    let At { at, value: name } = name;
    let mut var = Var {
        name,
        value: Value::Null,
        given: false,
        required: false,
        at,
        description: None,
        kind: None,
        values: None,
    };
    match shape {
        None => {}
        Some(VarShape::Default(data)) => var.value = data.to_json(),
        Some(VarShape::Declared(file)) => {
            let VarFile { required, description, r#type, r#enum, default, .. } = *file;
            var.required = required.is_some_and(|required| required.value);
            var.description = description.map(|text| text.value);
            var.kind = r#type.map(|kind| kind.value);
            var.values = r#enum.map(|list| list.value.iter().map(Data::to_json).collect());
            if let Some(default) = default {
                if var.required {
                    let message = format!("the var `{}` is required and has a default", var.name);
                    let fault = Diagnostic::error(code::CONTRADICTION, default.key, message);
                    load.fault(fault.help("remove the default, or write `required: false`"));
                }
                var.value = default.value.to_json();
                if let Some(objection) = var.objection(&var.value) {
                    load.fault(Diagnostic::error(code::WRONG_VAR_TYPE, default.at, objection));
                }
            }
        }
    }
    var
}

/// Gives the vars what stands in the environment, in files and on the command line, the nearest last.
fn give(load: &mut Load<'_>, vars: &mut IndexMap<String, Var>) {
    let given = load.given;
    for var in vars.values_mut() {
        let upper = format!("FANOUT_VAR_{}", var.name.to_ascii_uppercase());
        let exact = format!("FANOUT_VAR_{}", var.name);
        let found =
            [exact, upper].into_iter().find_map(|name| Some((given.environment.vars.get(&name)?, name)));
        if let Some((text, name)) = found {
            set_text(
                load,
                var,
                text,
                || (PathBuf::from("environment"), format!("{name}={text}")),
                name.len() + 1,
            );
        }
    }
    for path in &given.vars_files {
        give_file(load, vars, path);
    }
    for (name, text) in &given.vars {
        let source = || (PathBuf::from("--var"), format!("{name}={text}"));
        match vars.get_mut(name) {
            Some(var) => set_text(load, var, text, source, name.len() + 1),
            None => {
                let at = outside(load, source(), 0, name.len());
                unknown(load, vars, name, at);
            }
        }
    }
    for var in vars.values().filter(|var| var.required && !var.given) {
        if given.vars_may_be_missing {
            continue;
        }
        let message = format!("the var `{}` is required and was not given", var.name);
        let fault = Diagnostic::error(code::MISSING_VAR, var.at, message)
            .label(var.description.clone().unwrap_or_default());
        let upper = var.name.to_ascii_uppercase();
        load.fault(fault.help(format!("give it with `--var {}=…`, or set FANOUT_VAR_{upper}", var.name)));
    }
}

fn give_file(load: &mut Load<'_>, vars: &mut IndexMap<String, Var>, path: &std::path::Path) {
    let Some(number) = load.files.open(path, path, None, &mut load.faults) else { return };
    let text = load.files.text(number);
    let Some(tree) = yaml::parse(&text, number, &mut load.faults) else { return };
    let Some(entries) = Reader::new(&mut load.faults).read::<Entries<Data>>(&tree) else { return };
    for (name, value) in entries.0 {
        let Some(var) = vars.get_mut(&name.value) else {
            unknown(load, vars, &name.value, name.at);
            continue;
        };
        let Some(data) = value else { continue };
        let value = data.to_json();
        match var.objection(&value) {
            Some(objection) => load.fault(Diagnostic::error(code::WRONG_VAR_TYPE, data.at, objection)),
            None => var.value = value,
        }
        var.given = true;
    }
}

fn set_text(
    load: &mut Load<'_>,
    var: &mut Var,
    text: &str,
    source: impl FnOnce() -> (PathBuf, String),
    start: usize,
) {
    var.given = true;
    let value = var.value_of(text);
    let objection = match &value {
        Some(value) => var.objection(value),
        None => Some(format!("the var `{}` cannot be read from this text", var.name)),
    };
    match (objection, value) {
        (None, Some(value)) => var.value = value,
        (objection, _) => {
            let at = outside(load, source(), start, text.len());
            let fault = Diagnostic::error(code::WRONG_VAR_TYPE, at, objection.unwrap_or_default());
            load.fault(fault.related(var.at, "declared here"));
        }
    }
}

fn unknown(load: &mut Load<'_>, vars: &IndexMap<String, Var>, name: &str, at: Span) {
    let help = match did_you_mean(name, vars.keys().map(String::as_str)) {
        Some(help) => help,
        None if vars.is_empty() => "the plan has no vars".to_owned(),
        None => format!("the plan's vars are {}", choices(vars.keys().map(String::as_str))),
    };
    load.fault(Diagnostic::error(code::UNKNOWN_VAR, at, format!("the plan has no var `{name}`")).help(help));
}

/// A place in what was given from outside, so that it can be shown like any other.
fn outside(load: &mut Load<'_>, (name, text): (PathBuf, String), start: usize, length: usize) -> Span {
    let number = load.files.add(name, text).unwrap_or_default();
    let place = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Span { file: number, start: place(start), end: place(start + length) }
}
