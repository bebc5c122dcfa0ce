//! `bind` lines (configuration manual §5.1).

use std::net::{IpAddr, SocketAddr};

use lb_core::config::{Bind, BindAddress, Protocol, TlsBind};

use super::{
    address::{self, Host, Port},
    args::{Admitted, Arg, Args, Context, Parsed, admit},
    keywords::BIND,
    tls::{self, Defaults},
    unix_socket,
    value::{self, Unit},
};

/// Reads the words behind `bind`: each address of a list and each port of a range is a listener of its own.
pub(super) fn read(
    args: &mut Args<'_>,
    defaults: &Defaults,
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
    if bind.id.is_some() && addresses.len() > 1 {
        let message = "'id' can only be used with a single socket";
        return Err(at.refuse(message, "one address, or no 'id'"));
    }
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
    defaults: &Defaults,
    context: &mut Context<'_>,
    bind: &mut Bind,
) -> Parsed<Option<TlsBind>> {
    let mut ssl = false;
    let mut words = defaults.binds.clone();
    let mut tls = TlsBind {
        strict_sni: defaults.strict_sni,
        ..TlsBind::default()
    };
    let mut first_tls_word = None;
    // What a list says of a certificate is added to what the whole line says.
    let mut sources = Vec::new();
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
        let name = word.text;
        if matches!(
            name,
            "crt" | "crt-list" | "alpn" | "strict-sni" | "verify" | "ca-file"
        ) {
            first_tls_word.get_or_insert_with(|| word.clone());
        }
        if words.apply(&word, args, defaults, context)? {
            continue;
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
                    "crt" | "crt-list" => sources.push((name == "crt-list", arg)),
                    "tls-ticket-keys" => tls.ticket_keys = tls::ticket_keys(&arg, context)?,
                    "backlog" => bind.backlog = Some(value::number(&arg, name, 0, u32::MAX)?),
                    "maxconn" => {
                        let limit = value::number(&arg, name, 0, u32::MAX)?;
                        bind.maxconn = Some(limit).filter(|limit| *limit > 0);
                    }
                    "mss" => {
                        let bytes = value::number(&arg, name, 1, u16::MAX.into())?;
                        bind.mss = u16::try_from(bytes).ok();
                    }
                    "tcp-ut" => {
                        bind.user_timeout = Some(value::time(&arg, name, Unit::Milliseconds)?);
                    }
                    "interface" => bind.interface = Some(arg.text.to_owned()),
                    _ if unix_socket::right(name, &arg, &mut bind.rights)? => {}
                    "id" => bind.id = Some(value::number(&arg, name, 1, u32::MAX)?),
                    "proto" => bind.protocol = protocol(&arg)?,
                    _ => bind.name = Some(arg.text.to_owned()),
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
    for (is_list, arg) in sources {
        match is_list {
            false => tls::certificates(&arg, defaults, context, &mut tls)?,
            true => tls::list(&arg, &words, defaults, context, &mut tls)?,
        }
    }
    let line = args.line();
    let whole = Arg {
        text: line.text(1),
        span: line.span(1),
    };
    if tls.certificates.is_empty() {
        return Err(whole.refuse("'ssl' without a certificate", "crt <file>"));
    }
    tls.settings = words.finish(&whole, context)?;
    Ok(Some(tls))
}

/// The protocol of `proto`.
pub(super) fn protocol(arg: &Arg<'_>) -> Parsed<Protocol> {
    match arg.text {
        "h1" => Ok(Protocol::Http1),
        "h2" => Ok(Protocol::Http2),
        _ => Err(arg.refuse("unknown protocol", "h1 or h2")),
    }
}
