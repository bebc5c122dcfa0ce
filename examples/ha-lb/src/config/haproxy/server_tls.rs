//! TLS words behind `server` and `default-server` (configuration manual §5.2), and what the global section says
//! of TLS to servers.

use std::path::PathBuf;

use lb_core::{
    config::{PemFile, ServerTls},
    expr::{Definitions, Written},
};

use super::{
    args::{Arg, Args, Context, Parsed},
    tls::{self, Versions},
};

/// What the global section says of TLS to servers.
#[derive(Debug, Clone, Default)]
pub(super) struct Defaults {
    /// `ca-base`.
    pub(super) ca_base: Option<PathBuf>,
    /// `crt-base`.
    pub(super) crt_base: Option<PathBuf>,
    /// `ssl-default-server-options`.
    pub(super) versions: Versions,
    /// `ssl-server-verify none`.
    pub(super) trusting: bool,
}

/// The words of one server, or of `default-server`.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    /// `ssl`.
    on: bool,
    /// `check-ssl`, `no-check-ssl`.
    check: Option<bool>,
    /// `verify none` or `required`, where given.
    verify: Option<bool>,
    versions: Option<Versions>,
    config: ServerTls,
}

impl Draft {
    /// Applies a word without an argument.
    pub(super) fn switch(&mut self, name: &str) {
        match name {
            "ssl" => self.on = true,
            "no-ssl" => self.on = false,
            "check-ssl" => self.check = Some(true),
            "no-check-ssl" => self.check = Some(false),
            "no-ssl-reuse" => self.config.no_resumption = true,
            "ssl-reuse" => self.config.no_resumption = false,
            _ => self.config.host = None,
        }
    }

    /// Applies a word about versions; false if it is about something else.
    pub(super) fn version(
        &mut self,
        word: &Arg<'_>,
        args: &mut Args<'_>,
        defaults: &Defaults,
    ) -> Parsed<bool> {
        self.versions
            .get_or_insert(defaults.versions)
            .apply(word, args)
    }

    /// Applies a word with one argument.
    pub(super) fn set(
        &mut self,
        name: &str,
        arg: &Arg<'_>,
        defaults: &Defaults,
        context: &mut Context<'_>,
    ) -> Parsed<()> {
        let config = &mut self.config;
        match name {
            "verify" => {
                self.verify = Some(match arg.text {
                    "none" => false,
                    "required" => true,
                    _ => return Err(arg.refuse("unknown way to verify", "none or required")),
                });
            }
            "verifyhost" => config.host = Some(arg.text.to_owned()),
            "ca-file" => config.authorities = Some(authorities(arg, defaults, context)?),
            "crt" => {
                let base = defaults.crt_base.as_deref();
                config.certificate = Some(tls::bundle(arg, tls::based(base, arg.text), context)?);
            }
            "sni" => {
                let sni = Written::parse(arg.text, &Definitions::default());
                let expected = "an expression such as req.hdr(host) or str(name)";
                config.sni = Some(sni.map_err(|error| arg.refuse(error.message, expected))?);
            }
            "check-sni" => config.check_sni = Some(arg.text.to_owned()),
            _ => {
                let done = "it is not offered; servers get what is";
                config.alpn = tls::spoken(arg, context, done);
            }
        }
        Ok(())
    }

    /// How the server is spoken to, and how checks speak to it; `elsewhere` if these go to a port or an address of
    /// their own. `whole` stands for the line in messages.
    pub(super) fn finish(
        &self,
        whole: &Arg<'_>,
        elsewhere: bool,
        defaults: &Defaults,
    ) -> Parsed<(Option<ServerTls>, Option<ServerTls>)> {
        let checked = self.check.unwrap_or(self.on && !elsewhere);
        if !self.on && !checked {
            return Ok((None, None));
        }
        let mut config = self.config.clone();
        let required = self.verify.unwrap_or(!defaults.trusting);
        if !required {
            config.authorities = None;
        } else if config.authorities.is_none() {
            let message =
                "TLS without 'ca-file': the server's certificate would be verified by nobody";
            return Err(whole.refuse(
                message,
                "ca-file <file>, or `verify none` to trust any server",
            ));
        }
        let versions = self.versions.unwrap_or(defaults.versions);
        if versions.no_tls12 && versions.no_tls13 {
            return Err(whole.refuse("every TLS version is refused", "TLSv1.2 or TLSv1.3"));
        }
        config.tls13_only = versions.no_tls12;
        config.tls12_only = versions.no_tls13;
        let check = checked.then(|| config.clone());
        Ok((self.on.then_some(config), check))
    }
}

/// `ca-file <file>`, or the system's authorities.
fn authorities(arg: &Arg<'_>, defaults: &Defaults, context: &Context<'_>) -> Parsed<PemFile> {
    /// Where Debian and most other systems keep them in one file.
    const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";
    let path = match arg.text {
        "@system-ca" => PathBuf::from(SYSTEM),
        text => tls::based(defaults.ca_base.as_deref(), text),
    };
    let text = context
        .files
        .read(&path)
        .map_err(|error| tls::unreadable(arg, "file of authorities", &path, &error))?;
    if !tls::has(&text, "-----BEGIN CERTIFICATE-----") {
        let message = format!("{} holds no certificate", path.display());
        return Err(arg.refuse(message, "a PEM file with certificates of authorities"));
    }
    Ok((path, text.into()))
}
