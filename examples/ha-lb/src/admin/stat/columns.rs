//! The columns of `show stat` in HAProxy 2.6's order, and a row of them.
//!
//! Tools read them by name or by position, so neither may ever change. The columns after `-` are those of
//! HAProxy's protocol modules.

use std::fmt::{Display, Write as _};

macro_rules! columns {
    ($($variant:ident $name:literal),* $(,)?) => {
        /// A column.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each is called as its column, which HAProxy's manual explains")]
        pub enum Column { $($variant),* }

        /// Names of all columns in order.
        pub const NAMES: &[&str] = &[$($name),*];
    };
}

columns! {
    Pxname "pxname", Svname "svname", Qcur "qcur", Qmax "qmax", Scur "scur", Smax "smax", Slim "slim", Stot "stot",
    Bin "bin", Bout "bout", Dreq "dreq", Dresp "dresp", Ereq "ereq", Econ "econ", Eresp "eresp", Wretr "wretr",
    Wredis "wredis", Status "status", Weight "weight", Act "act", Bck "bck", Chkfail "chkfail", Chkdown "chkdown",
    Lastchg "lastchg", Downtime "downtime", Qlimit "qlimit", Pid "pid", Iid "iid", Sid "sid", Throttle "throttle",
    Lbtot "lbtot", Tracked "tracked", Type "type", Rate "rate", RateLim "rate_lim", RateMax "rate_max",
    CheckStatus "check_status", CheckCode "check_code", CheckDuration "check_duration", Hrsp1xx "hrsp_1xx",
    Hrsp2xx "hrsp_2xx", Hrsp3xx "hrsp_3xx", Hrsp4xx "hrsp_4xx", Hrsp5xx "hrsp_5xx", HrspOther "hrsp_other",
    Hanafail "hanafail", ReqRate "req_rate", ReqRateMax "req_rate_max", ReqTot "req_tot", CliAbrt "cli_abrt",
    SrvAbrt "srv_abrt", CompIn "comp_in", CompOut "comp_out", CompByp "comp_byp", CompRsp "comp_rsp",
    Lastsess "lastsess", LastChk "last_chk", LastAgt "last_agt", Qtime "qtime", Ctime "ctime", Rtime "rtime",
    Ttime "ttime", AgentStatus "agent_status", AgentCode "agent_code", AgentDuration "agent_duration",
    CheckDesc "check_desc", AgentDesc "agent_desc", CheckRise "check_rise", CheckFall "check_fall",
    CheckHealth "check_health", AgentRise "agent_rise", AgentFall "agent_fall", AgentHealth "agent_health",
    Addr "addr", Cookie "cookie", Mode "mode", Algo "algo", ConnRate "conn_rate", ConnRateMax "conn_rate_max",
    ConnTot "conn_tot", Intercepted "intercepted", Dcon "dcon", Dses "dses", Wrew "wrew", Connect "connect",
    Reuse "reuse", CacheLookups "cache_lookups", CacheHits "cache_hits", SrvIcur "srv_icur", SrcIlim "src_ilim",
    QtimeMax "qtime_max", CtimeMax "ctime_max", RtimeMax "rtime_max", TtimeMax "ttime_max", Eint "eint",
    IdleConnCur "idle_conn_cur", SafeConnCur "safe_conn_cur", UsedConnCur "used_conn_cur",
    NeedConnEst "need_conn_est", Uweight "uweight", AggServerStatus "agg_server_status",
    AggServerCheckStatus "agg_server_check_status", AggCheckStatus "agg_check_status", Separator "-",
    SslSess "ssl_sess", SslReusedSess "ssl_reused_sess", SslFailedHandshake "ssl_failed_handshake",
    H2HeadersRcvd "h2_headers_rcvd", H2DataRcvd "h2_data_rcvd", H2SettingsRcvd "h2_settings_rcvd",
    H2RstStreamRcvd "h2_rst_stream_rcvd", H2GoawayRcvd "h2_goaway_rcvd",
    H2DetectedConnProtocolErrors "h2_detected_conn_protocol_errors",
    H2DetectedStrmProtocolErrors "h2_detected_strm_protocol_errors", H2RstStreamResp "h2_rst_stream_resp",
    H2GoawayResp "h2_goaway_resp", H2OpenConnections "h2_open_connections",
    H2BackendOpenStreams "h2_backend_open_streams", H2TotalConnections "h2_total_connections",
    H2BackendTotalStreams "h2_backend_total_streams", H1OpenConnections "h1_open_connections",
    H1OpenStreams "h1_open_streams", H1TotalConnections "h1_total_connections", H1TotalStreams "h1_total_streams",
    H1BytesIn "h1_bytes_in", H1BytesOut "h1_bytes_out", H1SplicedBytesIn "h1_spliced_bytes_in",
    H1SplicedBytesOut "h1_spliced_bytes_out",
}

/// What a row is about (`type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A frontend (0).
    Frontend,
    /// A backend (1).
    Backend,
    /// A server (2).
    Server,
}

/// One line: what a frontend, a backend or a server counted.
#[derive(Debug, Clone)]
pub struct Row {
    /// What it is about.
    pub kind: Kind,
    cells: Vec<String>,
}

impl Row {
    /// A row with its names and numbers. `iid` is the proxy's number, `sid` the server's (0 for the others).
    pub fn new(kind: Kind, proxy: &str, name: &str, (iid, sid): (u32, u32)) -> Self {
        let mut row = Self {
            kind,
            cells: vec![String::new(); NAMES.len()],
        };
        row.set(Column::Pxname, proxy);
        row.set(Column::Svname, name);
        row.set(Column::Pid, 1);
        row.set(Column::Iid, iid);
        row.set(Column::Sid, sid);
        row.set(Column::Type, kind as u8);
        row.set(Column::Separator, "-");
        row
    }

    /// Fills a cell.
    pub fn set(&mut self, column: Column, value: impl Display) {
        if let Some(cell) = self.cells.get_mut(column as usize) {
            cell.clear();
            let _ = write!(cell, "{value}");
        }
    }

    /// Fills cells with the same value.
    pub fn set_all(&mut self, columns: &[Column], value: impl Display) {
        for column in columns {
            self.set(*column, &value);
        }
    }

    /// The text of a cell; empty when it does not apply.
    pub fn text(&self, column: Column) -> &str {
        self.cells.get(column as usize).map_or("", String::as_str)
    }

    /// Names and texts of the cells that apply, in order.
    pub fn cells(&self) -> impl Iterator<Item = (&'static str, &str)> {
        NAMES
            .iter()
            .zip(&self.cells)
            .map(|(name, cell)| (*name, cell.as_str()))
            .filter(|(name, cell)| !cell.is_empty() && *name != "-")
    }
}

/// The document: a line of names, a line for each row, an empty line is left to the caller.
pub fn csv(rows: &[Row]) -> String {
    let mut text = String::from("# ");
    for name in NAMES {
        text.push_str(name);
        text.push(',');
    }
    text.push('\n');
    for row in rows {
        for cell in &row.cells {
            if cell.contains(['"', ',', '\n']) {
                let _ = write!(text, "\"{}\",", cell.replace('"', "\"\""));
            } else {
                text.push_str(cell);
                text.push(',');
            }
        }
        text.push('\n');
    }
    text
}

/// A cell as JSON: a whole number or a string.
pub fn json_value(cell: &str) -> serde_json::Value {
    match cell.parse::<i64>() {
        Ok(number) => number.into(),
        Err(_) => cell.into(),
    }
}

/// The rows as one JSON array of objects, without the cells that do not apply.
pub fn json(rows: &[Row]) -> String {
    let objects = rows.iter().map(|row| {
        let cells = row
            .cells()
            .map(|(name, cell)| (name.to_owned(), json_value(cell)));
        serde_json::Value::Object(cells.collect())
    });
    serde_json::Value::Array(objects.collect()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_haproxy_s() {
        let golden = include_str!("../../../tests/golden/k8s-ingress.transcript.txt");
        let header = golden
            .lines()
            .find(|line| line.starts_with("# pxname"))
            .unwrap();
        assert_eq!(csv(&[]).trim_end(), header);
    }

    #[test]
    fn a_row_has_a_cell_for_each_name_and_quotes_what_needs_it() {
        let mut row = Row::new(Kind::Server, "b", "s", (6, 1));
        row.set(Column::LastChk, "a \"b\", c");
        let text = csv(&[row]);
        let line = text.lines().nth(1).unwrap();
        assert!(line.starts_with("b,s,,"), "{line}");
        assert!(line.contains(",\"a \"\"b\"\", c\","), "{line}");
        let plain = line.replace("\"a \"\"b\"\", c\"", "");
        assert_eq!(plain.matches(',').count(), NAMES.len());
    }
}
