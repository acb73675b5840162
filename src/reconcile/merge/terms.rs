//! What a short text is about: its words, stemmed, and the letter groups of its words.
//!
//! Names in code count whole and by their parts: `getUserId` is also `get`, `user` and
//! `id`. Words that say nothing of what a finding is about are left out.

/// Length of a letter group, in characters.
const GROUP: usize = 4;

/// Words that texts about any subject share.
const COMMON: &[&str] = &[
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "because", "been",
    "before", "being", "between", "both", "but", "by", "can", "consider", "could", "did", "do", "does",
    "each", "else", "ensure", "every", "for", "from", "had", "has", "have", "here", "if", "in", "instead",
    "into", "is", "it", "its", "just", "like", "make", "may", "might", "more", "most", "new", "no", "not",
    "now", "of", "on", "only", "or", "other", "our", "same", "should", "so", "such", "sure", "than", "that",
    "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "use", "used", "uses",
    "using", "very", "via", "was", "we", "were", "what", "when", "where", "which", "while", "will", "with",
    "would", "you", "your",
];

/// Endings that are cut off, the first that fits; at least three characters stay.
const ENDINGS: &[&str] = &["ingly", "edly", "ation", "ations", "ing", "ies", "ed", "es", "s", "ly"];

/// The terms of a text, each as often as it occurs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Terms {
    /// Stemmed words, and names of several parts as a whole.
    pub(super) words: Vec<String>,
    /// Groups of four letters inside the words, with their ends marked.
    pub(super) groups: Vec<String>,
}

/// Reads a text.
pub(super) fn of(text: &str) -> Terms {
    let mut terms = Terms::default();
    for name in text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|name| !name.is_empty()) {
        let parts = parts(name);
        if parts.len() > 1 {
            // A mark that no stemmed word has keeps whole names apart from words.
            terms.words.push(format!("={}", name.to_lowercase()));
        }
        for part in parts {
            if part.chars().nth(1).is_none() || COMMON.contains(&part.as_str()) {
                continue;
            }
            groups(&part, &mut terms.groups);
            terms.words.push(stem(&part).to_owned());
        }
    }
    terms
}

/// The parts of a name in lower case: split at `_` and before a capital that follows a small letter or digit.
fn parts(name: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut small = false;
    for c in name.chars() {
        if (c == '_' || (c.is_uppercase() && small)) && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
        }
        small = c.is_lowercase() || c.is_numeric();
        if c != '_' {
            part.extend(c.to_lowercase());
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

fn stem(word: &str) -> &str {
    let cut = |ending: &&str| word.strip_suffix(*ending).filter(|rest| rest.chars().nth(2).is_some());
    ENDINGS.iter().find_map(cut).unwrap_or(word)
}

fn groups(word: &str, into: &mut Vec<String>) {
    let marked: Vec<char> = std::iter::once('_').chain(word.chars()).chain(std::iter::once('_')).collect();
    into.extend(marked.windows(GROUP.min(marked.len())).map(String::from_iter));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_whole_and_by_its_parts() {
        let terms = of("The `getUserIds` of user_store is retrying");
        assert_eq!(
            terms.words,
            ["=getuserids", "get", "user", "ids", "=user_store", "user", "store", "retry"]
        );
        assert_eq!(terms.groups[..2], ["_get", "get_"]);
    }

    #[test]
    fn the_common_words_are_sorted_and_other_scripts_are_words_too() {
        assert!(COMMON.is_sorted());
        assert_eq!(of("Гонка данных").words, ["гонка", "данных"]);
        assert_eq!(of("竞态条件").groups, ["_竞态条", "竞态条件", "态条件_"]);
        assert_eq!(of("it is a b"), Terms::default());
    }
}
