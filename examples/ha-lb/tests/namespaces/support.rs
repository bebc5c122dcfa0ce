//! What the namespace tests share: the enclosure, waiting with a deadline, the users' files.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use ha_lb::lab::enclosure;

/// What a test needs of the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Namespaces only: works for any user.
    Namespaces,
    /// The machine's users too (setuid, chroot owners): works for root only.
    Users,
}

/// Runs `test` inside an enclosure by re-executing this test program with only the test called `name`.
///
/// Where enclosures (or `programs`) are missing, says so and skips; with `CI` set that is a failure.
pub(crate) fn enclosed(name: &str, needs: Needs, programs: &[&str], test: impl FnOnce()) {
    if enclosure::is_inside() {
        enclosure::follow_the_outer_process().unwrap();
        return test();
    }
    let root = rustix::process::geteuid().is_root();
    let keep_users = root && needs == Needs::Users;
    let obstacle = if needs == Needs::Users && !root {
        Some("needs root for other users".to_owned())
    } else if let Err(error) = enclosure::permitted(keep_users) {
        Some(format!("no namespaces: {error}"))
    } else {
        programs
            .iter()
            .find(|program| !installed(program))
            .map(|program| format!("{program} is not installed"))
    };
    if let Some(obstacle) = obstacle {
        assert!(std::env::var_os("CI").is_none(), "{name}: {obstacle}");
        println!("{name}: skipped: {obstacle}");
        return;
    }
    let program = std::env::current_exe().unwrap();
    let status = enclosure::run(
        program.as_os_str(),
        &["--exact", name, "--nocapture"],
        keep_users,
    )
    .unwrap();
    assert!(status.success(), "{name}: {status}");
}

/// Whether a program is there.
pub(crate) fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .any(|folder| folder.join(program).exists())
}

/// Polls `condition` until it holds; panics with `what` after `patience`.
pub(crate) fn wait_for<T>(
    what: &str,
    patience: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One of the users' own files.
pub(crate) fn users_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/configs")
        .join(name)
}
