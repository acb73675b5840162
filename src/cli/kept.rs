//! What is kept with a run besides its journal: the plan as it was, and how it was started.
//!
//! Invariant: a resumed run uses the plan on the disk; what is kept here says what changed in
//! it since, and stands in for it when it is gone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::journal::Snapshot;
use crate::plan::diagnostic::Sources;

/// The plan itself, for people too.
const PLAN: &str = "plan.yaml";
/// Everything else.
const STARTED: &str = "started.json";

/// How a run was started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The calls that `--only` selected; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<String>>,
    /// `--concurrency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// `--limit`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<String>,
    /// The files that the plan is made of besides itself: prompts, includes, other plans.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// A run's plan as it was, and how it was started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// The plan's text; `None` for a run of a version that did not keep it.
    pub plan: Option<String>,
    /// How it was started.
    pub started: Started,
}

impl Kept {
    /// What to keep of a plan that was read from these sources, its own file first. The files that
    /// gave it `values` are no part of it.
    pub fn of(sources: &Sources, values: &[PathBuf]) -> Kept {
        let mut files = sources.files.iter();
        let Some((main, text)) = files.next() else { return Kept::default() };
        let folder = main.parent().unwrap_or(Path::new(""));
        let name = |path: &Path| path.strip_prefix(folder).unwrap_or(path).display().to_string();
        let files = files.filter(|(path, _)| !values.contains(path));
        let files = files.map(|(path, text)| (name(path), text.to_string())).collect();
        Kept { plan: Some(text.to_string()), started: Started { files, ..Started::default() } }
    }

    /// What is kept in a run's directory; what cannot be read is not there.
    pub fn read(dir: &Path) -> Kept {
        let plan = std::fs::read_to_string(dir.join(PLAN)).ok();
        let started = std::fs::read(dir.join(STARTED)).ok();
        let started = started.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Kept { plan, started }
    }

    /// It as files of the run.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        let started = serde_json::to_vec_pretty(&self.started).unwrap_or_default();
        let plan = self.plan.clone().unwrap_or_default();
        vec![
            Snapshot { name: PLAN.to_owned(), bytes: plan.into_bytes() },
            Snapshot { name: STARTED.to_owned(), bytes: started },
        ]
    }

    /// Which of the plan's files differ from `now`, by their names; `named` is the plan's own.
    /// Nothing for a run that kept no plan.
    pub fn changed(&self, now: &Kept, named: &str) -> Vec<String> {
        if self.plan.is_none() {
            return Vec::new();
        }
        let (then, now_files) = (&self.started.files, &now.started.files);
        let mut names: Vec<String> = then
            .iter()
            .filter(|(name, text)| now_files.get(*name) != Some(text))
            .map(|(name, _)| name.clone())
            .chain(now_files.keys().filter(|name| !then.contains_key(*name)).cloned())
            .collect();
        names.sort();
        if self.plan != now.plan {
            names.insert(0, named.to_owned());
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Sources {
        Sources { files: files.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect() }
    }

    #[test]
    fn what_changed_is_named_relative_to_the_plan_wherever_it_was_read_from() {
        let then = Kept::of(
            &sources(&[("plan.yaml", "a"), ("prompts/x.md", "x"), ("old.md", "o"), ("v.json", "v")]),
            &["v.json".into()],
        );
        let same =
            Kept::of(&sources(&[("/p/plan.yaml", "a"), ("/p/old.md", "o"), ("/p/prompts/x.md", "x")]), &[]);
        assert_eq!(then.changed(&same, "plan.yaml"), [""; 0]);
        let other =
            Kept::of(&sources(&[("/p/plan.yaml", "b"), ("/p/prompts/x.md", "y"), ("/p/new.md", "n")]), &[]);
        assert_eq!(then.changed(&other, "plan.yaml"), ["plan.yaml", "new.md", "old.md", "prompts/x.md"]);
    }

    #[test]
    fn what_is_kept_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = Kept::of(&sources(&[("plan.yaml", "a"), ("prompts/x.md", "x")]), &[]);
        kept.started.only = Some(vec!["a".to_owned()]);
        kept.started.concurrency = Some(3);
        for snapshot in kept.snapshots() {
            std::fs::write(dir.path().join(snapshot.name), snapshot.bytes).unwrap();
        }
        assert_eq!(Kept::read(dir.path()), kept);
        assert_eq!(Kept::read(&dir.path().join("nothing")), Kept::default());
    }
}
