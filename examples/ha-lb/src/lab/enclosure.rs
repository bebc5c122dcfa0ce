//! Re-executing a command inside fresh user, network, mount and process-id namespaces.
//!
//! util-linux's `unshare` makes them (a process with threads cannot enter a user namespace itself). The inner
//! process holds the read end of a pipe, its standard input: when the outer one dies, however it dies, the pipe
//! ends, the inner one exits, and as it is process 1 of its namespace the kernel ends everything in it.

use std::{
    ffi::OsStr,
    io,
    process::{Command, ExitStatus, Stdio},
};

/// Set for the inner process.
const MARK: &str = "HA_LB_ENCLOSED";

/// Whether this process runs inside an enclosure.
pub fn is_inside() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Runs `program` with `args` inside an enclosure to its end.
///
/// With `keep_users` the users of the machine exist inside (this needs root); otherwise the caller is mapped to
/// root and no other user exists.
pub fn run<S: AsRef<OsStr>>(
    program: &OsStr,
    args: &[S],
    keep_users: bool,
) -> io::Result<ExitStatus> {
    let mut child = command(program, args, keep_users).spawn()?;
    // `wait` would close the pipe and so end the inner process.
    let _leash = child.stdin.take();
    child.wait()
}

/// The command that runs `program` inside. Its standard input is the leash: hold it as long as the program is to run,
/// write lines for [`listen_to_the_outer_process`] to it.
pub fn command<S: AsRef<OsStr>>(program: &OsStr, args: &[S], keep_users: bool) -> Command {
    let mut command = Command::new("unshare");
    if !keep_users {
        command.args(["--user", "--map-root-user"]);
    }
    command.args([
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--",
    ]);
    command
        .arg(program)
        .args(args)
        .env(MARK, "1")
        .stdin(Stdio::piped());
    command
}

/// Whether this machine lets this user make an enclosure; the error says what `unshare` said.
pub fn permitted(keep_users: bool) -> io::Result<()> {
    let output = command(OsStr::new("true"), &[] as &[&str], keep_users).output()?;
    if output.status.success() {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ))
    }
}

/// Ends this process when the outer one is gone. Called once by the inner process.
pub fn follow_the_outer_process() -> io::Result<()> {
    listen_to_the_outer_process(|_| {})
}

/// The same, and hands each line that the outer process says to `hear`.
pub fn listen_to_the_outer_process(mut hear: impl FnMut(&str) + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new()
        .name("leash".into())
        .spawn(move || {
            for line in io::stdin().lines().map_while(Result::ok) {
                hear(&line);
            }
            std::process::exit(1);
        })?;
    Ok(())
}
