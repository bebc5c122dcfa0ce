//! Virtual routers on plain threads: raw sockets and poll(2), with neither a runtime nor a feature of this crate.

use std::io::{Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::time::{ClockId, clock_gettime};
use vip_netlink::advert_socket::{AdvertReceiver, AdvertSender, PROTOCOL_VRRP};
use vrrp_fsm::{
    Action, Attachment, Event, Instant, Packet, RouterConfig, RouterSet, StateKind, Transition,
};
use vrrp_proto::{Family, MULTICAST_V4, Priority, Version, Vrid};

use crate::support::{HOST, HOST_ADDRESS, PEER, PEER_ADDRESS, VIP, in_namespaces, interface_index};

const PATIENCE: Duration = Duration::from_secs(20);
/// What is written to a host: to stop in order, or to be silent at once.
const STOP: u8 = 1;
const DIE: u8 = 2;

fn now() -> Instant {
    let time = clock_gettime(ClockId::Boottime);
    Instant::ZERO
        + Duration::new(
            time.tv_sec.try_into().unwrap(),
            time.tv_nsec.try_into().unwrap(),
        )
}

/// A host with one router, which adverts every 100 ms.
struct Host {
    set: RouterSet,
    interface: u32,
    receiver: AdvertReceiver,
    sender: AdvertSender,
    orders: UnixStream,
    told: Sender<(IpAddr, Transition)>,
    address: IpAddr,
}

impl Host {
    fn new(
        name: &str,
        address: IpAddr,
        priority: u8,
        orders: UnixStream,
        told: Sender<(IpAddr, Transition)>,
    ) -> Self {
        let interface = interface_index(name);
        let vrid = Vrid::new(51).unwrap();
        let mut config = RouterConfig::new(vrid, Family::Ipv4, Version::V3, vec![VIP.into()]);
        config.primary = Some(address);
        config.priority = Priority::new(priority);
        config.interval = Duration::from_millis(100);
        let mut set = RouterSet::new();
        set.insert(Attachment::new(interface, Family::Ipv4), config)
            .unwrap();
        let groups = [MULTICAST_V4.into()];
        let receiver = AdvertReceiver::new(name, interface, Family::Ipv4, PROTOCOL_VRRP, &groups);
        let sender = AdvertSender::new(name, interface, Family::Ipv4);
        Self {
            set,
            interface,
            receiver: receiver.unwrap(),
            sender: sender.unwrap(),
            orders,
            told,
            address,
        }
    }

    fn run(mut self) {
        let mut buffer = [0; 2048];
        self.set.handle_all(now(), Event::Startup);
        loop {
            self.perform();
            let wait = self.set.next_deadline().map(|at| at.since(now()));
            let wait = wait.map(|wait| Timespec {
                tv_sec: wait.as_secs().try_into().unwrap(),
                tv_nsec: wait.subsec_nanos().into(),
            });
            let mut ready = [
                PollFd::new(&self.receiver, PollFlags::IN),
                PollFd::new(&self.orders, PollFlags::IN),
            ];
            poll(&mut ready, wait.as_ref()).unwrap();
            let ordered = !ready[1].revents().is_empty();
            // Packets before timers: after a stall the living Active router is heard.
            while let Some(arrived) = self.receiver.receive(&mut buffer).unwrap() {
                let packet = Packet {
                    interface: self.interface,
                    protocol: PROTOCOL_VRRP,
                    envelope: arrived.envelope,
                    bytes: &buffer[..arrived.length],
                };
                self.set.receive(now(), &packet).unwrap();
                self.perform();
            }
            if ordered {
                let mut order = [0];
                self.orders.read_exact(&mut order).unwrap();
                if order == [STOP] {
                    self.set.handle_all(now(), Event::Shutdown);
                    self.perform();
                }
                return;
            }
            self.set.timeout(now());
        }
    }

    fn perform(&mut self) {
        let mut buffer = [0; 2048];
        while let Some((id, action)) = self.set.poll_action() {
            match action {
                Action::Send { priority } => {
                    let mut advert = self.set.advert(id, priority).unwrap();
                    while let Some(written) = advert.next(&mut buffer) {
                        let written = written.unwrap();
                        self.sender
                            .send(&written.envelope, &buffer[..written.len])
                            .unwrap();
                    }
                }
                Action::Transition(transition) => {
                    self.told.send((self.address, transition)).unwrap()
                }
                // The addresses: with the feature `tokio` this crate installs and announces them.
                _ => {}
            }
        }
    }
}

#[test]
fn two_threads_elect_over_raw_sockets_and_hand_over() {
    in_namespaces(
        "poll::two_threads_elect_over_raw_sockets_and_hand_over",
        |peer| {
            for order in [STOP, DIE] {
                let (told, observed) = mpsc::channel::<(IpAddr, Transition)>();
                let until_active = |who: IpAddr| loop {
                    let (address, transition) = observed.recv_timeout(PATIENCE).unwrap();
                    println!("{address}: {transition}");
                    if address == who && transition.to == StateKind::Active {
                        return;
                    }
                };
                let (mut ours, orders) = UnixStream::pair().unwrap();
                let host = Host::new(HOST, HOST_ADDRESS.into(), 200, orders, told.clone());
                let (mut theirs, orders) = UnixStream::pair().unwrap();
                let other = peer.run(|| Host::new(PEER, PEER_ADDRESS.into(), 100, orders, told));
                let threads = [thread::spawn(|| host.run()), thread::spawn(|| other.run())];
                until_active(HOST_ADDRESS.into());
                ours.write_all(&[order]).unwrap();
                until_active(PEER_ADDRESS.into());
                theirs.write_all(&[STOP]).unwrap();
                for thread in threads {
                    thread.join().unwrap();
                }
            }
        },
    );
}
