//! Results of checks in HAProxy's words.

use std::{fmt, sync::Arc, time::Duration};

use crate::config::CheckConfig;

/// Result of a check. The numbers are those of `show servers state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CheckStatus {
    /// Nothing known.
    Unknown = 0,
    /// No check is done yet.
    #[default]
    Initializing = 1,
    /// It was done, and said nothing of the health (an agent).
    Checked = 3,
    /// Traffic showed too many errors.
    Analysis = 4,
    /// The check could not be started.
    SocketError = 5,
    /// Connected.
    L4Ok = 6,
    /// Connecting took too long.
    L4Timeout = 7,
    /// Connecting failed.
    L4Connection = 8,
    /// TLS handshake done.
    L6Ok = 9,
    /// The TLS handshake took too long.
    L6Timeout = 10,
    /// The TLS handshake failed.
    L6Response = 11,
    /// The answer took too long.
    L7Timeout = 12,
    /// The answer was not understood.
    L7Response = 13,
    /// The answer was the expected one.
    L7Ok = 15,
    /// The answer was one for "no new streams".
    L7OkConditional = 16,
    /// The answer was an error.
    L7Status = 17,
    /// A program said no, or did not run.
    ProgramError = 18,
    /// A program took too long.
    ProgramTimeout = 19,
    /// A program said yes.
    ProgramOk = 20,
}

impl CheckStatus {
    /// The word of the `check_status` column.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "UNK",
            Self::Initializing => "INI",
            Self::Checked => "CHECKED",
            Self::Analysis => "HANA",
            Self::SocketError => "SOCKERR",
            Self::L4Ok => "L4OK",
            Self::L4Timeout => "L4TOUT",
            Self::L4Connection => "L4CON",
            Self::L6Ok => "L6OK",
            Self::L6Timeout => "L6TOUT",
            Self::L6Response => "L6RSP",
            Self::L7Timeout => "L7TOUT",
            Self::L7Response => "L7RSP",
            Self::L7Ok => "L7OK",
            Self::L7OkConditional => "L7OKC",
            Self::L7Status => "L7STS",
            Self::ProgramError => "PROCERR",
            Self::ProgramTimeout => "PROCTOUT",
            Self::ProgramOk => "PROCOK",
        }
    }

    /// The sentence of the `check_desc` column and of log lines.
    pub fn description(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Initializing => "Initializing",
            Self::Checked => "No status change",
            Self::Analysis => "Health analyze",
            Self::SocketError => "Socket error",
            Self::L4Ok => "Layer4 check passed",
            Self::L4Timeout => "Layer4 timeout",
            Self::L4Connection => "Layer4 connection problem",
            Self::L6Ok => "Layer6 check passed",
            Self::L6Timeout => "Layer6 timeout",
            Self::L6Response => "Layer6 invalid response",
            Self::L7Timeout => "Layer7 timeout",
            Self::L7Response => "Layer7 invalid response",
            Self::L7Ok => "Layer7 check passed",
            Self::L7OkConditional => "Layer7 check conditionally passed",
            Self::L7Status => "Layer7 wrong status",
            Self::ProgramError => "External check error",
            Self::ProgramTimeout => "External check timeout",
            Self::ProgramOk => "External check passed",
        }
    }

    /// Whether the server passed; `None` before the first check.
    pub fn passed(self) -> Option<bool> {
        match self {
            Self::Unknown | Self::Initializing | Self::Checked => None,
            Self::L4Ok | Self::L6Ok | Self::L7Ok | Self::L7OkConditional | Self::ProgramOk => {
                Some(true)
            }
            _ => Some(false),
        }
    }

    /// `srv_check_result` of `show servers state`.
    pub fn result_number(self) -> u8 {
        match (self, self.passed()) {
            (Self::L7OkConditional, _) => 4,
            (_, Some(true)) => 3,
            (_, Some(false)) => 2,
            (_, None) => 0,
        }
    }
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeResult {
    /// The result.
    pub status: CheckStatus,
    /// Status code of the answer (`check_code`).
    pub code: Option<u16>,
    /// How long it took.
    pub duration: Duration,
    /// What the system or the server said (`last_chk`, `info:` in log lines); empty for nothing.
    pub detail: Arc<str>,
}

/// `reason: Layer7 wrong status, code: 500, info: "Oops", check duration: 1ms`.
impl fmt::Display for ProbeResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reason: {}", self.status.description())?;
        if let Some(code) = self.code {
            write!(f, ", code: {code}")?;
        }
        if !self.detail.is_empty() {
            f.write_str(", info: \"")?;
            for byte in self.detail.bytes() {
                // What a server says of itself ends no line and no quotation.
                match byte {
                    b' '..=b'~' if byte != b'"' => write!(f, "{}", char::from(byte))?,
                    _ => write!(f, "<{byte:02X}>")?,
                }
            }
            f.write_str("\"")?;
        }
        if self.status == CheckStatus::Analysis {
            // Nothing was checked.
            return Ok(());
        }
        write!(f, ", check duration: {}ms", self.duration.as_millis())
    }
}

/// State of a server's checks as statistics show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// The last result.
    pub result: ProbeResult,
    /// 0 is fully down, `rise + fall - 1` fully up, `rise` and more is up (`check_health`).
    pub health: u32,
    /// Successes until up.
    pub rise: u32,
    /// Failures until down.
    pub fall: u32,
}

impl CheckReport {
    /// Before the first check: up, and the first result counts as it is.
    pub fn initial(config: &CheckConfig) -> Self {
        let (rise, fall) = (config.rise.max(1), config.fall.max(1));
        Self {
            result: ProbeResult {
                status: CheckStatus::Initializing,
                code: None,
                duration: Duration::ZERO,
                detail: Arc::from(""),
            },
            health: rise,
            rise,
            fall,
        }
    }

    /// Before an agent has said anything: up. One word of it is enough.
    pub(crate) fn of_agent() -> Self {
        Self {
            rise: 1,
            fall: 1,
            health: 1,
            ..Self::initial(&CheckConfig::default())
        }
    }

    /// Whether the checks say up.
    pub fn is_up(&self) -> bool {
        self.health >= self.rise
    }

    /// What `option log-health-checks` logs of it; `None` while nothing differs from `before`. `check` is what was done
    /// (`Health check for server b/s`), `serves` whether the server's weight lets it.
    pub fn log_line(&self, before: &Self, check: &str, serves: bool) -> Option<String> {
        let status = self.result.status;
        if status == before.result.status && self.health == before.health {
            return None;
        }
        let how = match status.passed()? {
            true if status == CheckStatus::L7OkConditional => "conditionally succeeded",
            true => "succeeded",
            false => "failed",
        };
        let (count, of, word) = match self.is_up() {
            true if serves => (self.health - self.rise + 1, self.fall, "UP"),
            true => (self.health - self.rise + 1, self.fall, "DRAIN"),
            false => (self.health, self.rise, "DOWN"),
        };
        let result = &self.result;
        Some(format!(
            "{check} {how}, {result}, status: {count}/{of} {word}."
        ))
    }

    /// Whether nothing is changing.
    pub fn is_settled(&self) -> bool {
        self.health == 0 || self.health + 1 == self.rise + self.fall
    }
}
