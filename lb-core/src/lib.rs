//! Sans-IO load balancer core: HTTP/1 and HTTP/2, rules, balancing, queues, health checks, stick tables, counters
//! and log lines, without a socket, a clock or a runtime. Feature `tokio` adds the data plane that drives them.
//!
//! The life of a request, one call after the other:
//!
//! ```
//! use std::time::Instant;
//!
//! use lb_core::backend::{AssignKey, Assignment, Backend, Outcome};
//! use lb_core::config::{BackendConfig, HttpMode, Mode, ProxyConfig, ServerConfig};
//! use lb_core::head::{Head, HeadRef};
//! use lb_core::http1::{ConnectionOption, Names, Progress, RequestDecoder, write_request_head};
//!
//! let mut proxy = ProxyConfig::new("web", 2, Mode::Http);
//! let server = ServerConfig::new("s1", 1, Some(([127, 0, 0, 1], 8080).into()));
//! proxy.backend = Some(BackendConfig { servers: vec![server], ..BackendConfig::default() });
//! let now = Instant::now();
//! let backend = Backend::new(&proxy, now);
//!
//! let received = b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n";
//! let (mut decoder, mut head) = (RequestDecoder::default(), Head::default());
//! let Progress::Complete(request) = decoder.decode(received, &mut head)? else {
//!     panic!("read on");
//! };
//! let Assignment::Leased(lease) = backend.assign(now, &AssignKey::new([192, 0, 2, 1].into())) else {
//!     panic!("wait for the ticket, or answer 503");
//! };
//! let mut out = Vec::new();
//! let connection = ConnectionOption::to_server(&request, HttpMode::KeepAlive);
//! let head = HeadRef::new(&head, received);
//! write_request_head(head, request.framing, connection, Names::Lower, &mut out);
//! assert_eq!(out, b"GET / HTTP/1.1\r\nhost: example.org\r\n\r\n");
//! lease.finish(Outcome::Completed);
//! # Ok::<(), lb_core::http1::Error>(())
//! ```
//!
//! # Read the files in this order
//! 1. [`config`]: what there is
//! 2. [`head`], [`http1`], [`http2`], [`cookie`], [`proxy_protocol`]: messages, and what stands before them
//! 3. [`request`], [`expr`], [`acl`], [`rules`], [`frontend`], [`cache`], [`compression`]: what is decided about them
//! 4. [`backend`], [`balance`], [`server`]: who serves them
//! 5. [`health`], [`stick_table`], [`peers`], [`stats`], [`log`], [`process`]: what is known and told of it
//! 6. `dataplane`: all of it over sockets (feature `tokio`)

pub mod acl;
pub mod backend;
pub mod balance;
pub mod cache;
pub mod compression;
pub mod config;
pub mod cookie;
#[cfg(feature = "tokio")]
pub mod dataplane;
pub mod expr;
pub mod frontend;
#[doc(hidden)]
pub mod fuzzing;
mod hash;
pub mod head;
pub mod health;
pub mod http1;
pub mod http2;
pub mod id;
pub mod log;
pub mod peers;
pub mod process;
pub mod proxy_protocol;
mod queue;
pub mod request;
pub mod rules;
pub mod server;
pub mod stats;
pub mod stick_table;

#[cfg(test)]
mod test_clock;
