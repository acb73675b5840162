//! `patch`: the changes of several workspaces merged, and which of them go together.
//!
//! Invariants: every change started from the same files, so where it changes them can be
//! compared line by line; changes that touch the same lines, or lines next to each other, are in
//! conflict unless they say the same, as git has it; a change goes in as a whole or is left out
//! as a whole; nobody's files are touched here.

mod block;
mod sets;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::settings::{Settings, SettingsError};
use super::wording::counted;
use super::{Conflict, Findings, Panel, ReconcileError, Side, Strategy};
use crate::outcome::Changes;
use crate::workspace::patch::{FilePatch, parse};

/// Conflicts shown in the text; the JSON has all.
const SHOWN: usize = 12;

/// What to do about conflicts.
#[derive(Debug, Clone, PartialEq, Eq)]
enum OnConflict {
    /// The largest set that goes together is merged, the rest is left out and told.
    Report,
    /// The step fails.
    Fail,
    /// These go in first, in this order.
    Prefer(Vec<String>),
}

/// The strategy with its settings.
#[derive(Debug)]
pub(super) struct Patch {
    on_conflict: OnConflict,
}

/// One change.
#[derive(Debug)]
struct Candidate<'a> {
    call: &'a str,
    name: &'a str,
    names: Vec<String>,
    changes: &'a Changes,
    files: BTreeMap<String, FilePatch>,
}

impl Patch {
    /// Reads the settings.
    pub(super) fn read(settings: &Map<String, Value>) -> Result<Patch, SettingsError> {
        let settings = Settings::new(settings, "", &["on_conflict"])?;
        let help = "write `report`, `fail`, or `{prefer: [call, …]}`";
        let on_conflict = match settings.get("on_conflict") {
            None => OnConflict::Report,
            Some(Value::String(word)) if word == "report" => OnConflict::Report,
            Some(Value::String(word)) if word == "fail" => OnConflict::Fail,
            Some(Value::Object(map)) if map.len() == 1 => match map.get("prefer") {
                Some(Value::Array(names)) => OnConflict::Prefer(
                    names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
                ),
                Some(_) | None => return Err(settings.error("on_conflict", "there is no such way", help)),
            },
            Some(_) => return Err(settings.error("on_conflict", "there is no such way", help)),
        };
        Ok(Patch { on_conflict })
    }
}

impl Strategy for Patch {
    fn reconcile(&self, panel: &Panel<'_>) -> Result<Findings, ReconcileError> {
        let candidates = candidates(panel)?;
        let unchanged: Vec<&str> = panel
            .voices
            .iter()
            .filter(|voice| !candidates.iter().any(|candidate| candidate.call == voice.call))
            .map(|voice| voice.call.as_str())
            .collect();
        let mut conflicts = Vec::new();
        let mut clash = vec![vec![false; candidates.len()]; candidates.len()];
        for (at, one) in candidates.iter().enumerate() {
            for (more, other) in candidates.iter().enumerate().skip(at + 1) {
                let found = between(one, other);
                clash[at][more] = !found.is_empty();
                clash[more][at] = !found.is_empty();
                conflicts.extend(found);
            }
        }
        let order = self.order(&candidates);
        let sets = sets::maximal(&clash);
        let chosen = match self.on_conflict {
            OnConflict::Prefer(_) => sets::greedy(&clash, &order),
            OnConflict::Report | OnConflict::Fail => sets::largest(&sets),
        };
        let merged = merged(&candidates, &chosen);
        let failure = (self.on_conflict == OnConflict::Fail && !conflicts.is_empty()).then(|| {
            format!("{} between the changes: {}", counted(conflicts.len(), "conflict"), about(&conflicts))
        });
        let json = json_of(&candidates, &chosen, &sets, &unchanged, &merged);
        let text = text_of(panel, &candidates, &chosen, &merged, &conflicts);
        Ok(Findings { json, text, conflicts, failure })
    }
}

impl Patch {
    /// Plan order, the preferred ones first.
    fn order(&self, candidates: &[Candidate<'_>]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        if let OnConflict::Prefer(preferred) = &self.on_conflict {
            let rank = |at: &usize| {
                let names = candidates.get(*at).map_or(&[][..], |candidate| &candidate.names);
                preferred.iter().position(|wanted| names.contains(wanted)).unwrap_or(preferred.len())
            };
            order.sort_by_key(rank);
        }
        order
    }
}

/// Everybody who changed something, in plan order.
fn candidates<'a>(panel: &'a Panel<'a>) -> Result<Vec<Candidate<'a>>, ReconcileError> {
    let mut found: Vec<Candidate<'a>> = Vec::new();
    for voice in &panel.voices {
        let Some(changes) = voice.answer.outcome.changes.as_deref() else {
            let message =
                "it had no workspace of its own; give it `isolation: worktree`, or leave it out of `of`";
            return Err(ReconcileError::Answer { call: voice.call.clone(), message: message.to_owned() });
        };
        if changes.is_empty() {
            continue;
        }
        if let Some(first) = found.first()
            && first.changes.repository != changes.repository
        {
            let message =
                format!("it changed {}, the others {}", changes.repository, first.changes.repository);
            return Err(ReconcileError::Answer { call: voice.call.clone(), message });
        }
        let files = parse(&changes.patch).into_iter().map(|file| (file.path.clone(), file)).collect();
        let names = voice.answer.names();
        found.push(Candidate { call: &voice.call, name: &voice.name, names, changes, files });
    }
    Ok(found)
}

/// Where two changes do not go together.
fn between(one: &Candidate<'_>, other: &Candidate<'_>) -> Vec<Conflict> {
    if one.changes.base != other.changes.base {
        let sides = [one, other].map(|side| (json!({ "base": side.changes.base }), side.call));
        let about = "where they start".to_owned();
        let why = format!("{} and {} do not start from the same files", one.name, other.name);
        return vec![conflict(about, sides, why)];
    }
    let mut found = Vec::new();
    for (path, mine) in &one.files {
        if let Some(theirs) = other.files.get(path) {
            for clash in block::clashes(mine, theirs) {
                let about = match clash.line {
                    Some(line) => format!("{path}:{line}"),
                    None => path.clone(),
                };
                let why = match clash.line {
                    Some(_) => format!("{} and {} change the same lines of {about}", one.name, other.name),
                    None => format!("{} and {} do different things to {path}", one.name, other.name),
                };
                let sides = [(json!(clash.mine), one.call), (json!(clash.theirs), other.call)];
                found.push(conflict(about, sides, why));
            }
        }
    }
    for (mine, theirs, turned) in [(one, other, false), (other, one, true)] {
        for (path, inside) in folders(mine, theirs) {
            let sides = [
                (json!(format!("a file {path}")), mine.call),
                (json!(format!("a file {inside}")), theirs.call),
            ];
            let why = format!("{path} is a file for {} and a folder for {}", mine.name, theirs.name);
            let [a, b] = sides;
            found.push(conflict(path, if turned { [b, a] } else { [a, b] }, why));
        }
    }
    found
}

/// Files of one that are folders of the other.
fn folders(one: &Candidate<'_>, other: &Candidate<'_>) -> Vec<(String, String)> {
    use crate::outcome::ChangeKind::Deleted;
    let mut found = Vec::new();
    for (path, _) in one.files.iter().filter(|(_, file)| file.kind != Deleted) {
        let below = format!("{path}/");
        let inside = other.files.range(below.clone()..).next();
        if let Some((inside, _)) =
            inside.filter(|(inside, file)| inside.starts_with(&below) && file.kind != Deleted)
        {
            found.push((path.clone(), inside.clone()));
        }
    }
    found
}

fn conflict(about: String, sides: [(Value, &str); 2], message: String) -> Conflict {
    let sides = sides.map(|(value, by)| Side { value, by: vec![by.to_owned()] });
    Conflict { pointer: String::new(), about, sides: sides.into(), message }
}

fn about(conflicts: &[Conflict]) -> String {
    let mut places: Vec<&str> = conflicts.iter().map(|conflict| conflict.about.as_str()).collect();
    places.dedup();
    let more =
        if places.len() > SHOWN { format!(" and {} more", places.len() - SHOWN) } else { String::new() };
    places.truncate(SHOWN);
    format!("{}{more}", places.join(", "))
}

/// One file of the merged change: who made it so, and its patch.
struct Merged<'a> {
    path: &'a str,
    by: Vec<&'a str>,
    patch: String,
}

fn merged<'a>(candidates: &'a [Candidate<'a>], chosen: &[usize]) -> Vec<Merged<'a>> {
    let mut by_path: BTreeMap<&str, Vec<(&str, &FilePatch)>> = BTreeMap::new();
    for candidate in chosen.iter().filter_map(|at| candidates.get(*at)) {
        for (path, file) in &candidate.files {
            by_path.entry(path).or_default().push((candidate.call, file));
        }
    }
    let merge = |(path, parts): (&'a str, Vec<(&'a str, &FilePatch)>)| {
        let files: Vec<&FilePatch> = parts.iter().map(|(_, file)| *file).collect();
        Merged { path, by: parts.into_iter().map(|(call, _)| call).collect(), patch: block::merge(&files) }
    };
    by_path.into_iter().map(merge).collect()
}

fn json_of(
    candidates: &[Candidate<'_>],
    chosen: &[usize],
    sets: &[Vec<usize>],
    unchanged: &[&str],
    merged: &[Merged<'_>],
) -> Map<String, Value> {
    let call = |at: &usize| candidates.get(*at).map(|candidate| candidate.call);
    let calls = |set: &[usize]| set.iter().filter_map(call).collect::<Vec<_>>();
    let left_out: Vec<usize> = (0..candidates.len()).filter(|at| !chosen.contains(at)).collect();
    let first = candidates.first().map(|candidate| candidate.changes);
    let base = chosen.first().and_then(|at| candidates.get(*at)).map(|candidate| &candidate.changes.base);
    let each = candidates.iter().map(|candidate| {
        let (added, removed) = candidate.changes.lines();
        json!({ "call": candidate.call, "files": candidate.files.len(), "added": added, "removed": removed })
    });
    let files = merged.iter().map(|file| json!({ "path": file.path, "by": file.by }));
    let mut json = Map::new();
    json.insert("repository".to_owned(), json!(first.map(|changes| &changes.repository)));
    json.insert("base".to_owned(), json!(base));
    json.insert("candidates".to_owned(), Value::Array(each.collect()));
    json.insert("unchanged".to_owned(), json!(unchanged));
    json.insert("applied".to_owned(), json!(calls(chosen)));
    json.insert("left_out".to_owned(), json!(calls(&left_out)));
    json.insert("sets".to_owned(), sets.iter().map(|set| json!(calls(set))).collect());
    json.insert("files".to_owned(), Value::Array(files.collect()));
    json.insert("patch".to_owned(), json!(merged.iter().map(|file| file.patch.as_str()).collect::<String>()));
    json
}

fn text_of(
    panel: &Panel<'_>,
    candidates: &[Candidate<'_>],
    chosen: &[usize],
    merged: &[Merged<'_>],
    conflicts: &[Conflict],
) -> String {
    if candidates.is_empty() {
        return format!("{}; nobody changed anything", panel.census.headline());
    }
    let name = |at: &usize| candidates.get(*at).map_or("", |candidate| candidate.name);
    let names: Vec<&str> = chosen.iter().map(name).collect();
    let all = chosen.len() == candidates.len();
    let lead = match (all, candidates.len()) {
        (true, 1) => format!("one change, by {}", names.join(", ")),
        (true, count) => format!("all {count} changes go together: {}", names.join(", ")),
        (false, count) => format!("{} of {count} changes go together: {}", chosen.len(), names.join(", ")),
    };
    let mut parts = vec![format!("{}; {lead}", panel.census.headline())];
    let files: Vec<String> = merged
        .iter()
        .map(|file| {
            let by: Vec<&str> = file.by.iter().map(|call| panel.name(call)).collect();
            format!("  {}  ({})", file.path, by.join(", "))
        })
        .collect();
    parts.push(files.join("\n"));
    if !all {
        let left: Vec<String> =
            (0..candidates.len()).filter(|at| !chosen.contains(at)).map(|at| name(&at).to_owned()).collect();
        parts.push(format!("Left out: {}", left.join(", ")));
    }
    for conflict in conflicts.iter().take(SHOWN) {
        let mut lines = vec![format!("✗ {}", conflict.message)];
        for side in &conflict.sides {
            let by = side.by.first().map_or("", |call| panel.name(call));
            let said = side.value.as_str().map_or_else(|| side.value.to_string(), str::to_owned);
            lines.push(format!("  {by}:"));
            lines.extend(said.lines().take(8).map(|line| format!("    {line}")));
        }
        parts.push(lines.join("\n"));
    }
    if conflicts.len() > SHOWN {
        parts.push(format!("… {}", counted(conflicts.len() - SHOWN, "more conflict")));
    }
    let unchecked = if chosen.len() > 1 { " The merged change as a whole has passed no check." } else { "" };
    parts.push(format!("Nothing is applied yet: `fanout apply` does it.{unchecked}"));
    parts.join("\n\n")
}

#[cfg(test)]
mod tests;
