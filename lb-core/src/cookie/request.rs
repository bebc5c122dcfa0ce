//! Cookies of requests.

use std::time::Duration;

use super::{CookiePolicy, Dates, PREFIX_END, Stale, dates::DATE_BEGIN, pairs};
use crate::head::{HeadMut, HeadRef};

/// The persistence cookie of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// What names the server.
    pub value: Vec<u8>,
    /// When the client was seen.
    pub dates: Dates,
    /// It counts no longer.
    pub stale: Option<Stale>,
}

impl CookiePolicy {
    /// The server that the request's cookie names: the value to look servers up by. In prefix mode the part
    /// before `~`. `now` is Unix time.
    pub fn find(&self, request: HeadRef<'_>, now: Duration) -> Option<Given> {
        let name = self.config.name.as_bytes();
        let text = request
            .values(b"cookie")
            .flat_map(pairs)
            .find(|pair| pair.name == name)?
            .value
            .unwrap_or_default();
        let end = match self.config.prefix {
            true => PREFIX_END,
            false => DATE_BEGIN,
        };
        let mut parts = text.splitn(2, |&b| b == end);
        let value = parts.next().unwrap_or_default().to_vec();
        let dates = match parts.next() {
            Some(dates) if !self.config.prefix => Dates::read(dates),
            _ => Dates::default(),
        };
        let stale = dates.stale(&self.config, now.as_secs());
        Some(Given {
            value,
            dates: if stale.is_some() {
                Dates::default()
            } else {
                dates
            },
            stale,
        })
    }

    /// Takes out of the request what the server must not see: the whole cookie with `indirect`, the server's
    /// name in prefix mode. Called once the server is known.
    pub fn clean_request(&self, request: &mut HeadMut<'_>) {
        if !(self.config.prefix || self.config.indirect && self.config.insert) {
            return;
        }
        let cleaned: Vec<(usize, Vec<u8>)> = request
            .as_ref()
            .fields()
            .enumerate()
            .filter(|(_, (name, _))| name.eq_ignore_ascii_case(b"cookie"))
            .filter_map(|(index, (_, list))| Some((index, self.clean(list)?)))
            .collect();
        for (index, list) in &cleaned {
            request.set_value_at(*index, list);
        }
        if cleaned.iter().any(|(_, list)| list.is_empty()) {
            request
                .remove_if(|name, value| name.eq_ignore_ascii_case(b"cookie") && value.is_empty());
        }
    }

    /// The list without this cookie, however often it is there, or without its prefix; `None` if nothing changes.
    fn clean(&self, list: &[u8]) -> Option<Vec<u8>> {
        let name = self.config.name.as_bytes();
        let found = pairs(list).find(|pair| pair.name == name)?;
        if self.config.prefix {
            let value = found.value?;
            let end = value.iter().position(|&b| b == PREFIX_END)?;
            let value_at = value.as_ptr() as usize - list.as_ptr() as usize;
            let mut cleaned = list.get(..value_at)?.to_vec();
            cleaned.extend_from_slice(list.get(value_at + end + 1..)?);
            return Some(cleaned);
        }
        let mut cleaned = Vec::new();
        let mut rest = 0;
        for pair in pairs(list).filter(|pair| pair.name == name) {
            let before = list.get(rest..pair.start)?.trim_ascii();
            append(
                &mut cleaned,
                before
                    .strip_suffix(b";")
                    .or(before.strip_suffix(b","))
                    .unwrap_or(before),
            );
            rest = pair.end + 1;
        }
        append(
            &mut cleaned,
            list.get(rest..).unwrap_or_default().trim_ascii(),
        );
        Some(cleaned)
    }
}

/// Appends pairs to a list.
fn append(list: &mut Vec<u8>, pairs: &[u8]) {
    if !list.is_empty() && !pairs.is_empty() {
        list.extend_from_slice(b"; ");
    }
    list.extend_from_slice(pairs);
}
