//! A tiny keepalived in 60 lines: one virtual address that is always on exactly one of several hosts.
//! ```text
//! host A# vip-failover --interface eth0 --vrid 51 --priority 150 192.0.2.10
//! host B# vip-failover --interface eth0 --vrid 51 --priority 100 192.0.2.10
//! ```
//! Stop either with ^C or `kill`, or kill it with `kill -9`: the other takes over, and nobody answers for the address
//! twice. Over IPv6 a link-local address comes first: `fe80::10 2001:db8::10`. Needs root, or CAP_NET_ADMIN and
//! CAP_NET_RAW. keepalived with `version 3` speaks with it.
use clap::Parser;
use std::{error::Error, net::IpAddr, time::Duration};
use tokio::signal::{ctrl_c, unix::SignalKind, unix::signal};
use vip_netlink::{HostOptions, HostRouter, LinuxHost, link::Interface, plan::Vip};
use vrrp_fsm::{Attachment, RouterConfig, RouterSet, driver::Driver};
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
    let args = Arguments::parse();
    let family = Family::of(*args.addresses.first().ok_or("an address is missing")?);
    let vips = args.addresses.iter().copied().map(Vip::host).collect();
    let vrid = Vrid::new(args.vrid).ok_or("--vrid must be 1 to 255")?;
    let mut config = RouterConfig::new(vrid, family, Version::V3, args.addresses);
    config.priority = Priority::new(args.priority);
    config.interval = Duration::from_millis(args.advert_ms);
    let interface = Interface::lookup(&args.interface)?;
    let (link, interval) = (Attachment::new(interface.number(), family), config.interval);
    let mut set = RouterSet::new();
    let router = HostRouter::new(set.insert(link, config)?, interface, vips, interval);
    let host = LinuxHost::new(vec![router], HostOptions::default())?;
    let unfenced = |why| eprintln!("{why}: killed, it answers until its lease ends");
    host.unfenced().map(unfenced);
    let (running, commands) = tokio::sync::mpsc::channel(1);
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = ctrl_c() => {} }
        drop(running); // priority 0 is sent, so that the others need not wait
    });
    let tell = |_, observation| eprintln!("VRID {vrid}: {observation}");
    Ok(Driver::new(set, host)?.run(commands, tell).await?)
}
