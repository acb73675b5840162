//! What people look at: folds over the events of a run, live or old.
//!
//! Invariants: nothing here asks the run anything, and nothing here can hold it up:
//! records come in through a [`live::Listener`] that never blocks, and everything
//! else is a pure function of a [`fold::RunView`] and a [`style::Style`], so an old
//! run prints exactly as it looked. Text from models and tools passes [`sanitise`]
//! on its way to a terminal.
//!
//! Live: `live` carries records to a thread that owns one of `progress` (a terminal),
//! `plain` (lines) or `json_lines`. At the end: `results`, `result_json`, `result_yaml`, `markdown`,
//! `html`, `junit`, `sarif`, `github`, `gitlab`;
//! `computed` says for all of them what there is to show of what the parent computed. Elsewhere: `otel`, with the feature of that name. What may be shown at all passes
//! `redact` before; `prose` reads the Markdown of models.

pub mod advice;
mod computed;
mod course;
pub mod fold;
pub mod folding;
pub mod github;
pub mod gitlab;
pub mod html;
pub mod json_lines;
pub mod junit;
pub mod live;
pub mod markdown;
#[cfg(feature = "otel")]
pub mod otel;
pub mod plain;
pub mod progress;
pub mod prose;
pub mod redact;
pub mod result_json;
pub mod result_yaml;
pub mod results;
pub mod sanitise;
pub mod sarif;
pub mod style;

#[cfg(test)]
mod sample;
