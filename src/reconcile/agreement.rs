//! Who says the same: positions grouped by an equality key.
//!
//! Invariant: the groups partition the positions they are made from; members stand
//! in the order given, the largest group first, equals by their first member.

use indexmap::IndexMap;

/// Those that have one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// What they have in common.
    pub(super) key: String,
    /// Positions, in the order given. Never empty.
    pub(super) members: Vec<usize>,
}

impl Group {
    /// The member that stands for the group: the first.
    pub(super) fn first(&self) -> usize {
        self.members.first().copied().unwrap_or_default()
    }
}

/// Groups positions by key.
pub(super) fn groups(keyed: impl IntoIterator<Item = (usize, String)>) -> Vec<Group> {
    let mut by_key: IndexMap<String, Vec<usize>> = IndexMap::new();
    for (position, key) in keyed {
        by_key.entry(key).or_default().push(position);
    }
    let mut groups: Vec<Group> = by_key.into_iter().map(|(key, members)| Group { key, members }).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.members.len()));
    groups
}
