//! Opens every listening socket of a configuration: one `SO_REUSEPORT` socket per worker and `bind`, UNIX
//! sockets with their mode and owner, `stats socket`s.
//!
//! The sockets belong to the supervisor for as long as the daemon lives, so that a connection that arrives
//! while the balancer is being restarted waits in the kernel's queue instead of being refused. Addresses that
//! this host does not hold (yet) are bound all the same (`IP_FREEBIND`). Nothing here accepts.

mod inherit;
mod rights;
mod single;

use std::{io, net::SocketAddr, os::fd::OwnedFd, path::PathBuf, sync::Arc};

use lb_core::config::{Bind, BindAddress, Config, ProxyConfig, StatsSocket};
use single::single;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use crate::{ipc::message::Listener, privileges};
pub use inherit::{OpenLeft, inherited};
use rights::Rights;
pub use rights::restore as restore_rights;

/// Connections that may wait in a queue when no `maxconn` or `backlog` says more.
const LEAST_BACKLOG: u32 = 1024;

/// A listening socket could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A step of opening it failed.
    #[error("{origin}: cannot {step} {address} for {owner}: {source}{}", hint(*.privileged, source))]
    Socket {
        /// `file:line` of the line that asks for it.
        origin: String,
        /// `bind`, `listen on` ...
        step: &'static str,
        /// The address.
        address: String,
        /// The proxy, or `stats socket`.
        owner: String,
        /// Whether the port is one that needs a capability.
        privileged: bool,
        /// What the system said.
        source: io::Error,
    },
    /// Owner of a UNIX socket that does not exist.
    #[error(transparent)]
    Account(#[from] privileges::AccountError),
}

fn hint(privileged: bool, source: &io::Error) -> String {
    if privileged && source.kind() == io::ErrorKind::PermissionDenied {
        format!(
            "\nports below 1024 need the capability CAP_NET_BIND_SERVICE; {}",
            privileges::grant_command()
        )
    } else if source.kind() == io::ErrorKind::AddrInUse {
        "; another program listens there: stop it, or change the address".to_owned()
    } else {
        String::new()
    }
}

/// An open socket and what it is for.
#[derive(Debug)]
pub struct Open {
    /// What the balancer does with it.
    pub listener: Listener,
    /// The socket.
    pub socket: Arc<OwnedFd>,
    place: Place,
    /// The proxy that it is for.
    owner: Arc<str>,
    /// It is bound but does not listen yet: with this backlog it will, see [`begin`].
    backlog: Option<u32>,
}

/// What makes two sockets the same over a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    address: BindAddress,
    interface: Option<String>,
    v6only: Option<bool>,
}

impl Place {
    fn of(bind: &Bind) -> Self {
        Self {
            address: bind.address.clone(),
            interface: bind.interface.clone(),
            v6only: bind.v6only,
        }
    }
}

/// Number of workers of a configuration: `nbthread`, else one per processor.
pub fn workers(config: &Config) -> usize {
    let wanted = config.global.nbthread.map_or_else(
        || std::thread::available_parallelism().map_or(1, usize::from),
        |threads| usize::try_from(threads).unwrap_or(1),
    );
    wanted.clamp(1, 64)
}

/// Opens all sockets of `config`; the first failure closes what was opened. `alone`: no other process may listen at
/// the same addresses.
pub fn open(config: &Config, workers: usize, alone: bool) -> Result<Vec<Open>, OpenError> {
    open_beside(config, workers, &[], alone, true)
}

/// The same beside sockets that are held already: those that `config` still wants are taken over, never closed in
/// between. There are never fewer sockets for an address than before: a socket that is closed loses whoever waits
/// in its queue, so those of workers that are no longer wanted go to the others. New ones do not listen before
/// [`begin`]: whoever came to them would be lost if the configuration is refused after all.
pub fn reopen(config: &Config, workers: usize, held: &[Open]) -> Result<Vec<Open>, OpenError> {
    open_beside(config, workers, held, true, false)
}

fn open_beside(
    config: &Config,
    workers: usize,
    held: &[Open],
    alone: bool,
    starts: bool,
) -> Result<Vec<Open>, OpenError> {
    for (_, proxy, _, bind) in binds(config).filter(|_| alone) {
        if !is_held(held, &bind.address) {
            probe(proxy, bind)?;
        }
    }
    let mut held: Vec<&Open> = held.iter().collect();
    let mut opened = Vec::new();
    for (proxy_index, proxy, bind_index, bind) in binds(config) {
        let backlog = backlog(config, proxy, bind);
        let place = Place::of(bind);
        let held = take(&mut held, &place, &proxy.name);
        let known = held.len();
        let sockets = for_workers(held, workers, (proxy, bind), (backlog, starts))?;
        let is_tcp = matches!(bind.address, BindAddress::Tcp(_));
        for (number, socket) in sockets.into_iter().enumerate() {
            let waits = is_tcp && number >= known && !starts;
            opened.push(Open {
                backlog: waits.then_some(backlog),
                listener: Listener::Bind {
                    proxy: proxy_index,
                    bind: bind_index,
                    worker: number % workers,
                },
                socket,
                place: place.clone(),
                owner: Arc::clone(&proxy.name),
            });
        }
    }
    for (index, stats) in config.global.stats_sockets.iter().enumerate() {
        let place = Place::of(&Bind::new(stats.address.clone()));
        let owner: Arc<str> = Arc::from("`stats socket`");
        let socket = match take(&mut held, &place, &owner).into_iter().next() {
            Some(socket) => socket,
            None => Arc::new(command_socket(stats, "`stats socket`", "global")?),
        };
        opened.push(Open {
            listener: Listener::Stats(index),
            socket,
            place,
            owner,
            backlog: None,
        });
    }
    Ok(opened)
}

/// The sockets of a `bind` for so many workers: those that are held, and new ones for those who have none. `starts`: TCP
/// ones listen at once.
fn for_workers(
    mut sockets: Vec<Arc<OwnedFd>>,
    workers: usize,
    (proxy, bind): (&ProxyConfig, &Bind),
    (backlog, starts): (u32, bool),
) -> Result<Vec<Arc<OwnedFd>>, OpenError> {
    let failed = |(step, error)| failure(proxy, bind, step, error);
    let BindAddress::Tcp(address) = &bind.address else {
        // One listening UNIX socket has one queue, and of an inherited one there is but one: every worker accepts
        // from it.
        if sockets.is_empty() {
            let rights = Rights::of(&bind.rights)?;
            let socket = single(&bind.address, &rights, backlog).map_err(failed)?;
            sockets.push(Arc::new(socket));
        }
        return Ok(sockets.iter().cycle().take(workers).cloned().collect());
    };
    while sockets.len() < workers {
        let socket = stream_socket(*address, bind, true).map_err(failed)?;
        if starts {
            listen(&socket, backlog).map_err(failed)?;
        }
        sockets.push(Arc::new(socket.into()));
    }
    Ok(sockets)
}

/// Those that do not listen yet do so from now on.
pub fn begin(sockets: &mut [Open]) {
    for open in sockets {
        let Some(backlog) = open.backlog.take() else {
            continue;
        };
        let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
        if let Err(error) = SockRef::from(&open.socket).listen(backlog) {
            let (address, owner) = (describe(&open.place.address), &open.owner);
            tracing::error!("cannot listen on {address} for proxy '{owner}': {error}");
        }
    }
}

/// Takes the sockets of a place out of those that are held: those of `owner`, else those of anyone.
fn take(held: &mut Vec<&Open>, place: &Place, owner: &str) -> Vec<Arc<OwnedFd>> {
    let own = held
        .iter()
        .any(|open| open.place == *place && *open.owner == *owner);
    let mut taken: Vec<Arc<OwnedFd>> = Vec::new();
    held.retain(|open| {
        let mine = open.place == *place && (!own || *open.owner == *owner);
        if mine && !taken.iter().any(|t| Arc::ptr_eq(t, &open.socket)) {
            taken.push(Arc::clone(&open.socket));
        }
        !mine
    });
    taken
}

/// Whether one of our own sockets has the port, so that looking for others on it is in vain.
fn is_held(held: &[Open], address: &BindAddress) -> bool {
    let port = |address: &BindAddress| match address {
        BindAddress::Tcp(address) => Some(address.port()),
        BindAddress::Unix(_) | BindAddress::Abstract(_) | BindAddress::Inherited(_) => None,
    };
    let wanted = port(address);
    wanted.is_some() && held.iter().any(|open| port(&open.place.address) == wanted)
}

/// A `stats socket` or one of the master command line.
pub fn command_socket(
    stats: &StatsSocket,
    owned_by: &str,
    origin: &str,
) -> Result<OwnedFd, OpenError> {
    let described = |step, source| OpenError::Socket {
        origin: origin.to_owned(),
        step,
        address: describe(&stats.address),
        owner: owned_by.to_owned(),
        privileged: is_privileged(&stats.address),
        source,
    };
    let socket = match &stats.address {
        BindAddress::Tcp(address) => {
            tcp(*address, &Bind::new(stats.address.clone()), LEAST_BACKLOG)
        }
        address => single(address, &Rights::of(&stats.rights)?, LEAST_BACKLOG),
    };
    socket.map_err(|(step, source)| described(step, source))
}

/// How many sockets [`open`] makes.
pub fn count(config: &Config, workers: usize) -> usize {
    binds(config).count() * workers + config.global.stats_sockets.len()
}

/// Every `bind` with its place.
fn binds(config: &Config) -> impl Iterator<Item = (usize, &ProxyConfig, usize, &Bind)> {
    config
        .proxies
        .iter()
        .enumerate()
        .filter(|(_, proxy)| !proxy.disabled)
        .flat_map(|(index, proxy)| {
            let binds = proxy.frontend.iter().flat_map(|f| f.binds.iter());
            binds
                .enumerate()
                .map(move |(bind_index, bind)| (index, proxy, bind_index, bind))
        })
}

fn failure(proxy: &ProxyConfig, bind: &Bind, step: &'static str, source: io::Error) -> OpenError {
    OpenError::Socket {
        origin: bind.origin.as_deref().unwrap_or("configuration").to_owned(),
        step,
        address: describe(&bind.address),
        owner: format!("proxy '{}'", proxy.name),
        privileged: is_privileged(&bind.address),
        source,
    }
}

/// `address:port` or a path.
pub fn describe(address: &BindAddress) -> String {
    match address {
        BindAddress::Tcp(address) => address.to_string(),
        BindAddress::Unix(path) => path.display().to_string(),
        BindAddress::Abstract(name) => format!("abns@{name}"),
        BindAddress::Inherited(fd) => format!("fd@{fd}"),
    }
}

fn is_privileged(address: &BindAddress) -> bool {
    matches!(address, BindAddress::Tcp(address) if address.port() < 1024)
}

fn backlog(config: &Config, proxy: &ProxyConfig, bind: &Bind) -> u32 {
    let frontend = proxy.frontend.as_ref();
    bind.backlog
        .or_else(|| frontend.and_then(|f| f.backlog))
        .or_else(|| frontend.and_then(|f| f.maxconn))
        .or(config.global.maxconn)
        .unwrap_or(LEAST_BACKLOG)
        .max(LEAST_BACKLOG)
}

/// Finds out whether another program listens: `SO_REUSEPORT` would silently share the port with a program of
/// the same user. Made and closed before the first real socket, so that our own addresses may overlap.
fn probe(proxy: &ProxyConfig, bind: &Bind) -> Result<(), OpenError> {
    let BindAddress::Tcp(address) = bind.address else {
        return Ok(());
    };
    if address.port() == 0 {
        return Ok(());
    }
    stream_socket(address, bind, false)
        .map(drop)
        .map_err(|(step, e)| failure(proxy, bind, step, e))
}

type Step<T> = Result<T, (&'static str, io::Error)>;

fn stream_socket(address: SocketAddr, bind: &Bind, shared: bool) -> Step<Socket> {
    let at = |step: &'static str| move |error: io::Error| (step, error);
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )
    .map_err(at("create a socket for"))?;
    socket.set_reuse_address(true).map_err(at("bind"))?;
    socket.set_reuse_port(shared).map_err(at("bind"))?;
    // Connections inherit it: also those that stand before a balancer has the socket.
    socket.set_tcp_nodelay(true).map_err(at("bind"))?;
    match address {
        SocketAddr::V4(_) => socket.set_freebind_v4(true).map_err(at("bind"))?,
        SocketAddr::V6(_) => {
            socket.set_freebind_v6(true).map_err(at("bind"))?;
            if let Some(only) = bind.v6only {
                socket.set_only_v6(only).map_err(at("bind"))?;
            }
        }
    }
    if let Some(interface) = &bind.interface {
        socket
            .bind_device(Some(interface.as_bytes()))
            .map_err(at("bind to the interface of"))?;
    }
    socket.bind(&SockAddr::from(address)).map_err(at("bind"))?;
    Ok(socket)
}

fn tcp(address: SocketAddr, bind: &Bind, backlog: u32) -> Step<OwnedFd> {
    let socket = stream_socket(address, bind, true)?;
    listen(&socket, backlog)?;
    Ok(socket.into())
}

fn listen(socket: &Socket, backlog: u32) -> Step<()> {
    socket
        .listen(i32::try_from(backlog).unwrap_or(i32::MAX))
        .map_err(|error| ("listen on", error))
}

/// The paths of UNIX sockets that [`open`] makes; removed when the daemon ends.
pub fn unix_paths(config: &Config) -> Vec<PathBuf> {
    let proxies = binds(config).map(|(_, _, _, bind)| &bind.address);
    let stats = config.global.stats_sockets.iter().map(|s| &s.address);
    proxies
        .chain(stats)
        .filter_map(|address| match address {
            BindAddress::Unix(path) => Some(path.clone()),
            BindAddress::Tcp(_) | BindAddress::Abstract(_) | BindAddress::Inherited(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests;
