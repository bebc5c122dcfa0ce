//! A host and a peer, joined by a veth pair, in network namespaces of the test's own.
//!
//! A test calls [`in_namespaces`] with its own name: the test binary runs itself again inside
//! `unshare`, with one test selected, so every test has a kernel of its own to play with.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use etherparse::PacketBuilder;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use socket2::{Domain, Protocol, Socket, Type};
use vip_netlink::announce::{Mac, arp_probe};
use vip_netlink::packet_socket::PacketSocket;

/// Set inside the namespaces.
const INSIDE: &str = "VIP_NETLINK_TEST_INSIDE";
/// The host's interface and primary address.
pub(crate) const HOST: &str = "vip0";
pub(crate) const HOST_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
pub(crate) const HOST_MAC: Mac = [2, 0, 0, 0, 0, 0x0a];
/// The peer's.
pub(crate) const PEER: &str = "peer0";
pub(crate) const PEER_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
pub(crate) const PEER_MAC: Mac = [2, 0, 0, 0, 0, 0x0b];
/// The virtual address of most tests.
pub(crate) const VIP: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 100);

/// Runs `body` inside fresh namespaces; skips with a reason where they are not permitted, but
/// fails in CI.
pub(crate) fn in_namespaces(test: &str, body: impl FnOnce(&Peer)) {
    if std::env::var_os(INSIDE).is_some() {
        body(&Peer::new());
        return;
    }
    let flags = if rustix::process::geteuid().is_root() {
        "-nm"
    } else {
        "-Urnm"
    };
    let permitted = Command::new("unshare").args([flags, "true"]).status();
    if !permitted.is_ok_and(|status| status.success()) {
        assert!(
            std::env::var_os("CI").is_none(),
            "namespaces are not permitted here"
        );
        eprintln!("skipped: unshare {flags} is not permitted here");
        return;
    }
    let status = Command::new("unshare")
        .arg(flags)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed inside its namespaces");
}

/// Runs `ip` (or another program) with words separated by blanks.
pub(crate) fn sh(command: &str) {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap())
        .args(words)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What a program prints.
pub(crate) fn output(command: &str) -> String {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap())
        .args(words)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Whether `address` with its prefix length is configured on an interface.
pub(crate) fn configured(device: &str, address: &str) -> bool {
    output(&format!("ip addr show dev {device}")).contains(&format!(" {address} "))
}

/// Asks until it is so, at most for `patience`; says how long it took.
pub(crate) fn until(patience: Duration, what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !is_so() {
        assert!(
            start.elapsed() < patience,
            "not within {patience:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    start.elapsed()
}

/// The other end of the cable, in a network namespace of its own.
pub(crate) struct Peer {
    holder: Child,
    namespace: File,
    /// Index of its interface.
    pub(crate) index: u32,
}

impl Peer {
    fn new() -> Self {
        sh("ip link set lo up");
        let holder = Command::new("unshare")
            .args(["-n", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pid = holder.id();
        let path = format!("/proc/{pid}/ns/net");
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        until(Duration::from_secs(5), "a namespace for the peer", || {
            std::fs::read_link(&path).is_ok_and(|theirs| theirs != own)
        });
        let namespace = File::open(path).unwrap();
        let mut peer = Self {
            holder,
            namespace,
            index: 0,
        };
        peer.plug();
        peer.index = peer.run(|| interface_index(PEER));
        peer
    }

    /// Lays the cable between the two and brings up both ends.
    pub(crate) fn plug(&self) {
        let pid = self.holder.id();
        sh(&format!(
            "ip link add {HOST} address 02:00:00:00:00:0a type veth peer name {PEER} address 02:00:00:00:00:0b netns {pid}"
        ));
        sh(&format!("ip addr add {HOST_ADDRESS}/24 dev {HOST}"));
        sh(&format!("ip link set {HOST} up"));
        self.run(|| {
            sh(&format!("ip addr add {PEER_ADDRESS}/24 dev {PEER}"));
            sh(&format!("ip link set {PEER} up"));
        });
        until(Duration::from_secs(5), "link", || {
            output(&format!("ip link show dev {HOST}")).contains("state UP")
        });
    }

    /// A program that lays the cable as soon as it is told to, and brings up the host's end.
    pub(crate) fn plugger(&self) -> Child {
        let pid = self.holder.id();
        let script = format!(
            "read _; ip link add {HOST} address 02:00:00:00:00:0a type veth peer name {PEER} netns {pid} && \
             ip addr add {HOST_ADDRESS}/24 dev {HOST} && ip link set {HOST} up"
        );
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", &script]).stdin(Stdio::piped());
        shell.spawn().unwrap()
    }

    /// Runs `work` on a thread that lives in the peer's namespace.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    move_into_link_name_space(
                        self.namespace.as_fd(),
                        Some(LinkNameSpaceType::Network),
                    )
                    .unwrap();
                    work()
                })
                .join()
                .unwrap()
        })
    }

    /// Everything that reaches the peer's interface from now on.
    pub(crate) fn sniffer(&self) -> Sniffer {
        // ETH_P_ALL in network order; the peer has no other interface that is up.
        let all = Protocol::from(i32::from(3_u16.to_be()));
        let socket = self.run(|| Socket::new(Domain::PACKET, Type::RAW, Some(all)).unwrap());
        Sniffer { socket }
    }

    /// Whether anyone answers a probe for `address` within `patience`.
    pub(crate) fn arp_answers(&self, address: impl Into<IpAddr>, patience: Duration) -> bool {
        self.prober(address).answers(patience)
    }

    /// Asks for `address` by ARP or neighbour solicitation.
    pub(crate) fn prober(&self, address: impl Into<IpAddr>) -> Prober {
        Prober {
            sniffer: self.sniffer(),
            sender: self.run(|| PacketSocket::new().unwrap()),
            index: self.index,
            address: address.into(),
        }
    }

    /// Whether `address` answers one ping within `patience`.
    pub(crate) fn ping(&self, address: IpAddr, patience: Duration) -> bool {
        let seconds = patience.as_secs_f32().to_string();
        self.run(|| {
            Command::new("ping")
                .args(["-c1", "-n", "-W", &seconds, &address.to_string()])
                .stdout(Stdio::null())
                .status()
                .unwrap()
                .success()
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// What a probe takes that is answered within a millisecond, or not, on a machine that is busy but goes on.
const ATTEMPT: Duration = Duration::from_millis(5);

/// Sends ARP probes or neighbour solicitations and hears the answers.
pub(crate) struct Prober {
    sniffer: Sniffer,
    sender: PacketSocket,
    index: u32,
    address: IpAddr,
}

impl Prober {
    pub(crate) fn answers(&self, patience: Duration) -> bool {
        let probe = match self.address {
            IpAddr::V4(address) => arp_probe(PEER_MAC, address).to_vec(),
            IpAddr::V6(address) => solicitation(address),
        };
        self.sender.send(self.index, &probe).unwrap();
        let answer = self.sniffer.next(patience, |frame| match self.address {
            IpAddr::V4(address) => {
                frame.len() >= 42
                    && frame[12..14] == [8, 6]
                    && frame[20..22] == [0, 2]
                    && frame[28..32] == address.octets()
            }
            IpAddr::V6(address) => is_advertisement(frame, address),
        });
        answer.is_some()
    }

    /// Probes for that long, each time after `before`: how many probes there were, and how many were answered. One that
    /// nobody answered while it took longer than `hold` is none: what is held open for that long had a right to end.
    pub(crate) fn answered(
        &self,
        time: Duration,
        hold: Duration,
        before: impl Fn(),
    ) -> (usize, usize) {
        let start = Instant::now();
        let (mut asked, mut answered) = (0, 0);
        while start.elapsed() < time {
            let begun = Instant::now();
            before();
            let is_answered = self.answers(Duration::from_millis(100));
            asked += usize::from(is_answered || begun.elapsed() < hold);
            answered += usize::from(is_answered);
        }
        (asked, answered)
    }

    /// Probes about once a millisecond for that long: when the last answer came, counted from now. What a probe takes
    /// beyond [`ATTEMPT`] does not count, neither for the one nor for the other: there the machine, or this program,
    /// stood still.
    pub(crate) fn last_answer(&self, time: Duration) -> Duration {
        let (mut ran, mut last) = (Duration::ZERO, Duration::ZERO);
        while ran < time {
            let begun = Instant::now();
            let is_answered = self.answers(Duration::from_millis(1));
            ran += begun.elapsed().min(ATTEMPT);
            if is_answered {
                last = ran;
            }
        }
        last
    }
}

/// A neighbour solicitation without a source: whoever has the address tells all nodes.
fn solicitation(address: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = address.octets();
    let group = Ipv6Addr::new(
        0xff02,
        0,
        0,
        0,
        0,
        1,
        0xff00 | u16::from(a),
        u16::from_be_bytes([b, c]),
    );
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(PEER_MAC, [0x33, 0x33, 0xff, a, b, c])
        .ipv6([0; 16], group.octets(), 255)
        .icmpv6_raw(135, 0, [0; 4])
        .write(&mut frame, &address.octets())
        .unwrap();
    frame
}

/// Whether that is a neighbour advertisement of `address`.
pub(crate) fn is_advertisement(frame: &[u8], address: Ipv6Addr) -> bool {
    frame.len() >= 78
        && frame[12..14] == [0x86, 0xdd]
        && (frame[20], frame[54]) == (58, 136)
        && frame[62..78] == address.octets()
}

/// A packet socket that hears all frames.
pub(crate) struct Sniffer {
    socket: Socket,
}

impl Sniffer {
    /// The first frame that `wanted` likes, within `patience`; one that is there when that is over has come in time.
    pub(crate) fn next(
        &self,
        patience: Duration,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Option<Vec<u8>> {
        let deadline = Instant::now() + patience;
        let mut buffer = vec![0; 2048];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            self.socket
                .set_read_timeout(Some(left.max(Duration::from_micros(1))))
                .unwrap();
            match std::io::Read::read(&mut &self.socket, &mut buffer) {
                Ok(length) if wanted(&buffer[..length]) => return Some(buffer[..length].to_vec()),
                // Others that never cease are no reason to wait for ever.
                Ok(_) if Instant::now() > deadline + patience => return None,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return None,
                Err(error) => panic!("sniffer: {error}"),
            }
        }
    }
}

/// The index of an interface of the calling thread's namespace.
pub(crate) fn interface_index(name: &str) -> u32 {
    let line = output(&format!("ip -o link show dev {name}"));
    line.split(':').next().unwrap().parse().unwrap()
}

/// How many nf_tables transactions there have been in this network namespace (`NFT_MSG_GETGEN`).
pub(crate) fn transactions() -> u32 {
    let mut socket = netlink_sys::Socket::new(netlink_sys::protocols::NETLINK_NETFILTER).unwrap();
    socket.bind_auto().unwrap();
    // nlmsghdr and nfgenmsg: length, type, flags NLM_F_REQUEST.
    let mut question = [0_u8; 20];
    question[0] = 20;
    question[4..8].copy_from_slice(&[16, 10, 1, 0]);
    socket
        .send_to(&question, &netlink_sys::SocketAddr::new(0, 0), 0)
        .unwrap();
    let (answer, _) = socket.recv_from_full().unwrap();
    // The first attribute is NFTA_GEN_ID.
    assert_eq!(answer[22..24], [1, 0]);
    u32::from_be_bytes(*answer[24..].first_chunk().unwrap())
}

/// Hears of the elements of nf_tables' sets that transactions add or remove; not of those that packets do.
pub(crate) struct Elements(netlink_sys::Socket);

impl Elements {
    pub(crate) fn new() -> Self {
        const GROUP_NFTABLES: u32 = 7;
        let mut socket =
            netlink_sys::Socket::new(netlink_sys::protocols::NETLINK_NETFILTER).unwrap();
        socket.bind_auto().unwrap();
        socket.add_membership(GROUP_NFTABLES).unwrap();
        socket.set_non_blocking(true).unwrap();
        Self(socket)
    }

    /// How many there have been since it was asked last: the kernel tells of them before a transaction returns.
    pub(crate) fn count(&self) -> usize {
        // NFT_MSG_NEWSETELEM and NFT_MSG_DELSETELEM of NFNL_SUBSYS_NFTABLES.
        const OF_ELEMENTS: [[u8; 2]; 2] = [[12, 10], [14, 10]];
        let mut count = 0;
        loop {
            let many = match self.0.recv_from_full() {
                Ok((many, _)) => many,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return count,
                Err(error) => panic!("elements: {error}"),
            };
            let mut rest = &many[..];
            while let Some(head) = rest.first_chunk::<6>() {
                let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]);
                count += usize::from(OF_ELEMENTS.contains(&[head[4], head[5]]));
                rest = rest
                    .get(length.next_multiple_of(4) as usize..)
                    .unwrap_or_default();
            }
        }
    }
}
