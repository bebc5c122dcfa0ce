//! An origin that plays a script and records what it receives.

use std::{
    collections::BTreeMap,
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use socket2::SockRef;

use crate::{
    case::{ANSWERS, Act},
    client::memmem,
};

#[derive(Debug)]
struct Shared {
    script: &'static [Act],
    /// Raised with each case: what earlier conversations still receive is not recorded.
    generation: u64,
    /// The client has said that a script may go on: the one that takes this.
    told: bool,
    /// One entry a request, in the order of their first bytes.
    requests: Vec<Vec<u8>>,
    /// The connections on which a script is being played, by the number of the round.
    rounds: BTreeMap<u64, TcpStream>,
    next_round: u64,
}

/// The origin of one peer.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

impl Origin {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = Self {
            address: listener.local_addr().unwrap(),
            shared: Arc::new(Mutex::new(Shared {
                script: ANSWERS,
                generation: 0,
                told: false,
                requests: Vec::new(),
                rounds: BTreeMap::new(),
                next_round: 0,
            })),
        };
        let shared = Arc::clone(&origin.shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, shared) = (stream.unwrap(), Arc::clone(&shared));
                thread::spawn(move || {
                    let _ = serve(stream, &shared);
                });
            }
        });
        origin
    }

    /// Forgets what was received and plays `script` from now on.
    pub(crate) fn play(&self, script: &'static [Act]) {
        let mut shared = self.shared.lock().unwrap();
        shared.script = script;
        shared.generation += 1;
        shared.requests.clear();
        shared.told = false;
    }

    /// Ends what it is still playing: nobody waits for the rest of an answer until its time is over.
    pub(crate) fn hang_up(&self) {
        let mut shared = self.shared.lock().unwrap();
        shared.generation += 1;
        for stream in shared.rounds.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Whether it is playing a script to somebody.
    pub(crate) fn is_playing(&self) -> bool {
        !self.shared.lock().unwrap().rounds.is_empty()
    }

    pub(crate) fn tell(&self) {
        self.shared.lock().unwrap().told = true;
    }

    pub(crate) fn requests(&self) -> Vec<Vec<u8>> {
        self.shared.lock().unwrap().requests.clone()
    }

    pub(crate) fn wait_for(&self, bytes: &[u8], patience: Duration) {
        let deadline = Instant::now() + patience;
        while !self.requests().iter().any(|request| memmem(request, bytes)) {
            if Instant::now() > deadline {
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// One connection's reader.
struct Connection<'a> {
    stream: TcpStream,
    shared: &'a Mutex<Shared>,
    /// Received and not yet used by an act.
    input: Vec<u8>,
    /// The case whose script is played, unless that is only known once a request begins.
    playing: Option<u64>,
    /// Where this round's bytes are recorded: generation and index.
    record: Option<(u64, usize)>,
}

fn serve(stream: TcpStream, shared: &Mutex<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = Connection {
        stream,
        shared,
        input: Vec::new(),
        playing: None,
        record: None,
    };
    loop {
        let (first, generation) = {
            let shared = shared.lock().unwrap();
            (shared.script.first().copied(), shared.generation)
        };
        connection.playing = (first != Some(Act::Head)).then_some(generation);
        if first == Some(Act::Head) {
            // The script is that of the moment in which the request begins.
            connection.record = None;
            if connection.input.is_empty() && connection.fill()? == 0 {
                return Ok(());
            }
        }
        if !connection.play()? || first != Some(Act::Head) {
            return Ok(());
        }
    }
}

impl Connection<'_> {
    /// Plays the script of the moment. False ends the connection.
    fn play(&mut self) -> io::Result<bool> {
        let held = self.stream.try_clone()?;
        let (script, number) = {
            let mut shared = self.shared.lock().unwrap();
            let number = shared.next_round;
            shared.next_round += 1;
            shared.rounds.insert(number, held);
            (shared.script, number)
        };
        let played = self.round(script);
        self.shared.lock().unwrap().rounds.remove(&number);
        played
    }

    fn round(&mut self, script: &[Act]) -> io::Result<bool> {
        let mut head = Vec::new();
        for act in script {
            match act {
                Act::Head => head = self.until(b"\r\n\r\n")?,
                Act::Body => self.body(&head)?,
                Act::Await(bytes) => drop(self.until(bytes)?),
                Act::Told => self.wait_until_told()?,
                Act::ToEnd | Act::Stall => while self.fill()? > 0 {},
                Act::Send(bytes) => self.stream.write_all(bytes)?,
                Act::Fill(byte, count) => self.stream.write_all(&vec![*byte; *count])?,
                Act::HalfClose => self.stream.shutdown(Shutdown::Write)?,
                Act::Close => return Ok(false),
                Act::Reset => {
                    SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn wait_until_told(&self) -> io::Result<()> {
        let generation = self.shared.lock().unwrap().generation;
        loop {
            let mut shared = self.shared.lock().unwrap();
            if std::mem::take(&mut shared.told) {
                return Ok(());
            }
            if shared.generation != generation {
                return Err(io::ErrorKind::Interrupted.into());
            }
            drop(shared);
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = vec![0; 65536];
        let count = self.stream.read(&mut buffer)?;
        let bytes = &buffer[..count];
        self.input.extend_from_slice(bytes);
        if count > 0 {
            self.record(bytes);
        }
        Ok(count)
    }

    fn record(&mut self, bytes: &[u8]) {
        let mut shared = self.shared.lock().unwrap();
        let generation = self.playing.unwrap_or(shared.generation);
        let begins = self.record.is_none() && generation == shared.generation;
        if begins {
            shared.requests.push(Vec::new());
            self.record = Some((generation, shared.requests.len() - 1));
        }
        if let Some((generation, index)) = self.record
            && generation == shared.generation
        {
            shared.requests[index].extend_from_slice(bytes);
        }
    }

    fn until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            let found = self.input.windows(end.len()).position(|w| w == end);
            if let Some(at) = found {
                return Ok(self.input.drain(..at + end.len()).collect());
            }
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn exactly(&mut self, count: usize) -> io::Result<()> {
        while self.input.len() < count {
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.input.drain(..count);
        Ok(())
    }

    fn body(&mut self, head: &[u8]) -> io::Result<()> {
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        if head.contains("transfer-encoding:") {
            loop {
                let line = String::from_utf8(self.until(b"\r\n")?).unwrap_or_default();
                let size = line.split([';', '\r']).next().unwrap_or_default();
                let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
                if size == 0 {
                    break;
                }
                self.exactly(size + 2)?;
            }
            while self.until(b"\r\n")?.len() > 2 {}
            return Ok(());
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"));
        let length = length.and_then(|value| value.trim().parse().ok());
        self.exactly(length.unwrap_or(0))
    }
}
