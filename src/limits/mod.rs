//! How much may go on at once, how fast, and for how much; and how long to wait before trying again.

pub mod backoff;
pub mod budget;
pub mod estimate;
pub mod gate;
pub mod gates;
pub mod history;
pub mod places;
pub mod price;
pub mod seat;
