//! From the words of configuration lines to compiled rules.

use std::{fmt, io, path::Path};

use super::{ProxyRules, RuleError, RuleWarning};
use crate::acl::Condition;

/// Which half of a proxy the lines stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxySide {
    /// `frontend`.
    Frontend,
    /// `backend`.
    Backend,
    /// `listen`: both.
    Listen,
    /// A named `defaults` section.
    Defaults,
}

/// Reads a file that a line names.
pub type Loader<'l> = &'l dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// What parsing a line gives: warnings, or the error.
pub type Parsed = Result<Vec<RuleWarning>, RuleError>;

/// Collects the lines of one proxy. Each method takes the words after its keyword (`acl` takes the words after
/// `acl`, `http_request` those after `http-request`), unquoted; a [`RuleError::word`] counts from there.
pub struct RulesBuilder<'l> {
    side: ProxySide,
    loader: Loader<'l>,
}

impl fmt::Debug for RulesBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RulesBuilder")
            .field("side", &self.side)
            .finish_non_exhaustive()
    }
}

impl<'l> RulesBuilder<'l> {
    /// No rules yet. `loader` reads the files of `-f` and `file`.
    pub fn new(side: ProxySide, loader: Loader<'l>) -> Self {
        Self { side, loader }
    }

    /// `userlist` of that name: users with their clear passwords and groups, for `http_auth`.
    pub fn userlist(&mut self, name: &str, users: Vec<User>) {
        let _ = (name, users, self.loader);
    }

    /// `acl NAME EXPRESSION ...`.
    pub fn acl(&mut self, words: &[&str]) -> Parsed {
        let _ = words;
        Ok(Vec::new())
    }

    /// `tcp-request connection|session|content|inspect-delay ...`.
    pub fn tcp_request(&mut self, words: &[&str]) -> Parsed {
        let _ = words;
        Ok(Vec::new())
    }

    /// `tcp-response content|inspect-delay ...`.
    pub fn tcp_response(&mut self, words: &[&str]) -> Parsed {
        let _ = words;
        Ok(Vec::new())
    }

    /// `http-request ACTION ... [if|unless CONDITION]`.
    pub fn http_request(&mut self, words: &[&str]) -> Parsed {
        let _ = words;
        Ok(Vec::new())
    }

    /// `http-response ACTION ...`.
    pub fn http_response(&mut self, words: &[&str]) -> Parsed {
        let _ = words;
        Ok(Vec::new())
    }

    /// `http-after-response ACTION ...`.
    pub fn http_after_response(&mut self, words: &[&str]) -> Parsed {
        let _ = words;
        Ok(Vec::new())
    }

    /// `use_backend NAME [if|unless CONDITION]`.
    pub fn use_backend(&mut self, words: &[&str]) -> Parsed {
        let _ = words;
        Ok(Vec::new())
    }

    /// `use-server NAME if|unless CONDITION`.
    pub fn use_server(&mut self, words: &[&str]) -> Parsed {
        let _ = words;
        Ok(Vec::new())
    }

    /// The old `redirect ...` line; equals `http-request redirect ...` after all of those.
    pub fn redirect(&mut self, words: &[&str]) -> Parsed {
        let _ = words;
        Ok(Vec::new())
    }

    /// The old `block if ...` line (removed in 2.1): `http-request deny if ...` before all of those.
    pub fn block(&mut self, words: &[&str]) -> Parsed {
        let _ = words;
        Ok(Vec::new())
    }

    /// `capture request header NAME len N`, `capture response header ...`, `capture cookie NAME len N`.
    pub fn capture(&mut self, words: &[&str]) -> Parsed {
        let _ = words;
        Ok(Vec::new())
    }

    /// A condition that stands elsewhere (`stats admin if ...`): the words from `if` or `unless` on.
    pub fn condition(&self, words: &[&str]) -> Result<Condition, RuleError> {
        let _ = words;
        Ok(Condition::default())
    }

    /// The rules of all lines so far.
    pub fn build(self) -> Result<ProxyRules, RuleError> {
        Ok(ProxyRules::default())
    }
}

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
