//! TLS towards clients (`bind ... ssl`) and servers (`server ... ssl`).

use std::{path::PathBuf, sync::Arc};

use crate::expr::Written;

/// Path and contents of a file.
pub type PemFile = (PathBuf, Arc<[u8]>);

/// TLS of a `bind` line. File contents are read by whoever builds the configuration.
#[derive(Debug, Clone, Default)]
pub struct TlsBind {
    /// What `crt` and `crt-list` name, in order. The first is the default certificate.
    pub certificates: Vec<TlsCertificate>,
    /// What holds unless a line of a `crt-list` says otherwise.
    pub settings: TlsSettings,
    /// `strict-sni`: no default certificate.
    pub strict_sni: bool,
    /// `tls-ticket-keys`: the last one but one seals, all of them open.
    pub ticket_keys: Vec<TicketKey>,
}

/// A certificate with its key, and when it is used.
#[derive(Debug, Clone, Default)]
pub struct TlsCertificate {
    /// Where it comes from.
    pub path: PathBuf,
    /// PEM text: chain and key.
    pub pem: Arc<[u8]>,
    /// What `FILE.ocsp` says of it, in DER.
    pub ocsp: Option<Arc<[u8]>>,
    /// The name without `.rsa` or `.ecdsa` behind it, where it belongs to a bundle of several kinds of key.
    pub bundle: Option<PathBuf>,
    /// Names from the line of a `crt-list`: they stand for those in the certificate. `!` excludes one.
    pub filters: Vec<String>,
    /// Settings from the line of a `crt-list`.
    pub settings: Option<Box<TlsSettings>>,
    /// The `crt-list` or the directory that names it.
    pub list: Option<TlsListLine>,
}

/// A place in a `crt-list`, or in a directory of certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsListLine {
    /// The list.
    pub list: PathBuf,
    /// Number of the line, from 1.
    pub line: usize,
    /// What stands behind the file's name on the line.
    pub words: String,
}

/// How clients are spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsSettings {
    /// `alpn` in order of preference; empty means none is offered.
    pub alpn: Vec<String>,
    /// `ssl-min-ver`: true when only TLS 1.3 is allowed.
    pub tls13_only: bool,
    /// `ssl-max-ver TLSv1.2`: true when TLS 1.3 is refused.
    pub tls12_only: bool,
    /// Cipher suites and curves.
    pub algorithms: TlsAlgorithms,
    /// `prefer-client-ciphers`: the client's order counts.
    pub clients_order: bool,
    /// `no-tls-tickets`.
    pub no_tickets: bool,
    /// `verify`: what is asked of the client.
    pub verify: ClientVerify,
    /// `ca-file`: who may vouch for clients; their names are sent to them.
    pub authorities: Option<PemFile>,
    /// `ca-verify-file`: who else may, unnamed.
    pub more_authorities: Option<PemFile>,
    /// `no-ca-names`: no names are sent.
    pub no_ca_names: bool,
    /// `crl-file`: certificates that were taken back.
    pub revoked: Option<PemFile>,
    /// `crt-ignore-err`: faults of the client's certificate that are let pass.
    pub certificate_faults: IgnoredFaults,
    /// `ca-ignore-err`: faults of those above it that are let pass.
    pub authority_faults: IgnoredFaults,
}

/// `verify` of a `bind` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientVerify {
    /// No certificate is asked for.
    #[default]
    None,
    /// One that is shown must be good.
    Optional,
    /// A good one must be shown.
    Required,
}

/// Faults of certificates, by OpenSSL's numbers (`openssl verify`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum IgnoredFaults {
    /// None is let pass.
    #[default]
    None,
    /// Every one is.
    All,
    /// These are.
    Some(Vec<u32>),
}

impl IgnoredFaults {
    /// Whether `code` is let pass.
    pub fn contains(&self, code: u32) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Some(codes) => codes.contains(&code),
        }
    }
}

/// Cipher suites and curves by their numbers in the registries of TLS; `None` leaves the choice to the library.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsAlgorithms {
    /// `ciphers`: suites of TLS 1.2.
    pub tls12: Option<Vec<u16>>,
    /// `ciphersuites`: suites of TLS 1.3.
    pub tls13: Option<Vec<u16>>,
    /// `curves`.
    pub curves: Option<Vec<u16>>,
}

/// A line of a `tls-ticket-keys` file, decoded: 48 or 80 bytes, of which the first 16 are its name.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketKey(pub Arc<[u8]>);

impl std::fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TicketKey")
    }
}

/// How a server is spoken to in TLS. Manual 5.2.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerTls {
    /// `ca-file`: (path, PEM text) of the authorities that the server's certificate must come from; `None` is
    /// `verify none`.
    pub authorities: Option<PemFile>,
    /// `crl-file`: certificates that were taken back.
    pub revoked: Option<PemFile>,
    /// `verifyhost`: the name that the certificate must have where none is asked for (`sni`); without either any
    /// name will do.
    pub host: Option<String>,
    /// `sni`: the name that is asked for.
    pub sni: Option<Written>,
    /// `check-sni`: the name that checks ask for.
    pub check_sni: Option<String>,
    /// `alpn` in order of preference; empty means none is offered.
    pub alpn: Vec<String>,
    /// `crt`: (path, PEM text: chain and key) shown to the server.
    pub certificate: Option<PemFile>,
    /// `ssl-min-ver TLSv1.3`.
    pub tls13_only: bool,
    /// `ssl-max-ver TLSv1.2`.
    pub tls12_only: bool,
    /// Cipher suites and curves.
    pub algorithms: TlsAlgorithms,
    /// `no-ssl-reuse`: every session begins with a full handshake.
    pub no_resumption: bool,
}
