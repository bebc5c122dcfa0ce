//! Dispatch, checks of origin and authentication, deadlines, tracking, counters.

use core::time::Duration;
use std::{string::ToString, vec, vec::Vec};

use vrrp_proto::{ChecksumMode, Envelope, Family, Password, Version, Vrid};

use super::*;
use crate::{Warning, track::Track};

#[cfg(feature = "auth")]
mod hmac;
mod reload;
mod timers;

const NOW: Instant = Instant::from_nanos(5_000_000_000);
const SCRIPT: Object = Object::Script(3);

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn config(vrid: u8, last: u8) -> RouterConfig {
    let vrid = Vrid::new(vrid).unwrap();
    let mut config = RouterConfig::new(vrid, Family::Ipv4, Version::V2, vec![address(100)]);
    config.primary = Some(address(last));
    config
}

fn attachment() -> Attachment {
    Attachment::new(1, Family::Ipv4)
}

fn with(authentication: Authentication) -> Attachment {
    Attachment {
        authentication,
        ..attachment()
    }
}

fn password(text: &[u8]) -> Authentication {
    Authentication::Password(Password::truncated(text))
}

/// A set with one router, VRID 1 and address .1, Backup since `NOW`.
fn listener(attachment: Attachment) -> RouterSet {
    let mut set = RouterSet::new();
    set.insert(attachment, config(1, 1)).unwrap();
    set.handle_all(NOW, Event::Startup);
    drain(&mut set);
    set
}

fn drain(set: &mut RouterSet) -> Vec<(RouterId, Action)> {
    core::iter::from_fn(|| set.poll_action()).collect()
}

/// The packets that a router of that kind sends.
fn packets(attachment: Attachment, config: RouterConfig) -> Vec<(Written, Vec<u8>)> {
    let priority = config.priority;
    let mut set = RouterSet::new();
    let id = set.insert(attachment, config).unwrap();
    let mut buffer = [0; 256];
    let mut outgoing = set.advert(id, priority).unwrap();
    core::iter::from_fn(|| {
        let written = outgoing.next(&mut buffer)?.unwrap();
        Some((written, buffer[..written.len].to_vec()))
    })
    .collect()
}

fn receive(set: &mut RouterSet, packet: &(Written, Vec<u8>)) -> Result<RouterId, Rejection> {
    let result = set.receive(NOW, &arriving(packet));
    drain(set);
    result.map_err(|rejected| rejected.rejection)
}

fn arriving((written, bytes): &(Written, Vec<u8>)) -> Packet<'_> {
    Packet {
        interface: 1,
        protocol: written.protocol,
        envelope: written.envelope,
        bytes,
    }
}

fn from_other(attachment: Attachment) -> (Written, Vec<u8>) {
    packets(attachment, config(1, 2)).remove(0)
}

#[test]
fn an_advert_reaches_the_router_of_its_interface_family_and_vrid() {
    let mut set = RouterSet::new();
    let mut ids = Vec::new();
    for (interface, vrid) in [(1, 1), (1, 2), (2, 1)] {
        let attachment = Attachment::new(interface, Family::Ipv4);
        ids.push(set.insert(attachment, config(vrid, 1)).unwrap());
    }
    set.handle_all(NOW, Event::Startup);
    drain(&mut set);
    let (written, bytes) = from_other(attachment());
    for (interface, expected) in [(1, Some(ids[0])), (2, Some(ids[2])), (3, None)] {
        let packet = Packet {
            interface,
            protocol: 112,
            envelope: written.envelope,
            bytes: &bytes,
        };
        assert_eq!(set.receive(NOW, &packet).ok(), expected);
    }
    assert_eq!(set.stray().total(), 1);
    let [stranger] = set.strangers() else {
        panic!("{:?}", set.strangers());
    };
    assert_eq!((stranger.interface, stranger.vrid), (3, 1));
    assert_eq!(stranger.source, written.envelope.source);
    assert_eq!(
        set.insert(attachment(), config(2, 1)),
        Err(ConfigError::Duplicate {
            interface: 1,
            vrid: Vrid::new(2).unwrap()
        })
    );
}

#[test]
fn only_the_configured_authentication_is_heard() {
    let none = from_other(attachment());
    let right = from_other(with(password(b"viettq")));
    let wrong = from_other(with(password(b"other")));

    let mut set = listener(with(password(b"viettq")));
    assert!(receive(&mut set, &right).is_ok());
    assert_eq!(receive(&mut set, &wrong), Err(Rejection::Password));
    assert_eq!(receive(&mut set, &none), Err(Rejection::AuthType));

    // That the other one speaks another version comes before what follows from it.
    let newer = RouterConfig {
        version: Version::V3,
        ..config(1, 2)
    };
    let newer = packets(attachment(), newer).remove(0);
    assert_eq!(receive(&mut set, &newer), Err(Rejection::Version));

    let mut set = listener(attachment());
    assert!(receive(&mut set, &none).is_ok());
    assert_eq!(receive(&mut set, &right), Err(Rejection::AuthType));
}

#[cfg(feature = "auth")]
#[test]
fn an_authentication_header_is_opened_counted_on_and_not_accepted_twice() {
    use vrrp_proto::ah::Authenticator;
    let header = |key: &[u8]| {
        with(Authentication::Header(Authenticator::new(
            Password::truncated(key),
        )))
    };
    let first = from_other(header(b"viettq"));
    assert_eq!(first.0.protocol, 51);
    let mut set = listener(header(b"viettq"));
    assert!(receive(&mut set, &first).is_ok());
    let replayed = receive(&mut set, &first).unwrap_err();
    assert_eq!(replayed.codec_cause(), vrrp_proto::Cause::Replay);
    let forged = receive(&mut set, &from_other(header(b"other"))).unwrap_err();
    assert_eq!(forged.codec_cause(), vrrp_proto::Cause::Authentication);
    let plain = receive(&mut set, &from_other(attachment()));
    assert_eq!(plain, Err(Rejection::AuthType));
    assert_eq!(
        receive(&mut listener(attachment()), &first),
        Err(Rejection::AuthType)
    );
}

#[test]
fn a_peer_s_advert_is_heard_within_its_bounds_of_ttl_only() {
    let bounded = |min_hop_limit, max_hop_limit, check_source| Attachment {
        transport: Transport::Unicast {
            peers: vec![UnicastPeer {
                address: address(2),
                min_hop_limit,
                max_hop_limit,
            }],
            hop_limit: 255,
            check_source,
        },
        ..attachment()
    };
    let sent = |hop_limit| {
        let mut packet = packets(attachment_to(1), config(1, 2)).remove(0);
        packet.0.envelope.hop_limit = hop_limit;
        packet
    };
    for (min, max, ttl) in [(255, 255, 254), (1, 250, 255)] {
        for check_source in [true, false] {
            let mut set = listener(bounded(min, max, check_source));
            let verdict = receive(&mut set, &sent(ttl));
            assert_eq!(verdict, Err(Rejection::HopLimit(ttl)));
            assert_eq!(receive(&mut set, &sent(min)), Ok(RouterId(0)));
        }
    }
}

fn attachment_to(last: u8) -> Attachment {
    Attachment {
        transport: Transport::unicast(vec![address(last)]),
        ..attachment()
    }
}

#[test]
fn a_unicast_router_sends_to_each_peer_and_hears_only_them() {
    let unicast = |peers: &[u8]| Attachment {
        transport: Transport::unicast(peers.iter().copied().map(address).collect()),
        ..attachment()
    };
    let sent = packets(unicast(&[1, 7]), config(1, 2));
    let destinations: Vec<IpAddr> = sent
        .iter()
        .map(|(written, _)| written.envelope.destination)
        .collect();
    assert_eq!(destinations, [address(1), address(7)]);

    let mut set = listener(unicast(&[2]));
    assert!(receive(&mut set, &sent[0]).is_ok());
    let stranger = packets(unicast(&[1]), config(1, 3)).remove(0);
    assert_eq!(receive(&mut set, &stranger), Err(Rejection::NotAPeer));
    let multicast = from_other(attachment());
    assert_eq!(receive(&mut set, &multicast), Err(Rejection::Transport));
    assert_eq!(
        receive(&mut listener(attachment()), &sent[0]),
        Err(Rejection::Transport)
    );
}

#[test]
fn what_is_rejected_is_counted_by_cause_and_moves_no_timer() {
    let mut set = listener(attachment());
    let deadline = set.next_deadline();
    let (written, bytes) = from_other(attachment());
    let mut broken = bytes.clone();
    broken[2] ^= 1;
    let _ = receive(&mut set, &(written, broken));
    let far = Written {
        envelope: Envelope {
            hop_limit: 254,
            ..written.envelope
        },
        ..written
    };
    let _ = receive(&mut set, &(far, bytes.clone()));
    let mut slow = config(1, 2);
    slow.interval = Duration::from_secs(3);
    let slow = packets(attachment(), slow).remove(0);
    assert_eq!(receive(&mut set, &slow), Err(Rejection::Interval));
    let own = packets(attachment(), config(1, 1)).remove(0);
    assert_eq!(receive(&mut set, &own), Err(Rejection::OwnAddress));
    assert_eq!(set.next_deadline(), deadline);

    let status = set.status(RouterId::new(0)).unwrap();
    let counted: Vec<(&str, u64)> = status
        .statistics
        .rejections
        .iter()
        .filter(|(_, count)| *count > 0)
        .collect();
    assert_eq!(
        counted,
        [
            ("hop_limit", 1),
            ("checksum", 1),
            ("interval", 1),
            ("own_address", 1)
        ]
    );
    assert_eq!(status.statistics.adverts_received, 0);
    assert!(status.peers.is_empty());
}

#[test]
fn another_address_list_is_counted_told_once_and_no_reason_to_reject() {
    let mut set = listener(attachment());
    let mut other = config(1, 2);
    other.addresses.push(address(101));
    let advert = packets(attachment(), other).remove(0);
    let id = RouterId::new(0);
    let warning = Warning::OtherAddresses { source: address(2) };
    set.receive(NOW, &arriving(&advert)).unwrap();
    assert_eq!(drain(&mut set), [(id, Action::Warn(warning))]);
    set.receive(NOW, &arriving(&advert)).unwrap();
    assert_eq!(drain(&mut set), []);
    let status = set.status(id).unwrap();
    assert_eq!(status.statistics.address_list_mismatches, 2);
    assert_eq!(status.active, Some(address(2)));
}

#[test]
fn a_flood_of_sources_does_not_fill_the_memory() {
    let mut set = listener(attachment());
    for last in 2..60 {
        assert!(receive(&mut set, &packets(attachment(), config(1, last)).remove(0)).is_ok());
    }
    assert_eq!(set.status(RouterId::new(0)).unwrap().peers.len(), 16);
}

#[test]
fn another_reading_of_the_checksum_is_heard_and_warned_of_once() {
    let mut other = config(1, 2);
    other.version = Version::V3;
    let mut own = config(1, 1);
    own.version = Version::V3;
    let mut plain = attachment();
    plain.checksum = ChecksumMode::MessageOnly;
    let packet = packets(plain, other).remove(0);
    let mut set = RouterSet::new();
    set.insert(attachment(), own).unwrap();
    set.handle_all(NOW, Event::Startup);
    drain(&mut set);
    let warning = Warning::OtherChecksum {
        source: address(2),
        theirs: ChecksumMode::MessageOnly,
    };
    assert_eq!(
        warning.to_string(),
        "the checksum of 192.0.2.2 is one without a pseudo-header, other than ours: it may not hear us"
    );
    for told in [true, false] {
        assert!(set.receive(NOW, &arriving(&packet)).is_ok());
        let actions = drain(&mut set);
        let warned = actions
            .iter()
            .any(|(_, action)| *action == Action::Warn(warning));
        assert_eq!(warned, told);
    }
}

#[test]
fn tracking_and_links_reach_the_routers_that_are_concerned() {
    let mut tracking = attachment();
    let weights = [(SCRIPT, -20), (Object::Interface(9), 0)];
    tracking.tracks = weights
        .map(|(object, weight)| Track {
            object,
            weight,
            reverse: false,
        })
        .to_vec();
    let mut set = RouterSet::new();
    let id = set.insert(tracking, config(1, 1)).unwrap();
    let other = set.insert(attachment(), config(2, 1)).unwrap();
    set.handle_all(NOW, Event::Startup);
    drain(&mut set);
    let kind = |set: &RouterSet, id| set.router(id).unwrap().state().kind();
    assert_eq!(kind(&set, id), StateKind::Fault, "no result yet");

    set.track(NOW, SCRIPT, Health::Down);
    let told: Vec<_> = drain(&mut set);
    let change = PriorityChange {
        from: Priority::new(100),
        to: Priority::new(80),
        state: StateKind::Backup,
    };
    assert_eq!(told.len(), 2);
    assert_eq!(told[1], (id, Action::Priority(change)));
    assert_eq!(set.router(id).unwrap().priority(), Priority::new(80));
    // 3 s + (256 - 80) / 256 s: with the new priority, not shifted to it.
    let expected = NOW + Duration::from_nanos(3_687_500_000);
    assert_eq!(set.router(id).unwrap().next_deadline(), Some(expected));

    set.link(NOW, 9, false);
    drain(&mut set);
    assert_eq!(kind(&set, id), StateKind::Fault);
    assert_eq!(kind(&set, other), StateKind::Backup);
    set.link(NOW, 1, false);
    drain(&mut set);
    assert_eq!(kind(&set, other), StateKind::Fault);
    set.link(NOW, 9, true);
    drain(&mut set);
    let status = set.status(id).unwrap();
    assert_eq!(status.fault, Some(FaultReason::InterfaceDown));
    set.link(NOW, 1, true);
    drain(&mut set);
    assert_eq!(kind(&set, id), StateKind::Backup);
    let (_, transition) = set.status(id).unwrap().last_transition.unwrap();
    assert_eq!(transition.to_string(), "Fault -> Backup: the fault is gone");
}

#[test]
fn a_configured_primary_address_does_not_follow_the_interface() {
    let fixed = Attachment {
        fixed_primary: true,
        ..attachment()
    };
    let mut set = listener(fixed);
    set.primary_address(NOW, RouterId::new(0), Some(address(77)));
    assert_eq!(
        set.status(RouterId::new(0)).unwrap().primary,
        Some(address(1))
    );
}

#[test]
fn a_router_that_is_reconfigured_keeps_state_timers_and_faults() {
    let mut set = listener(attachment());
    let id = RouterId::new(0);
    let deadline = set.next_deadline();
    let mut faster = config(1, 1);
    faster.priority = Priority::new(120);
    faster.interval = Duration::from_secs(2);
    faster.primary = None;
    faster.addresses = vec![address(100), address(101)];
    let mut tracking = attachment();
    for (number, weight) in [(3, -30), (4, 7)] {
        tracking.tracks.push(Track {
            object: Object::Script(number),
            weight,
            reverse: false,
        });
    }
    let known = |object| (object == SCRIPT).then_some(Health::Down);
    let later = NOW + Duration::from_millis(100);
    set.reconfigure(later, id, tracking, faster.clone(), known)
        .unwrap();
    assert_eq!(drain(&mut set), [], "nothing is sent or told");
    let router = set.router(id).unwrap();
    assert_eq!(router.state().kind(), StateKind::Backup);
    // One script is known to fail, the other one counts as passing until it is heard of.
    assert_eq!(router.priority(), Priority::new(120 - 30 + 7));
    assert_eq!(router.config().primary, Some(address(1)));
    assert_eq!(router.config().addresses.len(), 2);
    // The timer that runs moves with the priority's skew alone.
    let moved = set.next_deadline().unwrap();
    assert!(moved.since(deadline.unwrap()) < Duration::from_secs(1));

    let mut other = faster;
    other.vrid = Vrid::new(9).unwrap();
    let refused = set.reconfigure(later, id, attachment(), other, |_| None);
    assert_eq!(refused, Err(ConfigError::Identity));
    let router = set.router(id).unwrap();
    assert_eq!(router.priority(), Priority::new(97), "as it was");
}

#[test]
fn the_same_vrid_twice_on_an_interface_is_told_apart_by_peer_and_by_group() {
    let unicast = |peers: &[u8]| Attachment {
        transport: Transport::unicast(peers.iter().map(|last| address(*last)).collect()),
        ..attachment()
    };
    let group = |last| Attachment {
        transport: Transport::Multicast(IpAddr::from([224, 0, 0, last])),
        ..attachment()
    };
    let mut set = RouterSet::new();
    let mut insert = |attachment| set.insert(attachment, config(1, 1));
    let ids = [unicast(&[2, 3]), unicast(&[4]), group(18), group(99)].map(&mut insert);
    let ids = ids.map(Result::unwrap);
    for taken in [unicast(&[5, 4]), group(18)] {
        assert!(matches!(insert(taken), Err(ConfigError::Duplicate { .. })));
    }
    set.handle_all(NOW, Event::Startup);
    drain(&mut set);
    // Each is what a router of that transport and address sends to ours.
    let from = |last, attachment| packets(attachment, config(1, last)).remove(0);
    let heard = [
        from(3, unicast(&[1])),
        from(4, unicast(&[1])),
        from(2, group(18)),
        from(2, group(99)),
    ];
    for (packet, id) in heard.iter().zip(ids) {
        assert_eq!(receive(&mut set, packet), Ok(id));
    }
    // One that is meant by none of them still tells why.
    assert_eq!(
        receive(&mut set, &from(9, unicast(&[1]))),
        Err(Rejection::NotAPeer)
    );
    // Nor does one alone take what is for another group.
    assert_eq!(
        receive(&mut listener(group(18)), &from(2, group(99))),
        Err(Rejection::Transport)
    );
}
