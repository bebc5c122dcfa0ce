//! What a form asks for: HAProxy's field names and words (`s`, `b`, `action`), so that its tools go on working.

use lb_core::{backend::Health, server::Server};

use super::super::options::{Notice, decode};
use crate::admin::runtime::{
    command::{State, Target},
    execute::Runtime,
};

/// What is to become of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Action {
    State(State),
    Checked(bool),
    Health(Health),
    /// The agent is asked, or no longer.
    Asked(bool),
    /// What the agent is taken to have said.
    Agent(bool),
    Shutdown,
}

/// An action on the page's list.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Choice {
    /// HAProxy's word.
    pub(in super::super) word: &'static str,
    /// On the list.
    pub(in super::super) title: &'static str,
    action: Action,
}

const fn choice(word: &'static str, title: &'static str, action: Action) -> Choice {
    Choice {
        word,
        title,
        action,
    }
}

/// The actions that the page offers.
pub(in super::super) const CHOICES: [Choice; 13] = [
    choice("ready", "Ready: take part", Action::State(State::Ready)),
    choice(
        "drain",
        "Drain: finish, take nothing new",
        Action::State(State::Drain),
    ),
    choice(
        "maint",
        "Maintenance: take out",
        Action::State(State::Maint),
    ),
    choice("dhlth", "Health: stop checking", Action::Checked(false)),
    choice("ehlth", "Health: check again", Action::Checked(true)),
    choice("hrunn", "Health: force up", Action::Health(Health::Up)),
    choice(
        "hnolb",
        "Health: force up, nothing new",
        Action::Health(Health::Stopping),
    ),
    choice("hdown", "Health: force down", Action::Health(Health::Down)),
    choice("dagent", "Agent: stop asking", Action::Asked(false)),
    choice("eagent", "Agent: ask again", Action::Asked(true)),
    choice("arunn", "Agent: force up", Action::Agent(true)),
    choice("adown", "Agent: force down", Action::Agent(false)),
    choice("shutdown", "Cut the running sessions", Action::Shutdown),
];

impl Action {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            // Words of old tools.
            "enable" | "start" => Self::State(State::Ready),
            "disable" => Self::State(State::Maint),
            "stop" => Self::State(State::Drain),
            word => CHOICES.iter().find(|choice| choice.word == word)?.action,
        })
    }
}

/// A form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Order {
    /// HAProxy's word for the action.
    pub(in super::super) word: String,
    pub(in super::super) action: Action,
    /// `#number` or name.
    pub(in super::super) backend: String,
    pub(in super::super) servers: Vec<String>,
}

impl Order {
    /// Reads the fields of a form.
    pub(in super::super) fn parse(form: &str) -> Result<Self, Notice> {
        let fields: Vec<(String, String)> = form
            .split('&')
            .filter_map(|field| field.split_once('='))
            .map(|(name, value)| (decode(name), decode(value)))
            .collect();
        let last = |wanted: &str| {
            let mut fields = fields.iter().rev();
            fields
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.clone())
        };
        let servers: Vec<String> = fields
            .iter()
            .filter(|(name, value)| name == "s" && !value.is_empty())
            .map(|(_, value)| value.clone())
            .collect();
        let (word, backend) = (last("action"), last("b"));
        let action = match word.as_deref() {
            Some(word) => Some(Action::parse(word).ok_or(Notice::Error)?),
            None => None,
        };
        match (word, action, backend) {
            (Some(word), Some(action), Some(backend)) if !servers.is_empty() => Ok(Self {
                word,
                action,
                backend,
                servers,
            }),
            _ => Err(Notice::None),
        }
    }

    /// Does it, server by server.
    pub(super) fn carry_out(&self, runtime: &Runtime) -> Notice {
        let (mut done, mut unknown) = (0, 0);
        for server in &self.servers {
            let target = Target {
                backend: self.backend.clone(),
                server: server.clone(),
            };
            match self.carry_out_on(runtime, &target) {
                Ok(true) => done += 1,
                Ok(false) => {}
                Err(_) => unknown += 1,
            }
        }
        match (done, unknown) {
            (0, 0) => Notice::None,
            (_, 0) => Notice::Done,
            (0, _) => Notice::Error,
            _ => Notice::Part,
        }
    }

    /// Whether it concerned the server at all.
    fn carry_out_on(&self, runtime: &Runtime, target: &Target) -> Result<bool, String> {
        match self.action {
            Action::State(state) => runtime.set_state(target, state)?,
            Action::Checked(checked) => {
                let config = runtime.look(target, |server| server.config().check.is_some())?;
                if !config {
                    return Ok(false);
                }
                runtime.set_checked(target, checked)?;
            }
            // As for HAProxy, servers that track others or have no agent are passed over.
            Action::Health(health) => {
                if runtime.look(target, |server| server.config().track.is_some())? {
                    return Ok(false);
                }
                runtime.set_health(target, health)?;
            }
            Action::Asked(asked) => {
                if !runtime.look(target, |server| server.config().agent.is_some())? {
                    return Ok(false);
                }
                runtime.set_asked(target, asked)?;
            }
            Action::Agent(up) => {
                if !runtime.look(target, Server::has_agent)? {
                    return Ok(false);
                }
                runtime.set_agent(target, up)?;
            }
            Action::Shutdown => runtime.shutdown_sessions(target)?,
        }
        Ok(true)
    }
}

/// The content of chunks up to the last one; none if that is not there.
pub(super) fn joined(chunks: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let mut rest = chunks;
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = std::str::from_utf8(rest.get(..end)?).ok()?;
        let size = line.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(content);
        }
        rest = rest.get(end + 1..)?;
        content.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?;
        rest = rest
            .strip_prefix(b"\r")
            .unwrap_or(rest)
            .strip_prefix(b"\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_may_come_in_chunks() {
        let joined = |text: &str| joined(text.as_bytes()).map(|c| String::from_utf8(c).unwrap());
        assert_eq!(
            joined("3\r\ns=a\r\n4;x=y\r\n&b=c\r\n0\r\n\r\n").as_deref(),
            Some("s=a&b=c")
        );
        assert_eq!(joined("0\r\n\r\n").as_deref(), Some(""));
        for broken in [
            "",
            "3\r\ns=a\r\n",
            "3\r\ns=",
            "ffffffffffffffff\r\na",
            "x\r\n",
            "3\r\ns=ab\r\n0\r\n",
        ] {
            assert_eq!(joined(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn a_form_names_an_action_a_backend_and_servers_in_any_order() {
        let order = Order::parse("s=a+b&b=%233&action=drain&s=c&x=1").unwrap();
        assert_eq!(order.action, Action::State(State::Drain));
        assert_eq!(order.backend, "#3");
        assert_eq!(order.servers, ["a b", "c"]);
        assert_eq!(
            Order::parse("action=enable&b=x&s=a").unwrap().action,
            Action::State(State::Ready)
        );
    }

    #[test]
    fn forms_that_ask_for_nothing_and_forms_that_are_wrong_differ() {
        for (form, notice) in [
            ("", Notice::None),
            ("s=", Notice::None),
            ("b=x&action=ready", Notice::None),
            ("s=a&action=ready", Notice::None),
            ("s=a&b=x&action=nonsense", Notice::Error),
            ("s=a&b=x&action=", Notice::Error),
        ] {
            assert_eq!(Order::parse(form), Err(notice), "{form}");
        }
    }

    #[test]
    fn every_word_on_the_list_is_understood() {
        for choice in CHOICES {
            assert_eq!(Action::parse(choice.word), Some(choice.action));
        }
    }
}
