//! The limit of open files, raised so that `maxconn` connections fit (getrlimit(2), RLIMIT_NOFILE).

use lb_core::config::Config;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// Descriptors beside those of connections: log sockets, checks, the command line, runtimes.
const RESERVE: u64 = 256;
/// Idle connections to servers are kept within this when no `maxconn` says how many clients there are.
const UNSTATED_MAXCONN: u64 = 8192;

/// Descriptors that a balancer with this configuration can need: two per connection.
pub fn needed(config: &Config, listeners: usize) -> u64 {
    let servers = config
        .proxies
        .iter()
        .filter_map(|proxy| proxy.backend.as_ref())
        .map(|backend| backend.servers.len() as u64)
        .sum::<u64>();
    let connections = config.global.maxconn.map_or(UNSTATED_MAXCONN, u64::from);
    connections * 2 + servers + listeners as u64 + RESERVE
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
