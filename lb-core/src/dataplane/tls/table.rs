//! Which certificate and which settings a client gets: by the name that it asks for and by what it understands.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use rustls::{CipherSuite, ServerConfig, crypto::CryptoProvider, server::ClientHello};

use super::{certificate::Loaded, clients::Clients};
use crate::config::TlsCertificate;

/// Suites for clients that have no instructions for AES.
const CHACHA20: [CipherSuite; 3] = [
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// The settings of a `bind`, and what becomes of them for clients that want something else. Each is made once, when the
/// first such client comes.
#[derive(Debug)]
pub(super) struct Settings {
    own: Arc<ServerConfig>,
    others: [OnceLock<Arc<ServerConfig>>; 3],
}

impl Settings {
    pub(super) fn new(own: ServerConfig) -> Self {
        Self {
            own: Arc::new(own),
            others: Default::default(),
        }
    }

    pub(super) fn provider(&self) -> &CryptoProvider {
        self.own.crypto_provider()
    }

    /// Those for a client that offers none of our protocols, or that wants ChaCha20 most.
    fn of(&self, is_strange: bool, wants_chacha: bool) -> &Arc<ServerConfig> {
        let [strange, chacha, both] = &self.others;
        let kept = match (is_strange, wants_chacha) {
            (false, false) => return &self.own,
            (true, false) => strange,
            (false, true) => chacha,
            (true, true) => both,
        };
        kept.get_or_init(|| {
            let mut config = ServerConfig::clone(&self.own);
            if is_strange {
                config.alpn_protocols.clear();
            }
            config.ignore_client_order &= !wants_chacha;
            Arc::new(config)
        })
    }
}

/// One certificate of a `bind`, with the settings that go with it.
#[derive(Debug)]
pub(in crate::dataplane) struct Choice {
    pub(super) given: Arc<TlsCertificate>,
    pub(super) loaded: Arc<Loaded>,
    pub(super) settings: Settings,
    /// Who verifies clients.
    pub(super) clients: Option<Arc<Clients>>,
}

impl Choice {
    /// For the handshake with a client that says this first. With one that offers none of our protocols none is
    /// spoken, and one that wants ChaCha20 most gets it, as with HAProxy.
    pub(in crate::dataplane) fn config(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let own = &self.settings.own.alpn_protocols;
        let is_strange = !own.is_empty()
            && hello.alpn().is_some_and(|mut offered| {
                !offered.any(|offered| own.iter().any(|own| own.as_slice() == offered))
            });
        let spoken = &self.settings.provider().cipher_suites;
        let mut suites = hello.cipher_suites().iter();
        let first = suites.find(|suite| spoken.iter().any(|own| own.suite() == **suite));
        let wants_chacha = first.is_some_and(|first| CHACHA20.contains(first));
        Arc::clone(self.settings.of(is_strange, wants_chacha))
    }

    /// Whether the client can use its key, in a suite that both speak.
    fn suits(&self, hello: &ClientHello<'_>) -> bool {
        let spoken = &self.settings.provider().cipher_suites;
        self.loaded.suits(hello, spoken)
    }

    /// The names that it is chosen by, without those that exclude.
    pub(super) fn names(&self) -> Vec<String> {
        match self.given.filters.is_empty() {
            true => self.loaded.names.clone(),
            false => {
                let filters = self.given.filters.iter();
                let chosen = filters.filter(|filter| !filter.starts_with('!'));
                chosen.map(|name| name.to_ascii_lowercase()).collect()
            }
        }
    }

    /// Whether a filter of the same line takes `name` out of a wildcard.
    fn excludes(&self, name: &str) -> bool {
        let mut filters = self.given.filters.iter();
        filters.any(|filter| {
            filter
                .strip_prefix('!')
                .is_some_and(|filter| filter.eq_ignore_ascii_case(name))
        })
    }
}

/// The certificates of a `bind`.
#[derive(Debug, Default)]
pub(super) struct Table {
    by_name: HashMap<String, Vec<Arc<Choice>>>,
    /// Whoever asks for another name, or for none, gets one of these; nothing with `strict-sni`.
    default: Vec<Arc<Choice>>,
}

impl Table {
    pub(super) fn new(choices: &[Arc<Choice>], strict_sni: bool) -> Self {
        let mut by_name: HashMap<String, Vec<Arc<Choice>>> = HashMap::new();
        for choice in choices {
            for name in choice.names() {
                by_name.entry(name).or_default().push(Arc::clone(choice));
            }
        }
        let mut default = Vec::new();
        if let Some(first) = choices.first().filter(|_| !strict_sni) {
            let bundle = &first.given.bundle;
            let others = choices.iter().skip(1);
            default.push(Arc::clone(first));
            default.extend(
                others
                    .take_while(|other| bundle.is_some() && other.given.bundle == *bundle)
                    .cloned(),
            );
        }
        Self { by_name, default }
    }

    /// The choice for a client.
    pub(super) fn choose(&self, hello: &ClientHello<'_>) -> Option<&Arc<Choice>> {
        let named = hello.server_name().and_then(|name| {
            let name = name.to_ascii_lowercase();
            // Of each kind of key the certificate of that very name counts, or that of the wildcard.
            let exact = self.by_name.get(&name).into_iter().flatten();
            let wild = name.split_once('.').and_then(|(_, parent)| {
                let all = self.by_name.get(&format!("*.{parent}"))?;
                Some(all.iter().filter(|choice| !choice.excludes(&name)))
            });
            best(exact.chain(wild.into_iter().flatten()), hello)
        });
        named.or_else(|| best(self.default.iter(), hello))
    }
}

/// The first whose key the client understands, one that is no RSA key before those that are; else the first.
fn best<'t>(
    choices: impl Iterator<Item = &'t Arc<Choice>> + Clone,
    hello: &ClientHello<'_>,
) -> Option<&'t Arc<Choice>> {
    let mut suited = choices.clone().filter(|choice| choice.suits(hello));
    let cheap = suited.clone().find(|choice| !choice.loaded.is_rsa());
    cheap
        .or_else(|| suited.next())
        .or_else(|| choices.clone().next())
}

#[cfg(test)]
mod tests {
    use rustls::{crypto::aws_lc_rs, server::ResolvesServerCertUsingSni};

    use super::*;

    #[test]
    fn settings_for_clients_that_want_something_else_are_made_once() {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut own = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
        own.alpn_protocols = vec![b"h2".to_vec()];
        own.ignore_client_order = true;
        let settings = Settings::new(own);
        for (is_strange, wants_chacha) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            let config = Arc::clone(settings.of(is_strange, wants_chacha));
            assert_eq!(config.alpn_protocols.is_empty(), is_strange);
            assert_eq!(config.ignore_client_order, !wants_chacha);
            assert!(Arc::ptr_eq(&config, settings.of(is_strange, wants_chacha)));
        }
    }
}
