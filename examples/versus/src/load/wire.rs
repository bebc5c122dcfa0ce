//! A client's connection, plain or TLS, that never waits.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt},
};
use rustls::{ClientConfig, ClientConnection, HandshakeKind};
use rustls_pki_types::ServerName;

use crate::poll::ready;

/// A connection.
pub(crate) struct Wire {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Wire {
    /// Begins to connect; everything here is IPv4.
    pub(crate) fn open(target: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        sockopt::set_tcp_nodelay(&fd, true)?;
        match connect(&fd, &target) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(failed) => return Err(failed.into()),
        }
        let tls = tls
            .map(|config| {
                let name = ServerName::from(target.ip());
                ClientConnection::new(Arc::clone(config), name).map(Box::new)
            })
            .transpose()
            .map_err(io::Error::other)?;
        Ok(Self {
            stream: fd.into(),
            tls,
        })
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// Writes what fits; nothing while the connection is still being made.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        match &mut self.tls {
            None => match ready(self.stream.write(bytes)) {
                Err(failed) if failed.kind() == io::ErrorKind::NotConnected => Ok(None),
                done => done,
            },
            // Kept until the handshake is over.
            Some(tls) => tls.writer().write(bytes).map(Some),
        }
    }

    /// Sends what TLS has to send.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => flush(tls, &mut self.stream),
            None => Ok(()),
        }
    }

    /// Reads what there is; 0 bytes are the end.
    pub(crate) fn read(&mut self, room: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(tls) = &mut self.tls else {
            return ready(self.stream.read(room));
        };
        loop {
            match tls.reader().read(room) {
                Err(failed) if failed.kind() == io::ErrorKind::WouldBlock => {}
                // Whether the end is announced is the proxy's affair: lengths are verified anyway.
                Err(failed) if failed.kind() == io::ErrorKind::UnexpectedEof => return Ok(Some(0)),
                done => return done.map(Some),
            }
            if ready(tls.read_tls(&mut self.stream))?.is_none() {
                return Ok(None);
            }
            tls.process_new_packets().map_err(io::Error::other)?;
            flush(tls, &mut self.stream)?;
        }
    }

    /// Whether the TLS session went on from an earlier one.
    pub(crate) fn is_resumed(&self) -> bool {
        let kind = self.tls.as_ref().and_then(|tls| tls.handshake_kind());
        kind == Some(HandshakeKind::Resumed)
    }
}

fn flush(tls: &mut ClientConnection, stream: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        match ready(tls.write_tls(stream)) {
            Ok(Some(_)) => {}
            Ok(None) => break,
            // Still being connected.
            Err(failed) if failed.kind() == io::ErrorKind::NotConnected => break,
            Err(failed) => return Err(failed),
        }
    }
    Ok(())
}
