//! The way in: a path or a text to a checked plan, with every fault on the way.
//!
//! Invariant: the environment is a parameter; nothing here reads the process's own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Plan;
use super::check::{self, Checked, Place};
use super::code;
use super::diagnostic::{Diagnostic, Severity, Sources, Span};
use super::files::{self, Files};
use super::read::{At, Reader};
use super::yaml;

/// Plans may run plans that run plans, so deep.
pub const MAX_PLAN_DEPTH: usize = 8;

/// The environment variables that a plan may be read with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Name and value.
    pub vars: HashMap<String, String>,
}

impl Environment {
    /// The value of a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// What is wrong with one key of a parent step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsFault {
    /// The key, with those it stands under: `weights.from`.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// Says whether a strategy can use its settings.
pub type SettingsCheck = fn(&str, &serde_json::Map<String, serde_json::Value>) -> Result<(), SettingsFault>;

/// Says whether a workspace can be made on this base from the repository that a folder is in; the
/// fault's `key` is not read.
pub type WorkspaceCheck = fn(&Path, &super::workspace::Base) -> Result<(), SettingsFault>;

/// What comes from outside the plan.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// `--var k=v`, in order; the last of a name counts.
    pub vars: Vec<(String, String)>,
    /// `--vars-file`, in order; the last one that has a name counts.
    pub vars_files: Vec<PathBuf>,
    /// The environment.
    pub environment: Environment,
    /// True where a required var may be missing, because the plan is only looked at. Its value is then null.
    pub vars_may_be_missing: bool,
    /// Asked about the settings of every parent step, so that what they mean is checked with the
    /// rest and shown at its key. Whoever reconciles knows; this room does not.
    pub settings_check: Option<SettingsCheck>,
    /// Asked about every base on which calls have workspaces of their own.
    pub workspace_check: Option<WorkspaceCheck>,
}

/// What came of reading a plan.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The plan; there whenever no diagnostic is an error.
    pub plan: Option<Plan>,
    /// Every fault and piece of advice, by place.
    pub diagnostics: Vec<Diagnostic>,
    /// What the places refer to.
    pub sources: Sources,
}

impl Loaded {
    /// True where something is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// Reads and checks the plan at `path`. Starts nothing and spends nothing.
pub fn load(path: &Path, given: &Given) -> Loaded {
    let mut load = Load::new(given);
    let number = load.files.open(path, path, None, &mut load.faults);
    load.finish(number, path)
}

/// Reads and checks a plan that is already in memory; `path` is its name, and its folder the plan's.
pub fn load_text(text: &str, path: &Path, given: &Given) -> Loaded {
    let mut load = Load::new(given);
    let number = load.files.add(path.to_owned(), text);
    load.finish(number, path)
}

/// One reading: what was opened and found so far.
pub(super) struct Load<'g> {
    /// What comes from outside.
    pub(super) given: &'g Given,
    /// What was opened.
    pub(super) files: Files,
    /// What was found.
    pub(super) faults: Vec<Diagnostic>,
    /// Plans below, by path; `None` for one with faults.
    plans: HashMap<PathBuf, Option<Arc<Checked>>>,
    /// Output schemas, by place; `None` for one with faults.
    pub(super) schemas: HashMap<Span, Option<Arc<serde_json::Value>>>,
    /// Which workspaces were asked about.
    pub(super) surveyed: std::collections::HashSet<(PathBuf, super::workspace::Base)>,
    /// True once it was said that no model is configured.
    pub(super) no_model: bool,
}

impl<'g> Load<'g> {
    fn new(given: &'g Given) -> Load<'g> {
        Load {
            given,
            files: Files::default(),
            faults: Vec::new(),
            plans: HashMap::new(),
            schemas: HashMap::new(),
            surveyed: std::collections::HashSet::new(),
            no_model: false,
        }
    }

    /// Reports a fault.
    pub(super) fn fault(&mut self, fault: Diagnostic) {
        self.faults.push(fault);
    }

    fn finish(mut self, number: Option<u16>, path: &Path) -> Loaded {
        let plan = number.and_then(|number| {
            let shown = path.parent().unwrap_or(Path::new(""));
            let parent = if shown.as_os_str().is_empty() { Path::new(".") } else { shown };
            let dir = parent.canonicalize().or_else(|_| std::path::absolute(parent));
            let dir = dir.unwrap_or_else(|_| parent.to_owned());
            let file = path.file_name().map_or_else(|| path.to_owned(), |name| dir.join(name));
            let place = Place {
                file: path.to_owned(),
                number,
                project: files::project_root(&dir),
                dir,
                shown: shown.to_owned(),
                chain: vec![file.canonicalize().unwrap_or(file)],
            };
            self.plan(&place)
        });
        for fault in &mut self.faults {
            let related = fault.related.iter_mut().map(|(at, _)| at);
            for at in std::iter::once(&mut fault.at).chain(related) {
                *at = self.files.whole_characters(*at);
            }
        }
        let diagnostics = in_order(self.faults);
        let faulty = diagnostics.iter().any(|fault| fault.severity == Severity::Error);
        let plan = plan.filter(|_| !faulty).and_then(|checked| Arc::into_inner(checked.plan));
        Loaded { plan, diagnostics, sources: self.files.sources }
    }

    fn plan(&mut self, place: &Place) -> Option<Checked> {
        let text = self.files.text(place.number);
        let tree = yaml::parse(&text, place.number, &mut self.faults)?;
        let file = Reader::new(&mut self.faults).read(&tree)?;
        drop(tree);
        check::plan(self, file, place)
    }

    /// Reads a plan that another one runs.
    pub(super) fn sub_plan(&mut self, written: &At<String>, from: &Place) -> Option<Arc<Checked>> {
        let path = files::find(written, &from.dir, &from.project, code::SUB_PLAN, &mut self.faults)?;
        if from.chain.contains(&path) {
            let mut names: Vec<String> = from.chain.iter().map(|path| file_name(path)).collect();
            names.push(file_name(&path));
            let message = format!("the plan runs itself: {}", names.join(" → "));
            self.fault(Diagnostic::error(code::SUB_PLAN, written.at, message));
            return None;
        }
        if let Some(known) = self.plans.get(&path) {
            return known.clone();
        }
        if from.chain.len() >= MAX_PLAN_DEPTH {
            let message = format!("plans run plans more than {MAX_PLAN_DEPTH} levels deep here");
            self.fault(Diagnostic::error(code::SUB_PLAN, written.at, message));
            return None;
        }
        let shown = from.shown.join(&written.value);
        let number = self.files.open(&path, &shown, Some(written.at), &mut self.faults)?;
        let mut chain = from.chain.clone();
        chain.push(path.clone());
        let place = Place {
            number,
            dir: path.parent().unwrap_or(Path::new("/")).to_owned(),
            project: from.project.clone(),
            shown: shown.parent().unwrap_or(Path::new("")).to_owned(),
            file: shown,
            chain,
        };
        let before = self.faults.len();
        let checked = self.plan(&place).filter(|_| !self.any_error_since(before)).map(Arc::new);
        self.plans.insert(path, checked.clone());
        checked
    }

    /// True when an error was found after the first `before` faults.
    pub(super) fn any_error_since(&self, before: usize) -> bool {
        self.faults.iter().skip(before).any(|fault| fault.severity == Severity::Error)
    }

    /// Opens a file that must stay beneath `dir`; `shown` is that folder as the person would name it.
    pub(super) fn beneath(&mut self, written: &At<String>, dir: &Path, shown: &Path) -> Option<u16> {
        let path = files::find(written, dir, dir, code::OUTSIDE, &mut self.faults)?;
        self.files.open(&path, &shown.join(&written.value), Some(written.at), &mut self.faults)
    }

    /// The place of a whole file.
    pub(super) fn whole(&self, number: u16) -> Span {
        let end = u32::try_from(self.files.text(number).len()).unwrap_or(u32::MAX);
        Span { file: number, start: 0, end }
    }
}

/// By place, each fault once: what is used through two aliases is wrong only once.
fn in_order(mut faults: Vec<Diagnostic>) -> Vec<Diagnostic> {
    faults.sort_by(|a, b| (a.at, a.code, &a.message).cmp(&(b.at, b.code, &b.message)));
    faults.dedup_by(|a, b| (a.at, a.code, &a.message) == (b.at, b.code, &b.message));
    faults
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
