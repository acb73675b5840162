//! The graph against naive oracles, and its shape on plans that people write.

use proptest::prelude::*;

use super::sample::{self, Sample};
use super::*;
use crate::plan::{Accept, Call, Need};

fn tour() -> Plan {
    Sample::new()
        .run("client", "npm run generate-client")
        .background("client")
        .prompt("graph", "Map the call graph.")
        .prompt("history", "Summarise every commit.")
        .prompt("diff", "Given {{ calls.graph.output }} diff each function.")
        .build()
}

/// A plan of bare calls with the given `(call, need)` edges.
fn plan_of(count: usize, edges: &[(usize, usize)]) -> Plan {
    let mut plan = Sample::new().run("c0", "true").build();
    let first = plan.calls[0].clone();
    plan.calls = (0..count)
        .map(|n| Call { id: crate::id::CallId::parse(&format!("c{n}")).unwrap(), ..first.clone() })
        .collect();
    for &(call, need) in edges {
        plan.calls[call].needs.push(Need {
            call: need,
            accept: Accept::Success,
            at: Default::default(),
            data: true,
        });
    }
    plan
}

#[test]
fn the_tour_has_two_turns_and_its_background_call_is_in_the_first() {
    let graph = CallGraph::of(&tour());
    assert_eq!(graph.turns(), vec![vec![0, 1, 2], vec![3]]);
    assert_eq!((0..5).map(|call| graph.turn(call)).collect::<Vec<_>>(), [1, 1, 1, 2, 0]);
    assert_eq!(graph.longest_chain(), [1, 3]);
    assert_eq!(graph.needs(3).collect::<Vec<_>>(), [Link { call: 1, data: true }]);
    assert_eq!(graph.dependents(1).collect::<Vec<_>>(), [Link { call: 3, data: true }]);
    assert_eq!(graph.roots().collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(graph.sinks().collect::<Vec<_>>(), [0, 2, 3]);
    assert_eq!(graph.consumers(1).collect::<Vec<_>>(), [3]);
    assert_eq!(graph.needs(99).len(), 0);
}

#[test]
fn a_plan_without_calls_has_no_turns() {
    let graph = CallGraph::of(&Sample::new().build());
    assert_eq!(graph.turns(), Vec::<Vec<usize>>::new());
    assert_eq!(graph.turn_count(), 0);
    assert_eq!(graph.longest_chain(), Vec::<usize>::new());
}

#[test]
fn a_need_written_twice_is_one_edge_and_carries_data_if_either_does() {
    let plan = Sample::new().run("a", "true").prompt("b", "{{ calls.a.output }}").needs("b", "a").build();
    let graph = CallGraph::of(&plan);
    assert_eq!(graph.needs(1).collect::<Vec<_>>(), [Link { call: 0, data: true }]);
    let ordered = Sample::new().run("a", "true").run("b", "true").needs("b", "a").build();
    let graph = CallGraph::of(&ordered);
    assert_eq!(graph.needs(1).collect::<Vec<_>>(), [Link { call: 0, data: false }]);
    assert_eq!(graph.consumers(0).count(), 0);
}

#[test]
fn a_parent_step_in_the_middle_comes_after_what_it_reads() {
    let plan = Sample::new()
        .run("a", "true")
        .run("b", "true")
        .reconcile("r", &["a", "b"], sample::strategy("compare"))
        .build();
    let graph = CallGraph::of(&plan);
    assert_eq!(graph.turns(), vec![vec![0, 1], vec![2]]);
    assert_eq!(graph.consumers(0).collect::<Vec<_>>(), [2]);
}

#[test]
fn the_critical_path_follows_the_durations_and_not_the_count() {
    let plan = plan_of(5, &[(1, 0), (2, 1), (4, 3)]);
    let graph = CallGraph::of(&plan);
    assert_eq!(graph.longest_chain(), [0, 1, 2]);
    let slow_third = |call| Duration::from_secs(if call == 3 { 100 } else { 1 });
    assert_eq!(graph.critical_path(&slow_third), [3, 4]);
}

#[test]
fn a_chain_of_100_000_calls_does_not_overflow_the_stack() {
    let edges: Vec<_> = (1..100_000).flat_map(|n| [(n, n - 1), (n, n / 2)]).collect();
    let graph = CallGraph::of(&plan_of(100_000, &edges));
    assert_eq!(graph.turn_count(), 100_000);
    assert_eq!(graph.longest_chain(), (0..100_000).collect::<Vec<_>>());
}

/// A random graph without cycles whose plan order is not a topological order.
fn random_dag(most: usize) -> impl proptest::strategy::Strategy<Value = (Vec<usize>, Vec<(usize, usize)>)> {
    (1..=most).prop_flat_map(|count| {
        let edges = prop::collection::vec((0..count, 0..count), 0..count * 3);
        (Just((0..count).collect::<Vec<_>>()).prop_shuffle(), edges)
    })
}

/// Edges from later to earlier by rank, as `(call, need)`.
fn acyclic(rank: &[usize], edges: &[(usize, usize)]) -> Vec<(usize, usize)> {
    (edges.iter().filter(|(a, b)| a != b))
        .map(|&(a, b)| if rank[a] > rank[b] { (a, b) } else { (b, a) })
        .collect()
}

fn depth(call: usize, edges: &[(usize, usize)]) -> u32 {
    let needs = edges.iter().filter(|edge| edge.0 == call);
    1 + needs.map(|edge| depth(edge.1, edges)).max().unwrap_or(0)
}

/// Every chain that starts anywhere and ends nowhere in particular.
fn chains(count: usize, edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = (0..count).map(|call| vec![call]).collect();
    let mut next = 0;
    while next < all.len() {
        let chain = all[next].clone();
        let mut onward: Vec<usize> =
            edges.iter().filter(|edge| edge.1 == chain[chain.len() - 1]).map(|edge| edge.0).collect();
        onward.sort_unstable();
        onward.dedup();
        all.extend(onward.into_iter().map(|call| chain.iter().copied().chain([call]).collect()));
        next += 1;
    }
    all
}

proptest! {
    #[test]
    fn a_turn_is_the_longest_path_by_a_naive_oracle((rank, edges) in random_dag(12)) {
        let edges = acyclic(&rank, &edges);
        let graph = CallGraph::of(&plan_of(rank.len(), &edges));
        for call in 0..rank.len() {
            prop_assert_eq!(graph.turn(call), depth(call, &edges));
        }
        let mut seen: Vec<usize> = graph.turns().concat();
        prop_assert_eq!(&seen, &graph.order().collect::<Vec<_>>());
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..rank.len()).collect::<Vec<_>>());
        for (number, turn) in graph.turns().iter().enumerate() {
            prop_assert!(turn.is_sorted());
            prop_assert!(turn.iter().all(|&call| graph.turn(call) as usize == number + 1));
        }
    }

    #[test]
    fn both_directions_tell_the_same_edges((rank, edges) in random_dag(12)) {
        let edges = acyclic(&rank, &edges);
        let graph = CallGraph::of(&plan_of(rank.len(), &edges));
        let mut given = edges;
        given.sort_unstable();
        given.dedup();
        let up: Vec<_> = (0..rank.len()).flat_map(|a| graph.needs(a).map(move |l| (a, l.call)).collect::<Vec<_>>()).collect();
        let mut down: Vec<_> = (0..rank.len()).flat_map(|b| graph.dependents(b).map(move |l| (l.call, b)).collect::<Vec<_>>()).collect();
        down.sort_unstable();
        prop_assert_eq!(&up, &given);
        prop_assert_eq!(&down, &given);
    }

    #[test]
    fn the_critical_path_is_a_heaviest_chain_by_brute_force(
        (rank, edges) in random_dag(8),
        weights in prop::collection::vec(0_u64..5, 8),
    ) {
        let edges = acyclic(&rank, &edges);
        let graph = CallGraph::of(&plan_of(rank.len(), &edges));
        let weigh = |chain: &[usize]| (chain.iter().map(|&call| weights[call]).sum::<u64>(), chain.len());
        let heaviest = chains(rank.len(), &edges).iter().map(|chain| weigh(chain)).max();
        let path = graph.critical_path(&|call| Duration::from_secs(weights[call]));
        prop_assert_eq!(Some(weigh(&path)), heaviest);
        prop_assert!(path.windows(2).all(|pair| edges.contains(&(pair[1], pair[0]))));
        let longest = chains(rank.len(), &edges).iter().map(Vec::len).max();
        prop_assert_eq!(Some(graph.longest_chain().len()), longest);
    }
}
