//! A set of routers on plain threads with poll(2), without a runtime: two hosts elect one of them over real sockets and
//! real timers, and hand over in order and after a silent death. (The sockets are datagrams on the loopback interface,
//! which stand for raw ones; everything else is what a program would do.)
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests: this is the driver"
)]

use std::{
    net::{IpAddr, UdpSocket},
    sync::mpsc::{self, Receiver, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    time::{ClockId, clock_gettime},
};
use vrrp_fsm::{
    Action, Attachment, Event, Instant, Packet, RouterConfig, RouterId, RouterSet, StateKind,
};
use vrrp_proto::{Envelope, Family, PROTOCOL, Priority, Version, Vrid};

const INTERVAL: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(20);
/// What an operator sends to a host's control socket.
const STOP: u8 = 1;
const DIE: u8 = 2;

fn now() -> Instant {
    let time = clock_gettime(ClockId::Boottime);
    let (secs, nanos) = (
        u64::try_from(time.tv_sec).unwrap(),
        u32::try_from(time.tv_nsec).unwrap(),
    );
    Instant::ZERO + Duration::new(secs, nanos)
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// What a host does until it is stopped.
struct Host {
    set: RouterSet,
    wire: UdpSocket,
    control: UdpSocket,
    peer: IpAddr,
    tell: Sender<(u8, StateKind)>,
    number: u8,
}

impl Host {
    fn run(mut self) {
        let mut buffer = [0; 2048];
        self.set.handle_all(now(), Event::Startup);
        loop {
            self.perform(&mut buffer);
            let wait = self.set.next_deadline().map(|at| at.since(now()));
            let wait = wait.map(|wait| Timespec {
                tv_sec: wait.as_secs().try_into().unwrap(),
                tv_nsec: wait.subsec_nanos().into(),
            });
            let mut ready = [
                PollFd::new(&self.wire, PollFlags::IN),
                PollFd::new(&self.control, PollFlags::IN),
            ];
            poll(&mut ready, wait.as_ref()).unwrap();
            // Packets first, then timers: after a stall the living Active is heard before it is usurped.
            while let Ok(len) = self.wire.recv(&mut buffer) {
                let packet = Packet {
                    interface: 1,
                    protocol: PROTOCOL,
                    envelope: Envelope::multicast(self.peer),
                    bytes: buffer.get(..len).unwrap(),
                };
                self.set.receive(now(), &packet).unwrap();
                self.perform(&mut [0; 2048]);
            }
            let mut order = [0];
            if self.control.recv(&mut order).is_ok() {
                if order == [DIE] {
                    return;
                }
                self.set.handle_all(now(), Event::Shutdown);
                return self.perform(&mut buffer);
            }
            self.set.timeout(now());
        }
    }

    fn perform(&mut self, buffer: &mut [u8]) {
        while let Some((id, action)) = self.set.poll_action() {
            match action {
                Action::Send { priority } => {
                    let Some(mut advert) = self.set.advert(id, priority) else {
                        continue;
                    };
                    while let Some(written) = advert.next(buffer) {
                        // Nobody listens once the other host is dead.
                        let _ = self.wire.send(buffer.get(..written.unwrap().len).unwrap());
                    }
                }
                Action::Transition(transition) => {
                    self.tell.send((self.number, transition.to)).unwrap()
                }
                _ => {}
            }
        }
    }
}

struct Lan {
    hosts: Vec<(JoinHandle<()>, UdpSocket)>,
    told: Receiver<(u8, StateKind)>,
}

/// Two hosts, priorities 200 and 100.
fn lan() -> Lan {
    let (tell, told) = mpsc::channel();
    let wires = [socket(), socket()];
    let [one, other] = &wires;
    one.connect(other.local_addr().unwrap()).unwrap();
    other.connect(one.local_addr().unwrap()).unwrap();
    let mut hosts = Vec::new();
    for (number, wire) in (0..).zip(wires) {
        let address = |last| IpAddr::from([192, 0, 2, last]);
        let vrid = Vrid::new(51).unwrap();
        let mut config = RouterConfig::new(vrid, Family::Ipv4, Version::V3, vec![address(100)]);
        config.primary = Some(address(1 + number));
        config.priority = Priority::new(200 - 100 * number);
        config.interval = INTERVAL;
        let mut set = RouterSet::new();
        let id = set
            .insert(Attachment::new(1, Family::Ipv4), config)
            .unwrap();
        assert_eq!(id, RouterId::new(0));
        let (control, operator) = (socket(), socket());
        operator.connect(control.local_addr().unwrap()).unwrap();
        let host = Host {
            set,
            wire,
            control,
            peer: address(2 - number),
            tell: tell.clone(),
            number,
        };
        hosts.push((thread::spawn(|| host.run()), operator));
    }
    Lan { hosts, told }
}

impl Lan {
    fn order(&self, host: usize, order: u8) {
        let (_, operator) = self.hosts.get(host).unwrap();
        operator.send(&[order]).unwrap();
    }

    fn until_active(&self, host: u8) {
        while self.told.recv_timeout(PATIENCE).unwrap() != (host, StateKind::Active) {}
    }
}

#[test]
fn two_threads_elect_and_an_orderly_stop_or_a_silent_death_hands_over() {
    for order in [STOP, DIE] {
        let lan = lan();
        lan.until_active(0);
        lan.order(0, order);
        lan.until_active(1);
        lan.order(1, STOP);
        for (thread, _) in lan.hosts {
            thread.join().unwrap();
        }
    }
}
