//! haproxy's `-m`: as many connections as HAProxy 2.6 lets in with so much memory, where no `maxconn` says how many.

use lb_core::config::Config;

/// What HAProxy counts for a stream with its two buffers of 16 kB.
const STREAM: u64 = 2048 + 2 * 16_384;
/// What it counts for a session of TLS.
const SESSION: u64 = 16 * 1024;
/// What it counts for the handshakes of a connection.
const HANDSHAKE: u64 = 76 * 1024;
/// What it sets aside for sessions that may be resumed: 20,000 of 200 bytes.
const CACHE: u64 = 20_000 * 200;

/// Connections that fit into so many megabytes.
pub(super) fn connections(megabytes: u32, config: &Config) -> u32 {
    let frontends = config.proxies.iter().filter_map(|p| p.frontend.as_ref());
    let ends_tls = frontends
        .flat_map(|f| &f.binds)
        .any(|bind| bind.tls.is_some());
    let backends = config.proxies.iter().filter_map(|p| p.backend.as_ref());
    let mut servers = backends.flat_map(|b| &b.servers);
    let begins_tls = servers.any(|server| server.tls.is_some());
    let sides = u64::from(ends_tls) + u64::from(begins_tls);
    let memory = (u64::from(megabytes) << 20).saturating_sub(CACHE) / 100 * 97;
    let each = STREAM + sides * SESSION + HANDSHAKE * sides.min(1);
    let fit = round_down(memory / each).max(1);
    u32::try_from(fit).unwrap_or(u32::MAX)
}

/// To two digits.
fn round_down(number: u64) -> u64 {
    let mut unit = 1;
    while number / unit >= 100 {
        unit *= 10;
    }
    number / unit * unit
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lb_core::config::{
        BackendConfig, Bind, BindAddress, FrontendConfig, Mode, ProxyConfig, ServerConfig,
        ServerTls, TlsBind,
    };

    use super::*;

    fn config(ends_tls: bool, begins_tls: bool) -> Config {
        let mut proxy = ProxyConfig::new("p", 2, Mode::Http);
        let mut bind = Bind::new(BindAddress::Tcp(([127, 0, 0, 1], 80).into()));
        bind.tls = ends_tls.then(TlsBind::default);
        let mut server = ServerConfig::new("s", 1, None);
        server.tls = begins_tls.then(|| Arc::new(ServerTls::default()));
        proxy.frontend = Some(FrontendConfig {
            binds: vec![bind],
            ..FrontendConfig::default()
        });
        proxy.backend = Some(BackendConfig {
            servers: vec![server],
            ..BackendConfig::default()
        });
        Config {
            proxies: vec![proxy],
            ..Config::default()
        }
    }

    #[test]
    fn as_many_as_haproxy_lets_in() {
        let plain = config(false, false);
        for (megabytes, wanted) in [(1024, 29_000), (384, 11_000), (256, 7300), (1, 1)] {
            assert_eq!(connections(megabytes, &plain), wanted, "{megabytes}");
        }
        assert_eq!(connections(256, &config(true, false)), 1900);
        assert_eq!(connections(256, &config(false, true)), 1900);
        assert_eq!(connections(256, &config(true, true)), 1700);
    }
}
