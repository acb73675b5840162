//! Reads a patch as [`Store::patch`](super::Store) writes it: file by file, hunk by hunk.
//!
//! Invariants: pure; joining the `raw` of all files gives the patch back; a line of
//! content that looks like a header is not one, because hunks say how long they are.

use crate::outcome::{ChangeKind, FileChange};

/// What a patch does to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePatch {
    /// Its path from the repository's root.
    pub path: String,
    /// What happens to it.
    pub kind: ChangeKind,
    /// The mode afterwards, where it is said: `100644`, `100755`, `120000` for a link.
    pub mode: Option<String>,
    /// The mode before, where it changes or the file goes.
    pub old_mode: Option<String>,
    /// The lines before the first hunk, each with its newline.
    pub head: String,
    /// The hunks; none for a binary file or a change of mode only.
    pub hunks: Vec<Hunk>,
    /// True where its content is binary.
    pub binary: bool,
    /// All of it, as it stands in the patch.
    pub raw: String,
}

/// Some lines in the place of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// The first of its lines in the file before, from 1; the line before it where it has none.
    pub start: u32,
    /// What it says, line by line.
    pub lines: Vec<Line>,
}

/// One line of a hunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Whether it stays, goes or comes.
    pub side: Side,
    /// Its text, without a newline.
    pub text: String,
    /// False for a last line that ends without a newline.
    pub ended: bool,
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It stays.
    Both,
    /// It goes.
    Old,
    /// It comes.
    New,
}

impl FilePatch {
    /// What it does, counted.
    pub fn change(&self) -> FileChange {
        let lines = || self.hunks.iter().flat_map(|hunk| &hunk.lines);
        let count =
            |side| u32::try_from(lines().filter(|line| line.side == side).count()).unwrap_or(u32::MAX);
        FileChange {
            path: self.path.clone(),
            kind: self.kind,
            added: count(Side::New),
            removed: count(Side::Old),
            binary: self.binary,
        }
    }

    /// Where a link that it makes leads.
    pub fn link(&self) -> Option<String> {
        if self.mode.as_deref() != Some("120000") && !self.head.contains(" 120000\n") {
            return None;
        }
        let lines = self.hunks.iter().flat_map(|hunk| &hunk.lines);
        let target: Vec<&str> =
            lines.filter(|line| line.side != Side::Old).map(|line| line.text.as_str()).collect();
        (self.kind != ChangeKind::Deleted).then(|| target.join("\n"))
    }
}

/// The files of a patch, in its order.
pub fn parse(patch: &str) -> Vec<FilePatch> {
    let mut files = Vec::new();
    let mut rest = patch;
    while let Some(begin) = find_file(rest) {
        let (file, left) = file(&rest[begin..]);
        files.push(file);
        rest = left;
    }
    files
}

const BEGIN: &str = "diff --git ";

fn find_file(text: &str) -> Option<usize> {
    if text.starts_with(BEGIN) { Some(0) } else { text.find("\ndiff --git ").map(|at| at + 1) }
}

/// One file, and what follows it.
fn file(text: &str) -> (FilePatch, &str) {
    let mut at = 0;
    let next = |at: usize| text[at..].split_inclusive('\n').next().filter(|line| !line.is_empty());
    let mut file = FilePatch {
        path: String::new(),
        kind: ChangeKind::Modified,
        mode: None,
        old_mode: None,
        head: String::new(),
        hunks: Vec::new(),
        binary: false,
        raw: String::new(),
    };
    while let Some(whole) = next(at) {
        let line = whole.trim_end_matches('\n');
        if at > 0 && (line.starts_with(BEGIN) || line.starts_with("@@ ")) {
            break;
        }
        if let Some(names) = line.strip_prefix(BEGIN) {
            file.path = path_of(names);
        } else if let Some(mode) = line.strip_prefix("new file mode ") {
            (file.kind, file.mode) = (ChangeKind::Added, Some(mode.to_owned()));
        } else if let Some(mode) = line.strip_prefix("deleted file mode ") {
            (file.kind, file.old_mode) = (ChangeKind::Deleted, Some(mode.to_owned()));
        } else if let Some(mode) = line.strip_prefix("old mode ") {
            file.old_mode = Some(mode.to_owned());
        } else if let Some(mode) = line.strip_prefix("new mode ") {
            file.mode = Some(mode.to_owned());
        } else if line == "GIT binary patch" || line.starts_with("Binary files ") {
            file.binary = true;
        }
        at += whole.len();
        if file.binary {
            // Its lines are encoded and cannot begin as a file does.
            let rest = find_file(&text[at..]).map_or(text.len(), |more| at + more);
            at = rest;
            break;
        }
    }
    file.head = text[..at].to_owned();
    while let Some(whole) = next(at).filter(|line| line.starts_with("@@ ")) {
        at += whole.len();
        let Some((start, mut old, mut new)) = counts(whole) else { break };
        let mut hunk = Hunk { start, lines: Vec::new() };
        while let Some(whole) = next(at) {
            if let Some(rest) = whole.strip_prefix('\\') {
                let _ = rest;
                if let Some(last) = hunk.lines.last_mut() {
                    last.ended = false;
                }
                at += whole.len();
                continue;
            }
            if old == 0 && new == 0 {
                break;
            }
            let (side, o, n) = match whole.as_bytes().first() {
                Some(b'-') => (Side::Old, 1, 0),
                Some(b'+') => (Side::New, 0, 1),
                Some(_) | None => (Side::Both, 1, 1),
            };
            (old, new) = (old.saturating_sub(o), new.saturating_sub(n));
            let text = whole.strip_suffix('\n').unwrap_or(whole);
            let text = text.get(1..).unwrap_or_default().to_owned();
            hunk.lines.push(Line { side, text, ended: true });
            at += whole.len();
        }
        file.hunks.push(hunk);
    }
    file.raw = text[..at].to_owned();
    (file, &text[at..])
}

/// `@@ -1,3 +1,4 @@`: where it begins, and how many lines it has on each side.
fn counts(line: &str) -> Option<(u32, u32, u32)> {
    let mut words = line.split(' ').skip(1);
    let range = |word: &str| {
        let word = word.get(1..)?;
        match word.split_once(',') {
            Some((start, count)) => Some((start.parse().ok()?, count.parse().ok()?)),
            None => Some((word.parse().ok()?, 1)),
        }
    };
    let (start, old) = range(words.next()?)?;
    let (_, new): (u32, u32) = range(words.next()?)?;
    Some((start, old, new))
}

/// `a/x b/x`, where both are the same because nothing is renamed.
fn path_of(names: &str) -> String {
    if names.starts_with('"') {
        let mut bytes = Vec::new();
        let mut rest = names.bytes().skip(1);
        while let Some(byte) = rest.next() {
            match byte {
                b'"' => break,
                b'\\' => match rest.next() {
                    Some(b'n') => bytes.push(b'\n'),
                    Some(b't') => bytes.push(b'\t'),
                    Some(b'r') => bytes.push(b'\r'),
                    Some(b'a') => bytes.push(7),
                    Some(b'b') => bytes.push(8),
                    Some(b'v') => bytes.push(11),
                    Some(b'f') => bytes.push(12),
                    Some(digit @ b'0'..=b'3') => {
                        let low = rest.by_ref().take(2).map(|digit| u32::from(digit.wrapping_sub(b'0')));
                        let value = low.fold(u32::from(digit - b'0'), |value, digit| value * 8 + digit);
                        bytes.push(u8::try_from(value & 0xFF).unwrap_or(b'?'));
                    }
                    Some(other) => bytes.push(other),
                    None => break,
                },
                other => bytes.push(other),
            }
        }
        let path = String::from_utf8_lossy(&bytes).into_owned();
        return path.strip_prefix("a/").map(str::to_owned).unwrap_or(path);
    }
    // Twice the same name of n bytes: `a/` n ` b/` n.
    let length = names.len().saturating_sub(5) / 2;
    names.get(2..2 + length).unwrap_or(names).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "diff --git a/a b.txt b/a b.txt\nindex 1..2 100644\n--- a/a b.txt\n+++ b/a b.txt\n@@ -1,2 +1,3 @@\n one\n-diff --git a/x b/x\n+two\n+three\n\\ No newline at end of file\ndiff --git \"a/\\303\\251\\n\" \"b/\\303\\251\\n\"\nnew file mode 120000\nindex 0..3\n--- /dev/null\n+++ \"b/\\303\\251\\n\"\n@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\ndiff --git a/gone b/gone\ndeleted file mode 100644\nindex 4..0\nGIT binary patch\nliteral 0\nHcmV?d00001\n\nliteral 3\nKcmZ\n\n";

    #[test]
    fn a_patch_is_read_file_by_file_and_joined_again_is_the_same() {
        let files = parse(PATCH);
        let seen: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.kind, file.binary)).collect();
        assert_eq!(
            seen,
            [
                ("a b.txt", ChangeKind::Modified, false),
                ("é\n", ChangeKind::Added, false),
                ("gone", ChangeKind::Deleted, true)
            ]
        );
        assert_eq!(files[1].link().as_deref(), Some("/etc/passwd"));
        let change = files[0].change();
        assert_eq!((change.added, change.removed), (2, 1));
        assert!(!files[0].hunks[0].lines[3].ended && files[0].hunks[0].lines[2].ended);
        assert_eq!(files.iter().map(|file| file.raw.as_str()).collect::<String>(), PATCH);
    }
}
