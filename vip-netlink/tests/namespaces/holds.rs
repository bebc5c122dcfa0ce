//! Beats against a real kernel: how long an address answers after the last one, and what is opened where they do not
//! arrive.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::fence::{PATIENCE, SOON, VIP6, configure, configure_peer};
use crate::support::{Elements, VIP, in_namespaces, output, sh, until};
use vip_netlink::fence::{Access, Fence, Options};

#[test]
fn an_address_answers_while_its_holder_beats_and_no_packet_is_lost_in_between() {
    in_namespaces(
        "holds::an_address_answers_while_its_holder_beats_and_no_packet_is_lost_in_between",
        |peer| {
            configure();
            configure_peer(peer);
            let mut fence = Fence::new(Options::default()).unwrap();
            let pulse = fence.pulse().unwrap();
            let (vips, hold) = ([VIP.into(), VIP6.into()], Duration::from_millis(200));
            let beat = || pulse.beat(&vips, hold).unwrap();
            // What is looked at at leisure is held open for longer.
            let other = IpAddr::from([10, 99, 3, 1]);
            let minute = Some(Duration::from_secs(60));
            fence.open(&[other], minute, Access::Full).unwrap();
            assert!(fence.is_alive(other).unwrap());
            assert!(!fence.is_alive(crate::support::HOST_ADDRESS.into()).unwrap());
            // What an operator looks at.
            let listed = output("nft list ruleset");
            assert!(listed.contains("10.99.3.1 timeout 1m expires"), "{listed}");
            fence.open(&vips, Some(hold), Access::Full).unwrap();

            // Beaten for each probe: about every millisecond.
            let prober = peer.prober(VIP);
            let (asked, answered) = prober.answered(Duration::from_secs(2), hold, beat);
            println!("{asked} probes, {answered} answers, a beat before each");
            assert_eq!(asked, answered);
            until(PATIENCE, "a packet of IPv6", || {
                beat();
                peer.ping(VIP6.into(), SOON)
            });
            beat();
            let last = prober.last_answer(Duration::from_millis(400));
            println!("hold of 200 ms: last ARP answer {last:?} after the last beat");
            assert!(last < Duration::from_millis(250), "{last:?}");
            assert!(!fence.is_alive(VIP.into()).unwrap());
            assert!(!fence.is_alive(VIP6.into()).unwrap());
            assert!(!peer.ping(VIP.into(), SOON));
            assert!(!peer.ping(VIP6.into(), SOON));

            // The next beat opens it again, and so does going without.
            until(PATIENCE, "an answer", || {
                beat();
                prober.answers(SOON)
            });
            fence.open(&vips, None, Access::Full).unwrap();
            assert!(prober.last_answer(Duration::from_millis(300)) > Duration::from_millis(280));
            assert!(peer.arp_answers(VIP, PATIENCE));

            let times = 10_000;
            let begin = Instant::now();
            (0..times).for_each(|_| beat());
            println!("a beat costs {:?}", begin.elapsed() / times);
        },
    );
}

#[test]
fn an_address_is_silenced_by_a_beat_although_it_is_up_and_open() {
    in_namespaces(
        "holds::an_address_is_silenced_by_a_beat_although_it_is_up_and_open",
        |peer| {
            configure();
            configure_peer(peer);
            let mut fence = Fence::new(Options::default()).unwrap();
            let pulse = fence.pulse().unwrap();
            let hold = Duration::from_secs(60);
            let others = (1..=9).map(|last| IpAddr::from([10, 99, 3, last]));
            let many: Vec<IpAddr> = [VIP.into(), VIP6.into()]
                .into_iter()
                .chain(others)
                .collect();
            for hold in [None, Some(hold)] {
                for silent in [&many[..2], &many] {
                    fence.open(&many, hold, Access::Full).unwrap();
                    assert!(peer.ping(VIP.into(), PATIENCE) && peer.ping(VIP6.into(), PATIENCE));
                    let prober = peer.prober(VIP);
                    pulse.silence(silent).unwrap();
                    let last = prober.last_answer(Duration::from_millis(100));
                    println!("a beat that silences: last ARP answer after {last:?}");
                    assert!(last < Duration::from_millis(20), "{last:?}");
                    assert!(!peer.ping(VIP.into(), SOON) && !peer.ping(VIP6.into(), SOON));
                    assert!(silent.iter().all(|vip| !fence.is_alive(*vip).unwrap()));
                    assert_eq!(fence.is_alive(many[5]).unwrap(), silent.len() == 2);
                }
            }
            pulse.silence(&many).unwrap();
            pulse.beat(&many, hold).unwrap();
            assert!(
                peer.ping(VIP.into(), PATIENCE),
                "the next beat opens it again"
            );
        },
    );
}

#[test]
fn where_nothing_can_be_heard_on_lo_alone_beats_are_heard_with_all_other_packets() {
    in_namespaces(
        "holds::where_nothing_can_be_heard_on_lo_alone_beats_are_heard_with_all_other_packets",
        |peer| {
            configure();
            configure_peer(peer);
            sh("ip link set lo down");
            sh("ip link set lo name loop0");
            sh("ip link set loop0 up");
            let mut fence = Fence::new(Options::default()).unwrap();
            let pulse = fence.pulse().unwrap();
            let listed = output("nft list ruleset");
            assert_eq!(listed.matches("hook prerouting").count(), 2, "{listed}");
            assert!(!listed.contains("hook ingress"), "{listed}");
            let vips = [VIP.into(), VIP6.into()];
            fence
                .open(&vips, Some(Duration::from_secs(60)), Access::Full)
                .unwrap();
            assert!(peer.ping(VIP.into(), PATIENCE) && peer.ping(VIP6.into(), PATIENCE));
            pulse.silence(&vips).unwrap();
            assert!(!peer.ping(VIP.into(), SOON) && !peer.ping(VIP6.into(), SOON));
            pulse.beat(&vips, Duration::from_secs(60)).unwrap();
            assert!(peer.ping(VIP.into(), PATIENCE) && peer.ping(VIP6.into(), PATIENCE));
        },
    );
}

/// What takes a third of a takeover of hundreds of addresses otherwise.
#[test]
fn beats_open_what_a_transaction_would_do_for_many_times_as_much() {
    in_namespaces(
        "holds::beats_open_what_a_transaction_would_do_for_many_times_as_much",
        |_| {
            let mut fence = Fence::new(Options::default()).unwrap();
            let _pulse = fence.pulse().unwrap();
            let hold = Some(Duration::from_secs(60));
            let elements = Elements::new();
            let mut opened = |third| {
                let some = [1, 2, 3, 4, 5].map(|last| IpAddr::from([10, 99, third, last]));
                fence.open(&some, hold, Access::Full).unwrap();
                assert!(some.iter().all(|one| fence.is_alive(*one).unwrap()));
                elements.count()
            };
            // The first time a transaction makes the sets of this hold.
            opened(1);
            let by_beats = opened(2);
            sh("ip link set lo down");
            let by_a_transaction = opened(3);
            println!("elements changed: {by_beats} beside beats, {by_a_transaction} without");
            assert!(by_beats > 0 && by_beats * 4 <= by_a_transaction);
        },
    );
}

#[test]
fn beats_that_are_lost_without_a_word_leave_nothing_undone() {
    in_namespaces(
        "holds::beats_that_are_lost_without_a_word_leave_nothing_undone",
        |_| {
            let of = |last| IpAddr::from([10, 99, 4, last]);
            let mut fence = Fence::new(Options::default()).unwrap();
            let _pulse = fence.pulse().unwrap();
            let many: Vec<IpAddr> = (1..=100).map(of).collect();
            let (long, short) = (Duration::from_secs(60), Duration::from_secs(30));
            fence.open(&many, Some(long), Access::Full).unwrap();
            assert!(many.iter().all(|one| fence.is_alive(*one).unwrap()));

            sh("nft add table netdev deaf");
            sh(
                "nft add chain netdev deaf ear { type filter hook ingress device lo priority -500; policy drop; }",
            );
            // Those that come last are there from before, and for longer than they may be.
            let some = [of(101), of(1), of(2)];
            fence.open(&some, Some(long), Access::Full).unwrap();
            assert!(fence.is_alive(of(101)).unwrap());
            let fenced = output("nft list set arp vip_fence fenced4");
            assert!(fenced.contains("10.99.4.101 "), "{fenced}");
            fence.open(&some, Some(short), Access::Full).unwrap();
            let alive = output("nft list ruleset");
            assert!(alive.contains("10.99.4.1 timeout 30s"), "{alive}");
            assert!(!alive.contains("10.99.4.1 timeout 1m"), "{alive}");
        },
    );
}

#[test]
fn an_address_that_was_open_for_ever_ends_with_the_hold_that_it_is_given() {
    in_namespaces(
        "holds::an_address_that_was_open_for_ever_ends_with_the_hold_that_it_is_given",
        |peer| {
            configure();
            configure_peer(peer);
            let mut fence = Fence::new(Options::default()).unwrap();
            let _pulse = fence.pulse().unwrap();
            let hold = Duration::from_millis(200);
            // Those that come last never were.
            let others = [IpAddr::from([10, 99, 3, 1]), [0xfd02; 8].into()];
            let vips = [VIP.into(), VIP6.into(), others[0], others[1]];
            for _ in 0..2 {
                fence.open(&vips[..2], None, Access::Full).unwrap();
                fence.open(&vips, Some(hold), Access::Full).unwrap();
                let last = peer.prober(VIP).last_answer(Duration::from_millis(400));
                println!("hold of 200 ms: last ARP answer {last:?} after it was given");
                assert!(last < Duration::from_millis(350), "{last:?}");
                assert!(!peer.ping(VIP6.into(), SOON));
            }
        },
    );
}

#[test]
fn where_beats_arrive_no_more_or_the_tables_are_gone_addresses_are_opened_all_the_same() {
    in_namespaces(
        "holds::where_beats_arrive_no_more_or_the_tables_are_gone_addresses_are_opened_all_the_same",
        |peer| {
            configure();
            configure_peer(peer);
            let mut fence = Fence::new(Options::default()).unwrap();
            let _pulse = fence.pulse().unwrap();
            let (vips, hold) = ([VIP.into(), VIP6.into()], Some(Duration::from_secs(60)));
            let fenced = || output("nft list table arp vip_fence").contains("10.99.0.100");
            let answers = || peer.arp_answers(VIP, PATIENCE) && peer.ping(VIP6.into(), PATIENCE);
            for breaks in ["ip link set lo down", "nft flush ruleset"] {
                sh("ip link set lo up");
                sh(breaks);
                fence.open(&vips, hold, Access::Full).unwrap();
                assert!(fenced() && answers(), "{breaks}");
                fence.forget(&vips).unwrap();
                assert!(!fenced(), "{breaks}");
            }
            fence.open(&vips, hold, Access::Full).unwrap();
            drop(fence);
            assert!(!peer.arp_answers(VIP, SOON) && !peer.ping(VIP6.into(), SOON));
        },
    );
}

#[test]
fn where_the_loopback_interface_is_down_there_are_no_beats() {
    in_namespaces(
        "holds::where_the_loopback_interface_is_down_there_are_no_beats",
        |_| {
            sh("ip link set lo down");
            let mut fence = Fence::new(Options::default()).unwrap();
            let told = fence.pulse().unwrap_err().to_string();
            assert!(told.contains("down"), "{told}");
        },
    );
}
