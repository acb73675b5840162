//! Graphs of calls, the same each time: who needs whom, how long each takes, and the
//! critical path, which is the limit.

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Positions of earlier calls.
    pub(crate) needs: Vec<usize>,
    /// What the server is told.
    pub(crate) prompt: String,
    /// In milliseconds.
    pub(crate) delay: u64,
}

/// So many calls that need nothing of each other.
pub(crate) fn independent(count: usize, script: &str, delay: u64) -> Vec<Node> {
    let node = |at| Node { needs: Vec::new(), prompt: format!("delay={delay} {script} call {at}"), delay };
    (0..count).map(node).collect()
}

/// So many calls, each of which needs the one before it.
pub(crate) fn chain(count: usize, delay: u64) -> Vec<Node> {
    let mut nodes = independent(count, "size=64", delay);
    for (at, node) in nodes.iter_mut().enumerate().skip(1) {
        node.needs = vec![at - 1];
    }
    nodes
}

/// Layers of calls that take 10 to 500 ms; each needs two of the layer before.
pub(crate) fn layered(layers: usize, wide: usize) -> Vec<Node> {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut nodes = Vec::with_capacity(layers * wide);
    for at in 0..layers * wide {
        let before = (at / wide).checked_sub(1).map(|layer| layer * wide);
        let delay = 10 + dice.below(491) as u64;
        let needs = before.map_or_else(Vec::new, |before| {
            let one = dice.below(wide);
            vec![before + one, before + (one + 1 + dice.below(wide - 1)) % wide]
        });
        nodes.push(Node { needs, prompt: format!("delay={delay} size=64 call {at}"), delay });
    }
    nodes
}

/// So many calls of which each needs `needs` earlier ones, not far away.
pub(crate) fn wide(count: usize, needs: usize) -> Vec<Node> {
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut nodes = independent(count, "size=64", 1);
    for (at, node) in nodes.iter_mut().enumerate().skip(1) {
        let first = at - 1 - dice.below(at.min(100));
        node.needs = (0..needs.min(at)).map(|step| (first + step * 37) % at).collect();
        node.needs.sort_unstable();
        node.needs.dedup();
    }
    nodes
}

/// The longest way through the graph, in seconds.
pub(crate) fn critical_path(nodes: &[Node]) -> f64 {
    let mut ends: Vec<u64> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let begins = node.needs.iter().filter_map(|need| ends.get(*need)).max().copied().unwrap_or(0);
        ends.push(begins + node.delay);
    }
    ends.into_iter().max().unwrap_or(0) as f64 / 1000.0
}

/// xorshift64*: chance that is the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap_or(0) % end.max(1)
    }
}
