//! Questions about neighbours that were asked into a cut cable, asked again once it is mended.
//!
//! A host without carrier goes on asking who has the addresses that it wants to talk to. The kernel repeats such a
//! question a second after the last one, whatever happens in between: a host that takes its address back right
//! after its link returned would be mute towards its servers and clients for the rest of that second. So the
//! questions that wait for an answer are put again at once; the answers are the kernel's, and what it held back for
//! them goes out. Never removes an entry: connections that wait for it would end.

use std::io;
use std::net::Ipv4Addr;

use futures_util::TryStreamExt as _;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use rtnetlink::Handle;

use crate::announce::{Mac, arp_request};
use crate::packet_socket::PacketSocket;

/// An interface that asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    /// Its index.
    pub(crate) interface: u32,
    /// Its hardware address.
    pub(crate) mac: Mac,
    /// An address of its own, not a virtual one.
    pub(crate) source: Ipv4Addr,
}

/// Puts the unanswered questions of an interface again. What goes wrong is asked again by the kernel itself.
pub(crate) async fn ask_again(handle: Handle, asker: Asker) {
    // Closing a packet socket waits for every processor (RCU), 700 ms on a busy machine, and addresses with it.
    if let Ok(wanted) = unanswered(&handle, asker.interface).await
        && !wanted.is_empty()
        && let Ok(frames) = PacketSocket::new()
    {
        for neighbour in wanted {
            let question = arp_request(asker.mac, asker.source, neighbour);
            let _: io::Result<()> = frames.send(asker.interface, &question);
        }
    }
}

async fn unanswered(handle: &Handle, interface: u32) -> Result<Vec<Ipv4Addr>, rtnetlink::Error> {
    let mut all = handle.neighbours().get().execute();
    let mut wanted = Vec::new();
    while let Some(neighbour) = all.try_next().await? {
        let header = &neighbour.header;
        if header.ifindex == interface && header.state == NeighbourState::Incomplete {
            wanted.extend(address(&neighbour));
        }
    }
    Ok(wanted)
}

fn address(neighbour: &NeighbourMessage) -> Option<Ipv4Addr> {
    let mut attributes = neighbour.attributes.iter();
    attributes.find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some(*address),
        _ => None,
    })
}
