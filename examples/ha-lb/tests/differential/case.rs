//! One conversation: what a client sends, what the origin answers.

/// What the client does, in order; afterwards it reads until the end or until nothing comes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// Sends these bytes.
    Send(&'static [u8]),
    /// Sends this byte that often.
    Fill(u8, usize),
    /// Reads until what came since the last step holds these bytes.
    Until(&'static [u8]),
    /// Waits until the origin has received these bytes.
    AtOrigin(&'static [u8]),
    /// Lets one conversation that waits in [`Act::Told`] go on.
    Tell,
    /// Ends its sending direction.
    HalfClose,
    /// Closes without reading more.
    Close,
    /// Closes with a reset.
    Reset,
}

/// What the origin does on each request, or on each connection when it does not begin with [`Act::Head`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Receives up to the empty line.
    Head,
    /// Receives the body that the head announces.
    Body,
    /// Receives until these bytes have come since the head.
    Await(&'static [u8]),
    /// Waits for the client's [`Step::Tell`].
    Told,
    /// Receives until the peer ends.
    ToEnd,
    /// Sends these bytes.
    Send(&'static [u8]),
    /// Sends this byte that often.
    Fill(u8, usize),
    /// Ends its sending direction.
    HalfClose,
    /// Closes.
    Close,
    /// Closes with a reset.
    Reset,
    /// Nothing more, until the peer ends.
    Stall,
}

/// The usual answer.
pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// The usual origin.
pub(crate) const ANSWERS: &[Act] = &[Act::Head, Act::Body, Act::Send(OK)];

/// Silence, in milliseconds, that does not come: of conversations that the proxy ends, however long the machine stands still.
pub(crate) const PATIENT: u64 = 20_000;

/// One conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) steps: &'static [Step],
    pub(crate) origin: &'static [Act],
    /// Log lines that it makes.
    pub(crate) logs: usize,
    /// Silence after which the client takes the connection for idle, in milliseconds.
    pub(crate) silence_ms: u64,
    /// Which of the rig's fronts it goes to.
    pub(crate) front: usize,
}

impl Case {
    pub(crate) const fn new(name: &'static str, steps: &'static [Step]) -> Self {
        Self {
            name,
            steps,
            origin: ANSWERS,
            logs: 1,
            silence_ms: 300,
            front: 0,
        }
    }

    pub(crate) const fn origin(self, origin: &'static [Act]) -> Self {
        Self { origin, ..self }
    }

    pub(crate) const fn logs(self, logs: usize) -> Self {
        Self { logs, ..self }
    }

    pub(crate) const fn silence(self, silence_ms: u64) -> Self {
        Self { silence_ms, ..self }
    }

    pub(crate) const fn front(self, front: usize) -> Self {
        Self { front, ..self }
    }
}

/// A case with the usual origin and one log line.
pub(crate) const fn sends(name: &'static str, steps: &'static [Step]) -> Case {
    Case::new(name, steps)
}
