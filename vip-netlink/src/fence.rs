//! The fence: a virtual address must not answer once the process that speaks for it is gone,
//! whatever killed it.
//!
//! Persistent nf_tables tables (families arp and inet) drop what is addressed to a *fenced*
//! address (ARP requests, neighbour solicitations, IP) unless a bit of the packet mark is set.
//! A second pair of tables sets that bit for *open* addresses; it has `flags owner` and belongs to
//! this process's netlink socket, so the kernel removes it with the process, after `kill -9` too.
//! From then on the address is silent although it is still configured.
//!
//! A process that is stopped keeps its sockets. So an address may have a *hold*: it is open for
//! that long after its last [beat](Pulse::beat). A beat is a pair of small frames on the loopback
//! interface that the owned tables hear: it costs a few microseconds, waits for nobody's lock, and
//! no packet finds the address closed in between. Times are as exact as the kernel's tick
//! (`CONFIG_HZ`), and never longer than asked for.
//!
//! Beside users' own rules: the chains are of this crate's own tables at priorities -401 and -400,
//! before any usual chain; they touch no packet that is not for a fenced address, and the mark's
//! bit is taken off again before any later chain sees the packet. One bit is needed:
//! [`Options::mark`] if [`DEFAULT_MARK`] is taken. Hook *input* only: packets that a host merely
//! forwards are never touched, and a fenced address that is not configured on this host costs
//! nothing. Elements expire by themselves [`Options::timeout`] after the last [`Fence::renew`].
//!
//! Never runs a program; needs CAP_NET_ADMIN in the namespace that owns the network.

mod expression;
mod hearing;
mod nfnetlink;
mod open;
mod pulse;
mod rules;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use expression::LOOPBACK;
use hearing::{EVERYBODY, Ear, FOR_EVERYBODY};
use nfnetlink::{Batch, Connection};
use open::Open;
pub use pulse::Pulse;
use rules::Fenced;
use rustix::io::Errno;

use crate::link::Interface;

/// The bit of the packet mark that the fence uses.
pub const DEFAULT_MARK: u32 = 0x1000_0000;
/// How long an address stays fenced after its holder's death: longer than a usual lease, and short enough
/// that another program may hold the address soon.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);
const TABLE: &str = "vip_fence";
/// The hold of the beat that proves that beats arrive.
const TRIAL: Duration = Duration::from_secs(1);
/// The longest that a kernel counts time in (CONFIG_HZ=100): holds are rounded up to it.
const TICK: Duration = Duration::from_millis(10);
/// Addresses of one transaction at most: a list of elements has room for 64 KiB, and what is sent for all of them must
/// fit into the socket's buffer, 208 KiB by default.
const TOGETHER: usize = 500;

/// Why there is no fence; the lease of the addresses is then the only guard.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FenceError {
    /// The kernel has no nf_tables (or not its arp or inet family, or no owned tables).
    #[error("nf_tables cannot be used here: {0}")]
    Unavailable(io::Error),
    /// CAP_NET_ADMIN is missing.
    #[error("changing nf_tables is not permitted (CAP_NET_ADMIN is needed): {0}")]
    Forbidden(io::Error),
    /// A change was refused.
    #[error("nf_tables refused a change: {0}")]
    Refused(io::Error),
}

/// Which packets an open address takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// All.
    #[default]
    Full,
    /// Those alone that ask for its hardware address: Accept_Mode false (RFC 9568 §6.1), where packets that are
    /// addressed to it are dropped and neighbour discovery never is.
    Neighbours,
}

/// What may be chosen about a fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Exactly one bit of the packet mark that nothing else on this host uses.
    pub mark: u32,
    /// Life of a fenced address without renewal.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mark: DEFAULT_MARK,
            timeout: DEFAULT_TIMEOUT,
        }
    }
}

/// A held fence. Dropping it (or dying) silences every address that it had opened.
#[derive(Debug)]
pub struct Fence {
    connection: Connection,
    fenced: Fenced,
    open: Open,
    /// Beats for the persistent tables; none without CAP_NET_RAW.
    renewal: Option<Pulse>,
    /// Beats for the owned ones, once it is proved that they arrive.
    pulse: Option<Pulse>,
}

impl Fence {
    /// Creates the tables, or takes over the persistent ones that a predecessor left.
    pub fn new(options: Options) -> Result<Self, FenceError> {
        let connection = Connection::open().map_err(FenceError::Unavailable)?;
        let mut fence = Self {
            fenced: Fenced {
                table: TABLE,
                mark: options.mark,
                timeout: options.timeout,
                ear: Ear::Loopback,
            },
            open: Open::new(connection.port(), options.mark),
            renewal: Pulse::new(EVERYBODY, FOR_EVERYBODY).ok(),
            pulse: None,
            connection,
        };
        match fence.create() {
            Ok(()) => Ok(fence),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(FenceError::Forbidden(error))
            }
            Err(error) => Err(FenceError::Unavailable(error)),
        }
    }

    /// Beats are heard where that costs no other packet anything, if the kernel can and `lo` is called so.
    fn create(&mut self) -> io::Result<()> {
        // Newer kernels hook a device that is not there, too.
        if Interface::lookup("lo").is_ok_and(|lo| lo.number() == LOOPBACK) {
            let Err(error) = self.create_or_replace() else {
                return Ok(());
            };
            let lacks = [Errno::OPNOTSUPP, Errno::INVAL, Errno::NOENT, Errno::NODEV];
            if !Errno::from_io_error(&error).is_some_and(|errno| lacks.contains(&errno)) {
                return Err(error);
            }
        }
        (self.fenced.ear, self.open.ear) = (Ear::Everywhere, Ear::Everywhere);
        self.create_or_replace()
    }

    fn create_or_replace(&self) -> io::Result<()> {
        let create = |mut batch: Batch| {
            self.fenced.create(&mut batch);
            self.open.create(&mut batch);
            self.connection.commit(batch)
        };
        let Err(error) = create(Batch::new()) else {
            return Ok(());
        };
        // Tables of another build, whose sets no rule may change, are replaced: in one transaction.
        let mut batch = Batch::new();
        self.fenced.destroy(&mut batch);
        create(batch).map_err(|_| error)
    }

    /// The means to beat, once it is proved that beats arrive: they do not where the loopback interface is down or
    /// filtered. Without it no address can have a hold.
    pub fn pulse(&mut self) -> io::Result<Pulse> {
        /// RFC 5737: nobody's address.
        const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 0));
        if self.hear(TRIAL).is_err() {
            self.open.without_the_largest();
            self.hear(TRIAL)?;
        }
        let mut pulse = Pulse::new(self.connection.port(), self.open.sizes())?;
        // An older kernel has no such rules.
        if self.hear(Duration::ZERO).is_ok() {
            pulse.may_silence();
        }
        pulse.beat(&[NOBODY], TRIAL)?;
        if self.is_alive(NOBODY)? {
            Ok(self.pulse.insert(pulse).clone())
        } else {
            Err(io::Error::other(
                "what is sent on the loopback interface does not arrive",
            ))
        }
    }

    /// Makes sure that beats with that hold are heard, before any address has it.
    fn hear(&mut self, hold: Duration) -> io::Result<()> {
        if !self.open.has_heard(hold) {
            let mut batch = Batch::new();
            self.open.hear(&mut batch, hold);
            self.connection.commit(batch)?;
            self.open.hears(hold);
        }
        Ok(())
    }

    /// Makes ready for beats with these holds: what is [opened](Self::open) with one of them is open the sooner.
    pub fn hear_all(&mut self, holds: &BTreeSet<Duration>) -> Result<(), FenceError> {
        let mut holds = holds.iter().copied();
        holds.try_for_each(|hold| self.hear(hold).map_err(FenceError::Refused))
    }

    /// From now on beats with these holds alone are heard: addresses with others have been closed, or opened anew.
    pub fn hear_only(&mut self, holds: &BTreeSet<Duration>) -> Result<(), FenceError> {
        let stays = self
            .open
            .heard()
            .filter(|hold| holds.contains(hold) || *hold == TRIAL || hold.is_zero());
        let stays: BTreeSet<Duration> = stays.collect();
        if stays.len() == self.open.heard().count() {
            return Ok(());
        }
        let mut batch = Batch::new();
        self.open.hear_anew(&mut batch, &stays);
        self.connection.commit(batch).map_err(FenceError::Refused)?;
        self.open.hears_only(stays);
        Ok(())
    }

    /// Whether the last beat of an address is not older than its hold.
    pub fn is_alive(&self, address: IpAddr) -> io::Result<bool> {
        for question in self.open.questions(&[address]) {
            if !self.connection.has(&question)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Fences `addresses` and lets them answer while this value lives, and with a hold only that long after each
    /// [beat](Pulse::beat), of which this is the first. To be called before they are configured, and to change
    /// their hold or access.
    pub fn open(
        &mut self,
        addresses: &[IpAddr],
        hold: Option<Duration>,
        access: Access,
    ) -> Result<(), FenceError> {
        self.open.unbind(addresses);
        self.open_those(addresses, hold, access)
    }

    fn open_those(
        &mut self,
        addresses: &[IpAddr],
        hold: Option<Duration>,
        access: Access,
    ) -> Result<(), FenceError> {
        if hold.is_some_and(|hold| self.opened_by_beats(addresses, hold, access)) {
            return Ok(());
        }
        for some in addresses.chunks(TOGETHER) {
            self.with_tables(|fence, batch| {
                if let Some(hold) = hold {
                    fence.open.hear(batch, hold);
                }
                fence.fenced.add(batch, some);
                fence.open.add(batch, some, hold, access);
            })?;
            if let Some(hold) = hold {
                self.open.hears(hold);
            }
            self.open.opened(some, hold);
        }
        Ok(())
    }

    /// The same by beats, as far as these can: they add what is not there as well as they renew what is. The kernel
    /// takes a seventh of the transaction that replaces every element, and has nothing to clean up after it. False
    /// where that is not enough: the transaction then does everything.
    fn opened_by_beats(&mut self, addresses: &[IpAddr], hold: Duration, access: Access) -> bool {
        if self.open.any_timeless(addresses) || self.hear(hold).is_err() {
            return false;
        }
        // Fenced before they can answer.
        if self.pulse.is_none() || !self.renewed_by_a_beat(addresses) {
            return false;
        }
        let admit = |fence: &Self, batch: &mut Batch, some: &[IpAddr]| {
            fence.open.admit(batch, some, access)
        };
        if self.in_parts(addresses, admit).is_err() {
            return false;
        }
        let beaten = self.pulse.as_ref().map(|pulse| pulse.beat(addresses, hold));
        // Frames are lost where there is no room for them, or where somebody filters: what is there may be older, and
        // of a longer hold.
        let of_this_beat = |left| left > hold / 2 && left <= hold + TICK;
        matches!(beaten, Some(Ok(())))
            && self
                .open
                .questions(addresses)
                .all(|question| self.stays(&question, of_this_beat))
    }

    /// Whether all elements that a question asks for stay in their set for a time that `wanted` likes.
    fn stays(&self, question: &[u8], wanted: impl Fn(Duration) -> bool) -> bool {
        self.connection.have_left(question, wanted).unwrap_or(false)
    }

    /// The same for addresses of a device with a hardware address of its own: ARP requests for them are answered only
    /// where they come in on the device with index `device`, and not also on the interface that it stands on.
    pub fn open_on(
        &mut self,
        device: u32,
        addresses: &[IpAddr],
        hold: Option<Duration>,
        access: Access,
    ) -> Result<(), FenceError> {
        self.open.bind(device, addresses);
        self.open_those(addresses, hold, access)
    }

    /// The number under which the kernel knows the holder, and other holders ask for it ([`Fence::lives`]).
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.connection.port()
    }

    /// Whether a process with that number holds its fence now.
    pub fn lives(&self, number: u32) -> io::Result<bool> {
        self.connection.has(&Open::inquiry(number))
    }

    /// Keeps open addresses fenced for another [`Options::timeout`]. If somebody removed the
    /// tables meanwhile (`nft flush ruleset`), they are made anew.
    pub fn renew(&self, addresses: &[IpAddr]) -> Result<(), FenceError> {
        if self.renewed_by_a_beat(addresses) {
            return Ok(());
        }
        self.in_parts(addresses, |fence, batch, some| {
            fence.fenced.add(batch, some)
        })
    }

    /// Whether a beat has renewed them: then the kernel has nothing to clean up that a death would have to wait for.
    fn renewed_by_a_beat(&self, addresses: &[IpAddr]) -> bool {
        let timeout = self.fenced.timeout;
        let Some(pulse) = &self.renewal else {
            return false;
        };
        let fresh = |question: Vec<u8>| self.stays(&question, |left| left > timeout * 5 / 6);
        pulse.beat(addresses, timeout).is_ok() && self.fenced.questions(addresses).all(fresh)
    }

    /// Silences `addresses` at once, although they may still be configured.
    pub fn close(&self, addresses: &[IpAddr]) -> Result<(), FenceError> {
        self.in_parts(addresses, |fence, batch, some| {
            fence.open.remove(batch, some);
        })
    }

    /// Takes `addresses` out of the fence altogether: after they are gone from this host.
    pub fn forget(&self, addresses: &[IpAddr]) -> Result<(), FenceError> {
        self.in_parts(addresses, |fence, batch, some| {
            fence.open.remove(batch, some);
            fence.fenced.remove(batch, some);
        })
    }

    /// Removes the persistent tables: only where no other process of this host uses a fence.
    pub fn destroy(self) -> Result<(), FenceError> {
        let mut batch = Batch::new();
        self.fenced.destroy(&mut batch);
        self.connection.commit(batch).map_err(FenceError::Refused)
    }

    /// In as many transactions as it takes: that one is refused is no reason to leave out the others.
    fn in_parts(
        &self,
        addresses: &[IpAddr],
        fill: impl Fn(&Self, &mut Batch, &[IpAddr]),
    ) -> Result<(), FenceError> {
        let parts = addresses.chunks(TOGETHER);
        parts
            .map(|some| self.with_tables(|fence, batch| fill(fence, batch, some)))
            .fold(Ok(()), Result::and)
    }

    fn with_tables(&self, fill: impl Fn(&Self, &mut Batch)) -> Result<(), FenceError> {
        let mut batch = Batch::new();
        fill(self, &mut batch);
        match self.connection.commit(batch) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut batch = Batch::new();
                self.fenced.create(&mut batch);
                fill(self, &mut batch);
                self.connection.commit(batch).map_err(FenceError::Refused)
            }
            result => result.map_err(FenceError::Refused),
        }
    }
}
