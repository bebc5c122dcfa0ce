//! Cookies of responses.

use std::time::Duration;

use super::{CookiePolicy, Dates, PREFIX_END, pairs};
use crate::{backend::Persistence, head::HeadMut};

/// What became of the persistence cookie in a response; the fourth character of the termination state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CookieFate {
    /// `N`: none came and none was inserted.
    #[default]
    None,
    /// `I`: inserted.
    Inserted,
    /// `U`: inserted in place of the client's.
    Updated,
    /// `P`: the server's was passed on.
    Passed,
    /// `R`: the server's was rewritten.
    Rewritten,
    /// `D`: the server's was taken out.
    Deleted,
}

impl CookieFate {
    /// The character in log lines.
    pub fn letter(self) -> char {
        match self {
            Self::None => 'N',
            Self::Inserted => 'I',
            Self::Updated => 'U',
            Self::Passed => 'P',
            Self::Rewritten => 'R',
            Self::Deleted => 'D',
        }
    }
}

/// The exchange whose response is written.
#[derive(Debug, Clone, Copy)]
pub struct Served<'a> {
    /// `cookie` of the server that answered.
    pub server_cookie: Option<&'a str>,
    /// What was said of the client's cookie.
    pub persistence: Persistence,
    /// The request was a POST.
    pub is_post: bool,
    /// The client's cookie was ignored: it gets no other.
    pub ignored: bool,
    /// The dates of the client's cookie.
    pub dates: Dates,
    /// Unix time.
    pub now: Duration,
}

impl CookiePolicy {
    /// Rewrites, takes out or adds `Set-Cookie` fields.
    pub fn finish_response(&self, served: Served<'_>, response: &mut HeadMut<'_>) -> CookieFate {
        let fate = self.treat_servers_cookie(served, response);
        let (direct, now) = (served.persistence.is_direct(), served.now.as_secs());
        let keep_servers = fate == CookieFate::Passed && self.config.preserve;
        let wanted = self.config.insert
            && !keep_servers
            && !served.ignored
            && (!direct || served.dates.want_renewal(&self.config, now))
            && (!self.config.postonly || served.is_post);
        if !wanted {
            return fate;
        }
        let mut text = format!("{}=", self.config.name);
        match served.server_cookie {
            Some(value) => {
                text.push_str(value);
                served.dates.write(&self.config, now, &mut text);
            }
            // A server without a cookie: the client is told to forget what it has.
            None => text.push_str("; Expires=Thu, 01-Jan-1970 00:00:01 GMT"),
        }
        self.write_attributes(&mut text);
        response.add(b"set-cookie", text.as_bytes());
        if self.config.nocache {
            response.add(b"cache-control", b"private");
        }
        match served.server_cookie {
            Some(_) if direct => CookieFate::Updated,
            _ => CookieFate::Inserted,
        }
    }

    /// The server's own `Set-Cookie` of this name.
    fn treat_servers_cookie(&self, served: Served<'_>, response: &mut HeadMut<'_>) -> CookieFate {
        let name = self.config.name.as_bytes();
        let is_ours = |field: &[u8], value: &[u8]| {
            field.eq_ignore_ascii_case(b"set-cookie")
                && pairs(value).next().is_some_and(|pair| pair.name == name)
        };
        if !response.as_ref().fields().any(|(f, v)| is_ours(f, v)) {
            return CookieFate::None;
        }
        if self.config.preserve {
            return CookieFate::Passed;
        }
        let direct = served.persistence.is_direct();
        if self.config.insert || self.config.indirect && direct {
            response.remove_if(is_ours);
            return CookieFate::Deleted;
        }
        let Some(server) = served.server_cookie else {
            return CookieFate::Passed;
        };
        if !(self.config.rewrite || self.config.prefix) {
            return CookieFate::Passed;
        }
        let rewritten: Vec<(usize, Vec<u8>)> = response
            .as_ref()
            .fields()
            .enumerate()
            .filter(|(_, (f, v))| is_ours(f, v))
            .map(|(index, (_, value))| (index, self.rewritten(value, server)))
            .collect();
        for (index, value) in rewritten {
            response.set_value_at(index, &value);
        }
        CookieFate::Rewritten
    }

    /// `NAME=server` or `NAME=server~value`, followed by the attributes as they came.
    fn rewritten(&self, set_cookie: &[u8], server: &str) -> Vec<u8> {
        let Some(pair) = pairs(set_cookie).next() else {
            return set_cookie.to_vec();
        };
        let mut value = pair.name.to_vec();
        value.push(b'=');
        value.extend_from_slice(server.as_bytes());
        if self.config.prefix {
            value.push(PREFIX_END);
            value.extend_from_slice(pair.value.unwrap_or_default());
        }
        value.extend_from_slice(set_cookie.get(pair.end..).unwrap_or_default());
        value
    }

    fn write_attributes(&self, text: &mut String) {
        text.push_str("; path=/");
        for domain in &self.config.domains {
            text.push_str("; domain=");
            text.push_str(domain);
        }
        if self.config.httponly {
            text.push_str("; HttpOnly");
        }
        if self.config.secure {
            text.push_str("; Secure");
        }
        for attribute in &self.config.attributes {
            text.push_str("; ");
            text.push_str(attribute);
        }
    }
}
