//! haproxy's master command line (`-S`; management guide, "Master CLI"): its sockets, which the supervisor keeps over
//! reloads and upgrades, and who accepts on them.
//!
//! `conversation` is what is said; the daemon answers (`daemon/master.rs`), and what is meant for a worker goes to
//! the balancer.

mod conversation;
mod processes;

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd, RawFd},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use lb_core::config::{BindAddress, StatsLevel, StatsSocket};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::Semaphore,
};

use super::listeners;
use crate::config::{diagnostic::Diagnostics, files::Bundle, haproxy};
pub(super) use conversation::{Ask, Reloaded, Which};
pub(super) use processes::{Processes, Worker};

/// Conversations at a time, as haproxy allows.
const MOST: usize = 10;
/// A short rest after an accept that failed (no free descriptor).
const REST: Duration = Duration::from_millis(100);

/// A socket of the master.
#[derive(Debug)]
pub struct MasterSocket {
    address: BindAddress,
    level: StatsLevel,
    socket: OwnedFd,
}

/// What `-S` says: an address and the words of a `bind` line, separated by commas. It is read as a `stats socket`.
fn read(argument: &str) -> Result<StatsSocket, String> {
    let quoted = |word: &str| format!(" '{}'", word.replace('\'', r"'\''"));
    let mut words = argument.split(',');
    let address = quoted(words.next().unwrap_or_default());
    let options: String = words.map(quoted).collect();
    let text = format!("global\nstats socket{address}{options}\n");
    let files = Bundle::default().with_file("-S", text);
    let mut diagnostics = Diagnostics::new();
    let config = haproxy::load(&[PathBuf::from("-S")], &files, &mut diagnostics);
    let mut stats = config
        .and_then(|config| config.global.stats_sockets.into_iter().next())
        .ok_or_else(|| format!("-S {argument}: {diagnostics}"))?;
    if !argument.split(',').any(|word| word == "level") {
        stats.level = StatsLevel::Admin;
    }
    Ok(stats)
}

/// Opens the sockets of all `-S`. The error is a sentence.
pub fn open(arguments: &[String]) -> Result<Vec<MasterSocket>, String> {
    let open = |argument: &String| {
        let stats = read(argument)?;
        let socket = listeners::command_socket(&stats, "the master CLI", "-S");
        Ok(MasterSocket {
            socket: socket.map_err(|e| e.to_string())?,
            address: stats.address,
            level: stats.level,
        })
    };
    arguments.iter().map(open).collect()
}

/// Those that the program before opened, in the order of its arguments.
pub(super) fn inherited(
    arguments: &[String],
    sockets: Vec<OwnedFd>,
) -> Result<Vec<MasterSocket>, String> {
    let take = |(argument, socket): (&String, OwnedFd)| {
        let stats = read(argument)?;
        Ok(MasterSocket {
            address: stats.address,
            level: stats.level,
            socket,
        })
    };
    arguments.iter().zip(sockets).map(take).collect()
}

impl MasterSocket {
    /// Its path, to be removed at the end.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.address {
            BindAddress::Unix(path) => Some(path),
            _ => None,
        }
    }

    /// The descriptor for the program after this one.
    pub(super) fn left(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Answers connections for ever; `ask` hands questions to the daemon.
    pub(super) fn serve(
        &self,
        ask: impl Fn(Ask) + Clone + Send + Sync + 'static,
    ) -> io::Result<()> {
        let (socket, level) = (self.socket.try_clone()?, self.level);
        let is_unix = SockRef::from(&socket).local_addr()?.is_unix();
        if is_unix {
            let listener = Arc::new(UnixListener::from_std(socket.into())?);
            tokio::spawn(accept(level, ask, move || {
                let listener = Arc::clone(&listener);
                async move { listener.accept().await.map(|(stream, _)| stream) }
            }));
        } else {
            let listener = Arc::new(TcpListener::from_std(socket.into())?);
            tokio::spawn(accept(level, ask, move || {
                let listener = Arc::clone(&listener);
                async move { listener.accept().await.map(|(stream, _)| stream) }
            }));
        }
        Ok(())
    }
}

async fn accept<S, F>(
    level: StatsLevel,
    ask: impl Fn(Ask) + Clone + Send + Sync + 'static,
    next: impl Fn() -> F,
) where
    S: AsyncRead + AsyncWrite + Send + 'static,
    F: Future<Output = io::Result<S>>,
{
    let room = Arc::new(Semaphore::new(MOST));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match next().await {
            Ok(stream) => {
                let ask = ask.clone();
                tokio::spawn(async move {
                    // A client that went away needs no answer.
                    let _ = conversation::converse(stream, level, ask).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("master CLI: cannot accept a connection: {error}");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_is_a_bind_line_s_words() {
        let stats = read("/run/it's m.sock,mode,600,level,operator,user,haproxy").unwrap();
        assert_eq!(
            stats.address,
            BindAddress::Unix(PathBuf::from("/run/it's m.sock"))
        );
        assert_eq!(
            (stats.rights.mode, stats.level),
            (Some(0o600), StatsLevel::Operator)
        );
        assert_eq!(stats.rights.user.as_deref(), Some("haproxy"));
        assert_eq!(read("/run/m").unwrap().level, StatsLevel::Admin);
        assert!(read("127.0.0.1:1").is_ok());
        for wrong in ["", "/run/m,mode", "/run/m,nonsense,5", "127.0.0.1"] {
            let told = read(wrong).unwrap_err();
            assert!(told.starts_with(&format!("-S {wrong}: ")), "{told}");
        }
    }
}
