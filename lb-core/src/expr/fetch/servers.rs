//! State and load of servers, backends and frontends. Manual 7.3.2.

use std::time::Duration;

use super::{Eval, Fetch};
use crate::{
    backend::Backend,
    config::{ProxyConfig, Timeouts},
    expr::{
        ArgSpec, Needs, Type, Value,
        args::{ArgKind, Argument, may, need},
    },
    request::RequestView,
    server::{Operation, Server},
    stats::FrontendCounters,
};

const BACKEND: &[ArgSpec] = &[may("backend", ArgKind::Backend)];
const FRONTEND: &[ArgSpec] = &[may("frontend", ArgKind::Frontend)];
const SERVER: &[ArgSpec] = &[need("backend/server", ArgKind::Server)];

const NONE: &[ArgSpec] = &[];

macro_rules! rows {
    ($($name:literal, $args:ident, $type:ident, $doc:literal, $eval:expr;)*) => {
        &[$(
            Fetch::row(
                $name,
                &[],
                $args,
                Type::$type,
                Needs::Connection,
                $doc,
                Eval::One($eval),
            ),
        )*]
    };
}

/// The entries.
pub(super) const TABLE: &[Fetch] = rows! {
    "nbsrv", BACKEND, Int, "Usable servers of a backend.", |args, view| {
        int(usable(backend(args, view)?))
    };
    "avg_queue", BACKEND, Int, "Waiting connections for each usable server of a backend.", |args, view| {
        let backend = backend(args, view)?;
        let waiting = backend.waiting();
        int(match usable(backend) {
            0 => waiting,
            servers => waiting.div_ceil(servers),
        })
    };
    "queue", BACKEND, Int, "Waiting connections of a backend.", |args, view| {
        int(backend(args, view)?.waiting())
    };
    "be_conn", BACKEND, Int, "Connections of a backend.", |args, view| {
        int(backend(args, view)?.counters().sessions.value())
    };
    "be_sess_rate", BACKEND, Int, "New sessions of a backend in the last second.", |args, view| {
        int(backend(args, view)?.counters().session_rate.per_second(view.now))
    };
    "be_id", NONE, Int, "Number of the chosen backend.", |_, view| number(view.backend?, view);
    "fe_id", NONE, Int, "Number of the frontend.", |_, view| number(&view.connection.frontend, view);
    "srv_id", NONE, Int, "Number of the chosen server.", |_, view| {
        let world = view.state.world.as_deref()?;
        let server = world.backend(view.backend?)?.server_named(view.server?)?;
        int(server.config().id)
    };
    "be_server_timeout", NONE, Int, "Timeout of the backend's servers in milliseconds, as it is in the file.",
        |_, view| milliseconds(timeouts(view)?.server);
    "be_tunnel_timeout", NONE, Int, "Timeout of the backend's tunnels in milliseconds, as it is in the file.",
        |_, view| milliseconds(timeouts(view)?.tunnel);
    "cur_server_timeout", NONE, Int, "Timeout of the server in milliseconds, as it is for this request.",
        |_, view| milliseconds(view.state.own_timeouts().0.or(timeouts(view)?.server));
    "cur_tunnel_timeout", NONE, Int, "Timeout of a tunnel in milliseconds, as it is for this request.",
        |_, view| milliseconds(view.state.own_timeouts().1.or(timeouts(view)?.tunnel));
    "connslots", BACKEND, Int, "Free connections and queue places of a backend; -1 if there is no limit.",
        |args, view| slots(backend(args, view)?);
    "fe_conn", FRONTEND, Int, "Connections of a frontend.", |args, view| {
        int(frontend(args, view)?.connections.value())
    };
    "fe_sess_rate", FRONTEND, Int, "New sessions of a frontend in the last second.", |args, view| {
        int(frontend(args, view)?.session_rate.per_second(view.now))
    };
    "fe_req_rate", FRONTEND, Int, "Requests of a frontend in the last second.", |args, view| {
        int(frontend(args, view)?.request_rate.per_second(view.now))
    };
    "fe_defbe", NONE, String, "Name of the frontend's default backend; not of a `listen` section that is its own.",
        |_, view| {
            let half = section(view)?.frontend.as_ref()?;
            let name = half.default_backend.as_deref()?;
            (*name != *view.connection.frontend).then(|| Value::text(name.as_bytes()))
        };
    "fe_client_timeout", NONE, Int, "Timeout of the frontend's clients in milliseconds, as it is in the file.",
        |_, view| milliseconds(section(view)?.timeouts.client);
    "be_conn_free", BACKEND, Int, "Connections that the usable servers of a backend still take; -1 if there is no limit.",
        |args, view| free_of_all(backend(args, view)?);
    "srv_conn_free", SERVER, Int, "Connections that a server still takes; -1 if there is no limit.", |args, view| {
        Some(Value::Int(free(server(args, view)?).unwrap_or(-1)))
    };
    "srv_is_up", SERVER, Bool, "Whether a server is up.", |args, view| {
        let server = server(args, view)?;
        let up = server.operation() != Operation::Stopped && !server.admin().is_maintenance();
        Some(Value::Bool(up))
    };
    "srv_conn", SERVER, Int, "Connections of a server.", |args, view| {
        int(server(args, view)?.counters().sessions.value())
    };
    "srv_queue", SERVER, Int, "Connections that wait for a server.", |args, view| {
        int(server(args, view)?.counters().queue.value())
    };
    "srv_sess_rate", SERVER, Int, "New sessions of a server in the last second.", |args, view| {
        int(server(args, view)?.counters().session_rate.per_second(view.now))
    };
    "srv_weight", SERVER, Int, "The effective weight of a server.", |args, view| {
        int(server(args, view)?.effective_weight())
    };
    "srv_uweight", SERVER, Int, "The weight of a server as it was set.", |args, view| {
        int(server(args, view)?.weight())
    };
    "srv_iweight", SERVER, Int, "The weight of a server in the file.", |args, view| {
        int(server(args, view)?.config().weight.into())
    };
};

/// Servers that balancing may use: the active ones, without any the backup ones.
pub(in crate::expr) fn usable(backend: &Backend) -> u32 {
    match backend.usable_servers() {
        (0, 0) => 0,
        (0, backups) if backend.config().all_backups => backups,
        (0, _) => 1,
        (active, _) => active,
    }
}

fn int<'a>(number: u32) -> Option<Value<'a>> {
    Some(Value::Int(number.into()))
}

fn number<'a>(proxy: &str, view: &RequestView<'a>) -> Option<Value<'a>> {
    int(view.state.world.as_deref()?.number(proxy)?)
}

fn section<'a>(view: &RequestView<'a>) -> Option<&'a ProxyConfig> {
    let world = view.state.world.as_deref()?;
    world.section(&view.connection.frontend)
}

fn timeouts<'a>(view: &RequestView<'a>) -> Option<&'a Timeouts> {
    view.state.world.as_deref()?.timeouts(view.backend?)
}

/// None at all is 0.
fn milliseconds<'a>(timeout: Option<Duration>) -> Option<Value<'a>> {
    let millis = timeout.map_or(0, |timeout| timeout.as_millis());
    Some(Value::Int(i64::try_from(millis).unwrap_or(i64::MAX)))
}

fn backend<'a>(args: &[Argument], view: &RequestView<'a>) -> Option<&'a Backend> {
    let named = args.first().and_then(Argument::proxy);
    let name = named.or(view.backend)?;
    view.state.world.as_deref()?.backend(name).map(|b| &**b)
}

fn frontend<'a>(args: &[Argument], view: &RequestView<'a>) -> Option<&'a FrontendCounters> {
    let named = args.first().and_then(Argument::proxy);
    let name = named.unwrap_or(&view.connection.frontend);
    view.state.world.as_deref()?.frontend(name)
}

fn server<'a>(args: &[Argument], view: &RequestView<'a>) -> Option<&'a Server> {
    let Some(Argument::Server(backend, server)) = args.first() else {
        return None;
    };
    let backend = view.state.world.as_deref()?.backend(backend)?;
    backend.server_named(server)
}

/// Connections that a server still takes; `None` if there is no limit.
fn free(server: &Server) -> Option<i64> {
    let most = Some(server.maxconn()).filter(|most| *most > 0)?;
    let left = i64::from(most) - i64::from(server.counters().sessions.value());
    Some(left.max(0))
}

/// Those of the active servers, or without any of the backup ones that are used then.
fn free_of_all<'a>(backend: &Backend) -> Option<Value<'a>> {
    let usable = |backup: bool| {
        let servers = backend.servers().iter();
        servers.filter(move |s| s.is_usable() && s.config().backup == backup)
    };
    let all: Option<i64> = match usable(false).next() {
        Some(_) => usable(false).map(free).sum(),
        None if backend.config().all_backups => usable(true).map(free).sum(),
        None => usable(true).take(1).map(free).sum(),
    };
    Some(Value::Int(all.unwrap_or(-1)))
}

/// A server without `maxconn` or `maxqueue` makes the number endless.
fn slots<'a>(backend: &Backend) -> Option<Value<'a>> {
    let mut free = 0_i64;
    for server in backend.servers().iter().filter(|s| s.is_usable()) {
        let most = server.maxconn();
        let (1.., Some(queue @ 1..)) = (most, server.config().maxqueue) else {
            return Some(Value::Int(-1));
        };
        let counters = server.counters();
        free += i64::from(most) - i64::from(counters.sessions.value());
        free += i64::from(queue) - i64::from(counters.queue.value());
    }
    Some(Value::Int(free.max(0)))
}
