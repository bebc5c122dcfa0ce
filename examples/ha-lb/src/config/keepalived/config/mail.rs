//! Alerts by mail.

use std::time::Duration;

/// What `global_defs` says of mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// `notification_email`: recipients.
    pub to: Vec<String>,
    /// `notification_email_from`.
    pub from: Option<String>,
    /// `smtp_server`: host and port.
    pub server: Option<(String, u16)>,
    /// `smtp_helo_name`.
    pub helo: Option<String>,
    /// `smtp_connect_timeout` (30 s).
    pub timeout: Duration,
    /// `no_email_faults`.
    pub no_faults: bool,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            to: Vec::new(),
            from: None,
            server: None,
            helo: None,
            timeout: Duration::from_secs(30),
            no_faults: false,
        }
    }
}
