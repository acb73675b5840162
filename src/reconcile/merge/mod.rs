//! `merge`: the union of what the answers hold, each thing once, with who found it.
//!
//! Answers are lists of items, or hold such lists; items that are the same become one,
//! in the best of its wordings, with its conflicts. Answers that are objects and no
//! lists are merged field by field (`deep`). Invariants: every item of every answer is
//! in exactly one merged item, kept or left out, with whose it is; no value is there
//! that nobody gave; the order in which calls finished makes no difference.

mod deep;
mod dispute;
mod item;
mod key;
mod likeness;
mod linkage;
mod path;
mod position;
mod same;
mod terms;
mod text;
mod union;

use serde_json::{Map, Value, json};

use super::normalize::Normalize;
use super::settings::{Settings, SettingsError, kind};
use super::{Conflict, Findings, Panel, ReconcileError, Strategy};
use crate::plan::Quantity;
use dispute::OnConflict;
use item::{Item, Material, material};
use key::Key;
use same::{Sameness, Similar};
use union::Union;

/// The strategy with its settings.
#[derive(Debug)]
pub(super) struct Merge {
    /// Where the items are in each answer; `None` for the answer itself.
    items: Option<String>,
    sameness: Sameness,
    /// Fields on which the members of an item should agree.
    conflicts: Vec<String>,
    on_conflict: OnConflict,
    /// How many must have found an item; `None` for any.
    min_agree: Option<Quantity>,
    /// True when the plan says what makes items the same.
    says_same: bool,
}

/// What was found, before it becomes JSON and text.
#[derive(Debug)]
struct Merged<'a> {
    panel: &'a Panel<'a>,
    /// Items read, of all answers.
    read: usize,
    /// The surest first.
    kept: Vec<Union>,
    /// Those that too few found, the surest first.
    left_out: Vec<Union>,
    /// How many had to find an item.
    needed: u32,
}

const KEYS: [&str; 7] = ["items", "key", "similar", "normalize", "conflicts", "on_conflict", "keep"];

impl Merge {
    /// Reads the settings.
    pub(super) fn read(settings: &Map<String, Value>) -> Result<Merge, SettingsError> {
        let settings = Settings::new(settings, "", &KEYS)?;
        let key = Key::read(&settings)?;
        let similar = similar(&settings)?;
        let says_same = similar.is_some() || !key.fields.is_empty();
        let normalize = match settings.get("normalize") {
            None => Normalize::folding(),
            Some(_) => Normalize::read(&settings)?,
        };
        if normalize.expression.is_some() {
            let message = "an expression stands for a whole answer, and items are compared one by one";
            return Err(settings.error("normalize", message, "write words such as `case` and `space`"));
        }
        let by_text = Similar { on: Vec::new(), at: likeness::DEFAULT_SCORE };
        let similar = if key.fields.is_empty() { similar.or(Some(by_text)) } else { similar };
        Ok(Merge {
            items: settings.pointer("items")?,
            sameness: Sameness { key, similar, normalize },
            conflicts: settings.pointers("conflicts")?,
            on_conflict: OnConflict::read(&settings)?,
            min_agree: keep(&settings)?,
            says_same,
        })
    }

    fn merge<'a>(&self, panel: &'a Panel<'a>, items: &[Item<'_>]) -> Merged<'a> {
        let groups = self.sameness.groups(items);
        let mut unions: Vec<Union> =
            groups.iter().map(|group| Union::new(group, items, self, panel)).collect();
        unions.sort_by(|a, b| {
            let surest = b.confidence.total_cmp(&a.confidence);
            b.by.len().cmp(&a.by.len()).then(surest).then(a.first().cmp(&b.first()))
        });
        let needed = self.min_agree.map_or(1, |min| min.of(panel.census.answered)).max(1);
        let (kept, left_out) = unions.into_iter().partition(|union| union.by.len() >= needed as usize);
        Merged { panel, read: items.len(), kept, left_out, needed }
    }
}

impl Strategy for Merge {
    fn reconcile(&self, panel: &Panel<'_>) -> Result<Findings, ReconcileError> {
        self.on_conflict.check(panel)?;
        let (json, text, conflicts) = match material(panel, self.items.as_deref(), self.says_same)? {
            Material::Items(items) => {
                let merged = self.merge(panel, &items);
                let conflicts = merged.kept.iter().flat_map(|union| union.conflicts(panel)).collect();
                (merged.json(), text::write(&merged), conflicts)
            }
            Material::Objects(objects) => {
                let whole = deep::merge(&objects, &self.sameness.normalize, &self.on_conflict, panel);
                (whole.json(panel), whole.text(panel), whole.conflicts(panel))
            }
        };
        let failure = self.failure(&conflicts);
        Ok(Findings { json, text, conflicts, failure })
    }
}

impl Merge {
    fn failure(&self, conflicts: &[Conflict]) -> Option<String> {
        match (&self.on_conflict, conflicts) {
            (OnConflict::Fail, [one]) => Some(one.message.clone()),
            (OnConflict::Fail, [first, more @ ..]) => {
                Some(format!("{}; and {} more conflicts", first.message, more.len()))
            }
            (OnConflict::Report | OnConflict::Prefer(_), _) | (OnConflict::Fail, []) => None,
        }
    }
}

impl Merged<'_> {
    fn json(&self) -> Map<String, Value> {
        let list = |unions: &[Union]| unions.iter().map(|union| union.json(self.panel)).collect::<Value>();
        let from: Vec<&str> = self.panel.voices.iter().map(|voice| voice.call.as_str()).collect();
        let mut json = Map::new();
        json.insert("from".to_owned(), json!(from));
        json.insert("read".to_owned(), json!(self.read));
        json.insert("needed".to_owned(), json!(self.needed));
        json.insert("items".to_owned(), list(&self.kept));
        json.insert("left_out".to_owned(), list(&self.left_out));
        json
    }
}

/// `similar: {on: /title, at: 0.85}`; both may be left out.
fn similar(settings: &Settings<'_>) -> Result<Option<Similar>, SettingsError> {
    let Some(map) = settings.map("similar", "write `{on: /title, at: 0.85}`")? else { return Ok(None) };
    let inner = Settings::new(map, "similar.", &["on", "at"])?;
    let at = match inner.get("at") {
        None => likeness::DEFAULT_SCORE,
        Some(at) => match at.as_f64().filter(|at| (0.0..=1.0).contains(at)) {
            Some(at) => at,
            None => {
                let message = format!("{} is no number from 0 to 1", kind(at));
                return Err(inner.error("at", message, "leave it out, or write a number such as `0.85`"));
            }
        },
    };
    Ok(Some(Similar { on: inner.pointers("on")?, at }))
}

/// `keep: {min_agree: 2}` or a share of those who answered.
fn keep(settings: &Settings<'_>) -> Result<Option<Quantity>, SettingsError> {
    let Some(map) = settings.map("keep", "write `{min_agree: 2}`")? else { return Ok(None) };
    Settings::new(map, "keep.", &["min_agree"])?.quantity("min_agree")
}

#[cfg(test)]
mod tests;
