//! What is raced: one table. Nothing here runs anything.

/// A race of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    /// For `--scenario` and the report.
    pub(crate) name: &'static str,
    /// One line for a reader.
    pub(crate) about: &'static str,
    pub(crate) proxy: Proxy,
    pub(crate) client: Client,
    pub(crate) task: Task,
    pub(crate) bar: Bar,
}

/// What ha-lb's cost is to be at most.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bar {
    /// Of HAProxy's in the same run.
    Ratio(f64),
    /// So much of a unit.
    Most(f64, &'static str),
    /// Something that one scenario does not tell.
    Words(&'static str),
}

/// What the proxy is configured to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proxy {
    pub(crate) kind: Kind,
    pub(crate) workers: usize,
    pub(crate) servers: usize,
}

/// The proxy's mode and options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `mode http`, connections kept on both sides.
    Http,
    /// The same behind `bind ... ssl`.
    Tls,
    /// `mode http` with clients that speak HTTP/2 from the first byte on.
    Http2,
    /// `mode tcp`.
    Tcp,
    /// `option http-server-close`, `option httplog` to a UDP socket.
    ServerClose,
    /// As the k8s-ingress file has it: `http-server-close`, `httplog`, `forwardfor`, and `httpclose` in the frontend.
    Ingress,
}

/// What the clients do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    /// Bytes of each answer's body.
    pub(crate) body: usize,
    /// Open at the same time.
    pub(crate) connections: usize,
    pub(crate) reuse: Reuse,
    /// Requests a second; without it as fast as answers come.
    pub(crate) pace: Option<u32>,
}

/// How long a client connection lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// Request after request.
    KeepAlive,
    /// One request, which asks for the close; TLS handshakes are full ones.
    Close,
    /// One request; the proxy closes unasked.
    Closed,
    /// One request; TLS sessions are resumed.
    Resume,
}

/// What is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Requests a second, CPU time, latency, memory.
    Race,
    /// Memory of a connection that waits.
    Idle(usize),
    /// System calls per request, under strace.
    Syscalls,
}

const KEEP: Client = Client {
    body: 128,
    connections: 32,
    reuse: Reuse::KeepAlive,
    pace: None,
};
const CLOSE: Client = Client {
    reuse: Reuse::Close,
    ..KEEP
};
const BULK: Client = Client {
    body: 1 << 20,
    connections: 8,
    ..KEEP
};
const ONE: Proxy = Proxy {
    kind: Kind::Http,
    workers: 1,
    servers: 1,
};
const TLS: Proxy = Proxy {
    kind: Kind::Tls,
    ..ONE
};
const TCP: Proxy = Proxy {
    kind: Kind::Tcp,
    ..ONE
};

const fn race(name: &'static str, about: &'static str, proxy: Proxy, client: Client) -> Scenario {
    let bar = match (proxy.kind, client.reuse) {
        _ if proxy.workers > 1 => Bar::Words("1.1 of one worker"),
        _ if proxy.servers > 1 => Bar::Words("O(log n)"),
        (Kind::Tls, Reuse::Close | Reuse::Resume) => Bar::Ratio(0.80),
        (Kind::Tls | Kind::Http2, _) => Bar::Ratio(0.90),
        _ => Bar::Ratio(0.85),
    };
    Scenario {
        name,
        about,
        proxy,
        client,
        task: Task::Race,
        bar,
    }
}

const fn counted(
    name: &'static str,
    about: &'static str,
    (kind, most): (Kind, f64),
    client: Client,
) -> Scenario {
    Scenario {
        name,
        about,
        proxy: Proxy { kind, ..ONE },
        client,
        task: Task::Syscalls,
        bar: Bar::Most(most, "calls"),
    }
}

/// Every scenario, in the order of the report.
pub(crate) const ALL: &[Scenario] = &[
    race("h1-128", "HTTP keep-alive, 128 B", ONE, KEEP),
    race(
        "h1-16k",
        "HTTP keep-alive, 16 kB",
        ONE,
        Client {
            body: 16 << 10,
            ..KEEP
        },
    ),
    race("h1-1m", "HTTP keep-alive, 1 MB", ONE, BULK),
    race(
        "h1-close",
        "HTTP, a connection per request, 128 B",
        ONE,
        CLOSE,
    ),
    race(
        "h1-paced",
        "HTTP keep-alive, 128 B, 5,000 requests/s for everybody: latency at equal load",
        ONE,
        Client {
            pace: Some(5_000),
            ..KEEP
        },
    ),
    race(
        "h2-128",
        "HTTP/2, 128 B, 8 connections of 16 streams (h2load)",
        Proxy {
            kind: Kind::Http2,
            ..ONE
        },
        Client {
            connections: 8,
            ..KEEP
        },
    ),
    race("tcp-128", "TCP mode, 128 B", TCP, KEEP),
    race("tcp-1m", "TCP mode, 1 MB", TCP, BULK),
    race("tls-128", "TLS keep-alive, 128 B", TLS, KEEP),
    race("tls-1m", "TLS keep-alive, 1 MB", TLS, BULK),
    race(
        "tls-full",
        "full TLS 1.3 handshakes (P-256), one request each",
        TLS,
        CLOSE,
    ),
    race(
        "tls-resumed",
        "resumed TLS 1.3 handshakes, one request each",
        TLS,
        // The client library keeps no more than 8 tickets.
        Client {
            reuse: Reuse::Resume,
            connections: 4,
            ..KEEP
        },
    ),
    race(
        "workers-2",
        "HTTP keep-alive, 128 B, two workers",
        Proxy { workers: 2, ..ONE },
        KEEP,
    ),
    race(
        "servers-100",
        "HTTP keep-alive, 128 B, 100 servers",
        Proxy {
            servers: 100,
            ..ONE
        },
        KEEP,
    ),
    race(
        "servers-2000",
        "HTTP keep-alive, 128 B, 2,000 servers",
        Proxy {
            servers: 2_000,
            ..ONE
        },
        KEEP,
    ),
    Scenario {
        name: "idle",
        about: "5,000 HTTP connections that wait after one request",
        proxy: ONE,
        client: KEEP,
        task: Task::Idle(5_000),
        bar: Bar::Most(1_200.0, "B"),
    },
    counted(
        "calls-keep",
        "system calls: HTTP keep-alive, 128 B",
        (Kind::Http, 4.3),
        KEEP,
    ),
    counted(
        "calls-server-close",
        "system calls: http-server-close, httplog",
        (Kind::ServerClose, 14.0),
        KEEP,
    ),
    counted(
        "calls-ingress",
        "system calls: httpclose, http-server-close, forwardfor, httplog as in k8s-ingress",
        (Kind::Ingress, 16.8),
        Client {
            reuse: Reuse::Closed,
            ..KEEP
        },
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_distinct() {
        let names: BTreeSet<_> = ALL.iter().map(|s| s.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
