//! Three hosts: only the best of those that are left takes over, whichever program it runs.

use std::time::Duration;

use super::{
    protocol::{Instance, Protocol},
    site::{Outcome, Program, Setting, Site},
};

/// Priorities of the three, first to last.
const ORDER: [u8; 3] = [254, 250, 1];
/// Timers of the two that wait are nearly a second apart: as late as keepalived may be here.
const INTERVAL: Duration = Duration::from_secs(1);

/// Hosts in the order of their priorities, each with the number of its program among the site's members.
fn elected(setting: &Setting, members: &[(Program, u8)], order: [usize; 3]) -> Site {
    let mut site = Site::new(setting, members);
    let instances = ORDER.map(|priority| Instance::of(priority).every(INTERVAL));
    let order: Vec<_> = order.into_iter().zip(instances).collect();
    site.elect_in_order(&order);
    site
}

/// How long the host of that place in [`ORDER`] waits for an advert.
fn down_of(protocol: &Protocol, place: usize) -> Duration {
    protocol.down_at(ORDER[place], INTERVAL)
}

/// How long it waits once it has heard priority 0.
fn skew_of(protocol: &Protocol, place: usize) -> Duration {
    protocol.skew_at(ORDER[place], INTERVAL)
}

/// We are preferred and die without a word: the better of two keepalived takes over, and when it leaves the other one.
pub(crate) fn two_keepalived_follow(setting: &Setting, _: usize) -> Outcome {
    use Program::{HaLb, Keepalived};
    let members = [(HaLb, 11), (Keepalived, 12), (Keepalived, 13)];
    let mut site = elected(setting, &members, [0, 1, 2]);
    site.adverts_more(0, 1);
    site.kill(0);
    let last = site.last_word(0);
    let (down, skew) = (down_of(&site.protocol, 1), skew_of(&site.protocol, 2));
    site.takes_over(1, last, down, "from the last advert");
    let said = site.resign(1);
    site.takes_over(2, said, skew, "from priority 0");
    let began = site.start_again(0);
    let down = down_of(&site.protocol, 0);
    site.takes_over_from_start(0, began, down);
    site.finish()
}

/// We stand between two keepalived: better than the one that is left when the best one leaves.
pub(crate) fn between_two_keepalived(setting: &Setting, _: usize) -> Outcome {
    use Program::{HaLb, Keepalived};
    let members = [(HaLb, 12), (Keepalived, 11), (Keepalived, 13)];
    let mut site = elected(setting, &members, [1, 0, 2]);
    let said = site.resign(1);
    let skew = skew_of(&site.protocol, 1);
    site.takes_over(0, said, skew, "from priority 0");
    site.adverts_more(0, 1);
    site.kill(0);
    let last = site.last_word(0);
    let down = down_of(&site.protocol, 2);
    site.takes_over(2, last, down, "from the last advert");
    site.finish()
}

/// keepalived is preferred and two of us follow it.
pub(crate) fn two_of_us_follow(setting: &Setting, _: usize) -> Outcome {
    use Program::{HaLb, Keepalived};
    let members = [(HaLb, 11), (Keepalived, 12), (HaLb, 13)];
    let mut site = elected(setting, &members, [1, 0, 2]);
    site.adverts_more(1, 1);
    site.kill(1);
    let last = site.last_word(1);
    let (down, skew) = (down_of(&site.protocol, 1), skew_of(&site.protocol, 2));
    site.takes_over(0, last, down, "from the last advert");
    let said = site.resign(0);
    site.takes_over(2, said, skew, "from priority 0");
    site.finish()
}
