//! The load at which servers with a `minconn` reach their `maxconn`, where no `fullconn` says it: a tenth of what those
//! frontends may hold that can choose the backend (manual 4.2, `fullconn`).

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::config::{Config, ProxyConfig};

/// For each backend how many connections the frontends that name it may hold together; `None` is no limit.
#[derive(Debug, Default)]
pub(super) struct Reach(BTreeMap<Arc<str>, Option<u32>>);

impl Reach {
    /// Counts each frontend once for each backend that it names. Names made from requests are not counted, nor are
    /// frontends that are disabled.
    pub(super) fn new(config: &Config) -> Self {
        let mut reach: BTreeMap<_, Option<u32>> = BTreeMap::new();
        for proxy in config.proxies.iter().filter(|proxy| !proxy.disabled) {
            let Some(frontend) = &proxy.frontend else {
                continue;
            };
            let own = || proxy.backend.as_ref().map(|_| &proxy.name);
            let default = frontend.default_backend.as_ref().or_else(own).cloned();
            let named = proxy.rules.backend_rules().flatten().chain(default);
            let limit = frontend.maxconn.or(config.global.maxconn);
            for backend in named.collect::<BTreeSet<_>>() {
                let sum = reach.entry(backend).or_insert(Some(0));
                *sum = sum.zip(limit).map(|(sum, limit)| sum.saturating_add(limit));
            }
        }
        Self(reach)
    }

    /// The figure for a backend that has none: 1 where no frontend names it. `None` where a frontend without a limit
    /// does: load never grows to a tenth of that, so its servers have their `maxconn` at once.
    pub(super) fn fullconn(&self, backend: &str) -> Option<u32> {
        let held = self.0.get(backend).copied().unwrap_or(Some(0))?;
        Some(held.div_ceil(10).max(1))
    }

    /// The proxy with its `fullconn`, if it needs that figure and has none.
    pub(super) fn completed<'p>(&self, proxy: &'p ProxyConfig) -> Cow<'p, ProxyConfig> {
        let lacks_it = proxy.backend.as_ref().is_some_and(|backend| {
            backend.fullconn.is_none() && backend.servers.iter().any(|s| s.minconn.is_some())
        });
        let mut proxy = Cow::Borrowed(proxy);
        if lacks_it {
            let fullconn = self.fullconn(&proxy.name);
            if let Some(backend) = &mut proxy.to_mut().backend {
                backend.fullconn = fullconn;
            }
        }
        proxy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{BackendConfig, FrontendConfig, Mode},
        rules::{ProxySide, RulesBuilder},
    };

    fn backend(name: &str) -> ProxyConfig {
        let mut proxy = ProxyConfig::new(name, 2, Mode::Http);
        proxy.backend = Some(BackendConfig::default());
        proxy
    }

    fn frontend(name: &str, maxconn: Option<u32>, default: Option<&str>) -> ProxyConfig {
        let mut proxy = ProxyConfig::new(name, 2, Mode::Http);
        proxy.frontend = Some(FrontendConfig {
            maxconn,
            default_backend: default.map(Arc::from),
            ..FrontendConfig::default()
        });
        proxy
    }

    fn choosing(mut proxy: ProxyConfig, lines: &[&str]) -> ProxyConfig {
        let no_files = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
        let mut builder = RulesBuilder::new(ProxySide::Frontend, &no_files);
        for line in lines {
            let words: Vec<_> = line.split(' ').collect();
            builder.use_backend(&words).unwrap();
        }
        proxy.rules = builder.build().unwrap();
        proxy
    }

    /// The figures are those that HAProxy 2.6 shows for such sections.
    #[test]
    fn without_a_figure_it_is_a_tenth_of_what_can_come() {
        let rules = [
            "one if { path /x }",
            "one if { path /y }",
            "two if { path /z }",
            "%[path] if { path four }",
        ];
        let mut listen = backend("listen");
        listen.frontend = frontend("", Some(301), None).frontend;
        let mut passing = backend("passing");
        passing.frontend = frontend("", Some(40), Some("listen")).frontend;
        let mut stopped = frontend("stopped", Some(200), Some("four"));
        stopped.disabled = true;
        let mut config = Config {
            proxies: vec![
                choosing(frontend("a", Some(100), Some("one")), &rules),
                frontend("b", Some(55), Some("one")),
                frontend("c", None, Some("three")),
                choosing(frontend("d", Some(300), None), &["two"]),
                listen,
                passing,
                stopped,
            ],
            ..Config::default()
        };
        config.global.maxconn = Some(1000);
        let reach = Reach::new(&config);
        for (name, figure) in [
            ("listen", 35),
            ("passing", 1),
            ("one", 16),
            ("two", 40),
            ("three", 100),
            ("four", 1),
        ] {
            assert_eq!(reach.fullconn(name), Some(figure), "{name}");
        }
        config.global.maxconn = None;
        assert_eq!(Reach::new(&config).fullconn("three"), None);
    }
}
