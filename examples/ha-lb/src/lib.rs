//! The reference daemon as a library, so that its parts can be tested from outside.

pub mod config;
