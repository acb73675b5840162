//! The behaviour of `fanout`, from outside: one binary, split by what is shown.

mod interrupted;
mod layers;
mod order;
mod outcomes;
mod plans;
mod support;
mod terminal;
