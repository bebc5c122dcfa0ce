//! Names of HAProxy 2.6 that are not offered, so that a rule with one is told so instead of "unknown".

const TABLES: &str = "tables have no such column";
const SERVERS: &str = "rules do not see this detail of servers";
const COUNTERS: &str = "rules do not see this counter";
const TO_SERVERS: &str = "rules do not see this detail of TLS to servers";
const HANDSHAKE: &str = "rules do not see this detail of the handshake";
const CONNECTION: &str = "rules do not see this detail of the connection";
const INTERNAL: &str = "it belongs to the inside of another program";
const NOT_BUILT: &str = "it is not built";

/// Fetches: beginning of the name, and why there is none.
const FETCHES: &[(&str, &str)] = &[
    ("srv_", SERVERS),
    ("fe_", CONNECTION),
    ("table_", TABLES),
    ("sc_", TABLES),
    ("sc0_", TABLES),
    ("sc1_", TABLES),
    ("sc2_", TABLES),
    ("src_conn_", TABLES),
    ("src_http_", TABLES),
    ("src_sess_", TABLES),
    ("src_g", TABLES),
    ("src_bytes_", TABLES),
    ("src_kbytes_", TABLES),
    ("src_updt_", TABLES),
    ("src_inc_", TABLES),
    ("src_clr_", TABLES),
    ("ssl_bc", TO_SERVERS),
    ("ssl_s_", TO_SERVERS),
    ("ssl_f", HANDSHAKE),
    ("req.ssl_", HANDSHAKE),
    ("rep_ssl_hello_type", HANDSHAKE),
    ("lua.", "there is no Lua"),
    ("bc_", CONNECTION),
    ("fc_", CONNECTION),
    ("dst_conn", COUNTERS),
    ("so_id", CONNECTION),
    ("distcc_", NOT_BUILT),
    ("fcgi.", NOT_BUILT),
    ("internal.", INTERNAL),
    ("cpu_", INTERNAL),
    ("lat_", INTERNAL),
    ("thread", INTERNAL),
    ("stopping", INTERNAL),
];

/// Converters: beginning of the name, and why there is none.
const CONVERTERS: &[(&str, &str)] = &[
    ("table_", TABLES),
    ("lua.", "there is no Lua"),
    ("aes_gcm_dec", NOT_BUILT),
    (
        "debug",
        "values are not printed: leave it out, the rule does the same without it",
    ),
];

/// Why a fetch that HAProxy has is not offered here.
pub(crate) fn fetch(name: &str) -> Option<&'static str> {
    reason(FETCHES, name)
}

/// Why a converter that HAProxy has is not offered here.
pub(crate) fn converter(name: &str) -> Option<&'static str> {
    reason(CONVERTERS, name)
}

fn reason(table: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    table
        .iter()
        .find(|(beginning, _)| name.starts_with(beginning))
        .map(|(_, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_haproxy_has_is_not_called_unknown() {
        for name in ["so_id", "ssl_fc_unique_id"] {
            assert!(fetch(name).is_some(), "{name}");
        }
        for name in ["debug", "aes_gcm_dec"] {
            assert!(converter(name).is_some(), "{name}");
        }
        assert_eq!(fetch("nonsense").or(converter("lowr")), None);
    }
}
