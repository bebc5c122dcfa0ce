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
    use crate::{
        Password,
        ah::{Authenticator, Unverified},
    };

    let Some((key, packet)) = data.split_first_chunk::<8>() else {
        return;
    };
    let mut authenticator = Authenticator::new(Password::truncated(key));
    let before = authenticator.sequence();
    match authenticator.open(packet) {
        Ok(opened) => {
            assert_eq!(authenticator.sequence(), opened.sequence);
            let shown = Unverified::read(packet).map(|shown| (shown.sequence, shown.payload));
            assert_eq!(shown, Ok((opened.sequence, opened.payload)));
            let _ = Advertisement::parse(opened.payload, &opened.envelope);
            if opened.sequence < u32::MAX - 2 {
                assert!(authenticator.open(packet).is_err(), "a replay was accepted");
            }
        }
        Err(_) => assert_eq!(authenticator.sequence(), before),
    }
}

/// Verifies `data` as a packet: the first byte chooses key, mode and family, the next the time. What
/// is accepted has a right trailer and is not accepted twice; a changed byte spoils what was sealed.
#[cfg(feature = "auth")]
pub fn auth_hmac(data: &[u8]) {
    use core::time::Duration;

    use crate::auth_hmac::{AntiReplay, Authenticator, Key, Mode, Settings, Verified};

    let Some(([choice, moment, place], bytes)) = data.split_first_chunk::<3>() else {
        return;
    };
    let source: IpAddr = match choice & 1 {
        0 => Ipv4Addr::new(10, 99, 0, 1).into(),
        _ => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 0xa).into(),
    };
    let envelope = Envelope::multicast(source);
    let unix = Duration::from_secs(0x6912_f0b0 + u64::from(*moment));
    let settings = Settings {
        mode: match choice >> 1 & 3 {
            0 => Mode::ReceiveOnly,
            1 => Mode::Permissive,
            _ => Mode::Enforce,
        },
        active_key: 2,
        anti_replay: match choice & 8 {
            0 => AntiReplay::Time(Duration::from_secs(5)),
            _ => AntiReplay::Monotonic,
        },
    };
    // The key of the test vectors.
    let secret: [u8; 64] = core::array::from_fn(|byte| 0x40 | u8::try_from(byte).unwrap_or(0));
    let keys = Key::new(2, &secret).map(|key| [key]);
    let Some(mut authenticator) = keys
        .ok()
        .and_then(|keys| Authenticator::new(keys, settings).ok())
    else {
        return;
    };
    let Ok(parsed) = Advertisement::parse_packet(bytes, &envelope) else {
        return;
    };
    let before = authenticator.memory();
    match authenticator.verify(&parsed, &envelope, unix) {
        Ok(Verified::Signed { .. }) => {
            let again = authenticator.verify(&parsed, &envelope, unix);
            assert!(again.is_err(), "a replay was accepted");
        }
        Ok(Verified::Unsigned) => assert_ne!(settings.mode, Mode::Enforce),
        Err(_) => assert_eq!(authenticator.memory(), before),
    }
    let mut buffer = [0; 8 + 255 * 16 + 8 + crate::Trailer::LEN];
    let Ok(length) = parsed
        .advertisement
        .emit(&envelope, &mut buffer, parsed.checksum)
    else {
        return;
    };
    // A second later, beyond what was just heard.
    let unix = unix + Duration::from_secs(1);
    let sealed = authenticator
        .sealer(unix)
        .map(|s| s.seal(length, &envelope, &mut buffer));
    let Some(Ok(sealed)) = sealed else {
        return;
    };
    let position = length + usize::from(*place) % crate::Trailer::LEN;
    let mut verify = |buffer: &[u8]| {
        let packet = buffer.get(..sealed).unwrap_or_default();
        let parsed = Advertisement::parse_packet(packet, &envelope).ok()?;
        authenticator.verify(&parsed, &envelope, unix).ok()
    };
    let flip = |buffer: &mut [u8]| {
        if let Some(byte) = buffer.get_mut(position) {
            *byte ^= 1;
        }
    };
    flip(&mut buffer);
    assert_eq!(verify(&buffer), None, "a changed trailer was accepted");
    flip(&mut buffer);
    // Unless the packet came from the future, and what is sealed now is behind it.
    let sequence = crate::Sequence::at(unix);
    let ahead = parsed
        .trailer
        .is_some_and(|trailer| !sequence.follows(trailer.sequence));
    assert!(
        ahead || matches!(verify(&buffer), Some(Verified::Signed { .. })),
        "what was sealed is verified"
    );
}
