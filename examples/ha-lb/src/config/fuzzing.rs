//! Bodies of the fuzz targets: what must hold for any file. The corpus is replayed by
//! `tests/corpus.rs`.

use std::path::{Path, PathBuf};

use super::{diagnostic::Diagnostics, files::Bundle, haproxy, keepalived};

/// A disk with one file, which may include itself.
fn one_file(data: &[u8]) -> Bundle {
    Bundle::default().with_file("f", data)
}

/// A keepalived file is accepted, or refused with a reason; places and text can be shown.
pub fn keepalived(data: &[u8]) {
    let mut diagnostics = Diagnostics::new();
    let config = keepalived::load(Path::new("f"), &one_file(data), &mut diagnostics);
    assert_eq!(config.is_none(), diagnostics.has_errors());
    let _ = diagnostics.to_string();
}

/// An HAProxy file is accepted, or refused with a reason.
pub fn haproxy(data: &[u8]) {
    let mut diagnostics = Diagnostics::new();
    let config = haproxy::load(&[PathBuf::from("f")], &one_file(data), &mut diagnostics);
    assert_eq!(config.is_none(), diagnostics.has_errors());
    let _ = diagnostics.to_string();
}
