//! What the two child processes have in common: a runtime of one thread, a name, signals left to the supervisor.

use std::{io, process::ExitCode};

use tokio::task::LocalSet;

use crate::{logging, signals};

/// Runs a role to its end; `name` is what its errors are said of.
pub(crate) fn play(name: &str, role: impl Future<Output = io::Result<()>>) -> ExitCode {
    signals::take_the_name_called_by();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let whole = async {
        signals::leave_to_the_supervisor()?;
        role.await
    };
    let played = runtime.and_then(|runtime| runtime.block_on(LocalSet::new().run_until(whole)));
    let code = match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{name}: {error}");
            ExitCode::FAILURE
        }
    };
    logging::finish();
    code
}
