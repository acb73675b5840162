//! Advice on plans.
