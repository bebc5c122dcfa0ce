//! `use_backend` and `use-server`.

use std::sync::Arc;

use super::ProxyRules;
use crate::{acl::Condition, log::LogFormat, request::RequestView};

/// `use_backend` or `use-server`.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub(super) name: Name,
    pub(super) condition: Condition,
}

#[derive(Debug, Clone)]
pub(super) enum Name {
    Static(Arc<str>),
    Dynamic(LogFormat),
}

impl ProxyRules {
    /// `use_backend`: the name of the first whose condition holds. Dynamic names are written to `buffer`.
    pub fn select_backend<'a>(
        &'a self,
        view: &RequestView<'_>,
        buffer: &'a mut Vec<u8>,
    ) -> Option<&'a str> {
        select(&self.rules.backends, view, buffer).map(|(_, name)| name)
    }

    /// The same with the number of the rule.
    pub(crate) fn select_backend_rule<'a>(
        &'a self,
        view: &RequestView<'_>,
        buffer: &'a mut Vec<u8>,
    ) -> Option<(usize, &'a str)> {
        select(&self.rules.backends, view, buffer)
    }

    /// `use-server`: of the lines whose conditions hold the first whose server is `usable`; one that is not leaves the
    /// choice to the lines behind it, and a name that `find` knows nothing of to nobody, as with HAProxy.
    pub fn select_server<S>(
        &self,
        view: &RequestView<'_>,
        find: impl Fn(&str) -> Option<S>,
        usable: impl Fn(&S) -> bool,
    ) -> Option<S> {
        let mut buffer = Vec::new();
        for choice in &self.rules.servers {
            if !choice.condition.holds(view) {
                continue;
            }
            let server = find(choice.name(view, &mut buffer)?)?;
            if usable(&server) {
                return Some(server);
            }
        }
        None
    }

    /// Whether there is any `use-server` line.
    #[cfg(feature = "tokio")]
    pub(crate) fn choose_servers(&self) -> bool {
        !self.rules.servers.is_empty()
    }

    /// Static names that `use_backend` refers to, for checking that they exist.
    pub fn backend_names(&self) -> Vec<Arc<str>> {
        static_names(&self.rules.backends).flatten().collect()
    }

    /// Static names that `use-server` refers to, for checking that they exist.
    pub fn server_names(&self) -> Vec<Arc<str>> {
        static_names(&self.rules.servers).flatten().collect()
    }

    /// Backends and servers that expressions ask about (`srv_is_up(b/s)`).
    pub fn servers_asked_about(&self) -> impl Iterator<Item = (&str, &str)> {
        let asked = self.rules.asked.iter();
        asked.map(|(backend, server)| (&**backend, &**server))
    }

    /// For each `use_backend` in order its static name, `None` for dynamic ones.
    pub(crate) fn backend_rules(&self) -> impl Iterator<Item = Option<Arc<str>>> {
        static_names(&self.rules.backends)
    }
}

fn static_names(choices: &[Choice]) -> impl Iterator<Item = Option<Arc<str>>> {
    choices.iter().map(|choice| match &choice.name {
        Name::Static(name) => Some(Arc::clone(name)),
        Name::Dynamic(_) => None,
    })
}

fn select<'a>(
    choices: &'a [Choice],
    view: &RequestView<'_>,
    buffer: &'a mut Vec<u8>,
) -> Option<(usize, &'a str)> {
    let (index, choice) = choices
        .iter()
        .enumerate()
        .find(|(_, choice)| choice.condition.holds(view))?;
    Some((index, choice.name(view, buffer)?))
}

impl Choice {
    /// The name; a dynamic one is written to `buffer`.
    fn name<'a>(&'a self, view: &RequestView<'_>, buffer: &'a mut Vec<u8>) -> Option<&'a str> {
        match &self.name {
            Name::Static(name) => Some(name),
            Name::Dynamic(format) => {
                buffer.clear();
                format.write_value(view, buffer);
                std::str::from_utf8(buffer).ok()
            }
        }
    }
}
