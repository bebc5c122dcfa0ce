//! Executing a program in the place of this one, and what both must know of it.

use std::{
    convert::Infallible,
    ffi::{CString, OsString},
    io,
    os::{
        fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::{
    io::{FdFlags, fcntl_setfd},
    process,
};

/// Names process and descriptor of the document: it means nothing to the children, which have other numbers.
const VARIABLE: &str = "HA_LB_UPGRADE";

/// The program file of this process: the one that stands there now, if it was replaced.
pub(in crate::supervisor) fn own_program() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    let bytes = path.as_os_str().as_bytes();
    Ok(match bytes.strip_suffix(b" (deleted)") {
        Some(path) => PathBuf::from(OsString::from_vec(path.to_owned())),
        None => path,
    })
}

/// Executes `program` with this process's arguments; `kept` and `document` stay open in it, and it finds
/// `signals_for_it`, which must be blocked. Returns only if that fails, with everything as it was.
pub(in crate::supervisor) fn execute(
    program: &Path,
    document: &OwnedFd,
    kept: &[RawFd],
    signals_for_it: &[process::Signal],
) -> io::Result<Infallible> {
    let text = |bytes: Vec<u8>| CString::new(bytes).map_err(io::Error::other);
    let path = text(program.as_os_str().as_bytes().to_owned())?;
    let arguments = std::env::args_os().map(|word| text(word.into_vec()));
    let arguments: Vec<CString> = arguments.collect::<io::Result<_>>()?;
    let environment = std::env::vars_os().filter(|(name, _)| name != VARIABLE);
    let place = format!("{}:{}", std::process::id(), document.as_raw_fd());
    let environment = environment.chain([(VARIABLE.into(), place.into())]);
    let environment = environment.map(|(name, value)| {
        let mut line = name.into_vec();
        line.push(b'=');
        line.extend(value.into_vec());
        text(line)
    });
    let environment: Vec<CString> = environment.collect::<io::Result<_>>()?;
    let all = kept.iter().copied().chain([document.as_raw_fd()]);
    let all: Vec<RawFd> = all.collect();
    keep(&all, true)?;
    for signal in signals_for_it {
        process::kill_process(process::getpid(), *signal)?;
    }
    let failed = nix::unistd::execve(&path, &arguments, &environment);
    keep(&all, false)?;
    Ok(failed?)
}

fn keep(descriptors: &[RawFd], open: bool) -> io::Result<()> {
    let flags = if open {
        FdFlags::empty()
    } else {
        FdFlags::CLOEXEC
    };
    for number in descriptors {
        fcntl_setfd(borrow(*number), flags)?;
    }
    Ok(())
}

#[expect(
    unsafe_code,
    reason = "descriptors of a document, which their owners hold open"
)]
fn borrow<'a>(number: RawFd) -> BorrowedFd<'a> {
    // SAFETY: every number comes from a value that owns it and outlives this call, or was left open by the program
    // before this one; the kernel answers for one that is not open.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// The document's descriptor, if this process executed this program in its own place. To be called first of all.
#[expect(
    unsafe_code,
    reason = "the environment changes before there is a second thread"
)]
pub(in crate::supervisor) fn left_behind() -> Option<RawFd> {
    let place = std::env::var(VARIABLE).ok()?;
    // SAFETY: called by `main` before anything else.
    unsafe { std::env::remove_var(VARIABLE) };
    let (pid, number) = place.split_once(':')?;
    let mine = pid.parse() == Ok(std::process::id());
    number.parse().ok().filter(|_| mine)
}

/// Takes a descriptor over that was left open; from now on it ends with the program.
#[expect(
    unsafe_code,
    reason = "descriptors that the program before this one left to it"
)]
pub(in crate::supervisor) fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    fcntl_setfd(borrow(number), FdFlags::CLOEXEC)?;
    // SAFETY: it is open, as the call before has shown, and the document names each for one owner.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
