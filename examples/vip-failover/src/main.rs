//! A tiny keepalived: one virtual address that is always on exactly one of several hosts.
//!
//! ```text
//! host A# vip-failover --interface eth0 --vrid 51 --priority 150 192.0.2.10
//! host B# vip-failover --interface eth0 --vrid 51 --priority 100 192.0.2.10
//! ```
//! Over IPv6 a link-local address comes first, the others after it: `fe80::10 2001:db8::10`.
//! Stop either with ^C or `kill`, or kill it with `kill -9`: the other takes over, and nobody
//! answers for the address twice. Needs root, or CAP_NET_ADMIN and CAP_NET_RAW. keepalived with
//! `version 3` speaks with it.

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use vip_netlink::{HostOptions, HostRouter, LinuxHost, link::Interface, plan::Vip};
use vrrp_fsm::driver::{Control, Driver};
use vrrp_fsm::{Attachment, RouterConfig, RouterSet};
use vrrp_proto::{Family, Priority, Version, Vrid};

/// One virtual address that is always on exactly one of several hosts.
#[derive(Parser)]
struct Arguments {
    /// Interface on which the hosts see each other, and on which the address is put.
    #[arg(short, long)]
    interface: String,
    /// Virtual router number, the same on all hosts.
    #[arg(short, long, default_value_t = 51)]
    vrid: u8,
    /// The highest wins; 255 only for a host that owns the address.
    #[arg(short, long, default_value_t = 100)]
    priority: u8,
    /// Milliseconds between adverts; the address moves after about three of them.
    #[arg(long, default_value_t = 1000)]
    advert_ms: u64,
    /// The virtual address; more of its family may follow.
    #[arg(required = true)]
    addresses: Vec<IpAddr>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let interface = Interface::lookup(&arguments.interface)?;
    let interval = Duration::from_millis(arguments.advert_ms);
    let addresses = arguments.addresses;
    let family = addresses
        .first()
        .map_or(Family::Ipv4, |first| Family::of(*first));
    let vips = addresses
        .iter()
        .map(|address| Vip::host(*address))
        .collect();

    let vrid = Vrid::new(arguments.vrid).ok_or("--vrid must be 1 to 255")?;
    let mut config = RouterConfig::new(vrid, family, Version::V3, addresses);
    config.priority = Priority::new(arguments.priority);
    config.interval = interval;
    let mut set = RouterSet::new();
    let attachment = Attachment::new(interface.number(), family);
    let id = set.insert(attachment, config)?;

    let router = HostRouter::new(id, interface, vips, interval);
    let host = LinuxHost::new(vec![router], HostOptions::default())?;
    if let Some(why) = host.unfenced() {
        eprintln!("{why}: if this process is killed, the address answers until its lease ends");
    }

    let (control, commands) = mpsc::channel(1);
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        // Priority 0 is sent, so that the others need not wait.
        let _ = control.send(Control::Shutdown).await;
    });
    let mut driver = Driver::new(set, host)?;
    driver
        .run(commands, |_, observation| {
            eprintln!("VRID {vrid}: {observation}")
        })
        .await?;
    Ok(())
}
