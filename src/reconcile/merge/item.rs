//! The items of all answers: who said which, and the text it is compared by.

use serde_json::{Map, Value};

use super::super::panel::Voice;
use super::super::{Panel, ReconcileError};
use super::key::Key;

/// One item of one answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    /// Whose: a position on the panel.
    pub(super) voice: usize,
    /// Which of theirs.
    pub(super) at: usize,
    pub(super) value: &'a Value,
}

/// What the answers are made of.
#[derive(Debug)]
pub(super) enum Material<'a> {
    /// Lists of items, in plan order.
    Items(Vec<Item<'a>>),
    /// One object an answer, to be merged field by field.
    Objects(Vec<&'a Map<String, Value>>),
}

/// Takes the items out of the answers: what stands at `pointer`, else the answers themselves.
///
/// # Errors
/// [`ReconcileError::Answer`] for an answer that has no list there, or is none.
pub(super) fn material<'a>(
    panel: &'a Panel<'a>,
    pointer: Option<&str>,
    alike: bool,
) -> Result<Material<'a>, ReconcileError> {
    let objects = || {
        let objects = panel.voices.iter().map(|voice| voice.data().and_then(Value::as_object));
        objects.collect::<Option<Vec<_>>>()
    };
    if pointer.is_none()
        && let Some(objects) = objects()
    {
        return match (alike, panel.voices.first()) {
            (true, Some(voice)) => {
                let lists = lists(voice);
                let example = lists.first().map_or("/findings", String::as_str);
                Err(refuse(voice, format!("it is an object; say where its items are: `items: {example}`")))
            }
            (true | false, _) => Ok(Material::Objects(objects)),
        };
    }
    let mut items = Vec::new();
    for (number, voice) in panel.voices.iter().enumerate() {
        let list = match pointer {
            None | Some("") => voice.data(),
            Some(pointer) => voice.at(pointer),
        };
        match list {
            Some(Value::Array(list)) => {
                items.extend(list.iter().enumerate().map(|(at, value)| Item { voice: number, at, value }));
            }
            // Nothing found, said by leaving the list out of an object.
            None if pointer.is_some_and(|p| !p.is_empty()) && leaves_out(voice, pointer) => {}
            other => return Err(refuse(voice, complaint(voice, pointer, other))),
        }
    }
    Ok(Material::Items(items))
}

/// True when an answer is an object that holds `null` where the list would be.
fn leaves_out(voice: &Voice<'_>, pointer: Option<&str>) -> bool {
    let value = voice.data().and_then(|data| data.pointer(pointer?));
    value.is_some_and(Value::is_null)
}

fn complaint(voice: &Voice<'_>, pointer: Option<&str>, found: Option<&Value>) -> String {
    if voice.data().is_none() {
        return "it is no JSON; ask for JSON and add `output: {format: json}` (or `lines`) to the call"
            .to_owned();
    }
    match (pointer, found) {
        (Some(pointer), None) => {
            let lists = lists(voice);
            match lists.first() {
                Some(list) => format!("there is nothing at `{pointer}`; there is a list at `{list}`"),
                None => format!("there is nothing at `{pointer}`"),
            }
        }
        (Some(pointer), Some(_)) => format!("what stands at `{pointer}` is no list"),
        (None, _) => "it is no list, while others are; say with `items` where the lists are".to_owned(),
    }
}

/// Pointers of the lists in an object.
fn lists(voice: &Voice<'_>) -> Vec<String> {
    let fields = voice.data().and_then(Value::as_object).into_iter().flatten();
    fields
        .filter(|(_, value)| value.is_array())
        .map(|(name, _)| format!("/{}", name.replace('~', "~0").replace('/', "~1")))
        .collect()
}

fn refuse(voice: &Voice<'_>, message: String) -> ReconcileError {
    ReconcileError::Answer { call: voice.call.clone(), message }
}

/// What an item is compared by: the texts at `on`, or the item itself where it is a text.
pub(super) fn text(item: &Value, on: &[String]) -> Option<String> {
    let whole = [String::new()];
    let on = if on.is_empty() { &whole } else { on };
    let texts = on.iter().filter_map(|pointer| item.pointer(pointer)?.as_str());
    let text = texts.collect::<Vec<&str>>().join("\n");
    (!text.trim().is_empty()).then_some(text)
}

/// Everything that an item says in words, but for the fields of the key.
pub(super) fn all_text(item: &Value, key: &Key) -> String {
    let mut text = String::new();
    gather(item, &mut String::new(), key, &mut text);
    text
}

fn gather(value: &Value, pointer: &mut String, key: &Key, text: &mut String) {
    if key.fields.iter().any(|field| field.pointer == *pointer) {
        return;
    }
    match value {
        Value::String(own) => {
            text.push_str(own);
            text.push('\n');
        }
        Value::Array(items) => {
            items.iter().for_each(|item| gather(item, &mut format!("{pointer}/"), key, text))
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let length = pointer.len();
                pointer.push('/');
                pointer.push_str(name);
                gather(field, pointer, key, text);
                pointer.truncate(length);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
