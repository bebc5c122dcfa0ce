//! What could not be removed is tried again until it is gone.

use std::os::fd::BorrowedFd;

use socket2::{SockFilter, SockRef};
use vip_netlink::plan::Vip;
use vip_netlink::{Fixtures, HostOptions};
use vrrp_fsm::driver::{Command, Host, HostEvent};

use crate::host::{PATIENCE, ROUTER, VIP_32, event, install, router, with_options};
use crate::support::{HOST, configured, in_namespaces, sh, until};

/// The buffer that the socket for changes of addresses asks for, doubled by the kernel.
const BUFFER: usize = 2 << 20;
const FIXED: &str = "10.96.0.1/32";

/// The socket over which addresses are changed hears no answers any more, or hears them again.
fn deafen(deaf: bool) {
    let mut found = 0;
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let number: i32 = entry
            .unwrap()
            .file_name()
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        let link = std::fs::read_link(format!("/proc/self/fd/{number}"));
        if !link.is_ok_and(|link| link.to_string_lossy().starts_with("socket:")) {
            continue;
        }
        #[expect(unsafe_code, reason = "descriptors of this process, found by number")]
        // SAFETY: nobody closes it meanwhile: the host is alive, and its sockets with it.
        let socket = unsafe { BorrowedFd::borrow_raw(number) };
        let socket = SockRef::from(&socket);
        if socket.recv_buffer_size().unwrap() != BUFFER {
            continue;
        }
        found += 1;
        match deaf {
            // RET 0: nothing comes through.
            true => socket
                .attach_filter(&[SockFilter::new(6, 0, 0, 0)])
                .unwrap(),
            false => socket.detach_filter().unwrap(),
        }
    }
    assert_eq!(
        found, 2,
        "the sockets of that buffer: for changes and for refreshes"
    );
}

#[test]
fn what_could_not_be_removed_is_tried_again_until_it_is_gone() {
    in_namespaces(
        "leftovers::what_could_not_be_removed_is_tried_again_until_it_is_gone",
        |_| {
            let fixtures = Fixtures {
                addresses: vec![Vip::host([10, 96, 0, 1].into()).on(HOST)],
                ..Fixtures::default()
            };
            let options = HostOptions {
                fixtures,
                ..HostOptions::default()
            };
            with_options(router(None), options, async |host| {
                install(host).await;
                until(PATIENCE, "what is static", || configured(HOST, FIXED));
                deafen(true);
                host.enqueue(ROUTER, Command::Remove);
                event(host, "a removal without an answer", |event| {
                    matches!(
                        event,
                        HostEvent::Failed {
                            command: Command::Remove,
                            ..
                        }
                    )
                })
                .await;
                host.refit(Fixtures::default());
                event(host, "the same of what is static", |event| {
                    matches!(event, HostEvent::Fixtures { outcome: Err(_) })
                })
                .await;
                // As if the kernel had refused.
                for address in [VIP_32, FIXED] {
                    sh(&format!("ip addr replace {address} dev {HOST}"));
                }
                event(host, "a second one", |event| {
                    matches!(
                        event,
                        HostEvent::Leftovers {
                            outcome: Err(_),
                            ..
                        }
                    )
                })
                .await;
                for address in [VIP_32, FIXED] {
                    sh(&format!("ip addr replace {address} dev {HOST}"));
                }
                deafen(false);
                let mut gone = [false; 2];
                while gone != [true; 2] {
                    event(host, "both gone", |event| match event {
                        HostEvent::Leftovers { outcome, .. } => {
                            gone[0] |= outcome.is_ok();
                            true
                        }
                        HostEvent::Fixtures { outcome } => {
                            gone[1] |= outcome.is_ok();
                            true
                        }
                        _ => false,
                    })
                    .await;
                }
                assert!(!configured(HOST, VIP_32));
                assert!(!configured(HOST, FIXED));
            });
        },
    );
}

#[test]
fn what_is_left_and_wanted_again_stays() {
    in_namespaces("leftovers::what_is_left_and_wanted_again_stays", |_| {
        with_options(router(None), HostOptions::default(), async |host| {
            install(host).await;
            deafen(true);
            host.enqueue(ROUTER, Command::Remove);
            event(host, "a removal without an answer", |event| {
                matches!(
                    event,
                    HostEvent::Failed {
                        command: Command::Remove,
                        ..
                    }
                )
            })
            .await;
            deafen(false);
            install(host).await;
            event(host, "nothing left", |event| {
                assert!(!matches!(event, HostEvent::AddressGone { .. }));
                matches!(
                    event,
                    HostEvent::Leftovers {
                        outcome: Ok(()),
                        ..
                    }
                )
            })
            .await;
            assert!(configured(HOST, VIP_32));
        });
    });
}

#[test]
fn the_number_of_a_router_that_left_something_is_free_once_that_is_gone() {
    in_namespaces(
        "leftovers::the_number_of_a_router_that_left_something_is_free_once_that_is_gone",
        |_| {
            with_options(router(None), HostOptions::default(), async |host| {
                install(host).await;
                deafen(true);
                host.enqueue(ROUTER, Command::Remove);
                host.dismiss(ROUTER);
                let mut tried = 0;
                event(host, "what is left tried in vain", |event| {
                    assert!(!matches!(event, HostEvent::Dismissed { .. }));
                    tried += u32::from(matches!(event, HostEvent::Leftovers { .. }));
                    tried == 2
                })
                .await;
                deafen(false);
                let mut gone = false;
                event(host, "Dismissed", |event| {
                    if let HostEvent::Leftovers { outcome, .. } = event {
                        gone = outcome.is_ok();
                    }
                    matches!(event, HostEvent::Dismissed { router: ROUTER })
                })
                .await;
                assert!(gone, "told of it after its number was free");
                assert!(!configured(HOST, VIP_32));
            });
        },
    );
}
