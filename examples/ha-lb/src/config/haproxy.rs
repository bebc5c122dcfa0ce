//! HAProxy's dialect: text -> words with places -> sections -> the balancer's typed configuration.
//!
//! Every line is kept until the end, every word knows its file, line and column, and each keyword of HAProxy 2.6
//! is known by name, so that nothing in a file is skipped in silence. Nothing here opens a socket or touches the
//! host: files, names of hosts and environment variables come through [`Files`], and of the host itself no more than
//! its name is asked. Read in this order: `lexer`, `document`, `keywords`, `reader`, `proxy`, `finish`, `whole`.

mod address;
mod args;
mod balance;
mod bind;
mod cache;
mod check;
pub mod condition;
mod default_path;
mod directive;
mod document;
mod draft;
pub mod dynamic;
mod error_pages;
mod external_check;
mod finish;
mod global;
mod inherit;
pub mod keywords;
mod lexer;
mod log;
mod obsolete;
mod option;
mod peers;
mod persistence;
mod proxy;
mod reader;
mod resolvers;
mod rule_order;
mod rules;
mod script_check;
mod server;
mod server_state;
mod server_tls;
mod server_watch;
mod standin;
mod stats;
mod tls;
mod unix_socket;
mod userlist;
mod value;
mod whole;

use std::path::{Path, PathBuf};

use lb_core::config::{Config, TlsCertificate, TlsSettings};

use self::{args::Context, lexer::Environment, reader::Reader};
use super::{
    diagnostic::{Diagnostic, Diagnostics, Severity, Span},
    files::Files,
};

/// The certificates of one line of a `crt-list`, as it is written on a command line: `FILE [options] names`. `of_bind`
/// are the settings that the options change. The finding in words where it cannot be used.
pub fn certificate_list_line(
    text: &str,
    of_bind: &TlsSettings,
    files: &dyn Files,
) -> Result<Vec<TlsCertificate>, String> {
    let mut diagnostics = Diagnostics::new();
    let mut context = Context {
        files,
        diagnostics: &mut diagnostics,
    };
    tls::line(text, &tls::Words::of(of_bind), &mut context).map_err(|finding| finding.message)
}

/// Reads one or more files (in order, as `-f a -f b`; a directory stands for its `*.cfg` files) into one
/// configuration. `None` if there were errors.
pub fn load(paths: &[PathBuf], files: &dyn Files, diagnostics: &mut Diagnostics) -> Option<Config> {
    let errors = diagnostics.count(Severity::Error);
    let warnings = diagnostics.count(Severity::Warning);
    let mut environment = Environment::new(files);
    let mut reader = Reader::default();
    let expanded: Vec<PathBuf> = paths.iter().flat_map(|path| expand(path, files)).collect();
    // A reload must not take an emptied directory for a configuration without proxies.
    if let (true, Some(directory)) = (expanded.is_empty(), paths.first()) {
        diagnostics.push(Diagnostic::error(
            Span::whole_file(directory),
            "the directory holds no file whose name ends in .cfg",
        ));
    }
    for path in expanded {
        let mut context = Context { files, diagnostics };
        match files.read(&path) {
            Ok(text) => {
                if reader.file(&path, &text, &mut environment, &mut context) {
                    // What follows was perhaps not meant to be read as it stands: nothing more is said of it.
                    return None;
                }
            }
            Err(error) => context.diagnostics.push(Diagnostic::error(
                Span::whole_file(&path),
                format!("cannot open the configuration file: {error}"),
            )),
        }
    }
    let zero_warning = reader.global.zero_warning.clone();
    let config = reader.finish(&mut Context { files, diagnostics });
    let of_rules = environment.of_rules(&config.global.stats_sockets);
    config.variables.change_environment(of_rules);
    if let Some(span) = zero_warning
        && diagnostics.count(Severity::Warning) > warnings
    {
        let message = "Some warnings were found and 'zero-warning' is set. Aborting.";
        diagnostics.push(Diagnostic::error(span, message));
    }
    (diagnostics.count(Severity::Error) == errors).then_some(config)
}

/// Parses arbitrary bytes as a configuration file: the body of a fuzz target. Must not panic.
pub fn fuzz(data: &[u8]) {
    let path = PathBuf::from("fuzz.cfg");
    let files = super::files::Bundle::default().with_file(path.clone(), data);
    let mut diagnostics = Diagnostics::new();
    let config = load(&[path], &files, &mut diagnostics);
    debug_assert_eq!(config.is_none(), diagnostics.has_errors());
}

/// A directory's `*.cfg` files in lexical order, or the file itself.
pub fn expand(path: &Path, files: &dyn Files) -> Vec<PathBuf> {
    let Ok(entries) = files.list(path) else {
        return vec![path.to_owned()];
    };
    let hidden = |path: &Path| {
        path.file_name()
            .is_none_or(|name| name.to_string_lossy().starts_with('.'))
    };
    entries
        .into_iter()
        .filter(|entry| entry.extension().is_some_and(|e| e == "cfg") && !hidden(entry))
        .collect()
}

#[cfg(test)]
mod tests;
