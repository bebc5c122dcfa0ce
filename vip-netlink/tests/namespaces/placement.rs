//! What `LinuxHost` puts up, and what it leaves alone: owners, addresses that cannot go up, renamed interfaces.

use std::net::IpAddr;
use std::time::Duration;

use crate::host::{ADVERT, PATIENCE, ROUTER, VIP_32, advert, event, install, router, with_host};
use crate::support::{HOST, HOST_ADDRESS, VIP, configured, in_namespaces, output, sh};
use vip_netlink::plan::Vip;
use vrrp_fsm::driver::{Command, Host, HostEvent};

#[test]
fn what_the_owner_found_is_the_host_s_own() {
    in_namespaces(
        "placement::what_the_owner_found_is_the_host_s_own",
        |peer| {
            let mut owner = router(Some(Duration::from_secs(2)));
            owner.owner = true;
            owner.addresses = vec![Vip::host(HOST_ADDRESS.into()), Vip::host(VIP.into())];
            let own = format!("{HOST_ADDRESS}/24");
            with_host(owner, async |host| {
                event(host, "primary", |event| {
                matches!(event, HostEvent::PrimaryAddress { address: Some(address), .. } if *address == IpAddr::from(HOST_ADDRESS))
            })
            .await;
                install(host).await;
                assert!(configured(HOST, VIP_32));
                assert!(!configured(HOST, &format!("{HOST_ADDRESS}/32")));
                advert(host, &ADVERT).unwrap();
                let fenced = output("nft list set inet vip_fence fenced4");
                assert!(fenced.contains("10.99.0.100"), "{fenced}");
                assert!(!fenced.contains("10.99.0.1 "), "{fenced}");
                let sniffer = peer.sniffer();
                host.enqueue(ROUTER, Command::Announce { repeat: 1 });
                for address in [HOST_ADDRESS, VIP] {
                    let announced =
                        |frame: &[u8]| frame[12..14] == [8, 6] && frame[28..32] == address.octets();
                    assert!(sniffer.next(PATIENCE, announced).is_some(), "{address}");
                }
                host.enqueue(ROUTER, Command::Remove);
                event(host, "Removed", |event| {
                    matches!(event, HostEvent::Removed { .. })
                })
                .await;
                assert!(!configured(HOST, VIP_32));
                assert!(
                    output(&format!("ip addr show dev {HOST} to {own}"))
                        .contains("valid_lft forever")
                );
            });
            assert!(configured(HOST, &own));
        },
    );
}

#[test]
fn an_address_that_cannot_go_up_does_not_hold_the_others_back() {
    in_namespaces(
        "placement::an_address_that_cannot_go_up_does_not_hold_the_others_back",
        |peer| {
            let mut partial = router(Some(Duration::from_secs(2)));
            let elsewhere = Vip::host("10.99.0.101".parse().unwrap()).on("later0");
            partial.addresses.push(elsewhere);
            with_host(partial, async |host| {
                let sniffer = peer.sniffer();
                host.enqueue(ROUTER, Command::Install);
                host.enqueue(ROUTER, Command::Announce { repeat: 1 });
                event(host, "Failed", |event| {
                    matches!(event, HostEvent::Failed { .. })
                })
                .await;
                assert!(configured(HOST, VIP_32));
                let garp = |frame: &[u8]| frame[12..14] == [8, 6] && frame[28..32] == VIP.octets();
                assert!(sniffer.next(PATIENCE, garp).is_some());
                sh("ip link add later0 type veth peer name later1");
                event(host, "Installed", |event| {
                    matches!(event, HostEvent::Installed { .. })
                })
                .await;
                assert!(configured("later0", "10.99.0.101/32"));
                // No advert: the lease began with the first of them, and its retries are no refresh.
                event(host, "LeaseExpired", |event| {
                    matches!(event, HostEvent::LeaseExpired { .. })
                })
                .await;
                assert!(!configured(HOST, VIP_32));
            });
        },
    );
}

#[test]
fn a_renamed_interface_does_not_keep_the_address() {
    in_namespaces(
        "placement::a_renamed_interface_does_not_keep_the_address",
        |_| {
            with_host(router(None), async |host| {
                install(host).await;
                sh(&format!("ip link set {HOST} down"));
                sh(&format!("ip link set {HOST} name other0"));
                event(host, "LinkDown", |event| {
                    matches!(event, HostEvent::LinkDown { .. })
                })
                .await;
                host.enqueue(ROUTER, Command::Remove);
                event(host, "Removed", |event| {
                    matches!(event, HostEvent::Removed { .. })
                })
                .await;
                assert!(!configured("other0", VIP_32));
                assert!(configured("other0", &format!("{HOST_ADDRESS}/24")));
            });
        },
    );
}
