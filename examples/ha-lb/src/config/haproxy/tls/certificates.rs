//! `crt`, `crt-list`, directories and the files that lie beside a certificate (configuration manual §5.1, §3.1
//! `ssl-load-extra-files`).

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::Engine as _;
use lb_core::config::{PemFile, TicketKey, TlsBind, TlsCertificate, TlsListLine};

use super::{
    super::{
        args::{Admitted, Arg, Args, Context, Parsed, admit},
        keywords::BIND,
        lexer::{Line, Word},
    },
    Defaults, Words, based, has, unreadable,
};

/// Which files are looked for beside a certificate (`ssl-load-extra-files`).
#[derive(Debug, Clone, Copy)]
pub(in crate::config::haproxy) struct ExtraFiles {
    /// `FILE.rsa` and `FILE.ecdsa` where there is no FILE.
    pub(in crate::config::haproxy) bundle: bool,
    /// `FILE.key`.
    pub(in crate::config::haproxy) key: bool,
    /// `FILE.ocsp`.
    pub(in crate::config::haproxy) ocsp: bool,
    /// `ssl-load-extra-del-ext`: FILE is taken without its own extension.
    pub(in crate::config::haproxy) shortened: bool,
}

impl Default for ExtraFiles {
    fn default() -> Self {
        Self {
            bundle: true,
            key: true,
            ocsp: true,
            shortened: false,
        }
    }
}

/// Endings of files that are no certificates of their own.
const BESIDE: [&str; 5] = ["key", "issuer", "ocsp", "sctl", "dh"];

/// What may stand between the brackets of a line.
const IN_LISTS: &[&str] = &[
    "allow-0rtt",
    "alpn",
    "ca-file",
    "ca-verify-file",
    "ciphers",
    "ciphersuites",
    "crl-file",
    "curves",
    "ecdhe",
    "no-alpn",
    "no-ca-names",
    "npn",
    "ocsp-update",
    "ssl-max-ver",
    "ssl-min-ver",
    "verify",
];

/// The certificates of a `crt` word: a file, a bundle or all files of a directory.
pub(in crate::config::haproxy) fn certificates(
    arg: &Arg<'_>,
    defaults: &Defaults,
    context: &Context<'_>,
    tls: &mut TlsBind,
) -> Parsed<()> {
    let path = based(defaults.crt_base.as_deref(), arg.text);
    let Ok(entries) = context.files.list(&path) else {
        tls.certificates
            .extend(load(arg, &path, defaults, context)?);
        return Ok(());
    };
    let mut line = 0;
    for entry in entries.into_iter().filter(|entry| is_certificate(entry)) {
        line += 1;
        let mut given = one(arg, entry, defaults, context)?;
        given.list = Some(TlsListLine {
            list: path.clone(),
            line,
            words: String::new(),
        });
        tls.certificates.push(given);
    }
    match line {
        0 => Err(arg.refuse("the directory holds no certificate", "PEM files")),
        _ => Ok(()),
    }
}

/// The certificates of a `crt-list` file: `FILE [options] names`.
pub(in crate::config::haproxy) fn list(
    arg: &Arg<'_>,
    of_bind: &Words,
    defaults: &Defaults,
    context: &mut Context<'_>,
    tls: &mut TlsBind,
) -> Parsed<()> {
    let path = based(defaults.crt_base.as_deref(), arg.text);
    let text = context
        .files
        .read(&path)
        .map_err(|error| unreadable(arg, "certificate list", &path, &error))?;
    if !text.ends_with(b"\n") && !text.is_empty() {
        let message = format!(
            "{}: missing LF on last line, file might have been truncated",
            path.display()
        );
        return Err(arg.refuse(message, "a whole list"));
    }
    let before = tls.certificates.len();
    for (number, text) in (1..).zip(String::from_utf8_lossy(&text).lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let line = lexed(&path, number, text);
        let certificates = entry(&line, of_bind, defaults, context)?;
        let words = text
            .split_once(char::is_whitespace)
            .map_or("", |(_, rest)| rest.trim());
        tls.certificates
            .extend(certificates.into_iter().map(|mut given| {
                given.list = Some(TlsListLine {
                    list: path.clone(),
                    line: usize::try_from(number).unwrap_or(0),
                    words: words.to_owned(),
                });
                given
            }));
    }
    match tls.certificates.len() == before {
        true => Err(arg.refuse("the list names no certificate", "a line with a file")),
        false => Ok(()),
    }
}

/// The certificates of one line that was written on a command line, under the settings of a `bind`.
pub(in crate::config::haproxy) fn line(
    text: &str,
    of_bind: &Words,
    context: &mut Context<'_>,
) -> Parsed<Vec<TlsCertificate>> {
    let line = lexed(Path::new("CLI"), 1, text);
    entry(&line, of_bind, &Defaults::default(), context)
}

/// Brackets are words of their own wherever they stand.
fn lexed(file: &Path, number: u32, text: &str) -> Line {
    let mut words: Vec<Word> = Vec::new();
    let mut joined = false;
    for (column, character) in (1..).zip(text.chars()) {
        match character {
            '[' | ']' => {
                joined = false;
                words.push(Word {
                    text: character.to_string(),
                    column,
                });
            }
            _ if character.is_whitespace() => joined = false,
            _ => match words.last_mut().filter(|_| joined) {
                Some(word) => word.text.push(character),
                None => {
                    joined = true;
                    words.push(Word {
                        text: character.to_string(),
                        column,
                    });
                }
            },
        }
    }
    Line {
        file: file.to_string_lossy().into(),
        number,
        words,
    }
}

fn entry(
    line: &Line,
    of_bind: &Words,
    defaults: &Defaults,
    context: &mut Context<'_>,
) -> Parsed<Vec<TlsCertificate>> {
    let mut args = Args::new(line, 0);
    let file = args.need("crt-list", "a file")?;
    let path = based(defaults.crt_base.as_deref(), file.text);
    let mut settings = None;
    if args.skip("[") {
        let mut words = of_bind.clone();
        while !args.skip("]") {
            let word = args.need("[", "]")?;
            option(&word, &mut args, &mut words, defaults, context)?;
        }
        settings = Some(Box::new(words.finish(&file, context)?));
    }
    let mut filters = Vec::new();
    while let Some(name) = args.take() {
        if matches!(name.text, "[" | "]") {
            return Err(name.refuse("options stand right behind the file", "a server name"));
        }
        filters.push(name.text.to_owned());
    }
    let mut certificates = load(&file, &path, defaults, context)?;
    for given in &mut certificates {
        given.filters.clone_from(&filters);
        given.settings.clone_from(&settings);
    }
    Ok(certificates)
}

fn option(
    word: &Arg<'_>,
    args: &mut Args<'_>,
    words: &mut Words,
    defaults: &Defaults,
    context: &mut Context<'_>,
) -> Parsed<()> {
    if !IN_LISTS.contains(&word.text) {
        return Err(word.refuse(
            "not an option of a line in a certificate list",
            IN_LISTS.join(", "),
        ));
    }
    match admit(context, BIND, word, "option '{}'")? {
        Admitted::Use(_) => words.apply(word, args, defaults, context).map(drop),
        Admitted::Skip(entry) => {
            for _ in 0..entry.arity.0 {
                args.need(word.text, "its value")?;
            }
            Ok(())
        }
    }
}

/// Files beside a certificate that are not bundles of their own.
fn is_certificate(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    let name = path.file_name().and_then(|name| name.to_str());
    !BESIDE.contains(&extension) && !name.is_some_and(|name| name.starts_with('.'))
}

/// The certificate of a file, or those of a bundle called so.
fn load(
    arg: &Arg<'_>,
    path: &Path,
    defaults: &Defaults,
    context: &Context<'_>,
) -> Parsed<Vec<TlsCertificate>> {
    let missing = match context.files.read(path) {
        Err(error) if defaults.extra.bundle && error.kind() == io::ErrorKind::NotFound => error,
        _ => return Ok(vec![one(arg, path.to_owned(), defaults, context)?]),
    };
    let mut certificates = Vec::new();
    for kind in ["rsa", "ecdsa"] {
        let member = beside(path, kind);
        if context.files.read(&member).is_ok() {
            let mut given = one(arg, member, defaults, context)?;
            given.bundle = Some(path.to_owned());
            certificates.push(given);
        }
    }
    match certificates.is_empty() {
        true => Err(unreadable(arg, "certificate", path, &missing)),
        false => Ok(certificates),
    }
}

/// `PATH.extension`.
fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

fn one(
    arg: &Arg<'_>,
    path: PathBuf,
    defaults: &Defaults,
    context: &Context<'_>,
) -> Parsed<TlsCertificate> {
    let (path, pem) = bundle(arg, path, defaults.extra, context)?;
    let ocsp = extra(&path, "ocsp", defaults.extra, context).filter(|_| defaults.extra.ocsp);
    Ok(TlsCertificate {
        path,
        pem,
        ocsp: ocsp.map(Arc::from),
        ..TlsCertificate::default()
    })
}

/// What lies beside a certificate, with one extension more or in the place of its own.
fn extra(
    path: &Path,
    extension: &str,
    extra: ExtraFiles,
    context: &Context<'_>,
) -> Option<Vec<u8>> {
    let name = match extra.shortened {
        true => path.with_extension(extension),
        false => beside(path, extension),
    };
    context.files.read(&name).ok()
}

/// Chain and key of one file; the key may stand in `FILE.key`.
pub(in crate::config::haproxy) fn bundle(
    arg: &Arg<'_>,
    path: PathBuf,
    beside: ExtraFiles,
    context: &Context<'_>,
) -> Parsed<PemFile> {
    let mut text = context
        .files
        .read(&path)
        .map_err(|error| unreadable(arg, "certificate", &path, &error))?;
    if !has(&text, "-----BEGIN CERTIFICATE-----") {
        let message = format!("{} holds no certificate", path.display());
        return Err(arg.refuse(message, "a PEM file with the chain and the key"));
    }
    if !has(&text, "PRIVATE KEY-----") {
        let Some(key) = extra(&path, "key", beside, context).filter(|_| beside.key) else {
            let message = format!("{} holds no private key", path.display());
            return Err(arg.refuse(message, "the key in the same file or in FILE.key"));
        };
        text.push(b'\n');
        text.extend(key);
    }
    Ok((path, text.into()))
}

/// The keys of a `tls-ticket-keys` file: base64, one a line, 48 or 80 bytes each, three at least.
pub(in crate::config::haproxy) fn ticket_keys(
    arg: &Arg<'_>,
    context: &Context<'_>,
) -> Parsed<Vec<TicketKey>> {
    let path = PathBuf::from(arg.text);
    let text = context
        .files
        .read(&path)
        .map_err(|error| unreadable(arg, "file of ticket keys", &path, &error))?;
    let text = String::from_utf8_lossy(&text);
    let mut keys = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let decoded = base64::engine::general_purpose::STANDARD.decode(line.trim());
        let key = decoded.ok().filter(|key| match keys.first() {
            None => matches!(key.len(), 48 | 80),
            Some(TicketKey(first)) => key.len() == first.len(),
        });
        let Some(key) = key else {
            let message = format!("{}:{number} is no ticket key", path.display());
            return Err(arg.refuse(message, "48 or 80 bytes in base64, of one length"));
        };
        keys.push(TicketKey(key.into()));
    }
    match keys.len() {
        ..3 => Err(arg.refuse(
            "please supply at least 3 keys in the tls-tickets-file",
            "3 lines",
        )),
        _ => Ok(keys),
    }
}
