//! Log formats: parsed once, written for each stream. Manual 8.2.

mod parse;
mod variables;
mod write;

use super::StreamRecord;
use crate::{
    expr::{Definitions, Expr, Stage},
    request::RequestView,
    rules::RuleError,
};
pub(crate) use parse::looks_dynamic;
pub use variables::{VARIABLES, Variable};

/// A parsed `log-format`; also header values, paths and names in rules.
#[derive(Debug, Clone, Default)]
pub struct LogFormat {
    nodes: Box<[Node]>,
    /// A log line: text is escaped, what is missing is written as `-`.
    log: bool,
}

/// What a format makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Line,
    Value,
    Identifier,
}

#[derive(Debug, Clone)]
enum Node {
    /// Text without blanks.
    Text(Box<[u8]>),
    /// A run of blanks: one blank, unless one was just written.
    Blank,
    /// `%ci`.
    Variable(Variable, Flags),
    /// `%[src]`.
    Expr(Box<Expr>, Flags),
}

/// `%{+Q,+E,+X}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Flags {
    /// Quotes around the value.
    quote: bool,
    /// Quotes, backslashes and closing brackets escaped (RFC 5424 §6.3.3).
    escape: bool,
    /// Addresses, ports and times in hexadecimal.
    hex: bool,
}

/// `option httplog`.
const HTTP: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc \
                    %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r";
/// What `option httpslog` adds to that.
const OF_TLS: &str = " %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] \
                      %[ssl_fc_sni]/%sslv/%sslc";
/// `option httplog clf`.
const CLF: &str = "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc \
                   %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl";
/// `option tcplog`.
const TCP: &str = "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq";

impl LogFormat {
    /// Parses the text of a `log-format` line.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        parse::format(text, &Definitions::default(), Purpose::Line)
    }

    /// Parses text that makes a value in a rule: nothing is escaped, what is missing is empty.
    pub(crate) fn value(text: &str, definitions: &Definitions) -> Result<Self, RuleError> {
        parse::format(text, definitions, Purpose::Value)
    }

    /// Parses `unique-id-format`: a value in which runs of blanks are one, as in lines.
    pub(crate) fn identifier(text: &str, definitions: &Definitions) -> Result<Self, RuleError> {
        parse::format(text, definitions, Purpose::Identifier)
    }

    /// `option httplog`.
    pub fn http() -> Self {
        Self::built_in(HTTP)
    }

    /// `option httpslog`.
    pub fn https() -> Self {
        Self::built_in(&[HTTP, OF_TLS].concat())
    }

    /// `option httplog clf`.
    pub fn clf() -> Self {
        Self::built_in(CLF)
    }

    /// `option tcplog`.
    pub fn tcp() -> Self {
        Self::built_in(TCP)
    }

    /// The formats above are correct: tests parse them.
    fn built_in(text: &str) -> Self {
        Self::parse(text).unwrap_or_default()
    }

    /// Appends the line for `record` to `out`.
    pub fn write(&self, record: &StreamRecord<'_>, out: &mut Vec<u8>) {
        write::format(self, &record.view, Some(record), out);
    }

    /// Appends the value over `view` to `out`; variables that only a finished stream has are empty.
    pub fn write_value(&self, view: &RequestView<'_>, out: &mut Vec<u8>) {
        write::format(self, view, None, out);
    }

    /// The text, if it does not depend on anything.
    pub(crate) fn constant(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        for node in &self.nodes {
            match node {
                Node::Text(text) => out.extend_from_slice(text),
                Node::Blank => out.push(b' '),
                Node::Variable(..) | Node::Expr(..) => return None,
            }
        }
        Some(out)
    }

    /// The first fetch that finds nothing at `stage`.
    pub(crate) fn unmet_at(&self, stage: Stage) -> Option<&'static str> {
        self.nodes.iter().find_map(|node| match node {
            Node::Expr(expr, _) if !expr.needs().met_at(stage) => Some(expr.fetch_name()),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
