//! Rankings to one ranking: Copeland's method, and Borda's count where that leaves a tie.
//!
//! Copeland: an item gets a point for every other item that more weight ranks below
//! it than above it, and half a point where it is even. An item that beats every
//! other one therefore always wins (Condorcet). Borda: an item gets from every
//! ranking as many points as it has items below it. An item that a ranking does
//! not list stands below all that it lists, level with the others it leaves out.

use indexmap::IndexMap;
use serde_json::Value;

use super::super::normalize::Normalize;

/// Differences smaller than this are none.
const HAIR: f64 = 1e-9;

/// One voice's ranking.
#[derive(Debug, Clone)]
pub(super) struct Ranking {
    /// Position among the panel's voices.
    pub(super) voice: usize,
    /// Its items, best first.
    pub(super) items: Vec<Value>,
    /// What its vote weighs.
    pub(super) weight: f64,
}

/// One item with how it fared against the others.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    /// As the first who listed it put it.
    pub(super) value: Value,
    /// Others that it beats.
    pub(super) wins: usize,
    /// Others that beat it.
    pub(super) losses: usize,
    /// Others with which it is even.
    pub(super) draws: usize,
    /// Its Borda count.
    pub(super) points: f64,
    /// Who listed it, in plan order.
    pub(super) by: Vec<usize>,
    /// Where each ranking has it, by position of the ranking; `None` where it is not listed.
    places: Vec<Option<usize>>,
}

impl Item {
    /// Twice its Copeland score, so that it is whole.
    fn copeland(&self) -> usize {
        2 * self.wins + self.draws
    }

    /// True when neither score tells the two apart.
    pub(super) fn is_level_with(&self, other: &Item) -> bool {
        self.copeland() == other.copeland() && (self.points - other.points).abs() < HAIR
    }

    /// Where the ranking at that position has it; last for one that does not list it.
    pub(super) fn place(&self, ranking: usize) -> usize {
        self.places.get(ranking).copied().flatten().unwrap_or(usize::MAX)
    }
}

/// All items that anybody listed, best first; level ones in the order in which they were first listed.
pub(super) fn rank(rankings: &[Ranking], normalize: &Normalize) -> Vec<Item> {
    let mut items: IndexMap<String, Item> = IndexMap::new();
    for (number, ranking) in rankings.iter().enumerate() {
        for (place, value) in ranking.items.iter().enumerate() {
            let item = items.entry(normalize.key(value)).or_insert_with(|| Item {
                value: value.clone(),
                wins: 0,
                losses: 0,
                draws: 0,
                points: 0.0,
                by: Vec::new(),
                places: vec![None; rankings.len()],
            });
            // An item that is listed twice stands where it is listed first.
            if let Some(stands) = item.places.get_mut(number).filter(|stands| stands.is_none()) {
                *stands = Some(place);
                item.by.push(ranking.voice);
            }
        }
    }
    let mut items: Vec<Item> = items.into_values().collect();
    let places: Vec<Vec<Option<usize>>> = items.iter().map(|item| item.places.clone()).collect();
    for (at, item) in items.iter_mut().enumerate() {
        for (_, other) in places.iter().enumerate().filter(|(other, _)| *other != at) {
            let mut lead = 0.0;
            for ((ranking, own), its) in rankings.iter().zip(&item.places).zip(other) {
                let (own, its) = (own.unwrap_or(usize::MAX), its.unwrap_or(usize::MAX));
                let (sign, points) = match own.cmp(&its) {
                    std::cmp::Ordering::Less => (1.0, 1.0),
                    std::cmp::Ordering::Equal => (0.0, 0.5),
                    std::cmp::Ordering::Greater => (-1.0, 0.0),
                };
                lead += sign * ranking.weight;
                item.points += points * ranking.weight;
            }
            if lead > HAIR {
                item.wins += 1;
            } else if lead < -HAIR {
                item.losses += 1;
            } else {
                item.draws += 1;
            }
        }
    }
    items.sort_by(|a, b| {
        let points = match (a.points - b.points).abs() < HAIR {
            true => std::cmp::Ordering::Equal,
            false => b.points.total_cmp(&a.points),
        };
        b.copeland().cmp(&a.copeland()).then(points)
    });
    items
}

/// How far the rankings agree: over all pairs of items, the mean share of weight that ranks the
/// pair as most do; 1 when all agree, from 0.5 when they are at odds. 1 for fewer than two items.
pub(super) fn concord(rankings: &[Ranking], items: &[Item]) -> f64 {
    let (mut sum, mut pairs) = (0.0, 0.0);
    for (at, one) in items.iter().enumerate() {
        for other in items.iter().skip(at + 1) {
            let (mut over, mut under) = (0.0, 0.0);
            for (number, ranking) in rankings.iter().enumerate() {
                match one.place(number).cmp(&other.place(number)) {
                    std::cmp::Ordering::Less => over += ranking.weight,
                    std::cmp::Ordering::Greater => under += ranking.weight,
                    std::cmp::Ordering::Equal => {}
                }
            }
            if over + under > HAIR {
                sum += over.max(under) / (over + under);
                pairs += 1.0;
            }
        }
    }
    if pairs == 0.0 { 1.0 } else { sum / pairs }
}
