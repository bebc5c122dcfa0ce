//! One host: a network namespace in which threads and programs run.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use super::LabError;

/// A network namespace with a name and one interface.
#[derive(Debug)]
pub struct Host {
    name: String,
    interface: String,
    namespace: File,
    /// Index and hardware address of the interface, once it is plugged in.
    card: (u32, [u8; 6]),
}

impl Host {
    pub(super) fn new(name: &str, interface: &str) -> Result<Self, LabError> {
        let maker = std::thread::spawn(|| {
            unshare_network()?;
            File::open("/proc/thread-self/ns/net")
        });
        let namespace = maker
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("thread died")))
            .map_err(LabError::io(format!("namespace of {name}")))?;
        Ok(Self {
            name: name.to_owned(),
            interface: interface.to_owned(),
            namespace,
            card: (0, [0; 6]),
        })
    }

    pub(super) fn plugged_in(self, card: (u32, [u8; 6])) -> Self {
        Self { card, ..self }
    }

    /// The name given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name of the interface on the lab's segment.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// Index of the interface, on this host.
    pub fn index(&self) -> u32 {
        self.card.0
    }

    /// Hardware address of the interface.
    pub fn mac(&self) -> [u8; 6] {
        self.card.1
    }

    /// The network namespace.
    pub fn namespace(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }

    /// Runs `work` on a thread inside this host and waits for it.
    pub fn run<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, LabError> + Send,
    ) -> Result<T, LabError> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter()
                    .map_err(LabError::io(format!("enter {}", self.name)))?;
                work()
            });
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread into this host for the rest of its life.
    pub fn enter(&self) -> io::Result<()> {
        Ok(move_into_link_name_space(
            self.namespace(),
            Some(LinkNameSpaceType::Network),
        )?)
    }

    /// A program that will run on this host.
    pub fn command(&self, program: impl AsRef<OsStr>) -> HostCommand<'_> {
        HostCommand {
            host: self,
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            binds: Vec::new(),
            output: None,
        }
    }
}

/// A program on a host: with files of its own laid over those of the machine, if asked.
#[derive(Debug)]
pub struct HostCommand<'h> {
    host: &'h Host,
    program: OsString,
    args: Vec<OsString>,
    binds: Vec<(PathBuf, PathBuf)>,
    output: Option<PathBuf>,
}

impl HostCommand<'_> {
    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Lays `source` over `target` in a mount namespace of the program's own.
    #[must_use]
    pub fn bind(mut self, source: impl AsRef<Path>, target: impl AsRef<Path>) -> Self {
        self.binds
            .push((source.as_ref().to_owned(), target.as_ref().to_owned()));
        self
    }

    /// Writes standard output and error to a file.
    #[must_use]
    pub fn output(mut self, path: impl AsRef<Path>) -> Self {
        self.output = Some(path.as_ref().to_owned());
        self
    }

    /// Starts it. The child's process id is the program's own.
    pub fn spawn(self) -> Result<Child, LabError> {
        let what = format!(
            "start {} on {}",
            self.program.to_string_lossy(),
            self.host.name
        );
        let mut command = self.build().map_err(LabError::io(what.clone()))?;
        self.host
            .run(|| command.spawn().map_err(LabError::io(what)))
    }

    /// Runs it to its end and returns what it printed.
    pub fn capture(self) -> Result<Output, LabError> {
        let what = format!(
            "run {} on {}",
            self.program.to_string_lossy(),
            self.host.name
        );
        let mut command = self.build().map_err(LabError::io(what.clone()))?;
        self.host
            .run(|| command.output().map_err(LabError::io(what)))
    }

    fn build(&self) -> io::Result<Command> {
        let mut command = if self.binds.is_empty() {
            let mut command = Command::new(&self.program);
            command.args(&self.args);
            command
        } else {
            // $1.. are source and target pairs up to `--`, then the program; exec keeps the process id.
            let script = "while [ \"$1\" != -- ]; do mount --bind \"$1\" \"$2\" || exit 126; shift 2; done; shift; exec \"$@\"";
            let mut command = Command::new("unshare");
            command.args(["--mount", "--", "sh", "-c", script, "lab"]);
            for (source, target) in &self.binds {
                command.arg(source).arg(target);
            }
            command.arg("--").arg(&self.program).args(&self.args);
            command
        };
        command.stdin(Stdio::null());
        if let Some(path) = &self.output {
            let file = File::options().create(true).append(true).open(path)?;
            command.stdout(file.try_clone()?).stderr(file);
        }
        Ok(command)
    }
}

#[expect(
    unsafe_code,
    reason = "unshare of the network namespace of this thread; no file descriptor is affected"
)]
pub(super) fn unshare_network() -> io::Result<()> {
    // SAFETY: `unshare_unsafe` is unsafe because of CLONE_FILES, which is not asked for.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?;
    Ok(())
}
