//! What `segment-sim soak` does, for other programs too.

pub mod soak;
