//! The bridge in the middle and the cables to it.

use std::{
    fs::{self, File},
    io,
    net::IpAddr,
    os::fd::AsRawFd,
};

use futures_util::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::{
    LinkBridge, LinkUnspec, LinkVeth,
    packet_route::link::{LinkAttribute, LinkMessage},
};

use super::{Host, LabError};

/// One bridge in the namespace of the caller, and the hosts on it.
#[derive(Debug)]
pub struct Lab {
    bridge: u32,
    /// Lives as long as the lab, also when the thread that made it has ended.
    _namespace: File,
}

/// Name of the bridge.
pub const BRIDGE: &str = "br-lab";

impl Lab {
    /// Makes the bridge. The process must be inside an enclosure (or be root in a network namespace of its own).
    pub fn new() -> Result<Self, LabError> {
        pass_unfiltered()?;
        with_netlink(async |handle| {
            up(&handle, "lo").await?;
            let bridge = LinkBridge::new(BRIDGE).up().build();
            handle
                .link()
                .add(bridge)
                .execute()
                .await
                .map_err(LabError::netlink("add bridge"))?;
            Ok(Self {
                bridge: index(&handle, BRIDGE).await?,
                _namespace: File::open("/proc/thread-self/ns/net")
                    .map_err(LabError::io("namespace of the lab"))?,
            })
        })
    }

    /// The same in a network namespace of its own, so that many labs stand side by side. The calling thread, and those
    /// that it starts, are in it from now on.
    pub fn apart() -> Result<Self, LabError> {
        super::host::unshare_network().map_err(LabError::io("namespace of the lab"))?;
        Self::new()
    }

    /// Adds a host called `name` whose one interface is called `interface` and has `addresses`.
    pub fn host(&self, name: &str, interface: &str, addresses: &[IpNet]) -> Result<Host, LabError> {
        let host = Host::new(name, interface)?;
        let (port, loose_end) = (port_name(name), format!("e-{name}"));
        with_netlink(async |handle| {
            let veth = LinkVeth::new(&port, &loose_end)
                .controller(self.bridge)
                .up()
                .build();
            handle
                .link()
                .add(veth)
                .execute()
                .await
                .map_err(LabError::netlink("add veth"))
        })?;
        connect(host, &loose_end, addresses)
    }

    /// Pulls the host's cable out: it sees no carrier.
    pub fn cut_cable(&self, host: &Host) -> Result<(), LabError> {
        self.set_port(host, false)
    }

    /// Puts the cable back.
    pub fn mend_cable(&self, host: &Host) -> Result<(), LabError> {
        self.set_port(host, true)
    }

    /// The bridge's port on the other end of the host's cable.
    pub fn port(&self, host: &Host) -> String {
        port_name(host.name())
    }

    fn set_port(&self, host: &Host, on: bool) -> Result<(), LabError> {
        with_netlink(async |handle| {
            let port = LinkUnspec::new_with_name(&port_name(host.name()));
            let port = if on { port.up() } else { port.down() };
            handle
                .link()
                .set(port.build())
                .execute()
                .await
                .map_err(LabError::netlink("set port"))
        })
    }
}

/// Two hosts at the ends of one cable, without a switch: what one sends goes straight to the other, and the way there
/// takes next to nothing of the sender's time. Each has a name and addresses; both call their interface `interface`.
pub fn pair(interface: &str, ends: [(&str, IpNet); 2]) -> Result<[Host; 2], LabError> {
    let loose_ends = ends.map(|(name, _)| format!("e-{name}"));
    with_netlink(async |handle| {
        let [one, other] = &loose_ends;
        let veth = LinkVeth::new(one, other).build();
        let added = handle.link().add(veth).execute().await;
        added.map_err(LabError::netlink("add veth"))
    })?;
    let [one, other] = &loose_ends;
    let [(first, near), (second, far)] = ends;
    Ok([
        connect(Host::new(first, interface)?, one, &[near])?,
        connect(Host::new(second, interface)?, other, &[far])?,
    ])
}

/// Gives a host the loose end of a cable.
fn connect(host: Host, loose_end: &str, addresses: &[IpNet]) -> Result<Host, LabError> {
    with_netlink(async |handle| {
        let loose = LinkUnspec::new_with_name(loose_end)
            .setns_by_fd(host.namespace().as_raw_fd())
            .build();
        let moved = handle.link().set(loose).execute().await;
        moved.map_err(LabError::netlink("move veth"))
    })?;
    let interface = host.interface();
    let card = host.run(|| {
        with_netlink(async |handle| plug_in(&handle, loose_end, interface, addresses).await)
    })?;
    Ok(host.plugged_in(card))
}

/// A switch asks no firewall. Where `br_netfilter` is loaded, a bridge shows every frame to that of its namespace, on the
/// account of the host that sent it.
fn pass_unfiltered() -> Result<(), LabError> {
    for layer in ["arptables", "iptables", "ip6tables"] {
        let written = fs::write(format!("/proc/sys/net/bridge/bridge-nf-call-{layer}"), "0");
        // Within a container it may be out of reach: frames are passed on all the same.
        let bearable = |error: &io::Error| {
            use io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem};
            matches!(
                error.kind(),
                NotFound | PermissionDenied | ReadOnlyFilesystem
            )
        };
        if let Err(error) = written
            && !bearable(&error)
        {
            return Err(LabError::io("bridge-nf-call")(error));
        }
    }
    Ok(())
}

fn port_name(host: &str) -> String {
    format!("p-{host}")
}

/// Returns index and hardware address.
async fn plug_in(
    handle: &rtnetlink::Handle,
    loose_end: &str,
    interface: &str,
    addresses: &[IpNet],
) -> Result<(u32, [u8; 6]), LabError> {
    up(handle, "lo").await?;
    let number = index(handle, loose_end).await?;
    let link = LinkUnspec::new_with_index(number).name(interface).build();
    handle
        .link()
        .set(link)
        .execute()
        .await
        .map_err(LabError::netlink("rename"))?;
    for address in addresses {
        add_address(handle, number, address.addr(), address.prefix_len()).await?;
    }
    up(handle, interface).await?;
    let link = look_up(handle, interface).await?;
    let mac = link
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::Address(mac) => mac.first_chunk().copied(),
            _ => None,
        });
    let mac = mac.ok_or_else(|| LabError::NoInterface(interface.to_owned()))?;
    Ok((link.header.index, mac))
}

async fn add_address(
    handle: &rtnetlink::Handle,
    link: u32,
    address: IpAddr,
    prefix: u8,
) -> Result<(), LabError> {
    handle
        .address()
        .add(link, address, prefix)
        .execute()
        .await
        .map_err(LabError::netlink(format!("add {address}")))
}

async fn up(handle: &rtnetlink::Handle, name: &str) -> Result<(), LabError> {
    let link = LinkUnspec::new_with_name(name).up().build();
    handle
        .link()
        .set(link)
        .execute()
        .await
        .map_err(LabError::netlink(format!("{name} up")))
}

async fn index(handle: &rtnetlink::Handle, name: &str) -> Result<u32, LabError> {
    Ok(look_up(handle, name).await?.header.index)
}

async fn look_up(handle: &rtnetlink::Handle, name: &str) -> Result<LinkMessage, LabError> {
    let mut links = handle.link().get().match_name(name.to_owned()).execute();
    let link = links
        .try_next()
        .await
        .map_err(LabError::netlink(format!("look up {name}")))?;
    link.ok_or_else(|| LabError::NoInterface(name.to_owned()))
}

/// Runs netlink requests in the network namespace of the calling thread, to their end.
fn with_netlink<T>(
    work: impl AsyncFnOnce(rtnetlink::Handle) -> Result<T, LabError>,
) -> Result<T, LabError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(LabError::io("netlink runtime"))?;
    runtime.block_on(async {
        let (connection, handle, _) =
            rtnetlink::new_connection().map_err(LabError::io("netlink socket"))?;
        let connection = tokio::spawn(connection);
        let result = work(handle).await;
        connection.abort();
        result
    })
}
