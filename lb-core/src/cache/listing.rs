//! What `show cache` tells of an entry.

use std::{sync::Arc, time::Instant};

use super::Object;
use crate::hash::crc32;

/// An entry of a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its address, as a number to know it by.
    pub number: usize,
    /// Hash of its key.
    pub hash: u32,
    /// Hash of what it varies by; 0 if it does not.
    pub variant: u64,
    /// Bytes of head and content.
    pub size: usize,
    /// Blocks that it takes.
    pub blocks: usize,
    /// Responses that are being sent from it.
    pub users: usize,
    /// Seconds until it is no longer good; negative after that.
    pub expires: i64,
}

impl Listed {
    pub(super) fn of(key: &[u8], object: &Arc<Object>, users: usize, now: Instant) -> Self {
        let variant = &object.kept.variant;
        let field = |own: &Option<Option<Box<[u8]>>>| {
            let value = own.as_ref().and_then(Option::as_deref);
            u64::from(value.map_or(0, crc32))
        };
        let codings = u64::from(variant.codings.unwrap_or(0));
        let fields = field(&variant.referer) ^ field(&variant.origin).rotate_left(8);
        Self {
            number: Arc::as_ptr(object).addr(),
            hash: crc32(key),
            variant: codings << 32 | fields & u64::from(u32::MAX),
            size: object.head.arena.len() + object.body.len(),
            blocks: object.share.blocks(),
            users,
            expires: object.expires(now),
        }
    }
}
