//! Names that rules ask for while a client waits (`do-resolve`).

use std::{net::IpAddr, sync::Arc};

use crate::{
    expr::Value,
    request::{RuleState, Scope},
};

/// A name whose address a rule wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The `resolvers` section that is asked.
    pub resolvers: Arc<str>,
    /// The name, in lower case. A client may have written it: nothing is known of its form.
    pub host: String,
    /// Ask for an IPv4 address first, and for an IPv6 address if there is none; the other way round otherwise.
    pub prefers_v4: bool,
    pub(super) scope: Scope,
    pub(super) variable: Arc<str>,
}

impl Lookup {
    /// Puts the address where the rules find it. Without one the variable stays as it is.
    pub fn answered(&self, address: Option<IpAddr>, state: &mut RuleState) {
        if let Some(address) = address {
            state.set_variable(self.scope, &self.variable, Value::Address(address));
        }
    }
}
