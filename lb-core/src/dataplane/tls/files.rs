//! The files that TLS uses, and how one of them is exchanged while everything runs.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Front, Loader, Used};
use crate::{
    config::{PemFile, ServerTls, TlsCertificate, TlsSettings},
    dataplane::StartError,
};

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsContent {
    /// Chain and key in PEM, and what their authority says of them.
    Certificate(Arc<[u8]>, Option<Arc<[u8]>>),
    /// Certificates of authorities in PEM.
    Authorities(Arc<[u8]>),
    /// Lists of certificates that were taken back, in PEM.
    Revoked(Arc<[u8]>),
}

/// Chain and key in PEM, and what their authority says of them.
pub type CertificateFile = (Arc<[u8]>, Option<Arc<[u8]>>);

/// A file that gets other contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsChange {
    /// Its name.
    pub path: PathBuf,
    /// What it holds from now on.
    pub content: TlsContent,
}

/// The files that are in use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsFiles {
    /// Certificates with their keys, and OCSP responses.
    pub certificates: BTreeMap<PathBuf, CertificateFile>,
    /// Certificates of authorities.
    pub authorities: BTreeMap<PathBuf, Arc<[u8]>>,
    /// Lists of certificates that were taken back.
    pub revoked: BTreeMap<PathBuf, Arc<[u8]>>,
}

impl TlsFiles {
    fn add_settings(&mut self, settings: &TlsSettings) {
        for (path, pem) in settings
            .authorities
            .iter()
            .chain(&settings.more_authorities)
        {
            self.authorities.insert(path.clone(), Arc::clone(pem));
        }
        if let Some((path, pem)) = &settings.revoked {
            self.revoked.insert(path.clone(), Arc::clone(pem));
        }
    }

    fn add_certificate(&mut self, given: &TlsCertificate) {
        let content = (Arc::clone(&given.pem), given.ocsp.clone());
        self.certificates.insert(given.path.clone(), content);
        if let Some(settings) = &given.settings {
            self.add_settings(settings);
        }
    }

    /// What a server's line says, with the contents that its files have now.
    pub fn present(&self, tls: &ServerTls) -> ServerTls {
        let mut tls = tls.clone();
        let of = |file: &mut Option<PemFile>, known: &BTreeMap<PathBuf, Arc<[u8]>>| {
            if let Some((path, pem)) = file
                && let Some(now) = known.get(path)
            {
                *pem = Arc::clone(now);
            }
        };
        of(&mut tls.authorities, &self.authorities);
        of(&mut tls.revoked, &self.revoked);
        if let Some((path, pem)) = &mut tls.certificate
            && let Some((now, _)) = self.certificates.get(path)
        {
            *pem = Arc::clone(now);
        }
        tls
    }

    /// What a server uses.
    pub(in crate::dataplane) fn add_server(&mut self, tls: &ServerTls) {
        if let Some((path, pem)) = &tls.certificate {
            let known = self.certificates.entry(path.clone());
            known.or_insert_with(|| (Arc::clone(pem), None));
        }
        if let Some((path, pem)) = &tls.authorities {
            self.authorities.insert(path.clone(), Arc::clone(pem));
        }
        if let Some((path, pem)) = &tls.revoked {
            self.revoked.insert(path.clone(), Arc::clone(pem));
        }
    }
}

impl TlsChange {
    /// Applies it to what is said of a server; false if it is about something else.
    pub(super) fn of_server(&self, tls: &mut ServerTls) -> bool {
        match &self.content {
            TlsContent::Certificate(pem, _) => self.exchange(&mut tls.certificate, pem),
            TlsContent::Authorities(pem) => self.exchange(&mut tls.authorities, pem),
            TlsContent::Revoked(pem) => self.exchange(&mut tls.revoked, pem),
        }
    }

    fn of_settings(&self, settings: &mut TlsSettings) -> bool {
        match &self.content {
            TlsContent::Certificate(..) => false,
            TlsContent::Authorities(pem) => {
                let named = self.exchange(&mut settings.authorities, pem);
                self.exchange(&mut settings.more_authorities, pem) || named
            }
            TlsContent::Revoked(pem) => self.exchange(&mut settings.revoked, pem),
        }
    }

    fn of_certificate(&self, given: &mut TlsCertificate) -> bool {
        match &self.content {
            TlsContent::Certificate(pem, ocsp) if given.path == self.path => {
                given.pem = Arc::clone(pem);
                given.ocsp.clone_from(ocsp);
                true
            }
            _ => match &mut given.settings {
                Some(settings) => self.of_settings(settings),
                None => false,
            },
        }
    }

    fn exchange(&self, file: &mut Option<PemFile>, pem: &Arc<[u8]>) -> bool {
        match file {
            Some((path, known)) if *path == self.path => {
                *known = Arc::clone(pem);
                true
            }
            _ => false,
        }
    }
}

/// Makes the next certificates of a list out of those before, under the settings of a `bind`.
pub type CertificateEdit<'e> =
    &'e dyn Fn(&TlsSettings, &mut Vec<Arc<TlsCertificate>>) -> Result<(), String>;

impl Front {
    /// Adds what it uses.
    pub(in crate::dataplane) fn tell(&self, files: &mut TlsFiles) {
        let used = self.used();
        files.add_settings(&used.settings);
        for choice in &used.choices {
            files.add_certificate(&choice.given);
        }
    }

    /// The lists and directories that its certificates come from.
    pub(in crate::dataplane) fn lists(&self) -> &[PathBuf] {
        &self.lists
    }

    /// Its certificates out of `list`, in order.
    pub(in crate::dataplane) fn of_list(&self, list: &Path) -> Vec<Arc<TlsCertificate>> {
        let used = self.used();
        let given = used.choices.iter().map(|choice| &choice.given);
        let of_list = given.filter(|given| is_of(given, list));
        of_list.cloned().collect()
    }

    /// The file of the certificate for clients that ask for no name of it.
    pub(in crate::dataplane) fn default_file(&self) -> Option<Arc<TlsCertificate>> {
        let used = self.used();
        let first = used.choices.first().filter(|_| !self.strict_sni)?;
        Some(Arc::clone(&first.given))
    }

    /// What would be used with `change`; `None` if that is none for it.
    pub(in crate::dataplane) fn changed(
        &self,
        change: &TlsChange,
        loader: &mut Loader,
    ) -> Result<Option<Used>, StartError> {
        let used = self.used();
        let mut settings = used.settings.clone();
        let mut any = change.of_settings(&mut settings);
        let given = used.choices.iter().map(|choice| {
            let mut given = TlsCertificate::clone(&choice.given);
            if change.of_certificate(&mut given) {
                any = true;
                return Arc::new(given);
            }
            Arc::clone(&choice.given)
        });
        let given = given.collect::<Vec<_>>();
        if !any {
            return Ok(None);
        }
        loader.know(&used.choices, &change.path);
        self.with(settings, given, loader).map(Some)
    }

    /// What would be used with a list that is edited; `None` if nothing of it comes from there.
    pub(in crate::dataplane) fn edited(
        &self,
        list: &Path,
        edit: CertificateEdit<'_>,
        loader: &mut Loader,
    ) -> Result<Option<Used>, String> {
        if !self.lists.iter().any(|known| known == list) {
            return Ok(None);
        }
        let used = self.used();
        let given = used.choices.iter().map(|choice| Arc::clone(&choice.given));
        let mut given: Vec<_> = given.collect();
        edit(&used.settings, &mut given)?;
        loader.know(&used.choices, Path::new(""));
        let used = self.with(used.settings.clone(), given, loader);
        used.map(Some).map_err(|error| error.to_string())
    }
}

/// Whether a certificate comes out of `list`.
fn is_of(given: &TlsCertificate, list: &Path) -> bool {
    given.list.as_ref().is_some_and(|line| line.list == list)
}
