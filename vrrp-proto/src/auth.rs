//! Authentication of VRRPv2 (RFC 2338 §5.3.6; deprecated by RFC 3768, still in use): the type in
//! the packet and the simple text password. AH is in [`ah`](crate::ah), feature `auth`.
//!
//! None of this is security: the password travels in the clear. It keeps two unrelated groups of
//! routers on one segment apart.

use core::{fmt, hint};

/// Authentication as the packet states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// None: type 0, and every VRRPv3 packet.
    None,
    /// Type 1: the password in the last eight bytes.
    Password(Password),
    /// Type 2: an IP Authentication Header stands before the packet and has the proof.
    Header,
}

impl Auth {
    pub(crate) const TYPE_NONE: u8 = 0;
    pub(crate) const TYPE_PASSWORD: u8 = 1;
    pub(crate) const TYPE_HEADER: u8 = 2;
    /// Length of the authentication data, present in every VRRPv2 packet.
    pub(crate) const DATA_LEN: usize = 8;

    /// tcpdump's word.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Password(_) => "simple",
            Self::Header => "ah",
        }
    }
}

/// Up to eight bytes, filled up with zeros: simple text password, and key of AH.
///
/// Compared in constant time; never printed.
#[derive(Clone, Copy, Eq)]
pub struct Password([u8; 8]);

impl Password {
    /// `None` if longer than eight bytes.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() <= Auth::DATA_LEN).then(|| Self::truncated(bytes))
    }

    /// The first eight bytes, as keepalived reads a longer password.
    pub fn truncated(bytes: &[u8]) -> Self {
        let mut padded = [0; Auth::DATA_LEN];
        for (to, from) in padded.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self(padded)
    }

    /// The bytes of the packet.
    pub const fn bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        let difference = self
            .0
            .iter()
            .zip(&other.0)
            .fold(0, |sum, (a, b)| sum | (a ^ b));
        hint::black_box(difference) == 0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn a_password_is_padded_with_zeros_or_cut_to_eight_bytes() {
        assert_eq!(Password::new(b"1111").unwrap().bytes(), b"1111\0\0\0\0");
        assert_eq!(Password::new(b"serviceA_pass"), None);
        assert_eq!(Password::truncated(b"serviceA_pass").bytes(), b"serviceA");
    }

    #[test]
    fn passwords_compare_over_all_bytes() {
        let password = Password::truncated(b"viettq");
        assert_eq!(password, Password::truncated(b"viettq\0"));
        assert_ne!(password, Password::truncated(b"viettq1"));
        assert_ne!(password, Password::truncated(b"Viettq"));
    }

    #[test]
    fn a_password_is_not_printed() {
        assert_eq!(
            format!("{:?}", Password::truncated(b"viettq")),
            "Password(..)"
        );
    }
}
