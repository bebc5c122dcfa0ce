//! Another configuration for a running balancer: made ready beside the present one, then put into force or
//! forgotten.

use std::{mem, sync::Arc};

use lb_core::dataplane::{self, Balancer};
use tokio::task::spawn_local;

use super::{Running, StatsListener, read, refusal, serve, sort};
use crate::ipc::message::Configuration;

/// A configuration that waits for its order.
pub(super) struct Prepared {
    reload: u64,
    plane: dataplane::Prepared,
    workers: usize,
    stats_sockets: Vec<StatsListener>,
}

impl Running {
    /// Makes a configuration ready with the sockets that came before it.
    pub(super) fn prepare(
        &mut self,
        reload: u64,
        configuration: &Configuration,
        workers: usize,
    ) -> Result<(), String> {
        self.prepared = None;
        let sockets = mem::take(&mut self.arrived);
        let config = read(configuration, sockets.len())?;
        let (listeners, stats_sockets) = sort(&config, sockets);
        let plane = self
            .plane
            .prepare(Arc::new(config), workers, listeners)
            .map_err(|e| refusal(&e))?;
        self.prepared = Some(Prepared {
            reload,
            plane,
            workers,
            stats_sockets,
        });
        Ok(())
    }

    /// Puts it into force. Whoever is being answered on a `stats socket` goes on.
    pub(super) fn commit(&mut self, reload: u64) {
        let Some(prepared) = self.prepared.take_if(|p| p.reload == reload) else {
            return;
        };
        let before = self.plane.balancer();
        self.plane.commit(prepared.plane);
        tell_of_lost_servers(&before, &self.plane.balancer());
        self.runtime.adopt(self.plane.balancer(), prepared.workers);
        for task in self.command_lines.drain(..) {
            task.abort();
        }
        match serve(prepared.stats_sockets, &self.runtime) {
            Ok(tasks) => self.command_lines = tasks,
            Err(e) => tracing::error!("balancer: cannot listen on a `stats socket`: {e}"),
        }
        let (plane, adopted) = (Arc::clone(&self.plane), self.adopting.clone());
        spawn_local(async move {
            plane.heartbeat().await;
            let _ = adopted.send(reload);
        });
    }
}

/// Servers that were added at run time and that the new configuration does not have are gone: whoever added them should
/// know.
fn tell_of_lost_servers(before: &Balancer, now: &Balancer) {
    for backend in &before.backends {
        let kept = now.backends.iter().find(|b| b.name() == backend.name());
        let added = backend.servers().iter();
        let added = added.filter(|server| server.config().origin.is_none());
        for server in added {
            if kept.is_none_or(|kept| kept.server_named(server.name()).is_none()) {
                tracing::warn!(
                    "balancer: server {}/{} was added at run time and is not in the new configuration: it is gone",
                    backend.name(),
                    server.name()
                );
            }
        }
    }
}
