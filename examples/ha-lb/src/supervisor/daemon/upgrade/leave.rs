//! What the program that runs leaves to the next one.

use std::{
    collections::BTreeSet,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{Daemon, Slot, Stage};
use crate::{
    admin::status,
    notify::fifo::Fifo,
    supervisor::{
        child::{Child, Role},
        master_cli::MasterSocket,
        upgrade::Document,
    },
};

impl Daemon {
    pub(super) fn document(&self) -> Document {
        let acknowledged = |role: Role| match self.upgrade.as_ref().map(|u| &u.stage) {
            Some(Stage::Ready { speaker, balancer }) => match role {
                Role::Speaker => !speaker,
                Role::Balancer => !balancer,
            },
            _ => true,
        };
        let speaker = self.speaker.as_ref().filter(|slot| slot.ready());
        let speaker = speaker.and_then(Slot::child).map(Child::left);
        let speaker = speaker.filter(|_| acknowledged(Role::Speaker));
        let balancer = self.balancer.as_ref().filter(|slot| slot.ready());
        let balancer = balancer.and_then(Slot::child).map(Child::left);
        let balancer = balancer.filter(|_| acknowledged(Role::Balancer));
        // Those of fifos go on, and have somebody who waits for them.
        let fifos = self.notifier.fifos();
        let not_a_reader = |pid: &u32| fifos.iter().all(|fifo| fifo.reader() != Some(*pid));
        let number = self.last_upgrade.as_ref().map_or(0, |last| last.number) + 1;
        Document {
            version: Document::VERSION,
            configuration: self.configuration.clone(),
            launch: self.launched.left(),
            control: self.traces.control.left(),
            sockets: self.sockets.iter().map(|open| open.left()).collect(),
            master: self.master.iter().map(MasterSocket::left).collect(),
            workers: self.workers,
            fifos: fifos.iter().map(Fifo::left).collect(),
            pidfile: self.traces.pidfile.as_ref().map(|f| f.path().to_owned()),
            sink: self.launched.sink(),
            servers: self.servers.values().cloned().collect(),
            active: self.active.iter().cloned().collect(),
            scripts: self.tracks.results(),
            findings: self.tracks.findings(),
            letters: self.post.letters(),
            history: self.history.clone(),
            speaker: self.predecessors.left(Role::Speaker).or(speaker),
            balancer: self.predecessors.left(Role::Balancer).or(balancer),
            children: children().into_iter().filter(not_a_reader).collect(),
            uptime: self.started.elapsed(),
            reload: self.last_reload.clone(),
            reload_again: self.reload_again,
            upgrade: status::Upgrade {
                number,
                at: SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |since| since.as_secs()),
                from: env!("CARGO_PKG_VERSION").to_owned(),
                ready: false,
                failure: None,
            },
        }
    }
}

/// All children of this process, scripts among them.
fn children() -> Vec<u32> {
    let mut all = BTreeSet::new();
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten() {
        let list = task.and_then(|task| std::fs::read_to_string(task.path().join("children")));
        let list = list.unwrap_or_default();
        all.extend(
            list.split_whitespace()
                .filter_map(|n| n.parse::<u32>().ok()),
        );
    }
    all.into_iter().collect()
}
