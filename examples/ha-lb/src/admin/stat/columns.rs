//! The columns of `show stat` in HAProxy 2.6's order, a row of them, and CSV.
//!
//! Tools read them by name or by position, so neither may ever change. The columns after `-` are those of
//! HAProxy's protocol modules. Beside its name stands what the typed forms say of a column: origin, nature and
//! scope, and the type of its values.

use std::{borrow::Cow, fmt::Write as _, time::Duration};

use super::typed::{Tags, Type};

macro_rules! columns {
    ($($variant:ident $name:literal $tags:ident $type:ident),* $(,)?) => {
        /// A column.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each is called as its column, which HAProxy's manual explains")]
        pub enum Column { $($variant),* }

        /// Names of all columns in order.
        pub const NAMES: &[&str] = &[$($name),*];

        /// What the typed forms say of them, in the same order.
        pub(super) const TYPES: &[(Tags, Type)] = &[$((Tags(stringify!($tags)), Type::$type)),*];
    };
}

columns! {
    Pxname "pxname" KNS str, Svname "svname" KNS str, Qcur "qcur" MGP u32, Qmax "qmax" MMP u32, Scur "scur" MGP u32,
    Smax "smax" MMP u32, Slim "slim" CLP u32, Stot "stot" MCP u64, Bin "bin" MCP u64, Bout "bout" MCP u64,
    Dreq "dreq" MCP u64, Dresp "dresp" MCP u64, Ereq "ereq" MCP u64, Econ "econ" MCP u64, Eresp "eresp" MCP u64,
    Wretr "wretr" MCP u64, Wredis "wredis" MCP u64, Status "status" SGP str, Weight "weight" MaP u32,
    Act "act" SGP u32, Bck "bck" SGP u32, Chkfail "chkfail" MCP u64, Chkdown "chkdown" MCP u64,
    Lastchg "lastchg" MAP u32, Downtime "downtime" MCP u32, Qlimit "qlimit" CGS u32, Pid "pid" KGP u32,
    Iid "iid" KGS u32, Sid "sid" KGS u32, Throttle "throttle" MaP u32, Lbtot "lbtot" MCP u64,
    Tracked "tracked" CNS str, Type "type" CGS u32, Rate "rate" MRP u32, RateLim "rate_lim" CLP u32,
    RateMax "rate_max" MMP u32, CheckStatus "check_status" MOP str, CheckCode "check_code" MOP u32,
    CheckDuration "check_duration" MDP u64, Hrsp1xx "hrsp_1xx" MCP u64, Hrsp2xx "hrsp_2xx" MCP u64,
    Hrsp3xx "hrsp_3xx" MCP u64, Hrsp4xx "hrsp_4xx" MCP u64, Hrsp5xx "hrsp_5xx" MCP u64,
    HrspOther "hrsp_other" MCP u64, Hanafail "hanafail" MCP u64, ReqRate "req_rate" MRP u32,
    ReqRateMax "req_rate_max" MMP u32, ReqTot "req_tot" MCP u64, CliAbrt "cli_abrt" MCP u64,
    SrvAbrt "srv_abrt" MCP u64, CompIn "comp_in" MCP u64, CompOut "comp_out" MCP u64, CompByp "comp_byp" MCP u64,
    CompRsp "comp_rsp" MCP u64, Lastsess "lastsess" MAP s32, LastChk "last_chk" MOP str, LastAgt "last_agt" MOP str,
    Qtime "qtime" MaP u32, Ctime "ctime" MaP u32, Rtime "rtime" MaP u32, Ttime "ttime" MaP u32,
    AgentStatus "agent_status" MOP str, AgentCode "agent_code" MOP u32, AgentDuration "agent_duration" MDP u64,
    CheckDesc "check_desc" MOP str, AgentDesc "agent_desc" MOP str, CheckRise "check_rise" CGS u32,
    CheckFall "check_fall" CGS u32, CheckHealth "check_health" CGS u32, AgentRise "agent_rise" CGS u32,
    AgentFall "agent_fall" CGS u32, AgentHealth "agent_health" CGS u32, Addr "addr" CGS str, Cookie "cookie" CNS str,
    Mode "mode" CGS str, Algo "algo" CGS str, ConnRate "conn_rate" MRP u32, ConnRateMax "conn_rate_max" MMP u32,
    ConnTot "conn_tot" MCP u64, Intercepted "intercepted" MCP u64, Dcon "dcon" MCP u64, Dses "dses" MCP u64,
    Wrew "wrew" MCP u64, Connect "connect" MCP u64, Reuse "reuse" MCP u64, CacheLookups "cache_lookups" MCP u64,
    CacheHits "cache_hits" MCP u64, SrvIcur "srv_icur" MGP u32, SrcIlim "src_ilim" CLP u32,
    QtimeMax "qtime_max" MMP u32, CtimeMax "ctime_max" MMP u32, RtimeMax "rtime_max" MMP u32,
    TtimeMax "ttime_max" MMP u32, Eint "eint" MCP u64, IdleConnCur "idle_conn_cur" MGP u32,
    SafeConnCur "safe_conn_cur" MGP u32, UsedConnCur "used_conn_cur" MGP u32, NeedConnEst "need_conn_est" MGP u32,
    Uweight "uweight" MaP u32, AggServerStatus "agg_server_status" MGP u32,
    AggServerCheckStatus "agg_server_check_status" MGP u32, AggCheckStatus "agg_check_status" MGP u32,
    Separator "-" KNS str, SslSess "ssl_sess" MCP u64, SslReusedSess "ssl_reused_sess" MCP u64,
    SslFailedHandshake "ssl_failed_handshake" MCP u64, H2HeadersRcvd "h2_headers_rcvd" MCP u64,
    H2DataRcvd "h2_data_rcvd" MCP u64, H2SettingsRcvd "h2_settings_rcvd" MCP u64,
    H2RstStreamRcvd "h2_rst_stream_rcvd" MCP u64, H2GoawayRcvd "h2_goaway_rcvd" MCP u64,
    H2DetectedConnProtocolErrors "h2_detected_conn_protocol_errors" MCP u64,
    H2DetectedStrmProtocolErrors "h2_detected_strm_protocol_errors" MCP u64,
    H2RstStreamResp "h2_rst_stream_resp" MCP u64, H2GoawayResp "h2_goaway_resp" MCP u64,
    H2OpenConnections "h2_open_connections" MGP u64, H2BackendOpenStreams "h2_backend_open_streams" MGP u64,
    H2TotalConnections "h2_total_connections" MCP u64, H2BackendTotalStreams "h2_backend_total_streams" MCP u64,
    H1OpenConnections "h1_open_connections" MGP u64, H1OpenStreams "h1_open_streams" MGP u64,
    H1TotalConnections "h1_total_connections" MCP u64, H1TotalStreams "h1_total_streams" MCP u64,
    H1BytesIn "h1_bytes_in" MCP u64, H1BytesOut "h1_bytes_out" MCP u64,
    H1SplicedBytesIn "h1_spliced_bytes_in" MCP u64, H1SplicedBytesOut "h1_spliced_bytes_out" MCP u64,
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
    /// A listener of a frontend (3).
    Listener,
}

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Value {
    /// It does not apply.
    #[default]
    None,
    /// A number.
    Number(i64),
    /// Words.
    Text(Cow<'static, str>),
}

macro_rules! numbers {
    ($($number:ty)*) => {
        $(impl From<$number> for Value {
            fn from(number: $number) -> Self {
                Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
            }
        })*
    };
}

numbers!(u8 u16 u32 u64 i32);

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

/// Milliseconds.
impl From<Duration> for Value {
    fn from(time: Duration) -> Self {
        Self::Number(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}

/// One line: what a frontend, a backend or a server counted.
#[derive(Debug, Clone)]
pub struct Row {
    /// What it is about.
    pub kind: Kind,
    cells: Vec<Value>,
}

impl Row {
    /// A row with its names and numbers. `iid` is the proxy's number, `sid` the server's (0 for the others).
    pub fn new(
        kind: Kind,
        proxy: &str,
        name: impl Into<Cow<'static, str>>,
        (iid, sid): (u32, u32),
    ) -> Self {
        let mut row = Self {
            kind,
            cells: vec![Value::None; NAMES.len()],
        };
        row.set(Column::Pxname, proxy.to_owned());
        row.set(Column::Svname, Value::Text(name.into()));
        row.set(Column::Pid, 1u32);
        row.set(Column::Iid, iid);
        row.set(Column::Sid, sid);
        row.set(Column::Type, kind as u8);
        row.set(Column::Separator, "-");
        row
    }

    /// Fills a cell.
    pub fn set(&mut self, column: Column, value: impl Into<Value>) {
        if let Some(cell) = self.cells.get_mut(column as usize) {
            *cell = value.into();
        }
    }

    /// Fills cells with the same value.
    pub fn set_all(&mut self, columns: &[Column], value: impl Into<Value>) {
        let value = value.into();
        for column in columns {
            self.set(*column, value.clone());
        }
    }

    /// The text of a cell; empty when it does not apply.
    pub fn text(&self, column: Column) -> Cow<'_, str> {
        match self.cells.get(column as usize) {
            None | Some(Value::None) => Cow::Borrowed(""),
            Some(Value::Number(number)) => Cow::Owned(number.to_string()),
            Some(Value::Text(text)) => Cow::Borrowed(text),
        }
    }

    /// The number in a cell; none when it does not apply or is below zero.
    pub fn number(&self, column: Column) -> Option<u64> {
        match self.cells.get(column as usize) {
            Some(Value::Number(number)) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// All cells in the order of the columns.
    pub fn cells(&self) -> &[Value] {
        &self.cells
    }
}

/// The line of names.
pub fn csv_header(out: &mut String) {
    out.push_str("# ");
    for name in NAMES {
        out.push_str(name);
        out.push(',');
    }
    out.push('\n');
}

/// The line of a row.
pub fn csv_line(row: &Row, out: &mut String) {
    for cell in &row.cells {
        match cell {
            Value::None => {}
            Value::Number(number) => {
                let _ = write!(out, "{number}");
            }
            Value::Text(text) if text.contains(['"', ',', '\n']) => {
                let _ = write!(out, "\"{}\"", text.replace('"', "\"\""));
            }
            Value::Text(text) => out.push_str(text),
        }
        out.push(',');
    }
    out.push('\n');
}

/// The document: a line of names, a line for each row; an empty line is left to the caller.
pub fn csv(rows: &[Row]) -> String {
    let mut text = String::new();
    csv_header(&mut text);
    for row in rows {
        csv_line(row, &mut text);
    }
    text
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
