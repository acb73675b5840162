//! What people look at: folds over the events of a run, live or old.
