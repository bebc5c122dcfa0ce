//! The Linux side of a virtual address: raw VRRP sockets, addresses with a lease, gratuitous ARP,
//! link watch, and a fence that silences an address whose speaker died.
//!
//! Without features: frames, plans, leases, sockets and the fence, no async runtime. Feature
//! `tokio` adds rtnetlink and `LinuxHost`, the host under `vrrp-fsm`'s driver:
//!
#![cfg_attr(feature = "tokio", doc = "```no_run")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! use std::{net::IpAddr, time::Duration};
//! use vip_netlink::{HostOptions, HostRouter, LinuxHost, link::Interface, plan::Vip};
//! use vrrp_fsm::{Attachment, RouterConfig, RouterSet, driver::{Control, Driver}};
//! use vrrp_proto::{Family, Version, Vrid};
//!
//! # async fn run(commands: tokio::sync::mpsc::Receiver<Control>) -> Result<(), Box<dyn std::error::Error>> {
//! let address = IpAddr::from([192, 0, 2, 10]);
//! let interface = Interface::lookup("eth0")?;
//! let config = RouterConfig::new(Vrid::new(51).ok_or("1 to 255")?, Family::Ipv4, Version::V3, vec![address]);
//! let mut set = RouterSet::new();
//! let id = set.insert(Attachment::new(interface.number(), Family::Ipv4), config)?;
//! let router = HostRouter::new(id, interface, vec![Vip::host(address)], Duration::from_secs(1));
//! let host = LinuxHost::new(vec![router], HostOptions::default())?;
//! Driver::new(set, host)?.run(commands, |_, seen| eprintln!("{seen}")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Read the files in this order
//! 1. [`plan`]: what a virtual address is; which to add, which to remove
//! 2. [`announce`], [`packet_socket`], [`pace`]: frames that say where it lives, and how fast they follow each other
//! 3. [`advert_socket`]: adverts out and in, with their envelope
//! 4. [`lease`]: how long an address may stay, and answer, without an advert
//! 5. [`fence`]: who answers when its speaker is gone or stands still
//! 6. [`link`], [`debounce`], [`macvlan`]: interfaces by name, and when their changes count; devices with a virtual MAC
//!    address
//! 7. [`route`]: routes and rules that go with addresses
//! 8. `vips`, `routing`, `neighbours`, `watch`: asking and hearing the kernel (feature `tokio`)
//! 9. `host`: all of it under the driver (feature `tokio`)
//!
//! # What guards an address
//! | its speaker | what happens to the address |
//! |---|---|
//! | resigns | removed at once |
//! | is killed (`SIGKILL`, panic, out of memory) | the [`fence`] closes with its netlink socket: silent within milliseconds, IPv6 too; gone when the [`lease`] ends |
//! | stands still (`SIGSTOP`, a paused machine) | the fence closes when its [hold](lease::Lease::hold) ends, 2.9 advertisement intervals after the last advert; the kernel removes it when the lease ends: 2 s, or three intervals |
//! | wakes up again later | its next advert is refused and it hears `LeaseExpired`: it becomes Backup |
//! | goes on sending, but its work on addresses waits for the kernel (other programs change links) | should the lease end meanwhile, all is put back and `AddressLapsed` told, if the last advert is younger than the hold: nobody has taken over |
//! | starts again | what the predecessor left is removed first, by exact prefix and interface |
//!
//! Needs CAP_NET_ADMIN and CAP_NET_RAW. Everything happens in the network namespace of the thread
//! that makes the values.

pub mod advert_socket;
pub mod announce;
pub mod debounce;
mod error;
pub mod fence;
#[cfg(feature = "tokio")]
mod host;
pub mod lease;
pub mod link;
pub mod macvlan;
mod many;
#[cfg(feature = "tokio")]
mod neighbours;
pub mod pace;
pub mod packet_socket;
pub mod plan;
pub mod route;
#[cfg(feature = "tokio")]
pub mod routing;
#[cfg(feature = "tokio")]
mod settings;
#[cfg(feature = "tokio")]
pub mod vips;
#[cfg(feature = "tokio")]
pub mod watch;

pub use error::Error;
#[cfg(feature = "tokio")]
pub use host::{Fixtures, HostOptions, HostRouter, LinuxHost, Reminders};
