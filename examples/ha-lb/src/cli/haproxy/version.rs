//! `haproxy -v` and `-vv`, as programs read them: the version, and what was built in.

use std::{collections::BTreeSet, io::Write as _, process::ExitCode};

use crate::{admin::stat::info, config::haproxy::condition};

/// What HAProxy may be built with and this program never is, by its names.
const MISSING: [&str; 4] = ["DEVICEATLAS", "LUA", "QUIC", "WURFL"];

/// Below the list of features.
const BUILT_IN: &str = "\
TLS by rustls : TLSv1.2 TLSv1.3
Built with the Prometheus exporter as a service
Built with network namespace support.

Available polling systems :
      epoll : pref=300,  test result OK
Total: 1 (1 usable), will use epoll.

Available multiplexer protocols :
(protocols marked as <default> cannot be specified using 'proto' keyword)
         h2 : mode=HTTP  side=FE|BE  mux=H2    flags=HTX|HOL_RISK|NO_UPG
  <default> : mode=HTTP  side=FE|BE  mux=H1    flags=HTX
         h1 : mode=HTTP  side=FE|BE  mux=H1    flags=HTX|NO_UPG
  <default> : mode=TCP   side=FE|BE  mux=PASS  flags=

Available services : prometheus-exporter
";

/// `-v`.
pub(super) fn print() -> ExitCode {
    let system = rustix::system::uname();
    let text = format!(
        "HAProxy version {} {} - https://haproxy.org/\nStatus: ha-lb in the place of HAProxy 2.6\n\
         Running on: {} {} {} {}\n",
        info::VERSION,
        info::RELEASE_DATE,
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
        system.version().to_string_lossy(),
        system.machine().to_string_lossy(),
    );
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// `-vv`.
pub(super) fn print_details() -> ExitCode {
    print();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let there = condition::FEATURES.iter().map(|name| (*name, '+'));
    let features: BTreeSet<_> = there.chain(MISSING.map(|name| (name, '-'))).collect();
    let features: Vec<String> = features
        .into_iter()
        .map(|(name, sign)| format!("{sign}{name}"))
        .collect();
    let text = format!(
        "Build options :\n  TARGET  = linux-glibc\n\nFeature list : {}\n\nDefault settings :\n  \
         bufsize = 16384, maxrewrite = 1024\n\n\
         Built with multi-threading support (MAX_THREADS=64, default={threads}).\n{BUILT_IN}",
        features.join(" "),
    );
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}
