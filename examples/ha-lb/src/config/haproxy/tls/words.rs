//! Words about how clients are spoken to: behind `bind`, in the lines of a `crt-list`, in the global section.

use lb_core::config::{
    ClientVerify, IgnoredFaults, PemFile, TlsAlgorithms, TlsSettings,
    cipher::{self, Selection},
};

use super::{
    super::args::{Arg, Args, Context, Parsed},
    Defaults, Versions, based, has, spoken, unreadable,
};
use crate::config::diagnostic::Diagnostic;

/// What has been said so far.
#[derive(Debug, Clone, Default)]
pub(in crate::config::haproxy) struct Words {
    pub(super) versions: Versions,
    pub(super) settings: TlsSettings,
}

impl Words {
    /// As if these settings had been written.
    pub(in crate::config::haproxy) fn of(settings: &TlsSettings) -> Self {
        Self {
            versions: Versions {
                no_tls12: settings.tls13_only,
                no_tls13: settings.tls12_only,
            },
            settings: settings.clone(),
        }
    }

    /// Where `ssl-default-bind-ciphers` and its kind go.
    pub(in crate::config::haproxy) fn algorithms(&mut self) -> &mut TlsAlgorithms {
        &mut self.settings.algorithms
    }

    /// Applies a word that is about TLS; false if it is about something else.
    pub(in crate::config::haproxy) fn apply(
        &mut self,
        word: &Arg<'_>,
        args: &mut Args<'_>,
        defaults: &Defaults,
        context: &mut Context<'_>,
    ) -> Parsed<bool> {
        if self.versions.apply(word, args, context)? {
            return Ok(true);
        }
        let settings = &mut self.settings;
        match word.text {
            "no-alpn" => settings.alpn.clear(),
            "no-ca-names" => settings.no_ca_names = true,
            "no-tls-tickets" => settings.no_tickets = true,
            "tls-tickets" => settings.no_tickets = false,
            "prefer-client-ciphers" => settings.clients_order = true,
            "alpn" | "verify" | "ca-file" | "ca-verify-file" | "crl-file" | "crt-ignore-err"
            | "ca-ignore-err" | "ciphers" | "ciphersuites" | "curves" | "ecdhe" => {
                let arg = args.need(word.text, "its value")?;
                set(word.text, &arg, settings, defaults, context)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// All of it, once nothing more is said; `whole` stands for the line in messages.
    pub(in crate::config::haproxy) fn finish(
        &self,
        whole: &Arg<'_>,
        context: &mut Context<'_>,
    ) -> Parsed<TlsSettings> {
        let mut settings = self.settings.clone();
        if self.versions.no_tls12 && self.versions.no_tls13 {
            return Err(whole.refuse("every TLS version is refused", "TLSv1.2 or TLSv1.3"));
        }
        settings.tls13_only = self.versions.no_tls12;
        settings.tls12_only = self.versions.no_tls13;
        let known = settings.authorities.is_some() || settings.more_authorities.is_some();
        match settings.verify {
            ClientVerify::None if known => context.warn(
                whole.span.clone(),
                "'ca-file' without 'verify'",
                "clients are not asked for a certificate",
            ),
            ClientVerify::Optional | ClientVerify::Required if !known => {
                let message = "verify is enabled but no CA file specified";
                return Err(whole.refuse(message, "ca-file <file>"));
            }
            _ => {}
        }
        Ok(settings)
    }
}

fn set(
    name: &str,
    arg: &Arg<'_>,
    settings: &mut TlsSettings,
    defaults: &Defaults,
    context: &mut Context<'_>,
) -> Parsed<()> {
    let base = defaults.ca_base.as_deref();
    match name {
        "alpn" => {
            settings.alpn = spoken(arg, context, "it is not offered; clients use what is");
        }
        "verify" => {
            settings.verify = match arg.text {
                "none" => ClientVerify::None,
                "optional" => ClientVerify::Optional,
                "required" => ClientVerify::Required,
                _ => {
                    let expected = "none, optional or required";
                    return Err(arg.refuse("unknown way to verify", expected));
                }
            };
        }
        "ca-file" => settings.authorities = Some(authorities(arg, defaults, context)?),
        "ca-verify-file" => settings.more_authorities = Some(authorities(arg, defaults, context)?),
        "crl-file" => {
            let path = based(base, arg.text);
            settings.revoked = Some(pem(arg, path, "-----BEGIN X509 CRL-----", context)?);
        }
        "crt-ignore-err" => settings.certificate_faults = faults(arg)?,
        "ca-ignore-err" => settings.authority_faults = faults(arg)?,
        _ => algorithms(name, arg, &mut settings.algorithms, context)?,
    }
    Ok(())
}

/// `all`, or numbers of OpenSSL.
fn faults(arg: &Arg<'_>) -> Parsed<IgnoredFaults> {
    if arg.text == "all" {
        return Ok(IgnoredFaults::All);
    }
    let codes = arg.text.split(',').map(|code| {
        let code = code.parse().ok().filter(|code| *code <= 127);
        code.ok_or_else(|| {
            arg.refuse(
                "not a number of an OpenSSL verify error",
                "all or 10,18,...",
            )
        })
    });
    codes.collect::<Parsed<_>>().map(IgnoredFaults::Some)
}

/// `ciphers`, `ciphersuites`, `curves` and their defaults: names that are not spoken are warned about; instead of a list
/// in which none is spoken (`PROFILE=SYSTEM`) the library's own set is offered.
pub(in crate::config::haproxy) fn algorithms(
    name: &str,
    arg: &Arg<'_>,
    chosen: &mut TlsAlgorithms,
    context: &mut Context<'_>,
) -> Parsed<()> {
    let names = |known: &[cipher::Cipher]| {
        let names: Vec<&str> = known.iter().map(|cipher| cipher.name).collect();
        names.join(", ")
    };
    let (Selection { ids, unknown }, place, known) = match name {
        "ciphers" => (
            cipher::ciphers(arg.text),
            &mut chosen.tls12,
            names(cipher::TLS12),
        ),
        "ciphersuites" => (
            cipher::suites(arg.text),
            &mut chosen.tls13,
            names(cipher::TLS13),
        ),
        _ => {
            let known = "X25519, P-256, P-384, X25519MLKEM768 or SecP256r1MLKEM768".to_owned();
            (cipher::curves(arg.text), &mut chosen.curves, known)
        }
    };
    if ids.is_empty() {
        // What is left out is weaker than what is offered, or a name of another system's policy.
        let finding = Diagnostic::warning(
            arg.span.clone(),
            format!("nothing of these '{name}' is spoken"),
        );
        let finding = finding.found(arg.text).expected(known);
        context
            .diagnostics
            .push(finding.action("the TLS library's own set is offered"));
        return Ok(());
    }
    if !unknown.is_empty() {
        context.warn(
            arg.span.clone(),
            format!("'{name}' that are not spoken: {}", unknown.join(", ")),
            "the others of the list are offered",
        );
    }
    *place = Some(ids);
    Ok(())
}

/// `ca-file <file>`, or the system's authorities.
pub(in crate::config::haproxy) fn authorities(
    arg: &Arg<'_>,
    defaults: &Defaults,
    context: &Context<'_>,
) -> Parsed<PemFile> {
    /// Where Debian and most other systems keep them in one file.
    const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";
    let path = match arg.text {
        "@system-ca" => SYSTEM.into(),
        text => based(defaults.ca_base.as_deref(), text),
    };
    pem(arg, path, "-----BEGIN CERTIFICATE-----", context)
}

/// A file, or a whole directory, in which `needed` must stand.
pub(in crate::config::haproxy) fn pem(
    arg: &Arg<'_>,
    path: std::path::PathBuf,
    needed: &str,
    context: &Context<'_>,
) -> Parsed<PemFile> {
    let mut text = Vec::new();
    let files = context
        .files
        .list(&path)
        .unwrap_or_else(|_| vec![path.clone()]);
    for file in files {
        let more = context
            .files
            .read(&file)
            .map_err(|error| unreadable(arg, "file", &file, &error))?;
        text.extend(more);
        text.push(b'\n');
    }
    if !has(&text, needed) {
        let message = format!(
            "{} holds nothing between {needed} and its end",
            path.display()
        );
        return Err(arg.refuse(message, "a PEM file"));
    }
    Ok((path, text.into()))
}
