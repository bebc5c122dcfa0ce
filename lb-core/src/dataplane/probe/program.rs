//! Checks by programs of the host (`option external-check`): somebody else runs them and tells how they ended, for a data
//! plane that has given up its rights may not.

use std::{cell::RefCell, sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{Place, once::Found, shared::Shared};
use crate::{
    dataplane::{ProgramEnd, ProgramRun, rt},
    health::{CheckStatus, Probe},
};

/// How long after a program's time its end may be told: as long again, where the one before it does not end, and so long.
const GRACE: Duration = Duration::from_secs(10);

/// Has the server at `place` checked once. Whoever runs programs and says nothing has said nothing of the server.
pub(super) async fn run(shared: &Shared, place: &RefCell<Place>, probe: Probe) -> Found {
    let (tell, told) = oneshot::channel();
    let Some(run) = place.borrow().run(probe.connect_timeout) else {
        return Found::unknown();
    };
    let Some(programs) = &shared.programs else {
        return failed("nobody runs programs".into());
    };
    let limit = run.limit;
    programs.check(
        run,
        Box::new(move |end| {
            let _ = tell.send(end);
        }),
    );
    let patience = limit.saturating_mul(2).saturating_add(GRACE);
    match rt::timeout(patience, told).await {
        Some(Ok(end)) => found(end),
        Some(Err(_)) | None => Found::unknown(),
    }
}

fn found(end: ProgramEnd) -> Found {
    let (status, code) = match end {
        ProgramEnd::Exited(0) => (CheckStatus::ProgramOk, 0),
        ProgramEnd::Exited(code) => (CheckStatus::ProgramError, code.into()),
        ProgramEnd::TimedOut => (CheckStatus::ProgramTimeout, 0),
        ProgramEnd::Failed(why) => return failed(why),
    };
    Found {
        status,
        code: Some(code),
        detail: "".into(),
    }
}

fn failed(why: String) -> Found {
    Found {
        status: CheckStatus::ProgramError,
        code: None,
        detail: why.into(),
    }
}

impl Place {
    fn run(&self, limit: Duration) -> Option<ProgramRun> {
        let server = self.backend.server(self.server)?;
        Some(ProgramRun {
            backend: Arc::from(self.backend.name()),
            server: Arc::from(server.name()),
            address: server.address(),
            sessions: server.counters().sessions.value(),
            limit,
        })
    }
}
