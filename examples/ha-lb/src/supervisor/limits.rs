//! The limit of open files (getrlimit(2), RLIMIT_NOFILE): raised so that `maxconn` connections fit, and where that is
//! not possible no more connections are let in than fit. What is beyond waits in the kernel's queue; stats sockets,
//! checks and logs have their descriptors whatever comes.

use lb_core::config::Config;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// Descriptors beside those of connections: log sockets, the command line, runtimes.
const RESERVE: u64 = 256;
/// Connections when no `maxconn` says how many: that many at least, if the limit can be raised.
const UNSTATED_MAXCONN: u64 = 8192;
/// Connections that may have a pipe, for bulk: one in so many, as HAProxy's `maxpipes`.
const CONNECTIONS_PER_PIPE: u32 = 4;
/// However low the limit is, so many are let in.
const FEWEST: u64 = 16;

/// Descriptors that do not depend on the number of connections: a check of each server, and the listening sockets
/// twice, for a reload brings them anew.
fn fixed(config: &Config, listeners: usize) -> u64 {
    let servers = config
        .proxies
        .iter()
        .filter_map(|proxy| proxy.backend.as_ref())
        .map(|backend| backend.servers.len() as u64)
        .sum::<u64>();
    // Those of a reload beside the present ones, and duplicates for servers that come at run time.
    servers + 4 * listeners as u64 + RESERVE
}

/// Descriptors that a balancer with this configuration can need: two for each connection, its share of a pipe, and
/// the fixed ones.
pub fn needed(config: &Config, listeners: usize) -> u64 {
    let connections = config.global.maxconn.map_or(UNSTATED_MAXCONN, u64::from);
    connections * 2 + connections / u64::from(CONNECTIONS_PER_PIPE) * 2 + fixed(config, listeners)
}

/// What fits into this process's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Connections of clients.
    pub connections: u32,
    /// Pipes.
    pub pipes: u32,
}

impl Room {
    /// In this process, now.
    pub fn here(config: &Config, listeners: usize) -> Self {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Self::within(limit, config, listeners)
    }

    fn within(limit: u64, config: &Config, listeners: usize) -> Self {
        let limit = limit.min(config.global.fd_hard_limit.map_or(u64::MAX, u64::from));
        let left = limit.saturating_sub(fixed(config, listeners));
        let share = u64::from(CONNECTIONS_PER_PIPE);
        let fit = left / (2 * share + 2) * share;
        let connections = u32::try_from(fit.max(FEWEST)).unwrap_or(u32::MAX);
        let wanted = config.global.maxconn.unwrap_or(u32::MAX);
        let connections = connections.min(wanted);
        Self {
            connections,
            pipes: connections / CONNECTIONS_PER_PIPE,
        }
    }
}

/// Raises the limit of a running process for a configuration that needs more.
pub fn raise_of(pid: u32, needed: u64) -> Result<(), String> {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Ok(());
    };
    let own = getrlimit(Resource::Nofile);
    if own.current.is_none_or(|current| current >= needed) {
        // It inherited as much.
        return Ok(());
    }
    let wanted = Rlimit {
        current: Some(needed),
        maximum: own.maximum.map(|maximum| maximum.max(needed)),
    };
    prlimit(Some(pid), Resource::Nofile, wanted)
        .map(drop)
        .map_err(|error| {
            format!(
                "`maxconn` needs {needed} open files, which the running balancer cannot be given ({error}): \
                 connections beyond its limit will wait until the daemon is restarted"
            )
        })
}

/// Raises the limit of this process and its children to `needed`. The sentence says what to do if that is not
/// possible; the daemon runs on with fewer connections.
pub fn raise(needed: u64) -> Result<(), String> {
    let limit = getrlimit(Resource::Nofile);
    let (current, maximum) = (
        limit.current.unwrap_or(u64::MAX),
        limit.maximum.unwrap_or(u64::MAX),
    );
    if current >= needed {
        return Ok(());
    }
    let wanted = Rlimit {
        current: Some(needed),
        maximum: limit.maximum.map(|maximum| maximum.max(needed)),
    };
    if setrlimit(Resource::Nofile, wanted).is_ok() {
        return Ok(());
    }
    let reachable = needed.min(maximum);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(reachable),
            maximum: limit.maximum,
        },
    );
    Err(format!(
        "`maxconn` needs {needed} open files, the hard limit is {maximum}: connections beyond it will wait; \
         raise it with LimitNOFILE={needed} in the unit file or `ulimit -Hn {needed}`, or lower `maxconn`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(maxconn: Option<u32>) -> Config {
        let mut config = Config::default();
        config.global.maxconn = maxconn;
        config
    }

    #[test]
    fn what_is_needed_for_maxconn_gives_room_for_maxconn() {
        for maxconn in [16, 500, 2000, 100_000] {
            let config = config(Some(maxconn));
            let room = Room::within(needed(&config, 40), &config, 40);
            assert_eq!(room.connections, maxconn);
            assert_eq!(room.pipes, maxconn / 4);
        }
    }

    #[test]
    fn under_a_lower_limit_fewer_connections_are_let_in_and_never_none() {
        let config = config(Some(10_000));
        // 1024 - 256 - 4 * 4 are left, ten descriptors for four connections.
        assert_eq!(Room::within(1024, &config, 4).connections, 300);
        let mut few = self::config(None);
        few.global.fd_hard_limit = Some(1024);
        assert_eq!(Room::within(u64::MAX, &few, 4).connections, 300);
        assert_eq!(Room::within(100, &config, 4).connections, 16);
        assert_eq!(
            Room::within(u64::MAX, &self::config(None), 4).connections,
            u32::MAX
        );
    }
}
