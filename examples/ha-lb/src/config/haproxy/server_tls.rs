//! TLS words behind `server` and `default-server` (configuration manual §5.2), and what the global section says
//! of TLS to servers.

use lb_core::{
    config::{ServerTls, TlsAlgorithms},
    expr::{Definitions, Written},
};

use super::{
    args::{Arg, Args, Context, Parsed},
    tls::{self, Versions},
};

/// What the global section says of TLS to servers.
#[derive(Debug, Clone, Default)]
pub(super) struct Defaults {
    /// What holds for every use of TLS.
    pub(super) common: tls::Defaults,
    /// `ssl-default-server-options`.
    pub(super) versions: Versions,
    /// `ssl-default-server-ciphers` and `-ciphersuites`.
    pub(super) algorithms: TlsAlgorithms,
    /// `ssl-server-verify none`.
    pub(super) trusting: bool,
}

/// The words of one server, or of `default-server`.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    /// `ssl`.
    on: bool,
    /// `no-ssl`: whether there had been `ssl` before it.
    off: Option<bool>,
    /// `check-ssl`, `no-check-ssl`.
    check: Option<bool>,
    /// `verify none` or `required`, where given.
    verify: Option<bool>,
    versions: Option<Versions>,
    algorithms: Option<TlsAlgorithms>,
    check_alpn: Vec<String>,
    config: ServerTls,
}

impl Draft {
    /// Applies a word without an argument.
    pub(super) fn switch(&mut self, name: &str) {
        match name {
            "ssl" => (self.on, self.off) = (true, None),
            "no-ssl" => {
                self.off = Some(self.on || self.off == Some(true));
                self.on = false;
            }
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
        context: &mut Context<'_>,
    ) -> Parsed<bool> {
        self.versions
            .get_or_insert(defaults.versions)
            .apply(word, args, context)
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
            "verifyhost" => {
                // An expression, as `sni` takes one, would be a name that no certificate has.
                let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-._*:".contains(&b);
                if !arg.text.bytes().all(is_name) {
                    return Err(arg.refuse("not a host name", "the name in the certificate"));
                }
                config.host = Some(arg.text.to_owned());
            }
            "ca-file" => {
                config.authorities = Some(tls::authorities(arg, &defaults.common, context)?);
            }
            "crl-file" => {
                let path = tls::based(defaults.common.ca_base.as_deref(), arg.text);
                let begin = "-----BEGIN X509 CRL-----";
                config.revoked = Some(tls::pem(arg, path, begin, context)?);
            }
            "crt" => {
                let base = defaults.common.crt_base.as_deref();
                let path = tls::based(base, arg.text);
                let bundle = tls::bundle(arg, path, defaults.common.extra, context)?;
                config.certificate = Some(bundle);
            }
            "ciphers" | "ciphersuites" => {
                let chosen = self
                    .algorithms
                    .get_or_insert_with(|| defaults.algorithms.clone());
                tls::algorithms(name, arg, chosen, context)?;
            }
            "check-alpn" => {
                let done = "it is not offered; servers get what is";
                self.check_alpn = tls::spoken(arg, context, done);
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

    /// How steps of a check that ask for TLS themselves speak to the server; `None` where nobody would vouch for it.
    pub(super) fn of_steps(&self, defaults: &Defaults) -> Option<ServerTls> {
        let versions = self.versions.unwrap_or(defaults.versions);
        let required = self.verify.unwrap_or(!defaults.trusting);
        if required && self.config.authorities.is_none() {
            return None;
        }
        Some(ServerTls {
            authorities: self.config.authorities.clone().filter(|_| required),
            tls13_only: versions.no_tls12,
            tls12_only: versions.no_tls13,
            algorithms: self
                .algorithms
                .as_ref()
                .unwrap_or(&defaults.algorithms)
                .clone(),
            alpn: self.check_alpn.clone(),
            ..self.config.clone()
        })
    }

    /// Whether `no-ssl` holds.
    pub(super) fn is_refused(&self) -> bool {
        self.off.is_some()
    }

    /// What an operator may switch on where `no-ssl` holds against the `ssl` of `default-server`.
    pub(super) fn spare(&self, whole: &Arg<'_>, defaults: &Defaults) -> Option<ServerTls> {
        let mut on = self.clone();
        on.on = self.off?;
        on.check = Some(false);
        on.finish(whole, false, defaults).ok()?.0
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
        config.algorithms = self
            .algorithms
            .as_ref()
            .unwrap_or(&defaults.algorithms)
            .clone();
        let check = checked.then(|| ServerTls {
            alpn: self.check_alpn.clone(),
            ..config.clone()
        });
        Ok((self.on.then_some(config), check))
    }
}
