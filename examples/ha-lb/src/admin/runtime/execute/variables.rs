//! Variables of the process at run time.

use std::{
    net::IpAddr,
    time::{Instant, SystemTime},
};

use lb_core::expr::Value;

use super::Runtime;
use crate::admin::runtime::command::VariableCommand;

impl Runtime {
    /// Carries out a command on variables.
    pub(super) fn variable(&self, command: &VariableCommand) -> Result<String, String> {
        let variables = &self.balancer().config.variables;
        let now = (Instant::now(), SystemTime::now());
        let (name, done) = match command {
            VariableCommand::Get(name) => {
                let value = variables.value(name);
                return value
                    .map(|value| shown(name, &value))
                    .ok_or_else(|| "Variable not found.\n".to_owned());
            }
            VariableCommand::Expression(name, text) => {
                (name, variables.set_expression(now, name, text))
            }
            VariableCommand::Format(name, text) => (name, variables.set_format(now, name, text)),
        };
        match done {
            Ok(()) => Ok(String::new()),
            Err(_) if !name.starts_with("proc.") => Err(format!(
                "'set var': cannot set variable '{name}', only scope 'proc' is permitted here."
            )),
            Err(error) => Err(error.message),
        }
    }
}

/// The value with its type, in HAProxy's words; bytes in hexadecimal.
fn shown(name: &str, value: &Value<'_>) -> String {
    let kind = match value {
        Value::Bool(_) => "bool",
        Value::Int(_) => "sint",
        Value::Address(IpAddr::V4(_)) => "ipv4",
        Value::Address(IpAddr::V6(_)) => "ipv6",
        Value::String(_) => "str",
        Value::Binary(_) => "bin",
    };
    let text = match value {
        Value::Binary(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        other => String::from_utf8_lossy(&other.clone().into_text()).into_owned(),
    };
    format!("{name}: type={kind} value=<{text}>")
}
