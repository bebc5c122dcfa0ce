//! The VRRP process.

use std::process::ExitCode;

/// The role's entry point; standard input is the supervisor's socket.
pub fn main() -> ExitCode {
    ExitCode::FAILURE
}
