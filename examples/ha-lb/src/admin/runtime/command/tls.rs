//! Commands on certificates, authorities and lists of what was taken back.

use lb_core::config::StatsLevel::{Admin, Operator, User};

use super::{
    Command,
    table::{Entry, entry, entry_with_payload},
};

/// Kind of a file that TLS uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsKind {
    /// A certificate with its key.
    Certificate,
    /// Authorities.
    Authorities,
    /// Certificates that were taken back.
    Revoked,
}

/// A command on files of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsCommand {
    /// `show ssl cert`, `ca-file`, `crl-file`.
    Show(TlsKind, Option<String>),
    /// `new ssl`: an empty one.
    New(TlsKind, String),
    /// `set ssl`: the next contents.
    Set(TlsKind, String, String),
    /// `commit ssl`.
    Commit(TlsKind, String),
    /// `abort ssl`.
    Abort(TlsKind, String),
    /// `del ssl`: one that is not used.
    Delete(TlsKind, String),
    /// `show ssl crt-list`: with the numbers of lines.
    ShowList(Option<String>, bool),
    /// `add ssl crt-list`: the list, and a line.
    AddToList(String, String),
    /// `del ssl crt-list`: the list, and a certificate, maybe with a number of a line.
    DeleteFromList(String, String),
    /// `show ssl ocsp-response`.
    ShowResponse(Option<String>),
    /// `set ssl ocsp-response`, in base64.
    SetResponse(String),
}

const SHOW_CA: &str = "display the SSL CA files used in memory, or the details of a <cafile>, or a single certificate of index \
     <index> of a CA file <cafile>";
const SHOW_CRL: &str = "display the SSL CRL files used in memory, or the details of a <crlfile>, or a single CRL of index <index> of \
     CRL file <crlfile>";

/// Entries on one kind of file: its word, the word for its name, and what is said of it.
macro_rules! entries {
    ($word:literal, $kind:expr, $name:literal, $text:literal, $del_lacks:literal, $set_lacks:literal) => {
        [
            entry(
                &["abort", "ssl", $word],
                Admin,
                concat!("abort ssl ", $word, " <", $name, ">"),
                concat!("abort a transaction for a ", $text),
                |words| {
                    Ok(Command::Tls(TlsCommand::Abort(
                        $kind,
                        name(words, concat!("'abort ssl ", $word, "' expects a filename"))?,
                    )))
                },
            ),
            entry(
                &["commit", "ssl", $word],
                Admin,
                concat!("commit ssl ", $word, " <", $name, ">"),
                concat!("commit a ", $text),
                |words| {
                    Ok(Command::Tls(TlsCommand::Commit(
                        $kind,
                        name(words, concat!("'commit ssl ", $word, " expects a filename"))?,
                    )))
                },
            ),
            entry(
                &["del", "ssl", $word],
                Admin,
                concat!("del ssl ", $word, " <", $name, ">"),
                concat!("delete an unused ", $text),
                |words| {
                    Ok(Command::Tls(TlsCommand::Delete(
                        $kind,
                        name(words, $del_lacks)?,
                    )))
                },
            ),
            entry(
                &["new", "ssl", $word],
                Admin,
                concat!("new ssl ", $word, " <", $name, ">"),
                concat!("create a new ", $text, " to be used in a crt-list"),
                |words| {
                    Ok(Command::Tls(TlsCommand::New(
                        $kind,
                        name(words, concat!("'new ssl ", $word, "' expects a filename"))?,
                    )))
                },
            ),
            entry_with_payload(
                &["set", "ssl", $word],
                Admin,
                concat!("set ssl ", $word, " <", $name, "> <payload>"),
                concat!("replace a ", $text),
                |words, payload| match (words.first(), payload) {
                    (Some(name), Some(payload)) => Ok(Command::Tls(TlsCommand::Set(
                        $kind,
                        name.clone(),
                        payload.to_owned(),
                    ))),
                    _ => Err($set_lacks.to_owned()),
                },
            ),
        ]
    };
}

const CERTIFICATES: &[Entry] = &entries!(
    "cert",
    TlsKind::Certificate,
    "certfile",
    "certificate file",
    "'del ssl cert' expects a certificate name",
    "'set ssl cert expects a filename and a certificate as a payload"
);
const AUTHORITIES: &[Entry] = &entries!(
    "ca-file",
    TlsKind::Authorities,
    "cafile",
    "CA file",
    "'del ssl ca-file' expects a CA file name",
    "'set ssl ca-file expects a filename and CAs as a payload"
);
const REVOKED: &[Entry] = &entries!(
    "crl-file",
    TlsKind::Revoked,
    "crlfile",
    "CRL file",
    "'del ssl crl-file' expects a CRL file name",
    "'set ssl crl-file expects a filename and CRLs as a payload"
);

const OTHERS: &[Entry] = &[
    entry_with_payload(
        &["add", "ssl", "crt-list"],
        Admin,
        "add ssl crt-list <list> <cert> [opts]*",
        "add to crt-list file <list> a line <cert> or a payload",
        |words, payload| {
            let line = payload.or_else(|| words.get(1).map(String::as_str));
            match (words.first(), line.map(str::trim)) {
                (Some(list), Some(line)) if !line.is_empty() => Ok(Command::Tls(
                    TlsCommand::AddToList(unslashed(list), line.to_owned()),
                )),
                _ => Err("'add ssl crtlist' expects a filename and a certificate name".to_owned()),
            }
        },
    ),
    entry(
        &["del", "ssl", "crt-list"],
        Admin,
        "del ssl crt-list <list> <cert[:line]>",
        "delete a line <cert> from crt-list file <list>",
        |words| match words {
            [list, certificate, ..] => Ok(Command::Tls(TlsCommand::DeleteFromList(
                unslashed(list),
                certificate.clone(),
            ))),
            _ => Err("'del ssl crtlist' expects a filename and a certificate name".to_owned()),
        },
    ),
    entry_with_payload(
        &["set", "ssl", "ocsp-response"],
        Admin,
        "set ssl ocsp-response <resp|payload>",
        "update a certificate's OCSP Response from a base64-encode DER",
        |words, payload| match payload.or_else(|| words.first().map(String::as_str)) {
            Some(response) => Ok(Command::Tls(TlsCommand::SetResponse(response.to_owned()))),
            None => Err("'set ssl ocsp-response' expects response in base64 encoding.".to_owned()),
        },
    ),
    entry(
        &["show", "ssl", "ca-file"],
        Operator,
        "show ssl ca-file [<cafile>[:<index>]]",
        SHOW_CA,
        |words| show(TlsKind::Authorities, words),
    ),
    entry(
        &["show", "ssl", "cert"],
        Operator,
        "show ssl cert [<certfile>]",
        "display the SSL certificates used in memory, or the details of a file",
        |words| show(TlsKind::Certificate, words),
    ),
    entry(
        &["show", "ssl", "crl-file"],
        Operator,
        "show ssl crl-file [<crlfile[:<index>>]]",
        SHOW_CRL,
        |words| show(TlsKind::Revoked, words),
    ),
    entry(
        &["show", "ssl", "crt-list"],
        Admin,
        "show ssl crt-list [-n] [<list>]",
        "show the list of crt-lists or the content of a crt-list file <list>",
        |words| {
            let numbered = words.iter().any(|word| word == "-n");
            let list = words.iter().find(|word| *word != "-n");
            Ok(Command::Tls(TlsCommand::ShowList(
                list.map(|list| unslashed(list)),
                numbered,
            )))
        },
    ),
    entry(
        &["show", "ssl", "ocsp-response"],
        User,
        "show ssl ocsp-response [id]",
        "display the IDs of the OCSP responses used in memory, or the details of a single OCSP response",
        |words| {
            Ok(Command::Tls(TlsCommand::ShowResponse(
                words.first().cloned(),
            )))
        },
    ),
];

/// The entries of the table.
pub(super) fn table() -> impl Iterator<Item = &'static Entry> {
    let kinds = CERTIFICATES.iter().chain(AUTHORITIES).chain(REVOKED);
    kinds.chain(OTHERS)
}

fn show(kind: TlsKind, words: &[String]) -> Result<Command, String> {
    Ok(Command::Tls(TlsCommand::Show(kind, words.first().cloned())))
}

fn name(words: &[String], lacks: &str) -> Result<String, String> {
    words.first().cloned().ok_or_else(|| lacks.to_owned())
}

/// A directory may be written with slashes behind.
fn unslashed(list: &str) -> String {
    list.trim_end_matches('/').to_owned()
}
