//! TLS towards servers (`server ... ssl`).

use std::{path::PathBuf, sync::Arc};

use crate::expr::Written;

/// How a server is spoken to in TLS. Manual 5.2.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerTls {
    /// `ca-file`: (path, PEM text) of the authorities that the server's certificate must come from; `None` is
    /// `verify none`.
    pub authorities: Option<PemFile>,
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
    /// `no-ssl-reuse`: every session begins with a full handshake.
    pub no_resumption: bool,
}

/// Path and contents of a file.
pub type PemFile = (PathBuf, Arc<[u8]>);
