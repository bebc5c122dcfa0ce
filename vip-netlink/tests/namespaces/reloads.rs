//! Routers that come and go: by thousands they leave nothing behind in memory, and who comes takes no part before it hears.

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::IpAddr;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::Duration;

use vip_netlink::plan::Vip;
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, Host, HostEvent};

use crate::host::{event, install, router, with_host};
use crate::support::{configured, in_namespaces, output};

/// The system's allocator, counting what the process holds.
struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);

fn signed(size: usize) -> isize {
    isize::try_from(size).unwrap_or(isize::MAX)
}

#[expect(unsafe_code, reason = "an allocator is unsafe to write")]
// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(signed(layout.size()), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(signed(layout.size()), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_thousand_routers_that_came_and_went_leave_nothing_behind() {
    in_namespaces(
        "reloads::a_thousand_routers_that_came_and_went_leave_nothing_behind",
        |_| {
            with_host(router(None), async |host| {
                install(host).await;
                let mut before = 0;
                for round in 1..=1000_u32 {
                    let mut comer = router(Some(Duration::from_secs(30)));
                    comer.id = RouterId::new(round);
                    let [_, _, high, low] = round.to_be_bytes();
                    comer.addresses = vec![Vip::host(IpAddr::from([10, 98, high, low]))];
                    comer.hold = Some(Duration::from_millis(u64::from(2000 + round)));
                    let id = comer.id;
                    host.admit(comer);
                    host.enqueue(id, Command::Install);
                    let answered = |event: &HostEvent| matches!(event, HostEvent::Installed { router } if *router == id);
                    event(host, "Installed", answered).await;
                    host.enqueue(id, Command::Remove);
                    host.dismiss(id);
                    let answered = |event: &HostEvent| matches!(event, HostEvent::Dismissed { router } if *router == id);
                    event(host, "Dismissed", answered).await;
                    if round == 200 {
                        before = LIVE.load(Ordering::Relaxed);
                    }
                }
                let grown = LIVE.load(Ordering::Relaxed) - before;
                println!("{grown} bytes more after 800 routers");
                assert!(grown < 8 * 1024, "{grown} bytes");
                let rules = output("nft list ruleset");
                let beats = rules.lines().filter(|line| line.contains("update @alive"));
                let beats = beats.count();
                println!("{beats} rules for beats");
                assert!(beats <= 12, "{beats}");
                assert!(configured("vip0", "10.99.0.100/32"));
            });
        },
    );
}

#[test]
fn a_router_that_needs_other_sockets_is_not_heard_before_they_are_open() {
    in_namespaces(
        "reloads::a_router_that_needs_other_sockets_is_not_heard_before_they_are_open",
        |_| {
            with_host(router(None), async |host| {
                let mut alike = router(None);
                alike.id = RouterId::new(1);
                host.admit(alike);
                assert!(
                    host.hears(RouterId::new(1)),
                    "by the sockets that there are"
                );
                // Whatever the worker does meanwhile, what it reports has not been looked at yet.
                let comer = RouterId::new(2);
                let mut other = router(None);
                other.id = comer;
                other.authenticated = true;
                host.admit(other);
                assert!(!host.hears(comer));
                let told = |event: &HostEvent| matches!(event, HostEvent::PrimaryAddress { router, .. } if *router == comer);
                event(host, "PrimaryAddress", told).await;
                assert!(host.hears(comer));
            });
        },
    );
}
