//! `vrrp_notify_fifo` (keepalived.conf(5)): one line for each change of state, `INSTANCE "NAME" STATE PRIORITY`
//! or `GROUP "NAME" STATE 0`.
//!
//! Never waits for a reader: what a full fifo does not take is lost, and that is said.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::{
        fd::{AsRawFd as _, OwnedFd, RawFd},
        unix::fs::{FileTypeExt as _, OpenOptionsExt as _, chown},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    libc::{O_NOFOLLOW, O_NONBLOCK},
    sys::stat::Mode,
    unistd::mkfifo,
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::reader::{Before, Reader};
use crate::{admin::status, supervisor::command::Command};

/// A fifo that there is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where.
    pub path: PathBuf,
    /// User and group that it belongs to if it is made here.
    pub owner: Option<(u32, Option<u32>)>,
    /// Who reads it; the path comes after the command's own words.
    pub reader: Option<Command>,
}

/// A fifo that is written to; dropping it removes it if it was made here.
#[derive(Debug)]
pub struct Fifo {
    wanted: Wanted,
    file: File,
    made: bool,
    is_losing: bool,
    reader: Option<Reader>,
    /// The reader that a program before this one started.
    inherited_reader: Option<u32>,
}

/// A fifo in the document of an upgrade.
#[derive(Debug, Serialize, Deserialize)]
pub struct FifoLeft {
    /// Its descriptor.
    pub fd: RawFd,
    path: PathBuf,
    made: bool,
    #[serde(default)]
    reader: Option<u32>,
}

/// Makes the fifo if there is none, and opens it.
fn open(wanted: &Wanted) -> io::Result<(File, bool)> {
    let path = &wanted.path;
    let made = match mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
        Ok(()) => true,
        Err(nix::Error::EEXIST) => false,
        Err(error) => return Err(error.into()),
    };
    // For reading too: then it can be opened before anyone reads, and no reader's end is our signal.
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true);
    let file = file.custom_flags(O_NONBLOCK | O_NOFOLLOW).open(path)?;
    if !file.metadata()?.file_type().is_fifo() {
        return Err(io::Error::other("there is a file that is no fifo"));
    }
    if let (true, Some((user, group))) = (made, wanted.owner)
        && let Err(error) = chown(path, Some(user), group)
    {
        let _ = std::fs::remove_file(path);
        return Err(error);
    }
    Ok((file, made))
}

impl Fifo {
    /// Opens a fifo, and makes it if there is none. Nobody reads it yet.
    pub fn open(wanted: Wanted) -> io::Result<Self> {
        let (file, made) = open(&wanted)?;
        Ok(Self {
            wanted,
            file,
            made,
            is_losing: false,
            reader: None,
            inherited_reader: None,
        })
    }

    /// Starts its reader if it is to have one; inside a tokio runtime.
    pub(super) fn begin(&mut self) {
        let before = self.inherited_reader.take();
        self.read_after(before.map_or(Before::Nobody, Before::Inherited));
    }

    fn read_after(&mut self, before: Before) {
        let path = &self.wanted.path;
        let command = self.wanted.reader.as_ref();
        self.reader = command.map(|command| Reader::start(command, path, before));
    }

    /// It goes on as it is wanted now, with another reader once the one before has ended, as with keepalived; lines wait
    /// meanwhile.
    pub(super) fn change(&mut self, wanted: Wanted) {
        if let (true, Some((user, group))) = (self.made, wanted.owner)
            && self.wanted.owner != wanted.owner
            && let Err(error) = chown(&wanted.path, Some(user), group)
        {
            tracing::warn!("notify fifo {}: owner: {error}", wanted.path.display());
        }
        self.wanted = wanted;
        let before = self.reader.take();
        if before.is_some() && self.made {
            self.renew();
        }
        self.read_after(before.map_or(Before::Nobody, |before| {
            Before::Ends(before.end(Duration::ZERO))
        }));
    }

    /// Makes it anew: the reader before comes to the end of the old one, and takes no line of its successor's.
    fn renew(&mut self) {
        let path = &self.wanted.path;
        match std::fs::remove_file(path).and_then(|()| open(&self.wanted)) {
            Ok((file, made)) => (self.file, self.made, self.is_losing) = (file, made, false),
            Err(error) => tracing::error!("notify fifo {}: {error}", path.display()),
        }
    }

    /// Nothing more is written. Its reader comes to the end, which can be waited for.
    pub(super) fn close(mut self, within: Duration) -> Option<JoinHandle<()>> {
        let reader = self.reader.take();
        drop(self);
        reader.map(|reader| reader.end(within))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.wanted.path
    }

    /// How its reader is.
    pub(super) fn reader_status(&self) -> Option<status::Notify> {
        self.reader.as_ref().map(Reader::status)
    }

    /// The process of its reader.
    pub fn reader(&self) -> Option<u32> {
        self.reader.as_ref().and_then(Reader::pid)
    }

    /// What the next program under this process number has to know of it.
    pub fn left(&self) -> FifoLeft {
        FifoLeft {
            fd: self.file.as_raw_fd(),
            path: self.wanted.path.clone(),
            made: self.made,
            reader: self.reader(),
        }
    }

    /// The fifo that the program before this one left; what `wanted` says of it, if it does.
    pub fn inherited(file: OwnedFd, left: FifoLeft, wanted: &[Wanted]) -> Self {
        let known = wanted.iter().find(|wanted| wanted.path == left.path);
        let wanted = known.cloned().unwrap_or(Wanted {
            path: left.path,
            owner: None,
            reader: None,
        });
        Self {
            wanted,
            file: file.into(),
            made: left.made,
            is_losing: false,
            reader: None,
            inherited_reader: left.reader,
        }
    }

    /// Writes one line, whole or not at all (pipe(7): up to 4096 bytes are never split).
    pub(super) fn tell(&mut self, (kind, name): (&str, &str), state: &str, priority: u8) {
        let line = format!("{kind} \"{name}\" {state} {priority}\n");
        let lost = self.file.write_all(line.as_bytes());
        if let (Err(error), false) = (&lost, self.is_losing) {
            let path = self.wanted.path.display();
            tracing::warn!("notify fifo {path}: {error}: lines are lost until somebody reads");
        }
        self.is_losing = lost.is_err();
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        if self.made {
            let _ = std::fs::remove_file(&self.wanted.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn at(path: &Path) -> io::Result<Fifo> {
        Fifo::open(Wanted {
            path: path.to_owned(),
            owner: None,
            reader: None,
        })
    }

    #[test]
    fn lines_wait_for_a_reader_and_a_full_fifo_holds_nothing_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        let mut fifo = at(&path).unwrap();
        fifo.tell(("INSTANCE", "V 1"), "MASTER", 101);
        let mut reader = OpenOptions::new();
        let reader = reader.read(true).custom_flags(O_NONBLOCK);
        let mut reader = reader.open(&path).unwrap();
        let mut read = [0; 4096];
        let length = reader.read(&mut read).unwrap();
        assert_eq!(&read[..length], b"INSTANCE \"V 1\" MASTER 101\n");

        while !fifo.is_losing {
            fifo.tell(("INSTANCE", "V 1"), "BACKUP", 101);
        }
        while reader.read(&mut read).is_ok() {}
        fifo.tell(("GROUP", "V 1"), "FAULT", 0);
        assert!(!fifo.is_losing);
        drop(fifo);
        assert!(!path.exists());
    }

    #[test]
    fn a_fifo_of_somebody_else_stays_and_a_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        drop(at(&path).unwrap());
        assert!(path.exists());
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(at(&file).is_err());
        assert_eq!(std::fs::read_to_string(file).unwrap(), "");
    }
}
