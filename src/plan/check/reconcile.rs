//! Parent steps: which calls they read, and a strategy with its settings.
//!
//! Invariant: the settings that are handed on are those that the strategy has; their
//! shape and the names in them are checked here, their meaning by whoever reconciles.

use serde_json::{Map, Value, json};

use super::Scope;
use super::agents::Agents;
use super::needs::Edges;
use crate::plan::diagnostic::{Diagnostic, Span};
use crate::plan::file::reconcile::{OnConflict, ReconcileFile, SimilarFile, StrategyWord, keys_of};
use crate::plan::file::value::{Data, DataKind};
use crate::plan::load::{Load, SettingsCheck};
use crate::plan::read::{At, Field, Key, OneOrMany};
use crate::plan::record::{Record as _, Word as _};
use crate::plan::suggest::{did_you_mean, list};
use crate::plan::template::{Mention, Names};
use crate::plan::{Quantity, Reconcile, Strategy, code};

/// Keys that every strategy has.
const COMMON: &[&str] = &["of", "strategy", "min"];

/// The parent's last step.
///
/// Without `of` it reads every call that nothing else consumes: no other call needs it or
/// mentions it. A question to a person and the end of the run are no results and are left out,
/// and so is a background call, which the parent does not wait for: its notification says how it
/// ended. Where there is nothing else, the background calls are what there is to read.
pub(super) fn last(
    load: &mut Load<'_>,
    file: Key<ReconcileFile>,
    edges: &Edges,
    agents: &Agents<'_>,
    scope: &Scope<'_>,
) -> Reconcile {
    let mut consumed = vec![false; scope.traits.len()];
    for (call, _) in edges.calls.iter().flat_map(|call| &call.needs) {
        if let Some(slot) = consumed.get_mut(*call) {
            *slot = true;
        }
    }
    let results = || {
        let calls = consumed.iter().zip(scope.traits).enumerate();
        calls.filter(|(_, (consumed, call))| !**consumed && !call.silent)
    };
    let mut open: Vec<usize> =
        results().filter(|(_, (_, call))| !call.background).map(|(position, _)| position).collect();
    if open.is_empty() {
        open = results().map(|(position, _)| position).collect();
    }
    match file {
        Some(file) => step(load, *file, open, agents, scope, &mut Vec::new()),
        None => Reconcile { at: Span::default(), of: open, strategy: collect(), min: None },
    }
}

/// A parent step; `otherwise` is what it reads where it does not say.
pub(super) fn step(
    load: &mut Load<'_>,
    file: Field<ReconcileFile>,
    otherwise: Vec<usize>,
    agents: &Agents<'_>,
    scope: &Scope<'_>,
    mentions: &mut Vec<Mention>,
) -> Reconcile {
    let Field { key: at, value: mut file, .. } = file;
    let of = match file.of.take() {
        None => otherwise,
        Some(of) => {
            if of.value.0.is_empty() {
                let fault = Diagnostic::error(code::NO_VALUE, of.at, "`of` names no calls");
                load.fault(fault.help("name at least one, or remove the key"));
            }
            let mut calls: Vec<usize> = of.value.0.iter().filter_map(|id| scope.position(id, load)).collect();
            calls.sort_unstable();
            calls.dedup();
            calls
        }
    };
    let min = file.min.take();
    if let Some(Field { value: Quantity::Count(count), at, .. }) = min.as_deref() {
        let fixed = of.iter().all(|call| scope.traits.get(*call).is_none_or(|call| !call.expanded));
        if fixed && *count as usize > of.len() {
            let message = format!("the step reads {} calls; {count} can never answer", of.len());
            load.fault(Diagnostic::error(code::IMPOSSIBLE, *at, message));
        }
    }
    let strategy = strategy(load, file, at, agents, scope, mentions);
    Reconcile { at, of, strategy, min: min.map(|min| min.value) }
}

fn collect() -> Strategy {
    Strategy {
        name: StrategyWord::Collect.word().to_owned(),
        settings: Map::new(),
        command: None,
        prompt: None,
    }
}

fn strategy(
    load: &mut Load<'_>,
    file: ReconcileFile,
    at: Span,
    agents: &Agents<'_>,
    scope: &Scope<'_>,
    mentions: &mut Vec<Mention>,
) -> Strategy {
    if file.strategy.is_none() && file.wrote("strategy") {
        return collect();
    }
    let word = file.strategy.as_ref().map_or(StrategyWord::Collect, |strategy| strategy.value);
    let place = file.strategy.as_ref().map_or(at, |strategy| strategy.at);
    refuse_foreign(load, &file, word, at);
    let ReconcileFile { command, prompt, .. } = &file;
    let names = Names::call(scope.known);
    if word == StrategyWord::Synthesize && !file.wrote("prompt") && !scope.goal {
        let message = "`synthesize` has neither a `prompt` nor the plan's `goal` to go by";
        let fault = Diagnostic::error(code::MISSING_KEY, place, message);
        load.fault(fault.help("add `prompt: …`: what the parent's model is to answer"));
    }
    if word == StrategyWord::Command && !file.wrote("command") {
        let fault = Diagnostic::error(code::MISSING_KEY, place, "the strategy `command` needs a `command`");
        load.fault(fault.help("add `command: …`; it gets the results as JSON on standard input"));
    }
    if word == StrategyWord::Best && !file.wrote("by") && !file.wrote("cross_check") {
        let fault = Diagnostic::error(code::MISSING_KEY, place, "the strategy `best` needs `by`");
        load.fault(fault.help("add `by: /score`, or another thing to rank by"));
    }
    let command = command.as_ref().map(|command| load.command(&command.value, &names, mentions));
    let mut settings = Map::new();
    let prompt =
        prompt.as_ref().and_then(|prompt| load.prompt(prompt.value.clone(), &names, scope.place, mentions));
    let before = load.faults.len();
    read_settings(load, &file, agents, scope, &mut settings);
    if let (Some(check), false) = (load.given.settings_check, load.any_error_since(before)) {
        meaning(load, check, &file, word, place, &settings);
    }
    Strategy { name: word.word().to_owned(), settings, command, prompt }
}

/// Refuses keys that mean nothing to the strategy.
fn refuse_foreign(load: &mut Load<'_>, file: &ReconcileFile, word: StrategyWord, at: Span) {
    for key in ReconcileFile::KEYS {
        if !file.wrote(key) || COMMON.contains(key) || keys_of(word).contains(key) {
            continue;
        }
        let owners: Vec<String> = StrategyWord::ALL
            .iter()
            .filter(|other| keys_of(**other).contains(key))
            .map(|other| format!("`{}`", other.word()))
            .collect();
        let message = format!("`{key}` means nothing to the strategy `{}`", word.word());
        let at = file.places(key).map_or(at, |(key, _)| key);
        let fault = Diagnostic::error(code::CONTRADICTION, at, message);
        load.fault(fault.help(format!("it belongs to {}", list(&owners, "and"))));
    }
}

/// Lets whoever reconciles say whether the settings mean something, and shows the key that does not.
fn meaning(
    load: &mut Load<'_>,
    check: SettingsCheck,
    file: &ReconcileFile,
    word: StrategyWord,
    place: Span,
    settings: &Map<String, Value>,
) {
    if let Err(fault) = check(word.word(), settings) {
        let key = fault.key.split('.').next().unwrap_or("");
        let at = file.places(key).map_or(place, |(_, value)| value);
        let message = format!("`{}`: {}", fault.key, fault.message);
        load.fault(Diagnostic::error(code::SETTING, at, message).help(fault.help));
    }
}

fn read_settings(
    load: &mut Load<'_>,
    file: &ReconcileFile,
    agents: &Agents<'_>,
    scope: &Scope<'_>,
    settings: &mut Map<String, Value>,
) {
    let lists = [("on", &file.on), ("conflicts", &file.conflicts)];
    for (key, list) in lists {
        if let Some(list) = list {
            let list = pointers(load, &list.value, list.at);
            settings.insert(key.to_owned(), list);
        }
    }
    if let Some(items) = &file.items {
        pointer(load, &items.value);
        settings.insert("items".to_owned(), Value::String(items.value.value.clone()));
    }
    if let Some(similar) = &file.similar {
        settings.insert("similar".to_owned(), similarity(load, &similar.value));
    }
    if let Some(on_conflict) = &file.on_conflict {
        let value = conflict(load, on_conflict, agents, scope);
        settings.insert("on_conflict".to_owned(), value);
    }
    if let Some(weights) = &file.weights {
        weighed(load, &weights.value, agents, scope);
    }
    let plain = [
        ("rule", &file.rule),
        ("quorum", &file.quorum),
        ("ties", &file.ties),
        ("weights", &file.weights),
        ("normalize", &file.normalize),
        ("key", &file.key),
        ("keep", &file.keep),
        ("by", &file.by),
        ("similarity", &file.similarity),
        ("cross_check", &file.cross_check),
    ];
    for (key, data) in plain {
        if let Some(data) = data {
            if key != "normalize" && data.value.has_templates() {
                let message = format!("templates are not allowed in `{key}`");
                load.fault(Diagnostic::error(code::TEMPLATE_NOT_ALLOWED, data.at, message));
            }
            settings.insert(key.to_owned(), data.value.to_json());
        }
    }
}

fn similarity(load: &mut Load<'_>, file: &SimilarFile) -> Value {
    let mut similar = Map::new();
    if let Some(on) = &file.on {
        let on = pointers(load, &on.value, on.at);
        similar.insert("on".to_owned(), on);
    }
    if let Some(at) = &file.at {
        if !(0.0..=1.0).contains(&at.value) {
            load.fault(Diagnostic::error(code::OUT_OF_RANGE, at.at, "`at` must be between 0 and 1"));
        }
        similar.insert("at".to_owned(), json!(at.value));
    }
    Value::Object(similar)
}

fn conflict(load: &mut Load<'_>, field: &Field<OnConflict>, agents: &Agents<'_>, scope: &Scope<'_>) -> Value {
    match &field.value {
        OnConflict::Word(word) => Value::String(word.word().to_owned()),
        OnConflict::Prefer(names) => {
            names.iter().for_each(|name| call_or_agent(load, name, agents, scope));
            json!({ "prefer": names.iter().map(|name| name.value.clone()).collect::<Vec<String>>() })
        }
    }
}

/// `{from: labelled.jsonl}`, or a weight for each call, agent or model.
fn weighed(load: &mut Load<'_>, weights: &Data, agents: &Agents<'_>, scope: &Scope<'_>) {
    let DataKind::Map(entries) = &weights.kind else {
        let fault = Diagnostic::error(
            code::WRONG_TYPE,
            weights.at,
            "expected a map of calls, agents or models to numbers",
        );
        return load.fault(fault.help("write `{ review: 2, build: 1 }`, or `{ from: labelled.jsonl }`"));
    };
    if weights.get("from").is_some() {
        return;
    }
    for (name, weight) in entries {
        if !name.value.contains('/') {
            call_or_agent(load, name, agents, scope);
        }
        let number = weight.to_json().as_f64();
        if number.is_none_or(|number| number < 0.0) {
            let message = "a weight is a number that is not negative";
            load.fault(Diagnostic::error(code::WRONG_TYPE, weight.at, message));
        }
    }
}

fn call_or_agent(load: &mut Load<'_>, name: &At<String>, agents: &Agents<'_>, scope: &Scope<'_>) {
    if scope.positions.contains_key(&name.value) || agents.has(&name.value) {
        return;
    }
    let message = format!("there is no call and no agent `{}`", name.value);
    let help = did_you_mean(&name.value, scope.known.calls());
    load.fault(Diagnostic::error(code::UNKNOWN_CALL, name.at, message).maybe_help(help));
}

fn pointers(load: &mut Load<'_>, list: &OneOrMany<At<String>>, at: Span) -> Value {
    if list.0.is_empty() {
        load.fault(
            Diagnostic::error(code::NO_VALUE, at, "the list is empty").help("name at least one field"),
        );
    }
    list.0.iter().for_each(|text| pointer(load, text));
    list.0.iter().map(|text| Value::String(text.value.clone())).collect()
}

fn pointer(load: &mut Load<'_>, text: &At<String>) {
    if !text.value.is_empty() && !text.value.starts_with('/') {
        let message = format!("`{}` is no JSON pointer: it has to begin with a slash", text.value);
        let right = format!("write `/{}`", text.value.replace('.', "/"));
        load.fault(Diagnostic::error(code::WRONG_TYPE, text.at, message).help(right));
    }
}
