//! Values of expressions and the conversions between their types.
//!
//! A value borrows from the view or the compiled rule wherever it can; only converters that make new text own
//! it.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Type of a value, known when an expression is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Truth.
    Bool,
    /// Signed 64-bit integer.
    Int,
    /// IPv4 or IPv6 address.
    Address,
    /// Text.
    String,
    /// Bytes.
    Binary,
    /// HTTP method (text at run time).
    Method,
    /// Only known at run time: a variable.
    Any,
}

impl Type {
    /// The word used in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Int => "integer",
            Self::Address => "address",
            Self::String => "string",
            Self::Binary => "binary",
            Self::Method => "method",
            Self::Any => "any",
        }
    }

    /// Whether a value of this type can be turned into `wanted` at all.
    pub fn casts_to(self, wanted: Self) -> bool {
        match (self, wanted) {
            (Self::Any, _) | (_, Self::Any | Self::String) => true,
            (Self::Bool, Self::Address) | (Self::Address, Self::Bool) => false,
            (Self::Bool | Self::Int, Self::Method) | (Self::Address, Self::Method) => false,
            (Self::Bool, Self::Binary) => false,
            (Self::Binary, Self::Int | Self::Address | Self::Bool) => false,
            _ => true,
        }
    }
}

/// A value during evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// Truth.
    Bool(bool),
    /// Integer.
    Int(i64),
    /// Address.
    Address(IpAddr),
    /// Text; also methods.
    String(Cow<'a, [u8]>),
    /// Bytes.
    Binary(Cow<'a, [u8]>),
}

/// A value that outlives its view: what variables hold.
pub type OwnedValue = Value<'static>;

impl<'a> Value<'a> {
    /// Borrowed text.
    pub fn text(bytes: &'a [u8]) -> Self {
        Self::String(Cow::Borrowed(bytes))
    }

    /// The same value without borrowing.
    pub fn into_owned(self) -> OwnedValue {
        match self {
            Self::Bool(b) => Value::Bool(b),
            Self::Int(i) => Value::Int(i),
            Self::Address(a) => Value::Address(a),
            Self::String(s) => Value::String(Cow::Owned(s.into_owned())),
            Self::Binary(b) => Value::Binary(Cow::Owned(b.into_owned())),
        }
    }

    /// The same value, borrowing.
    pub fn borrowed(&'a self) -> Self {
        match self {
            Self::Bool(b) => Self::Bool(*b),
            Self::Int(i) => Self::Int(*i),
            Self::Address(a) => Self::Address(*a),
            Self::String(s) => Self::String(Cow::Borrowed(s)),
            Self::Binary(b) => Self::Binary(Cow::Borrowed(b)),
        }
    }

    /// The value as `wanted`, or `None` if this one has no such form.
    pub fn cast(self, wanted: Type) -> Option<Self> {
        match wanted {
            Type::Any => Some(self),
            Type::Bool => self.number().map(|number| Self::Bool(number != 0)),
            Type::Int => self.number().map(Self::Int),
            Type::Address => self.address().map(Self::Address),
            Type::String | Type::Method => Some(Self::String(self.into_text())),
            Type::Binary => match self {
                Self::Binary(b) | Self::String(b) => Some(Self::Binary(b)),
                Self::Int(i) => Some(Self::Binary(Cow::Owned(i.to_be_bytes().to_vec()))),
                Self::Address(IpAddr::V4(a)) => Some(Self::Binary(Cow::Owned(a.octets().to_vec()))),
                Self::Address(IpAddr::V6(a)) => Some(Self::Binary(Cow::Owned(a.octets().to_vec()))),
                Self::Bool(_) => None,
            },
        }
    }

    /// The value as a number; of text the digits that it begins with behind blanks, 0 if there are none, as HAProxy casts it.
    /// An empty text is none.
    pub(crate) fn number(&self) -> Option<i64> {
        match self {
            Self::String(text) => {
                let (negative, digits) = match text.trim_ascii_start().split_first()? {
                    (b'-', digits) => (true, digits),
                    (b'+', digits) => (false, digits),
                    _ => (false, &**text),
                };
                let digits = digits.iter().take_while(|b| b.is_ascii_digit());
                let number = digits.fold(0i64, |number, b| {
                    let (tens, digit) = (number.saturating_mul(10), i64::from(b - b'0'));
                    match negative {
                        true => tens.saturating_sub(digit),
                        false => tens.saturating_add(digit),
                    }
                });
                Some(number)
            }
            other => other.integer(),
        }
    }

    /// Truth of a boolean, or of what is not 0 as a number.
    pub fn truth(&self) -> Option<bool> {
        match self {
            Self::Bool(b) => Some(*b),
            _ => self.number().map(|i| i != 0),
        }
    }

    /// The value as a number; text is read in decimal.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Bool(b) => Some(i64::from(*b)),
            Self::Int(i) => Some(*i),
            Self::Address(IpAddr::V4(a)) => Some(i64::from(u32::from(*a))),
            Self::Address(IpAddr::V6(_)) | Self::Binary(_) => None,
            Self::String(s) => std::str::from_utf8(s).ok()?.trim().parse().ok(),
        }
    }

    /// The value as an address; IPv4-mapped IPv6 becomes IPv4. Behind an IPv4 address in a text may stand anything but
    /// digits and points, such as a port or the rest of a list, as HAProxy casts it.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::String(text) => leading_ipv4(text)
                .map(IpAddr::V4)
                .or_else(|| self.whole_address()),
            _ => self.whole_address(),
        }
    }

    /// The same, of a text that is an address and nothing else.
    pub(crate) fn whole_address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(a) => Some(a.to_canonical()),
            Self::Int(i) => u32::try_from(*i)
                .ok()
                .map(|i| IpAddr::V4(Ipv4Addr::from(i))),
            Self::String(s) => {
                let text = std::str::from_utf8(s).ok()?.trim();
                let text = text
                    .strip_prefix('[')
                    .and_then(|t| t.strip_suffix(']'))
                    .unwrap_or(text);
                text.parse::<IpAddr>().ok().map(|a| a.to_canonical())
            }
            Self::Binary(b) => match <[u8; 4]>::try_from(&**b) {
                Ok(octets) => Some(IpAddr::V4(Ipv4Addr::from(octets))),
                Err(_) => <[u8; 16]>::try_from(&**b)
                    .ok()
                    .map(|o| IpAddr::V6(Ipv6Addr::from(o)).to_canonical()),
            },
            Self::Bool(_) => None,
        }
    }

    /// The bytes of text or binary; `None` for the types that would have to be written out.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::String(s) | Self::Binary(s) => Some(s),
            _ => None,
        }
    }

    /// The value as text: numbers in decimal, truth as `1` and `0`, bytes as they are up to the first NUL.
    pub fn into_text(self) -> Cow<'a, [u8]> {
        match self {
            Self::String(s) => s,
            Self::Binary(Cow::Borrowed(b)) => Cow::Borrowed(up_to_nul(b)),
            other => {
                let mut out = Vec::new();
                other.write_text(&mut out);
                Cow::Owned(out)
            }
        }
    }

    /// Appends the value as text to `out`.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        use std::io::Write as _;
        match self {
            Self::Bool(b) => out.push(if *b { b'1' } else { b'0' }),
            Self::String(s) => out.extend_from_slice(s),
            Self::Binary(b) => out.extend_from_slice(up_to_nul(b)),
            // Writing to a vector cannot fail.
            Self::Int(i) => drop(write!(out, "{i}")),
            Self::Address(a) => drop(write!(out, "{a}")),
        }
    }
}

/// The IPv4 address that a text begins with. Its numbers are decimal, whatever zeros they begin with.
fn leading_ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let inside = |b: &u8| b.is_ascii_digit() || *b == b'.';
    let end = text.iter().position(|b| !inside(b)).unwrap_or(text.len());
    let mut octets = [0; 4];
    let mut parts = text.get(..end)?.split(|b| *b == b'.');
    for octet in &mut octets {
        let digits = parts.next().filter(|digits| !digits.is_empty())?;
        *octet = digits.iter().try_fold(0u8, |number, digit| {
            number.checked_mul(10)?.checked_add(digit - b'0')
        })?;
    }
    parts.next().is_none().then(|| octets.into())
}

fn up_to_nul(bytes: &[u8]) -> &[u8] {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or_default()
}

/// Appends `byte` as two upper-case hexadecimal digits.
pub(crate) fn push_hex(byte: u8, out: &mut Vec<u8>) {
    let digit = |n: u8| if n < 10 { b'0' + n } else { b'A' + n - 10 };
    out.push(digit(byte >> 4));
    out.push(digit(byte & 15));
}
