//! `show cache`.

use std::{fmt::Write as _, sync::Arc, time::Instant};

use lb_core::cache::Caches;

/// Every cache with what it holds, in HAProxy's words. The numbers in front are addresses: names and no more.
pub(super) fn show(caches: &Caches, now: Instant) -> String {
    let mut text = String::new();
    for cache in caches.values() {
        let address = Arc::as_ptr(cache).addr();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{address:#x}: {} (shctx:{address:#x}, available blocks:{})",
            cache.name(),
            cache.available_blocks()
        );
        for entry in cache.listed(now) {
            let _ = writeln!(
                text,
                "{:#x} hash:{} vary:0x{:016x} size:{} ({} blocks), refcount:{}, expire:{}",
                entry.number,
                entry.hash,
                entry.variant,
                entry.size,
                entry.blocks,
                entry.users,
                entry.expires
            );
        }
    }
    text
}
