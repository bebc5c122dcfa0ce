//! Body of the fuzz target `bfd`: what must hold for any packets at any times. The corpus is replayed by
//! `tests/corpus.rs`.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    packet::{LENGTH, Packet, State},
    session::{Session, Settings},
};

/// The number of the session, which its neighbour can know.
const NUMBER: u32 = 7;
/// More than a session can be made to wait for: 255 times the longest interval.
const LONGEST: Duration = Duration::from_micros(255 * 4_294_967_295);

/// A session hears packets as they come. The first octet says whether it is passive and its multiplier; then, again and
/// again, two octets of milliseconds and a datagram of 24 octets, or of as many as are left.
pub fn packets(data: &[u8]) {
    let Some((choice, mut rest)) = data.split_first() else {
        return;
    };
    let interval = Duration::from_millis(10);
    let settings = Settings {
        min_rx: interval,
        min_tx: interval,
        idle_tx: Duration::from_secs(1),
        multiplier: (choice >> 1).max(1),
        passive: choice & 1 != 0,
    };
    let start = Instant::now();
    let mut now = start;
    let mut session = Session::new(settings, NUMBER, now);
    while let [high, low, datagrams @ ..] = rest {
        now += Duration::from_millis(u64::from(u16::from_be_bytes([*high, *low])));
        let (datagram, others) = datagrams.split_at(datagrams.len().min(LENGTH));
        rest = others;
        let before = session.state();
        let late = session.timeout(now);
        if let Some(change) = late {
            assert_eq!((change.from, change.to), (before, State::Down));
        }
        if let Ok(packet) = Packet::parse(datagram) {
            let before = session.state();
            let change = session.hears(&packet, now);
            assert_eq!(
                change.map(|change| (change.from, change.to)),
                (session.state() != before).then_some((before, session.state())),
            );
            // RFC 5880 §6.8.6: nobody is Up whom a silence would not bring down.
            let patience = session.detection_time();
            assert!(patience.is_some_and(|patience| patience <= LONGEST));
        }
        speaks(&mut session, settings, now);
    }
    now += LONGEST;
    let _ = session.timeout(now);
    assert_eq!(session.state(), State::Down);
}

/// What it says is well formed, and nothing that was due stays due.
fn speaks(session: &mut Session, settings: Settings, now: Instant) {
    if let Some(packet) = session.transmit(now) {
        assert_eq!(Packet::parse(&packet.emit()), Ok(packet));
        assert_eq!(packet.mine, NUMBER);
        assert_eq!(packet.state, session.state());
    }
    assert!(session.transmit(now).is_none(), "once is enough");
    let _ = session.timeout(now);
    assert!(session.next_deadline().is_none_or(|at| at > now));
    let goes_on = Session::resume(settings, session.memory(), now);
    assert_eq!(goes_on.state(), session.state());
}
