//! The adverts of one host as another one hears them.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use ha_lb::lab::{Host, probe::FrameSocket};

/// An advert.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Advert {
    /// When the kernel had it.
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
        let mut socket = at.run(|| FrameSocket::open(at.index())).unwrap();
        let adverts = Self::default();
        let all = adverts.clone();
        thread::spawn(move || {
            while socket.wait(Duration::from_secs(1)) {
                while let Some((frame, at)) = socket.receive() {
                    if let Some(advert) = parse(&frame, source, at) {
                        all.0.lock().unwrap().push(advert);
                    }
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

/// Ethernet; RFC 791: protocol and source; RFC 4302: the sequence number; RFC 9568 §5.1: the priority.
fn parse(frame: &[u8], source: Ipv4Addr, at: Instant) -> Option<Advert> {
    let packet = frame.strip_prefix(frame.get(..12)?)?;
    let packet = packet.strip_prefix(&[0x08, 0x00])?;
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
        at,
        priority: *message.get(2)?,
        sequence,
    })
}
