//! keepalived's lines about changes of state, which monitoring looks for in the log of a daemon of that name.

use crate::{admin::status::State, ipc::message::Transition};

/// `(VI_1) Entering MASTER STATE`; nothing for an end.
pub(super) fn of_instance(transition: &Transition) -> Option<String> {
    let Transition {
        instance, from, to, ..
    } = transition;
    let begins = match (from, to) {
        (State::Initialize, State::Backup) => " (init)",
        _ => "",
    };
    let name = to.keepalived_name();
    (*to != State::Initialize).then(|| format!("({instance}) Entering {name} STATE{begins}"))
}

/// The same of a sync group.
pub(super) fn of_group(group: &str, state: State) -> Option<String> {
    let name = state.keepalived_name();
    (state != State::Initialize)
        .then(|| format!("VRRP_Group({group}) Syncing instances to {name} state"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(from: State, to: State) -> Option<String> {
        of_instance(&Transition {
            instance: "VI_1".to_owned(),
            from,
            to,
            reason: String::new(),
            priority: 100,
        })
    }

    #[test]
    fn lines_are_keepalived_s() {
        let lines = [
            line(State::Initialize, State::Backup),
            line(State::Backup, State::Active),
            line(State::Active, State::Backup),
            line(State::Backup, State::Fault),
            of_group("VG", State::Active),
        ];
        let lines: Vec<String> = lines.into_iter().flatten().collect();
        assert_eq!(
            lines,
            [
                "(VI_1) Entering BACKUP STATE (init)",
                "(VI_1) Entering MASTER STATE",
                "(VI_1) Entering BACKUP STATE",
                "(VI_1) Entering FAULT STATE",
                "VRRP_Group(VG) Syncing instances to MASTER state",
            ]
        );
        assert_eq!(line(State::Active, State::Initialize), None);
    }
}
