//! What a request is marked with for the log and for servers: a unique id, a captured cookie.

use crate::{head::HeadRef, log::LogFormat, request::RequestView};

/// `unique-id-format` and `unique-id-header`.
#[derive(Debug, Default)]
pub(super) struct UniqueId {
    pub(super) format: Option<LogFormat>,
    /// Name of the header, in lower case.
    pub(super) header: Option<Box<[u8]>>,
}

impl UniqueId {
    /// The id of the request in `view`.
    pub(super) fn of(&self, view: &RequestView<'_>) -> Option<Vec<u8>> {
        let mut id = Vec::new();
        self.format.as_ref()?.write_value(view, &mut id);
        super::action::sanitize(&mut id);
        Some(id)
    }
}

/// `capture request|response header NAME len N`.
#[derive(Debug, Clone)]
pub(super) struct HeaderCapture {
    pub(super) name: Box<[u8]>,
    pub(super) length: usize,
    pub(super) slot: usize,
}

/// Makes room for every slot and fills in those of declared headers (the last line of the name).
pub(super) fn capture_headers(
    declared: &[HeaderCapture],
    slots: usize,
    head: HeadRef<'_>,
    captures: &mut Vec<Option<Vec<u8>>>,
) {
    if slots == 0 {
        return;
    }
    captures.clear();
    captures.resize(slots, None);
    for capture in declared {
        if let Some(place) = captures.get_mut(capture.slot)
            && let Some(value) = head.values(&capture.name).next_back()
        {
            let length = capture.length.min(value.len());
            *place = value.get(..length).map(<[u8]>::to_vec);
        }
    }
}

/// `capture cookie NAME len N`.
#[derive(Debug, Clone)]
pub(super) struct CookieCapture {
    /// What the cookie's name and value begin with: a name that ends with `=` is meant as a whole.
    pub(super) beginning: Box<[u8]>,
    pub(super) length: usize,
}

impl CookieCapture {
    /// The first cookie of a request.
    pub(super) fn of_request(&self, head: HeadRef<'_>) -> Option<Vec<u8>> {
        let lists = head.values(b"cookie");
        let mut pairs = lists.flat_map(|list| list.split(|byte| *byte == b';'));
        pairs.find_map(|pair| self.take(pair))
    }

    /// The first cookie that a response sets.
    pub(super) fn of_response(&self, head: HeadRef<'_>) -> Option<Vec<u8>> {
        let mut set = head.values(b"set-cookie");
        set.find_map(|cookie| self.take(cookie.split(|byte| *byte == b';').next()?))
    }

    fn take(&self, pair: &[u8]) -> Option<Vec<u8>> {
        let pair = pair.trim_ascii();
        let found = pair.starts_with(&self.beginning);
        let end = self.length.min(pair.len());
        found.then(|| pair.get(..end).unwrap_or_default().to_vec())
    }
}
