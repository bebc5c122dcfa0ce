//! `bind` lines (configuration manual §5.1).

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
};

use lb_core::config::{Bind, BindAddress, Protocol, TlsBind};

use super::{
    address::{self, Host, Port},
    args::{Admitted, Arg, Args, Context, Parsed, admit},
    keywords::BIND,
    tls::{self, Versions},
    value,
};

/// What `bind` lines take from the global section.
#[derive(Clone, Copy)]
pub(super) struct Defaults<'g> {
    /// `crt-base`.
    pub(super) crt_base: Option<&'g Path>,
    /// `ssl-default-bind-options`.
    pub(super) tls: Versions,
}

/// Reads the words behind `bind`: each address of a list and each port of a range is a listener of its own.
pub(super) fn read(
    args: &mut Args<'_>,
    defaults: Defaults<'_>,
    context: &mut Context<'_>,
) -> Parsed<Vec<Bind>> {
    let at = args.need("bind", "[address]:port")?;
    let mut addresses = Vec::new();
    for text in at.text.split(',') {
        expand(&at, text, context, &mut addresses)?;
    }
    let mut bind = Bind::new(BindAddress::Unix("/".into()));
    bind.origin = Some(args.line().origin());
    let tls = options(args, defaults, context, &mut bind)?;
    bind.tls = tls;
    Ok(addresses
        .into_iter()
        .map(|address| {
            let mut bind = bind.clone();
            bind.address = address;
            bind
        })
        .collect())
}

fn expand(
    at: &Arg<'_>,
    text: &str,
    context: &Context<'_>,
    addresses: &mut Vec<BindAddress>,
) -> Parsed<()> {
    const EXPECTED: &str = "[address]:port[-end] or a path";
    let address = address::parse(at, text)?;
    let ports = match (&address.host, address.port) {
        (Host::Unix(path), _) => {
            addresses.push(BindAddress::Unix(path.clone()));
            return Ok(());
        }
        (Host::Abstract(name), _) => {
            addresses.push(BindAddress::Abstract(name.clone()));
            return Ok(());
        }
        (Host::Fd(fd), _) => {
            addresses.push(BindAddress::Inherited(*fd));
            return Ok(());
        }
        (_, Port::One(port @ 1..)) => port..=port,
        (_, Port::Range(low, high)) => low..=high,
        (_, Port::Missing) => {
            return Err(at.refuse(format!("missing port specification in '{text}'"), EXPECTED));
        }
        (_, Port::One(_) | Port::Offset(_)) => {
            return Err(at.refuse(format!("invalid port in '{text}'"), EXPECTED));
        }
    };
    let ip: IpAddr = *address::resolve(context, &address)
        .first()
        .ok_or_else(|| at.refuse(format!("invalid address in '{text}'"), EXPECTED))?;
    addresses.extend(ports.map(|port| BindAddress::Tcp(SocketAddr::new(ip, port))));
    Ok(())
}

fn options(
    args: &mut Args<'_>,
    defaults: Defaults<'_>,
    context: &mut Context<'_>,
    bind: &mut Bind,
) -> Parsed<Option<TlsBind>> {
    let mut ssl = false;
    let mut versions = defaults.tls;
    let mut tls = TlsBind::default();
    let mut first_tls_word = None;
    while let Some(word) = args.take() {
        match admit(context, BIND, &word, "word '{}' behind 'bind'")? {
            Admitted::Use(_) => {}
            Admitted::Skip(entry) => {
                for _ in 0..entry.arity.0 {
                    args.need(word.text, "its value")?;
                }
                continue;
            }
        }
        if versions.apply(&word, args)? {
            continue;
        }
        let name = word.text;
        if matches!(name, "crt" | "crt-list" | "alpn" | "strict-sni") {
            first_tls_word.get_or_insert_with(|| word.clone());
        }
        match name {
            "ssl" => ssl = true,
            "strict-sni" => tls.strict_sni = true,
            "accept-proxy" => bind.accept_proxy = true,
            "transparent" => bind.freebind = true,
            "v4v6" => bind.v6only = Some(false),
            "v6only" => bind.v6only = Some(true),
            _ => {
                let arg = args.need(name, "its value")?;
                match name {
                    "crt" => tls::certificates(&arg, defaults.crt_base, context, &mut tls)?,
                    "crt-list" => tls::list(&arg, defaults.crt_base, context, &mut tls)?,
                    "alpn" => {
                        let done = "it is not offered; clients use what is";
                        tls.alpn = tls::spoken(&arg, context, done);
                    }
                    "backlog" => bind.backlog = Some(value::number(&arg, name, 0, u32::MAX)?),
                    "interface" => bind.interface = Some(arg.text.to_owned()),
                    "mode" => bind.unix_mode = Some(value::mode(&arg)?),
                    "name" => bind.name = Some(arg.text.to_owned()),
                    "proto" => bind.protocol = protocol(&arg)?,
                    _ if arg.text == "none" => {}
                    _ => {
                        let message = "client certificates are not verified";
                        return Err(arg.refuse(message, "verify none"));
                    }
                }
            }
        }
    }
    if !ssl {
        if let Some(word) = first_tls_word {
            let what = format!("'{}' without 'ssl'", word.text);
            context.warn(word.span, what, "no TLS is spoken here");
        }
        return Ok(None);
    }
    finish(args, versions, tls).map(Some)
}

/// The protocol of `proto`.
pub(super) fn protocol(arg: &Arg<'_>) -> Parsed<Protocol> {
    match arg.text {
        "h1" => Ok(Protocol::Http1),
        "h2" => Ok(Protocol::Http2),
        _ => Err(arg.refuse("unknown protocol", "h1 or h2")),
    }
}

fn finish(args: &Args<'_>, versions: Versions, mut tls: TlsBind) -> Parsed<TlsBind> {
    let line = args.line();
    let whole = Arg {
        text: line.text(1),
        span: line.span(1),
    };
    if tls.certificates.is_empty() {
        return Err(whole.refuse("'ssl' without a certificate", "crt <file>"));
    }
    if versions.no_tls12 && versions.no_tls13 {
        return Err(whole.refuse("every TLS version is refused", "TLSv1.2 or TLSv1.3"));
    }
    tls.tls13_only = versions.no_tls12;
    tls.tls12_only = versions.no_tls13;
    Ok(tls)
}
