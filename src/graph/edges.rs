//! Edges between positions in two flat arrays (compressed sparse rows).
//!
//! Invariants: every target is a valid position; the targets of one position are sorted and
//! without duplicates.

/// One end of an edge, seen from the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The call at the other end, as a position in the plan.
    pub call: usize,
    /// True when data flows along it; false for order alone.
    pub data: bool,
}

/// For each position where its targets begin, and all targets in a row.
#[derive(Debug, Clone)]
pub(super) struct Edges {
    starts: Vec<u32>,
    targets: Vec<(u32, bool)>,
}

impl Edges {
    /// Edges among `count` positions from `(from, to, data)`, all below `count`, in any order.
    ///
    /// Parallel edges become one, which carries data if any of them does.
    pub(super) fn new(count: usize, mut pairs: Vec<(u32, u32, bool)>) -> Edges {
        pairs.sort_unstable();
        // Sorting puts the edge with data last among its equals.
        pairs.dedup_by(|later, kept| {
            let same = (later.0, later.1) == (kept.0, kept.1);
            kept.2 |= same && later.2;
            same
        });
        let mut starts = vec![0_u32; count + 1];
        for &(from, ..) in &pairs {
            starts[from as usize + 1] += 1;
        }
        for index in 0..count {
            starts[index + 1] += starts[index];
        }
        let targets = pairs.into_iter().map(|(_, to, data)| (to, data)).collect();
        Edges { starts, targets }
    }

    /// The same edges, each the other way round.
    pub(super) fn reversed(&self) -> Edges {
        let pairs = (0..self.len())
            .flat_map(|from| self.of(from).map(move |link| (link.call as u32, from as u32, link.data)));
        Edges::new(self.len(), pairs.collect())
    }

    /// How many positions there are.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The targets of one position, ascending; none for a position that does not exist.
    pub(super) fn of(&self, from: usize) -> impl ExactSizeIterator<Item = Link> + '_ {
        // A subagent stands nowhere in its plan: its position has no next one.
        let end = from.checked_add(1).and_then(|next| self.starts.get(next));
        let row = match (self.starts.get(from), end) {
            (Some(&start), Some(&end)) => &self.targets[start as usize..end as usize],
            _ => &[],
        };
        row.iter().map(|&(call, data)| Link { call: call as usize, data })
    }
}
