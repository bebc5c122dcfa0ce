//! What is kept in mind of an HTTP/2 connection beside its streams, without I/O: which frames pass, and whether the
//! peer sends more of those that cost it nothing than anybody needs.
//!
//! Frames are understood elsewhere (by a library, in the data plane); here they are only told apart. Never here:
//! sockets, clocks, header fields.

mod manners;
mod walk;

pub use manners::{Flood, Manners};
pub use walk::{Frame, FrameKind, FrameWalk};
