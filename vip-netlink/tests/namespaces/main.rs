//! Against a real kernel, in network namespaces of the tests' own: what the fence silences, what is
//! on the wire, what becomes of addresses and links.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod adverts;
mod burst;
mod contested;
mod fence;
mod followed;
mod giving_way;
mod holds;
mod host;
mod ipv6;
mod leases;
mod leftovers;
mod macvlan;
mod macvlan_holders;
mod neighbours;
mod paths;
mod placement;
mod poll;
mod reloads;
mod sockets;
mod stopped;
mod storm;
mod support;
