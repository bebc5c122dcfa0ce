//! The reference daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    ha_lb::cli::main()
}
