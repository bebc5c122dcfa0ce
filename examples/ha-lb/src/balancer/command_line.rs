//! Accepts on `stats socket`s, beside the workers: operators get an answer however busy those are.

use std::{io, os::fd::OwnedFd, sync::Arc, time::Duration};

use lb_core::config::{BindAddress, StatsLevel};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinHandle, spawn_local},
};

use crate::admin::runtime::{converse, execute::Runtime};

/// A short rest after an accept that failed (no free descriptor).
const REST: Duration = Duration::from_millis(100);

/// Serves one socket until the task is aborted; conversations go on then. There are never more of them than `places`:
/// whoever comes then waits.
pub(super) fn serve(
    address: BindAddress,
    socket: OwnedFd,
    level: StatsLevel,
    places: Arc<Semaphore>,
    runtime: Arc<Runtime>,
) -> io::Result<JoinHandle<()>> {
    let is_unix = match address {
        BindAddress::Unix(_) | BindAddress::Abstract(_) => true,
        BindAddress::Tcp(_) => false,
        BindAddress::Inherited(_) => {
            let local = SockRef::from(&socket).local_addr();
            local.is_ok_and(|address| address.is_unix())
        }
    };
    let task = match is_unix {
        true => {
            let listener = UnixListener::from_std(socket.into())?;
            let accept = async move || listener.accept().await.map(|(stream, _)| stream);
            spawn_local(accept_all(accept, level, places, runtime))
        }
        false => {
            let listener = TcpListener::from_std(socket.into())?;
            let accept = async move || listener.accept().await.map(|(stream, _)| stream);
            spawn_local(accept_all(accept, level, places, runtime))
        }
    };
    Ok(task)
}

async fn accept_all<S: AsyncRead + AsyncWrite + 'static>(
    accept: impl AsyncFn() -> io::Result<S>,
    level: StatsLevel,
    places: Arc<Semaphore>,
    runtime: Arc<Runtime>,
) {
    loop {
        match accept().await {
            Ok(stream) => {
                let place = Arc::clone(&places).acquire_owned().await.ok();
                talk(stream, level, place, &runtime);
            }
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

/// Answers whoever the supervisor passes on.
pub(super) fn answer(lines: Vec<OwnedFd>, level: StatsLevel, runtime: &Arc<Runtime>) {
    for line in lines {
        let line = UnixStream::from_std(std::os::unix::net::UnixStream::from(line));
        // One that cannot be had is closed, which its other end sees.
        if let Ok(line) = line {
            talk(line, level, None, runtime);
        }
    }
}

fn talk(
    stream: impl AsyncRead + AsyncWrite + 'static,
    level: StatsLevel,
    place: Option<OwnedSemaphorePermit>,
    runtime: &Arc<Runtime>,
) {
    let runtime = Arc::clone(runtime);
    spawn_local(async move {
        let _place = place;
        // A client that went away needs no answer.
        let _ = converse(stream, level, &*runtime).await;
    });
}
