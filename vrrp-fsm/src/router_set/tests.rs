//! Tests of the set.
