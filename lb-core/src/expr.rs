//! The expression engine: sample fetches, converters and matchers, compiled once and evaluated over a
//! [`RequestView`](crate::request::RequestView).

mod value;

pub use value::{OwnedValue, Type, Value};
