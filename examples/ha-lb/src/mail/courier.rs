//! The process that carries one letter to a mail server (RFC 5321, without TLS, as keepalived) and ends.
//!
//! It is user `nobody` where it may become that, keeps no capability and can never gain one. Nothing else of the
//! daemon reads what a mail server says.

use std::{
    io::{self, Read as _, Write as _},
    process::{ExitCode, Output},
    time::Duration,
};

use lettre::{
    Address, SmtpTransport, Transport as _, address::Envelope, transport::smtp::extension::ClientId,
};
use serde::{Deserialize, Serialize};

use super::{Attempt, Settings, letter::Letter};
use crate::privileges::{self, Identity};

/// The hidden subcommand that makes the program a courier.
pub const SUBCOMMAND: &str = "courier";
/// Exit code: the server will never take it.
const NEVER: u8 = 2;
/// Where the system does not name it.
const NOBODY: u32 = 65_534;
/// So much of what the server said is kept.
const SAID: usize = 300;

/// A letter and where it goes.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    server: (String, u16),
    helo: String,
    timeout: Duration,
    from: String,
    to: Vec<String>,
    text: String,
}

impl Job {
    /// That letter.
    pub fn new(settings: &Settings, letter: &Letter) -> Self {
        Self {
            server: settings.server.clone(),
            helo: settings.helo.clone(),
            timeout: settings.timeout,
            from: settings.from.clone(),
            to: settings.to.clone(),
            text: letter.text(&settings.router_id, &settings.from, &settings.to),
        }
    }

    fn carry(&self) -> Attempt {
        let (host, port) = &self.server;
        let envelope = match self.envelope() {
            Ok(envelope) => envelope,
            Err(why) => return Attempt::Never(why),
        };
        let transport = SmtpTransport::builder_dangerous(host)
            .port(*port)
            .hello_name(ClientId::Domain(self.helo.clone()))
            .timeout(Some(self.timeout))
            .build();
        match transport.send_raw(&envelope, self.text.as_bytes()) {
            Ok(_) => Attempt::Sent,
            Err(error) if error.is_permanent() => Attempt::Never(self.told(&error)),
            Err(error) => Attempt::Later(self.told(&error)),
        }
    }

    fn envelope(&self) -> Result<Envelope, String> {
        let to: Result<Vec<Address>, String> = self.to.iter().map(|to| address(to)).collect();
        Envelope::new(Some(address(&self.from)?), to?).map_err(|e| e.to_string())
    }

    fn told(&self, error: &dyn std::error::Error) -> String {
        let (host, port) = &self.server;
        let mut told = format!("{host}:{port}: {error}");
        let mut source = error.source();
        while let Some(error) = source {
            let inner = error.to_string();
            if !told.contains(&inner) {
                told = format!("{told}: {inner}");
            }
            source = error.source();
        }
        told
    }
}

/// An address of the file. The server's own users need no host.
pub fn address(text: &str) -> Result<Address, String> {
    let whole = match text.contains('@') {
        true => text.to_owned(),
        false => format!("{text}@localhost"),
    };
    whole.parse().map_err(|e| format!("`{text}`: {e}"))
}

/// The role's entry point; standard input is the job.
pub fn main() -> ExitCode {
    let attempt = give_up_rights().and_then(|()| {
        let mut job = Vec::new();
        io::stdin().read_to_end(&mut job)?;
        let job: Job = serde_json::from_slice(&job)?;
        Ok(job.carry())
    });
    let (code, why) = match attempt {
        Ok(Attempt::Sent) => return ExitCode::SUCCESS,
        Ok(Attempt::Never(why)) => (ExitCode::from(NEVER), why),
        Ok(Attempt::Later(why)) => (ExitCode::FAILURE, why),
        Err(error) => (ExitCode::FAILURE, error.to_string()),
    };
    let _ = writeln!(io::stderr(), "{why}");
    code
}

fn give_up_rights() -> io::Result<()> {
    let nobody = Identity {
        user: privileges::user_id("nobody").ok().or(Some(NOBODY)),
        group: privileges::primary_group("nobody").or(Some(NOBODY)),
        chroot: None,
    };
    // In a namespace of root alone there is nobody to become.
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let exists = nobody.user.is_none_or(|user| is_mapped(&map, user));
    if rustix::process::geteuid().is_root() && exists {
        let become_nobody = nobody.assume();
        return become_nobody.map_err(|e| io::Error::other(format!("cannot become nobody: {e}")));
    }
    privileges::keep_only(&[]).map_err(io::Error::other)
}

/// Whether a namespace with this map (user_namespaces(7)) has that user. One that cannot be read has every user.
fn is_mapped(map: &str, user: u32) -> bool {
    let ranges = map.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        let (first, _, count) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let first = first.ok()?;
        Some(first..first.saturating_add(count.ok()?))
    });
    let mut ranges = ranges.peekable();
    ranges.peek().is_none() || ranges.any(|range| range.contains(&u64::from(user)))
}

/// How a courier ended.
pub(super) fn attempt_of(output: &Output) -> Attempt {
    let said = String::from_utf8_lossy(&output.stderr);
    let printable = said.trim().chars().filter(|c| !c.is_control());
    let why: String = printable.take(SAID).collect();
    match output.status.code() {
        Some(0) => Attempt::Sent,
        Some(code) if code == i32::from(NEVER) => Attempt::Never(why),
        _ if why.is_empty() => Attempt::Later(format!("the courier ended: {}", output.status)),
        _ => Attempt::Later(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_passed_over_only_where_there_is_none() {
        assert!(!is_mapped("         0       1000          1\n", NOBODY));
        assert!(is_mapped("         0          0 4294967295\n", NOBODY));
        assert!(is_mapped("0 1000 1\n65534 100000 1\n", NOBODY));
        assert!(is_mapped("", NOBODY), "then becoming it must not fail");
    }
}
