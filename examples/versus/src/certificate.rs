//! A certificate for the TLS scenarios (P-256, made by the openssl program) and a client that trusts only it.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use rustls::{ClientConfig, RootCertStore, client::Resumption, crypto::aws_lc_rs, version::TLS13};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use crate::Fatal;

/// Writes certificate and key into `pem`, as `bind ... ssl crt` wants them.
pub(crate) fn write(pem: &Path) -> Result<(), Fatal> {
    let key = pem.with_extension("key");
    let done = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ])
        .args([
            "-days",
            "30",
            "-subj",
            "/CN=versus",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-out"])
        .arg(pem)
        .arg("-keyout")
        .arg(&key)
        .stderr(Stdio::null())
        .status();
    if !done.is_ok_and(|status| status.success()) {
        return Err("the openssl program did not make a certificate".into());
    }
    let mut both = fs::read(pem)?;
    both.extend(fs::read(&key)?);
    Ok(fs::write(pem, both)?)
}

/// A TLS 1.3 client that trusts the certificate in `pem`.
pub(crate) fn client(pem: &Path, resume: bool) -> Result<Arc<ClientConfig>, Fatal> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pem)?)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    if !resume {
        config.resumption = Resumption::disabled();
    }
    Ok(Arc::new(config))
}
