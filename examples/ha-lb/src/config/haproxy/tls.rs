//! TLS versions and certificates of `bind ... ssl` lines (configuration manual §5.1).

mod certificates;
mod words;

pub(super) use certificates::{ExtraFiles, bundle, certificates, line, list, ticket_keys};
pub(super) use words::{Words, algorithms, authorities, pem};

use std::{
    io,
    path::{Path, PathBuf},
};

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
    pub(super) fn apply(
        &mut self,
        word: &Arg<'_>,
        args: &mut Args<'_>,
        context: &mut Context<'_>,
    ) -> Parsed<bool> {
        match word.text {
            "no-sslv3" | "no-tlsv10" | "no-tlsv11" => {}
            "no-tlsv12" => self.no_tls12 = true,
            "no-tlsv13" => self.no_tls13 = true,
            "force-tlsv12" => (self.no_tls12, self.no_tls13) = (false, true),
            "force-tlsv13" => (self.no_tls12, self.no_tls13) = (true, false),
            "ssl-min-ver" | "ssl-max-ver" => {
                let arg = args.need(word.text, "a TLS version")?;
                match (word.text, arg.text) {
                    ("ssl-min-ver", "TLSv1.2") => self.no_tls12 = false,
                    ("ssl-min-ver", "SSLv3" | "TLSv1.0" | "TLSv1.1") => {
                        context.warn(
                            arg.span.clone(),
                            format!("{} is not spoken", arg.text),
                            "TLSv1.2 is the oldest version that is",
                        );
                        self.no_tls12 = false;
                    }
                    ("ssl-max-ver", "TLSv1.3") => self.no_tls13 = false,
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
}

/// One word of `ssl-default-bind-options` or `ssl-default-server-options` that is about something else than versions.
pub(super) fn unknown_option(word: &Arg<'_>) -> Box<Diagnostic> {
    let known = [
        "ssl-min-ver",
        "ssl-max-ver",
        "no-sslv3",
        "no-tlsv12",
        "no-tlsv13",
        "no-tls-tickets",
    ];
    let mut finding = word.refuse("unknown TLS option", known.join(", "));
    finding.suggestion = keywords::closest(word.text, known.into_iter()).map(str::to_owned);
    finding
}

/// What the global section says of TLS.
#[derive(Debug, Clone, Default)]
pub(super) struct Defaults {
    /// `crt-base`.
    pub(super) crt_base: Option<PathBuf>,
    /// `ca-base`.
    pub(super) ca_base: Option<PathBuf>,
    /// `ssl-load-extra-files`.
    pub(super) extra: ExtraFiles,
    /// `ssl-default-bind-...`.
    pub(super) binds: Words,
    /// `strict-sni` among them.
    pub(super) strict_sni: bool,
}

/// `path` from `base` on.
pub(super) fn based(base: Option<&Path>, text: &str) -> PathBuf {
    // Joining an absolute path gives that path.
    base.map_or_else(|| PathBuf::from(text), |base| base.join(text))
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

fn has(text: &[u8], what: &str) -> bool {
    text.windows(what.len())
        .any(|window| window == what.as_bytes())
}

fn unreadable(arg: &Arg<'_>, what: &str, path: &Path, error: &io::Error) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(
        arg.span.clone(),
        format!("unable to read the {what} {}: {error}", path.display()),
    ))
}
