//! Plan to call graph: edges, turns, critical path, and how many calls a plan can lead to.
