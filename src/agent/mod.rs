//! One prompt in, one answer out: a model in this process, or a program of its own.
