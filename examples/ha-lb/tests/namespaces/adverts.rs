//! The adverts of one host as another one hears them.

use std::{
    io::Read as _,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use ha_lb::lab::Host;
use socket2::{Domain, Protocol, Socket, Type};

/// An advert.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Advert {
    pub(crate) at: Instant,
    pub(crate) priority: u8,
    /// With an Authentication Header.
    pub(crate) sequence: Option<u32>,
}

/// Everything that was heard so far.
#[derive(Clone, Default)]
pub(crate) struct Adverts(Arc<Mutex<Vec<Advert>>>);

impl Adverts {
    pub(crate) fn of(source: Ipv4Addr, at: &Host) -> Self {
        const ETH_P_IP: u16 = 0x0800;
        let protocol = Protocol::from(i32::from(ETH_P_IP.to_be()));
        let open = || Ok(Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).unwrap());
        let mut socket = at.run(open).unwrap();
        let adverts = Self::default();
        let all = adverts.clone();
        thread::spawn(move || {
            let mut frame = [0; 256];
            while let Ok(len) = socket.read(&mut frame) {
                // Behind the Ethernet header.
                let packet = frame[..len].get(14..).unwrap_or_default();
                if let Some(advert) = parse(packet, source) {
                    all.0.lock().unwrap().push(advert);
                }
            }
        });
        adverts
    }

    pub(crate) fn all(&self) -> Vec<Advert> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// The longest time between two of them.
    pub(crate) fn longest_gap(&self) -> Duration {
        let all = self.all();
        let gaps = all.windows(2).map(|pair| pair[1].at - pair[0].at);
        gaps.max().unwrap_or_default()
    }

    pub(crate) fn sequences(&self) -> Vec<u32> {
        let all = self.all().into_iter();
        all.filter_map(|advert| advert.sequence).collect()
    }
}

/// RFC 791: protocol and source; RFC 4302: the sequence number; RFC 9568 §5.1: the priority.
fn parse(packet: &[u8], source: Ipv4Addr) -> Option<Advert> {
    if packet.get(12..16)? != source.octets() {
        return None;
    }
    let (sequence, message) = match packet.get(9)? {
        112 => (None, packet.get(20..)?),
        51 => {
            let sequence = packet.get(28..32)?.try_into().ok()?;
            (Some(u32::from_be_bytes(sequence)), packet.get(44..)?)
        }
        _ => return None,
    };
    Some(Advert {
        at: Instant::now(),
        priority: *message.get(2)?,
        sequence,
    })
}
