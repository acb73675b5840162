//! Calls that need each other: one cycle for each knot, printed as `a → b → a`.
//!
//! Invariant: no recursion; the time is linear in calls and needs, and the cycle shown
//! for a knot is a shortest one through the first of its calls that is on one.

use std::collections::VecDeque;

use super::needs::Edges;
use crate::plan::code;
use crate::plan::diagnostic::Diagnostic;
use crate::plan::load::Load;

/// Reports every knot of calls that need each other.
pub(super) fn refuse(load: &mut Load<'_>, edges: &Edges) {
    for cycle in cycles(edges) {
        let names: Vec<&str> = cycle
            .iter()
            .chain(cycle.first())
            .filter_map(|position| edges.calls.get(*position).map(|call| call.id.as_str()))
            .collect();
        let shown = if names.len() > 12 {
            let (first, last) = (names.get(..10).unwrap_or(&[]), names.last().copied().unwrap_or(""));
            format!("{} → … ({} more) → {last}", first.join(" → "), names.len() - 11)
        } else {
            names.join(" → ")
        };
        // The call on the left of an arrow needs the one on its right.
        let mut places =
            cycle.iter().zip(cycle.iter().skip(1).chain(cycle.first())).filter_map(|(from, to)| {
                let call = edges.calls.get(*from)?;
                let (_, at) = call.needs.iter().find(|(need, _)| need == to)?;
                Some((*at, format!("`{}` needs `{}` here", call.id, edges.calls.get(*to)?.id)))
            });
        let Some((at, label)) = places.next() else { continue };
        let mut fault = Diagnostic::error(code::CYCLE, at, format!("these calls need each other: {shown}"));
        fault.label = label;
        fault.related = places.take(11).collect();
        load.fault(fault.help("remove one of these needs: nothing of this could ever start"));
    }
}

/// One cycle of each strongly connected component with more than one call, as positions.
fn cycles(edges: &Edges) -> Vec<Vec<usize>> {
    components(edges)
        .into_iter()
        .filter(|component| component.len() > 1)
        .map(|c| shortest(edges, &c))
        .collect()
}

/// Tarjan's strongly connected components, with a stack of our own.
fn components(edges: &Edges) -> Vec<Vec<usize>> {
    const NEW: usize = usize::MAX;
    let count = edges.calls.len();
    let (mut index, mut low, mut on_stack) = (vec![NEW; count], vec![NEW; count], vec![false; count]);
    let (mut stack, mut next, mut found) = (Vec::new(), 0, Vec::new());
    for root in 0..count {
        if index.get(root) != Some(&NEW) {
            continue;
        }
        let mut work: Vec<(usize, usize)> = vec![(root, 0)];
        while let Some((node, edge)) = work.pop() {
            if edge == 0 {
                set(&mut index, node, next);
                set(&mut low, node, next);
                set(&mut on_stack, node, true);
                stack.push(node);
                next += 1;
            }
            let needs = edges.calls.get(node).map_or(&[][..], |call| &call.needs);
            if let Some((need, _)) = needs.get(edge) {
                work.push((node, edge + 1));
                if get(&index, *need, 0) == NEW {
                    work.push((*need, 0));
                } else if get(&on_stack, *need, false) {
                    let lowest = get(&low, node, NEW).min(get(&index, *need, NEW));
                    set(&mut low, node, lowest);
                }
                continue;
            }
            if let Some((parent, _)) = work.last() {
                let lowest = get(&low, *parent, NEW).min(get(&low, node, NEW));
                set(&mut low, *parent, lowest);
            }
            if get(&low, node, NEW) == get(&index, node, 0) {
                let mut component = Vec::new();
                while let Some(member) = stack.pop() {
                    set(&mut on_stack, member, false);
                    component.push(member);
                    if member == node {
                        break;
                    }
                }
                component.sort_unstable();
                found.push(component);
            }
        }
    }
    found.sort();
    found
}

/// A shortest cycle through the first call of a component, found breadth first.
fn shortest(edges: &Edges, component: &[usize]) -> Vec<usize> {
    let Some(start) = component.first().copied() else { return Vec::new() };
    let slot = |call: usize| component.binary_search(&call).ok();
    let mut from: Vec<Option<usize>> = vec![None; component.len()];
    let mut queue = VecDeque::from([start]);
    while let Some(call) = queue.pop_front() {
        for (need, _) in edges.calls.get(call).map_or(&[][..], |call| &call.needs) {
            if *need == start {
                let mut cycle = vec![call];
                let mut at = call;
                while at != start {
                    let Some(before) = slot(at).and_then(|slot| get(&from, slot, None)) else { break };
                    cycle.push(before);
                    at = before;
                }
                cycle.reverse();
                return cycle;
            }
            if let Some(slot) = slot(*need).filter(|slot| get(&from, *slot, None).is_none()) {
                set(&mut from, slot, Some(call));
                queue.push_back(*need);
            }
        }
    }
    Vec::new()
}

fn get<T: Copy>(list: &[T], at: usize, otherwise: T) -> T {
    list.get(at).copied().unwrap_or(otherwise)
}

fn set<T>(list: &mut [T], at: usize, value: T) {
    if let Some(slot) = list.get_mut(at) {
        *slot = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::check::needs::CallEdges;
    use crate::plan::diagnostic::Span;
    use proptest::prelude::*;

    fn edges(needs: &[Vec<usize>]) -> Edges {
        let call = |needs: &Vec<usize>| CallEdges {
            needs: needs.iter().map(|need| (*need, Span::default())).collect(),
            ..CallEdges::default()
        };
        Edges { calls: needs.iter().map(call).collect() }
    }

    #[test]
    fn each_knot_is_shown_once_by_a_shortest_cycle() {
        // 0 → 1 → 2 → 0 with the short way 0 → 2; 3 ⇄ 4; 5 needs 3 and is on no cycle.
        let graph = edges(&[vec![1, 2], vec![2], vec![0], vec![4], vec![3], vec![3]]);
        assert_eq!(cycles(&graph), [vec![0, 2], vec![3, 4]]);
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_has_no_cycle_and_closing_it_makes_one() {
        let mut chain: Vec<Vec<usize>> =
            (0..100_000).map(|n| if n == 0 { vec![] } else { vec![n - 1] }).collect();
        assert_eq!(cycles(&edges(&chain)), Vec::<Vec<usize>>::new());
        chain[0] = vec![99_999];
        assert_eq!(cycles(&edges(&chain))[0].len(), 100_000);
    }

    proptest! {
        /// The oracle: a graph has a cycle exactly when not all of it can be taken away leaf by leaf.
        #[test]
        fn a_cycle_is_found_exactly_where_there_is_one(
            needs in prop::collection::vec(prop::collection::vec(0_usize..12, 0..3), 12)
        ) {
            let needs: Vec<Vec<usize>> =
                needs.into_iter().enumerate().map(|(n, list)| list.into_iter().filter(|x| *x != n).collect()).collect();
            let mut left: Vec<usize> = (0..12).collect();
            loop {
                let before = left.len();
                let kept = left.clone();
                left.retain(|n| needs[*n].iter().any(|need| kept.contains(need)));
                if left.len() == before { break }
            }
            let found = cycles(&edges(&needs));
            prop_assert_eq!(found.is_empty(), left.is_empty());
            for cycle in found {
                for (from, to) in cycle.iter().zip(cycle.iter().skip(1).chain(cycle.first())) {
                    prop_assert!(needs[*from].contains(to), "{:?} is no cycle", cycle);
                }
            }
        }
    }
}
