//! Holds the house up: rooms use only lower layers, files stay small and say what they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Lower numbers know nothing of higher ones. Rooms with one number do not know each other.
const LAYERS: &[(&str, u8)] = &[
    ("id", 0),
    ("unit", 0),
    ("outcome", 1),
    ("event", 2),
    ("plan", 2),
    ("model", 3),
    ("process", 3),
    ("workspace", 3),
    ("sandbox", 3),
    ("journal", 3),
    ("limits", 3),
    ("graph", 3),
    ("tool", 4),
    ("agent", 5),
    ("notify", 5),
    ("reconcile", 5),
    ("report", 5),
    ("run", 6),
    ("cli", 7),
];
/// Where the picture in ARCHITECTURE.md shows an arrow that the numbers forbid.
const EXCEPTIONS: &[(&str, &str)] = &[("sandbox", "process"), ("workspace", "process")];
/// Forbidden although the numbers allow it.
const NEVER: &[(&str, &str)] = &[("run", "report")];
const MOST_LINES: usize = 400;

struct File {
    path: PathBuf,
    room: String,
    text: String,
}

impl File {
    /// Tests see the whole crate.
    fn is_test(&self) -> bool {
        self.path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
    }
}

fn files() -> Vec<File> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![src.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let inside = path.strip_prefix(&src).unwrap();
                let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
                let room = first.trim_end_matches(".rs").to_owned();
                let text = std::fs::read_to_string(&path).unwrap();
                found.push(File { path: inside.to_owned(), room, text });
            }
        }
    }
    found
}

/// Lines of code without tests, comments and blank lines.
fn code(text: &str) -> Vec<&str> {
    let until_tests = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    until_tests.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).collect()
}

fn uses(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("crate::").map(|(at, key)| {
        let rest = &line[at + key.len()..];
        &rest[..rest.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(rest.len())]
    })
}

#[test]
fn a_room_uses_only_lower_layers() {
    let layers: BTreeMap<&str, u8> = LAYERS.iter().copied().collect();
    let mut breaches = Vec::new();
    for file in files() {
        if file.room == "lib" || file.room == "main" || file.is_test() {
            continue;
        }
        let Some(mine) = layers.get(file.room.as_str()) else {
            breaches.push(format!("{}: the map does not know the room `{}`", file.path.display(), file.room));
            continue;
        };
        for line in code(&file.text) {
            for other in uses(line).filter(|other| *other != file.room) {
                let allowed = match layers.get(other) {
                    None => continue,
                    Some(theirs) => theirs < mine,
                };
                let pair = (file.room.as_str(), other);
                if (!allowed || NEVER.contains(&pair)) && !EXCEPTIONS.contains(&pair) {
                    breaches.push(format!(
                        "{}: `{}` may not use `{other}`: {line}",
                        file.path.display(),
                        file.room
                    ));
                }
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn every_file_says_what_it_is_and_stays_small() {
    let mut breaches = Vec::new();
    for file in files() {
        let path = file.path.display();
        if !file.text.starts_with("//!") {
            breaches.push(format!("{path} does not open with a `//!` header"));
        }
        let lines = code(&file.text).len();
        // A file of tests is as long as its cases are many.
        if lines > MOST_LINES && !file.is_test() {
            breaches.push(format!("{path} has {lines} lines of code; {MOST_LINES} is the most"));
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn the_map_in_architecture_md_names_every_room() {
    let map = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    for file in files() {
        let shown = match file.path.components().count() {
            1 => format!("{}.rs", file.room),
            _ => format!("{}/", file.room),
        };
        assert!(map.contains(&shown), "ARCHITECTURE.md does not name {shown}");
    }
}
