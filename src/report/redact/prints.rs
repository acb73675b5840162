//! Secrets as fingerprints: enough to find them in a text again, not to read them.
//!
//! Invariant: of each form there is its length, 16 bits of a keyed hash of its first eight bytes,
//! by which a text is looked through in one pass, and 128 bits of a keyed hash of all of it. The
//! key is drawn for the run and stands with them: who has both can try out a guess, but
//! cannot compute a secret that is not guessed.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Shorter forms are in every text by accident; nothing that short keeps a secret.
pub(super) const LEAST: usize = 8;

/// What fingerprints are made with.
pub type Key = [u8; 32];

/// The fingerprints that were made with one key.
#[derive(Clone)]
pub(super) struct Prints {
    key: Key,
    factor: u64,
    /// By the hash of their first bytes; the longest first.
    by_head: HashMap<u16, Vec<Print>>,
    /// A bit for each hash that is there, so that most of a text is passed over.
    heads: Vec<u64>,
}

/// One form of one secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Print {
    /// The variable that the secret was in.
    secret: Arc<str>,
    /// In bytes.
    length: usize,
    head: u16,
    hash: String,
}

/// The first line of the file.
#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    key: String,
}

/// The version of the file.
const FORMAT: u32 = 1;

impl Prints {
    pub(super) fn new(key: Key) -> Prints {
        let [a, b, c, d, e, f, g, h, ..] = *blake3::keyed_hash(&key, b"head").as_bytes();
        let factor = u64::from_le_bytes([a, b, c, d, e, f, g, h]) | 1;
        Prints { key, factor, by_head: HashMap::new(), heads: vec![0; 1 << 10] }
    }

    pub(super) fn len(&self) -> usize {
        self.by_head.values().map(Vec::len).sum()
    }

    /// Bytes of its longest form.
    pub(super) fn longest(&self) -> usize {
        self.by_head.values().flatten().map(|print| print.length).max().unwrap_or(0)
    }

    /// Adds a form, unless it is too short or there already.
    pub(super) fn add(&mut self, secret: &Arc<str>, form: &[u8]) {
        if let Some(head) = form.first_chunk().map(|first| self.head(*first)) {
            self.put(Print { secret: Arc::clone(secret), length: form.len(), head, hash: self.hash(form) });
        }
    }

    fn put(&mut self, print: Print) {
        if let Some(word) = self.heads.get_mut(usize::from(print.head >> 6)) {
            *word |= 1 << (print.head & 63);
        }
        let same = self.by_head.entry(print.head).or_default();
        if !same.iter().any(|known| known.hash == print.hash) {
            same.push(print);
            same.sort_by_key(|print| std::cmp::Reverse(print.length));
        }
    }

    fn head(&self, first: [u8; LEAST]) -> u16 {
        (u64::from_le_bytes(first).wrapping_mul(self.factor) >> 48) as u16
    }

    fn hash(&self, form: &[u8]) -> String {
        blake3::keyed_hash(&self.key, form).to_hex().chars().take(32).collect()
    }

    /// Where forms stand, from left to right, with the secret's name.
    pub(super) fn find(&self, bytes: &[u8]) -> Vec<(Range<usize>, &Arc<str>)> {
        let mut found = Vec::new();
        let mut from = 0;
        for (at, first) in bytes.windows(LEAST).enumerate() {
            let head = first.first_chunk().map_or(0, |first| self.head(*first));
            let is_known = |word: &u64| word & 1 << (head & 63) != 0;
            if at < from || !self.heads.get(usize::from(head >> 6)).is_some_and(is_known) {
                continue;
            }
            let here = self.by_head.get(&head).into_iter().flatten().find(|print| {
                let form = bytes.get(at..at.saturating_add(print.length));
                form.is_some_and(|form| self.hash(form) == print.hash)
            });
            if let Some(print) = here {
                from = at + print.length;
                found.push((at..from, &print.secret));
            }
        }
        found
    }

    /// Takes in all that were made with the same key; false for others.
    pub(super) fn take(&mut self, others: &Prints) -> bool {
        let same = self.key == others.key;
        if same {
            others.by_head.values().flatten().for_each(|print| self.put(print.clone()));
        }
        same
    }

    /// As a file: a line with the key, then a line for each form.
    pub(super) fn to_lines(&self) -> String {
        let key = blake3::Hash::from_bytes(self.key).to_hex().to_string();
        let mut prints: Vec<&Print> = self.by_head.values().flatten().collect();
        prints.sort_by_key(|print| (&print.secret, print.length, &print.hash));
        let head = serde_json::to_string(&Head { format: FORMAT, key });
        let lines = prints.into_iter().map(serde_json::to_string);
        [head].into_iter().chain(lines).flatten().map(|line| line + "\n").collect()
    }

    /// From a file; `None` if its first line is not whole. A later line that cannot be read is passed over.
    pub(super) fn from_lines(text: &str) -> Option<Prints> {
        let mut lines = text.lines();
        let head: Head = serde_json::from_str(lines.next()?).ok()?;
        let key = blake3::Hash::from_hex(head.key).ok().filter(|_| head.format == FORMAT)?;
        let mut prints = Prints::new(*key.as_bytes());
        let read = lines.filter_map(|line| serde_json::from_str::<Print>(line).ok());
        read.filter(|print| print.length >= LEAST).for_each(|print| prints.put(print));
        Some(prints)
    }

    pub(super) fn key(&self) -> Key {
        self.key
    }
}
