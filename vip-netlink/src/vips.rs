//! Adding, refreshing and removing virtual addresses through rtnetlink.
//!
//! Every call is idempotent: an address that is already there is refreshed, one that is already
//! gone was removed. The name of an interface is resolved by the caller.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressProtocol,
    AddressScope, CacheInfo,
};
use rtnetlink::Handle;

use crate::Error;
use crate::neighbours::{self, Asker};
use crate::plan::{Present, Vip, Wanted};
use crate::route::OURS;
use crate::watch::Kernel;

mod requests;

use requests::Requests;

/// `IFA_CACHEINFO`'s lifetime without end.
const FOR_EVER: u32 = u32::MAX;
/// A lost answer (a full socket buffer drops it) must not hold everything up.
const PATIENCE: Duration = Duration::from_secs(2);

/// Requests about addresses.
///
/// Changes go over a socket of its own, many in one system call, and wait for the kernel there: the caller's thread is
/// to have nothing more urgent to do.
#[derive(Debug)]
pub struct Vips {
    handle: Handle,
    requests: Requests,
    /// Of its own, that watchers can tell its changes.
    refreshes: Requests,
}

impl Vips {
    /// What asks for more than an acknowledgement goes over a connection that the caller drives.
    pub fn new(handle: Handle) -> io::Result<Self> {
        Ok(Self {
            handle,
            requests: Requests::open()?,
            refreshes: Requests::open()?,
        })
    }

    /// The number that notifications of [`refresh_all`](Self::refresh_all) carry, over IPv4.
    #[must_use]
    pub const fn refresher(&self) -> u32 {
        self.refreshes.port()
    }

    /// Adds each address, or refreshes it where it is, with its lifetime (`None` = for ever); how each went.
    pub fn add_all(&mut self, asked: &[(Wanted<'_>, Option<Duration>)]) -> Vec<Result<(), Error>> {
        put_up(&mut self.requests, asked)
    }

    /// The same for addresses that are there.
    pub fn refresh_all(
        &mut self,
        asked: &[(Wanted<'_>, Option<Duration>)],
    ) -> Vec<Result<(), Error>> {
        put_up(&mut self.refreshes, asked)
    }

    /// Adds one address, or refreshes it where it is.
    pub fn add(&mut self, wanted: Wanted<'_>, lifetime: Option<Duration>) -> Result<(), Error> {
        self.add_all(&[(wanted, lifetime)]).pop().unwrap_or(Ok(()))
    }

    /// Removes the address; no error if it, or its interface, is already gone.
    pub fn remove(&mut self, present: Present) -> Result<(), Error> {
        self.remove_all(&[present]).map_err(|(_, error)| error)
    }

    /// Removes each address. An error names those that could not be removed, and why the last of them was not.
    pub fn remove_all(&mut self, all: &[Present]) -> Result<(), (Vec<Present>, Error)> {
        let messages = all.iter().map(naming).map(RouteNetlinkMessage::DelAddress);
        let outcomes = self.requests.perform(messages.collect(), 0);
        let failed = |source: &io::Error| {
            source.kind() != io::ErrorKind::AddrNotAvailable
                && source.raw_os_error() != Some(rustix::io::Errno::NODEV.raw_os_error())
        };
        let mut left = Vec::new();
        let mut why = None;
        for (outcome, present) in outcomes.into_iter().zip(all) {
            if let Err(source) = outcome
                && failed(&source)
            {
                left.push(*present);
                why = Some(refused("remove", *present, source));
            }
        }
        why.map_or(Ok(()), |error| Err((left, error)))
    }

    /// What the kernel has now of one link: not every setting of it is notified of.
    pub async fn look_at(&self, kernel: &mut Kernel, interface: u32) -> Result<(), Error> {
        let request = self.handle.link().get().match_index(interface);
        let links = request.execute().try_collect::<Vec<_>>();
        for link in answer(links).await.map_err(Error::Netlink)? {
            kernel.apply(&RouteNetlinkMessage::NewLink(link));
        }
        Ok(())
    }

    /// Puts the kernel's unanswered questions for neighbours again, beside everything else.
    pub(crate) fn ask_again(&self, asker: Asker) {
        tokio::spawn(neighbours::ask_again(self.handle.clone(), asker));
    }

    /// Everything that the kernel has now. The answer may be waited for beside other requests.
    pub fn dump(&self) -> impl Future<Output = Result<Kernel, Error>> + Send + use<> {
        let handle = self.handle.clone();
        async move {
            let mut kernel = Kernel::default();
            let links = handle.link().get().execute().try_collect::<Vec<_>>();
            for link in answer(links).await.map_err(Error::Netlink)? {
                kernel.apply(&RouteNetlinkMessage::NewLink(link));
            }
            let addresses = handle.address().get().execute().try_collect::<Vec<_>>();
            for address in answer(addresses).await.map_err(Error::Netlink)? {
                kernel.apply(&RouteNetlinkMessage::NewAddress(address));
            }
            Ok(kernel)
        }
    }
}

fn put_up(
    requests: &mut Requests,
    asked: &[(Wanted<'_>, Option<Duration>)],
) -> Vec<Result<(), Error>> {
    let messages = asked
        .iter()
        .map(|(wanted, lifetime)| message(wanted, *lifetime));
    let messages = messages.map(RouteNetlinkMessage::NewAddress).collect();
    let outcomes = requests.perform(messages, NLM_F_CREATE | NLM_F_REPLACE);
    let outcomes = outcomes.into_iter().zip(asked);
    outcomes
        .map(|(outcome, (wanted, _))| {
            outcome.map_err(|source| refused("add", wanted.present(), source))
        })
        .collect()
}

/// Just enough to tell it from others.
fn naming(present: &Present) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(present.address);
    message.header.prefix_len = present.prefix;
    message.header.index = present.interface;
    message.attributes = vec![
        AddressAttribute::Local(present.address),
        AddressAttribute::Address(present.peer.unwrap_or(present.address)),
    ];
    message
}

fn message(wanted: &Wanted<'_>, lifetime: Option<Duration>) -> AddressMessage {
    let vip = wanted.vip;
    let mut message = AddressMessage::default();
    message.header.family = family(vip.address);
    message.header.prefix_len = vip.prefix;
    message.header.index = wanted.interface;
    message
        .attributes
        .push(AddressAttribute::Local(vip.address));
    message
        .attributes
        .push(AddressAttribute::Address(vip.peer.unwrap_or(vip.address)));
    if vip.address.is_ipv4() {
        message.header.scope = AddressScope::from(vip.scope.number());
        if let Some(broadcast) = vip.broadcast {
            message
                .attributes
                .push(AddressAttribute::Broadcast(broadcast));
        }
        if let Some(label) = &vip.label {
            message
                .attributes
                .push(AddressAttribute::Label(label.clone()));
        }
    }
    let flags = flags(vip);
    if !flags.is_empty() {
        if vip.skips_detection() {
            message.header.flags = AddressHeaderFlags::Nodad;
        }
        message.attributes.push(AddressAttribute::Flags(flags));
    }
    // IFA_PROTO: whose it is. Kernels before 5.18 pass it over.
    let mark = AddressProtocol::Other(OURS);
    message.attributes.push(AddressAttribute::Protocol(mark));
    let valid = lifetime.map_or(FOR_EVER, |time| {
        u32::try_from(time.as_secs()).unwrap_or(FOR_EVER)
    });
    let mut times = CacheInfo::default();
    times.ifa_valid = valid;
    times.ifa_preferred = vip.preferred_seconds().min(valid);
    message.attributes.push(AddressAttribute::CacheInfo(times));
    message
}

fn flags(vip: &Vip) -> AddressFlags {
    let chosen = [
        (vip.skips_detection(), AddressFlags::Nodad),
        (vip.flags.home, AddressFlags::Homeaddress),
        (vip.flags.manage_temporary, AddressFlags::Managetempaddr),
        (vip.flags.no_prefix_route, AddressFlags::Noprefixroute),
        (vip.flags.auto_join, AddressFlags::Mcautojoin),
    ];
    let chosen = chosen.iter().filter(|(is_set, _)| *is_set);
    chosen.fold(AddressFlags::empty(), |all, (_, flag)| all | *flag)
}

const fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

pub(crate) async fn answer<T>(
    request: impl Future<Output = Result<T, rtnetlink::Error>>,
) -> io::Result<T> {
    match tokio::time::timeout(PATIENCE, request).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(rtnetlink::Error::NetlinkError(message))) => Err(message.to_io()),
        Ok(Err(other)) => Err(io::Error::other(other)),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn refused(what: &'static str, present: Present, source: io::Error) -> Error {
    Error::Address {
        what,
        address: format!("{}/{}", present.address, present.prefix),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Scope;

    #[test]
    fn every_option_of_an_address_reaches_the_kernel() {
        let mut vip = Vip::host("192.0.2.10".parse().unwrap());
        vip.label = Some("eth0:0".into());
        vip.broadcast = Some("192.0.2.255".parse().unwrap());
        vip.scope = Scope::Link;
        vip.peer = Some("198.51.100.1".parse().unwrap());
        vip.flags.no_prefix_route = true;
        vip.preferred = Some(2);
        let message = message(
            &Wanted {
                interface: 7,
                vip: &vip,
            },
            Some(Duration::from_secs(3)),
        );
        assert_eq!(message.header.index, 7);
        assert_eq!(message.header.prefix_len, 32);
        assert_eq!(message.header.scope, AddressScope::Link);
        let has = |wanted: &AddressAttribute| message.attributes.contains(wanted);
        assert!(has(&AddressAttribute::Label("eth0:0".into())));
        assert!(has(&AddressAttribute::Broadcast(
            "192.0.2.255".parse().unwrap()
        )));
        assert!(has(&AddressAttribute::Address(
            "198.51.100.1".parse().unwrap()
        )));
        assert!(has(&AddressAttribute::Flags(AddressFlags::Noprefixroute)));
        assert!(has(&AddressAttribute::Protocol(AddressProtocol::Other(18))));
        let mut times = CacheInfo::default();
        (times.ifa_valid, times.ifa_preferred) = (3, 2);
        assert!(has(&AddressAttribute::CacheInfo(times)));
    }

    #[test]
    fn an_ipv6_host_address_is_deprecated_from_the_start() {
        let vip = Vip::host("2001:db8::1".parse().unwrap());
        let message = message(
            &Wanted {
                interface: 7,
                vip: &vip,
            },
            None,
        );
        let mut times = CacheInfo::default();
        (times.ifa_valid, times.ifa_preferred) = (FOR_EVER, 0);
        assert!(
            message
                .attributes
                .contains(&AddressAttribute::CacheInfo(times))
        );
        assert!(
            message
                .attributes
                .contains(&AddressAttribute::Flags(AddressFlags::Nodad))
        );
    }
}
