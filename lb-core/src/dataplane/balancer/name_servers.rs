//! What is counted of name servers, by section and name.

use std::{collections::BTreeMap, sync::Arc};

use super::Balancer;
use crate::{
    config::{Config, Resolvers},
    stats::NameServerCounters,
};

impl Balancer {
    /// The counters of the name servers in `config`; those of the same names go on.
    pub(super) fn counted_of(
        &self,
        config: &Config,
    ) -> BTreeMap<(Arc<str>, Arc<str>), Arc<NameServerCounters>> {
        let of = |section: &Resolvers| -> Vec<(Arc<str>, Arc<str>)> {
            let names = section.nameservers.iter();
            names
                .map(|(name, _)| (Arc::clone(&section.name), Arc::clone(name)))
                .collect()
        };
        let all = config.resolvers.iter().flat_map(of);
        all.map(|key| {
            let known = self.name_servers.get(&key).cloned();
            (key, known.unwrap_or_default())
        })
        .collect()
    }
}
