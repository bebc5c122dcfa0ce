//! Adverts with one thing wrong.

use std::io;

use rustix::io::Errno;
use vip_netlink::advert_socket::AdvertSender;
use vrrp_proto::{Envelope, Password, ah::Authenticator};

use super::{bytes, dice::Dice};
use crate::{
    Fatal,
    fleet::{PASSWORD, Wire},
};

/// Their sender's number; where only peers are heard, the peer's is forged.
pub(super) const NOISE: u8 = 9;
/// The VRIDs above this are nobody's.
const MOST: u8 = 250;
/// Kinds of wrongs that every wire has, and with those that VRRPv2 has as well.
const WRONGS: u64 = 7;
const AUTHENTICATION: u64 = WRONGS;
/// Longer than any packet here.
const ROOM: usize = 128;

/// Makes and sends them.
#[derive(Debug)]
pub(super) struct Mutants {
    dice: Dice,
    wire: Wire,
    routers: u8,
    strangers: u8,
    /// Authenticates with another password than the hosts'.
    forger: Authenticator,
    /// For our routers, and for routers that nobody has.
    pub(super) sent: [u64; 2],
}

/// One of them, before it is addressed.
struct Draft {
    message: Vec<u8>,
    hop_limit: u8,
    /// From a host that is nobody's peer.
    foreign: bool,
    /// Of an Authentication Header and what is in it, so much arrives at most.
    length: usize,
    /// For a router that nobody has, or for none that can be told.
    strange: bool,
}

impl Mutants {
    pub(super) fn new(wire: Wire, seed: u64, routers: u8, strangers: u8) -> Self {
        Self {
            dice: Dice::new(seed),
            wire,
            routers,
            strangers,
            forger: Authenticator::with_sequence(Password::truncated(b"forgery"), 1 << 30),
            sent: [0, 0],
        }
    }

    /// Sends so many, as fast as the kernel takes them.
    pub(super) fn send(&mut self, sender: &mut AdvertSender, count: u64) -> Result<(), Fatal> {
        for _ in 0..count {
            let strange = self.dice.below(100) < u64::from(self.strangers);
            let draft = self.draft(strange);
            self.deliver(sender, &draft)?;
            let [ours, strangers] = &mut self.sent;
            *(if draft.strange { strangers } else { ours }) += 1;
        }
        Ok(())
    }

    /// Some more, with time between them: the kernel tells of packets without room by the next that has some.
    pub(super) fn trickle(&mut self, sender: &mut AdvertSender) -> Result<(), Fatal> {
        for _ in 0..20 {
            self.send(sender, 1)?;
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        Ok(())
    }

    /// To both hosts.
    fn deliver(&mut self, sender: &mut AdvertSender, draft: &Draft) -> Result<(), Fatal> {
        if !self.wire.is_unicast() {
            let envelope = self.wire.envelope(NOISE, 0);
            return self.deliver_one(sender, draft, envelope);
        }
        for (peer, to) in [(2, 1), (1, 2)] {
            let from = if draft.foreign { NOISE } else { peer };
            self.deliver_one(sender, draft, self.wire.envelope(from, to))?;
        }
        Ok(())
    }

    fn deliver_one(
        &mut self,
        sender: &mut AdvertSender,
        draft: &Draft,
        mut envelope: Envelope,
    ) -> Result<(), Fatal> {
        envelope.hop_limit = draft.hop_limit;
        if self.wire != Wire::V2Ah {
            return insist(|| sender.send(&envelope, &draft.message));
        }
        let mut packet = [0; ROOM];
        let identification = 1 + u16::from(self.dice.octet());
        let sealed = self
            .forger
            .seal(&draft.message, &envelope, identification, &mut packet)?;
        let length = sealed.min(bytes::IPV4_HEADER + draft.length);
        let packet = packet.get(..length).unwrap_or_default();
        insist(|| sender.send_packet(packet))
    }

    /// What is wrong with a stranger's is that it is one.
    fn draft(&mut self, strange: bool) -> Draft {
        let vrid = match strange {
            true => MOST.saturating_add(1 + self.dice.octet() % 5),
            false => 1 + self.dice.octet() % self.routers,
        };
        let mut draft = Draft {
            message: bytes::advert(self.wire, vrid),
            hop_limit: 255,
            foreign: false,
            length: bytes::AH_LENGTH,
            strange,
        };
        if strange {
            bytes::seal(self.wire, &mut draft.message);
        } else if self.wire == Wire::V2Ah {
            self.forge(&mut draft);
        } else {
            self.spoil(&mut draft);
        }
        draft
    }

    /// One that is authenticated by somebody who does not know the password: that is wrong with all of these.
    fn forge(&mut self, draft: &mut Draft) {
        bytes::seal(self.wire, &mut draft.message);
        match self.dice.below(4) {
            0 => {}
            1 => self.flip(&mut draft.message),
            2 => {
                draft.length = usize::from(self.dice.octet()) % bytes::AH_LENGTH;
                draft.strange = draft.length <= bytes::AH_VRID;
            }
            _ => draft.hop_limit = 1 + self.dice.octet() % 254,
        }
    }

    fn spoil(&mut self, draft: &mut Draft) {
        let message = &mut draft.message;
        let wrongs = match bytes::has_authentication(self.wire) {
            true => AUTHENTICATION + 1,
            false => WRONGS,
        };
        let wrong = self.dice.below(wrongs);
        match wrong {
            2 if self.wire.is_unicast() => draft.foreign = true,
            2 => draft.hop_limit = 1 + self.dice.octet() % 254,
            // Neither version 2 nor 3, which differ in their length.
            3 => bytes::set_version(message, self.dice.pick(&[0, 1, 4, 5, 6, 7, 8, 15])),
            4 => bytes::set_interval(self.wire, message),
            5 => {
                // Not the one that there is, and not none, which VRRPv2 allows.
                bytes::set(message, 3, 2 + self.dice.octet() % 254);
            }
            6 => bytes::set_type(message, 2 + self.dice.octet() % 14),
            AUTHENTICATION => bytes::set_authentication(self.wire, message, PASSWORD),
            _ => {}
        }
        bytes::seal(self.wire, message);
        match wrong {
            0 => self.flip(&mut draft.message),
            1 => {
                let rest = draft.message.len() - 2;
                let length = 2 + usize::from(self.dice.octet()) % rest;
                draft.message.truncate(length);
            }
            _ => {}
        }
    }

    /// Any bit but those of the VRID: that would be another's.
    fn flip(&mut self, message: &mut [u8]) {
        let at = usize::from(self.dice.octet()) % (message.len() - 1);
        let at = if at == 0 { 0 } else { at + 1 };
        let bit = 1 << (self.dice.octet() % 8);
        if let Some(octet) = message.get_mut(at) {
            *octet ^= bit;
        }
    }
}

/// Without room at the moment it has not been sent.
fn insist(mut send: impl FnMut() -> io::Result<()>) -> Result<(), Fatal> {
    loop {
        match send() {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return Ok(done?),
        }
    }
}
