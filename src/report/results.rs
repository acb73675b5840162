//! The results at the end: every call's block, notifications, the parent's result, the census, the verdict.
//!
//! Invariants: a pure function of the view and the style, with all times taken from
//! the records, so an old run prints as it looked; bounded by what people read, with
//! everything left out counted and the command named that shows it. Advice comes last.

mod block;
mod census;
mod drawn;
mod page;
mod parent;
mod providers;

use super::advice::{self, Advice};
use super::fold::RunView;
use super::style::{Style, Tone};
use block::{Blocks, blocks_of};
use page::Page;

/// Lines shown of one output where there are few.
const LINES: usize = 40;
/// Lines shown of all outputs together, about.
const ALL_LINES: usize = 300;
/// Lines shown of an output however many there are.
const LEAST_LINES: usize = 5;
/// Blocks before calls are only counted.
const BLOCKS: usize = 100;

/// The results of a run as text, ready for the surface that `style` describes, with advice.
pub fn render(view: &RunView, style: &Style) -> String {
    page(view, style, &advice::of(view))
}

/// The same without advice.
pub fn render_quietly(view: &RunView, style: &Style) -> String {
    page(view, style, &[])
}

fn page(view: &RunView, style: &Style, advice: &[Advice]) -> String {
    let mut page = Page::new(style);
    let run = view.head.as_ref().map_or("RUN", |head| head.run.as_str());
    if let Some(head) = &view.head {
        page.facts(0, &[(Some(Tone::Strong), head.name.clone()), (Some(Tone::Dim), head.run.to_string())]);
    }
    let total: usize = view.calls.iter().map(blocks_of).sum();
    let lines = (ALL_LINES / total.clamp(1, BLOCKS)).clamp(LEAST_LINES, LINES);
    let blocks = Blocks { run, lines, open: view.open_word(), talk: false, calls: &view.calls };
    let (mut shown, mut left) = (0, 0);
    for call in &view.calls {
        let size = blocks_of(call);
        if size == 0 {
            continue;
        }
        // What is left out here is in the census if anything is wrong with it.
        if shown >= BLOCKS {
            left += 1;
            continue;
        }
        shown += size;
        blocks.call(&mut page, call);
    }
    if left > 0 {
        page.blank();
        page.more(0, &format!("{left} more calls"), &format!("fanout show {run} CALL"));
    }
    parent::write(&mut page, view, run);
    census::write(&mut page, view);
    if !advice.is_empty() {
        page.blank();
    }
    for advice in advice {
        page.entry(0, Tone::Info, "Advice:", &advice.message);
    }
    page.finish()
}

/// One call, or one instance of it (`review[2]`), with its whole output; `None` if the run has no such.
pub fn render_one(view: &RunView, name: &str, style: &Style) -> Option<String> {
    let mut page = Page::new(style);
    let run = view.head.as_ref().map_or("RUN", |head| head.run.as_str());
    let blocks = Blocks { run, lines: usize::MAX, open: view.open_word(), talk: true, calls: &view.calls };
    if let Some(call) = view.calls.iter().find(|call| call.id().as_str() == name) {
        blocks.call(&mut page, call);
    } else {
        let (call, id, instance) = view
            .calls
            .iter()
            .flat_map(|call| call.each().map(move |(id, instance)| (call, id, instance)))
            .find(|(_, id, _)| id.to_string() == name)?;
        blocks.one(&mut page, call, &id, instance);
    }
    Some(page.finish())
}

/// What a parent step computed, for the surface that `style` describes; `text` is the same for a
/// surface that has no layout.
pub fn render_computed(result: &serde_json::Value, text: &str, style: &Style) -> String {
    let mut rows = drawn::rows(result, text, style).join("\n");
    rows.push('\n');
    rows
}

/// Two texts beside each other with what differs marked, in rows; a unified diff where it is too narrow.
pub fn render_beside(names: [&str; 2], texts: [&str; 2], style: &Style) -> Vec<String> {
    drawn::beside(names, texts, style)
}

#[cfg(test)]
mod tests;
