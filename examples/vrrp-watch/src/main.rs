//! Shows the VRRP adverts that reach an interface, one line each, as tcpdump would; and says of
//! the others what is wrong with them.
//!
//! ```text
//! # vrrp-watch eth0
//! +0.000 10.99.0.1 > 224.0.0.18: VRRPv2, Advertisement, vrid 51, prio 100, authtype none, intvl 1s, ...
//! +1.000 10.99.0.2 > 224.0.0.18: rejected (checksum): checksum is 0x1234, not 0x74df
//! # vrrp-watch eth0 --password viettq      (also verifies Authentication Headers)
//! +0.000 10.99.0.1 > 224.0.0.18: AH(spi=0x0a630001,seq=0x1,icv=0x691a...): VRRPv2, Advertisement, ... (verified)
//! # vrrp-watch eth0 --key 1=hex:0001...1f    (also verifies trailers of auth_hmac)
//! +0.000 10.99.0.1 > 224.0.0.18: VRRPv3, Advertisement, vrid 51, ..., hmac key 1, seq 1744830464.500000+0 (verified, 0 s old)
//! ```
//! Over IPv4 and IPv6, as far as the kernel has them; needs root or CAP_NET_RAW. What this host sends itself is not seen.

use std::error::Error;
use std::io::{self, Write};
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use rustix::event::{PollFd, PollFlags, poll};
use vip_netlink::advert_socket::{AdvertReceiver, Arrived};
use vip_netlink::link::Interface;
use vrrp_proto::ah::{self, AH_PROTOCOL};
use vrrp_proto::auth_hmac::{self, AntiReplay, Key, Mode, Settings};
use vrrp_proto::{
    Advertisement, ChecksumMode, Envelope, Family, MULTICAST_V4, MULTICAST_V6, PROTOCOL, Parsed,
    Password, Priority, Trailer, Version,
};

/// Shows the VRRP adverts that reach an interface.
#[derive(Parser)]
struct Arguments {
    /// Interface to listen on.
    interface: String,
    /// Groups to join.
    #[arg(long, default_values_t = [IpAddr::V4(MULTICAST_V4), IpAddr::V6(MULTICAST_V6)])]
    group: Vec<IpAddr>,
    /// Password with which Authentication Headers are verified.
    #[arg(long)]
    password: Option<String>,
    /// Keys with which trailers of `auth_hmac` are verified: number=secret, the secret 32 to 64
    /// bytes or hex: and digits.
    #[arg(long, value_parser = key)]
    key: Vec<Key>,
    /// End after so many adverts.
    #[arg(long)]
    count: Option<u64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let index = Interface::lookup(&arguments.interface)?.number();
    let open = |family, protocol| {
        AdvertReceiver::new(
            &arguments.interface,
            index,
            family,
            protocol,
            &arguments.group,
        )
    };
    let mut receivers = vec![
        open(Family::Ipv4, PROTOCOL)?,
        open(Family::Ipv4, AH_PROTOCOL)?,
    ];
    match open(Family::Ipv6, PROTOCOL) {
        Ok(receiver) => receivers.push(receiver),
        Err(why) => eprintln!("IPv4 alone: {why}"),
    }
    let password = arguments
        .password
        .as_deref()
        .map(|text| Password::truncated(text.as_bytes()));

    let began = Instant::now();
    let mut output = io::stdout().lock();
    let mut buffer = [0; 2048];
    let mut left = arguments.count.unwrap_or(u64::MAX);
    while left > 0 {
        let sockets = receivers.iter();
        let mut waiting: Vec<_> = sockets
            .map(|socket| PollFd::new(socket, PollFlags::IN))
            .collect();
        poll(&mut waiting, None)?;
        for receiver in &receivers {
            while let Some(Arrived {
                envelope, length, ..
            }) = next(receiver, &mut buffer)?
            {
                let bytes = buffer.get(..length).unwrap_or_default();
                let what = match receiver.protocol() {
                    AH_PROTOCOL => authenticated(bytes, password),
                    _ => advertisement(bytes, &envelope, &arguments.key),
                };
                let Envelope {
                    source,
                    destination,
                    ..
                } = envelope;
                let seconds = began.elapsed().as_secs_f64();
                writeln!(output, "+{seconds:.3} {source} > {destination}: {what}")?;
                output.flush()?;
                left = left.saturating_sub(1);
            }
        }
    }
    Ok(())
}

/// The next advert that waits, if any; after a pile of other packets poll says that there is more.
fn next(receiver: &AdvertReceiver, buffer: &mut [u8]) -> io::Result<Option<Arrived>> {
    match receiver.receive(buffer) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
        received => received,
    }
}

/// A line for a VRRP message.
fn advertisement(bytes: &[u8], envelope: &Envelope, keys: &[Key]) -> String {
    let parsed = match Advertisement::parse_packet(bytes, envelope) {
        Ok(parsed) => parsed,
        Err(error) => return format!("rejected ({}): {error}", error.cause().name()),
    };
    let advertisement = parsed.advertisement;
    let mut line = advertisement.to_string();
    if let Some(trailer) = &parsed.trailer {
        let verdict = verify(&parsed, trailer, envelope, keys);
        line.push_str(&format!(", {trailer} ({verdict})"));
    }
    if advertisement.priority == Priority::RESIGN {
        line.push_str(" (resigns)");
    }
    if advertisement.version == Version::V3 && parsed.checksum == ChecksumMode::MessageOnly {
        line.push_str(" (checksum without pseudo-header)");
    }
    line
}

/// What is to be said of a trailer. Replays are for a router to find: a watcher hears many routers.
fn verify(parsed: &Parsed<'_>, trailer: &Trailer, envelope: &Envelope, keys: &[Key]) -> String {
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let unix = unix.unwrap_or(Duration::ZERO);
    let Some(first) = keys.first() else {
        return "not verified".to_owned();
    };
    let settings = Settings {
        mode: Mode::ReceiveOnly,
        active_key: first.id(),
        anti_replay: AntiReplay::Monotonic,
    };
    let verified = auth_hmac::Authenticator::new(keys, settings)
        .map_err(|error| error.to_string())
        .and_then(|mut authenticator| {
            let verified = authenticator.verify(parsed, envelope, unix);
            verified.map_err(|error| format!("REJECTED ({}): {error}", error.cause().name()))
        });
    match verified {
        Ok(_) => format!("verified, {} s old", trailer.sequence.age(unix)),
        Err(why) => why,
    }
}

/// A line for a packet with an Authentication Header.
fn authenticated(packet: &[u8], password: Option<Password>) -> String {
    let shown = match ah::Unverified::read(packet) {
        Ok(shown) => shown,
        Err(error) => return format!("rejected ({}): {error}", error.cause().name()),
    };
    let verdict = match password.map(|key| ah::Authenticator::new(key).open(packet)) {
        None => "not verified".to_owned(),
        Some(Ok(_)) => "verified".to_owned(),
        Some(Err(error)) => format!("REJECTED ({}): {error}", error.cause().name()),
    };
    let line = advertisement(shown.payload, &shown.envelope, &[]);
    format!("{shown}: {line} ({verdict})")
}

/// A key from `1=hex:00ff...` or `1=text`.
fn key(text: &str) -> Result<Key, String> {
    let (id, secret) = text.split_once('=').ok_or("number=secret is expected")?;
    let id = id
        .parse()
        .map_err(|_| "a number from 1 to 255 is expected")?;
    let secret = match secret.strip_prefix("hex:") {
        None => secret.as_bytes().to_vec(),
        Some(digits) => {
            let pairs = digits.as_bytes().chunks(2);
            let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
            let whole = digits.len().is_multiple_of(2);
            let bytes: Option<Vec<u8>> = pairs.map(byte).collect();
            bytes
                .filter(|_| whole)
                .ok_or("pairs of hex digits are expected")?
        }
    };
    Key::new(id, &secret).map_err(|error| error.to_string())
}
