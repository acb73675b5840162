//! `fanout init`: a starter plan that validates and runs as it stands.

use std::io::Write;
use std::path::Path;

/// The starter plan: no model and no key needed until the marked lines are taken in.
pub const STARTER: &str = include_str!("init/starter.yaml");

/// Writes the starter plan.
///
/// # Errors
/// A sentence for the person: the file is there already, or cannot be written.
pub fn write(file: &Path, force: bool) -> Result<String, String> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let shown = file.display();
    let mut handle = options.open(file).map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            format!("{shown} is there already; give another name, or --force to overwrite it")
        } else {
            format!("cannot write {shown}: {error}")
        }
    })?;
    handle.write_all(STARTER.as_bytes()).map_err(|error| format!("cannot write {shown}: {error}"))?;
    Ok(format!("Wrote {shown}. Try:\n  fanout validate {shown}\n  fanout run {shown}\n"))
}
