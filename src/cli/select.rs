//! `--only`: which calls of a plan may start.

use std::collections::HashSet;

use super::Complaint;
use crate::graph::CallGraph;
use crate::id::CallId;
use crate::plan::Plan;

/// What `--only` selects: the named calls and everything they need.
///
/// # Errors
/// [`Complaint`] for a name that is neither a call nor a tag.
pub fn selection(
    plan: &Plan,
    graph: &CallGraph,
    only: &[String],
) -> Result<Option<HashSet<CallId>>, Complaint> {
    if only.is_empty() {
        return Ok(None);
    }
    let mut wanted: Vec<usize> = Vec::new();
    for name in only {
        let found: Vec<usize> = match name.strip_prefix("tag:") {
            Some(tag) => {
                (0..plan.calls.len()).filter(|at| plan.calls[*at].tags.iter().any(|t| t == tag)).collect()
            }
            None => plan.position(name).into_iter().collect(),
        };
        if found.is_empty() {
            return Err(Complaint::usage(format!("--only {name}: the plan has no such call or tag")));
        }
        wanted.extend(found);
    }
    let mut selected = vec![false; plan.calls.len()];
    while let Some(call) = wanted.pop() {
        if !std::mem::replace(&mut selected[call], true) {
            wanted.extend(graph.needs(call).map(|need| need.call));
        }
    }
    let ids =
        plan.calls.iter().zip(selected).filter(|(_, selected)| *selected).map(|(call, _)| call.id.clone());
    Ok(Some(ids.collect()))
}
