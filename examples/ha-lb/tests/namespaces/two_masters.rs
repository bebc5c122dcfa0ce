//! Two masters at once: what the preferred one does when it hears the other (`garp_lower_prio_*`,
//! `notify_master_rx_lower_pri`).

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use ha_lb::lab::{
    Host, Lab,
    probe::{FrameSocket, Mac},
};
use socket2::{Domain, Protocol, Socket, Type};
use vip_netlink::announce::gratuitous_arp;

use crate::{
    node::Node,
    support::{Needs, enclosed, wait_for},
};

const VIP: &str = "10.77.0.10";
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn the_preferred_one_runs_its_script_once() {
    enclosed(
        "two_masters::the_preferred_one_runs_its_script_once",
        Needs::Namespaces,
        &["unshare", "ip", "nft"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut nodes = [(1, 150), (2, 100)].map(|(number, priority)| {
                let address = format!("10.77.0.1{number}/24");
                let name = format!("h{number}");
                let node = Node::new(&lab, scratch.path(), &name, "eth0", &[&address]);
                node.script("etc/keepalived/notify.sh", "echo \"$@\" >>/run/notified");
                let text = format!(
                    "global_defs {{\n vrrp_notify_fifo /run/fifo\n}}\nvrrp_instance V {{\n interface eth0\n virtual_router_id 51\n version 3\n advert_int 1\n \
                     priority {priority}\n garp_lower_prio_repeat 2\n garp_lower_prio_delay 1\n \
                     notify_master \"/etc/keepalived/notify.sh master\"\n \
                     notify_master_rx_lower_pri \"/etc/keepalived/notify.sh heard lower\"\n \
                     virtual_ipaddress {{\n {VIP}\n }}\n}}\n"
                );
                fs::write(node.path("keepalived.conf"), text).unwrap();
                node
            });
            let [preferred, other] = &mut nodes;
            preferred.start(Some(&preferred.path("keepalived.conf")), &[]);
            wait_for("h1 holds it", PATIENCE, || {
                preferred.holds(VIP).then_some(())
            });
            other.start(Some(&other.path("keepalived.conf")), &[]);
            wait_for("h2 follows", PATIENCE, || {
                other.ask("/instances/0/peers/0/address")
            });
            let [preferred, other] = &nodes;
            assert!(!other.holds(VIP));

            // From now on the other one is deaf, but speaks.
            let deaf = "table inet deaf { chain in { type filter hook input priority 0; ip protocol 112 drop; }; }";
            let output = other.host.command("nft").arg(deaf).capture().unwrap();
            assert!(output.status.success(), "{output:?}");
            wait_for("two masters", PATIENCE, || other.holds(VIP).then_some(()));
            let notified =
                || fs::read_to_string(preferred.path("run/notified")).unwrap_or_default();
            wait_for("the script", PATIENCE, || {
                notified().contains("heard lower").then_some(())
            });
            // It is told of once, however often the other one speaks.
            let adverts = |node: &Node| {
                node.log()
                    .lines()
                    .filter(|l| l.contains("is Active too"))
                    .count()
            };
            assert_eq!(adverts(preferred), 1, "{}", preferred.log());
            assert_eq!(notified(), "master\nheard lower\n");
            assert!(preferred.holds(VIP));
            let mut fifo = fs::OpenOptions::new();
            let fifo = fifo.read(true).open(preferred.path("run/fifo")).unwrap();
            let lines = BufReader::new(fifo).lines().take(3);
            let lines: Vec<_> = lines.map(Result::unwrap).collect();
            let expected = ["BACKUP", "MASTER", "MASTER_RX_LOWER_PRI"];
            assert_eq!(
                lines,
                expected.map(|state| format!("INSTANCE \"V\" {state} 150"))
            );
        },
    );
}

/// Two hosts that take over in the same moment both announce, and the one that gives way may be the later one. Without
/// a word more neighbours would send to it until the next set of announcements.
#[test]
fn neighbours_come_back_from_a_rival_that_was_the_last_to_announce() {
    enclosed(
        "two_masters::neighbours_come_back_from_a_rival_that_was_the_last_to_announce",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let [rival, client] = [("rival", "10.77.0.12/24"), ("client", "10.77.0.13/24")]
                .map(|(name, own)| lab.host(name, "eth0", &[own.parse().unwrap()]).unwrap());
            let text = format!(
                "vrrp_instance V {{\n interface eth0\n virtual_router_id 51\n version 3\n advert_int 0.1\n \
                 priority 150\n garp_master_delay 600\n garp_lower_prio_delay 600\n virtual_ipaddress {{\n {VIP}\n }}\n}}\n"
            );
            fs::write(node.path("keepalived.conf"), text).unwrap();
            node.start(Some(&node.path("keepalived.conf")), &[]);
            let sent = || node.ask("/instances/0/counters/sent")?.as_u64();
            wait_for("h1 is Active, and announced long ago", PATIENCE, || {
                (sent()? > 3).then_some(())
            });

            let mut wire = client.run(|| FrameSocket::open(client.index())).unwrap();
            let mut announced_by = |who: Mac, what: &str| {
                wait_for(what, PATIENCE, || {
                    std::iter::from_fn(|| wire.receive())
                        .any(|(frame, _)| announces(&frame, who))
                        .then_some(())
                });
            };
            advertise(&rival, 100);
            announced_by(node.host.mac(), "h1 asserts itself");
            let frames = rival.run(|| FrameSocket::open(rival.index())).unwrap();
            let claim = gratuitous_arp(rival.mac(), VIP.parse().unwrap());
            frames.send(&claim).unwrap();
            announced_by(rival.mac(), "the rival's announcement, a little late");
            announced_by(node.host.mac(), "h1 has the last word");
            assert_eq!(node.terminate(), Some(0), "{}", node.log());
        },
    );
}

/// A gratuitous ARP for the address from that host.
fn announces(frame: &[u8], who: Mac) -> bool {
    let address = VIP.parse::<Ipv4Addr>().unwrap().octets();
    let at = |from: usize, length: usize| frame.get(from..from + length);
    at(6, 6) == Some(&who)
        && at(12, 2) == Some(&[8, 6])
        && at(28, 4) == Some(&address)
        && at(38, 4) == Some(&address)
}

/// One advert of version 3 for VRID 51 (RFC 9568 §5.1) for adverts every 100 ms, with the sum that leaves out the pseudo-header.
fn advertise(host: &Host, priority: u8) {
    let address = VIP.parse::<Ipv4Addr>().unwrap().octets();
    let mut advert = vec![0x31, 51, priority, 1, 0, 10, 0, 0];
    advert.extend_from_slice(&address);
    let words = advert.chunks_exact(2);
    let sum: u32 = words
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let sum = !u16::try_from(folded).unwrap();
    advert[6..8].copy_from_slice(&sum.to_be_bytes());
    let send = || {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112))).unwrap();
        socket.set_multicast_ttl_v4(255).unwrap();
        let group = Ipv4Addr::new(224, 0, 0, 18);
        let own = "10.77.0.12".parse().unwrap();
        socket.set_multicast_if_v4(&own).unwrap();
        let to = SocketAddrV4::new(group, 0).into();
        assert_eq!(socket.send_to(&advert, &to).unwrap(), advert.len());
        Ok(())
    };
    host.run(send).unwrap();
}
