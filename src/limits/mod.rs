//! How much may go on at once, and how long to wait before trying again.

pub mod backoff;
pub mod places;
