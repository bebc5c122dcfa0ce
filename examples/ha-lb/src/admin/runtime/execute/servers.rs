//! Servers that come, go and are probed elsewhere while the others serve: each change is a configuration of its own,
//! put into force as a reload's would be, of which the files know nothing.

use std::{
    fmt::Write as _,
    sync::{Arc, PoisonError},
    time::Instant,
};

use lb_core::{
    backend::Backend,
    config::{BackendConfig, Config, ProxyConfig, ServerConfig},
    dataplane::TlsFiles,
    server::Server,
};

use super::{
    Runtime, Target,
    tls::{Known, keep},
};
use crate::{admin::runtime::command::Probe, config::haproxy::dynamic};

impl Runtime {
    /// `add server`: it waits in maintenance, unchecked.
    pub(super) fn add_server(&self, target: &Target, words: &[String]) -> Result<String, String> {
        let (mut config, at) = self.configuration(target)?;
        let proxy = config.proxies.get(at).ok_or("No such backend.")?;
        let mut work = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        let files = Known::new(self.balancer().tls_files(), &work);
        let server = dynamic::server(&config, proxy, &target.server, words, &files)?;
        servers_of(&mut config, at)?.push(server);
        self.renew(config)?;
        files.were_taken(&mut work);
        drop(work);
        let (backend, index) = self.find(target)?;
        backend.set_checked(index, false);
        backend.set_asked(index, false);
        let server = backend.server(index).ok_or("No such server.")?;
        if let Some((owner, name)) = &server.config().track {
            let tracked = Target {
                backend: owner.to_string(),
                server: name.to_string(),
            };
            let (owner, tracked) = self.find(&tracked)?;
            if let Some(tracked) = owner.server(tracked) {
                // What is tracked is known at once.
                let _ = backend.follow(Instant::now(), index, tracked);
            }
        }
        tracing::warn!(
            "{}/{} is added on the command line",
            backend.name(),
            server.name()
        );
        Ok("New server registered.".to_owned())
    }

    /// `del server`.
    pub(super) fn delete_server(&self, target: &Target) -> Result<String, String> {
        let (backend, index) = self.find(target)?;
        let server = backend.server(index).ok_or("No such server.")?;
        let (mut config, at) = self.configuration(target)?;
        if is_named(&config, &backend, server) {
            let told = "This server cannot be removed at runtime due to other configuration elements \
                        pointing to it.";
            return Err(told.to_owned());
        }
        if !server.admin().is_maintenance() {
            return Err("Only servers in maintenance mode can be deleted.".to_owned());
        }
        if server.served() > 0 || server.counters().queue.value() > 0 {
            let told = "Server still has connections attached to it, cannot remove it.";
            return Err(told.to_owned());
        }
        servers_of(&mut config, at)?.retain(|other| *other.name != *server.name());
        let mut work = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.balancer().tls_files();
        self.renew(config)?;
        keep(&before, &self.balancer().tls_files(), &mut work);
        drop(work);
        tracing::warn!(
            "{}/{} is removed on the command line",
            backend.name(),
            server.name()
        );
        Ok("Server deleted.".to_owned())
    }

    /// `set server ... check-addr` and the like.
    pub(super) fn set_probe(&self, target: &Target, probe: &Probe) -> Result<String, String> {
        const SWITCHED: &str = "server ssl setting updated.";
        const UNCHECKED: &str = "health checks are not enabled on this server";
        const NO_AGENT: &str = "agent checks are not enabled on this server";
        let name = self.look(target, |server| server.name().to_owned())?;
        let (mut config, at) = self.configuration(target)?;
        let files = self.balancer().tls_files();
        let server = servers_of(&mut config, at)?
            .iter_mut()
            .find(|server| *server.name == *name)
            .ok_or("No such server.")?;
        match probe {
            Probe::CheckAddress(ip, port) => {
                let check = server.check.as_mut().ok_or(UNCHECKED)?;
                check.addr = Some(*ip);
                check.port = port.or(check.port);
            }
            Probe::CheckPort(port) => {
                server.check.as_mut().ok_or(UNCHECKED)?.port = Some(*port);
            }
            Probe::AgentAddress(ip, port) => {
                let agent = server.agent.as_mut().ok_or(NO_AGENT)?;
                agent.addr = Some(*ip);
                agent.port = port.unwrap_or(agent.port);
            }
            Probe::AgentPort(port) => server.agent.as_mut().ok_or(NO_AGENT)?.port = *port,
            Probe::Name(name) => {
                if server.resolution.is_none() {
                    let told =
                        "set server <b>/<s> fqdn failed because no resolution is configured.";
                    return Err(told.to_owned());
                }
                if server.resolution.as_ref().is_some_and(|it| it.of_service) {
                    let told =
                        "set server <b>/<s> fqdn failed because SRV resolution is configured.";
                    return Err(told.to_owned());
                }
                server.fqdn = Some(name.clone());
            }
            Probe::Tls(true) if server.tls.is_some() => return Ok(SWITCHED.to_owned()),
            Probe::Tls(on) => {
                // What was committed since the files were read goes with it.
                keep_present(server, &files);
                switch_tls(server, *on)?;
            }
            Probe::AgentSend(text) => {
                server.agent.as_mut().ok_or(NO_AGENT)?.send = Arc::from(text.as_str());
            }
        }
        self.renew(config)?;
        let told = if matches!(probe, Probe::Tls(_)) {
            SWITCHED
        } else {
            ""
        };
        Ok(told.to_owned())
    }

    /// `show servers conn`.
    pub(super) fn servers_connections(&self, wanted: Option<&str>) -> Result<String, String> {
        const HEADER: &str = "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est unsafe_nb \
                              safe_nb idle_lim idle_cur idle_per_thr";
        let balancer = self.balancer();
        let named = |backend: &&Arc<Backend>| wanted.is_none_or(|name| backend.name() == name);
        let backends: Vec<_> = balancer.backends.iter().filter(named).collect();
        if wanted.is_some() && backends.is_empty() {
            return Err("Can't find backend.".to_owned());
        }
        let workers = self.workers();
        let mut text = format!("{HEADER}[{workers}]\n");
        for backend in backends {
            for server in backend.servers() {
                let (sessions, idle) = (&server.counters().sessions, &server.counters().idle);
                let address = server.address();
                let host = address.map_or_else(|| "-".to_owned(), |a| a.ip().to_string());
                let port = address.map_or(server.config().port, |address| address.port());
                // How many idle ones each worker has is known to the worker alone: all are told with the first.
                let _ = writeln!(
                    text,
                    "{}/{} {}/{} {host} {port} - 5000 {} {} {} 0 {idle} -1 {idle} {idle}{}",
                    backend.name(),
                    server.name(),
                    backend.id(),
                    server.config().id,
                    sessions.value(),
                    sessions.max(),
                    sessions.max(),
                    " 0".repeat(workers.saturating_sub(1)),
                    idle = idle.value(),
                );
            }
        }
        Ok(text)
    }

    /// A copy of the configuration, and the place of the backend in it.
    fn configuration(&self, target: &Target) -> Result<(Config, usize), String> {
        let balancer = self.balancer();
        let serves =
            |proxy: &ProxyConfig| *proxy.name == *target.backend && proxy.backend.is_some();
        let at = balancer.config.proxies.iter().position(serves);
        let at = at.ok_or("No such backend.")?;
        Ok((Config::clone(&balancer.config), at))
    }

    /// Puts it into force.
    fn renew(&self, config: Config) -> Result<(), String> {
        let workers = self.workers();
        let balancer = (self.renew)(config)?;
        self.replace(balancer, workers);
        Ok(())
    }
}

/// Certificates, authorities and lists that were exchanged at run time stay exchanged.
fn keep_present(server: &mut ServerConfig, files: &TlsFiles) {
    let check = server.check.iter_mut();
    let of_check = check.flat_map(|check| [&mut check.tls, &mut check.step_tls]);
    let all = [&mut server.tls, &mut server.spare_tls].into_iter();
    for tls in all.chain(of_check).filter_map(Option::as_mut) {
        *tls = Arc::new(files.present(tls));
    }
}

fn switch_tls(server: &mut ServerConfig, on: bool) -> Result<(), String> {
    if on {
        let told =
            "'set server <srv> ssl' cannot be set.  default-server should define ssl settings";
        server.tls = Some(server.spare_tls.take().ok_or(told)?);
        server.tls_refused = false;
    } else {
        server.spare_tls = server.tls.take().or(server.spare_tls.take());
    }
    Ok(())
}

fn servers_of(config: &mut Config, at: usize) -> Result<&mut Vec<ServerConfig>, String> {
    let proxy = config.proxies.get_mut(at);
    let backend: Option<&mut BackendConfig> = proxy.and_then(|proxy| proxy.backend.as_mut());
    let backend = backend.ok_or("No such backend.")?;
    Ok(&mut backend.servers)
}

/// Whether rules or other servers need it.
fn is_named(config: &Config, backend: &Backend, server: &Server) -> bool {
    config.proxies.iter().any(|proxy| {
        let servers = proxy.backend.iter().flat_map(|backend| &backend.servers);
        let mut tracks = servers.filter_map(|server| server.track.as_ref());
        let own = *proxy.name == *backend.name();
        let names = || proxy.rules.server_names();
        let is_it = |owner: &str, name: &str| *owner == *backend.name() && *name == *server.name();
        tracks.any(|(owner, name)| is_it(owner, name))
            || own && names().iter().any(|name| **name == *server.name())
            || proxy
                .rules
                .servers_asked_about()
                .any(|(owner, name)| is_it(owner, name))
    })
}
