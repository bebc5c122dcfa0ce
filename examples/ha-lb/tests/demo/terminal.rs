//! A real terminal for one program: a pseudo-terminal pair, and a parser that knows what a person would see.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    num::NonZero,
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use rustix::{
    process::Pid,
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize},
};

/// Nothing on the screen takes so long, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal of 80 columns and 24 lines in which one program runs.
pub(crate) struct Terminal {
    parser: Arc<Mutex<vt100::Parser>>,
    keyboard: File,
    /// Held open, as a shell holds it, so that its modes can be asked for after the program's end.
    own: OwnedFd,
    modes_before: Termios,
    program: Child,
}

impl Terminal {
    pub(crate) fn run(program: &Path, arguments: &[&str]) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let outer = openpt(flags).unwrap();
        grantpt(&outer).unwrap();
        unlockpt(&outer).unwrap();
        let own = ioctl_tiocgptpeer(&outer, flags).unwrap();
        tcsetwinsize(&outer, size(80, 24)).unwrap();
        let modes_before = tcgetattr(&own).unwrap();
        let side = || own.try_clone().unwrap();
        // setsid makes the terminal the program's controlling one, to which signals of its size go.
        let child = Command::new("setsid")
            .args(["--ctty", "--"])
            .arg(program)
            .args(arguments)
            .env("TERM", "xterm-256color")
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .unwrap();
        let parser = Arc::new(Mutex::new(vt100::Parser::new(length(24), length(80), 0)));
        let shared = Arc::clone(&parser);
        let mut keyboard = File::from(outer);
        let mut display = keyboard.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = display.read(&mut bytes) {
                shared.lock().unwrap().process(bytes.get(..count).unwrap());
            }
        });
        keyboard.flush().unwrap();
        Self {
            parser,
            keyboard,
            own,
            modes_before,
            program: child,
        }
    }

    fn parser(&self) -> MutexGuard<'_, vt100::Parser> {
        self.parser.lock().unwrap()
    }

    /// What is seen now.
    pub(crate) fn screen(&self) -> String {
        self.parser().screen().contents()
    }

    /// What is seen as soon as `text` is.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        self.wait_until(text, |screen| screen.contains(text))
    }

    /// What is seen as soon as it is `right`.
    pub(crate) fn wait_until(&mut self, what: &str, right: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if right(&screen) {
                return screen;
            }
            let ended = self.program.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?} before {what:?}:\n{screen}");
            assert!(Instant::now() < deadline, "no {what:?} in:\n{screen}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        self.parser()
            .screen_mut()
            .set_size(length(rows), length(columns));
        tcsetwinsize(&self.own, size(columns, rows)).unwrap();
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.program)
    }

    /// Processes that the program started.
    pub(crate) fn children(&self) -> Vec<Pid> {
        let pid = self.program.id();
        let path = format!("/proc/{pid}/task/{pid}/children");
        let children = fs::read_to_string(path).unwrap();
        let children = children.split_whitespace().map(|pid| pid.parse().unwrap());
        children.map(|pid| Pid::from_raw(pid).unwrap()).collect()
    }

    /// The program's exit code, once it has ended and all that it wrote is seen.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.program.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "still runs:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(10));
        };
        // A mark that follows everything else.
        let mut own = File::from(self.own.try_clone().unwrap());
        own.write_all(b"<the end>").unwrap();
        while !self.screen().contains("<the end>") {
            assert!(Instant::now() < deadline, "no end in:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(10));
        }
        status.code()
    }

    /// Whether the program has a screen of its own.
    pub(crate) fn alternate(&self) -> bool {
        self.parser().screen().alternate_screen()
    }

    /// Whether a shell could go on here: usual screen, cursor seen, keys echoed and lines edited as before.
    pub(crate) fn restored(&self) -> bool {
        let parser = self.parser();
        let modes = tcgetattr(&self.own).unwrap();
        let local = modes.local_modes;
        !parser.screen().alternate_screen()
            && !parser.screen().hide_cursor()
            && local.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
            && local == self.modes_before.local_modes
            && modes.input_modes == self.modes_before.input_modes
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A test that failed half-way leaves nothing behind either.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn length(cells: u16) -> NonZero<u16> {
    NonZero::new(cells).unwrap()
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
