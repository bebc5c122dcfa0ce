//! Sockets that go from one program to the next under the same process number.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    os::fd::{AsRawFd as _, OwnedFd, RawFd},
    path::PathBuf,
    sync::Arc,
};

use lb_core::config::BindAddress;
use serde::{Deserialize, Serialize};

use super::{Open, Place};
use crate::ipc::message::Listener;

/// An open socket in a document.
#[derive(Debug, Serialize, Deserialize)]
pub struct OpenLeft {
    /// Its descriptor; several may share one.
    pub fd: RawFd,
    listener: Listener,
    address: Address,
    interface: Option<String>,
    v6only: Option<bool>,
    owner: String,
}

#[derive(Debug, Serialize, Deserialize)]
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
    Abstract(String),
    Inherited(RawFd),
}

impl Open {
    /// What the next program has to know of it.
    pub fn left(&self) -> OpenLeft {
        OpenLeft {
            fd: self.socket.as_raw_fd(),
            listener: self.listener,
            address: match &self.place.address {
                BindAddress::Tcp(address) => Address::Tcp(*address),
                BindAddress::Unix(path) => Address::Unix(path.clone()),
                BindAddress::Abstract(name) => Address::Abstract(name.clone()),
                BindAddress::Inherited(number) => Address::Inherited(*number),
            },
            interface: self.place.interface.clone(),
            v6only: self.place.v6only,
            owner: self.owner.to_string(),
        }
    }
}

/// The sockets of the program before; `take` is asked once for each descriptor.
pub fn inherited(
    left: Vec<OpenLeft>,
    take: impl Fn(RawFd) -> Result<OwnedFd, String>,
) -> Result<Vec<Open>, String> {
    let mut taken: BTreeMap<RawFd, Arc<OwnedFd>> = BTreeMap::new();
    let open = |left: OpenLeft| {
        let socket = match taken.get(&left.fd) {
            Some(socket) => Arc::clone(socket),
            None => {
                let socket = Arc::new(take(left.fd)?);
                taken.insert(left.fd, Arc::clone(&socket));
                socket
            }
        };
        Ok(Open {
            listener: left.listener,
            socket,
            place: Place {
                address: match left.address {
                    Address::Tcp(address) => BindAddress::Tcp(address),
                    Address::Unix(path) => BindAddress::Unix(path),
                    Address::Abstract(name) => BindAddress::Abstract(name),
                    Address::Inherited(number) => BindAddress::Inherited(number),
                },
                interface: left.interface,
                v6only: left.v6only,
            },
            owner: Arc::from(left.owner),
            backlog: None,
        })
    };
    left.into_iter().map(open).collect()
}
