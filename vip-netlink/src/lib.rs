//! The Linux side of a virtual address.
pub mod advert_socket;
pub mod announce;
mod error;
pub mod fence;
pub mod lease;
pub mod packet_socket;
pub mod plan;

pub use error::Error;
