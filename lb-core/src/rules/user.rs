//! Users of `userlist` sections.

use crate::expr::Hashed;

/// One user of a `userlist`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Name.
    pub name: String,
    /// What the password is compared with.
    pub password: Password,
    /// Groups the user is in.
    pub groups: Vec<String>,
}

/// A password as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Password {
    /// `insecure-password`.
    Clear(String),
    /// `password`.
    Hashed(Hashed),
}
