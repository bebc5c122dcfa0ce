//! Bodies of the fuzz targets: what must hold for any bytes. The corpus is replayed by
//! `ha-lb`'s `tests/corpus.rs`. Not part of the public interface.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Advertisement, ChecksumMode, EmitError, Envelope};

/// Parses `data`, whose first byte chooses the envelope. What parses can be emitted, and parses
/// again to the same.
pub fn advertisement(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else {
        return;
    };
    let source: IpAddr = match choice & 1 {
        0 => Ipv4Addr::new(10, 99, 0, 1).into(),
        _ => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 0xa).into(),
    };
    let mut envelope = Envelope::multicast(source);
    if choice & 2 != 0 {
        envelope.destination = source;
        envelope.hop_limit = 64;
    }
    let Ok((parsed, mode)) = Advertisement::parse_with_checksum(bytes, &envelope) else {
        return;
    };
    let mut buffer = [0; 8 + 255 * 16 + 8];
    let length = parsed.emit(&envelope, &mut buffer, mode);
    assert_ne!(length, Err(EmitError::MixedFamilies));
    let emitted = length.ok().and_then(|length| buffer.get(..length));
    let again = emitted.map(|bytes| Advertisement::parse_with_checksum(bytes, &envelope));
    assert_eq!(
        again.map(|result| result.map(|(advertisement, _)| advertisement)),
        Some(Ok(parsed)),
        "what was parsed is emitted and parses to the same"
    );
    let _ = parsed.emit(&envelope, &mut [0; 7], ChecksumMode::MessageOnly);
}

/// Opens `data` with a key of its first eight bytes. What opens was really sealed with that key,
/// and does not open twice.
#[cfg(feature = "auth")]
pub fn authentication_header(data: &[u8]) {
    use crate::{Password, ah::Authenticator};

    let Some((key, packet)) = data.split_first_chunk::<8>() else {
        return;
    };
    let mut authenticator = Authenticator::new(Password::truncated(key));
    let before = authenticator.sequence();
    match authenticator.open(packet) {
        Ok(opened) => {
            assert_eq!(authenticator.sequence(), opened.sequence);
            let _ = Advertisement::parse(opened.payload, &opened.envelope);
            if opened.sequence < u32::MAX - 2 {
                assert!(authenticator.open(packet).is_err(), "a replay was accepted");
            }
        }
        Err(_) => assert_eq!(authenticator.sequence(), before),
    }
}
