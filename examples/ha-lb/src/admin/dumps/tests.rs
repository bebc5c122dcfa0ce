use std::{fs, os::unix::fs::PermissionsExt as _};

use super::*;

#[test]
fn a_file_takes_the_place_of_a_link_whose_target_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (target, path) = (folder.path().join("target"), folder.path().join("dump"));
    fs::write(&target, "precious").unwrap();
    std::os::unix::fs::symlink(&target, &path).unwrap();
    for text in ["one", "two"] {
        replace(&path, text, 0o600).unwrap();
        let found = fs::symlink_metadata(&path).unwrap();
        assert!(found.is_file() && found.permissions().mode() & 0o777 == 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    // Names that someone has taken beforehand are not used.
    let taken = folder.path().join(format!("dump.{}.0", std::process::id()));
    std::os::unix::fs::symlink(&target, &taken).unwrap();
    replace(&path, "three", 0o600).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "three");
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
}

#[test]
fn counters_that_began_anew_are_shown_as_they_are() {
    let counters = |sent: u64| {
        Stats::from(&status::Counters {
            sent,
            ..status::Counters::default()
        })
    };
    assert_eq!(counters(9).since(counters(4)), counters(5));
    assert_eq!(counters(3).since(counters(4)), counters(3));
}
