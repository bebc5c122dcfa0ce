//! What an advertisement costs to read and to write, of every kind, beside the floor: its bytes
//! copied and summed up by the plainest loop. `cargo bench -p vrrp-proto --features auth`
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "benchmarks")]

use std::{hint::black_box, net::IpAddr, time::Duration};

use divan::Bencher;
use vrrp_proto::{
    Addresses, Advertisement, Auth, ChecksumMode, Envelope, Interval, Password, Priority, Version,
    Vrid, ah,
    auth_hmac::{self, AntiReplay, Key, Mode, Settings},
};

fn main() {
    divan::main();
}

/// A kind of advertisement.
#[derive(Debug, Clone, Copy)]
enum Kind {
    V2,
    V2Password,
    V3,
    V3Plain,
    V3Ipv6,
}

const KINDS: [Kind; 5] = [
    Kind::V2,
    Kind::V2Password,
    Kind::V3,
    Kind::V3Plain,
    Kind::V3Ipv6,
];

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::V2 => "v2",
            Self::V2Password => "v2 password",
            Self::V3 => "v3 IPv4",
            Self::V3Plain => "v3 IPv4, no pseudo-header",
            Self::V3Ipv6 => "v3 IPv6",
        })
    }
}

impl Kind {
    fn address(self) -> IpAddr {
        match self {
            Self::V3Ipv6 => "fe80::52".parse().unwrap(),
            _ => [10, 99, 0, 100].into(),
        }
    }

    fn envelope(self) -> Envelope {
        Envelope::multicast(match self {
            Self::V3Ipv6 => "fe80::1".parse().unwrap(),
            _ => [10, 99, 0, 1].into(),
        })
    }

    fn advertisement(self, addresses: &[IpAddr]) -> Advertisement<'_> {
        let (version, auth) = match self {
            Self::V2 => (Version::V2, Auth::None),
            Self::V2Password => (
                Version::V2,
                Auth::Password(Password::truncated(b"serviceA")),
            ),
            Self::V3 | Self::V3Plain | Self::V3Ipv6 => (Version::V3, Auth::None),
        };
        Advertisement {
            version,
            vrid: Vrid::new(51).unwrap(),
            priority: Priority::DEFAULT,
            interval: Interval::DEFAULT,
            addresses: Addresses::from(addresses),
            auth,
        }
    }

    fn mode(self) -> ChecksumMode {
        match self {
            Self::V3Plain => ChecksumMode::MessageOnly,
            _ => ChecksumMode::PseudoHeader,
        }
    }

    fn packet(self, addresses: &[IpAddr]) -> Vec<u8> {
        let mut buffer = vec![0; 8192];
        let advertisement = self.advertisement(addresses);
        let length = advertisement.emit(&self.envelope(), &mut buffer, self.mode());
        buffer.truncate(length.unwrap());
        buffer
    }
}

/// The floor: the bytes once copied and once summed up.
fn copy_and_sum(packet: &[u8], place: &mut [u8]) -> u16 {
    let place = &mut place[..packet.len()];
    place.copy_from_slice(packet);
    let words = place.chunks_exact(2);
    let mut sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]))
        .sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

#[divan::bench(args = KINDS)]
fn floor(bencher: Bencher<'_, '_>, kind: Kind) {
    let packet = kind.packet(&[kind.address()]);
    let mut place = [0; 64];
    bencher.bench_local(|| copy_and_sum(black_box(&packet), black_box(&mut place)));
}

#[divan::bench(args = KINDS)]
fn parse(bencher: Bencher<'_, '_>, kind: Kind) {
    let packet = kind.packet(&[kind.address()]);
    let envelope = kind.envelope();
    bencher.bench_local(|| Advertisement::parse_packet(black_box(&packet), black_box(&envelope)));
}

#[divan::bench(args = KINDS)]
fn emit(bencher: Bencher<'_, '_>, kind: Kind) {
    let addresses = [kind.address()];
    let advertisement = kind.advertisement(&addresses);
    let envelope = kind.envelope();
    let mut buffer = [0; 64];
    bencher.bench_local(|| {
        black_box(&advertisement).emit(black_box(&envelope), &mut buffer, kind.mode())
    });
}

/// As many addresses as an advertisement can have.
#[divan::bench_group]
mod addresses_255 {
    use super::*;

    const FAMILIES: [Kind; 2] = [Kind::V3, Kind::V3Ipv6];

    fn addresses(kind: Kind) -> Vec<IpAddr> {
        vec![kind.address(); 255]
    }

    #[divan::bench(args = FAMILIES)]
    fn floor(bencher: Bencher<'_, '_>, kind: Kind) {
        let packet = kind.packet(&addresses(kind));
        let mut place = [0; 8192];
        bencher.bench_local(|| copy_and_sum(black_box(&packet), black_box(&mut place)));
    }

    #[divan::bench(args = FAMILIES)]
    fn parse(bencher: Bencher<'_, '_>, kind: Kind) {
        let packet = kind.packet(&addresses(kind));
        let envelope = kind.envelope();
        bencher
            .bench_local(|| Advertisement::parse_packet(black_box(&packet), black_box(&envelope)));
    }

    #[divan::bench(args = FAMILIES)]
    fn emit(bencher: Bencher<'_, '_>, kind: Kind) {
        let addresses = addresses(kind);
        let advertisement = kind.advertisement(&addresses);
        let envelope = kind.envelope();
        let mut buffer = [0; 8192];
        bencher.bench_local(|| {
            black_box(&advertisement).emit(black_box(&envelope), &mut buffer, kind.mode())
        });
    }
}

/// IP Authentication Header: HMAC-MD5-96 over the whole packet.
#[divan::bench_group]
mod authentication_header {
    use super::*;

    const SOURCE: [u8; 4] = [10, 99, 0, 1];

    fn key() -> Password {
        Password::truncated(b"viettq")
    }

    fn packet() -> Vec<u8> {
        let message = Kind::V2.packet(&[Kind::V2.address()]);
        let mut buffer = vec![0; 128];
        let envelope = Envelope::multicast(SOURCE.into());
        let length = ah::Authenticator::new(key()).seal(&message, &envelope, 1, &mut buffer);
        buffer.truncate(length.unwrap());
        buffer
    }

    #[divan::bench]
    fn floor(bencher: Bencher<'_, '_>) {
        let packet = packet();
        let mut place = [0; 128];
        bencher.bench_local(|| copy_and_sum(black_box(&packet), black_box(&mut place)));
    }

    #[divan::bench]
    fn open_and_parse(bencher: Bencher<'_, '_>) {
        let packet = packet();
        bencher.bench_local(|| {
            let mut authenticator = ah::Authenticator::new(key());
            let opened = authenticator.open(black_box(&packet)).unwrap();
            Advertisement::parse(opened.payload, &opened.envelope).is_ok()
        });
    }

    #[divan::bench]
    fn emit_and_seal(bencher: Bencher<'_, '_>) {
        let addresses = [Kind::V2.address()];
        let advertisement = Advertisement {
            auth: Auth::Header,
            ..Kind::V2.advertisement(&addresses)
        };
        let envelope = Envelope::multicast(SOURCE.into());
        let mut authenticator = ah::Authenticator::new(key());
        let (mut message, mut buffer) = ([0; 64], [0; 128]);
        bencher.bench_local(|| {
            let mode = ChecksumMode::MessageOnly;
            let length = black_box(&advertisement).emit(&envelope, &mut message, mode);
            authenticator.seal(&message[..length.unwrap()], &envelope, 1, &mut buffer)
        });
    }
}

/// The `auth_hmac` trailer: HMAC-SHA256-128.
#[divan::bench_group]
mod trailer {
    use super::*;

    const KIND: Kind = Kind::V3;
    const UNIX: Duration = Duration::from_secs(1_750_000_000);

    fn authenticator() -> auth_hmac::Authenticator<[Key; 1]> {
        let settings = Settings {
            mode: Mode::Enforce,
            active_key: 1,
            anti_replay: AntiReplay::Time(Duration::from_secs(5)),
        };
        auth_hmac::Authenticator::new([Key::new(1, &[7; 32]).unwrap()], settings).unwrap()
    }

    fn packet() -> Vec<u8> {
        let mut buffer = KIND.packet(&[KIND.address()]);
        let message = buffer.len();
        buffer.resize(128, 0);
        let mut sender = authenticator();
        let sealer = sender.sealer(UNIX).unwrap();
        let length = sealer.seal(message, &KIND.envelope(), &mut buffer);
        buffer.truncate(length.unwrap());
        buffer
    }

    #[divan::bench]
    fn floor(bencher: Bencher<'_, '_>) {
        let packet = packet();
        let mut place = [0; 128];
        bencher.bench_local(|| copy_and_sum(black_box(&packet), black_box(&mut place)));
    }

    #[divan::bench]
    fn parse_and_verify(bencher: Bencher<'_, '_>) {
        let (packet, envelope) = (packet(), KIND.envelope());
        let fresh = authenticator();
        bencher
            .with_inputs(|| fresh.clone())
            .bench_local_refs(|authenticator| {
                let parsed = Advertisement::parse_packet(black_box(&packet), &envelope).unwrap();
                authenticator.verify(&parsed, &envelope, UNIX).is_ok()
            });
    }

    /// What a flood of replayed packets costs: they are old before their tag is looked at.
    #[divan::bench]
    fn reject_stale(bencher: Bencher<'_, '_>) {
        let (packet, envelope) = (packet(), KIND.envelope());
        let mut authenticator = authenticator();
        let later = UNIX + Duration::from_secs(60);
        bencher.bench_local(|| {
            let parsed = Advertisement::parse_packet(black_box(&packet), &envelope).unwrap();
            authenticator.verify(&parsed, &envelope, later).is_ok()
        });
    }

    #[divan::bench]
    fn emit_and_seal(bencher: Bencher<'_, '_>) {
        let addresses = [KIND.address()];
        let advertisement = KIND.advertisement(&addresses);
        let envelope = KIND.envelope();
        let mut authenticator = authenticator();
        let mut buffer = [0; 128];
        bencher.bench_local(|| {
            let length = black_box(&advertisement)
                .emit(&envelope, &mut buffer, KIND.mode())
                .unwrap();
            authenticator
                .sealer(UNIX)
                .map(|sealer| sealer.seal(length, &envelope, &mut buffer))
        });
    }
}
