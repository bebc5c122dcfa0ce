//! Words for the service manager: sd_notify(3), datagrams to the socket that `NOTIFY_SOCKET` names.

use std::{
    ffi::OsStr,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

use rustix::time::{ClockId, clock_gettime};

/// The socket, if there is a manager.
#[derive(Debug, Default)]
pub struct ServiceManager(Option<UnixDatagram>);

impl ServiceManager {
    /// The one of the environment.
    pub fn from_environment() -> Self {
        Self(std::env::var_os("NOTIFY_SOCKET").and_then(|name| Self::connect(&name)))
    }

    fn connect(name: &OsStr) -> Option<UnixDatagram> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            _ => SocketAddr::from_pathname(name),
        };
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        socket.connect_addr(&address.ok()?).ok()?;
        Some(socket)
    }

    /// Says something; a manager that does not listen is none.
    pub fn tell(&self, words: &str) {
        if let Some(socket) = &self.0 {
            let _ = socket.send(words.as_bytes());
        }
    }

    /// `RELOADING=1` with the time that `Type=notify-reload` asks for.
    pub fn reloads(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_a_socket_by_path_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let hidden = format!("ha-lb-test-{}", std::process::id());
        let by_name = SocketAddr::from_abstract_name(&hidden).unwrap();
        for (listener, name) in [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (
                UnixDatagram::bind_addr(&by_name).unwrap(),
                format!("@{hidden}").into(),
            ),
        ] {
            let manager = ServiceManager(ServiceManager::connect(&name));
            manager.tell("READY=1");
            let mut buffer = [0; 64];
            let length = listener.recv(&mut buffer).unwrap();
            assert_eq!(buffer.get(..length), Some(b"READY=1".as_slice()));
        }
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        let manager = ServiceManager(ServiceManager::connect(OsStr::new("/no/such/socket")));
        manager.tell("READY=1");
        manager.reloads();
    }
}
