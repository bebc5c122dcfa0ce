//! Not a test: a data plane to be measured from outside.

use lb_core::config::Mode;

use crate::common::{Plane, listen};

/// `BENCH_ORIGIN=address BENCH_MODE=tcp|http cargo test --release ... -- --ignored bench` prints the address and
/// runs until standard input ends.
#[test]
#[ignore = "a program for measuring"]
fn bench() {
    let origin = std::env::var("BENCH_ORIGIN").unwrap().parse().unwrap();
    let mode = match std::env::var("BENCH_MODE").as_deref() {
        Ok("tcp") => Mode::Tcp,
        _ => Mode::Http,
    };
    let mut proxy = listen("b", mode, &[origin]);
    proxy.log_format = lb_core::config::LogFormatKind::Connect;
    let plane = Plane::start_with(vec![proxy], |config, _| {
        for proxy in &mut config.proxies {
            proxy.logs.clear();
        }
    });
    eprintln!("{}", plane.address());
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
}
