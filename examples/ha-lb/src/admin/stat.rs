//! HAProxy's statistics: what is counted ([`rows`]), its columns and CSV ([`columns`]), `show info` ([`info`]), and
//! the web page ([`page`], served by [`service`]).

pub mod columns;
pub mod info;
pub mod page;
pub mod rows;
pub mod service;
