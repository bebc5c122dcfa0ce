//! `add server`: a `server` line that arrives on the command line (management guide, "add server").

use std::{collections::BTreeSet, sync::Arc};

use lb_core::{
    balance::{Algorithm, HashLayout},
    config::{BackendConfig, CheckKind, Config, Mode, Protocol, ProxyConfig, ServerConfig},
};

use super::{
    args::{Args, Context},
    keywords::{self, SERVER},
    lexer::{Line, Word, expanded},
    server,
};
use crate::config::{
    diagnostic::{Diagnostic, Diagnostics},
    files::Files,
};

/// Words of a `server` line that a server added at run time may not have.
const REFUSED: &[&str] = &[
    "cookie",
    "init-addr",
    "namespace",
    "non-stick",
    "redir",
    "resolve-net",
    "resolve-opts",
    "resolve-prefer",
    "resolvers",
    "stick",
];

/// Whether servers may come and go while `backend` runs.
fn takes_servers(backend: &BackendConfig) -> bool {
    match backend.balance {
        Algorithm::StaticRr => false,
        Algorithm::Source
        | Algorithm::Uri
        | Algorithm::UrlParam
        | Algorithm::Header
        | Algorithm::RdpCookie
        | Algorithm::Hash => backend.hash.layout != HashLayout::Map,
        _ => true,
    }
}

/// The server `name` of `proxy` with the words behind its name; refusals are HAProxy's. A process that serves opens no files
/// and asks for no names: `files` are those of TLS that it knows.
pub fn server(
    config: &Config,
    proxy: &ProxyConfig,
    name: &str,
    words: &[String],
    files: &dyn Files,
) -> Result<ServerConfig, String> {
    let backend = proxy.backend.as_ref().ok_or("No such backend.")?;
    if words.is_empty() {
        return Err("'server' expects <name> and <addr>[:<port>] as arguments.".to_owned());
    }
    if !takes_servers(backend) {
        let told = "Backend must use a dynamic load balancing to support dynamic servers.";
        return Err(told.to_owned());
    }
    if backend.servers.iter().any(|server| *server.name == *name) {
        return Err("Already exists a server with the same name in backend.".to_owned());
    }
    let usual = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if let Some(wrong) = name.chars().find(|c| !usual(c)) {
        return Err(format!(
            "character '{wrong}' is not permitted in server name '{name}'."
        ));
    }
    refuse_words(words)?;
    let mut words = words.to_vec();
    if let Some(address) = words.first_mut() {
        *address = expanded(address, |name| config.variables.environment(name));
    }
    let (mut server, forced) = read(name, &words, files)?;
    if proxy.mode == Mode::Tcp && server.protocol == Protocol::Http2 {
        return Err("MUX protocol is not usable for server.".to_owned());
    }
    // HAProxy crashes. What is run for a server is what the files say of it.
    if server.check.is_some() && matches!(backend.check, CheckKind::External(_)) {
        return Err("a dynamic server cannot be checked by 'option external-check'.".to_owned());
    }
    server.id = number(backend, forced)?;
    server.origin = None;
    if let Some(track) = &mut server.track {
        if track.0.is_empty() {
            track.0 = Arc::clone(&proxy.name);
        }
        may_be_tracked(config, &track.0, &track.1)?;
    }
    Ok(server)
}

fn refuse_words(words: &[String]) -> Result<(), String> {
    let mut words = words.iter().skip(1);
    while let Some(word) = words.next() {
        if REFUSED.contains(&word.as_str()) {
            return Err(format!(
                "'{word}' option is not accepted for dynamic server"
            ));
        }
        let values = keywords::find(SERVER, word).map_or(0, |entry| entry.arity.0);
        for _ in 0..values {
            words.next();
        }
    }
    Ok(())
}

/// As a line of a file would be read, without a `default-server`; and its `id`.
fn read(
    name: &str,
    words: &[String],
    files: &dyn Files,
) -> Result<(ServerConfig, Option<u32>), String> {
    let begin = ["server", name];
    let texts = begin
        .into_iter()
        .chain(words.iter().map(String::as_str))
        .map(|text| Word {
            text: text.to_owned(),
            column: 1,
        });
    let line = Line {
        file: Arc::from("add server"),
        number: 1,
        words: texts.collect(),
    };
    let mut diagnostics = Diagnostics::new();
    let mut context = Context {
        files,
        diagnostics: &mut diagnostics,
    };
    let draft = server::Draft::at_run_time();
    let read = server::read(&mut Args::new(&line, 1), &draft, &mut context);
    let draft = read.map_err(|finding| in_a_line(&finding))?;
    Ok((draft.config, draft.forced_id))
}

/// A finding without its place.
fn in_a_line(finding: &Diagnostic) -> String {
    let mut text = finding.message.clone();
    if let Some(found) = &finding.found {
        text += &format!(" : '{found}'");
    }
    if let Some(expected) = &finding.expected {
        text += &format!(", expected {expected}");
    }
    text
}

fn number(backend: &BackendConfig, forced: Option<u32>) -> Result<u32, String> {
    let used: BTreeSet<u32> = backend.servers.iter().map(|server| server.id).collect();
    let Some(id) = forced else {
        return Ok((1..).find(|id| !used.contains(id)).unwrap_or(u32::MAX));
    };
    let other = backend.servers.iter().find(|server| server.id == id);
    other.map_or(Ok(id), |other| {
        let at = other.origin.as_deref().unwrap_or("the command line");
        Err(format!(
            "'id' : custom id {id} already used at {at} ('server {}').",
            other.name
        ))
    })
}

fn may_be_tracked(config: &Config, backend: &str, name: &str) -> Result<(), String> {
    let Some(server) = config.server(backend, name) else {
        return Err(format!(
            "unable to find required server '{name}' for tracking."
        ));
    };
    let whom = format!("unable to use {backend}/{name} for tracking as it");
    if server.origin.is_none() {
        return Err(format!("{whom} is a dynamic server."));
    }
    if server.check.is_none() && server.agent.is_none() && server.track.is_none() {
        return Err(format!("{whom} does not have any check nor agent enabled."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use lb_core::request::EnvironmentChanges;

    use super::*;
    use crate::config::files::Bundle;

    fn added(name: &str, line: &str) -> Result<ServerConfig, String> {
        let mut config = Config::default();
        let mut proxy = ProxyConfig::new("b", 2, Mode::Http);
        let mut known = ServerConfig::new("s1", 1, Some(([127, 0, 0, 1], 80).into()));
        known.origin = Some(Arc::from("h.cfg:9"));
        let plain = known.clone();
        known.check = Some(lb_core::config::CheckConfig::default());
        known.name = Arc::from("checked");
        known.id = 3;
        proxy.backend = Some(BackendConfig {
            servers: vec![plain, known],
            ..BackendConfig::default()
        });
        config.proxies.push(proxy.clone());
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let files = Bundle::default();
        let mut changes = EnvironmentChanges::default();
        changes
            .changed
            .insert("LAST".to_owned(), Some("9".to_owned()));
        changes.hides_process = true;
        config.variables.change_environment(changes);
        server(&config, &proxy, name, &words, &files)
    }

    #[test]
    fn a_server_is_read_as_from_a_file_and_waits_in_maintenance() {
        let server = added("s2", "127.0.0.1:81 check inter 200ms weight 7 maxconn 9").unwrap();
        assert_eq!((server.id, server.weight, server.maxconn), (2, 7, Some(9)));
        assert!(server.disabled && server.check.is_some());
        assert!(!added("s2", "127.0.0.1:81 enabled").unwrap().disabled);
        // Nobody is asked for a name.
        let named = added("s2", "web.example:81").unwrap();
        assert_eq!((named.address, named.port), (None, 81));
        // Variables stand in addresses as they do in files.
        let expanded = added("s2", "127.0.0.${LAST}:8$NONE$LAST").unwrap();
        assert_eq!(expanded.address, Some(([127, 0, 0, 9], 89).into()));
        let tracking = added("s2", "127.0.0.1:81 track checked").unwrap();
        let (backend, tracked) = tracking.track.unwrap();
        assert_eq!((&*backend, &*tracked), ("b", "checked"));
    }

    #[test]
    fn refusals_are_in_haproxy_s_words() {
        for (name, line, told) in [
            (
                "s2",
                "",
                "'server' expects <name> and <addr>[:<port>] as arguments.",
            ),
            (
                "s1",
                "127.0.0.1:81",
                "Already exists a server with the same name in backend.",
            ),
            (
                "s2",
                "127.0.0.1:81 weight 3 cookie c",
                "'cookie' option is not accepted for dynamic server",
            ),
            (
                "s2",
                "127.0.0.1:81 id 1",
                "'id' : custom id 1 already used at h.cfg:9 ('server s1').",
            ),
            (
                "s2",
                "127.0.0.1:81 track q",
                "unable to find required server 'q' for tracking.",
            ),
            (
                "s2",
                "127.0.0.1:81 track s1",
                "unable to use b/s1 for tracking as it does not have any check nor agent enabled.",
            ),
            (
                "a+b",
                "127.0.0.1:81",
                "character '+' is not permitted in server name 'a+b'.",
            ),
        ] {
            assert_eq!(added(name, line).unwrap_err(), told);
        }
        let unknown = added("s2", "127.0.0.1:81 wieght 3").unwrap_err();
        assert!(unknown.contains("wieght"), "{unknown}");
    }
}
