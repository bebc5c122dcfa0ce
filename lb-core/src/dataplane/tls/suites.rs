//! What a configuration leaves of the library's cipher suites, curves and versions.

use std::sync::{Arc, Once};

use rustls::{
    DEFAULT_VERSIONS, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs, aws_lc_rs::ALL_KX_GROUPS},
    version::{TLS12, TLS13},
};

use crate::config::TlsAlgorithms;

/// X25519, P-256 and P-384. The library's own list has hybrids with ML-KEM too, which cost more: `curves` names them.
const CURVES: &[u16] = &[29, 23, 24];

/// The library with these algorithms alone, in their order, and those of `versions`.
pub(super) fn provider(
    algorithms: &TlsAlgorithms,
    versions: &[&SupportedProtocolVersion],
) -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    warm_up(&provider);
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
    let curves = algorithms.curves.as_deref().unwrap_or(CURVES);
    let chosen = curves.iter().filter_map(|id| {
        let mut known = ALL_KX_GROUPS.iter();
        known.find(|group| u16::from(group.name()) == *id)
    });
    provider.kx_groups = chosen.copied().collect();
    Arc::new(provider)
}

/// The library gathers entropy when it is first asked for random bytes, for some 60 ms: here nobody waits for them, in a
/// handshake every connection of its worker would.
fn warm_up(provider: &CryptoProvider) {
    static WARM: Once = Once::new();
    WARM.call_once(|| {
        // Where there is no randomness, handshakes say so.
        let _ = provider.secure_random.fill(&mut [0; 32]);
    });
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

#[cfg(test)]
mod tests {
    use rustls::NamedGroup;

    use super::*;

    fn curves(named: Option<Vec<u16>>) -> Vec<NamedGroup> {
        let algorithms = TlsAlgorithms {
            curves: named,
            ..TlsAlgorithms::default()
        };
        let provider = provider(&algorithms, DEFAULT_VERSIONS);
        provider
            .kx_groups
            .iter()
            .map(|group| group.name())
            .collect()
    }

    #[test]
    fn hybrid_curves_are_spoken_where_they_are_named() {
        use NamedGroup::{X25519, X25519MLKEM768, secp256r1, secp256r1MLKEM768, secp384r1};
        assert_eq!(curves(None), [X25519, secp256r1, secp384r1]);
        let named = crate::config::cipher::curves("X25519MLKEM768:SecP256r1MLKEM768:P-256");
        assert_eq!(
            curves(Some(named.ids)),
            [X25519MLKEM768, secp256r1MLKEM768, secp256r1]
        );
    }
}
