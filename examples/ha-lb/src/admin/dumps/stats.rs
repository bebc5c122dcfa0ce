//! `keepalived.stats`, and the same counters for `keepalived.json`.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Router, status};

/// What keepalived counts of an instance, under its names and in its order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    advert_rcvd: u64,
    advert_sent: u64,
    become_master: u64,
    release_master: u64,
    packet_len_err: u64,
    advert_interval_err: u64,
    ip_ttl_err: u64,
    invalid_type_rcvd: u64,
    addr_list_err: u64,
    invalid_authtype: u64,
    authtype_mismatch: u64,
    auth_failure: u64,
    pri_zero_rcvd: u64,
    pri_zero_sent: u64,
}

impl From<&status::Counters> for Stats {
    fn from(counters: &status::Counters) -> Self {
        let rejected = |cause: &str| {
            let of_cause = counters.rejected.iter().filter(|r| r.cause == cause);
            of_cause.map(|r| r.count).sum::<u64>()
        };
        let hmac = counters.rejected.iter();
        let hmac = hmac.filter(|r| r.cause.starts_with("hmac_"));
        let hmac = hmac.map(|r| r.count).sum::<u64>();
        Self {
            advert_rcvd: counters.received,
            advert_sent: counters.sent,
            become_master: counters.became_active,
            release_master: counters.released_active,
            packet_len_err: rejected("length"),
            advert_interval_err: rejected("interval"),
            ip_ttl_err: rejected("hop_limit"),
            invalid_type_rcvd: rejected("type"),
            addr_list_err: counters.address_mismatches,
            // A type that does not exist is another than the one that is configured.
            invalid_authtype: 0,
            authtype_mismatch: rejected("auth_type"),
            auth_failure: rejected("authentication") + rejected("replay") + hmac,
            pri_zero_rcvd: counters.priority_zero_received,
            pri_zero_sent: counters.priority_zero_sent,
        }
    }
}

impl Stats {
    /// What was counted since `before`. Counters that are lower than then have begun anew.
    pub fn since(self, before: Self) -> Self {
        let began_anew =
            self.advert_sent < before.advert_sent || self.advert_rcvd < before.advert_rcvd;
        if began_anew {
            return self;
        }
        let left = |now: u64, then: u64| now.saturating_sub(then);
        Self {
            advert_rcvd: left(self.advert_rcvd, before.advert_rcvd),
            advert_sent: left(self.advert_sent, before.advert_sent),
            become_master: left(self.become_master, before.become_master),
            release_master: left(self.release_master, before.release_master),
            packet_len_err: left(self.packet_len_err, before.packet_len_err),
            advert_interval_err: left(self.advert_interval_err, before.advert_interval_err),
            ip_ttl_err: left(self.ip_ttl_err, before.ip_ttl_err),
            invalid_type_rcvd: left(self.invalid_type_rcvd, before.invalid_type_rcvd),
            addr_list_err: left(self.addr_list_err, before.addr_list_err),
            invalid_authtype: left(self.invalid_authtype, before.invalid_authtype),
            authtype_mismatch: left(self.authtype_mismatch, before.authtype_mismatch),
            auth_failure: left(self.auth_failure, before.auth_failure),
            pri_zero_rcvd: left(self.pri_zero_rcvd, before.pri_zero_rcvd),
            pri_zero_sent: left(self.pri_zero_sent, before.pri_zero_sent),
        }
    }
}

pub(super) fn text(routers: &[Router<'_>]) -> String {
    let mut text = String::new();
    for (instance, _, stats) in routers {
        let lines: [(&str, Option<u64>); 18] = [
            ("  Advertisements", None),
            ("    Received", Some(stats.advert_rcvd)),
            ("    Sent", Some(stats.advert_sent)),
            ("  Became master", Some(stats.become_master)),
            ("  Released master", Some(stats.release_master)),
            ("  Packet Errors", None),
            ("    Length", Some(stats.packet_len_err)),
            ("    TTL", Some(stats.ip_ttl_err)),
            ("    Invalid Type", Some(stats.invalid_type_rcvd)),
            (
                "    Advertisement Interval",
                Some(stats.advert_interval_err),
            ),
            ("    Address List", Some(stats.addr_list_err)),
            ("  Authentication Errors", None),
            ("    Invalid Type", Some(stats.invalid_authtype)),
            ("    Type Mismatch", Some(stats.authtype_mismatch)),
            ("    Failure", Some(stats.auth_failure)),
            ("  Priority Zero", None),
            ("    Received", Some(stats.pri_zero_rcvd)),
            ("    Sent", Some(stats.pri_zero_sent)),
        ];
        let _ = writeln!(text, "VRRP Instance: {}", instance.name);
        for (name, value) in lines {
            let _ = match value {
                Some(value) => writeln!(text, "{name}: {value}"),
                None => writeln!(text, "{name}:"),
            };
        }
    }
    text
}
