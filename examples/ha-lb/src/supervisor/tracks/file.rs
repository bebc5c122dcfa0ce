//! `track_file` (keepalived.conf(5)): a file that holds a number is read whenever it changes.
//!
//! On a thread of its own, so that a file on a dead file server holds up nothing but itself. inotify tells of changes
//! in the file's directory; once a second the file is read in any case, for what inotify does not hear (a file server,
//! a directory that went and came back).

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::fs::OpenOptionsExt as _,
    },
    path::{Path, PathBuf},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, inotify},
};

use super::{News, Stopped};
use crate::ipc::watched::Finding;

/// How often the file is read although nothing was heard.
const EVERY: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};
/// As much of the file is looked at.
const LENGTH: u64 = 128;
const NONBLOCK: i32 = OFlags::NONBLOCK.bits().cast_signed();

/// A file as the watcher needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileWatch {
    /// Name in the configuration.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// `init_file`: what is written at the start, and whether to a file that is there, too.
    pub init: Option<(i32, bool)>,
}

/// Watches until it is stopped; `report` hears of each new number. `resumed`: a program before this one has done what
/// `init_file` says.
pub(super) fn watch(
    file: &FileWatch,
    resumed: bool,
    stopped: &Stopped,
    mut report: impl FnMut(News),
) {
    if let Some((value, overwrite)) = file.init {
        initialise(&file.path, value, overwrite && !resumed);
    }
    let mut last = None;
    let mut complained = false;
    let mut watcher = None;
    loop {
        if watcher.is_none() {
            watcher = watcher_of(&file.path).ok();
        }
        match read(&file.path) {
            Ok(value) => {
                complained = false;
                if last.replace(value) != Some(value) {
                    report(News::Found(
                        Finding::Value(value),
                        format!("it says {value}"),
                    ));
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut complained, true) {
                    let path = file.path.display();
                    tracing::warn!("track_file {}: {path}: {error}", file.name);
                }
                if last.is_none() {
                    last = Some(0);
                    report(News::Found(
                        Finding::Value(0),
                        "it cannot be read".to_owned(),
                    ));
                }
            }
        }
        if wait(stopped, &mut watcher) {
            return;
        }
    }
}

/// Whether it was stopped, after a change or a second.
fn wait(stopped: &Stopped, watcher: &mut Option<OwnedFd>) -> bool {
    let mut waits = vec![PollFd::new(stopped, PollFlags::IN)];
    if let Some(watcher) = watcher.as_ref() {
        waits.push(PollFd::new(watcher, PollFlags::IN));
    }
    let _ = poll(&mut waits, Some(&EVERY));
    if waits.first().is_some_and(|end| !end.revents().is_empty()) {
        return true;
    }
    let heard = waits
        .get(1)
        .is_some_and(|heard| !heard.revents().is_empty());
    if heard && let Some(fd) = watcher.as_ref() {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(fd.as_fd(), &mut buffer);
        while let Ok(event) = events.next() {
            // The directory itself is gone: another one may come in its place.
            if event.events().contains(inotify::ReadFlags::IGNORED) {
                *watcher = None;
                break;
            }
        }
    }
    false
}

fn watcher_of(path: &Path) -> io::Result<OwnedFd> {
    let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let changes = inotify::WatchFlags::CLOSE_WRITE
        | inotify::WatchFlags::MODIFY
        | inotify::WatchFlags::CREATE
        | inotify::WatchFlags::DELETE
        | inotify::WatchFlags::MOVE
        | inotify::WatchFlags::MOVE_SELF
        | inotify::WatchFlags::DELETE_SELF
        | inotify::WatchFlags::ONLYDIR;
    let folder = path.parent().unwrap_or(Path::new("/"));
    inotify::add_watch(&fd, folder, changes)?;
    Ok(fd)
}

/// The number in a file; 0 without a file or a number, as keepalived has it.
fn read(path: &Path) -> io::Result<i32> {
    let mut options = OpenOptions::new();
    // What is a fifo by mistake must not wait for a writer.
    let file = match options.read(true).custom_flags(NONBLOCK).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        opened => opened?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("this is no regular file"));
    }
    let mut text = Vec::new();
    file.take(LENGTH).read_to_end(&mut text)?;
    number(&text).ok_or_else(|| io::Error::other("the number is out of range, the last one counts"))
}

/// strtol(3) with base 0: blanks, a sign, `0x` or `0` in front, and whatever follows the digits.
fn number(text: &[u8]) -> Option<i32> {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    let (base, digits) = match digits {
        [b'0', b'x' | b'X', rest @ ..] => (16, rest),
        [b'0', rest @ ..] => (8, rest),
        all => (10, all),
    };
    let digits = digits
        .iter()
        .map_while(|byte| char::from(*byte).to_digit(base));
    let value = digits.fold(0_i64, |sum, digit| {
        sum.saturating_mul(i64::from(base))
            .saturating_add(i64::from(digit))
    });
    i32::try_from(if negative { -value } else { value }).ok()
}

fn initialise(path: &Path, value: i32, overwrite: bool) {
    let mut options = File::options();
    // What is a fifo by mistake must not wait for a reader.
    options.write(true).custom_flags(NONBLOCK);
    if overwrite {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let written = options.open(path).and_then(|mut file| {
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("this is no regular file"));
        }
        file.write_all(format!("{value}\n").as_bytes())
    });
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !overwrite => {}
        Err(error) => tracing::warn!("init_file: {}: {error}", path.display()),
        Ok(()) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::net::UnixStream, sync::mpsc, time::Duration};

    use super::*;

    #[test]
    fn numbers_are_read_as_keepalived_does() {
        let table: [(&str, Option<i32>); 14] = [
            ("5\n", Some(5)),
            ("  -12 x", Some(-12)),
            ("+4", Some(4)),
            ("7xyz", Some(7)),
            ("0x10", Some(16)),
            ("010", Some(8)),
            ("0", Some(0)),
            ("", Some(0)),
            ("abc", Some(0)),
            ("7\n8\n", Some(7)),
            ("2147483647", Some(i32::MAX)),
            ("2147483648", None),
            ("-2147483648", Some(i32::MIN)),
            ("99999999999999999999999", None),
        ];
        for (text, expected) in table {
            assert_eq!(number(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_a_fifo_by_mistake_is_left_alone_and_holds_nothing_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("load");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        initialise(&path, 3, true);
        assert!(read(&path).is_err());
        // With somebody at its other end, too.
        let other = File::options().read(true).write(true).open(&path).unwrap();
        initialise(&path, 3, true);
        assert_eq!(rustix::io::ioctl_fionread(&other).unwrap(), 0);
    }

    #[test]
    fn a_file_is_followed_through_rewriting_renaming_and_loss() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/load");
        fs::create_dir(folder.path().join("sub")).unwrap();
        let file = FileWatch {
            name: "load".to_owned(),
            path: path.clone(),
            init: Some((3, false)),
        };
        let (stop, stopped) = UnixStream::pair().unwrap();
        let (told, news) = mpsc::channel();
        let watching = std::thread::spawn(move || {
            watch(&file, false, &stopped.into(), |news| {
                let _ = told.send(news);
            });
        });
        let next = || match news.recv_timeout(Duration::from_secs(10)).unwrap() {
            News::Found(Finding::Value(value), _) => value,
            other => panic!("{other:?}"),
        };
        assert_eq!(next(), 3, "what init_file has written");
        fs::write(&path, "7").unwrap();
        while next() != 7 {}
        let other = folder.path().join("sub/new");
        fs::write(&other, "-9").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(next(), -9);
        fs::write(&path, "99999999999").unwrap();
        fs::write(&path, "10").unwrap();
        while next() != 10 {}
        fs::remove_dir_all(folder.path().join("sub")).unwrap();
        assert_eq!(next(), 0);
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(&path, "4").unwrap();
        while next() != 4 {}
        drop(stop);
        watching.join().unwrap();
    }
}
