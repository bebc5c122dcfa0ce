//! `vrrp_notify_fifo` (keepalived.conf(5)): one line for each change of state, `INSTANCE "NAME" STATE PRIORITY`
//! or `GROUP "NAME" STATE 0`.
//!
//! Never waits for a reader: what a full fifo does not take is lost, and that is said.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::{
        fd::{AsRawFd as _, OwnedFd, RawFd},
        unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

use nix::{libc::O_NONBLOCK, sys::stat::Mode, unistd::mkfifo};
use serde::{Deserialize, Serialize};

/// A fifo that is written to; dropping it removes it if it was made here.
#[derive(Debug)]
pub struct Fifo {
    path: PathBuf,
    file: File,
    made: bool,
    is_losing: bool,
}

/// A fifo in the document of an upgrade.
#[derive(Debug, Serialize, Deserialize)]
pub struct FifoLeft {
    /// Its descriptor.
    pub fd: RawFd,
    path: PathBuf,
    made: bool,
}

impl Fifo {
    /// Opens the fifo at `path`, and makes it if there is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        let made = match mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(()) => true,
            Err(nix::Error::EEXIST) => false,
            Err(error) => return Err(error.into()),
        };
        // For reading too: then it can be opened before anyone reads, and no reader's end is our signal.
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).custom_flags(O_NONBLOCK);
        let file = file.open(path)?;
        if !file.metadata()?.file_type().is_fifo() {
            return Err(io::Error::other("there is a file that is no fifo"));
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            made,
            is_losing: false,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the next program under this process number has to know of it.
    pub fn left(&self) -> FifoLeft {
        FifoLeft {
            fd: self.file.as_raw_fd(),
            path: self.path.clone(),
            made: self.made,
        }
    }

    /// The fifo that the program before this one left.
    pub fn inherited(file: OwnedFd, left: FifoLeft) -> Self {
        Self {
            path: left.path,
            file: file.into(),
            made: left.made,
            is_losing: false,
        }
    }

    /// Writes one line, whole or not at all (pipe(7): up to 4096 bytes are never split).
    pub(super) fn tell(&mut self, (kind, name): (&str, &str), state: &str, priority: u8) {
        let line = format!("{kind} \"{name}\" {state} {priority}\n");
        let lost = self.file.write_all(line.as_bytes());
        if let (Err(error), false) = (&lost, self.is_losing) {
            let path = self.path.display();
            tracing::warn!("notify fifo {path}: {error}: lines are lost until somebody reads");
        }
        self.is_losing = lost.is_err();
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        if self.made {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn lines_wait_for_a_reader_and_a_full_fifo_holds_nothing_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        let mut fifo = Fifo::open(&path).unwrap();
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
        drop(Fifo::open(&path).unwrap());
        assert!(path.exists());
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(Fifo::open(&file).is_err());
        assert_eq!(std::fs::read_to_string(file).unwrap(), "");
    }
}
