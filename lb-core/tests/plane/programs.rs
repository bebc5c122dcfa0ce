//! `option external-check`: whoever runs the programs decides over the servers.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lb_core::{
    config::{CheckConfig, CheckKind, ExternalCheck, Mode},
    dataplane::{ProgramEnd, ProgramRun, Programs},
};

use crate::common::{Plane, listen, nobody};

/// Lets programs end one after the other.
struct Ends {
    of: SocketAddr,
    runs: AtomicUsize,
}

impl Programs for Ends {
    fn check(&self, run: ProgramRun, tell: Box<dyn FnOnce(ProgramEnd) + Send>) {
        assert_eq!((&*run.backend, &*run.server), ("be", "s1"));
        assert_eq!((run.address, run.sessions), (Some(self.of), 0));
        assert_eq!(run.limit, Duration::from_millis(20));
        match self.runs.fetch_add(1, Ordering::SeqCst) {
            0 => tell(ProgramEnd::Exited(4)),
            // Nothing is said of the server.
            1 => drop(tell),
            2 | 3 => tell(ProgramEnd::Exited(0)),
            4 | 5 => tell(ProgramEnd::TimedOut),
            6 | 7 => tell(ProgramEnd::Exited(0)),
            _ => tell(ProgramEnd::Failed("killed by signal 9".to_owned())),
        }
    }
}

#[test]
fn how_programs_end_decides_over_their_server() {
    let address = nobody();
    let mut proxy = listen("be", Mode::Tcp, &[address]);
    let backend = proxy.backend.as_mut().unwrap();
    backend.check = CheckKind::External(Arc::new(ExternalCheck {
        command: "/usr/bin/look".to_owned(),
        path: None,
    }));
    backend.servers[0].check = Some(CheckConfig {
        inter: Duration::from_millis(20),
        rise: 2,
        fall: 2,
        ..CheckConfig::default()
    });
    let plane = Plane::start_with(vec![proxy], |_, options| {
        options.programs = Some(Arc::new(Ends {
            of: address,
            runs: AtomicUsize::new(0),
        }));
    });
    for expected in [
        "Server be/s1 is DOWN, reason: External check error, code: 4, check duration: ",
        "backend be has no server available!",
        "Server be/s1 is UP, reason: External check passed, code: 0, check duration: ",
        "Server be/s1 is DOWN, reason: External check timeout, code: 0, check duration: ",
        "backend be has no server available!",
        "Server be/s1 is UP, reason: External check passed, code: 0, check duration: ",
        "Server be/s1 is DOWN, reason: External check error, info: \"killed by signal 9\", check duration: ",
    ] {
        let line = plane.line();
        assert!(line.starts_with(expected), "{line}");
    }
    plane.stop();
}
