//! Adverts with one thing wrong.

use std::net::Ipv4Addr;

use vip_netlink::advert_socket::AdvertSender;
use vrrp_proto::MULTICAST_V4;

/// Where they come from.
const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 9);
/// The VRIDs above this are nobody's.
const MOST: u8 = 250;
/// A VRRPv3 message with one address.
const LENGTH: usize = 12;

/// Makes and sends them.
#[derive(Debug)]
pub(super) struct Mutants {
    state: u64,
    routers: u8,
    strangers: u8,
    /// For our routers, and for routers that nobody has.
    pub(super) sent: [u64; 2],
}

impl Mutants {
    pub(super) const fn new(seed: u64, routers: u8, strangers: u8) -> Self {
        Self {
            state: seed ^ 0x9e37_79b9_7f4a_7c15,
            routers,
            strangers,
            sent: [0, 0],
        }
    }

    /// Sends so many, as fast as the kernel takes them.
    pub(super) fn send(&mut self, sender: &AdvertSender, count: u64) {
        let mut done = 0;
        while done < count {
            let strange = self.below(100) < u64::from(self.strangers);
            let packet = self.packet(strange);
            // Without room at the moment it has not been sent.
            if sender.send_packet(&packet).is_ok() {
                done += 1;
                let [ours, strangers] = &mut self.sent;
                *(if strange { strangers } else { ours }) += 1;
            }
        }
    }

    /// Some more, with time between them: the kernel tells of packets without room by the next that has some.
    pub(super) fn trickle(&mut self, sender: &AdvertSender) {
        for _ in 0..20 {
            self.send(sender, 1);
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    fn packet(&mut self, strange: bool) -> Vec<u8> {
        let vrid = match strange {
            true => MOST.saturating_add(1 + self.octet() % 5),
            false => 1 + self.octet() % self.routers,
        };
        let [.., last] = Ipv4Addr::new(10, 78, 1, vrid).octets();
        let mut message = vec![0x31, vrid, 254, 1, 0, 10, 0, 0, 10, 78, 1, last];
        let mut hop_limit = 255;
        // What is wrong with a stranger's is that it is one.
        match if strange { 7 } else { self.below(7) } {
            0 => {
                seal(&mut message);
                // Any bit but those of the VRID: that would be another's.
                let at = [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
                let at = at
                    .get(usize::from(self.octet()) % at.len())
                    .copied()
                    .unwrap_or(2);
                let bit = 1 << (self.octet() % 8);
                if let Some(octet) = message.get_mut(at) {
                    *octet ^= bit;
                }
            }
            1 => {
                seal(&mut message);
                message.truncate(2 + usize::from(self.octet()) % (LENGTH - 2));
            }
            2 => {
                seal(&mut message);
                hop_limit = 1 + self.octet() % 254;
            }
            3 => {
                // Neither version 2, which is shorter by its authentication, nor 3.
                let version = [0, 1, 4, 5, 6, 7, 8, 15];
                let version = version
                    .get(usize::from(self.octet()) % 8)
                    .copied()
                    .unwrap_or(0);
                set(&mut message, 0, version << 4 | 1);
                seal(&mut message);
            }
            4 => {
                set(&mut message, 5, 0);
                seal(&mut message);
            }
            5 => {
                let count = self.octet();
                set(&mut message, 3, if count == 1 { 0 } else { count });
                seal(&mut message);
            }
            6 => {
                let octet = 2 + self.octet() % 14;
                set(&mut message, 0, 0x30 | octet);
                seal(&mut message);
            }
            _ => seal(&mut message),
        }
        framed(hop_limit, &message)
    }

    fn octet(&mut self) -> u8 {
        let [first, ..] = self.next().to_be_bytes();
        first
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 8) % limit
    }

    /// xorshift64*.
    const fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

fn set(message: &mut [u8], at: usize, value: u8) {
    if let Some(octet) = message.get_mut(at) {
        *octet = value;
    }
}

/// RFC 9568 §5.2.8, without a pseudo-header.
fn seal(message: &mut [u8]) {
    set(message, 6, 0);
    set(message, 7, 0);
    let words = message.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    });
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let [_, _, high, low] = (!((sum & 0xffff) + (sum >> 16))).to_be_bytes();
    set(message, 6, high);
    set(message, 7, low);
}

/// The IPv4 header, whose length and checksum the kernel fills in.
fn framed(hop_limit: u8, message: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0xc0, 0, 0, 0, 0, 0, 0, hop_limit, 112, 0, 0];
    packet.extend_from_slice(&SOURCE.octets());
    packet.extend_from_slice(&MULTICAST_V4.octets());
    packet.extend_from_slice(message);
    packet
}
