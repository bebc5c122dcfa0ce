//! HAProxy's statistics: what is counted ([`rows`], one after the other in [`walk`]), its columns and CSV
//! ([`columns`]), the forms that tell types ([`typed`]), `show info` ([`info`]), and the web page ([`page`], served by
//! [`service`] as [`options`] ask for it).

pub mod columns;
mod html;
pub mod info;
mod listeners;
pub mod options;
pub mod page;
pub mod rows;
pub mod service;
pub mod typed;
pub mod walk;
