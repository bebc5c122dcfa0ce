//! Header compression (RFC 7541): blocks to fields, and fields to blocks.
//!
//! Blocks are read in every form. Those that are written remember nothing, as HAProxy's: fields are literals whose
//! name has a number where the fixed table has one, so that writing one needs no state and no memory.

mod decode;
mod encode;
mod fields;
mod huffman;
mod table;

pub use decode::Decoder;
pub use encode::{encode, encode_no_table, encode_status};
pub use fields::Fields;

/// A block that follows no rule: nothing after it can be read either (RFC 7541 §2.2, RFC 9113 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("header block cannot be decoded")]
pub struct Malformed;
