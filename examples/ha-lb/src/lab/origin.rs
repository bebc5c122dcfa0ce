//! A plain HTTP/1.1 origin that answers with its name and the request head it saw.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use super::{Host, LabError};

/// A running origin; dies with its owner: its connections break and new ones are refused.
#[derive(Debug)]
pub struct Origin {
    served: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    open: Arc<Mutex<Open>>,
    accepting: Option<JoinHandle<()>>,
    address: SocketAddr,
    host_namespace: std::os::fd::OwnedFd,
}

/// Connections by number.
type Open = BTreeMap<u64, TcpStream>;

impl Origin {
    /// Starts one on `host`, listening on `address`, calling itself `name`.
    pub fn start(host: &Host, address: SocketAddr, name: &str) -> Result<Self, LabError> {
        let what = format!("origin {name} on {address}");
        let listener =
            host.run(|| TcpListener::bind(address).map_err(LabError::io(what.clone())))?;
        let address = listener.local_addr().map_err(LabError::io(what.clone()))?;
        let host_namespace = host
            .namespace()
            .try_clone_to_owned()
            .map_err(LabError::io(what))?;
        let (served, stop) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let open = Arc::new(Mutex::new(Open::new()));
        let (counter, stopped, name) = (Arc::clone(&served), Arc::clone(&stop), name.to_owned());
        let known = Arc::clone(&open);
        let accepting = std::thread::spawn(move || {
            for (number, stream) in (0..).zip(listener.incoming()) {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                if let Ok(stream) = stream.try_clone() {
                    lock(&known).insert(number, stream);
                }
                let (counter, name, known) =
                    (Arc::clone(&counter), name.clone(), Arc::clone(&known));
                std::thread::spawn(move || {
                    // A peer that goes away ends its connection and nothing else.
                    let _ = serve(&stream, &name, &counter);
                    lock(&known).remove(&number);
                });
            }
        });
        Ok(Self {
            served,
            stop,
            open,
            accepting: Some(accepting),
            address,
            host_namespace,
        })
    }

    /// Requests answered so far.
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let (address, namespace) = (self.address, &self.host_namespace);
        // One connection makes the accept loop look at the flag.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let kind = Some(rustix::thread::LinkNameSpaceType::Network);
                if rustix::thread::move_into_link_name_space(
                    std::os::fd::AsFd::as_fd(namespace),
                    kind,
                )
                .is_ok()
                {
                    drop(TcpStream::connect_timeout(
                        &address,
                        std::time::Duration::from_secs(1),
                    ));
                }
            });
        });
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
        for stream in lock(&self.open).values() {
            // One that is closed already is what was asked for.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Answers requests of one connection until it ends or asks to close.
fn serve(stream: &TcpStream, name: &str, served: &AtomicU64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    loop {
        let mut head = String::new();
        let mut body_len = 0;
        loop {
            let before = head.len();
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
            let line = head.get(before..).unwrap_or_default().trim_end();
            if line.is_empty() {
                break;
            }
            if let Some((field, value)) = line.split_once(':')
                && field.eq_ignore_ascii_case("content-length")
            {
                body_len = value.trim().parse().unwrap_or(0);
            }
        }
        io::copy(&mut io::Read::take(&mut reader, body_len), &mut io::sink())?;
        served.fetch_add(1, Ordering::Relaxed);
        let head = head.trim_end();
        let body = format!("{name}\n{head}\n");
        write!(
            writer,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        if head.to_ascii_lowercase().contains("\nconnection: close") {
            return Ok(());
        }
    }
}
