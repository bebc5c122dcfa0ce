//! `show ssl crt-list`, `add ssl crt-list` and `del ssl crt-list`.

use std::{
    cell::RefCell,
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use lb_core::{
    config::{TlsCertificate, TlsListLine},
    dataplane::{TlsContent, TlsFiles},
};

use super::{Runtime, TlsKind, Work, used};
use crate::config::{files::Files, haproxy};

impl Runtime {
    /// The lists, or the lines of one.
    pub(super) fn show_list(&self, list: Option<&str>, numbered: bool) -> Result<String, String> {
        let balancer = self.balancer();
        let Some(list) = list else {
            let lists = balancer.certificate_lists();
            return Ok(lists
                .iter()
                .map(|list| format!("{}\n", list.display()))
                .collect());
        };
        let missing = || "didn't find the specified filename\n".to_owned();
        let entries = balancer
            .certificate_list(list.as_ref())
            .ok_or_else(missing)?;
        let mut text = format!("# {list}\n");
        for (given, place) in lines(&entries) {
            let _ = write!(text, "{}", name(given));
            if numbered {
                let _ = write!(text, ":{}", place.line);
            }
            if !place.words.is_empty() {
                let _ = write!(text, " {}", place.words);
            }
            text.push('\n');
        }
        Ok(text)
    }

    /// Puts a line at the end of a list.
    pub(super) fn add_to_list(
        &self,
        list: &str,
        line: &str,
        work: &mut Work,
    ) -> Result<String, String> {
        let refused = |told: String| format!("Can't edit the crt-list: {told}\n");
        let balancer = self.balancer();
        let path = Path::new(list);
        let Some(entries) = balancer.certificate_list(path) else {
            return Err(refused(format!("crt-list '{list}' does not exist!")));
        };
        let (file, words) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let known = Known::new(balancer.tls_files(), work);
        if known.read(file.as_ref()).is_err() {
            return Err(refused(format!("certificate '{file}' does not exist!")));
        }
        let last = lines(&entries).map(|(_, place)| place.line).max();
        let place = TlsListLine {
            list: path.to_owned(),
            line: last.unwrap_or(0) + 1,
            words: words.trim().to_owned(),
        };
        let done = balancer.edit_certificate_list(path, &|of_bind, all| {
            let added = haproxy::certificate_list_line(line, of_bind, &known)
                .map_err(|message| known.failure(line, message))?;
            // Behind the others of the list: what stands behind it on the `bind` line stays there.
            let behind =
                |given: &Arc<TlsCertificate>| given.list.as_ref().is_some_and(|of| of.list == path);
            let at = all
                .iter()
                .rposition(behind)
                .map_or(all.len(), |last| last + 1);
            let added = added.into_iter().map(|mut given| {
                given.list = Some(place.clone());
                Arc::new(given)
            });
            all.splice(at..at, added);
            Ok(())
        });
        let uses = done.map_err(refused)?;
        work.unused
            .remove(&(TlsKind::Certificate as u8, file.into()));
        known.were_taken(work);
        tracing::info!("certificate {file} was added to {list}");
        Ok(format!(
            "Inserting certificate '{file}' in crt-list '{list}'{}\nSuccess!\n",
            ".".repeat(uses)
        ))
    }

    /// Takes a line out of a list; the files stay known.
    pub(super) fn delete_from_list(
        &self,
        list: &str,
        wanted: &str,
        work: &mut Work,
    ) -> Result<String, String> {
        let balancer = self.balancer();
        let path = Path::new(list);
        let entries = balancer.certificate_list(path);
        let entries = entries.ok_or_else(|| format!("crt-list '{list}' does not exist!"))?;
        let with_line = wanted
            .rsplit_once(':')
            .and_then(|(file, line)| Some((file, Some(line.parse::<usize>().ok()?))));
        let (file, number) = with_line.unwrap_or((wanted, None));
        let known = balancer.tls_files();
        let of_file: Vec<usize> = lines(&entries)
            .filter(|(given, _)| name(given) == file)
            .map(|(_, place)| place.line)
            .collect();
        let all = of_file
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        let line = match (number, of_file.as_slice()) {
            (_, []) => return Err(format!("certificate '{file}' does not exist!")),
            (Some(number), lines) if lines.contains(&number) => number,
            (Some(_), _) => {
                return Err(format!(
                    "found a certificate '{file}' but the line number is incorrect, please specify a correct line \
                     number preceded by colons ({all})!"
                ));
            }
            (None, [line]) => *line,
            (None, _) => {
                return Err(format!(
                    "found the certificate '{file}' in several entries, please specify a line number preceded by \
                     colons ({all})!"
                ));
            }
        };
        let defaults = balancer.default_of(path, line);
        if !defaults.is_empty() {
            let mut told = format!(
                "certificate '{file}' cannot be deleted, it is used as default certificate by the following frontends:"
            );
            for (proxy, _) in defaults {
                let proxy = balancer.config.proxies.get(proxy);
                let _ = write!(told, "\n\t- {}", proxy.map_or("", |proxy| &proxy.name));
            }
            return Err(told);
        }
        balancer.edit_certificate_list(path, &|_, all| {
            all.retain(|given| {
                !given
                    .list
                    .as_ref()
                    .is_some_and(|of| of.list == path && of.line == line)
            });
            Ok(())
        })?;
        keep(&known, &balancer.tls_files(), work);
        tracing::info!("certificate {file} was taken out of {list}");
        Ok(format!("Entry '{file}' deleted in crtlist '{list}'!\n"))
    }
}

/// What nobody uses any more may be used again.
pub(in crate::admin::runtime::execute) fn keep(before: &TlsFiles, now: &TlsFiles, work: &mut Work) {
    let kinds = [
        (
            TlsKind::Certificate,
            before.certificates.keys().collect::<Vec<_>>(),
        ),
        (TlsKind::Authorities, before.authorities.keys().collect()),
        (TlsKind::Revoked, before.revoked.keys().collect()),
    ];
    for (kind, paths) in kinds {
        for path in paths {
            if used(kind, path, now).is_none() {
                let content = used(kind, path, before);
                work.unused.insert((kind as u8, path.clone()), content);
            }
        }
    }
}

/// The lines of a list: those of a bundle share one.
fn lines(entries: &[Arc<TlsCertificate>]) -> impl Iterator<Item = (&TlsCertificate, &TlsListLine)> {
    let mut last = 0;
    entries.iter().filter_map(move |given| {
        let place = given.list.as_ref()?;
        let again = std::mem::replace(&mut last, place.line) == place.line;
        (!again).then_some((&**given, place))
    })
}

/// The name on the line: that of the bundle, or that of the file.
fn name(given: &TlsCertificate) -> String {
    let path = given.bundle.as_ref().unwrap_or(&given.path);
    path.display().to_string()
}

/// The files that are known at run time, in the place of those on disk.
pub(in crate::admin::runtime::execute) struct Known {
    files: TlsFiles,
    unused: Vec<((u8, PathBuf), TlsContent)>,
    /// Those of `unused` that were read.
    asked: RefCell<Vec<(u8, PathBuf)>>,
    missing: RefCell<Option<PathBuf>>,
}

impl Known {
    pub(in crate::admin::runtime::execute) fn new(files: TlsFiles, work: &Work) -> Self {
        let unused = work.unused.iter();
        let unused = unused.filter_map(|(key, content)| Some((key.clone(), content.clone()?)));
        Self {
            files,
            unused: unused.collect(),
            asked: RefCell::default(),
            missing: RefCell::default(),
        }
    }

    /// What was read is in use from now on.
    pub(in crate::admin::runtime::execute) fn were_taken(&self, work: &mut Work) {
        for key in self.asked.take() {
            work.unused.remove(&key);
        }
    }

    /// Why a line cannot be used.
    fn failure(&self, line: &str, message: String) -> String {
        let Some(path) = self.missing.take() else {
            return message;
        };
        let words: Vec<&str> = line
            .split([' ', '\t', '[', ']'])
            .filter(|word| !word.is_empty())
            .collect();
        let at = words.iter().position(|word| Path::new(word) == path);
        let option = at
            .and_then(|at| words.get(at.checked_sub(1)?))
            .unwrap_or(&"crt");
        format!("'{option}' : unable to load {}", path.display())
    }
}

fn text(content: &TlsContent) -> &Arc<[u8]> {
    match content {
        TlsContent::Certificate(pem, _)
        | TlsContent::Authorities(pem)
        | TlsContent::Revoked(pem) => pem,
    }
}

impl Files for Known {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let kinds = [TlsKind::Certificate, TlsKind::Authorities, TlsKind::Revoked];
        let mut found = kinds
            .iter()
            .filter_map(|kind| used(*kind, path, &self.files));
        if let Some(content) = found.next() {
            return Ok(text(&content).to_vec());
        }
        if let Some((key, content)) = self.unused.iter().find(|((_, known), _)| known == path) {
            self.asked.borrow_mut().push(key.clone());
            return Ok(text(content).to_vec());
        }
        // The response that goes with a certificate.
        let certificate = path.with_extension("");
        if path
            .extension()
            .is_some_and(|extension| extension == "ocsp")
            && let Some((_, Some(response))) = self.files.certificates.get(&certificate)
        {
            return Ok(response.to_vec());
        }
        self.missing.replace(Some(path.to_owned()));
        Err(io::ErrorKind::NotFound.into())
    }

    fn list(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
        Err(io::ErrorKind::NotADirectory.into())
    }
}
