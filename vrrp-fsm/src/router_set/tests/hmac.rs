//! `auth_hmac` in a set: every transport and family, migration, rotation, reload, succession.

use core::time::Duration;
use std::{boxed::Box, string::ToString, vec, vec::Vec};

use vrrp_proto::{
    Cause, Envelope, Family, Password, Version, Vrid,
    auth_hmac::{AntiReplay, Authenticator, Key, Mode, Settings, VerifyError},
};

use super::super::*;
use crate::Warning;

const NOW: Instant = Instant::from_nanos(5_000_000_000);
const UNIX: Duration = Duration::from_secs(1_750_000_000);

fn hmac(mode: Mode, keys: &[u8]) -> Authentication {
    let settings = Settings {
        mode,
        active_key: keys[0],
        anti_replay: AntiReplay::Time(Duration::from_secs(6)),
    };
    let keys = keys.iter().map(|id| Key::new(*id, &[*id; 32]).unwrap());
    let authenticator = Authenticator::new(keys.collect(), settings).unwrap();
    Authentication::Hmac(Box::new(authenticator))
}

/// The address of host 1, 2 ... in a family.
fn host(family: Family, number: u8) -> IpAddr {
    match family {
        Family::Ipv4 => [192, 0, 2, number].into(),
        Family::Ipv6 => [0xfe80, 0, 0, 0, 0, 0, 0, u16::from(number)].into(),
    }
}

fn config(version: Version, family: Family, number: u8) -> RouterConfig {
    let vrid = Vrid::new(1).unwrap();
    let mut config = RouterConfig::new(vrid, family, version, vec![host(family, 100)]);
    config.primary = Some(host(family, number));
    config
}

fn attachment(family: Family, authentication: Authentication) -> Attachment {
    Attachment {
        authentication,
        ..Attachment::new(1, family)
    }
}

/// Host 1, which listens.
fn listener(mode: Mode, keys: &[u8]) -> RouterSet {
    let attachment = attachment(Family::Ipv4, hmac(mode, keys));
    set_of(attachment, config(Version::V3, Family::Ipv4, 1))
}

fn set_of(attachment: Attachment, config: RouterConfig) -> RouterSet {
    let mut set = RouterSet::new();
    set.insert(attachment, config).unwrap();
    set.handle_all(NOW, Event::Startup);
    drain(&mut set);
    set.time_of_day(UNIX);
    set
}

fn drain(set: &mut RouterSet) -> Vec<Action> {
    core::iter::from_fn(|| set.poll_action().map(|(_, action)| action)).collect()
}

/// The packets of one advert.
fn advert(set: &mut RouterSet) -> Vec<(Envelope, Vec<u8>)> {
    let mut buffer = [0; 256];
    let mut outgoing = set.advert(RouterId::new(0), Priority::DEFAULT).unwrap();
    core::iter::from_fn(|| {
        let written = outgoing.next(&mut buffer)?.unwrap();
        Some((written.envelope, buffer[..written.len].to_vec()))
    })
    .collect()
}

/// One advert of host 2 as it is with these keys.
fn signed(mode: Mode, keys: &[u8]) -> (Envelope, Vec<u8>) {
    let attachment = attachment(Family::Ipv4, hmac(mode, keys));
    advert(&mut set_of(
        attachment,
        config(Version::V3, Family::Ipv4, 2),
    ))
    .remove(0)
}

fn receive(set: &mut RouterSet, (envelope, bytes): &(Envelope, Vec<u8>)) -> Result<(), Rejection> {
    let packet = Packet {
        interface: 1,
        protocol: vrrp_proto::PROTOCOL,
        envelope: *envelope,
        bytes,
    };
    let verdict = set.receive(NOW, &packet);
    verdict.map(|_| ()).map_err(|rejected| rejected.rejection)
}

#[test]
fn every_version_family_and_transport_is_signed_and_believed_once() {
    let kinds = [
        (Version::V2, Family::Ipv4),
        (Version::V3, Family::Ipv4),
        (Version::V3, Family::Ipv6),
    ];
    for ((version, family), unicast) in kinds.into_iter().flat_map(|k| [(k, false), (k, true)]) {
        let with = |peers: &[u8]| {
            let mut attachment = attachment(family, hmac(Mode::Enforce, &[1]));
            if unicast {
                let peers = peers.iter().map(|number| host(family, *number));
                attachment.transport = Transport::unicast(peers.collect());
            }
            attachment
        };
        let mut sender = set_of(with(&[1, 3]), config(version, family, 2));
        let copies = advert(&mut sender);
        assert_eq!(copies.len(), if unicast { 2 } else { 1 });
        let mut receiver = set_of(with(&[2]), config(version, family, 1));
        assert_eq!(
            receive(&mut receiver, &copies[0]),
            Ok(()),
            "{version} {family}"
        );
        let again = receive(&mut receiver, &copies[0]).unwrap_err();
        assert_eq!(again.codec_cause(), Cause::Replay);
        let mut forged = advert(&mut sender).remove(0);
        let last = forged.1.len() - 1;
        forged.1[last] ^= 1;
        // Over IPv6 the checksum has it before the tag.
        let cause = receive(&mut receiver, &forged).unwrap_err().codec_cause();
        assert!(matches!(cause, Cause::HmacInvalid | Cause::Checksum));
    }
}

#[test]
fn a_unicast_sender_must_be_a_peer_whatever_is_configured() {
    let transport = |peer| Transport::Unicast {
        peers: vec![host(Family::Ipv4, peer).into()],
        hop_limit: 255,
        check_source: false,
    };
    let with = |peer, authentication| Attachment {
        transport: transport(peer),
        ..attachment(Family::Ipv4, authentication)
    };
    let mut stranger = set_of(
        with(1, hmac(Mode::Enforce, &[1])),
        config(Version::V3, Family::Ipv4, 2),
    );
    let packet = advert(&mut stranger).remove(0);
    let mut receiver = set_of(
        with(9, hmac(Mode::Enforce, &[1])),
        config(Version::V3, Family::Ipv4, 1),
    );
    assert_eq!(receive(&mut receiver, &packet), Err(Rejection::NotAPeer));
}

#[test]
fn a_cluster_goes_from_nothing_to_enforced_without_a_gap() {
    let plain = || {
        let attachment = attachment(Family::Ipv4, Authentication::None);
        set_of(attachment, config(Version::V3, Family::Ipv4, 2))
    };
    // Neighbouring steps understand each other in both directions.
    let steps = [
        None,
        Some(Mode::ReceiveOnly),
        Some(Mode::Permissive),
        Some(Mode::Enforce),
    ];
    for pair in steps.windows(2) {
        for (from, to) in [(pair[0], pair[1]), (pair[1], pair[0])] {
            let packet = match from {
                Some(mode) => signed(mode, &[1]),
                None => advert(&mut plain()).remove(0),
            };
            let mut receiver = match to {
                Some(mode) => listener(mode, &[1]),
                None => {
                    let attachment = attachment(Family::Ipv4, Authentication::None);
                    set_of(attachment, config(Version::V3, Family::Ipv4, 1))
                }
            };
            assert_eq!(
                receive(&mut receiver, &packet),
                Ok(()),
                "{from:?} to {to:?}"
            );
        }
    }
    let unsigned = advert(&mut plain()).remove(0);
    let missing = Err(Rejection::Hmac(VerifyError::Missing));
    assert_eq!(
        receive(&mut listener(Mode::Enforce, &[1]), &unsigned),
        missing
    );
}

#[test]
fn who_does_not_sign_yet_is_named_once_and_counted() {
    let mut set = listener(Mode::Permissive, &[1]);
    let unsigned = signed(Mode::ReceiveOnly, &[1]);
    let source = host(Family::Ipv4, 2);
    assert_eq!(receive(&mut set, &unsigned), Ok(()));
    let warning = Warning::Unsigned { source };
    assert!(drain(&mut set).contains(&Action::Warn(warning)));
    assert_eq!(
        warning.to_string(),
        "192.0.2.2 does not sign its adverts: it would not be heard with `mode enforce`"
    );
    assert_eq!(receive(&mut set, &unsigned), Ok(()));
    assert!(!drain(&mut set).contains(&Action::Warn(warning)));
    // Before the host signs itself, nobody needs to.
    let mut set = listener(Mode::ReceiveOnly, &[1]);
    assert_eq!(receive(&mut set, &unsigned), Ok(()));
    assert!(!drain(&mut set).contains(&Action::Warn(warning)));
    assert_eq!(receive(&mut set, &unsigned), Ok(()));
    let statistics = set.status(RouterId::new(0)).unwrap().statistics;
    assert_eq!(statistics.unsigned_received, 2);
}

#[test]
fn a_clock_that_drifts_is_named_before_it_is_too_far() {
    let packet = signed(Mode::Enforce, &[1]);
    let mut set = listener(Mode::Enforce, &[1]);
    set.time_of_day(UNIX + Duration::from_secs(4));
    assert_eq!(receive(&mut set, &packet), Ok(()));
    let said: Vec<_> = drain(&mut set)
        .iter()
        .map(|a| match a {
            Action::Warn(warning) => warning.to_string(),
            other => std::format!("{other:?}"),
        })
        .collect();
    assert!(
        said.contains(
            &"the clock of 192.0.2.2 is 4 s behind ours: beyond 6 s it is not heard".to_string()
        ),
        "{said:?}"
    );
    let packet = signed(Mode::Enforce, &[1]);
    let mut set = listener(Mode::Enforce, &[1]);
    set.time_of_day(UNIX + Duration::from_secs(7));
    let stale = Err(Rejection::Hmac(VerifyError::Stale { behind: 7 }));
    assert_eq!(receive(&mut set, &packet), stale);
}

#[test]
fn keys_are_rotated_by_reconfiguration_and_replays_stay_replays() {
    let mut set = listener(Mode::Enforce, &[1]);
    let id = RouterId::new(0);
    let old = signed(Mode::Enforce, &[1]);
    assert_eq!(receive(&mut set, &old), Ok(()));
    let before = advert(&mut set).remove(0);
    drain(&mut set);
    for keys in [&[1, 2][..], &[2, 1]] {
        let attachment = attachment(Family::Ipv4, hmac(Mode::Enforce, keys));
        let config = config(Version::V3, Family::Ipv4, 1);
        set.reconfigure(NOW, id, attachment, config, |_| None)
            .unwrap();
        drain(&mut set);
        let replayed = receive(&mut set, &old).unwrap_err();
        assert_eq!(replayed.codec_cause(), Cause::Replay, "{keys:?}");
    }
    assert_eq!(receive(&mut set, &signed(Mode::Enforce, &[2, 1])), Ok(()));
    // Its own numbers went on too, although the clock stands still.
    let newer = advert(&mut set).remove(0);
    let sequence = |bytes: &[u8]| {
        let trailer: &[u8; 28] = bytes.last_chunk().unwrap();
        vrrp_proto::Trailer::read(trailer).sequence
    };
    assert!(sequence(&newer.1).follows(sequence(&before.1)));
    // Authentication may begin and end while the router runs.
    for authentication in [Authentication::None, hmac(Mode::Permissive, &[1])] {
        let attachment = attachment(Family::Ipv4, authentication);
        let config = config(Version::V3, Family::Ipv4, 1);
        set.reconfigure(NOW, id, attachment, config, |_| None)
            .unwrap();
        drain(&mut set);
    }
}

#[test]
fn an_authentication_header_neither_begins_nor_ends_while_a_router_runs() {
    let header = || {
        let key = Password::truncated(b"viettq");
        Authentication::Header(vrrp_proto::ah::Authenticator::new(key))
    };
    for (before, after) in [
        (header(), Authentication::None),
        (Authentication::None, header()),
    ] {
        let config = || config(Version::V2, Family::Ipv4, 1);
        let mut set = set_of(attachment(Family::Ipv4, before), config());
        let other = attachment(Family::Ipv4, after);
        let refused = set.reconfigure(NOW, RouterId::new(0), other, config(), |_| None);
        assert_eq!(refused, Err(ConfigError::Identity));
    }
}

#[test]
fn a_successor_in_another_process_knows_what_was_heard() {
    let mut set = listener(Mode::Enforce, &[1]);
    let packet = signed(Mode::Enforce, &[1]);
    assert_eq!(receive(&mut set, &packet), Ok(()));
    drain(&mut set);
    let memory = set.memory(RouterId::new(0)).unwrap();
    let mut successor = RouterSet::new();
    let attachment = attachment(Family::Ipv4, hmac(Mode::Enforce, &[1]));
    let id = successor
        .insert(attachment, config(Version::V3, Family::Ipv4, 1))
        .unwrap();
    successor.resume(NOW, id, memory);
    drain(&mut successor);
    successor.time_of_day(UNIX);
    let replayed = receive(&mut successor, &packet).unwrap_err();
    assert_eq!(replayed.codec_cause(), Cause::Replay);
}
