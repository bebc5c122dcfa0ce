//! TLS towards clients: what a `bind ... ssl` line offers. A [`Front`] reads the first message of a client, a
//! [`table`] chooses certificate and settings by it, [`clients`] verifies whom it is. [`connect`] is the other side.

mod certificate;
mod chain;
mod clients;
mod connect;
mod facts;
mod fault;
mod files;
mod first_version;
pub(super) mod reason;
mod revocation;
mod staple;
mod suites;
mod table;
mod tickets;
mod trust;
mod x509;

pub(super) use certificate::Loader;
pub(super) use connect::Connector;
pub use facts::{
    CertificateFacts, OcspFacts, RevocationFacts, certificate_facts, ocsp_facts, revocation_facts,
    unusable_certificate,
};
pub use files::{CertificateEdit, CertificateFile, TlsChange, TlsContent, TlsFiles};
pub(super) use table::Choice;
pub(super) use tickets::TicketKeys;

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::digest::{Context, SHA256};
use rustls::{
    ServerConfig,
    server::{ClientHello, ServerSessionMemoryCache},
};
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio_rustls::server::TlsStream;

use self::{
    clients::Clients,
    table::{Settings, Table},
    tickets::Ticketer,
};
use super::{StartError, stream::Plain};
use crate::{
    config::{TicketKey, TlsBind, TlsCertificate, TlsSettings, cipher},
    request::{ClientCertificate, TlsInfo},
};

/// Sessions that are remembered where no tickets are given out.
const SESSIONS: usize = 4096;

/// What a `bind ... ssl` line offers; all workers share it, and certificates in it may be exchanged while it runs.
#[derive(Debug)]
pub(super) struct Front {
    proxy: Arc<str>,
    settings: TlsSettings,
    strict_sni: bool,
    ticket_keys: Vec<TicketKey>,
    own_keys: Arc<TicketKeys>,
    /// The lists and directories that its certificates come from.
    lists: Vec<PathBuf>,
    used: RwLock<Arc<Used>>,
}

/// What a [`Front`] uses.
#[derive(Debug, Default)]
pub(super) struct Used {
    settings: TlsSettings,
    /// In order.
    choices: Vec<Arc<Choice>>,
    table: Table,
}

fn lists(given: &[TlsCertificate]) -> Vec<PathBuf> {
    let mut lists: Vec<PathBuf> = Vec::new();
    for line in given.iter().filter_map(|given| given.list.as_ref()) {
        if !lists.contains(&line.list) {
            lists.push(line.list.clone());
        }
    }
    lists
}

impl Front {
    /// Of a proxy called `proxy`.
    pub(super) fn new(
        proxy: &Arc<str>,
        bind: &TlsBind,
        own_keys: &Arc<TicketKeys>,
        loader: &mut Loader,
    ) -> Result<Self, StartError> {
        let front = Self {
            proxy: Arc::clone(proxy),
            settings: bind.settings.clone(),
            strict_sni: bind.strict_sni,
            ticket_keys: bind.ticket_keys.clone(),
            own_keys: Arc::clone(own_keys),
            lists: lists(&bind.certificates),
            used: RwLock::default(),
        };
        let given = bind.certificates.iter().cloned().map(Arc::new).collect();
        let used = front.with(front.settings.clone(), given, loader)?;
        front.replace(used);
        Ok(front)
    }

    /// Certificate and settings for a client; `None` with `strict-sni`.
    pub(super) fn choose(&self, hello: &ClientHello<'_>) -> Option<Arc<Choice>> {
        self.used().table.choose(hello).cloned()
    }

    fn used(&self) -> Arc<Used> {
        Arc::clone(&self.used.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Uses this from now on.
    pub(super) fn replace(&self, used: Used) {
        *self.used.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(used);
    }

    /// Makes all of it ready.
    fn with(
        &self,
        of_bind: TlsSettings,
        given: Vec<Arc<TlsCertificate>>,
        loader: &mut Loader,
    ) -> Result<Used, StartError> {
        let mut kinds: Vec<Kind> = Vec::new();
        let choices = given.into_iter().map(|given| {
            let settings = given.settings.as_deref().unwrap_or(&of_bind);
            let known = kinds
                .iter()
                .find(|kind| kind.settings == *settings)
                .cloned();
            let kind = match known {
                Some(kind) => kind,
                None => {
                    let kind = self.kind(settings)?;
                    kinds.push(kind.clone());
                    kind
                }
            };
            let loaded = loader
                .load(&given, kind.config.crypto_provider())
                .map_err(|reason| self.wrong(Some(&given.path), reason))?;
            let mut config = kind.config;
            config.cert_resolver = Arc::clone(&loaded) as _;
            Ok(Arc::new(Choice {
                given,
                loaded,
                settings: Settings::new(config),
                clients: kind.clients,
            }))
        });
        let choices = choices.collect::<Result<Vec<_>, StartError>>()?;
        Ok(Used {
            table: Table::new(&choices, self.strict_sni),
            choices,
            settings: of_bind,
        })
    }

    fn kind(&self, settings: &TlsSettings) -> Result<Kind, StartError> {
        let versions = suites::versions(settings.tls12_only, settings.tls13_only);
        let provider = suites::provider(&settings.algorithms, versions);
        let clients = Clients::new(settings, &provider)
            .map_err(|(file, reason)| self.wrong(Some(&file.0), reason))?;
        let nothing = Arc::new(rustls::server::ResolvesServerCertUsingSni::new());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|e| self.wrong(None, e.to_string()))?;
        let builder = match &clients {
            None => builder.with_no_client_auth(),
            Some(clients) => builder.with_client_cert_verifier(Arc::clone(clients) as _),
        };
        let mut config = builder.with_cert_resolver(nothing);
        config.alpn_protocols = settings
            .alpn
            .iter()
            .map(|p| p.clone().into_bytes())
            .collect();
        config.ignore_client_order = !settings.clients_order;
        if settings.no_tickets {
            config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        } else {
            let purpose = purpose(settings);
            let ticketer = Ticketer::new(&self.own_keys, &self.ticket_keys, purpose);
            config.ticketer = Arc::new(ticketer);
        }
        Ok(Kind {
            settings: settings.clone(),
            config,
            clients,
        })
    }

    fn wrong(&self, file: Option<&std::path::Path>, reason: String) -> StartError {
        StartError::Certificate {
            proxy: self.proxy.to_string(),
            line: None,
            file: file.map(|file| file.display().to_string()),
            reason,
        }
    }
}

/// What certificates with the same settings share.
#[derive(Clone)]
struct Kind {
    settings: TlsSettings,
    config: ServerConfig,
    clients: Option<Arc<Clients>>,
}

/// Everything that decides whether a client is let in: a session is taken up only where it would be let in again.
fn purpose(settings: &TlsSettings) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    let asked = (
        settings.verify,
        &settings.certificate_faults,
        &settings.authority_faults,
    );
    context.update(format!("{asked:?}").as_bytes());
    let files = [
        &settings.authorities,
        &settings.more_authorities,
        &settings.revoked,
    ];
    for file in files {
        let text = file.as_ref().map_or(&[][..], |(_, text)| text);
        context.update(&text.len().to_be_bytes());
        context.update(text);
    }
    context.finish().as_ref().to_vec()
}

/// Whom the handshake that has just failed on this thread refused; `None` if it failed over something else.
pub(super) fn refused_client() -> Option<ClientCertificate> {
    clients::refused()
}

/// What is known of a session that has not begun.
pub(super) fn unbegun() -> TlsInfo {
    TlsInfo {
        version: "TLSv1.3",
        cipher: "(NONE)",
        ..TlsInfo::default()
    }
}

/// What is known of one by the client's first message; `choice` is what it gets.
pub(super) fn begun(hello: &ClientHello<'_>, choice: Option<&Choice>) -> TlsInfo {
    let mut asked = hello.cipher_suites().iter();
    let is_asked = asked.any(|suite| u16::from(*suite) >> 8 == 0x13);
    let speaks = |choice: &Choice| {
        let suites = &choice.settings.provider().cipher_suites;
        suites.iter().any(|suite| suite.tls13().is_some())
    };
    TlsInfo {
        version: match is_asked && choice.is_none_or(speaks) {
            true => "TLSv1.3",
            false => "TLSv1.2",
        },
        sni: hello.server_name().map(Arc::from),
        ..unbegun()
    }
}

/// What rules and log lines may know of an established session; `None` where the certificate of a client that resumes
/// one is not good any more: it has expired, or the list of revoked ones has.
pub(super) fn info(stream: &TlsStream<Plain>, choice: &Choice) -> Option<TlsInfo> {
    let session = stream.get_ref().1;
    let suite = session.negotiated_cipher_suite();
    let cipher = suite.and_then(|suite| cipher::find(suite.suite().into()));
    Some(TlsInfo {
        version: version(session.protocol_version()),
        cipher: cipher.map_or("-", |cipher| cipher.name),
        bits: cipher.map_or(0, |cipher| cipher.bits),
        sni: session.server_name().map(Arc::from),
        alpn: session
            .alpn_protocol()
            .and_then(|p| std::str::from_utf8(p).ok())
            .map(Arc::from),
        resumed: session.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
        client: match (&choice.clients, session.peer_certificates()) {
            (Some(clients), Some(chain)) => Some(Arc::new(client(clients, chain)?)),
            _ => None,
        },
        own: Some(Arc::clone(&choice.loaded.seen)),
    })
}

fn version(version: Option<rustls::ProtocolVersion>) -> &'static str {
    match version {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLSv1.3",
    }
}

fn client(clients: &Clients, chain: &[CertificateDer<'_>]) -> Option<ClientCertificate> {
    let (leaf, rest) = chain.split_first()?;
    Some(ClientCertificate {
        leaf: x509::describe(leaf),
        chain: rest.iter().flat_map(|der| der.iter().copied()).collect(),
        verified: clients.verified(chain, UnixTime::now())?,
    })
}
