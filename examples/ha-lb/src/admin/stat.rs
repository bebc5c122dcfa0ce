//! HAProxy's statistics.

pub mod columns;
