//! The fence against a real kernel: who answers while its holder lives, and after `kill -9`.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv6Addr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{HOST, Peer, VIP, in_namespaces, interface_index, output, sh};
use vip_netlink::fence::{Access, Fence, Options};

const HOLDER: &str = "VIP_NETLINK_TEST_HOLDER";
/// What a holder does that renews all the time.
const RENEWS: &str = "renews";
pub(crate) const VIP6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x100);
pub(crate) const SOON: Duration = Duration::from_millis(50);
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Not a test: the process that holds the fence for the others, and is killed.
#[test]
fn holder() {
    if std::env::var_os(HOLDER).is_none() {
        return;
    }
    let mut fence = Fence::new(Options::default()).unwrap();
    fence
        .open(&[VIP.into(), VIP6.into()], None, Access::Full)
        .unwrap();
    let renews = std::env::var(HOLDER).is_ok_and(|what| what == RENEWS);
    let renew = || {
        fence.renew(&[VIP.into(), VIP6.into()]).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    };
    // What the kernel has to clean up after the transaction above is no concern of this.
    let opened = Instant::now();
    while renews && opened.elapsed() < Duration::from_millis(300) {
        renew();
    }
    println!("\nholding");
    if renews {
        loop {
            renew();
        }
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    drop(fence);
}

fn start_holder() -> Child {
    start_holder_that("holds")
}

fn start_holder_that(does: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "fence::holder", "--nocapture"])
        .env(HOLDER, does)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "holding"));
    child
}

/// What it does to die does not wait for a busy processor. Refused without CAP_SYS_NICE: then that may make it late.
fn ahead_of_others(holder: &Child) {
    let pid = holder.id().to_string();
    let _ = Command::new("chrt")
        .args(["--all-tasks", "--fifo", "--pid", "50", &pid])
        .status();
}

pub(crate) fn configure() {
    sh(&format!("ip addr add {VIP}/32 dev {HOST}"));
    sh(&format!("ip -6 addr add {VIP6}/128 dev {HOST} nodad"));
    sh(&format!("ip -6 addr add fd00::1/64 dev {HOST} nodad"));
}

pub(crate) fn configure_peer(peer: &Peer) {
    peer.run(|| sh("ip -6 addr add fd00::2/64 dev peer0 nodad"));
}

#[test]
fn an_address_is_silent_once_its_holder_was_killed() {
    in_namespaces(
        "fence::an_address_is_silent_once_its_holder_was_killed",
        |peer| {
            configure();
            configure_peer(peer);
            let mut holder = start_holder();
            assert!(peer.arp_answers(VIP, PATIENCE));
            assert!(peer.ping(VIP.into(), PATIENCE));
            assert!(peer.ping(VIP6.into(), PATIENCE));

            let prober = peer.prober(VIP);
            holder.kill().unwrap();
            let last = prober.last_answer(Duration::from_millis(200));
            println!("kill -9 of the holder: last ARP answer after {last:?}");
            // By the fence: the lease takes 2 s. A dying process may wait long for a busy processor.
            assert!(
                last < Duration::from_millis(500),
                "ARP answered {last:?} after kill -9"
            );
            holder.wait().unwrap();
            assert!(
                !peer.ping(VIP.into(), SOON),
                "ping answered from a cached neighbour"
            );
            peer.run(|| sh("ip neigh flush all"));
            assert!(
                !peer.ping(VIP6.into(), SOON),
                "neighbour solicitation answered"
            );
            assert!(!output("ip -6 neigh").contains("REACHABLE"));
            assert!(
                crate::support::configured(HOST, &format!("{VIP}/32")),
                "the address itself is still there"
            );

            // A successor opens it again over what was left behind.
            let mut holder = start_holder();
            assert!(peer.arp_answers(VIP, PATIENCE));
            assert!(peer.ping(VIP6.into(), PATIENCE));
            holder.kill().unwrap();
            holder.wait().unwrap();
        },
    );
}

/// A transaction that deletes leaves the kernel something to clean up, for which the end of the owned tables waits.
#[test]
fn a_holder_is_silent_at_once_however_late_it_was_renewed() {
    in_namespaces(
        "fence::a_holder_is_silent_at_once_however_late_it_was_renewed",
        |peer| {
            configure();
            let rounds: usize = std::env::var("FENCE_KILLS").map_or(12, |n| n.parse().unwrap());
            let mut all = Vec::new();
            for _ in 0..rounds {
                let mut holder = start_holder_that(RENEWS);
                ahead_of_others(&holder);
                assert!(peer.arp_answers(VIP, PATIENCE));
                let prober = peer.prober(VIP);
                holder.kill().unwrap();
                all.push(prober.last_answer(Duration::from_millis(150)));
                holder.wait().unwrap();
            }
            all.sort();
            let late = all.iter().filter(|last| **last > Duration::from_millis(5));
            println!(
                "{rounds} kills: last answer after {:?}, at most {:?}, {} above 5 ms",
                all[rounds / 2],
                all[rounds - 1],
                late.count()
            );
            // With something to clean up a dying process waits 24 ms or more.
            assert!(all[rounds / 2] < Duration::from_millis(12), "{all:?}");
        },
    );
}

#[test]
fn closing_forgetting_and_renewing_do_what_they_say() {
    in_namespaces(
        "fence::closing_forgetting_and_renewing_do_what_they_say",
        |peer| {
            configure();
            let vips = [IpAddr::from(VIP)];
            let mut fence = Fence::new(Options::default()).unwrap();
            fence.open(&vips, None, Access::Full).unwrap();
            assert!(peer.arp_answers(VIP, PATIENCE));
            fence.close(&vips).unwrap();
            fence.close(&vips).unwrap();
            assert!(!peer.arp_answers(VIP, SOON));
            fence.forget(&vips).unwrap();
            fence.forget(&vips).unwrap();
            assert!(peer.arp_answers(VIP, PATIENCE), "not fenced any more");

            // Somebody flushes the ruleset: the next renewal makes the tables anew.
            fence.open(&vips, None, Access::Full).unwrap();
            sh("nft flush ruleset");
            assert!(!output("nft list tables").contains("vip_fence"));
            fence.renew(&vips).unwrap();
            assert!(peer.arp_answers(VIP, PATIENCE));
            assert!(output("nft list set arp vip_fence fenced4").contains("10.99.0.100"));
            drop(fence);
            assert!(!peer.arp_answers(VIP, SOON));
        },
    );
}

#[test]
fn an_address_that_is_named_twice_is_fenced_as_if_it_were_named_once() {
    in_namespaces(
        "fence::an_address_that_is_named_twice_is_fenced_as_if_it_were_named_once",
        |peer| {
            configure();
            configure_peer(peer);
            let device = interface_index(HOST);
            let twice = [IpAddr::from(VIP), VIP6.into(), VIP.into(), VIP6.into()];
            let hold = Some(Duration::from_secs(60));
            let mut fence = Fence::new(Options::default()).unwrap();
            for access in [Access::Full, Access::Neighbours] {
                fence.open(&twice, hold, access).unwrap();
                fence.open_on(device, &twice, hold, access).unwrap();
                assert!(peer.arp_answers(VIP, PATIENCE));
            }
            fence.renew(&twice).unwrap();
            fence.close(&twice).unwrap();
            assert!(!peer.arp_answers(VIP, SOON));
            fence.forget(&twice).unwrap();
            assert!(peer.arp_answers(VIP, PATIENCE) && peer.ping(VIP6.into(), PATIENCE));
        },
    );
}

#[test]
fn thousands_of_addresses_are_fenced_opened_and_renewed() {
    in_namespaces(
        "fence::thousands_of_addresses_are_fenced_opened_and_renewed",
        |peer| {
            const EACH: u16 = 3_000;
            configure();
            configure_peer(peer);
            let more = (1..EACH).flat_map(|number| {
                let [high, low] = number.to_be_bytes();
                let sixth = Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, number);
                [IpAddr::from([10, 98, high, low]), sixth.into()]
            });
            // Those that are asked come last.
            let all: Vec<IpAddr> = more.chain([VIP.into(), VIP6.into()]).collect();
            let count = || {
                ["arp vip_fence fenced4", "inet vip_fence fenced6"].map(|set| {
                    let listed = output(&format!("nft list set {set}"));
                    listed.matches(" expires ").count()
                })
            };
            let hold = Some(Duration::from_secs(60));
            let mut fence = Fence::new(Options::default()).unwrap();
            for by_beats in [false, true] {
                if by_beats {
                    fence.pulse().unwrap();
                }
                fence.open(&all, hold, Access::Full).unwrap();
                assert_eq!(count(), [usize::from(EACH); 2]);
                assert!(all.iter().all(|one| fence.is_alive(*one).unwrap()));
                assert!(peer.arp_answers(VIP, PATIENCE) && peer.ping(VIP6.into(), PATIENCE));
                sh("nft flush ruleset");
                fence.renew(&all).unwrap();
                assert_eq!(count(), [usize::from(EACH); 2]);
                fence.close(&all).unwrap();
                assert!(!peer.arp_answers(VIP, SOON) && !peer.ping(VIP6.into(), SOON));
                fence.forget(&all).unwrap();
                assert_eq!(count(), [0; 2]);
            }
        },
    );
}

#[test]
fn other_addresses_and_users_own_rules_are_untouched() {
    in_namespaces(
        "fence::other_addresses_and_users_own_rules_are_untouched",
        |peer| {
            configure();
            // A user's mark must come through: 0x7 is set before, looked for after the fence.
            sh("nft add table inet user");
            sh("nft add chain inet user early { type filter hook prerouting priority -300 ; }");
            sh("nft add rule inet user early meta mark set 0x7");
            sh("nft add chain inet user late { type filter hook input priority 0 ; }");
            sh("nft add rule inet user late ip daddr 10.99.0.100 meta mark 0x7 counter");
            let mut fence = Fence::new(Options::default()).unwrap();
            fence.open(&[VIP.into()], None, Access::Full).unwrap();
            assert!(peer.ping(VIP.into(), PATIENCE));
            let counted = output("nft list chain inet user late");
            assert!(counted.contains("counter packets 1"), "{counted}");
            // Packets that are not addressed to this host never come by the fence: beats are heard on lo alone.
            let listed = output("nft list ruleset");
            assert_eq!(listed.matches("hook prerouting").count(), 1, "{listed}");
            assert!(listed.contains("ingress device \"lo\""), "{listed}");
            drop(fence);
            assert!(!peer.ping(VIP.into(), SOON));
            assert!(peer.ping(crate::support::HOST_ADDRESS.into(), PATIENCE));
            assert!(output("nft list tables").contains("inet user"));
        },
    );
}

#[test]
fn a_fenced_address_expires_by_itself() {
    in_namespaces("fence::a_fenced_address_expires_by_itself", |peer| {
        configure();
        let timeout = Duration::from_secs(2);
        let mut fence = Fence::new(Options {
            timeout,
            ..Options::default()
        })
        .unwrap();
        fence.open(&[VIP.into()], None, Access::Full).unwrap();
        drop(fence);
        assert!(!peer.arp_answers(VIP, SOON));
        crate::support::until(timeout * 5, "the fence expires", || {
            peer.arp_answers(VIP, SOON)
        });
    });
}

#[test]
fn an_address_that_takes_no_packets_is_found_by_its_neighbours_all_the_same() {
    in_namespaces(
        "fence::an_address_that_takes_no_packets_is_found_by_its_neighbours_all_the_same",
        |peer| {
            configure();
            configure_peer(peer);
            let vips = [IpAddr::from(VIP), IpAddr::from(VIP6)];
            let mut fence = Fence::new(Options::default()).unwrap();
            for (access, takes) in [
                (Access::Full, true),
                (Access::Neighbours, false),
                (Access::Full, true),
            ] {
                fence.open(&vips, None, access).unwrap();
                for vip in vips {
                    assert!(peer.arp_answers(vip, PATIENCE), "{vip} {access:?}");
                    let patience = if takes { PATIENCE } else { SOON };
                    assert_eq!(peer.ping(vip, patience), takes, "{vip} {access:?}");
                }
            }
            fence.close(&vips).unwrap();
            for vip in vips {
                assert!(!peer.arp_answers(vip, SOON), "{vip}");
            }
        },
    );
}
