//! A matrix, multiplied out as GitHub Actions does it.
//!
//! Invariants: the combinations come in the order in which the axes and their values are
//! written, the last axis fastest; what `include` adds comes after them.

use serde_json::{Map, Value};

/// One combination: axis to value.
pub(super) type Combination = Map<String, Value>;

/// Multiplies the axes, leaves out what `exclude` matches, then applies `include`.
///
/// An entry of `exclude` matches where all of its keys have the same value. An entry of
/// `include` adds its keys to every combination of which it overwrites no axis; what was
/// added may be overwritten by a later entry. An entry that can be added to none becomes a
/// combination of its own, which no later entry adds to. (GitHub's documentation, "Running
/// variations of jobs in a workflow".)
pub(super) fn multiply(
    axes: &[(String, Vec<Value>)],
    include: &[Combination],
    exclude: &[Combination],
) -> Vec<Combination> {
    let mut combinations: Vec<Combination> = if axes.is_empty() { Vec::new() } else { vec![Map::new()] };
    for (axis, values) in axes {
        combinations = combinations
            .iter()
            .flat_map(|combination| {
                values.iter().map(|value| {
                    let mut more = combination.clone();
                    more.insert(axis.clone(), value.clone());
                    more
                })
            })
            .collect();
    }
    combinations.retain(|combination| {
        !exclude.iter().any(|entry| {
            !entry.is_empty() && entry.iter().all(|(key, value)| combination.get(key) == Some(value))
        })
    });
    let originals = combinations.clone();
    for entry in include {
        let mut added = false;
        for (combination, original) in combinations.iter_mut().zip(&originals) {
            if entry.iter().all(|(key, value)| original.get(key).is_none_or(|axis| axis == value)) {
                combination.extend(entry.clone());
                added = true;
            }
        }
        if !added {
            combinations.push(entry.clone());
        }
    }
    combinations
}

/// How many combinations the axes alone give, as far as can be counted.
pub(super) fn size(axes: &[(String, Vec<Value>)]) -> usize {
    axes.iter().fold(1_usize, |product, (_, values)| product.saturating_mul(values.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn axis(name: &str, values: Value) -> (String, Vec<Value>) {
        (name.to_owned(), values.as_array().unwrap().clone())
    }

    fn maps(list: Value) -> Vec<Combination> {
        list.as_array().unwrap().iter().map(|map| map.as_object().unwrap().clone()).collect()
    }

    #[test]
    fn include_expands_and_adds_as_in_githubs_own_example() {
        let axes = [axis("fruit", json!(["apple", "pear"])), axis("animal", json!(["cat", "dog"]))];
        let include = maps(json!([
            {"color": "green"},
            {"color": "pink", "animal": "cat"},
            {"fruit": "apple", "shape": "circle"},
            {"fruit": "banana"},
            {"fruit": "banana", "animal": "cat"}
        ]));
        assert_eq!(
            multiply(&axes, &include, &[]),
            maps(json!([
                {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
                {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
                {"fruit": "pear", "animal": "cat", "color": "pink"},
                {"fruit": "pear", "animal": "dog", "color": "green"},
                {"fruit": "banana"},
                {"fruit": "banana", "animal": "cat"}
            ]))
        );
    }

    #[test]
    fn exclude_matches_in_part_and_comes_before_include() {
        let axes = [
            axis("os", json!(["macos", "windows"])),
            axis("version", json!([12, 14, 16])),
            axis("environment", json!(["staging", "production"])),
        ];
        let exclude = maps(json!([
            {"os": "macos", "version": 12, "environment": "production"},
            {"os": "windows", "version": 16}
        ]));
        let left = multiply(&axes, &[], &exclude);
        assert_eq!(left.len(), 9, "GitHub's example runs nine jobs");
        let again = maps(json!([{"os": "windows", "version": 16, "environment": "staging"}]));
        let combinations = multiply(&axes, &again, &exclude);
        assert_eq!(combinations.len(), 10, "what is excluded can be included again");
    }

    #[test]
    fn include_alone_gives_one_combination_an_entry() {
        let include = maps(json!([{"site": "production"}, {"site": "staging"}]));
        assert_eq!(multiply(&[], &include, &[]), include);
    }

    #[test]
    fn the_last_axis_is_the_fastest_and_an_empty_one_leaves_nothing() {
        let axes = [axis("a", json!([1, 2])), axis("b", json!(["x", "y"]))];
        let order: Vec<String> =
            multiply(&axes, &[], &[]).iter().map(|c| format!("{}{}", c["a"], c["b"])).collect();
        assert_eq!(order, ["1\"x\"", "1\"y\"", "2\"x\"", "2\"y\""]);
        assert!(multiply(&[axis("a", json!([]))], &[], &[]).is_empty());
    }
}
