//! Certificates, authorities and lists that are exchanged while everything runs: all that uses one is made ready
//! first, then it goes over, so that a file that cannot be used changes nothing.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

use super::Balancer;
use crate::{
    config::TlsCertificate,
    dataplane::{
        StartError,
        tls::{CertificateEdit, Loader, TlsChange, TlsFiles},
    },
    server::ServerKey,
};

/// What went over to another file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exchanged {
    /// Uses of the file: certificates of `bind` lines, servers and their checks.
    pub uses: usize,
    /// Servers among them: connections that stand were made with what was before.
    pub servers: Vec<ServerKey>,
}

impl Balancer {
    /// The files that TLS uses now.
    pub fn tls_files(&self) -> TlsFiles {
        let mut files = TlsFiles::default();
        for front in self.secured.values() {
            front.tell(&mut files);
        }
        for connector in self
            .connectors
            .values()
            .chain(self.check_connectors.values())
            .chain(self.peer_connectors.values())
        {
            files.add_server(&connector.tls());
        }
        files
    }

    /// Goes over to other contents of a file, wherever it is used.
    pub fn exchange(&self, change: &TlsChange) -> Result<Exchanged, StartError> {
        let _one_at_a_time = self
            .exchanging
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut loader = Loader::default();
        let mut done = Exchanged::default();
        let (mut fronts, mut connectors) = (Vec::new(), Vec::new());
        for front in self.secured.values() {
            if let Some(used) = front.changed(change, &mut loader)? {
                fronts.push((front, used));
            }
        }
        for (server, connector) in self.connectors.iter().chain(&self.check_connectors) {
            if let Some(ready) = connector.changed(change)? {
                connectors.push((connector, ready));
                done.servers.push(*server);
            }
        }
        for connector in self.peer_connectors.values() {
            // A link that stands goes on; the next one is made with it.
            if let Some(ready) = connector.changed(change)? {
                connectors.push((connector, ready));
            }
        }
        done.uses = fronts.len() + connectors.len();
        for (front, used) in fronts {
            front.replace(used);
        }
        for (connector, ready) in connectors {
            connector.replace(ready);
        }
        Ok(done)
    }

    /// The certificate lists and directories in use.
    pub fn certificate_lists(&self) -> Vec<PathBuf> {
        let lists = self.secured.values().flat_map(|front| front.lists());
        let mut lists: Vec<PathBuf> = lists.cloned().collect();
        lists.sort();
        lists.dedup();
        lists
    }

    /// The certificates of a list or directory, in order; `None` if it is not in use.
    pub fn certificate_list(&self, list: &Path) -> Option<Vec<Arc<TlsCertificate>>> {
        let mut fronts = self.secured.values();
        let front = fronts.find(|front| front.lists().iter().any(|known| known == list))?;
        Some(front.of_list(list))
    }

    /// `bind` lines whose default certificate is that of `list` in that line: indices of proxy and bind.
    pub fn default_of(&self, list: &Path, line: usize) -> Vec<(usize, usize)> {
        let is_default = |given: Arc<TlsCertificate>| {
            let place = given.list.as_ref();
            place.is_some_and(|place| place.list == list && place.line == line)
        };
        let fronts = self.secured.iter();
        let used = fronts.filter(|(_, front)| front.default_file().is_some_and(is_default));
        used.map(|(place, _)| *place).collect()
    }

    /// Goes over to a list in which `edit` has changed something, on each `bind` that uses it; `edit` sees the
    /// settings of the `bind` and all of its certificates.
    pub fn edit_certificate_list(
        &self,
        list: &Path,
        edit: CertificateEdit<'_>,
    ) -> Result<usize, String> {
        let _one_at_a_time = self
            .exchanging
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut loader = Loader::default();
        let mut fronts = Vec::new();
        for front in self.secured.values() {
            if let Some(used) = front.edited(list, edit, &mut loader)? {
                fronts.push((front, used));
            }
        }
        let count = fronts.len();
        for (front, used) in fronts {
            front.replace(used);
        }
        Ok(count)
    }
}
