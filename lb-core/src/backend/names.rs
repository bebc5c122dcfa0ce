//! The values of persistence cookies that stand for servers: as their lines say, or made of their addresses and a key
//! (`cookie ... dynamic`).

use std::{
    borrow::Cow,
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use xxhash_rust::xxh64::xxh64;

use super::directory::Followed;
use crate::{config::BackendConfig, id::ServerIndex, server::Server};

/// Which server a cookie names.
#[derive(Debug)]
pub(super) struct CookieNames {
    /// What makes values of addresses.
    key: Option<Box<str>>,
    known: Followed<Box<[u8]>>,
}

impl CookieNames {
    pub(super) fn new(config: &BackendConfig) -> Self {
        let dynamic = config.cookie.as_ref().is_some_and(|cookie| cookie.dynamic);
        Self {
            key: config.dynamic_cookie_key.clone().filter(|_| dynamic),
            known: Followed::default(),
        }
    }

    /// The value that stands for `server` now.
    pub(super) fn of<'a>(&self, server: &'a Server) -> Option<Cow<'a, str>> {
        if let Some(own) = &server.config().cookie {
            return Some(Cow::Borrowed(own));
        }
        let key = self.key.as_deref()?;
        Some(Cow::Owned(made_of(key, server.address()?)))
    }

    /// The server that `value` stands for; `moves` counts the changes of servers' addresses up to now.
    pub(super) fn find(&self, value: &[u8], servers: &[Server], moves: u64) -> Option<ServerIndex> {
        // Values of the file do not follow addresses.
        let moves = if self.key.is_some() { moves } else { 0 };
        self.known.find(value, moves, || self.values(servers))
    }

    /// Of two with the same value the first counts.
    fn values(&self, servers: &[Server]) -> HashMap<Box<[u8]>, ServerIndex> {
        let valued = servers.iter().rev().filter_map(|server| {
            let value = self.of(server)?;
            Some((value.as_bytes().into(), server.index()))
        });
        valued.collect()
    }
}

/// The same on every balancer with this key.
fn made_of(key: &str, address: SocketAddr) -> String {
    let mut text = key.as_bytes().to_vec();
    match address.ip() {
        IpAddr::V4(ip) => text.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => text.extend_from_slice(&ip.octets()),
    }
    text.extend_from_slice(&u32::from(address.port()).to_be_bytes());
    format!("{:016x}", xxh64(&text, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What HAProxy 2.6 gives out.
    #[test]
    fn values_are_those_of_haproxy() {
        for (key, address, value) in [
            ("abc", "127.0.0.1:9001", "c6bb345e2204101b"),
            ("abc", "127.0.0.1:9004", "56552880061b40d9"),
            (
                "a longer key with blanks",
                "127.0.0.1:9001",
                "1a647a5d138a08dd",
            ),
        ] {
            assert_eq!(made_of(key, address.parse().unwrap()), value);
        }
    }
}
