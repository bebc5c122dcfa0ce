//! Advertisement to bytes.

use super::{Advertisement, CHECKSUM_OFFSET, FIXED_LEN, TYPE_ADVERTISEMENT, message_len};
use crate::{Auth, ChecksumMode, EmitError, Envelope, Family, Version, checksum::checksum};
use core::net::IpAddr;

impl Advertisement<'_> {
    /// How many bytes the message takes in a packet of `family`.
    pub const fn emitted_len(&self, family: Family) -> usize {
        message_len(self.version, family, self.addresses.len())
    }

    /// Writes the message to the start of `buffer` and returns its length. `mode` matters for
    /// VRRPv3 over IPv4 only.
    ///
    /// A raw IPv6 socket with `IPV6_CHECKSUM` computes the checksum again, to the same value.
    ///
    /// # Errors
    /// What of the advertisement cannot be said in its version, or [`EmitError::BufferTooSmall`].
    /// The buffer is unchanged then.
    pub fn emit(
        &self,
        envelope: &Envelope,
        buffer: &mut [u8],
        mode: ChecksumMode,
    ) -> Result<usize, EmitError> {
        let family = envelope.family().ok_or(EmitError::MixedFamilies)?;
        let (byte4, byte5) = self.bytes_4_and_5(family)?;
        let count = u8::try_from(self.addresses.len())
            .map_err(|_| EmitError::TooManyAddresses(self.addresses.len()))?;
        if let Some(stranger) = self.addresses.iter().find(|a| Family::of(*a) != family) {
            return Err(EmitError::Family(stranger));
        }
        let required = self.emitted_len(family);
        let available = buffer.len();
        let message = buffer
            .get_mut(..required)
            .ok_or(EmitError::BufferTooSmall {
                required,
                available,
            })?;

        let (fixed, rest) = message.split_at_mut(FIXED_LEN);
        fixed.copy_from_slice(&[
            self.version.number() << 4 | TYPE_ADVERTISEMENT,
            self.vrid.value(),
            self.priority.value(),
            count,
            byte4,
            byte5,
            0,
            0,
        ]);
        let (addresses, auth_data) = rest.split_at_mut(self.addresses.len() * family.address_len());
        for (place, address) in addresses
            .chunks_exact_mut(family.address_len())
            .zip(self.addresses)
        {
            match address {
                IpAddr::V4(v4) => place.copy_from_slice(&v4.octets()),
                IpAddr::V6(v6) => place.copy_from_slice(&v6.octets()),
            }
        }
        match (self.version, &self.auth) {
            (Version::V2, Auth::Password(password)) => auth_data.copy_from_slice(password.bytes()),
            // RFC 3768 §5.3.10: zero on transmission.
            _ => auth_data.fill(0),
        }

        let sum = checksum(message, envelope, mode.settle(self.version, family));
        for (place, byte) in message
            .iter_mut()
            .skip(CHECKSUM_OFFSET)
            .zip(sum.to_be_bytes())
        {
            *place = byte;
        }
        Ok(required)
    }

    /// Bytes 4 and 5, authentication and interval, and whether the version can say the rest.
    fn bytes_4_and_5(&self, family: Family) -> Result<(u8, u8), EmitError> {
        let unsayable = EmitError::Interval(self.interval, self.version);
        match self.version {
            Version::V2 => {
                if family == Family::Ipv6 {
                    return Err(EmitError::VersionOverIpv6);
                }
                let auth_type = match self.auth {
                    Auth::None => Auth::TYPE_NONE,
                    Auth::Password(_) => Auth::TYPE_PASSWORD,
                    Auth::Header => Auth::TYPE_HEADER,
                };
                Ok((auth_type, self.interval.seconds().ok_or(unsayable)?))
            }
            Version::V3 => {
                if self.auth != Auth::None {
                    return Err(EmitError::AuthInVersion3);
                }
                if self.addresses.is_empty() {
                    return Err(EmitError::NoAddresses);
                }
                let [high, low] = self.interval.centiseconds().ok_or(unsayable)?.to_be_bytes();
                Ok((high, low))
            }
        }
    }
}
