//! Certificates, authorities and lists of what was taken back at run time (HAProxy's management guide): a transaction
//! collects what a file is to hold, and `commit` makes everything go over to it at once.

mod lists;
mod ocsp;
mod show;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

use lb_core::dataplane::{
    TlsChange, TlsContent, TlsFiles, certificate_facts, ocsp_facts, revocation_facts,
    unusable_certificate,
};

pub(super) use lists::{Known, keep};

use super::{Runtime, ServerOrder};
use crate::admin::runtime::command::{TlsCommand, TlsKind};

/// Files that are not in use, and those that are being changed; nothing of it outlives a reload.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Files that no configuration names (yet); without contents after `new`.
    unused: BTreeMap<(u8, PathBuf), Option<TlsContent>>,
    /// The transaction of each kind.
    open: [Option<Transaction>; 3],
}

/// What a file is to hold.
#[derive(Debug, Clone)]
struct Transaction {
    path: String,
    parts: Parts,
}

/// The contents of a file, in parts that are set one by one.
#[derive(Debug, Clone, Default)]
struct Parts {
    /// Certificates or lists in PEM.
    pem: String,
    /// The key of a certificate in PEM.
    key: String,
    ocsp: Option<Arc<[u8]>>,
}

impl Parts {
    fn of(content: Option<&TlsContent>) -> Self {
        match content {
            Some(TlsContent::Certificate(pem, ocsp)) => {
                let (pem, key) = divided(&String::from_utf8_lossy(pem));
                let ocsp = ocsp.clone();
                Self { pem, key, ocsp }
            }
            _ => Self::default(),
        }
    }

    fn content(&self, kind: TlsKind) -> TlsContent {
        let pem = Arc::from(format!("{}{}", self.pem, self.key).into_bytes());
        match kind {
            TlsKind::Certificate => TlsContent::Certificate(pem, self.ocsp.clone()),
            TlsKind::Authorities => TlsContent::Authorities(pem),
            TlsKind::Revoked => TlsContent::Revoked(pem),
        }
    }
}

/// The certificates of a PEM text, and its keys.
fn divided(text: &str) -> (String, String) {
    let (mut certificates, mut keys) = (String::new(), String::new());
    let mut at = None;
    for line in text.lines().map(str::trim) {
        if let Some(label) = line.strip_prefix("-----BEGIN ") {
            at = Some(label.contains("KEY-----"));
        }
        match at {
            Some(true) => keys.push_str(&format!("{line}\n")),
            Some(false) => certificates.push_str(&format!("{line}\n")),
            None => {}
        }
        if line.starts_with("-----END ") {
            at = None;
        }
    }
    (certificates, keys)
}

/// What HAProxy calls a file of that kind, in its sentences.
fn called(kind: TlsKind) -> &'static str {
    match kind {
        TlsKind::Certificate => "certificate",
        TlsKind::Authorities => "CA file",
        TlsKind::Revoked => "CRL file",
    }
}

impl Runtime {
    /// Carries out a command on files of TLS.
    pub(super) fn tls(&self, command: &TlsCommand) -> String {
        let mut work = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        let done = match command {
            TlsCommand::Show(kind, None) => Ok(self.list(*kind, &work)),
            TlsCommand::Show(kind, Some(name)) => self.details(*kind, name, &work),
            TlsCommand::New(kind, name) => self.create(*kind, name, &mut work),
            TlsCommand::Set(kind, name, text) => self.set(*kind, name, text, &mut work),
            TlsCommand::Commit(kind, name) => self
                .commit(*kind, name, &mut work)
                .map_err(|told| format!("{told}\nCan't commit {name}!\n")),
            TlsCommand::Abort(kind, name) => abort(*kind, name, &mut work),
            TlsCommand::Delete(kind, name) => self.delete(*kind, name, &mut work),
            TlsCommand::ShowList(list, numbered) => self.show_list(list.as_deref(), *numbered),
            TlsCommand::AddToList(list, line) => self.add_to_list(list, line, &mut work),
            TlsCommand::DeleteFromList(list, name) => self
                .delete_from_list(list, name, &mut work)
                .map_err(|told| format!("Can't delete the entry: {told}\n")),
            TlsCommand::ShowResponse(id) => self.show_response(id.as_deref()),
            TlsCommand::SetResponse(text) => self.set_response(text),
        };
        done.unwrap_or_else(|told| told)
    }

    /// What a file holds, and whether it is in use; `None` if there is none.
    fn find_file(
        &self,
        kind: TlsKind,
        path: &Path,
        work: &Work,
    ) -> Option<(Option<TlsContent>, bool)> {
        let files = self.balancer().tls_files();
        let used = used(kind, path, &files).map(|content| (Some(content), true));
        used.or_else(|| {
            let content = work.unused.get(&(kind as u8, path.to_owned()))?;
            Some((content.clone(), false))
        })
    }

    fn create(&self, kind: TlsKind, name: &str, work: &mut Work) -> Result<String, String> {
        if self.find_file(kind, name.as_ref(), work).is_some() {
            let called = match kind {
                TlsKind::Certificate => "Certificate",
                other => called(other),
            };
            return Err(format!("{called} '{name}' already exists!\n"));
        }
        work.unused.insert((kind as u8, name.into()), None);
        Ok(match kind {
            TlsKind::Certificate => format!("New empty certificate store '{name}'!\n"),
            other => format!("New {} created '{name}'!\n", called(other)),
        })
    }

    fn set(
        &self,
        kind: TlsKind,
        name: &str,
        text: &str,
        work: &mut Work,
    ) -> Result<String, String> {
        let refused = |told: &str| format!("{told}\nCan't update {name}!\n");
        let (path, part) = match kind {
            TlsKind::Certificate => part_of(name),
            _ => (name, None),
        };
        let open = open(kind, work).clone();
        // A key may lie beside a certificate whose own ending is not part of its name.
        let whole = format!("{path}.crt");
        let is_whole = part.is_some()
            && self.find_file(kind, path.as_ref(), work).is_none()
            && self.find_file(kind, whole.as_ref(), work).is_some();
        let path = if is_whole { whole.as_str() } else { path };
        let (before, is_new) = match open {
            Some(open) if open.path == path => (open.parts, false),
            Some(open) => return Err(refused(&other(&open, path))),
            None => {
                let Some((content, _)) = self.find_file(kind, path.as_ref(), work) else {
                    let called = match kind {
                        TlsKind::Certificate => "certificate",
                        other => called(other),
                    };
                    return Err(refused(&format!(
                        "Can't replace a {called} which is not referenced by the configuration!"
                    )));
                };
                (Parts::of(content.as_ref()), true)
            }
        };
        let parts = updated(kind, path, part, text, before).map_err(|told| refused(&told))?;
        let path = path.to_owned();
        let told = match (kind, if is_new { "created" } else { "updated" }) {
            (TlsKind::Certificate, done) => {
                format!("Transaction {done} for certificate {path}!\n")
            }
            (TlsKind::Authorities, done) => format!("transaction {done} for CA {path}!\n"),
            (TlsKind::Revoked, done) => format!("transaction {done} for CRL {path}!\n"),
        };
        *open_mut(kind, work) = Some(Transaction { path, parts });
        Ok(told)
    }

    fn commit(&self, kind: TlsKind, name: &str, work: &mut Work) -> Result<String, String> {
        let Some(open) = open(kind, work).clone() else {
            return Err("No ongoing transaction! !".to_owned());
        };
        if open.path != name {
            return Err(other(&open, name));
        }
        let Parts { pem, key, .. } = &open.parts;
        if kind == TlsKind::Certificate && (pem.is_empty() || key.is_empty()) {
            return Err(
                "The transaction must contain at least a certificate and a private key!".to_owned(),
            );
        }
        let content = open.parts.content(kind);
        let mut told = format!("Committing {name}");
        let failed = |told: &str, reason: &str| format!("{told}\n{reason}\nFailed!");
        if let TlsContent::Certificate(pem, _) = &content
            && let Some(reason) = unusable_certificate(pem)
        {
            return Err(failed(&told, &reason));
        }
        let unused = work.unused.get_mut(&(kind as u8, name.into()));
        match unused {
            Some(unused) => *unused = Some(content),
            None if used(kind, name.as_ref(), &self.balancer().tls_files()).is_none() => {
                let reason = format!("The {} '{name}' doesn't exist any more!", called(kind));
                return Err(failed(&told, &reason));
            }
            None => {
                let uses = self.exchange(name, content);
                let uses = uses.map_err(|reason| failed(&told, &reason))?;
                told.push_str(&".".repeat(uses));
            }
        }
        *open_mut(kind, work) = None;
        tracing::info!("{} {name} was exchanged", called(kind));
        Ok(format!("{told}\nSuccess!\n"))
    }

    /// Goes over to other contents wherever a file is used; how many uses there are.
    fn exchange(&self, path: &str, content: TlsContent) -> Result<usize, String> {
        let path = PathBuf::from(path);
        let change = TlsChange { path, content };
        let done = self.balancer().exchange(&change);
        let done = done.map_err(|error| error.to_string())?;
        for server in done.servers {
            // Connections that stand were made with what was before.
            (self.order)(ServerOrder::Moved(server));
        }
        Ok(done.uses)
    }

    fn delete(&self, kind: TlsKind, name: &str, work: &mut Work) -> Result<String, String> {
        let (what, subject) = match kind {
            TlsKind::Certificate => ("certificate", "certificate"),
            other => (called(other), called(other)),
        };
        let refused =
            |told: &str| format!("Can't remove the {what}: {subject} '{name}' {told}!\n\n");
        match self.find_file(kind, name.as_ref(), work) {
            None => Err(refused("doesn't exist")),
            Some((_, true)) => Err(refused("in use, can't be deleted")),
            Some((_, false)) => {
                work.unused.remove(&(kind as u8, name.into()));
                let what = match kind {
                    TlsKind::Certificate => "Certificate",
                    other => called(other),
                };
                Ok(format!("{what} '{name}' deleted!\n"))
            }
        }
    }
}

/// What a file in use holds.
fn used(kind: TlsKind, path: &Path, files: &TlsFiles) -> Option<TlsContent> {
    Some(match kind {
        TlsKind::Certificate => {
            let (pem, ocsp) = files.certificates.get(path)?;
            TlsContent::Certificate(Arc::clone(pem), ocsp.clone())
        }
        TlsKind::Authorities => TlsContent::Authorities(Arc::clone(files.authorities.get(path)?)),
        TlsKind::Revoked => TlsContent::Revoked(Arc::clone(files.revoked.get(path)?)),
    })
}

fn open(kind: TlsKind, work: &Work) -> &Option<Transaction> {
    let [certificates, authorities, revoked] = &work.open;
    match kind {
        TlsKind::Certificate => certificates,
        TlsKind::Authorities => authorities,
        TlsKind::Revoked => revoked,
    }
}

fn open_mut(kind: TlsKind, work: &mut Work) -> &mut Option<Transaction> {
    let [certificates, authorities, revoked] = &mut work.open;
    match kind {
        TlsKind::Certificate => certificates,
        TlsKind::Authorities => authorities,
        TlsKind::Revoked => revoked,
    }
}

fn other(open: &Transaction, name: &str) -> String {
    let path = &open.path;
    format!("The ongoing transaction is about '{path}' but you are trying to set '{name}'")
}

fn abort(kind: TlsKind, name: &str, work: &mut Work) -> Result<String, String> {
    match open(kind, work) {
        None => Err("No ongoing transaction!\n".to_owned()),
        Some(open) if open.path != name => Err(format!(
            "The ongoing transaction is about '{}' but you are trying to abort a transaction for '{name}'\n",
            open.path
        )),
        Some(_) => {
            *open_mut(kind, work) = None;
            Ok(format!("Transaction aborted for certificate '{name}'!\n"))
        }
    }
}

/// A part of a certificate that has a file of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Key,
    Response,
    /// Who signed it: responses name that themselves.
    Issuer,
    /// What is not used here.
    Other,
}

/// The certificate that a name belongs to, and which part of it is meant.
fn part_of(name: &str) -> (&str, Option<Part>) {
    let parts = [
        (".key", Part::Key),
        (".ocsp", Part::Response),
        (".issuer", Part::Issuer),
        (".sctl", Part::Other),
        (".dh", Part::Other),
    ];
    parts
        .iter()
        .find_map(|(ending, part)| Some((name.strip_suffix(ending)?, Some(*part))))
        .unwrap_or((name, None))
}

/// The parts of a file with another payload.
fn updated(
    kind: TlsKind,
    path: &str,
    part: Option<Part>,
    text: &str,
    mut parts: Parts,
) -> Result<Parts, String> {
    let (pem, key) = divided(text);
    match (kind, part) {
        (TlsKind::Authorities, _) => {
            let good = certificate_facts(pem.as_bytes()).is_ok_and(|all| !all.is_empty());
            parts.pem = good.then_some(pem).ok_or("Invalid payload")?;
        }
        (TlsKind::Revoked, _) => {
            let good = revocation_facts(pem.as_bytes()).is_ok_and(|all| !all.is_empty());
            parts.pem = good.then_some(pem).ok_or("Invalid payload")?;
        }
        (TlsKind::Certificate, Some(Part::Issuer)) => {}
        (TlsKind::Certificate, Some(Part::Other)) => {
            return Err("files of this kind are not used\nCan't load the payload".to_owned());
        }
        (TlsKind::Certificate, Some(Part::Key)) => {
            let unusable = || {
                format!("unable to load private key from file '{path}'.\nCan't load the payload")
            };
            parts.key = (!key.is_empty()).then_some(key).ok_or_else(unusable)?;
        }
        (TlsKind::Certificate, Some(Part::Response)) => {
            let response =
                ocsp::decoded(text).map_err(|told| format!("{told}\nCan't load the payload"))?;
            ocsp_facts(&response).map_err(|told| format!("{told}\nCan't load the payload"))?;
            parts.ocsp = Some(response.into());
        }
        (TlsKind::Certificate, None) => {
            if !certificate_facts(pem.as_bytes()).is_ok_and(|all| !all.is_empty()) {
                return Err(format!(
                    "unable to load certificate from file '{path}'.\nCan't load the payload"
                ));
            }
            if !key.is_empty()
                && let Some(reason) = unusable_certificate(format!("{pem}{key}").as_bytes())
            {
                return Err(format!("{reason}\nCan't load the payload"));
            }
            // What belonged to the certificate before goes with it.
            parts = Parts {
                pem,
                key,
                ocsp: None,
            };
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests;
