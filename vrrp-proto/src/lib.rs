//! VRRPv2 and VRRPv3 packet codec.
#![no_std]
#![forbid(unsafe_code)]

mod priority;
mod version;
mod vrid;

pub use priority::Priority;
pub use version::{Family, Version};
pub use vrid::Vrid;
