//! Files that a plan includes: what they define is merged in, nearest wins.
//!
//! Invariant: a name that the plan itself defines is never replaced; of two files at
//! the same distance the one that is listed last wins.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use indexmap::IndexMap;

use super::Place;
use crate::plan::diagnostic::Diagnostic;
use crate::plan::file::agent::{AgentFile, McpFile, ProviderFile};
use crate::plan::file::{IncludeFile, PlanFile, VarShape};
use crate::plan::load::Load;
use crate::plan::read::{At, Entries, Key, OneOrMany, Reader};
use crate::plan::{Include, code, files, unbuilt, yaml};

/// No plan needs more files than this.
const MAX_FILES: usize = 1_000;

/// What the plan and the files that it includes define together.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// Where each name stands, and its value; `None` for one that could not be read.
    pub(super) vars: Named<VarShape>,
    /// The same for providers.
    pub(super) providers: Named<ProviderFile>,
    /// The same for agents, each with the folder that its files are looked for in.
    pub(super) agents: Named<(AgentFile, Rc<Home>)>,
    /// The same for tool servers.
    pub(super) mcp: Named<McpFile>,
    /// The files, each once, with where it is first included.
    pub(super) includes: Vec<Include>,
}

/// Names with where they stand and what they mean.
pub(super) type Named<T> = IndexMap<String, (At<String>, Option<T>)>;

/// The folder of a file that defines something.
#[derive(Debug)]
pub(super) struct Home {
    /// Canonical.
    pub(super) dir: PathBuf,
    /// As the person would name it.
    pub(super) shown: PathBuf,
}

/// One file that is to be read.
struct Step {
    written: At<String>,
    home: Rc<Home>,
    chain: Vec<PathBuf>,
}

/// Merges what the plan defines with what it includes; takes those keys out of `file`.
pub(super) fn merge(load: &mut Load<'_>, file: &mut PlanFile, place: &Place) -> Merged {
    let mut merged = Merged::default();
    let home = Rc::new(Home { dir: place.dir.clone(), shown: place.shown.clone() });
    add(&mut merged.vars, file.vars.take(), |var| var);
    add(&mut merged.providers, file.providers.take(), |provider| provider);
    add(&mut merged.agents, file.agents.take(), |agent| (agent, Rc::clone(&home)));
    add(&mut merged.mcp, file.mcp.take(), |server| server);
    let mut level = steps(file.include.take(), &home, &[]);
    let mut seen: HashSet<PathBuf> = HashSet::new();
    while !level.is_empty() {
        let mut next = Vec::new();
        // Of files at the same distance the last one is taken first, so that it wins.
        for step in level.into_iter().rev() {
            next.extend(include(load, &mut merged, step, place, &mut seen));
        }
        level = next;
    }
    merged
}

/// Reads one file and says which ones it includes itself.
fn include(
    load: &mut Load<'_>,
    merged: &mut Merged,
    step: Step,
    place: &Place,
    seen: &mut HashSet<PathBuf>,
) -> Vec<Step> {
    let Step { written, home, mut chain } = step;
    let Some(path) = files::find(&written, &home.dir, &place.project, code::INCLUDE, &mut load.faults) else {
        return Vec::new();
    };
    if chain.contains(&path) || place.chain.last() == Some(&path) {
        let message = format!("`{}` includes itself", written.value);
        load.fault(Diagnostic::error(code::INCLUDE, written.at, message).help("remove one of the includes"));
        return Vec::new();
    }
    if seen.len() >= MAX_FILES {
        let message = format!("the plan includes more than {MAX_FILES} files");
        load.fault(Diagnostic::error(code::INCLUDE, written.at, message));
        return Vec::new();
    }
    if !seen.insert(path.clone()) {
        return Vec::new();
    }
    let shown = home.shown.join(&written.value);
    let Some(number) = load.files.open(&path, &shown, Some(written.at), &mut load.faults) else {
        return Vec::new();
    };
    merged.includes.push(Include { at: written.at, file: number });
    let text = load.files.text(number);
    let Some(tree) = yaml::parse(&text, number, &mut load.faults) else { return Vec::new() };
    let Some(mut file) = Reader::new(&mut load.faults).read::<IncludeFile>(&tree) else { return Vec::new() };
    if let Some(mcp) = &file.mcp {
        load.fault(unbuilt::MCP.refuse(mcp.key));
    }
    let parent = |path: &Path| path.parent().unwrap_or(Path::new("")).to_owned();
    let home = Rc::new(Home { dir: parent(&path), shown: parent(&shown) });
    add(&mut merged.vars, file.vars.take(), |var| var);
    add(&mut merged.providers, file.providers.take(), |provider| provider);
    add(&mut merged.agents, file.agents.take(), |agent| (agent, Rc::clone(&home)));
    add(&mut merged.mcp, file.mcp.take(), |server| server);
    chain.push(path);
    steps(file.include.take(), &home, &chain)
}

fn steps(include: Key<OneOrMany<At<String>>>, home: &Rc<Home>, chain: &[PathBuf]) -> Vec<Step> {
    let written = include.map_or_else(Vec::new, |include| include.value.0);
    let step = |written| Step { written, home: Rc::clone(home), chain: chain.to_vec() };
    written.into_iter().map(step).collect()
}

fn add<T, U>(to: &mut Named<U>, from: Key<Entries<T>>, make: impl Fn(T) -> U) {
    for (name, value) in from.map_or_else(Vec::new, |entries| entries.value.0) {
        to.entry(name.value.clone()).or_insert_with(|| (name, value.map(&make)));
    }
}
