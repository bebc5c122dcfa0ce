//! HTTP/2 to clients (RFC 9113), without I/O: a connection seen from the server ([`Server`]), and what it is made of.
//!
//! ```text
//! frame: frames          hpack: fields in blocks      request: fields as a head of HTTP/1.1
//! manners: floods        server: streams, windows, settings, the end of it all
//! ```
//!
//! Nothing that a client sends panics or makes memory grow beyond what is said there. Never here: sockets, clocks.

#![forbid(unsafe_code)]

mod frame;
pub mod hpack;
mod manners;
mod request;
mod server;

pub use frame::{Code, Frame, Kind};
pub use manners::{Flood, Manners};
pub use request::{Form, Malformed, Request, is_of_connection};
pub use server::{Content, Event, Key, Limits, Server};
