//! Which items are the same: they agree on the key, and their words are close enough.
//!
//! Invariants: every item is in exactly one group; any two members of a group agree
//! on every field of the key; the groups do not depend on the order of the answers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::normalize::Normalize;
use super::item::{Item, all_text, text};
use super::key::{Key, Place};
use super::likeness::{self, Texts};
use super::linkage::{self, Node};
use super::position::{self, Span};

/// What decides.
#[derive(Debug)]
pub(super) struct Sameness {
    pub(super) key: Key,
    /// How close the words must be; `None` where the key alone decides.
    pub(super) similar: Option<Similar>,
    pub(super) normalize: Normalize,
}

/// The key `similar`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Similar {
    /// The texts that are compared; empty for the item itself.
    pub(super) on: Vec<String>,
    /// How close is close enough, on the scale of [`likeness::score`].
    pub(super) at: f64,
}

/// Items that are the same.
#[derive(Debug)]
pub(super) struct Group {
    /// Positions of the items, the one with the best wording first, then in plan order.
    pub(super) members: Vec<usize>,
    /// How close each member's words are to the first one's, 0 to 1, in the same order.
    pub(super) closeness: Vec<f64>,
}

/// How many different wordings are weighed against each other for the best one.
const WORDINGS: usize = 200;

impl Sameness {
    /// Groups the items; groups stand by their first member in plan order.
    pub(super) fn groups(&self, items: &[Item<'_>]) -> Vec<Group> {
        let values: Vec<&Value> = items.iter().map(|item| item.value).collect();
        let places = self.key.places(&values, &self.normalize);
        let on = self.similar.as_ref().map(|similar| similar.on.as_slice());
        let texts: Vec<Option<String>> = match on {
            Some(on) => values.iter().map(|value| text(value, on)).collect(),
            None => values.iter().map(|value| Some(all_text(value, &self.key))).collect(),
        };
        let nodes = self.nodes(items, &places, &texts);
        let words = Texts::new(nodes.iter().map(|node| node.text));
        let sorted = match &self.similar {
            Some(similar) => by_words(&nodes, &words, likeness::at_score(similar.at)),
            None => by_place(&nodes),
        };
        let mut groups: Vec<Group> =
            sorted.into_iter().map(|group| self.group(group, &nodes, &words)).collect();
        groups.sort_by_key(|group| group.members.iter().min().copied());
        groups
    }

    /// Items that are the same to the letter become one node; nodes are sorted by what they hold.
    fn nodes<'a>(
        &self,
        items: &[Item<'_>],
        places: &'a [Place],
        texts: &'a [Option<String>],
    ) -> Vec<Same<'a>> {
        let mut nodes: BTreeMap<(&str, &Span, String), Same<'a>> = BTreeMap::new();
        for (at, ((item, place), text)) in items.iter().zip(places).zip(texts).enumerate() {
            let said = match text {
                Some(text) => format!("t{}", self.normalize.text(text)),
                // Without words only the same item is the same.
                None => format!("v{}", self.normalize.key(item.value)),
            };
            let text = text.as_deref().unwrap_or_default();
            let node = nodes.entry((&place.block, &place.span, said)).or_insert_with(|| Same {
                members: Vec::new(),
                authors: Vec::new(),
                place,
                text,
            });
            node.members.push(at);
            // Of several spellings the least, whoever used it.
            node.text = node.text.min(text);
            let author = u32::try_from(item.voice).unwrap_or(u32::MAX);
            match node.authors.iter_mut().find(|(own, _)| *own == author) {
                Some((_, count)) => *count += 1,
                None => node.authors.push((author, 1)),
            }
        }
        nodes.into_values().collect()
    }

    /// Puts the member first whose words are closest to all the others'.
    fn group(&self, group: Vec<usize>, nodes: &[Same<'_>], words: &Texts) -> Group {
        let weight = |node: usize| nodes.get(node).map_or(0.0, |node| node.members.len() as f64);
        let first = |node: usize| nodes.get(node).and_then(|node| node.members.first()).copied();
        let heard = group.get(..WORDINGS).unwrap_or(&group);
        let central = |node: usize| -> f64 {
            heard
                .iter()
                .map(|other| weight(*other) * if *other == node { 1.0 } else { words.likeness(node, *other) })
                .sum()
        };
        let best = heard
            .iter()
            .map(|node| (*node, central(*node)))
            .max_by(|(a, x), (b, y)| x.total_cmp(y).then(first(*b).cmp(&first(*a))));
        let best = best.map_or(0, |(node, _)| node);
        let close = |node: usize| match &self.similar {
            Some(_) if node != best => likeness::score(words.likeness(best, node)),
            Some(_) | None => 1.0,
        };
        let mut members: Vec<(usize, f64)> = group
            .iter()
            .filter_map(|node| Some((nodes.get(*node)?, close(*node))))
            .flat_map(|(node, close)| node.members.iter().map(move |member| (*member, close)))
            .collect();
        let leader = first(best);
        members.sort_by_key(|(member, _)| (Some(*member) != leader, *member));
        let (members, closeness) = members.into_iter().unzip();
        Group { members, closeness }
    }
}

/// Items that are the same to the letter, but for what makes no difference.
#[derive(Debug)]
struct Same<'a> {
    /// Positions of the items, ascending.
    members: Vec<usize>,
    /// How many each author has.
    authors: Vec<(u32, u32)>,
    place: &'a Place,
    text: &'a str,
}

/// The number of the block that each node stands in.
fn blocks(nodes: &[Same<'_>]) -> Vec<u32> {
    let mut number = 0;
    let mut last: Option<&str> = None;
    let numbered = nodes.iter().map(|node| {
        if last.is_some_and(|last| last != node.place.block) {
            number += 1;
        }
        last = Some(&node.place.block);
        number
    });
    numbered.collect()
}

fn by_words(nodes: &[Same<'_>], words: &Texts, bound: f64) -> Vec<Vec<usize>> {
    let pairs = words.pairs(&blocks(nodes));
    let nodes: Vec<Node> = nodes
        .iter()
        .map(|node| Node { authors: node.authors.clone(), span: node.place.span.clone() })
        .collect();
    linkage::groups(&nodes, &pairs, bound)
}

fn by_place(nodes: &[Same<'_>]) -> Vec<Vec<usize>> {
    let spans: Vec<Span> = nodes.iter().map(|node| node.place.span.clone()).collect();
    let mut by_block: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (node, block) in blocks(nodes).into_iter().enumerate() {
        by_block.entry(block).or_default().push(node);
    }
    by_block.into_values().flat_map(|block| position::split(block, &spans)).collect()
}
