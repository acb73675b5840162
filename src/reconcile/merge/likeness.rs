//! How likely two short texts are to be about one thing, judged among all the others.
//!
//! A text is a vector of its terms (see `terms`). Each counts by how rare it is among
//! the texts at hand, and the likeness of two is the mean of two cosines: of their
//! words and of their letter groups. Invariants: symmetric, between 0 and 1, no model
//! and no network; neighbours are found through an index of terms, so that work is
//! bounded and never every text with every other.

use std::collections::HashMap;

use super::terms;

/// The texts are judged as if they stood among this many others that have none of their terms,
/// so that with a handful of texts a shared word does not count as a common one.
const OTHERS: f64 = 30.0;
/// Likeness below this is chance and counts as none.
const CHANCE: f32 = 0.05;
/// How many additions finding neighbours may cost; the rarest terms come first.
const WORK: u64 = 1_000_000_000;
/// How many pairs are kept; beyond them the least alike are dropped.
const PAIRS: usize = 2_000_000;
/// [`score`] is 0.85 at this likeness, which is where labelled findings are told apart best.
const MIDDLE: f64 = 0.12;

/// The texts at hand, as vectors.
#[derive(Debug)]
pub(super) struct Texts {
    /// Terms with their weights, by number; each vector has length 1, or is empty.
    vectors: Vec<Vec<(u32, f32)>>,
    /// How many texts have each term, by number.
    held_by: Vec<u32>,
}

/// Two texts, by position, the smaller first, and how alike they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pair {
    pub(super) one: u32,
    pub(super) other: u32,
    pub(super) likeness: f32,
}

/// The scale that plans use: 0 for nothing in common, 1 for the same terms. The odds of the score
/// are the odds of the likeness times a constant, chosen so that 0.85 is the default bound.
pub(super) fn score(likeness: f64) -> f64 {
    let bend = bend();
    (likeness * (1.0 + bend) / (likeness + bend)).clamp(0.0, 1.0)
}

/// The likeness at which [`score`] is `score`.
pub(super) fn at_score(score: f64) -> f64 {
    let bend = bend();
    score * bend / (1.0 + bend - score)
}

/// What [`score`] takes as the default bound.
pub(super) const DEFAULT_SCORE: f64 = 0.85;

fn bend() -> f64 {
    MIDDLE * (1.0 - DEFAULT_SCORE) / (DEFAULT_SCORE - MIDDLE)
}

impl Texts {
    /// Reads texts. The order makes no difference to any likeness.
    pub(super) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Texts {
        let mut numbers: HashMap<(bool, String), u32> = HashMap::new();
        let mut held_by: Vec<u32> = Vec::new();
        let mut counted: Vec<[Vec<(u32, u32)>; 2]> = Vec::new();
        for text in texts {
            let terms = terms::of(text);
            let mut count = |kind: bool, terms: Vec<String>| {
                let mut counts: HashMap<u32, u32> = HashMap::new();
                for term in terms {
                    let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                    *counts.entry(*numbers.entry((kind, term)).or_insert(next)).or_default() += 1;
                }
                let mut counts: Vec<(u32, u32)> = counts.into_iter().collect();
                counts.sort_unstable();
                counts
            };
            let kinds = [count(false, terms.words), count(true, terms.groups)];
            held_by.resize(numbers.len(), 0);
            for (term, _) in kinds.iter().flatten() {
                if let Some(held) = held_by.get_mut(*term as usize) {
                    *held += 1;
                }
            }
            counted.push(kinds);
        }
        let all = counted.len() as f64 + OTHERS;
        let vectors = counted.into_iter().map(|kinds| vector(kinds, &held_by, all)).collect();
        Texts { vectors, held_by }
    }

    /// How alike two of the texts are; 0 for a position that is not there.
    pub(super) fn likeness(&self, one: usize, other: usize) -> f64 {
        let (Some(one), Some(other)) = (self.vectors.get(one), self.vectors.get(other)) else { return 0.0 };
        f64::from(product(one, other)).clamp(0.0, 1.0)
    }

    /// The pairs that are more alike than chance and stand in one block, in ascending order.
    pub(super) fn pairs(&self, blocks: &[u32]) -> Vec<Pair> {
        let index = Index::new(self);
        let mut pairs: Vec<Pair> = Vec::new();
        let mut least = CHANCE;
        let mut sums = vec![0.0_f32; self.vectors.len()];
        let mut touched: Vec<u32> = Vec::new();
        for (position, vector) in self.vectors.iter().enumerate() {
            let here = u32::try_from(position).unwrap_or(u32::MAX);
            index.add(vector, here, &mut sums, &mut touched);
            for other in touched.drain(..) {
                let Some(sum) = sums.get_mut(other as usize) else { continue };
                let near = std::mem::take(sum);
                if near < least || blocks.get(position) != blocks.get(other as usize) {
                    continue;
                }
                // Terms too common to look up add a little to what the others found.
                let likeness = match self.vectors.get(other as usize) {
                    Some(other) if !index.whole => product(vector, other),
                    Some(_) | None => near,
                };
                pairs.push(Pair { one: other, other: here, likeness: likeness.min(1.0) });
            }
            if pairs.len() >= 2 * PAIRS {
                least = drop_the_least(&mut pairs);
            }
        }
        if pairs.len() > PAIRS {
            drop_the_least(&mut pairs);
        }
        pairs.sort_unstable_by_key(|pair| (pair.one, pair.other));
        pairs
    }
}

/// Which texts have a term.
struct Index {
    /// By number of the term: texts with weights. Empty for a term too common to look up.
    holders: Vec<Vec<(u32, f32)>>,
    /// True when no term is too common to look up.
    whole: bool,
}

impl Index {
    fn new(texts: &Texts) -> Index {
        let mut rarest: Vec<(u32, u32)> = texts.held_by.iter().copied().zip(0..).collect();
        rarest.sort_unstable();
        let mut holders: Vec<Vec<(u32, f32)>> = vec![Vec::new(); texts.held_by.len()];
        let mut used = vec![false; texts.held_by.len()];
        let (mut work, mut whole) = (0_u64, true);
        for (held, term) in rarest {
            work = work.saturating_add(u64::from(held) * u64::from(held) / 2);
            if work > WORK {
                whole = false;
                break;
            }
            if let Some(used) = used.get_mut(term as usize) {
                *used = true;
            }
        }
        for (text, vector) in (0..).zip(&texts.vectors) {
            for (term, weight) in vector {
                if used.get(*term as usize) == Some(&true)
                    && let Some(holders) = holders.get_mut(*term as usize)
                {
                    holders.push((text, *weight));
                }
            }
        }
        Index { holders, whole }
    }

    /// Adds up what earlier texts share with `vector`; `touched` lists those with a sum.
    fn add(&self, vector: &[(u32, f32)], before: u32, sums: &mut [f32], touched: &mut Vec<u32>) {
        for (term, weight) in vector {
            let holders = self.holders.get(*term as usize).map_or(&[][..], Vec::as_slice);
            for (text, other) in holders.iter().take_while(|(text, _)| *text < before) {
                if let Some(sum) = sums.get_mut(*text as usize) {
                    if *sum == 0.0 {
                        touched.push(*text);
                    }
                    *sum += weight * other;
                }
            }
        }
    }
}

/// Keeps the most alike, of equals the earlier; gives the likeness that is now the least.
fn drop_the_least(pairs: &mut Vec<Pair>) -> f32 {
    let by_rank =
        |a: &Pair, b: &Pair| b.likeness.total_cmp(&a.likeness).then((a.one, a.other).cmp(&(b.one, b.other)));
    let (_, bound, _) = pairs.select_nth_unstable_by(PAIRS, by_rank);
    let bound = bound.likeness;
    pairs.truncate(PAIRS);
    bound
}

/// Words and letter groups, each of them of length √½, so that a product is the mean of both cosines.
fn vector(kinds: [Vec<(u32, u32)>; 2], held_by: &[u32], all: f64) -> Vec<(u32, f32)> {
    let mut vector: Vec<(u32, f32)> = Vec::new();
    for counts in kinds {
        let weigh = |(term, count): &(u32, u32)| {
            let held = held_by.get(*term as usize).copied().unwrap_or(1).max(1);
            (1.0 + f64::from(*count).ln()) * (all / f64::from(held)).ln()
        };
        let length = counts.iter().map(|count| weigh(count).powi(2)).sum::<f64>().sqrt();
        if length > 0.0 {
            let share = std::f64::consts::FRAC_1_SQRT_2 / length;
            vector.extend(counts.iter().map(|count| (count.0, (weigh(count) * share) as f32)));
        }
    }
    vector.sort_unstable_by_key(|(term, _)| *term);
    vector
}

fn product(one: &[(u32, f32)], other: &[(u32, f32)]) -> f32 {
    let mut other = other.iter().peekable();
    let mut sum = 0.0;
    for (term, weight) in one {
        while other.next_if(|(next, _)| next < term).is_some() {}
        if let Some((_, with)) = other.next_if(|(next, _)| next == term) {
            sum += weight * with;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 4] = [
        "Fixed sleep in the test makes it flaky",
        "time.sleep(0.1) is patched, so the test is timing-dependent and flaky",
        "SQL injection through string concatenation in `findUser`",
        "The query in findUser is built by concatenating strings: an injection",
    ];

    #[test]
    fn two_wordings_of_one_thing_are_more_alike_than_two_things() {
        let texts = Texts::new(TEXTS);
        let bound = at_score(DEFAULT_SCORE);
        for (one, other) in [(0, 1), (2, 3)] {
            assert!(texts.likeness(one, other) > bound, "{}", texts.likeness(one, other));
        }
        for (one, other) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
            assert!(texts.likeness(one, other) < bound / 2.0);
        }
        assert!((texts.likeness(2, 2) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_index_finds_what_comparing_everything_finds_within_blocks() {
        let texts = Texts::new(TEXTS);
        let found = |blocks: &[u32]| -> Vec<(u32, u32)> {
            texts.pairs(blocks).iter().map(|pair| (pair.one, pair.other)).collect()
        };
        assert_eq!(found(&[0; 4]), [(0, 1), (2, 3)]);
        assert_eq!(found(&[0, 1, 2, 2]), [(2, 3)]);
        for pair in texts.pairs(&[0; 4]) {
            let exact = texts.likeness(pair.one as usize, pair.other as usize);
            assert!((f64::from(pair.likeness) - exact).abs() < 1e-6);
        }
    }

    #[test]
    fn the_scale_of_plans_runs_from_0_to_1_and_back() {
        assert_eq!((score(0.0), score(1.0)), (0.0, 1.0));
        assert!((score(MIDDLE) - DEFAULT_SCORE).abs() < 1e-12);
        for likeness in [0.01, 0.05, 0.12, 0.3, 0.9] {
            assert!((at_score(score(likeness)) - likeness).abs() < 1e-12);
        }
    }
}
