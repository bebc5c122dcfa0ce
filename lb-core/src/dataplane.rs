//! The data plane: sockets, threads and clocks around the pure parts of this crate.
//!
//! One thread per worker, each with its own event loop, its own listeners, buffers and idle server
//! connections; one task per client connection. Workers share only [`Balancer`] (counters, server states and
//! queues), and take idle connections of each other when they have none. Every system call, spawn and clock read of the crate is below this module; it decides nothing that a
//! pure module can decide.
//!
//! # Memory
//!
//! What clients and servers can make it hold is bounded by the configuration. Beside the configuration itself and the
//! stick tables (entries times some 200 bytes), at most
//!
//! ```text
//! maxconn × (1.1 kB + what a request in progress holds) + workers × 12 MB of kept buffers
//! ```
//!
//! A request in progress holds 3 kB, its two heads (16 kB each at most) and a buffer for each side: 16 or 32 kB, or up to
//! 128 kB while more than fits is under way, cannot go through a pipe, and is taken by the other end at once: no more of it is
//! received than that has room for, and who reads slowly or not at all costs 16 or 32 kB (of the 16 kB of a
//! stream of HTTP/2 without a window no more than 4 kB are written to); content that is taken out of
//! its chunks or compressed has its result of the same size beside it. So 90 kB as a rule and 420 kB at worst. TLS adds
//! some 40 kB for each side that speaks it (what is sealed waits in it, and nothing is added to that), a compressor 300 kB
//! (64 of them for each worker, then content goes as it is). A client of HTTP/2 counts as one connection with
//! `tune.h2.max-concurrent-streams` requests. The kernel's own buffers are limited by `tune.sndbuf.client` and its kin. What is spliced waits in pipes of the kernel, of which
//! there are at most `maxpipes`. Idle connections to a server are no more, of all workers together, than requests used at
//! once, and one for each worker and `pool-low-conn` (at most `pool-max-conn`): 200 bytes each beside what TLS holds. Where a
//! connection serves one client only (PROXY headers), a worker keeps 256 to a server.
//!
//! Each `cache` section adds its `total-max-size` and no more: what it keeps, what is on its way there and what is being
//! sent from it are all charged to it (key, head, content and 768 bytes for each, in blocks of 1 kB). What does not fit
//! beside the content that is being sent is not kept.
//!
//! ```no_run
//! use std::{sync::Arc, time::Duration};
//! use lb_core::{config::Config, dataplane};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Arc::new(Config::default());           // filled in by whoever reads the files
//! let options = dataplane::Options::new(Arc::new(dataplane::Silent));
//! let plane = dataplane::start(config, options)?;
//! // ... until it is time to go:
//! plane.join(Duration::from_secs(30));
//! # Ok(())
//! # }
//! ```

mod api;
mod balancer;
mod buffer;
mod clock;
mod connect;
mod count;
mod destination;
mod farewell;
mod flow;
mod gate;
mod gates;
mod handshake;
mod http1;
mod http2;
mod idle;
mod inspection;
mod listener;
mod lookup;
mod pace;
mod peers;
mod pipe;
mod plane;
mod probe;
mod registry;
mod rt;
mod secure;
mod session;
mod sink;
mod squeeze;
mod stray;
mod stream;
mod tcp;
mod tee;
mod tls;
mod trace;
mod websocket;
mod worker;

pub use api::{
    Event, Events, ListenerFd, Options, ProgramEnd, ProgramRun, Programs, Session, SessionsAt,
    Silent, StartError, StatsBody, StatsOutcome, StatsService,
};
pub use balancer::{Balancer, Exchanged};
pub use pipe::Pipes;
pub use plane::{DataPlane, Prepared, check, start};
pub(crate) use probe::fuzz_dns;
pub use tls::{
    CertificateEdit, CertificateFacts, CertificateFile, OcspFacts, RevocationFacts, TlsChange,
    TlsContent, TlsFiles, certificate_facts, ocsp_facts, revocation_facts, unusable_certificate,
};
