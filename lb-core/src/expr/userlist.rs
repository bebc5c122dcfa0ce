//! Users and their passwords, as `Authorization: Basic` brings them.

use base64::Engine as _;

/// Users of one `userlist`, for `http_auth`.
#[derive(Debug, Clone, Default)]
pub struct Userlist {
    /// (name, clear password, groups).
    pub users: Vec<(String, String, Vec<String>)>,
}

impl Userlist {
    /// The groups of the user whose `Authorization: Basic` value this is; `None` unless the password is right.
    pub fn authenticate(&self, authorization: &[u8]) -> Option<&[String]> {
        let (name, password) = basic_credentials(authorization)?;
        self.users
            .iter()
            .find(|(n, p, _)| n.as_bytes() == name && same_bytes(p.as_bytes(), &password))
            .map(|(_, _, groups)| groups.as_slice())
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
fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}
