//! Addresses for the programs under test.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Mutex,
};

use socket2::{Domain, Socket, Type};

/// An address of this host at which a program may listen. A socket that never listens holds it until this process ends: the
/// kernel gives it to no connection and to nobody who asks for any port, and `SO_REUSEADDR` lets the program in beside it.
pub(crate) fn free_address() -> SocketAddr {
    static HELD: Mutex<Vec<Socket>> = Mutex::new(Vec::new());
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    HELD.lock().unwrap().push(socket);
    address
}
