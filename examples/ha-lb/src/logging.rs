//! Log lines on standard error: one line per event, in plain words.
//!
//! `HA_LB_LOG` sets what is logged (`info` by default, as a filter of tracing-subscriber), `HA_LB_LOG_FORMAT=json`
//! the form. A reader that does not keep up loses lines; it never holds the process up.

mod lines;

use std::{
    io::{IsTerminal as _, Stderr, stderr},
    sync::atomic::AtomicU64,
};

use tracing_subscriber::EnvFilter;

use lines::Lines;

static LOST: AtomicU64 = AtomicU64::new(0);

fn writer() -> Lines<'static, Stderr> {
    Lines {
        out: stderr(),
        lost: &LOST,
    }
}

/// Sets up logging for this process; only the first call has an effect.
pub fn init() {
    let filter = EnvFilter::try_from_env("HA_LB_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(stderr().is_terminal())
        .with_target(false);
    let json = std::env::var("HA_LB_LOG_FORMAT").is_ok_and(|form| form == "json");
    let _ = if json {
        lines.json().try_init()
    } else {
        lines.try_init()
    };
}
