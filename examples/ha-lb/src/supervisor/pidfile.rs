//! `pidfile`: the supervisor's process number, removed when it ends.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A written pid file; dropping it removes the file.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    number: u32,
}

impl PidFile {
    /// Writes the number of this process.
    pub fn write(path: &Path) -> io::Result<Self> {
        Self::write_number(path, std::process::id())
    }

    /// The file that the program before this one wrote under the same process number.
    pub fn inherited(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            number: std::process::id(),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the number of a process.
    pub fn write_number(path: &Path, number: u32) -> io::Result<Self> {
        std::fs::write(path, format!("{number}\n"))?;
        Ok(Self {
            path: path.to_owned(),
            number,
        })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let ours = std::fs::read_to_string(&self.path)
            .is_ok_and(|text| text.trim() == self.number.to_string());
        if ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_holds_the_number_and_goes_with_the_daemon() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.pid");
        let file = PidFile::write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_pid_file_that_another_daemon_has_written_since_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.pid");
        let file = PidFile::write(&path).unwrap();
        std::fs::write(&path, "1\n").unwrap();
        drop(file);
        assert!(path.exists());
    }
}
