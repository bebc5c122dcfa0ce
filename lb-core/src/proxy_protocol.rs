//! The PROXY protocol, versions 1 (text) and 2 (binary), as decoder and encoder without I/O.
//!
//! Follows the specification kept with HAProxy (`proxy-protocol.txt`, section 2). Of the TLVs of
//! version 2 authority, unique id and checksum are read. Nothing here may read past the header: what follows it belongs to the client.
//!
//! ```text
//! v1: "PROXY" SP ("TCP4" | "TCP6" | "UNKNOWN") [SP source SP destination SP port SP port] CR LF   at most 107
//! v2: 12 bytes of signature | version << 4 + command | family << 4 + transport | length (2) | addresses | TLVs
//! ```

mod tlv;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub use tlv::{Tlvs, Told};

use crate::{http1::Progress, request::is_unix};

/// What every version 2 header begins with.
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Longest version 1 header.
const V1_MAX: usize = 107;
/// Two paths of UNIX sockets.
const UNIX_PAIR: usize = 216;
/// Bytes of a version 2 header before the addresses.
const V2_FIXED: usize = 16;

/// A header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// (source, destination) as the sender saw them; `None` for UNKNOWN, LOCAL (a sender's own health check)
    /// and families other than IP: the connection's own addresses hold.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// Length of the header in bytes.
    pub len: usize,
    /// What it says besides.
    pub told: Told,
}

/// Why a connection that must begin with a header is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither version's beginning.
    #[error("not a PROXY header")]
    Signature,
    /// A version 1 line that is too long or malformed.
    #[error("malformed PROXY line")]
    Line,
    /// Another family than TCP4, TCP6 and UNKNOWN in version 1, and those of the specification in version 2.
    #[error("unknown family in a PROXY header")]
    Family,
    /// A version other than 2 behind the binary signature.
    #[error("unsupported PROXY version {0}")]
    Version(u8),
    /// A command other than LOCAL and PROXY.
    #[error("unknown PROXY command {0}")]
    Command(u8),
    /// Fewer address bytes than the family has.
    #[error("PROXY header of {0} bytes is too short for its addresses")]
    TooShort(usize),
    /// A TLV that does not end with the header, or is longer than it may be.
    #[error("malformed TLV in a PROXY header")]
    Tlv,
    /// The checksum is that of another header.
    #[error("wrong checksum in a PROXY header")]
    Checksum,
}

/// Reads a header from the first bytes of a connection.
pub fn decode(bytes: &[u8]) -> Result<Progress<Header>, Error> {
    let begins = |with: &[u8]| {
        let known = bytes.len().min(with.len());
        bytes.get(..known) == with.get(..known)
    };
    if begins(&SIGNATURE) {
        decode_v2(bytes)
    } else if begins(b"PROXY ") {
        decode_v1(bytes)
    } else {
        Err(Error::Signature)
    }
}

fn decode_v1(bytes: &[u8]) -> Result<Progress<Header>, Error> {
    let Some(end) = memchr::memchr(b'\n', bytes) else {
        return if bytes.len() >= V1_MAX {
            Err(Error::Line)
        } else {
            Ok(Progress::Partial)
        };
    };
    let len = end + 1;
    let line = bytes
        .get(..end)
        .and_then(|line| line.strip_suffix(b"\r"))
        .filter(|_| len <= V1_MAX)
        .and_then(|line| std::str::from_utf8(line).ok())
        .ok_or(Error::Line)?;
    let mut words = line.split(' ').skip(1);
    let family = words.next().ok_or(Error::Line)?;
    if family == "UNKNOWN" {
        return Ok(Progress::Complete(Header {
            addresses: None,
            len,
            told: Told::default(),
        }));
    }
    if !matches!(family, "TCP4" | "TCP6") {
        return Err(Error::Family);
    }
    let mut address = || words.next().and_then(|w| w.parse::<IpAddr>().ok());
    let (source, destination) = (address().ok_or(Error::Line)?, address().ok_or(Error::Line)?);
    let mut port = || {
        let digits = words.next().filter(|w| !w.starts_with('+'))?;
        digits.parse::<u16>().ok()
    };
    let (from, to) = (port().ok_or(Error::Line)?, port().ok_or(Error::Line)?);
    let fits = match family {
        "TCP4" => source.is_ipv4() && destination.is_ipv4(),
        "TCP6" => source.is_ipv6() && destination.is_ipv6(),
        _ => false,
    };
    if !fits || words.next().is_some() {
        return Err(Error::Line);
    }
    Ok(Progress::Complete(Header {
        addresses: Some((
            SocketAddr::new(source, from),
            SocketAddr::new(destination, to),
        )),
        len,
        told: Told::default(),
    }))
}

fn decode_v2(bytes: &[u8]) -> Result<Progress<Header>, Error> {
    let Some(&[command, family, high, low]) = bytes.get(12..V2_FIXED) else {
        return Ok(Progress::Partial);
    };
    if command >> 4 != 2 {
        return Err(Error::Version(command >> 4));
    }
    let len = V2_FIXED + usize::from(u16::from_be_bytes([high, low]));
    let Some(block) = bytes.get(V2_FIXED..len) else {
        return Ok(Progress::Partial);
    };
    let addresses = match (command & 0xf, family) {
        (0, _) => None,
        (1, 0x11 | 0x12) => Some(pair::<4>(block)?),
        (1, 0x21 | 0x22) => Some(pair::<16>(block)?),
        (1, 0x31 | 0x32) if block.len() < UNIX_PAIR => return Err(Error::TooShort(block.len())),
        (1, 0 | 0x31 | 0x32) => None,
        // "Other values are unspecified and must be rejected as invalid by receivers" (section 2.2).
        (1, _) => return Err(Error::Family),
        (other, _) => return Err(Error::Command(other)),
    };
    let behind = match family >> 4 {
        1 => 12,
        2 => 36,
        3 => UNIX_PAIR,
        _ => 0,
    };
    // A sender's own check says nothing of a client.
    let told = match command & 0xf {
        1 => tlv::read(bytes.get(..len).unwrap_or_default(), V2_FIXED + behind)?,
        _ => Told::default(),
    };
    Ok(Progress::Complete(Header {
        addresses,
        len,
        told,
    }))
}

/// Two addresses of N bytes, then two ports.
fn pair<const N: usize>(block: &[u8]) -> Result<(SocketAddr, SocketAddr), Error>
where
    IpAddr: From<[u8; N]>,
{
    let read = || {
        let (source, rest) = block.split_first_chunk::<N>()?;
        let (destination, rest) = rest.split_first_chunk::<N>()?;
        let (from, rest) = rest.split_first_chunk::<2>()?;
        let to = rest.first_chunk::<2>()?;
        Some((
            SocketAddr::new(IpAddr::from(*source), u16::from_be_bytes(*from)),
            SocketAddr::new(IpAddr::from(*destination), u16::from_be_bytes(*to)),
        ))
    };
    read().ok_or(Error::TooShort(block.len()))
}

/// Appends a version 1 header.
pub fn encode_v1(source: SocketAddr, destination: SocketAddr, out: &mut Vec<u8>) {
    if is_unix(source) || is_unix(destination) {
        out.extend_from_slice(b"PROXY UNKNOWN\r\n");
        return;
    }
    let (source, destination) = same_family(source, destination);
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let line = format!(
        "PROXY {family} {} {} {} {}\r\n",
        source.ip(),
        destination.ip(),
        source.port(),
        destination.port()
    );
    out.extend_from_slice(line.as_bytes());
}

/// Appends a version 2 header; [`Tlvs`] may be added to it.
pub fn encode_v2(source: SocketAddr, destination: SocketAddr, out: &mut Vec<u8>) {
    out.extend_from_slice(&SIGNATURE);
    if is_unix(source) || is_unix(destination) {
        out.extend_from_slice(&[0x21, 0, 0, 0]);
        return;
    }
    let (source, destination) = same_family(source, destination);
    match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            out.extend_from_slice(&[0x21, 0x11, 0, 12]);
            out.extend_from_slice(&from.octets());
            out.extend_from_slice(&to.octets());
        }
        (from, to) => {
            out.extend_from_slice(&[0x21, 0x21, 0, 36]);
            out.extend_from_slice(&wide(from).octets());
            out.extend_from_slice(&wide(to).octets());
        }
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
}

/// Appends a version 2 header that tells of nobody: the connection is the sender's own.
pub fn encode_local(out: &mut Vec<u8>) {
    out.extend_from_slice(&SIGNATURE);
    out.extend_from_slice(&[0x20, 0, 0, 0]);
}

/// Both as IPv4, or both as IPv6.
fn same_family(source: SocketAddr, destination: SocketAddr) -> (SocketAddr, SocketAddr) {
    if source.is_ipv4() == destination.is_ipv4() {
        return (source, destination);
    }
    let widen = |a: SocketAddr| SocketAddr::new(IpAddr::V6(wide(a.ip())), a.port());
    (widen(source), widen(destination))
}

fn wide(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => Ipv4Addr::to_ipv6_mapped(&v4),
        IpAddr::V6(v6) => v6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::of_unix;
    use proptest::prelude::*;

    #[test]
    fn a_check_tells_of_nobody() {
        let mut header = Vec::new();
        encode_local(&mut header);
        let read = complete(&header);
        assert_eq!((read.addresses, read.len), (None, header.len()));
    }

    fn complete(bytes: &[u8]) -> Header {
        match decode(bytes) {
            Ok(Progress::Complete(header)) => header,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_but_a_unix_socket_is_unknown() {
        let anywhere = "0.0.0.0:5".parse().unwrap();
        let other = "192.0.2.1:6".parse().unwrap();
        for (source, destination, addresses) in [
            (anywhere, other, Some((anywhere, other))),
            (of_unix(1), of_unix(1), None),
            // A rule has given it an address.
            (other, of_unix(1), None),
        ] {
            let mut headers = [Vec::new(), Vec::new()];
            encode_v1(source, destination, &mut headers[0]);
            encode_v2(source, destination, &mut headers[1]);
            for header in headers {
                assert_eq!(complete(&header).addresses, addresses, "{source}");
            }
        }
    }

    #[test]
    fn version_1_names_both_ends() {
        let header = complete(b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\nGET /");
        assert_eq!(header.len, 41);
        let (source, destination) = header.addresses.unwrap();
        assert_eq!(source, "192.0.2.1:1000".parse().unwrap());
        assert_eq!(destination, "192.0.2.2:443".parse().unwrap());
    }

    #[test]
    fn unknown_and_local_leave_the_connection_its_own_addresses() {
        assert_eq!(complete(b"PROXY UNKNOWN ff some thing\r\n").addresses, None);
        let mut local = SIGNATURE.to_vec();
        local.extend_from_slice(&[0x20, 0, 0, 0]);
        assert_eq!(complete(&local).addresses, None);
    }

    #[test]
    fn what_is_no_header_is_refused_by_cause() {
        for (bytes, error) in [
            (&b"GET / HTTP/1.1\r\n"[..], Error::Signature),
            (b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", Error::Line),
            (b"PROXY TCP4 1.2.3.4 ::1 1 2\r\n", Error::Line),
            (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 70000\r\n", Error::Line),
            (b"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n", Error::Line),
            (
                b"\r\n\r\n\0\r\nQUIT\n\x21\x13\0\x0c123456789012",
                Error::Family,
            ),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x41\0\0", Error::Family),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\x02ab", Error::TooShort(2)),
            (b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0", Error::Version(3)),
            (b"\r\n\r\n\0\r\nQUIT\n\x25\x11\0\0", Error::Command(5)),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x02ab", Error::TooShort(2)),
        ] {
            assert_eq!(decode(bytes), Err(error), "{bytes:?}");
        }
        assert_eq!(decode(&[b'x'; 3]), Err(Error::Signature));
        let long = [b"PROXY ".as_slice(), &[b'9'; 200]].concat();
        assert_eq!(decode(&long), Err(Error::Line));
    }

    fn endpoint(v6: bool) -> impl Strategy<Value = SocketAddr> {
        (any::<u128>(), any::<u32>(), any::<u16>()).prop_map(move |(wide, narrow, port)| {
            let ip = if v6 {
                IpAddr::from(wide.to_be_bytes())
            } else {
                IpAddr::from(narrow.to_be_bytes())
            };
            SocketAddr::new(ip, port)
        })
    }

    proptest! {
        #[test]
        fn headers_survive_the_round_trip_whole_and_cut(
            (source, destination) in any::<bool>().prop_flat_map(|v6| (endpoint(v6), endpoint(v6))),
            second in any::<bool>(),
        ) {
            let mut bytes = Vec::new();
            if second {
                encode_v2(source, destination, &mut bytes);
            } else {
                encode_v1(source, destination, &mut bytes);
            }
            let header = complete(&bytes);
            prop_assert_eq!(header.addresses, Some((source, destination)));
            prop_assert_eq!(header.len, bytes.len());
            for cut in 0..bytes.len() {
                prop_assert_eq!(decode(&bytes[..cut]), Ok(Progress::Partial));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
            let mut signed = SIGNATURE.to_vec();
            signed.extend(bytes);
            let _ = decode(&signed);
        }
    }
}
