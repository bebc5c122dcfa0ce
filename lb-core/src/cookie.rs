//! Persistence by cookie (`cookie NAME ...`): read from requests, taken out where the server must not see it,
//! written into responses.
//!
//! Works on heads alone. Never here: which server is up, or what happens when it is not.

mod cacheable;
mod dates;
mod request;
mod response;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use cacheable::is_cacheable_with_cookie;
pub use dates::{Dates, Stale};
pub use request::Given;
pub use response::{CookieFate, Served};

use crate::config::CookieConfig;

/// What separates the server from the application's value in prefix mode.
const PREFIX_END: u8 = b'~';

/// The `cookie` line of a backend.
#[derive(Debug, Clone)]
pub struct CookiePolicy {
    config: CookieConfig,
}

impl CookiePolicy {
    /// For a `cookie` line.
    pub fn new(config: &CookieConfig) -> Self {
        let whole = |time: Option<Duration>| {
            let seconds = time?.as_nanos().div_ceil(1_000_000_000);
            let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
            (seconds > 0).then_some(Duration::from_secs(seconds))
        };
        let mut config = config.clone();
        config.max_idle = whole(config.max_idle);
        config.max_life = whole(config.max_life);
        Self { config }
    }

    /// Name of the cookie.
    pub fn name(&self) -> &str {
        &self.config.name
    }
}

/// A `name=value` pair in a cookie list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) name: &'a [u8],
    /// What follows `=`, if that is there.
    pub(crate) value: Option<&'a [u8]>,
    /// Where the pair begins and ends in the list, spaces around it included.
    start: usize,
    end: usize,
}

/// The pairs of a `Cookie` value, separated by semicolons or, as HAProxy reads it, commas. Inside double quotes, where a
/// backslash protects the next character, neither separates.
pub(crate) fn pairs(list: &[u8]) -> impl Iterator<Item = Pair<'_>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start >= list.len() {
            return None;
        }
        let (mut quoted, mut protected) = (false, false);
        let rest = list.get(start..)?;
        let length = rest
            .iter()
            .position(|&b| {
                quoted ^= b == b'"' && !protected;
                protected = b == b'\\' && quoted && !protected;
                matches!(b, b';' | b',') && !quoted
            })
            .unwrap_or(rest.len());
        let text = rest.get(..length)?.trim_ascii();
        let equals = text.iter().position(|&b| b == b'=');
        let (name, value) = text.split_at(equals.unwrap_or(text.len()));
        let pair = Pair {
            name: name.trim_ascii(),
            value: value.get(1..).map(<[u8]>::trim_ascii),
            start,
            end: start + length,
        };
        start += length + 1;
        Some(pair)
    })
}
