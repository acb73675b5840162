//! Outcomes to one result, computed in the parent: agreement, conflicts, provenance.
