//! `fanout cache`: the results that outlive their run, to look at and to clear.
//!
//! Invariant: looking changes nothing; clearing takes what was named and no more.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::args::{CacheAction, CacheArgs};
use super::list::age;
use super::remove::length;
use super::run::root;
use super::terminal::Terminal;
use super::{Complaint, exit};
use crate::journal::cache::{self, Cache, Kept};
use crate::report::sanitise::{self, short};
use crate::report::style::{Style, Tone};
use crate::unit::Bytes;

/// How much of a key is shown.
const SHORT: usize = 12;

/// `fanout cache`.
///
/// # Errors
/// [`Complaint`] when the folder cannot be read or cleared, or a name means no entry.
pub fn cache(options: &CacheArgs, terminal: &Terminal) -> Result<u8, Complaint> {
    let cache = Cache::at(&root());
    let storage = |error: std::io::Error| Complaint {
        code: exit::STORAGE,
        message: format!("{}: {error}", cache.dir().display()),
    };
    let all = cache.list().map_err(storage)?;
    let Some(CacheAction::Clear { names, older_than }) = &options.action else {
        let text = if options.json {
            let array: Value = all.iter().map(as_json).collect();
            format!("{}\n", sanitise::json(&format!("{array:#}")))
        } else {
            if all.is_empty() {
                terminal.err(&format!("no results in {}\n", cache.dir().display()));
            }
            listing(&all, Timestamp::now(), &terminal.out_style())
        };
        terminal.out(&text).map_err(|error| Complaint::output(&error))?;
        return Ok(0);
    };
    let older_than = older_than.as_deref().map(length).transpose()?;
    if let Some(name) = names.iter().find(|name| !all.iter().any(|kept| is_meant(kept, name))) {
        return Err(Complaint::usage(format!(
            "the cache has no entry `{name}`; `fanout cache` lists calls and keys"
        )));
    }
    let now = Timestamp::now();
    let gone: Vec<&Kept> = all
        .iter()
        .filter(|kept| names.is_empty() || names.iter().any(|name| is_meant(kept, name)))
        .filter(|kept| older_than.is_none_or(|least| is_older(kept, least, now)))
        .collect();
    for kept in &gone {
        cache::remove(kept).map_err(storage)?;
    }
    terminal.err(&format!("removed {}\n", counted(&gone)));
    Ok(0)
}

/// By the call's name, or by the first six digits or more of the key.
fn is_meant(kept: &Kept, name: &str) -> bool {
    let file = kept.path.file_name().unwrap_or_default().to_string_lossy();
    let by_key = name.len() >= 6 && file.starts_with(name);
    by_key || kept.entry.as_ref().is_some_and(|entry| entry.instance.call.as_str() == name)
}

/// What cannot be read is as old as can be: nobody can use it.
fn is_older(kept: &Kept, least: Duration, now: Timestamp) -> bool {
    kept.entry
        .as_ref()
        .is_none_or(|entry| Duration::try_from(now.duration_since(entry.at)).is_ok_and(|age| age > least))
}

fn counted(kept: &[&Kept]) -> String {
    let bytes = Bytes(kept.iter().map(|kept| kept.bytes).sum());
    let results = if kept.len() == 1 { "result" } else { "results" };
    format!("{} {results}, {bytes}", kept.len())
}

fn as_json(kept: &Kept) -> Value {
    let path = kept.path.display().to_string();
    match &kept.entry {
        None => json!({"path": path, "bytes": kept.bytes, "damaged": true}),
        Some(entry) => json!({
            "path": path,
            "bytes": kept.bytes,
            "key": entry.key,
            "call": entry.instance.to_string(),
            "description": entry.description,
            "run": entry.run,
            "kept": entry.at,
            "agent": entry.outcome.agent,
            "usage": entry.outcome.usage,
        }),
    }
}

fn listing(all: &[Kept], now: Timestamp, style: &Style) -> String {
    let mut text = String::new();
    for kept in all {
        let file = kept.path.file_name().unwrap_or_default().to_string_lossy();
        let key: String = file.chars().take(SHORT).collect();
        let line = match &kept.entry {
            None => format!("{key}  damaged; it is never used, and `fanout cache clear {key}` removes it"),
            Some(entry) => {
                let name = entry.instance.to_string();
                let more = if entry.description == entry.instance.call.as_str() {
                    String::new()
                } else {
                    format!("  {}", entry.description)
                };
                format!(
                    "{key}  {:>4}  {:>9}  {name}{more}  from {}",
                    age(entry.at, now),
                    Bytes(kept.bytes).to_string(),
                    entry.run
                )
            }
        };
        text.push_str(&short(&line, style.width, style));
        text.push('\n');
    }
    if !all.is_empty() {
        let all: Vec<&Kept> = all.iter().collect();
        text.push_str(&format!("{}\n", style.paint(Tone::Dim, counted(&all))));
    }
    text
}
