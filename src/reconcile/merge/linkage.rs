//! Groups of items that are about one thing: the most alike are joined first.
//!
//! Two groups are as alike as their items are on average, less an allowance that
//! shrinks with the number of pairs behind the average: two texts alone must be more
//! alike than two groups whose many pairs all say the same. One author who says two
//! things means two things, so a pair of one author counts as not alike at all, unless
//! the words are nearly the same. Invariants: every node is in exactly one group; nodes
//! whose positions are too far apart are never in one group; the groups depend on the
//! nodes, not on the order of equals.

use std::collections::{BinaryHeap, HashMap};

use super::likeness::Pair;
use super::position::Span;

/// From this likeness on the words are nearly the same: an author has repeated himself.
const REPEATED: f64 = 0.8;
/// What the likeness of a single pair must exceed the bound by.
const ALLOWANCE: f64 = 0.1;

/// Items that are the same to the letter.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    /// How many items each author has here, by author.
    pub(super) authors: Vec<(u32, u32)>,
    /// Where they stand.
    pub(super) span: Span,
}

/// A group under construction.
#[derive(Debug, Clone)]
struct Group {
    nodes: Vec<usize>,
    authors: Vec<(u32, u32)>,
    span: Span,
    size: f64,
    /// Sum of the likeness of all pairs with the items of another group.
    near: HashMap<usize, f64>,
}

/// Joins nodes while the likeness of some two groups reaches `bound`.
///
/// Each group lists its nodes in ascending order; groups stand by their first node.
pub(super) fn groups(nodes: &[Node], pairs: &[Pair], bound: f64) -> Vec<Vec<usize>> {
    let mut groups: Vec<Option<Group>> = nodes
        .iter()
        .enumerate()
        .map(|(at, node)| {
            let size = node.authors.iter().map(|(_, count)| f64::from(*count)).sum::<f64>().max(1.0);
            let authors = node.authors.clone();
            Some(Group { nodes: vec![at], authors, span: node.span.clone(), size, near: HashMap::new() })
        })
        .collect();
    for pair in pairs {
        let (one, other) = (pair.one as usize, pair.other as usize);
        let (Some(Some(a)), Some(Some(b))) = (groups.get(one), groups.get(other)) else { continue };
        let likeness = f64::from(pair.likeness);
        let meant_apart = if likeness < REPEATED { shared(a, b) } else { 0.0 };
        let sum = likeness * (a.size * b.size - meant_apart);
        for (at, with) in [(one, other), (other, one)] {
            if let Some(Some(group)) = groups.get_mut(at) {
                group.near.insert(with, sum);
            }
        }
    }
    let mut queue: BinaryHeap<Candidate> = BinaryHeap::new();
    for pair in pairs {
        queue.extend(candidate(&groups, pair.one as usize, pair.other as usize, bound));
    }
    while let Some(Candidate { one, other, sizes, .. }) = queue.pop() {
        // Entries are not taken out when a group grows: one of another size is out of date.
        let size = |at: usize| groups.get(at).and_then(Option::as_ref).map(|group| group.nodes.len());
        if (size(one), size(other)) != (Some(sizes.0), Some(sizes.1)) {
            continue;
        }
        for next in join(&mut groups, one, other) {
            queue.extend(candidate(&groups, one.min(next), one.max(next), bound));
        }
    }
    let done = groups.into_iter().flatten();
    done.map(|mut group| {
        group.nodes.sort_unstable();
        group.nodes
    })
    .collect()
}

/// Moves `other` into `one`, which is the earlier; gives the neighbours of the joined group.
fn join(groups: &mut [Option<Group>], one: usize, other: usize) -> Vec<usize> {
    let Some(moved) = groups.get_mut(other).and_then(Option::take) else { return Vec::new() };
    for (neighbour, sum) in &moved.near {
        if let Some(Some(group)) = groups.get_mut(*neighbour) {
            group.near.remove(&other);
            if *neighbour != one {
                *group.near.entry(one).or_default() += sum;
            }
        }
    }
    let Some(Some(kept)) = groups.get_mut(one) else { return Vec::new() };
    for (neighbour, sum) in moved.near {
        if neighbour != one {
            *kept.near.entry(neighbour).or_default() += sum;
        }
    }
    kept.nodes.extend(moved.nodes);
    for (author, count) in moved.authors {
        match kept.authors.iter_mut().find(|(own, _)| *own == author) {
            Some((_, own)) => *own += count,
            None => kept.authors.push((author, count)),
        }
    }
    kept.span.widen(&moved.span);
    kept.size += moved.size;
    kept.near.keys().copied().collect()
}

/// How many pairs between two groups are of one author.
fn shared(a: &Group, b: &Group) -> f64 {
    let of_both = a.authors.iter().filter_map(|(author, count)| {
        let other = b.authors.iter().find(|(other, _)| other == author)?;
        Some(f64::from(*count) * f64::from(other.1))
    });
    of_both.sum()
}

/// Two groups that may be joined, unless one of them has grown since.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate {
    score: f64,
    one: usize,
    other: usize,
    sizes: (usize, usize),
}

fn candidate(groups: &[Option<Group>], one: usize, other: usize, bound: f64) -> Option<Candidate> {
    let (a, b) = (groups.get(one)?.as_ref()?, groups.get(other)?.as_ref()?);
    let count = a.size * b.size;
    let score = a.near.get(&other)? / count - ALLOWANCE / count.sqrt();
    let fits = score >= bound && a.span.fits(&b.span);
    fits.then_some(Candidate { score, one, other, sizes: (a.nodes.len(), b.nodes.len()) })
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Candidate) -> std::cmp::Ordering {
        // The queue gives the greatest: the highest score, of equals the earliest groups.
        let earlier = (other.one, other.other, other.sizes).cmp(&(self.one, self.other, self.sizes));
        self.score.total_cmp(&other.score).then(earlier)
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Candidate) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(authors: &[u32]) -> Vec<Node> {
        authors.iter().map(|author| Node { authors: vec![(*author, 1)], span: Span::default() }).collect()
    }

    fn pair(one: u32, other: u32, likeness: f32) -> Pair {
        Pair { one, other, likeness }
    }

    #[test]
    fn two_alone_must_be_more_alike_than_two_of_many() {
        assert_eq!(groups(&nodes(&[0, 1]), &[pair(0, 1, 0.22)], 0.13), [vec![0], vec![1]]);
        assert_eq!(groups(&nodes(&[0, 1]), &[pair(0, 1, 0.24)], 0.13), [vec![0, 1]]);
        let all = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)];
        let pairs = all.map(|(a, b)| pair(a, b, if (a, b) == (0, 1) { 0.3 } else { 0.21 }));
        assert_eq!(groups(&nodes(&[0, 1, 2, 3]), &pairs, 0.13), [vec![0, 1, 2, 3]]);
    }

    #[test]
    fn one_author_is_taken_to_mean_two_things_unless_the_words_are_nearly_the_same() {
        assert_eq!(groups(&nodes(&[0, 0]), &[pair(0, 1, 0.7)], 0.13), [vec![0], vec![1]]);
        assert_eq!(groups(&nodes(&[0, 0]), &[pair(0, 1, 0.9)], 0.13), [vec![0, 1]]);
    }

    #[test]
    fn what_two_authors_both_say_twice_is_two_things_however_alike() {
        // Authors 0 and 1 both say both things; each thing's two wordings are a little more alike.
        let pairs = [(0, 1, 0.6), (2, 3, 0.6), (0, 2, 0.5), (0, 3, 0.5), (1, 2, 0.5), (1, 3, 0.5)];
        let pairs = pairs.map(|(a, b, likeness)| pair(a, b, likeness));
        assert_eq!(groups(&nodes(&[0, 1, 0, 1]), &pairs, 0.25), [vec![0, 1], vec![2, 3]]);
        let four = groups(&nodes(&[0, 1, 2, 3]), &pairs, 0.25);
        assert_eq!(four, [vec![0, 1, 2, 3]], "of four authors it is one thing");
    }

    #[test]
    fn a_chain_of_near_ones_does_not_draw_in_the_far_end() {
        let chain = [pair(0, 1, 0.5), pair(1, 2, 0.4)];
        assert_eq!(groups(&nodes(&[0, 1, 2]), &chain, 0.13), [vec![0, 1], vec![2]]);
    }
}
