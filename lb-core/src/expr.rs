//! The expression engine: `fetch(arguments),converter(arguments),...` compiled once, evaluated over a
//! [`RequestView`].
//!
//! One language serves ACLs, rule arguments and log formats. Fetches stand in the table [`fetch::all`],
//! converters in [`convert::all`], matchers in [`matcher`]: an entry is name, arguments, types, where it is
//! valid, a sentence of docs, and the function. Types are checked when an expression is compiled; evaluation
//! cannot fail, it only finds nothing. Values borrow from the view: the common expressions do not allocate.
//! Manual: "7. Using ACLs and fetching samples".

pub mod args;
pub mod convert;
mod crypt;
pub mod fetch;
pub(crate) mod jwt;
mod known;
pub mod map;
pub mod matcher;
pub(crate) mod parse;
mod pattern_file;
pub mod perl;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod userlist;
pub(crate) mod value;
mod written;

pub use args::{ArgKind, ArgSpec, Argument};
pub use crypt::Hashed;
pub use jwt::KeyFiles;
pub(crate) use pattern_file::LiveMatcher;
pub use pattern_file::{Entry, Found, LiveMap, PatternFile, PatternFiles, Use, Which};
pub use userlist::Userlist;
pub use value::{OwnedValue, Type, Value};
pub use written::Written;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, atomic::AtomicBool},
};

use crate::{
    cache::Caches,
    config::{ErrorFiles, TableKey},
    request::{Origin, RequestView},
    rules::RuleError,
};

/// Where an expression is evaluated; what it may ask for follows from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// `tcp-request connection` and `session`: addresses and TLS.
    Connection,
    /// `tcp-request content`, `use_backend`, `use-server`: also received bytes and, in HTTP mode, the request.
    Content,
    /// `http-request`.
    Request,
    /// `tcp-response content`, `stick store-response`: received bytes of the server and, in HTTP mode, its response.
    Answer,
    /// `http-response` and `http-after-response`.
    Response,
    /// Log lines and unique ids.
    Log,
    /// Anywhere: nothing is checked (named ACLs, until they are used).
    Any,
}

/// What a fetch needs to find anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// The connection at most.
    Connection,
    /// Received bytes.
    Payload,
    /// Received bytes of the server.
    Answer,
    /// Received bytes of the client, or of the server where those are looked at.
    Bytes,
    /// The head of a request.
    Request,
    /// The head of a response.
    Response,
}

impl Needs {
    /// Whether it is something that the client has sent.
    pub(crate) fn is_of_request(self) -> bool {
        matches!(self, Self::Payload | Self::Bytes | Self::Request)
    }

    /// Whether `stage` offers it.
    pub fn met_at(self, stage: Stage) -> bool {
        match (self, stage) {
            (Self::Connection, _) | (_, Stage::Any) => true,
            (_, Stage::Connection) => false,
            (Self::Payload | Self::Request | Self::Bytes, Stage::Content | Stage::Request) => true,
            // The request's head is still there when the response has come.
            (Self::Request, Stage::Answer | Stage::Response | Stage::Log) => true,
            (Self::Response, Stage::Answer | Stage::Response | Stage::Log) => true,
            (Self::Answer | Self::Bytes, Stage::Answer) => true,
            (Self::Answer, _) => false,
            (Self::Response, Stage::Content | Stage::Request) => false,
            (Self::Payload, Stage::Answer | Stage::Response | Stage::Log) => false,
            (Self::Bytes, Stage::Response | Stage::Log) => false,
        }
    }
}

/// What expressions may refer to besides the view, known when the rules are compiled.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    /// The proxy in which the rules stand.
    pub proxy: Option<Arc<str>>,
    /// Every proxy by name; names are not checked as long as this is not known.
    pub proxies: Option<Arc<BTreeMap<Arc<str>, ProxyFacts>>>,
    /// `userlist` sections by name.
    pub userlists: BTreeMap<String, Arc<Userlist>>,
    /// `cache` sections by name.
    pub caches: Arc<Caches>,
    /// Names of `resolvers` sections; they are not checked as long as they are not known.
    pub resolvers: Option<Arc<BTreeSet<Arc<str>>>>,
    /// Files of maps that were read.
    pub files: Arc<PatternFiles>,
    /// Files of public keys that were read.
    pub keys: Arc<KeyFiles>,
    /// The line stands in a `defaults` section: what belongs to a proxy is named with it.
    pub in_defaults: bool,
    /// Where the line stands that is read.
    pub origin: Option<Arc<Origin>>,
    /// Servers that expressions asked about, with their backends.
    pub(crate) asked: Arc<Mutex<Vec<Asked>>>,
    /// An expression looks at the bodies of requests.
    pub(crate) reads_bodies: Arc<AtomicBool>,
    /// `http-errors` sections by name.
    pub error_files: Arc<BTreeMap<String, ErrorFiles>>,
}

/// A server and, before it, its backend.
pub(crate) type Asked = (Arc<str>, Arc<str>);

/// What rules can refer to of a proxy. A frontend and a backend of one name are one.
#[derive(Debug, Clone, Default)]
pub struct ProxyFacts {
    /// It has a frontend.
    pub accepts: bool,
    /// Type of the keys of its `stick-table`.
    pub table: Option<TableKey>,
    /// Names of its servers, if it is a backend.
    pub servers: Option<Vec<Arc<str>>>,
}

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Expr {
    pub(crate) fetch: &'static fetch::Fetch,
    pub(crate) args: Box<[Argument]>,
    pub(crate) conversions: Box<[Conversion]>,
    pub(crate) result: Type,
}

/// One converter with its arguments.
#[derive(Debug, Clone)]
pub(crate) struct Conversion {
    pub(crate) converter: &'static convert::Converter,
    pub(crate) args: Box<[Argument]>,
}

/// How many values an evaluation asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Every value: a condition, of which one value is enough.
    All,
    /// One value: an argument.
    Single,
}

/// Whether the answer could be another one once more bytes are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It will stay.
    Yes,
    /// It may change.
    No,
}

impl Expr {
    /// Compiles the text of an expression.
    pub fn parse(text: &str, definitions: &Definitions) -> Result<Self, RuleError> {
        parse::expression(text, definitions)
    }

    /// Type of its values.
    pub fn result(&self) -> Type {
        self.result
    }

    /// What its fetch needs.
    pub fn needs(&self) -> Needs {
        self.fetch.needs
    }

    /// Whether what was fetched goes through converters.
    pub(crate) fn is_converted(&self) -> bool {
        !self.conversions.is_empty()
    }

    /// Name of its fetch.
    pub fn fetch_name(&self) -> &'static str {
        self.fetch.name
    }

    /// Visits every value (a header may stand in several lines) until `visit` returns false.
    pub fn each<'a>(
        &'a self,
        view: &RequestView<'a>,
        visit: &mut dyn FnMut(Value<'a>) -> bool,
    ) -> Settled {
        match self.fetch.eval {
            fetch::Eval::One(eval) => {
                if let Some(value) = eval(&self.args, view).and_then(|v| self.convert(v, view)) {
                    visit(value);
                }
                self.settled(view)
            }
            fetch::Eval::Many(eval) => {
                eval(&self.args, view, Wanted::All, &mut |value| {
                    self.convert(value, view).is_none_or(&mut *visit)
                });
                self.settled(view)
            }
            fetch::Eval::Growing(eval) => {
                let (value, settled) = eval(&self.args, view);
                if let Some(value) = value.and_then(|v| self.convert(v, view)) {
                    visit(value);
                }
                if view.complete { Settled::Yes } else { settled }
            }
            fetch::Eval::GrowingMany(eval) => {
                let settled = eval(view, &mut |value| {
                    self.convert(value, view).is_none_or(&mut *visit)
                });
                if view.complete { Settled::Yes } else { settled }
            }
        }
    }

    /// Its value; where there are several the one that the manual names, which is the last of a header or
    /// cookie and the first of a query parameter.
    pub fn value<'a>(&'a self, view: &RequestView<'a>) -> Option<Value<'a>> {
        let value = match self.fetch.eval {
            fetch::Eval::One(eval) => eval(&self.args, view),
            fetch::Eval::Many(eval) => {
                let mut found = None;
                eval(&self.args, view, Wanted::Single, &mut |value| {
                    found = Some(value);
                    false
                });
                found
            }
            fetch::Eval::Growing(eval) => eval(&self.args, view).0,
            fetch::Eval::GrowingMany(eval) => {
                let mut first = None;
                eval(view, &mut |value| {
                    first = Some(value);
                    false
                });
                first
            }
        };
        self.convert(value?, view)
    }

    /// Whether it has no value yet and may get one from further bytes.
    pub fn is_awaited(&self, view: &RequestView<'_>) -> bool {
        match self.fetch.eval {
            fetch::Eval::Growing(eval) if !view.complete => eval(&self.args, view).1 == Settled::No,
            fetch::Eval::GrowingMany(eval) if !view.complete => {
                eval(view, &mut |_| false) == Settled::No
            }
            _ => self.settled(view) == Settled::No,
        }
    }

    /// Whether a request that it asks about may still come.
    fn settled(&self, view: &RequestView<'_>) -> Settled {
        let awaits = view.awaits_request && !view.complete && self.fetch.needs == Needs::Request;
        if awaits { Settled::No } else { Settled::Yes }
    }

    fn convert<'a>(&'a self, value: Value<'a>, view: &RequestView<'a>) -> Option<Value<'a>> {
        let mut value = value;
        for conversion in &self.conversions {
            value = match (value, conversion.converter.input) {
                // Text is bytes already, and stays text: `path,bytes(1,3)` is written as it is.
                (text @ Value::String(_), Type::Binary) => text,
                (other, wanted) => other.cast(wanted)?,
            };
            value = (conversion.converter.apply)(value, &conversion.args, view)?;
        }
        Some(value)
    }
}
