//! The filters `read` and `glob`: files beneath the plan's folder, and no others.
//!
//! Invariant: nothing outside of the folder is opened or listed, by `..`, by an
//! absolute path or through a symbolic link; and nothing is read without a bound.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

/// The most that `read` takes in.
const MAX_FILE: u64 = 1 << 20;
/// How many directory entries `glob` looks at before it gives up.
const MAX_ENTRIES: usize = 100_000;

/// The text of a file beneath `dir`.
///
/// # Errors
/// A sentence that says what is wrong with the path or the file.
pub(super) fn read(dir: &Path, path: &str) -> Result<String, String> {
    let fail = |what: &str| format!("`read` cannot read `{path}`: {what}");
    let file = beneath(dir, Path::new(path)).map_err(|what| fail(&what))?;
    let meta = fs::metadata(&file).map_err(|error| fail(&reason(&error)))?;
    if !meta.is_file() {
        return Err(fail(if meta.is_dir() { "it is a folder" } else { "it is not a regular file" }));
    }
    let too_long = || fail("it is longer than 1 MiB; have the agent read it itself");
    if meta.len() > MAX_FILE {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    let opened = fs::File::open(&file).map_err(|error| fail(&reason(&error)))?;
    // It may have grown since.
    opened.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| fail(&reason(&error)))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(too_long());
    }
    String::from_utf8(bytes).map_err(|_| fail("it is not UTF-8 text"))
}

/// The files beneath `dir` that match, as sorted relative paths with `/`.
///
/// `*` and `?` match within a name, `**` any number of folders. Names that begin with
/// a dot are matched by patterns that begin with one. Linked folders are not entered.
///
/// # Errors
/// A sentence that says what is wrong with the pattern.
pub(crate) fn glob(dir: &Path, pattern: &str) -> Result<Vec<String>, String> {
    let fail = |what: &str| format!("`glob` cannot list `{pattern}`: {what}");
    relative(Path::new(pattern)).map_err(|what| fail(&what))?;
    let mut segments: Vec<&str> = pattern.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    segments.dedup_by(|a, b| *a == "**" && *b == "**");
    let root = dir.canonicalize().map_err(|error| fail(&reason(&error)))?;
    let mut search = Search { root, found: BTreeSet::new(), left: MAX_ENTRIES };
    let top = search.root.clone();
    search.walk(&top, "", &segments).map_err(|what| fail(&what))?;
    Ok(search.found.into_iter().collect())
}

struct Search {
    root: PathBuf,
    found: BTreeSet<String>,
    left: usize,
}

impl Search {
    fn walk(&mut self, dir: &Path, prefix: &str, segments: &[&str]) -> Result<(), String> {
        let Some((first, rest)) = segments.split_first() else { return Ok(()) };
        let any_depth = *first == "**";
        if any_depth && !rest.is_empty() {
            self.walk(dir, prefix, rest)?;
        }
        // A folder that cannot be listed holds nothing that could be read.
        let Ok(entries) = fs::read_dir(dir) else { return Ok(()) };
        for entry in entries.flatten() {
            self.left = self.left.checked_sub(1).ok_or("there are too many files; narrow it")?;
            let name = entry.file_name();
            // A name that is not UTF-8 cannot stand in a template.
            let Some(name) = name.to_str() else { continue };
            let matched = if any_depth { !name.starts_with('.') } else { matches(first, name) };
            if !matched {
                continue;
            }
            let Ok(kind) = entry.file_type() else { continue };
            let path = format!("{prefix}{name}");
            if kind.is_dir() {
                let deeper = if any_depth { segments } else { rest };
                self.walk(&entry.path(), &format!("{path}/"), deeper)?;
            } else if rest.is_empty()
                && (kind.is_file() || kind.is_symlink() && self.leads_to_file(&entry.path()))
            {
                self.found.insert(path);
            }
        }
        Ok(())
    }

    fn leads_to_file(&self, link: &Path) -> bool {
        link.canonicalize().is_ok_and(|target| target.starts_with(&self.root) && target.is_file())
    }
}

/// `path` beneath `dir`, links resolved.
fn beneath(dir: &Path, path: &Path) -> Result<PathBuf, String> {
    relative(path)?;
    let root = dir.canonicalize().map_err(|error| reason(&error))?;
    let file = root.join(path).canonicalize().map_err(|error| reason(&error))?;
    if file.starts_with(&root) {
        Ok(file)
    } else {
        Err("it is a link that leads out of the plan's folder".to_owned())
    }
}

fn relative(path: &Path) -> Result<(), String> {
    let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if path.as_os_str().is_empty() {
        Err("the path is empty".to_owned())
    } else if inside {
        Ok(())
    } else {
        Err("the path leads out of the plan's folder".to_owned())
    }
}

fn reason(error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::NotFound {
        "there is no such file".to_owned()
    } else if error.kind() == std::io::ErrorKind::PermissionDenied {
        "it may not be read".to_owned()
    } else {
        error.to_string()
    }
}

/// Does `name` match a pattern of `*` and `?`?
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last `*` stands, and how much it has taken.
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || name.get(n) == Some(c) => {
                p += 1;
                n += 1;
            }
            Some(_) | None => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                p = at + 1;
                n = taken + 1;
            }
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for path in ["a.rs", "b.txt", "src/a.rs", "src/deep/er/c.rs", ".hidden/d.rs", "src/.e.rs"] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "text").unwrap();
        }
        dir
    }

    #[test]
    fn glob_lists_what_matches_in_order() {
        let dir = folder();
        let list = |pattern: &str| glob(dir.path(), pattern).unwrap();
        assert_eq!(list("*.rs"), ["a.rs"]);
        assert_eq!(list("**/*.rs"), ["a.rs", "src/a.rs", "src/deep/er/c.rs"]);
        assert_eq!(list("src/**"), ["src/a.rs", "src/deep/er/c.rs"]);
        assert_eq!(list("./src/**/**/?.rs"), ["src/a.rs", "src/deep/er/c.rs"]);
        assert_eq!(list("*/*/*/c.rs"), ["src/deep/er/c.rs"]);
        assert_eq!(list(".hidden/*"), [".hidden/d.rs"]);
        assert_eq!(list("src/.*"), ["src/.e.rs"]);
        assert_eq!(list("src"), [""; 0]);
        assert_eq!(list("nothing/*"), [""; 0]);
    }

    #[test]
    fn nothing_outside_of_the_folder_is_read() {
        let dir = folder();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("out")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("b.txt", dir.path().join("same")).unwrap();
        assert_eq!(read(dir.path(), "same").unwrap(), "text");
        for path in ["link", "out/secret", "../x", "/etc/passwd", "a/../../x"] {
            let error = read(dir.path(), path).unwrap_err();
            assert!(error.contains("out of the plan's folder"), "{path}: {error}");
        }
        assert!(glob(dir.path(), "../*").unwrap_err().contains("leads out"));
        assert_eq!(glob(dir.path(), "out/*").unwrap(), [""; 0]);
        assert_eq!(glob(dir.path(), "*").unwrap(), ["a.rs", "b.txt", "same"]);
    }

    #[test]
    fn what_cannot_be_read_is_said_in_words() {
        let dir = folder();
        fs::write(dir.path().join("binary"), [0xff, 0xfe]).unwrap();
        fs::write(dir.path().join("large"), vec![b'x'; (MAX_FILE + 1) as usize]).unwrap();
        let error = |path: &str| read(dir.path(), path).unwrap_err();
        assert_eq!(error("none"), "`read` cannot read `none`: there is no such file");
        assert_eq!(error("src"), "`read` cannot read `src`: it is a folder");
        assert_eq!(error("binary"), "`read` cannot read `binary`: it is not UTF-8 text");
        assert_eq!(error(""), "`read` cannot read ``: the path is empty");
        assert!(error("large").contains("longer than 1 MiB"));
    }

    #[test]
    fn stars_backtrack() {
        assert!(matches("*a*b", "xaxbxb"));
        assert!(!matches("*a*b", "xaxbxc"));
        assert!(matches("*", ""));
        assert!(!matches("?", ""));
    }
}
