//! Many routers that let go of their addresses together.

use std::net::IpAddr;
use std::time::Duration;

use vip_netlink::HostRouter;
use vip_netlink::plan::Vip;
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, Host, HostEvent};

use crate::host::{PATIENCE, event, router, with_host};
use crate::support::{HOST, configured, in_namespaces, output, transactions};

/// More than go together.
const MANY: u32 = 150;
const SHARED: [u8; 4] = [10, 98, 7, 7];
/// Those that give way first.
const FIRST: std::ops::Range<u32> = 2..MANY;

fn own(id: u32) -> [u8; 4] {
    let [_, _, high, low] = id.to_be_bytes();
    [10, 97, high, low]
}

fn of_the_crowd(id: u32) -> HostRouter {
    let mut one = router(Some(Duration::from_secs(30)));
    one.id = RouterId::new(id);
    let addresses = [own(id), SHARED].map(|address| Vip::host(IpAddr::from(address)));
    one.addresses = addresses.to_vec();
    one.hold = Some(Duration::from_secs(20));
    one
}

#[test]
fn routers_that_give_way_together_are_silent_at_once_and_take_away_what_no_other_one_has() {
    in_namespaces(
        "giving_way::routers_that_give_way_together_are_silent_at_once_and_take_away_what_no_other_one_has",
        |peer| {
            with_host(router(None), async |host| {
                for id in 0..MANY {
                    if id > 0 {
                        host.admit(of_the_crowd(id));
                    }
                    host.enqueue(RouterId::new(id), Command::Install);
                }
                for _ in 0..MANY {
                    event(host, "Installed", |event| {
                        matches!(event, HostEvent::Installed { .. })
                    })
                    .await;
                }
                let answers =
                    |address: [u8; 4], patience| peer.arp_answers(IpAddr::from(address), patience);
                assert!(answers(own(1), PATIENCE) && answers(own(MANY - 1), PATIENCE));

                let before = transactions();
                for id in FIRST {
                    host.enqueue(RouterId::new(id), Command::Remove);
                }
                host.flush();
                assert!(!answers(own(MANY - 1), Duration::from_millis(20)));
                let mut told: Vec<RouterId> = Vec::new();
                for _ in FIRST {
                    event(host, "Removed", |event| match event {
                        HostEvent::Removed { router } => {
                            told.push(*router);
                            true
                        }
                        _ => false,
                    })
                    .await;
                }
                let transactions = transactions() - before;
                println!("{transactions} transactions of the fence");
                assert!(transactions < MANY / 4, "{transactions}");
                told.sort();
                assert!(told.into_iter().eq(FIRST.map(RouterId::new)));
                assert!(!output(&format!("ip addr show dev {HOST}")).contains("10.97.0.2/"));
                // The one that stays has its own and what they shared.
                assert!(configured(HOST, "10.97.0.1/32") && configured(HOST, "10.98.7.7/32"));
                assert!(answers(own(1), PATIENCE) && answers(SHARED, PATIENCE));
                let fenced = output("nft list set arp vip_fence fenced4");
                assert!(!fenced.contains("10.97.0.2 "), "{fenced}");

                host.enqueue(RouterId::new(1), Command::Remove);
                event(host, "Removed", |event| {
                    matches!(event, HostEvent::Removed { .. })
                })
                .await;
                assert!(!configured(HOST, "10.98.7.7/32"));
                let fenced = output("nft list set arp vip_fence fenced4");
                assert!(fenced.contains("10.99.0.100"), "{fenced}");
                assert!(
                    !fenced.contains("10.97.") && !fenced.contains("10.98."),
                    "{fenced}"
                );
            });
        },
    );
}
