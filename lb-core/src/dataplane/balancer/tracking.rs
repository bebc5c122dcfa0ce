//! Servers that go along with others (`track`).

use std::sync::Arc;

use super::Balancer;
use crate::{backend::Backend, id::ServerIndex, server::Server};

impl Balancer {
    /// Those that track the server of these names, each with its backend, the last first, as HAProxy goes through them.
    pub(in crate::dataplane) fn followers<'b>(
        &'b self,
        backend: &'b str,
        server: &'b str,
    ) -> impl Iterator<Item = (&'b Arc<Backend>, &'b Server)> {
        let tracks = move |follower: &Server| {
            let track = follower.config().track.as_ref();
            track.is_some_and(|(b, s)| **b == *backend && **s == *server)
        };
        self.backends.iter().rev().flat_map(move |other| {
            let followers = other.servers().iter().rev().filter(move |f| tracks(f));
            followers.map(move |follower| (other, follower))
        })
    }

    /// `enable health`, `disable health`; what tracks the server shows it as well. False for a server without `check`.
    pub fn set_checked(&self, backend: &Backend, server: ServerIndex, checked: bool) -> bool {
        if !backend.set_checked(server, checked) {
            return false;
        }
        if let Some(server) = backend.server(server) {
            self.show_checked(backend, server);
        }
        true
    }

    fn show_checked(&self, backend: &Backend, server: &Server) {
        for (other, follower) in self.followers(backend.name(), server.name()) {
            if follower.is_checked() != server.is_checked() {
                follower.set_tracks_checked(server.is_checked());
                self.show_checked(other, follower);
            }
        }
    }
}
