//! Changes of addresses by the hundred in one system call: what the kernel notifies of comes faster than anybody reads.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REQUEST, NetlinkMessage};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::support::sh;

const LOOPBACK: u32 = 1;
const OTHERS: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);

/// Another program that changes addresses.
pub(crate) struct Changer {
    socket: Socket,
    datagram: Vec<u8>,
}

impl Changer {
    pub(crate) fn new() -> Self {
        let mut socket = Socket::new(NETLINK_ROUTE).unwrap();
        socket.bind_auto().unwrap();
        Self {
            socket,
            datagram: Vec::new(),
        }
    }

    fn add(&mut self, message: RouteNetlinkMessage) {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | NLM_F_CREATE;
        request.finalize();
        let start = self.datagram.len();
        self.datagram.resize(start + request.buffer_len(), 0);
        request.serialize(&mut self.datagram[start..]);
    }

    /// Adds and removes an address on the loopback interface so often.
    pub(crate) fn noise(&mut self, times: usize) -> &mut Self {
        for _ in 0..times {
            self.add(RouteNetlinkMessage::NewAddress(message(LOOPBACK, OTHERS)));
            self.add(RouteNetlinkMessage::DelAddress(message(LOOPBACK, OTHERS)));
        }
        self
    }

    /// Removes an address.
    pub(crate) fn remove(&mut self, interface: u32, address: Ipv4Addr) -> &mut Self {
        self.add(RouteNetlinkMessage::DelAddress(message(interface, address)));
        self
    }

    /// All of it in one go.
    pub(crate) fn send(&mut self) {
        let kernel = SocketAddr::new(0, 0);
        self.socket.send_to(&self.datagram, &kernel, 0).unwrap();
        self.datagram.clear();
    }
}

fn message(interface: u32, address: Ipv4Addr) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = 32;
    message.header.index = interface;
    message
        .attributes
        .push(AddressAttribute::Local(address.into()));
    message
}

/// While `body` runs the host's own thread gets next to no time of any processor: the kernel lets whoever reads
/// notifications catch up, if it can.
pub(crate) fn starving<T>(body: impl FnOnce() -> T) -> T {
    let task = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|task| task.unwrap().path())
        .find(|task| std::fs::read_to_string(task.join("comm")).unwrap() == "vip-netlink\n")
        .unwrap();
    let thread = task.file_name().unwrap().to_str().unwrap();
    sh(&format!("chrt --idle --pid 0 {thread}"));
    let enough = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        let spin = || {
            while !enough.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        };
        let processors = std::thread::available_parallelism().unwrap().get();
        (0..processors).for_each(|_| drop(scope.spawn(spin)));
        let result = body();
        enough.store(true, Ordering::Relaxed);
        result
    });
    sh(&format!("chrt --other --pid 0 {thread}"));
    result
}
