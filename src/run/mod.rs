//! The parent: it starts calls, feeds results forward, and decides.
