//! Shows the VRRP adverts that reach an interface, one line each, as tcpdump would; and says of
//! the others what is wrong with them.
//!
//! ```text
//! # vrrp-watch eth0
//! +0.000 10.99.0.1 > 224.0.0.18: VRRPv2, Advertisement, vrid 51, prio 100, authtype none, intvl 1s, ...
//! +1.000 10.99.0.2 > 224.0.0.18: rejected (checksum): checksum is 0x1234, not 0x74df
//! # vrrp-watch eth0 --password viettq      (also verifies authentication headers)
//! ```
//! Over IPv4 and IPv6, as far as the kernel has them; needs root or CAP_NET_RAW. What this host sends itself is not seen.

use std::error::Error;
use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Instant;

use clap::Parser;
use rustix::event::{PollFd, PollFlags, poll};
use vip_netlink::advert_socket::{AdvertReceiver, Arrived};
use vip_netlink::link::Interface;
use vrrp_proto::ah::{AH_PROTOCOL, Authenticator, OVERHEAD};
use vrrp_proto::{
    Advertisement, ChecksumMode, Envelope, Family, MULTICAST_V4, MULTICAST_V6, PROTOCOL, Password,
    Priority, Version,
};

/// Shows the VRRP adverts that reach an interface.
#[derive(Parser)]
struct Arguments {
    /// Interface to listen on.
    interface: String,
    /// Groups to join.
    #[arg(long, default_values_t = [IpAddr::V4(MULTICAST_V4), IpAddr::V6(MULTICAST_V6)])]
    group: Vec<IpAddr>,
    /// Password with which authentication headers are verified.
    #[arg(long)]
    password: Option<String>,
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
    let key = arguments
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
            while let Some(Arrived { envelope, length }) = next(receiver, &mut buffer)? {
                let bytes = buffer.get(..length).unwrap_or_default();
                let what = match receiver.protocol() {
                    AH_PROTOCOL => authenticated(bytes, &envelope, key),
                    _ => advertisement(bytes, &envelope),
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
fn advertisement(bytes: &[u8], envelope: &Envelope) -> String {
    match Advertisement::parse_with_checksum(bytes, envelope) {
        Ok((advertisement, mode)) => {
            let mut line = advertisement.to_string();
            if advertisement.priority == Priority::RESIGN {
                line.push_str(" (resigns)");
            }
            if advertisement.version == Version::V3 && mode == ChecksumMode::MessageOnly {
                line.push_str(" (checksum without pseudo-header)");
            }
            line
        }
        Err(error) => format!("rejected ({}): {error}", error.cause().name()),
    }
}

/// A line for a packet with an authentication header.
fn authenticated(packet: &[u8], envelope: &Envelope, key: Option<Password>) -> String {
    let Some(key) = key else {
        // Not verified: what follows the headers of usual length is shown.
        let message = packet.get(OVERHEAD..).unwrap_or_default();
        return format!("{} (not verified)", advertisement(message, envelope));
    };
    // Replays are for a router to find: a watcher hears many routers.
    match Authenticator::new(key).open(packet) {
        Ok(opened) => {
            let line = advertisement(opened.payload, &opened.envelope);
            format!("{line} (verified, sequence {})", opened.sequence)
        }
        Err(error) => format!("rejected ({}): {error}", error.cause().name()),
    }
}
