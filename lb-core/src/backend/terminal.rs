//! `persist rdp-cookie`: the server that a client of Remote Desktop is to come back to.

use std::net::{Ipv4Addr, SocketAddr};

use super::Backend;
use crate::{id::ServerIndex, request::RequestView};

impl Backend {
    /// The server whose address the cookie of a terminal server tells, if a connection may go there.
    pub fn of_rdp_cookie(&self, view: &RequestView<'_>) -> Option<ServerIndex> {
        let told = address(&self.config.rdp_cookie.as_ref()?.bytes(view)?)?;
        let at = |address: SocketAddr| {
            SocketAddr::new(address.ip().to_canonical(), address.port()) == told
        };
        let mut servers = self.servers().iter();
        let server =
            servers.find(|server| server.address().is_some_and(at) && self.keeps_to(server))?;
        Some(server.index())
    }
}

/// `<address>.<port>.<more>`, both numbers with the first byte as the lowest.
fn address(cookie: &[u8]) -> Option<SocketAddr> {
    let mut parts = std::str::from_utf8(cookie).ok()?.split('.');
    let address: u32 = parts.next()?.parse().ok()?;
    let port: u16 = parts.next()?.parse().ok()?;
    parts.next()?;
    Some((Ipv4Addr::from(address.to_le_bytes()), port.swap_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_tells_an_address_in_the_order_of_its_bytes() {
        let told = address(b"3640205228.15629.0000");
        assert_eq!(told, Some("172.31.249.216:3389".parse().unwrap()));
        for wrong in [
            "",
            "1",
            "1.2",
            "4294967296.1.0",
            "1.65536.0",
            "x.1.0",
            "user",
        ] {
            assert_eq!(address(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
