//! The values of persistence cookies that stand for servers: as their lines say, or made of their addresses and a key
//! (`cookie ... dynamic`).

use std::{
    borrow::Cow,
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use xxhash_rust::xxh64::xxh64;

use crate::{config::BackendConfig, id::ServerIndex, server::Server};

/// Which server a cookie names.
#[derive(Debug)]
pub(super) struct CookieNames {
    /// Those of the lines, and those of the addresses that servers have at the beginning.
    known: HashMap<Vec<u8>, ServerIndex>,
    /// What makes values of addresses.
    key: Option<Box<str>>,
}

impl CookieNames {
    pub(super) fn new(config: &BackendConfig, servers: &[Server]) -> Self {
        let dynamic = config.cookie.as_ref().is_some_and(|cookie| cookie.dynamic);
        let mut names = Self {
            known: HashMap::new(),
            key: config.dynamic_cookie_key.clone().filter(|_| dynamic),
        };
        for server in servers.iter().rev() {
            if let Some(value) = names.of(server) {
                let value = value.as_bytes().to_vec();
                names.known.insert(value, server.index());
            }
        }
        names
    }

    /// The value that stands for `server` now.
    pub(super) fn of<'a>(&self, server: &'a Server) -> Option<Cow<'a, str>> {
        if let Some(own) = &server.config().cookie {
            return Some(Cow::Borrowed(own));
        }
        let key = self.key.as_deref()?;
        Some(Cow::Owned(made_of(key, server.address()?)))
    }

    /// The server that `value` stands for.
    pub(super) fn find(&self, value: &[u8], servers: &[Server]) -> Option<ServerIndex> {
        let is_it = |server: &&Server| {
            let own = self.of(server);
            own.is_some_and(|own| own.as_bytes() == value)
        };
        let known = self.known.get(value).copied();
        if self.key.is_none() {
            return known;
        }
        if let Some(index) = known
            && servers.get(index.index()).is_some_and(|s| is_it(&s))
        {
            return Some(index);
        }
        // The few that are elsewhere than at the beginning.
        let mut elsewhere = servers.iter().filter(|s| s.moved_to().is_some());
        elsewhere.find(is_it).map(Server::index)
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
