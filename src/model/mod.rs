//! One request to a model, one stream of events back.

pub mod sse;
