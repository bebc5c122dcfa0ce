//! TLS versions and certificates of `bind ... ssl` lines (configuration manual §5.1).

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use lb_core::config::TlsBind;

use super::{
    args::{Arg, Args, Context, Parsed},
    keywords,
};
use crate::config::diagnostic::Diagnostic;

/// Which TLS versions may be spoken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Versions {
    /// TLS 1.2 is refused.
    pub(super) no_tls12: bool,
    /// TLS 1.3 is refused.
    pub(super) no_tls13: bool,
}

impl Versions {
    /// Applies a word that is about versions; false if it is about something else.
    pub(super) fn apply(&mut self, word: &Arg<'_>, args: &mut Args<'_>) -> Parsed<bool> {
        match word.text {
            "no-sslv3" | "no-tlsv10" | "no-tlsv11" => {}
            "no-tlsv12" => self.no_tls12 = true,
            "no-tlsv13" => self.no_tls13 = true,
            "force-tlsv12" => (self.no_tls12, self.no_tls13) = (false, true),
            "force-tlsv13" => (self.no_tls12, self.no_tls13) = (true, false),
            "ssl-min-ver" | "ssl-max-ver" => {
                let arg = args.need(word.text, "a TLS version")?;
                match (word.text, arg.text) {
                    ("ssl-min-ver", "SSLv3" | "TLSv1.0" | "TLSv1.1" | "TLSv1.2")
                    | ("ssl-max-ver", "TLSv1.3") => {}
                    ("ssl-min-ver", "TLSv1.3") => self.no_tls12 = true,
                    ("ssl-max-ver", "TLSv1.2") => self.no_tls13 = true,
                    _ => {
                        return Err(
                            arg.refuse("not a TLS version that is spoken", "TLSv1.2 or TLSv1.3")
                        );
                    }
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// One word of `ssl-default-bind-options`.
    pub(super) fn default_option(
        &mut self,
        word: &Arg<'_>,
        args: &mut Args<'_>,
        context: &mut Context<'_>,
    ) -> Parsed<()> {
        if self.apply(word, args)? {
            return Ok(());
        }
        match word.text {
            "prefer-client-ciphers" | "no-tls-tickets" | "tls-tickets" | "strict-sni" => {
                context.warn(
                    word.span.clone(),
                    format!("'{}' is ignored", word.text),
                    "the TLS library decides",
                );
                Ok(())
            }
            _ => {
                let known = [
                    "ssl-min-ver",
                    "ssl-max-ver",
                    "no-sslv3",
                    "no-tlsv12",
                    "no-tlsv13",
                ];
                let mut finding = word.refuse("unknown TLS option", known.join(", "));
                finding.suggestion =
                    keywords::closest(word.text, known.into_iter()).map(str::to_owned);
                Err(finding)
            }
        }
    }
}

/// The certificates of a `crt` word: a file or all files of a directory.
pub(super) fn certificates(
    arg: &Arg<'_>,
    base: Option<&Path>,
    context: &Context<'_>,
    tls: &mut TlsBind,
) -> Parsed<()> {
    let path = based(base, arg.text);
    match context.files.list(&path) {
        Ok(entries) => {
            let before = tls.certificates.len();
            for entry in entries.into_iter().filter(|entry| is_bundle(entry)) {
                tls.certificates.push(bundle(arg, entry, context)?);
            }
            if tls.certificates.len() == before {
                return Err(arg.refuse("the directory holds no certificate", "PEM files"));
            }
        }
        Err(_) => tls.certificates.push(bundle(arg, path, context)?),
    }
    Ok(())
}

/// The certificates of a `crt-list` file: one path a line; what stands behind it is warned about.
pub(super) fn list(
    arg: &Arg<'_>,
    base: Option<&Path>,
    context: &mut Context<'_>,
    tls: &mut TlsBind,
) -> Parsed<()> {
    let path = based(base, arg.text);
    let text = context
        .files
        .read(&path)
        .map_err(|error| unreadable(arg, "certificate list", &path, &error))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut filtered = false;
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_whitespace();
        let Some(file) = words.next() else { continue };
        filtered |= words.next().is_some();
        tls.certificates
            .push(bundle(arg, based(base, file), context)?);
    }
    if filtered {
        context.warn(
            arg.span.clone(),
            "options and names behind a certificate in a list are ignored",
            "the names in the certificates choose among them",
        );
    }
    Ok(())
}

pub(super) fn based(base: Option<&Path>, text: &str) -> PathBuf {
    // Joining an absolute path gives that path.
    base.map_or_else(|| PathBuf::from(text), |base| base.join(text))
}

/// Files beside a certificate that are not bundles of their own.
fn is_bundle(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    !matches!(extension, "key" | "issuer" | "ocsp" | "sctl" | "dh")
        && !path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with('.'))
}

/// Chain and key of one file; the key may stand in `FILE.key`.
pub(super) fn bundle(
    arg: &Arg<'_>,
    path: PathBuf,
    context: &Context<'_>,
) -> Parsed<(PathBuf, Arc<[u8]>)> {
    let mut text = context
        .files
        .read(&path)
        .map_err(|error| unreadable(arg, "certificate", &path, &error))?;
    if !has(&text, "-----BEGIN CERTIFICATE-----") {
        let message = format!("{} holds no certificate", path.display());
        return Err(arg.refuse(message, "a PEM file with the chain and the key"));
    }
    if !has(&text, "PRIVATE KEY-----") {
        let mut beside = path.clone().into_os_string();
        beside.push(".key");
        match context.files.read(Path::new(&beside)) {
            Ok(key) => {
                text.push(b'\n');
                text.extend(key);
            }
            Err(_) => {
                let message = format!("{} holds no private key", path.display());
                return Err(arg.refuse(message, "the key in the same file or in FILE.key"));
            }
        }
    }
    Ok((path, text.into()))
}

/// The protocols of an `alpn` list that are spoken; the others are warned about, with what is `done` instead.
pub(super) fn spoken(arg: &Arg<'_>, context: &mut Context<'_>, done: &str) -> Vec<String> {
    let (spoken, other): (Vec<&str>, Vec<&str>) = arg
        .text
        .split(',')
        .filter(|name| !name.is_empty())
        .partition(|name| matches!(*name, "h2" | "http/1.1" | "http/1.0"));
    if !other.is_empty() {
        let what = format!("protocol '{}' is not spoken", other.join("', '"));
        context.warn(arg.span.clone(), what, done);
    }
    spoken.into_iter().map(str::to_owned).collect()
}

pub(super) fn has(text: &[u8], what: &str) -> bool {
    text.windows(what.len())
        .any(|window| window == what.as_bytes())
}

pub(super) fn unreadable(
    arg: &Arg<'_>,
    what: &str,
    path: &Path,
    error: &io::Error,
) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(
        arg.span.clone(),
        format!("unable to read the {what} {}: {error}", path.display()),
    ))
}
