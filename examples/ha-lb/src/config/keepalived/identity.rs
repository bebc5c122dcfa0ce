//! Who an instance is, from one configuration to the next.

use vrrp_proto::Priority;

use super::{Authentication, Instance};

impl Instance {
    /// What makes an instance who it is is what others hear of it, as for keepalived; its name is only a name.
    fn identity(&self) -> impl PartialEq + use<> {
        (
            (self.interface.clone(), self.vrid, self.version, self.family),
            (
                // It is another protocol, which needs other sockets.
                matches!(self.authentication, Some(Authentication::Header(_))),
                self.source,
                self.group,
                self.track_primary,
                self.accept,
                self.vmac.clone(),
            ),
            self.unicast.is_some(),
            self.priority == Priority::OWNER,
        )
    }
}

/// Positions of instances that go on, before and after: first under the same name, then under another one.
pub fn continued(before: &[Instance], after: &[Instance]) -> Vec<(usize, usize)> {
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for same_name in [true, false] {
        for (at_old, old) in before.iter().enumerate() {
            if pairs.iter().any(|(taken, _)| *taken == at_old) {
                continue;
            }
            let fits = |new: &Instance| {
                (new.name == old.name || !same_name) && new.identity() == old.identity()
            };
            let mut new = after.iter().enumerate();
            let is_free = |at: usize| pairs.iter().all(|(_, taken)| *taken != at);
            if let Some((at_new, _)) = new.find(|(at, new)| is_free(*at) && fits(new)) {
                pairs.push((at_old, at_new));
            }
        }
    }
    pairs
}
