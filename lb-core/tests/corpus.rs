//! Replays the fuzz corpus of the repository on the bodies of the fuzz targets. The corpus is not
//! part of the published crate.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path};

fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let Ok(entries) = fs::read_dir(&folder) else {
        eprintln!("skipped: no corpus at {}", folder.display());
        return;
    };
    let mut count = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        eprintln!("{}", path.display());
        body(&fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

#[test]
fn http1_messages() {
    replay("http1", lb_core::fuzzing::http1);
}

#[test]
fn proxy_headers() {
    replay("proxy_protocol", lb_core::fuzzing::proxy_header);
}

#[test]
fn rules() {
    replay("rules", lb_core::fuzzing::rules);
}
