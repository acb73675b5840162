//! Which of several things go together, where some pairs do not.
//!
//! Invariant: pure; a set that comes out has no clash in it and nothing can be added to it.

/// Beyond so many, not every set is listed.
const MANY: usize = 16;
/// So many sets are listed.
const LISTED: usize = 50;

/// The sets that cannot be made larger, the largest first, then by the order of what is in them.
pub(super) fn maximal(clash: &[Vec<bool>]) -> Vec<Vec<usize>> {
    let all: Vec<usize> = (0..clash.len()).collect();
    if all.is_empty() {
        return Vec::new();
    }
    if all.len() > MANY {
        return vec![greedy(clash, &all)];
    }
    let goes =
        |set: u32, at: usize| (0..clash.len()).all(|other| set & (1 << other) == 0 || !clash[at][other]);
    let fits = |set: &u32| (0..clash.len()).all(|at| set & (1 << at) == 0 || goes(*set & !(1 << at), at));
    let full = |set: &u32| (0..clash.len()).all(|at| set & (1 << at) != 0 || !goes(*set, at));
    let sets = (1..1_u32 << clash.len()).filter(fits).filter(full);
    let members = |set: u32| (0..clash.len()).filter(|at| set & (1 << at) != 0).collect::<Vec<_>>();
    let mut sets: Vec<Vec<usize>> = sets.map(members).collect();
    sets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    sets.truncate(LISTED);
    sets
}

/// The first of the largest.
pub(super) fn largest(sets: &[Vec<usize>]) -> Vec<usize> {
    sets.first().cloned().unwrap_or_default()
}

/// Each in this order that goes with all before it.
pub(super) fn greedy(clash: &[Vec<bool>], order: &[usize]) -> Vec<usize> {
    let mut taken: Vec<usize> = Vec::new();
    for at in order {
        if taken.iter().all(|other| !clash[*at][*other]) {
            taken.push(*at);
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_set_without_a_clash_comes_first_and_ties_go_by_order() {
        let clash = |pairs: &[(usize, usize)], count: usize| {
            let mut clash = vec![vec![false; count]; count];
            for (a, b) in pairs {
                clash[*a][*b] = true;
                clash[*b][*a] = true;
            }
            clash
        };
        assert_eq!(maximal(&clash(&[(0, 1), (0, 2)], 3)), [vec![1, 2], vec![0]]);
        assert_eq!(maximal(&clash(&[(0, 1)], 3)), [vec![0, 2], vec![1, 2]]);
        assert_eq!(maximal(&clash(&[], 2)), [vec![0, 1]]);
        assert_eq!(greedy(&clash(&[(0, 1)], 3), &[1, 0, 2]), [1, 2]);
        assert_eq!(maximal(&clash(&[(0, 1)], 20)).len(), 1);
    }
}
