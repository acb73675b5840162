//! Two changes of one file: where they meet, and the one that has both.
//!
//! Invariant: pure, and exact: places are lines of the file that all changes started from.

use std::collections::BTreeMap;

use crate::outcome::ChangeKind;
use crate::workspace::patch::{FilePatch, Line, Side};

/// Lines of context around a change, as git writes them.
const CONTEXT: u32 = 3;

/// Lines that go and lines that come in their place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    /// How many lines of the file are before it.
    start: u32,
    old: Vec<Line>,
    new: Vec<Line>,
}

impl Block {
    fn end(&self) -> u32 {
        self.start.saturating_add(u32::try_from(self.old.len()).unwrap_or(u32::MAX))
    }

    /// True where git would not know which comes first.
    fn meets(&self, other: &Block) -> bool {
        self.start <= other.end() && other.start <= self.end() && self != other
    }

    fn text(&self) -> String {
        let old = self.old.iter().map(|line| format!("-{}", line.text));
        let new = self.new.iter().map(|line| format!("+{}", line.text));
        old.chain(new).collect::<Vec<_>>().join("\n")
    }
}

/// One place where two changes do not go together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Clash {
    /// The line; `None` for the file as a whole.
    pub(super) line: Option<u32>,
    pub(super) mine: String,
    pub(super) theirs: String,
}

/// Where two changes of one file do not go together.
pub(super) fn clashes(mine: &FilePatch, theirs: &FilePatch) -> Vec<Clash> {
    if same(mine, theirs) {
        return Vec::new();
    }
    let lines = |file: &FilePatch| file.kind == ChangeKind::Modified && !file.binary;
    let modes = mine.mode.is_some() && theirs.mode.is_some() && mine.mode != theirs.mode;
    if !lines(mine) || !lines(theirs) || modes {
        return vec![Clash { line: None, mine: whole(mine), theirs: whole(theirs) }];
    }
    let mut found: Vec<Clash> = Vec::new();
    let others = blocks(theirs);
    for one in blocks(mine) {
        for other in others.iter().filter(|other| one.meets(other)) {
            let line = Some(one.start.min(other.start) + 1);
            found.push(Clash { line, mine: one.text(), theirs: other.text() });
        }
    }
    found
}

/// True where both make the same of the file.
fn same(one: &FilePatch, other: &FilePatch) -> bool {
    one.raw == other.raw
}

fn whole(file: &FilePatch) -> String {
    let change = file.change();
    match (file.kind, file.binary) {
        (ChangeKind::Added, _) => format!("adds the file, {} lines", change.added),
        (ChangeKind::Deleted, _) => "removes the file".to_owned(),
        (ChangeKind::Modified, true) => "changes the file, which is binary".to_owned(),
        (ChangeKind::Modified, false) => format!("changes the file, +{} -{}", change.added, change.removed),
    }
}

fn blocks(file: &FilePatch) -> Vec<Block> {
    let mut blocks = Vec::new();
    for hunk in &file.hunks {
        let has_old = hunk.lines.iter().any(|line| line.side != Side::New);
        // Without old lines, the number given is that of the line before.
        let mut at = if has_old { hunk.start.saturating_sub(1) } else { hunk.start };
        let mut open: Option<Block> = None;
        for line in &hunk.lines {
            match line.side {
                Side::Both => {
                    blocks.extend(open.take());
                    at += 1;
                }
                Side::Old => {
                    open.get_or_insert_with(|| Block { start: at, old: Vec::new(), new: Vec::new() })
                        .old
                        .push(line.clone());
                    at += 1;
                }
                Side::New => {
                    open.get_or_insert_with(|| Block { start: at, old: Vec::new(), new: Vec::new() })
                        .new
                        .push(line.clone());
                }
            }
        }
        blocks.extend(open);
    }
    blocks
}

/// The patch that has all of these changes of one file, none of which clash.
pub(super) fn merge(files: &[&FilePatch]) -> String {
    let Some(first) = files.first() else { return String::new() };
    if files.iter().all(|file| same(first, file)) {
        return first.raw.clone();
    }
    let mut all: Vec<Block> = files.iter().flat_map(|file| blocks(file)).collect();
    all.sort_by_key(|block| (block.start, block.end()));
    all.dedup();
    let mut known: BTreeMap<u32, &Line> = BTreeMap::new();
    for hunk in files.iter().flat_map(|file| &file.hunks) {
        let old = hunk.lines.iter().filter(|line| line.side != Side::New);
        known.extend((hunk.start.saturating_sub(1)..).zip(old));
    }
    let mut text = head(files);
    let mut shift: i64 = 0;
    let mut rest = all.as_slice();
    while let Some(begin) = rest.first() {
        // Blocks whose context would overlap are one hunk.
        let mut count = 1;
        while let (Some(last), Some(next)) = (rest.get(count - 1), rest.get(count)) {
            if next.start > last.end() + 2 * CONTEXT {
                break;
            }
            count += 1;
        }
        let (group, left) = rest.split_at(count);
        rest = left;
        hunk(&mut text, begin.start, group, &known, &mut shift);
    }
    text
}

fn hunk(text: &mut String, begin: u32, group: &[Block], known: &BTreeMap<u32, &Line>, shift: &mut i64) {
    let mut body = String::new();
    let (mut old, mut new) = (0_i64, 0_i64);
    let mut say = |sign: char, line: &Line| {
        old += i64::from(sign != '+');
        new += i64::from(sign != '-');
        body.push(sign);
        body.push_str(&line.text);
        body.push('\n');
        if !line.ended {
            body.push_str("\\ No newline at end of file\n");
        }
    };
    let mut at = begin;
    while at > 0 && begin - at < CONTEXT && known.contains_key(&(at - 1)) {
        at -= 1;
    }
    let start = at;
    for block in group {
        while at < block.start {
            if let Some(line) = known.get(&at) {
                say(' ', line);
            }
            at += 1;
        }
        block.old.iter().for_each(|line| say('-', line));
        block.new.iter().for_each(|line| say('+', line));
        at = block.end();
    }
    let end = at;
    while at - end < CONTEXT
        && let Some(line) = known.get(&at)
    {
        say(' ', line);
        at += 1;
    }
    let from = i64::from(start);
    let place = |lines: i64, before: i64| if lines == 0 { before } else { before + 1 };
    text.push_str(&format!("@@ -{},{old} +{},{new} @@\n{body}", place(old, from), place(new, from + *shift)));
    *shift += new - old;
}

/// What stands before the hunks: names and modes; the ids of the contents would not be true any more.
fn head(files: &[&FilePatch]) -> String {
    let lines = |file: &FilePatch, keep: &dyn Fn(&str) -> bool| {
        file.head.split_inclusive('\n').filter(|line| keep(line)).collect::<String>()
    };
    let first = files.iter().find(|file| !file.hunks.is_empty());
    let modes = files.iter().find(|file| file.mode.is_some());
    let of = |keep: &dyn Fn(&str) -> bool| first.map_or_else(String::new, |file| lines(file, keep));
    let mut head = of(&|line| line.starts_with("diff --git "));
    if let Some(file) = modes {
        head.push_str(&lines(file, &|line| line.starts_with("old mode ") || line.starts_with("new mode ")));
    }
    head.push_str(&of(&|line| line.starts_with("--- ") || line.starts_with("+++ ")));
    head
}
