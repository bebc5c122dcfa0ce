//! One HTTP/1.1 client and the ways in which a request can fail.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// What came back for one request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Head, up to the empty line.
    pub head: String,
    /// Body.
    pub body: String,
}

/// Why a request got no good answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nothing listened.
    Refused,
    /// Nothing came in time, or no way led there.
    Late,
    /// The connection ended before the answer did.
    Cut,
    /// An answer with this status.
    Status(u16),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{
            BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidData,
            UnexpectedEof,
        };
        match error.kind() {
            ConnectionRefused => Self::Refused,
            BrokenPipe | ConnectionAborted | ConnectionReset | InvalidData | UnexpectedEof => {
                Self::Cut
            }
            _ => Self::Late,
        }
    }
}

/// One request on a connection of its own: `head` without the final empty line is sent as it is.
pub fn get(address: SocketAddr, head: &str, patience: Duration) -> io::Result<Answer> {
    let mut stream = connect(address, patience)?;
    stream.write_all(format!("{}\r\n\r\n", head.trim_end()).as_bytes())?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(Answer {
        status: status(head)?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

fn connect(address: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn status(head: &str) -> io::Result<u16> {
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A client that keeps its connection for the next request, if it may.
#[derive(Debug)]
pub(super) struct Client {
    address: SocketAddr,
    patience: Duration,
    keep_alive: bool,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(super) fn new(address: SocketAddr, patience: Duration, keep_alive: bool) -> Self {
        Self {
            address,
            patience,
            keep_alive,
            connection: None,
        }
    }

    /// One request; a connection that failed is not used again.
    pub(super) fn ask(&mut self) -> Result<Answer, Failure> {
        let host = self.address.ip();
        let answer = if self.keep_alive {
            self.ask_and_stay(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
        } else {
            let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close");
            get(self.address, &head, self.patience)
        };
        match answer? {
            answer if answer.status == 200 => Ok(answer),
            answer => Err(Failure::Status(answer.status)),
        }
    }

    fn ask_and_stay(&mut self, request: &str) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => BufReader::new(connect(self.address, self.patience)?),
        };
        connection.get_mut().write_all(request.as_bytes())?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if connection.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let head = head.trim_end().to_owned();
        let field = |name: &str| {
            let fields = head.lines().filter_map(|line| line.split_once(':'));
            let mut fields = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
            fields.next().map(|(_, value)| value.trim().to_owned())
        };
        let length = field("content-length").and_then(|length| length.parse().ok());
        let mut body = vec![0; length.ok_or(io::ErrorKind::InvalidData)?];
        connection.read_exact(&mut body)?;
        let goes = field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        self.connection = Some(connection).filter(|_| !goes);
        Ok(Answer {
            status: status(&head)?,
            body: String::from_utf8_lossy(&body).into_owned(),
            head,
        })
    }
}
