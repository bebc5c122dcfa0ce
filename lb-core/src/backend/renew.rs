//! A backend under a new configuration: built beside the old one, which serves on until the new one takes over
//! and afterwards finishes what it has.

use std::{
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, SeqCst},
    },
    time::Instant,
};

use super::{Backend, Kept, slots::wake, source_table};
use crate::{config::ProxyConfig, id::ServerIndex, server::Server};

impl Backend {
    /// The backend of `proxy`, in place of this one: itself if its servers and their balancing are the same, else
    /// a new one that shares state, slots and counters of the servers that both name. Nothing changes until
    /// [`Backend::take_over`].
    pub fn renewed(self: &Arc<Self>, proxy: &ProxyConfig, now: Instant) -> Arc<Self> {
        let config = proxy.backend.clone().unwrap_or_default();
        if self.config.means_the_same(&config) {
            return Arc::clone(self);
        }
        let mut numbers: Vec<u32> = self.servers.iter().map(Server::number).collect();
        let renew = |(index, line): (usize, &crate::config::ServerConfig)| {
            let index = ServerIndex::new(index);
            if let Some(old) = self.server_named(&line.name) {
                return Server::renewed(index, line.clone(), old, now);
            }
            let server = Server::new(index, line.clone(), now);
            if numbers.contains(&server.number()) {
                server.set_number(numbers.iter().max().map_or(1, |most| most + 1));
            }
            numbers.push(server.number());
            server
        };
        let servers = config.servers.iter().enumerate().map(renew).collect();
        let sources = match (&self.sources, config.stick_on_source) {
            (Some(table), Some(expire)) if self.config.stick_on_source == Some(expire) => {
                Some(Arc::clone(table))
            }
            (_, expire) => expire.map(|expire| Arc::new(source_table(expire, now))),
        };
        let kept = Kept {
            counters: Arc::clone(&self.counters),
            sources,
            kin: Arc::clone(&self.kin),
        };
        Arc::new(Self::with(proxy, config, servers, kept, now))
    }

    /// From now on this one serves instead of `old`, out of which [`Backend::renewed`] made it.
    pub fn take_over(self: &Arc<Self>, old: &Arc<Self>, proxy: &ProxyConfig, now: Instant) {
        self.id.store(proxy.id, Relaxed);
        if Arc::ptr_eq(self, old) {
            return;
        }
        for server in &self.servers {
            if let Some(before) = old.server_named(server.name()) {
                server.adopt(before, now);
                self.weigh_anew(server, before);
            }
        }
        // The first limits may have come just now.
        if self.servers.iter().any(|server| server.maxconn() > 0) {
            self.settles.store(true, SeqCst);
        }
        let books = {
            let before = old.lock();
            let books = (
                before.last_change,
                before.down_since,
                before.down_for,
                before.down_transitions,
            );
            let mut state = self.lock();
            state.now = state.now.max(before.now);
            let places = |server: &Server| Some(old.server_named(server.name())?.index().index());
            let places: Vec<_> = self.servers.iter().map(places).collect();
            state.scheduler.resume(&before.scheduler, &places);
            books
        };
        self.kin.join(self);
        let mut woken = Vec::new();
        let plan;
        {
            let mut state = self.lock();
            let was_up = old.is_up();
            (
                state.last_change,
                state.down_since,
                state.down_for,
                state.down_transitions,
            ) = books;
            self.refresh(&mut state, now);
            self.keep_books(&mut state, now, was_up, self.is_up());
            self.hand_out_all(&mut state, &mut woken);
            plan = state.scheduler.plan();
        }
        self.lay_out(plan);
        wake(woken);
        // Those who still wait in the old one see the new limits and states.
        self.kin.follow(self, now);
    }
}
