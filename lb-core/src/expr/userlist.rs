//! Users and their passwords, as `Authorization: Basic` brings them.

use base64::Engine as _;
use subtle::ConstantTimeEq as _;

use crate::rules::{Password, User};

/// Users of one `userlist`, for `http_auth`.
#[derive(Debug, Clone, Default)]
pub struct Userlist {
    /// Them.
    pub users: Vec<User>,
}

impl Userlist {
    /// The groups of the user whose `Authorization: Basic` value this is; `None` unless the password is right.
    pub fn authenticate(&self, authorization: &[u8]) -> Option<&[String]> {
        let (name, password) = basic_credentials(authorization)?;
        self.users
            .iter()
            .find(|user| user.name.as_bytes() == name && is_right(&user.password, &password))
            .map(|user| user.groups.as_slice())
    }
}

/// User and password of an `Authorization: Basic` value.
pub(super) fn basic_credentials(authorization: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, rest) = authorization.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let mut plain = base64::engine::general_purpose::STANDARD
        .decode(rest.trim_ascii())
        .ok()?;
    let colon = memchr::memchr(b':', &plain)?;
    let password = plain.split_off(colon + 1);
    plain.truncate(colon);
    Some((plain, password))
}

/// Compares without telling by its duration where the difference is.
fn is_right(password: &Password, given: &[u8]) -> bool {
    match password {
        Password::Clear(text) => text.as_bytes().ct_eq(given).into(),
        Password::Hashed(hashed) => hashed.matches(given),
    }
}
