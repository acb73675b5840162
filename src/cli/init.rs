//! `fanout init`: a starter plan that validates and runs as it stands, or a CI system's workflow for one.

use std::io::Write;
use std::path::Path;

use super::args::Ci;

/// The starter plan: no model and no key needed until the marked lines are taken in.
pub const STARTER: &str = include_str!("init/starter.yaml");

/// Writes the starter plan.
///
/// # Errors
/// A sentence for the person: the file is there already, or cannot be written.
pub fn write(file: &Path, force: bool) -> Result<String, String> {
    let shown = file.display();
    create(file, STARTER, force)?;
    Ok(format!("Wrote {shown}. Try:\n  fanout validate {shown}\n  fanout run {shown}\n"))
}

/// Writes the workflow that runs `plan` under a CI system.
///
/// # Errors
/// As [`write()`]; also when the plan's name cannot stand in a workflow.
pub fn write_ci(ci: Ci, plan: &Path, force: bool) -> Result<String, String> {
    let (file, template, next) = match ci {
        Ci::Github => (
            ".github/workflows/fanout.yml",
            include_str!("init/github.yml"),
            "Add the secret ANTHROPIC_API_KEY (or your provider's) to the repository, and commit the file.",
        ),
        Ci::Gitlab => (
            ".gitlab-ci.fanout.yml",
            include_str!("init/gitlab.yml"),
            "Include it in .gitlab-ci.yml, and add the masked variable ANTHROPIC_API_KEY (or your provider's).",
        ),
    };
    let plan = plan.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    if plan.starts_with(['-', '/']) || !plan.chars().all(plain) {
        return Err(format!(
            "`{plan}` cannot stand in a workflow: give a path inside the repository, of letters, digits, `.`, `_`, `-` and `/`"
        ));
    }
    let text = template.replace("@PLAN@", &plan).replace("@VERSION@", env!("CARGO_PKG_VERSION"));
    create(Path::new(file), &text, force)?;
    Ok(format!("Wrote {file}, which runs {plan}.\n{next}\n"))
}

fn create(file: &Path, text: &str, force: bool) -> Result<(), String> {
    let shown = file.display();
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(|error| format!("cannot write {shown}: {error}"))?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let mut handle = options.open(file).map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            format!("{shown} is there already; give another name, or --force to overwrite it")
        } else {
            format!("cannot write {shown}: {error}")
        }
    })?;
    handle.write_all(text.as_bytes()).map_err(|error| format!("cannot write {shown}: {error}"))
}
