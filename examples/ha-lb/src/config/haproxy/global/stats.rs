//! `stats` lines of the `global` section: the command sockets and their limits.

use std::net::SocketAddr;

use lb_core::config::{BindAddress, SocketRights, StatsLevel, StatsSocket};

use super::{
    super::{
        address::{self, Host, Port},
        args::{Admitted, Arg, Args, Context, Parsed, admit},
        keywords::STATS_SOCKET,
        unix_socket,
        value::{self, Unit},
    },
    Draft,
};

/// `stats socket ...`, `stats timeout ...`, `stats maxconn ...`.
pub(super) fn read(
    args: &mut Args<'_>,
    draft: &mut Draft,
    context: &mut Context<'_>,
) -> Parsed<()> {
    let word = args.need("stats", "socket, timeout or maxconn")?;
    match word.text {
        "socket" => {
            let sockets = stats_socket(args, context)?;
            draft.global.stats_sockets.extend(sockets);
            Ok(())
        }
        "timeout" => {
            let arg = args.need("stats timeout", "a time")?;
            let time = value::time(&arg, "stats timeout", Unit::Milliseconds)?;
            if time.is_zero() {
                return Err(arg.refuse("'stats timeout' is not a time", "more than 0"));
            }
            draft.global.stats_timeout = Some(time);
            args.end("stats timeout")
        }
        "maxconn" => {
            let arg = args.need("stats maxconn", "a number")?;
            draft.global.stats_maxconn = Some(value::number(&arg, "stats maxconn", 1, 100_000)?);
            args.end("stats maxconn")
        }
        "bind-process" => {
            context.warn(
                word.span,
                "'stats bind-process' is ignored",
                "there is one process",
            );
            Ok(())
        }
        _ => Err(word.refuse(
            "unknown word behind 'stats'",
            "socket, timeout, maxconn or bind-process",
        )),
    }
}

fn stats_socket(args: &mut Args<'_>, context: &mut Context<'_>) -> Parsed<Vec<StatsSocket>> {
    let at = args.need("stats socket", "a path or an address")?;
    let mut sockets = Vec::new();
    for text in at.text.split(',') {
        sockets.push(StatsSocket {
            address: socket_address(&at, text, context)?,
            level: StatsLevel::default(),
            rights: SocketRights::default(),
        });
    }
    let mut level = StatsLevel::default();
    let mut rights = SocketRights::default();
    while let Some(word) = args.take() {
        match admit(
            context,
            STATS_SOCKET,
            &word,
            "word '{}' behind 'stats socket'",
        )? {
            Admitted::Use(_) => {}
            Admitted::Skip(_) => {
                args.take();
                continue;
            }
        }
        let arg = args.need(word.text, "its value")?;
        match word.text {
            "level" => {
                level = match arg.text {
                    "user" => StatsLevel::User,
                    "operator" => StatsLevel::Operator,
                    "admin" => StatsLevel::Admin,
                    _ => return Err(arg.refuse("unknown level", "user, operator or admin")),
                }
            }
            name => {
                unix_socket::right(name, &arg, &mut rights)?;
            }
        }
    }
    for socket in &mut sockets {
        socket.level = level;
        socket.rights.clone_from(&rights);
        warn_if_open(&at, socket, context);
    }
    Ok(sockets)
}

fn socket_address(at: &Arg<'_>, text: &str, context: &Context<'_>) -> Parsed<BindAddress> {
    let address = address::parse(at, text)?;
    match address.host {
        Host::Unix(path) => return Ok(BindAddress::Unix(path)),
        Host::Abstract(name) => return Ok(BindAddress::Abstract(name)),
        Host::Fd(fd) => return Ok(BindAddress::Inherited(fd)),
        Host::Ip(_) | Host::Name(_) => {}
    }
    let Port::One(port @ 1..) = address.port else {
        return Err(at.refuse("a command socket needs one port", "a path or address:port"));
    };
    address::resolve(context, &address)
        .first()
        .map(|ip| BindAddress::Tcp(SocketAddr::new(*ip, port)))
        .ok_or_else(|| at.refuse("the address is not usable", "a path or address:port"))
}

/// A TCP command socket asks nobody for a password.
fn warn_if_open(at: &Arg<'_>, socket: &StatsSocket, context: &mut Context<'_>) {
    let BindAddress::Tcp(address) = socket.address else {
        return;
    };
    let who = if address.ip().is_loopback() {
        "every user of this host"
    } else {
        "anyone who reaches it over the network"
    };
    let power = match socket.level {
        StatsLevel::Admin => "can stop servers and change the service without any authentication",
        StatsLevel::Operator | StatsLevel::User => "can read the statistics without authentication",
    };
    context.warn(
        at.span.clone(),
        format!("stats socket {address} is dangerous: {who} {power}"),
        "it is opened as written; use a UNIX socket with `mode 600` instead",
    );
}
