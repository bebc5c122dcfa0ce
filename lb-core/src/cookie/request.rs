//! Cookies of requests.

use super::{CookiePolicy, PREFIX_END, pairs};
use crate::head::{HeadMut, HeadRef};

impl CookiePolicy {
    /// The server that the request's cookie names: the value to look servers up by. In prefix mode the part
    /// before `~`; a value without it names no server and is the application's own.
    pub fn find<'a>(&self, request: HeadRef<'a>) -> Option<&'a [u8]> {
        let name = self.config.name.as_bytes();
        let value = request
            .values(b"cookie")
            .flat_map(pairs)
            .find(|pair| pair.name == name)?
            .value;
        if self.config.prefix {
            let end = value.iter().position(|&b| b == PREFIX_END)?;
            return value.get(..end);
        }
        // What follows `|` are the dates of maxidle and maxlife.
        let end = value.iter().position(|&b| b == b'|').unwrap_or(value.len());
        value.get(..end)
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

    /// The list without this cookie or its prefix; `None` if nothing changes.
    fn clean(&self, list: &[u8]) -> Option<Vec<u8>> {
        let name = self.config.name.as_bytes();
        let found = pairs(list).find(|pair| pair.name == name)?;
        if self.config.prefix {
            let end = found.value.iter().position(|&b| b == PREFIX_END)?;
            let value_at = found.value.as_ptr() as usize - list.as_ptr() as usize;
            let mut cleaned = list.get(..value_at)?.to_vec();
            cleaned.extend_from_slice(list.get(value_at + end + 1..)?);
            return Some(cleaned);
        }
        let before = list.get(..found.start)?.trim_ascii_end();
        let after = list.get(found.end + 1..).unwrap_or_default().trim_ascii();
        let before = before.strip_suffix(b";").unwrap_or(before);
        let mut cleaned = before.to_vec();
        if !before.is_empty() && !after.is_empty() {
            cleaned.extend_from_slice(b"; ");
        }
        cleaned.extend_from_slice(after);
        Some(cleaned)
    }
}
