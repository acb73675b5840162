//! How alike texts are that are not the same: 0 for nothing in common, 1 for no difference.
//!
//! Invariants: symmetric, and 1 for a text with itself. No model and no network.

use std::collections::HashMap;

use similar::TextDiff;

/// How likeness is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// 1 for the same text, else 0.
    Exact,
    /// The words and marks that both hold, as a share of those that either holds.
    Tokens,
    /// The lines that a line diff leaves in place, as a share of all lines of both.
    Lines,
}

impl Measure {
    /// The word for it in a plan.
    pub(super) fn word(self) -> &'static str {
        match self {
            Measure::Exact => "exact",
            Measure::Tokens => "tokens",
            Measure::Lines => "lines",
        }
    }
}

/// The likeness of each text with each.
pub(super) fn matrix(measure: Measure, texts: &[&str]) -> Vec<Vec<f64>> {
    let bags = match measure {
        Measure::Tokens => bags(texts),
        Measure::Exact | Measure::Lines => Vec::new(),
    };
    let mut matrix = vec![vec![1.0; texts.len()]; texts.len()];
    for (row, one) in texts.iter().enumerate() {
        for (column, other) in texts.iter().enumerate().skip(row + 1) {
            let likeness = match measure {
                Measure::Exact => f64::from(u8::from(one == other)),
                Measure::Tokens => match (bags.get(row), bags.get(column)) {
                    (Some(one), Some(other)) => one.likeness(other),
                    (None, _) | (_, None) => 0.0,
                },
                Measure::Lines => f64::from(TextDiff::from_lines(*one, *other).ratio()),
            };
            for (row, column) in [(row, column), (column, row)] {
                if let Some(cell) = matrix.get_mut(row).and_then(|cells| cells.get_mut(column)) {
                    *cell = likeness;
                }
            }
        }
    }
    matrix
}

/// The words and marks of a text with how often each occurs, without their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bag {
    /// Number of the token and its count, by number.
    counts: Vec<(u32, u32)>,
}

/// The bags of some texts. Only bags made together can be compared.
pub(super) fn bags(texts: &[&str]) -> Vec<Bag> {
    let mut numbers: HashMap<String, u32> = HashMap::new();
    texts
        .iter()
        .map(|text| {
            let mut counts: HashMap<u32, u32> = HashMap::new();
            for token in tokens(text) {
                let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                let number = *numbers.entry(token).or_insert(next);
                *counts.entry(number).or_default() += 1;
            }
            let mut counts: Vec<(u32, u32)> = counts.into_iter().collect();
            counts.sort_unstable();
            Bag { counts }
        })
        .collect()
}

impl Bag {
    /// Tokens in common as a share of tokens in either, each counted as often as it occurs
    /// (the Jaccard index of multisets). 1 for two empty bags.
    pub(super) fn likeness(&self, other: &Bag) -> f64 {
        let (mut both, mut either) = (0_u64, 0_u64);
        let mut left = self.counts.iter().peekable();
        let mut right = other.counts.iter().peekable();
        loop {
            match (left.peek(), right.peek()) {
                (Some((a, n)), Some((b, m))) if a == b => {
                    both += u64::from(*n.min(m));
                    either += u64::from(*n.max(m));
                    left.next();
                    right.next();
                }
                (Some((a, n)), Some((b, _))) if a < b => {
                    either += u64::from(*n);
                    left.next();
                }
                (_, Some((_, m))) => {
                    either += u64::from(*m);
                    right.next();
                }
                (Some((_, n)), None) => {
                    either += u64::from(*n);
                    left.next();
                }
                (None, None) => break,
            }
        }
        if either == 0 { 1.0 } else { both as f64 / either as f64 }
    }
}

/// Words (letters, digits and `_`) in lower case, and every other mark on its own.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() || c == '_' {
            word.extend(c.to_lowercase());
            continue;
        }
        if !word.is_empty() {
            tokens.push(std::mem::take(&mut word));
        }
        if !c.is_whitespace() {
            tokens.push(c.to_string());
        }
    }
    if !word.is_empty() {
        tokens.push(word);
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_measure_sees_its_own_kind_of_difference() {
        let texts = ["one two\nthree\n", "two one\nthree\n", "four\nfive\n", "four\nfive\n"];
        let off = |measure| {
            let matrix = matrix(measure, &texts);
            assert!((0..4).all(|n| matrix[n][n] == 1.0));
            assert!((0..4).all(|n| (0..4).all(|m| matrix[n][m] == matrix[m][n])));
            (matrix[0][1], matrix[0][2], matrix[2][3])
        };
        assert_eq!(off(Measure::Exact), (0.0, 0.0, 1.0));
        assert_eq!(off(Measure::Tokens), (1.0, 0.0, 1.0));
        assert_eq!(off(Measure::Lines), (0.5, 0.0, 1.0));
    }

    #[test]
    fn a_token_counts_as_often_as_it_occurs() {
        let bags = bags(&["a a b", "a b b", ""]);
        assert_eq!(bags[0].likeness(&bags[1]), 0.5);
        assert_eq!(bags[0].likeness(&bags[2]), 0.0);
        assert_eq!(bags[2].likeness(&bags[2]), 1.0);
    }
}
