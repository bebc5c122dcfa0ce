//! Variables of the whole process (`proc.`): one value for every connection and worker.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
    time::{Instant, SystemTime},
};

use super::{ConnectionInfo, EnvironmentChanges, RequestView, RuleState, Scope, Side, World};
use crate::{
    backend::Backend,
    config::{ProxyConfig, Timeouts},
    expr::{Definitions, Expr, OwnedValue, Value},
    log::LogFormat,
    rules::RuleError,
    stats::FrontendCounters,
    stick_table::StickTable,
};

/// What `set-var` in `global`, rules and commands have set.
#[derive(Debug, Default)]
pub struct ProcessVariables {
    values: RwLock<BTreeMap<Arc<str>, OwnedValue>>,
    environment: RwLock<EnvironmentChanges>,
}

impl ProcessVariables {
    /// The value of `name`, its scope included.
    pub fn value(&self, name: &str) -> Option<OwnedValue> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        values.get(name).cloned()
    }

    /// Sets `name`.
    pub fn set(&self, name: &Arc<str>, value: OwnedValue) {
        self.changing().insert(Arc::clone(name), value);
    }

    /// Removes `name`.
    pub fn unset(&self, name: &str) {
        self.changing().remove(name);
    }

    /// From now on the environment has these changes.
    pub fn change_environment(&self, changes: EnvironmentChanges) {
        let environment = self.environment.write();
        *environment.unwrap_or_else(PoisonError::into_inner) = changes;
    }

    /// The value of an environment variable of the process, if it is set and is text.
    pub fn environment(&self, name: &str) -> Option<String> {
        let environment = self.environment.read();
        let environment = environment.unwrap_or_else(PoisonError::into_inner);
        environment.value(name, |name| std::env::var(name).ok())
    }

    fn changing(&self) -> RwLockWriteGuard<'_, BTreeMap<Arc<str>, OwnedValue>> {
        self.values.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets `name` from an expression that needs no connection; one without a value sets nothing.
    pub fn set_expression(
        self: &Arc<Self>,
        now: (Instant, SystemTime),
        name: &str,
        text: &str,
    ) -> Result<(), RuleError> {
        let name = process_name(name)?;
        let expr = Expr::parse(text, &Definitions::default()).map_err(|e| e.shifted(1))?;
        let value = self.look(now, |view| expr.value(view).map(Value::into_owned));
        if let Some(value) = value {
            self.set(&name, value);
        }
        Ok(())
    }

    /// Sets `name` from a log format that needs no connection.
    pub fn set_format(
        self: &Arc<Self>,
        now: (Instant, SystemTime),
        name: &str,
        text: &str,
    ) -> Result<(), RuleError> {
        let name = process_name(name)?;
        let format = LogFormat::value(text, &Definitions::default()).map_err(|e| e.shifted(1))?;
        let text = self.look(now, |view| {
            let mut out = Vec::new();
            format.write_value(view, &mut out);
            out
        });
        self.set(&name, Value::String(text.into()));
        Ok(())
    }

    /// What `ask` finds without a connection.
    fn look<T>(
        self: &Arc<Self>,
        now: (Instant, SystemTime),
        ask: impl FnOnce(&RequestView<'_>) -> T,
    ) -> T {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let connection = ConnectionInfo {
            source: nowhere,
            destination: nowhere,
            fronted: None,
            tls: None,
            frontend: Arc::from(""),
            bind: None,
            accepted_at: now.0,
            accepted_date: now.1,
        };
        let state = RuleState {
            world: Some(Arc::new(Alone(Arc::clone(self)))),
            ..RuleState::default()
        };
        ask(&RequestView::new(now.0, &connection, &state))
    }
}

fn process_name(name: &str) -> Result<Arc<str>, RuleError> {
    match Scope::split(name) {
        Some((Scope::Process, _)) => Ok(Arc::from(name)),
        _ => Err(
            RuleError::new(0, format!("'{name}' is no process-wide variable"))
                .expecting("proc. and letters, digits, '_', '.', '-'"),
        ),
    }
}

/// A world without anything but the variables.
#[derive(Debug)]
struct Alone(Arc<ProcessVariables>);

impl World for Alone {
    fn table(&self, _: &str) -> Option<&Arc<StickTable>> {
        None
    }

    fn backend(&self, _: &str) -> Option<&Arc<Backend>> {
        None
    }

    fn frontend(&self, _: &str) -> Option<&FrontendCounters> {
        None
    }

    fn section(&self, _: &str) -> Option<&ProxyConfig> {
        None
    }

    fn host_name(&self) -> Option<String> {
        None
    }

    fn timeouts(&self, _: &str) -> Option<&Timeouts> {
        None
    }

    fn number(&self, _: &str) -> Option<u32> {
        None
    }

    fn capture_length(&self, _: &str, _: Side, _: usize) -> Option<usize> {
        None
    }

    fn variables(&self) -> &ProcessVariables {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::expr::testing::start;

    #[test]
    fn variables_of_the_file_build_on_each_other() {
        let variables = Arc::new(ProcessVariables::default());
        let now = (start(), UNIX_EPOCH);
        let set = |name, text| variables.set_expression(now, name, text);
        set("proc.a", "int(12)").unwrap();
        set("proc.b", "var(proc.none,60),div(proc.a)").unwrap();
        set("proc.d", "var(proc.none)").unwrap();
        variables
            .set_format(now, "proc.c", "b is %[var(proc.b)]")
            .unwrap();
        assert_eq!(variables.value("proc.b"), Some(Value::Int(5)));
        assert_eq!(
            variables.value("proc.c"),
            Some(Value::String(b"b is 5".into()))
        );
        assert_eq!(variables.value("proc.d"), None);
        variables.unset("proc.a");
        assert_eq!(variables.value("proc.a"), None);
        assert!(set("txn.a", "int(1)").is_err());
        assert!(variables.set_format(now, "proc.", "x").is_err());
    }

    #[test]
    fn expressions_see_the_environment_as_the_file_has_changed_it() {
        let variables = Arc::new(ProcessVariables::default());
        let text = |expression| {
            let now = (start(), UNIX_EPOCH);
            variables.unset("proc.a");
            variables.set_expression(now, "proc.a", expression).unwrap();
            let value = variables.value("proc.a").map(Value::into_text);
            value.map(|text| String::from_utf8_lossy(&text).into_owned())
        };
        let path = std::env::var("PATH").ok();
        assert_eq!(text("env(PATH)"), path);
        assert_eq!(text("env(PATH_THAT_IS_NOT_SET)"), None);
        let mut changes = EnvironmentChanges::default();
        changes.changed.insert("POST".into(), Some("1".into()));
        changes.changed.insert("EMPTY".into(), Some(String::new()));
        changes.changed.insert("GONE".into(), None);
        variables.change_environment(changes.clone());
        assert_eq!(text("env(POST)").as_deref(), Some("1"));
        assert_eq!(text("env(EMPTY)").as_deref(), Some(""));
        assert_eq!((text("env(GONE)"), text("env(PATH)")), (None, path));
        changes.hides_process = true;
        variables.change_environment(changes);
        assert_eq!(text("env(POST),length").as_deref(), Some("1"));
        assert_eq!(text("env(PATH)"), None);
    }
}
