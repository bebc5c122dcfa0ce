//! Users of `userlist` sections.

/// One user of a `userlist`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Name.
    pub name: String,
    /// `insecure-password`.
    pub password: String,
    /// Groups the user is in.
    pub groups: Vec<String>,
}
