//! Scripts, files, processes and neighbours by name and number.

use vrrp_fsm::Object;

use super::Words;
use crate::{
    config::keepalived::Config,
    ipc::watched::{Kind, Watched},
    vrrp::build::watched_object,
};

/// The names of all that is watched, in the order of their numbers.
#[derive(Debug)]
pub(super) struct Names {
    scripts: Vec<String>,
    files: Vec<String>,
    processes: Vec<String>,
    bfds: Vec<String>,
}

impl Names {
    pub(super) fn of(config: &Config) -> Self {
        let scripts = config.scripts.iter().map(|one| one.name.to_string());
        let files = config.files.iter().map(|one| one.name.to_string());
        let processes = config.processes.iter().map(|one| one.name.to_string());
        let bfds = config.bfds.iter().map(|one| one.name.to_string());
        Self {
            scripts: scripts.collect(),
            files: files.collect(),
            processes: processes.collect(),
            bfds: bfds.collect(),
        }
    }

    fn of_kind(&self, kind: Kind) -> &[String] {
        match kind {
            Kind::Script => &self.scripts,
            Kind::File => &self.files,
            Kind::Process => &self.processes,
            Kind::Bfd => &self.bfds,
        }
    }
}

impl Words {
    /// The object of something that is watched.
    pub(in crate::vrrp) fn watched(&self, watched: &Watched) -> Option<Object> {
        let names = self.watched.of_kind(watched.kind);
        let position = names.iter().position(|name| *name == watched.name)?;
        Some(watched_object(watched.kind, position))
    }

    /// What an object is to the supervisor; `None` for an interface.
    pub(in crate::vrrp) fn watched_name(&self, object: Object) -> Option<Watched> {
        let (kind, number) = match object {
            Object::Script(number) => (Kind::Script, number),
            Object::File(number) => (Kind::File, number),
            Object::Process(number) => (Kind::Process, number),
            Object::Neighbour(number) => (Kind::Bfd, number),
            Object::Interface(_) => return None,
        };
        let name = self
            .watched
            .of_kind(kind)
            .get(usize::try_from(number).ok()?)?;
        Some(Watched::new(kind, name.clone()))
    }
}
