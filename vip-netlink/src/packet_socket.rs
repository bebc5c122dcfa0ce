//! Sending whole Ethernet frames on one interface (packet(7)). Never receives.

use std::io;

use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};

use crate::announce::Mac;
use crate::error::Error;
use crate::many::Outbox;

/// A socket of AF_PACKET for any number of interfaces.
#[derive(Debug)]
pub struct PacketSocket {
    socket: Socket,
}

impl PacketSocket {
    /// Opens the socket; needs CAP_NET_RAW.
    pub fn new() -> Result<Self, Error> {
        // Protocol 0: the kernel queues nothing for this socket.
        Socket::new(Domain::PACKET, Type::RAW.nonblocking(), None)
            .map(|socket| Self { socket })
            .map_err(|source| Error::Socket {
                what: "AF_PACKET, frames",
                source,
            })
    }

    /// Sends one frame, its Ethernet header included, without waiting.
    pub fn send(&self, interface: u32, frame: &[u8]) -> io::Result<()> {
        self.socket
            .send_to(frame, &address(interface, frame)?)
            .map(drop)
    }

    /// Sends what waits without waiting; each is told of.
    pub(crate) fn send_all(&self, frames: &mut Outbox, outcome: impl FnMut(u32, io::Result<()>)) {
        frames.send(&self.socket, outcome);
    }
}

/// Where a frame goes.
pub(crate) fn address(interface: u32, frame: &[u8]) -> io::Result<SockAddr> {
    let ethertype = frame.get(12..14).and_then(|field| field.first_chunk());
    let destination = frame.first_chunk();
    let (Some(&ethertype), Some(&destination)) = (ethertype, destination) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    let interface = i32::try_from(interface).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(link_address(interface, ethertype, destination))
}

/// `struct sockaddr_ll` of packet(7).
#[repr(C)]
struct LinkAddress {
    family: u16,
    protocol: [u8; 2],
    interface: i32,
    hardware: u16,
    packet: u8,
    length: u8,
    address: [u8; 8],
}

#[expect(
    unsafe_code,
    reason = "neither socket2 nor rustix can express sockaddr_ll"
)]
fn link_address(interface: i32, protocol: [u8; 2], destination: Mac) -> SockAddr {
    let mut address = [0; 8];
    if let Some(head) = address.first_chunk_mut() {
        *head = destination;
    }
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: LinkAddress is sockaddr_ll field by field, plain data that fits into
    // sockaddr_storage, and every octet of it is written; the length is its size.
    unsafe {
        *storage.view_as::<LinkAddress>() = LinkAddress {
            family: 17,
            protocol,
            interface,
            hardware: 0,
            packet: 0,
            length: 6,
            address,
        };
        SockAddr::new(storage, 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_has_the_size_that_the_kernel_expects() {
        assert_eq!(size_of::<LinkAddress>(), 20);
        assert_eq!(link_address(1, [8, 6], [0xff; 6]).len(), 20);
        assert_eq!(link_address(1, [8, 6], [0xff; 6]).domain(), Domain::PACKET);
    }
}
