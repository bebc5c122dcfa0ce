//! `option` and `timeout` lines (configuration manual §4.2).

use std::net::IpAddr;

use ipnet::IpNet;
use lb_core::config::{ForwardFor, HeaderNames, HttpMode, LogFormatKind};
use lb_core::http1::Names;

use super::{
    args::{Admitted, Arg, Args, Context, Parsed, admit, arity},
    draft::Draft,
    keywords::{OPTIONS, TIMEOUTS},
    proxy::misplaced,
    value::{self, Unit},
};
use crate::config::diagnostic::Diagnostic;

/// Kinds of checks: each gives way to another one alone.
const CHECKS: &[&str] = &[
    "external-check",
    "httpchk",
    "ldap-check",
    "mysql-check",
    "pgsql-check",
    "redis-check",
    "smtpchk",
    "spop-check",
    "ssl-hello-chk",
    "tcp-check",
];

/// The words behind `option` (`negated`: behind `no option`).
pub(super) fn read(
    args: &mut Args<'_>,
    negated: bool,
    place: &super::proxy::Place,
    draft: &mut Draft,
    context: &mut Context<'_>,
) -> Parsed<()> {
    let word = args.need("option", "the option's name")?;
    let entry = match admit(context, OPTIONS, &word, "option '{}'")? {
        Admitted::Use(entry) => entry,
        Admitted::Skip(_) => return Ok(()),
    };
    if negated && CHECKS.contains(&word.text) {
        let message = format!(
            "negation/default is not supported for option '{}'.",
            word.text
        );
        return Err(word.refuse(message, "another kind of check"));
    }
    arity(args, &format!("option {}", word.text), entry)?;
    let what = format!("option {}", word.text);
    if misplaced(context, &word, &what, entry.places, place)? {
        return Ok(());
    }
    let on = !negated;
    if flag(word.text, on, draft) {
        return Ok(());
    }
    match word.text {
        "httplog" | "httpslog" | "tcplog" => {
            if on && place.is_backend() {
                let (name, option) = (&place.name, word.text);
                let what = format!(
                    "backend '{name}' : 'option {option}' directive is ignored in backends."
                );
                context
                    .diagnostics
                    .push(Diagnostic::warning(word.span.clone(), what));
            }
            log_format(&word, args, on, draft)?;
        }
        "forwardfor" => {
            draft.forward_for_at = on.then(|| word.span.clone());
            let earlier = draft.proxy.forward_for.take();
            draft.proxy.forward_for = match on {
                true => Some(address_header(&word, args, earlier)?),
                false => None,
            };
        }
        "originalto" => {
            let earlier = draft.proxy.original_to.take();
            draft.proxy.original_to = match on {
                true => Some(address_header(&word, args, earlier)?),
                false => None,
            };
        }
        "http-restrict-req-hdr-names" => {
            draft.proxy.header_names = match on {
                true => header_names(args)?,
                false => HeaderNames::default(),
            };
        }
        "httpchk" => {
            draft.program.choose_none();
            draft.http_check.option(&place.title(), args, context)?;
        }
        "tcp-check" | "redis-check" | "smtpchk" | "mysql-check" | "pgsql-check" | "ldap-check"
        | "ssl-hello-chk" | "spop-check" => {
            // The kind of check that was asked for last holds.
            draft.http_check.enabled = false;
            draft.program.choose_none();
            draft.script.option(&word, args)?;
        }
        "external-check" => {
            draft.http_check.enabled = false;
            draft.script.choose_none();
            draft.program.choose(word.span);
        }
        "redispatch" => {
            draft.backend.redispatch = match (on, args.take()) {
                (false, _) => None,
                (true, None) => Some(-1),
                (true, Some(arg)) => Some(arg.text.parse().map_err(|_| {
                    arg.refuse(
                        "'redispatch' is not an interval",
                        "a whole number such as 1 or -1",
                    )
                })?),
            }
        }
        // `http-tunnel` and `http-use-htx` were warned about and have no effect.
        _ => {}
    }
    Ok(())
}

/// Options that only switch something; false if `name` is none of them.
fn flag(name: &str, on: bool, draft: &mut Draft) -> bool {
    let proxy = &mut draft.proxy;
    let backend = &mut draft.backend;
    let mut mode = |mode: HttpMode| {
        if on {
            proxy.http_mode = mode;
        } else if proxy.http_mode == mode {
            proxy.http_mode = HttpMode::default();
        }
    };
    match name {
        "httpclose" | "forceclose" => mode(HttpMode::Close),
        "http-server-close" => mode(HttpMode::ServerClose),
        "http-keep-alive" => mode(HttpMode::KeepAlive),
        "abortonclose" => backend.abort_on_close = on,
        "log-health-checks" => backend.log_health_checks = on,
        "allbackups" => backend.all_backups = on,
        "checkcache" => backend.check_cache = on,
        "persist" => backend.persist = on,
        "prefer-last-server" => backend.prefer_last_server = on,
        "dontlog-normal" => proxy.dontlog_normal = on,
        "dontlognull" => proxy.dontlognull = on,
        "http-ignore-probes" => proxy.ignore_probes = on,
        "accept-invalid-http-request" | "accept-unsafe-violations-in-http-request" => {
            proxy.invalid_requests = on;
        }
        "accept-invalid-http-response" | "accept-unsafe-violations-in-http-response" => {
            proxy.invalid_responses = on;
        }
        "h1-case-adjust-bogus-client" => proxy.adjust_case.0 = on,
        "h1-case-adjust-bogus-server" => proxy.adjust_case.1 = on,
        "http-keep-header-case" => {
            proxy.names = match on {
                true => Names::Kept,
                false => Names::Lower,
            };
        }
        "disable-h2-upgrade" => proxy.no_h2_upgrade = on,
        "http-buffer-request" => proxy.buffer_request = on,
        "socket-stats" => proxy.socket_stats = on,
        "logasap" => proxy.logasap = on,
        "log-separate-errors" => proxy.log_separate_errors = on,
        "clitcpka" => proxy.tcp_keepalive.0 = on,
        "srvtcpka" => proxy.tcp_keepalive.1 = on,
        "tcpka" => proxy.tcp_keepalive = (on, on),
        _ => return false,
    }
    true
}

fn log_format(word: &Arg<'_>, args: &mut Args<'_>, on: bool, draft: &mut Draft) -> Parsed<()> {
    let clf = match args.take() {
        None => false,
        Some(arg) if arg.text == "clf" && word.text == "httplog" => true,
        Some(arg) => {
            let message = format!("'option {}' does not take this word", word.text);
            return Err(arg.refuse(message, "clf behind httplog, or nothing"));
        }
    };
    draft.log_format_at = on.then(|| word.span.clone());
    draft.proxy.log_format = match (on, word.text, clf) {
        (false, ..) => LogFormatKind::Connect,
        (true, "tcplog", _) => LogFormatKind::Tcp,
        (true, "httpslog", _) => LogFormatKind::Https,
        (true, _, true) => LogFormatKind::Clf,
        (true, _, false) => LogFormatKind::Http,
    };
    Ok(())
}

/// `option http-restrict-req-hdr-names preserve|delete|reject`.
fn header_names(args: &mut Args<'_>) -> Parsed<HeaderNames> {
    let word = args.need("http-restrict-req-hdr-names", "preserve, delete or reject")?;
    match word.text {
        "preserve" => Ok(HeaderNames::Preserve),
        "delete" => Ok(HeaderNames::Delete),
        "reject" => Ok(HeaderNames::Reject),
        _ => Err(word.refuse("unknown policy", "preserve, delete or reject")),
    }
}

/// `option forwardfor|originalto [except <network>] [header <name>] [if-none]`. What an earlier line (or `defaults`)
/// excepted still holds.
fn address_header(
    option: &Arg<'_>,
    args: &mut Args<'_>,
    earlier: Option<ForwardFor>,
) -> Parsed<ForwardFor> {
    let of_source = option.text == "forwardfor";
    let header = match of_source {
        true => "X-Forwarded-For",
        false => "X-Original-To",
    };
    let mut result = ForwardFor {
        header: header.to_owned(),
        except: earlier.map(|earlier| earlier.except).unwrap_or_default(),
        if_none: false,
    };
    while let Some(word) = args.take() {
        match word.text {
            "if-none" if of_source => result.if_none = true,
            "header" => {
                let name = args.need("header", "a header name")?;
                name.text.clone_into(&mut result.header);
            }
            "except" => {
                let arg = args.need("except", "a network")?;
                let network = network(arg.text)
                    .ok_or_else(|| arg.refuse("not a network", "an address or address/bits"))?;
                result.except = vec![network];
            }
            _ => {
                let message = format!("unknown word behind 'option {}'", option.text);
                return Err(match of_source {
                    true => word.refuse(message, "except, header or if-none"),
                    false => word.refuse(message, "except or header"),
                });
            }
        }
    }
    Ok(result)
}

fn network(text: &str) -> Option<IpNet> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
        .or_else(|| {
            let (address, mask) = text.split_once('/')?;
            IpNet::with_netmask(address.parse().ok()?, mask.parse().ok()?).ok()
        })
        .map(|network: IpNet| network.trunc())
}

/// The words behind `timeout`.
pub(super) fn timeout(
    args: &mut Args<'_>,
    place: &super::proxy::Place,
    draft: &mut Draft,
    context: &mut Context<'_>,
) -> Parsed<()> {
    let word = args.need("timeout", "what to wait for and a time")?;
    let entry = match admit(context, TIMEOUTS, &word, "timeout '{}'")? {
        Admitted::Use(entry) => entry,
        Admitted::Skip(_) => return Ok(()),
    };
    let what = format!("timeout {}", word.text);
    arity(args, &what, entry)?;
    if misplaced(context, &word, &what, entry.places, place)? {
        return Ok(());
    }
    let arg = args.need(&what, "a time")?;
    set_timeout(word.text, &arg, draft, context)
}

/// Sets one timeout; 0 stands for none.
pub(super) fn set_timeout(
    name: &str,
    arg: &Arg<'_>,
    draft: &mut Draft,
    context: &mut Context<'_>,
) -> Parsed<()> {
    let of = format!("timeout {name}");
    let time = value::lenient_time(arg, &of, Unit::Milliseconds, context)?;
    let time = Some(time).filter(|time| !time.is_zero());
    let timeouts = &mut draft.proxy.timeouts;
    *match name {
        "check" => &mut timeouts.check,
        "client" | "clitimeout" => &mut timeouts.client,
        "client-fin" => &mut timeouts.client_fin,
        "connect" | "contimeout" => &mut timeouts.connect,
        "http-keep-alive" => &mut timeouts.http_keep_alive,
        "http-request" => &mut timeouts.http_request,
        "queue" => &mut timeouts.queue,
        "server-fin" => &mut timeouts.server_fin,
        "tarpit" => &mut timeouts.tarpit,
        "tunnel" => &mut timeouts.tunnel,
        _ => &mut timeouts.server,
    } = time;
    Ok(())
}
