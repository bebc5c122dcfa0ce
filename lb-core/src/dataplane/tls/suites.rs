//! What a configuration leaves of the library's cipher suites, curves and versions.

use std::sync::Arc;

use rustls::{
    DEFAULT_VERSIONS, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    version::{TLS12, TLS13},
};

use crate::config::TlsAlgorithms;

/// The library with these algorithms alone, in their order, and those of `versions`.
pub(super) fn provider(
    algorithms: &TlsAlgorithms,
    versions: &[&SupportedProtocolVersion],
) -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    let all = std::mem::take(&mut provider.cipher_suites);
    for (is_tls13, chosen) in [(true, &algorithms.tls13), (false, &algorithms.tls12)] {
        // The library would offer suites of versions that are not spoken.
        let version = if is_tls13 { &TLS13 } else { &TLS12 };
        if !versions.contains(&version) {
            continue;
        }
        let known = all
            .iter()
            .filter(|suite| suite.tls13().is_some() == is_tls13);
        match chosen {
            None => provider.cipher_suites.extend(known),
            Some(ids) => {
                let known: Vec<_> = known.collect();
                let chosen = ids
                    .iter()
                    .filter_map(|id| known.iter().find(|suite| u16::from(suite.suite()) == *id));
                provider.cipher_suites.extend(chosen.copied());
            }
        }
    }
    if let Some(curves) = &algorithms.curves {
        let all = std::mem::take(&mut provider.kx_groups);
        let chosen = curves
            .iter()
            .filter_map(|id| all.iter().find(|group| u16::from(group.name()) == *id));
        provider.kx_groups.extend(chosen.copied());
    }
    Arc::new(provider)
}

/// Which versions may be spoken.
pub(super) fn versions(
    tls12_only: bool,
    tls13_only: bool,
) -> &'static [&'static SupportedProtocolVersion] {
    static ONLY_TLS12: [&SupportedProtocolVersion; 1] = [&TLS12];
    static ONLY_TLS13: [&SupportedProtocolVersion; 1] = [&TLS13];
    match (tls12_only, tls13_only) {
        (true, _) => &ONLY_TLS12,
        (_, true) => &ONLY_TLS13,
        _ => DEFAULT_VERSIONS,
    }
}
