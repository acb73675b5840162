//! One spelling for one file: `./a`, `a//b`, `x/../a`, `a\b`, and `/home/me/project/a` where
//! somebody else says `a`.
//!
//! Invariant: an absolute path becomes relative only where a relative path at hand
//! shows where the project begins; two absolute paths under different roots stay two.

use std::collections::{BTreeSet, HashSet};

/// True for a text that is spelled like a path: no white space, and a slash or an ending like `.rs`.
pub(super) fn is_path(text: &str) -> bool {
    let ending = || {
        let (stem, ending) = text.rsplit_once('.')?;
        let plain = (1..=6).contains(&ending.len()) && ending.chars().all(char::is_alphanumeric);
        Some(plain && !stem.is_empty() && !ending.chars().all(|c| c.is_ascii_digit()))
    };
    !text.is_empty()
        && !text.chars().any(char::is_whitespace)
        && !text.contains("://")
        && (text.contains(['/', '\\']) || ending() == Some(true))
}

/// What is known of where the project begins, from all the paths at hand.
#[derive(Debug, Clone, Default)]
pub(super) struct Roots {
    /// Absolute folders, each with a slash at the end, the longest first.
    roots: Vec<String>,
}

impl Roots {
    /// Finds them. The order of the paths makes no difference.
    pub(super) fn new<'a>(paths: impl IntoIterator<Item = &'a str>) -> Roots {
        let plain: BTreeSet<String> = paths.into_iter().map(plain).collect();
        let (absolute, relative): (Vec<String>, Vec<String>) =
            plain.into_iter().partition(|path| is_absolute(path));
        let relative: HashSet<String> = relative.into_iter().collect();
        let mut roots: BTreeSet<&str> = BTreeSet::new();
        for path in &absolute {
            // From the left: the longest ending that somebody gives as a relative path.
            let cuts = path.match_indices('/').map(|(at, _)| path.split_at(at + 1));
            let known = cuts.filter(|(_, rest)| relative.contains(*rest)).find(|(root, rest)| {
                // A bare file name says where the project begins only if no other file is called so.
                rest.contains('/')
                    || absolute
                        .iter()
                        .all(|p| p == path || !p.ends_with(&format!("/{rest}")) || p.starts_with(root))
            });
            roots.extend(known.map(|(root, _)| root));
        }
        let mut roots: Vec<String> = roots.into_iter().map(str::to_owned).collect();
        roots.sort_by_key(|root| std::cmp::Reverse(root.len()));
        Roots { roots }
    }

    /// The one spelling of a path.
    pub(super) fn spell(&self, path: &str) -> String {
        let plain = plain(path);
        match self.roots.iter().find_map(|root| plain.strip_prefix(root.as_str())) {
            Some(rest) => rest.to_owned(),
            None => plain,
        }
    }
}

fn is_absolute(path: &str) -> bool {
    path.starts_with('/') || path.get(1..3) == Some(":/")
}

/// Without `.`, `..` and empty parts; with forward slashes.
fn plain(path: &str) -> String {
    let path = path.trim().replace('\\', "/");
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_spelling() {
        let roots = Roots::default();
        for path in ["./src/a.rs", "src//a.rs", "src/./x/../a.rs", "src\\a.rs", "src/a.rs"] {
            assert_eq!(roots.spell(path), "src/a.rs", "{path}");
        }
        assert_eq!(roots.spell("../a.rs"), "../a.rs");
        assert_eq!(roots.spell("/src/a.rs"), "/src/a.rs");
    }

    #[test]
    fn an_absolute_path_is_relative_to_where_the_others_say_the_project_begins() {
        let roots = Roots::new(["/home/me/p/src/a.rs", "/tmp/tree-2/src/a.rs", "src/a.rs", "/etc/hosts"]);
        assert_eq!(roots.spell("/home/me/p/src/a.rs"), "src/a.rs");
        assert_eq!(roots.spell("/tmp/tree-2/src/b.rs"), "src/b.rs");
        assert_eq!(roots.spell("/etc/hosts"), "/etc/hosts");
    }

    #[test]
    fn a_bare_name_that_two_files_have_does_not_say_where_the_project_begins() {
        let roots = Roots::new(["/p/a/mod.rs", "/p/b/mod.rs", "mod.rs"]);
        assert_eq!(roots.spell("/p/a/mod.rs"), "/p/a/mod.rs");
        assert_eq!(Roots::new(["/p/Cargo.toml", "Cargo.toml"]).spell("/p/Cargo.toml"), "Cargo.toml");
    }

    #[test]
    fn words_and_addresses_are_no_paths() {
        for text in ["src/a.rs", "main.rs", "a\\b", "/etc"] {
            assert!(is_path(text), "{text}");
        }
        for text in ["high", "two words.txt", "https://x.org/a", "1.5", "v1.2.3", ""] {
            assert!(!is_path(text), "{text}");
        }
    }
}
