//! How the three processes talk: a SEQPACKET socket pair per child, one postcard value a packet, descriptors
//! beside it ([`channel`]), the values themselves ([`message`]), and signs of life ([`beats`], [`silence`]).
//!
//! The supervisor's end of a pair is the child's life line: when it closes, the child stops by itself.

pub(crate) mod alarm;
pub mod beats;
pub mod channel;
pub mod message;
pub mod silence;
pub mod watched;
