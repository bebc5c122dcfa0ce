//! Not a test: a data plane to be measured from outside.

use lb_core::config::{HttpMode, Mode};

use crate::common::{Plane, listen};

/// `BENCH_ORIGIN=address BENCH_MODE=tcp|http cargo test --release ... -- --ignored bench` prints the addresses of
/// keep-alive, http-server-close and httpclose proxies and runs until standard input ends; they log with
/// `BENCH_LOG`.
#[test]
#[ignore = "a program for measuring"]
fn bench() {
    let origin = std::env::var("BENCH_ORIGIN").unwrap().parse().unwrap();
    let mode = match std::env::var("BENCH_MODE").as_deref() {
        Ok("tcp") => Mode::Tcp,
        _ => Mode::Http,
    };
    let logs = std::env::var("BENCH_LOG").is_ok();
    let modes = [HttpMode::KeepAlive, HttpMode::ServerClose, HttpMode::Close];
    let proxies = modes.map(|http_mode| {
        let mut proxy = listen(&format!("{http_mode:?}"), mode, &[origin]);
        proxy.http_mode = http_mode;
        proxy
    });
    let plane = Plane::start_with(proxies.to_vec(), |config, _| {
        for proxy in &mut config.proxies {
            if !logs {
                proxy.logs.clear();
            }
        }
    });
    for address in plane.addresses.iter().flatten() {
        eprintln!("bench {address}");
    }
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
}
