//! FRRouting's vrrpd as the other host. It has no unicast and no authentication, keeps its addresses on a macvlan
//! device that it lets through as Active only, and speaks from the virtual hardware address.

use super::{
    protocol::{HIGH, Instance, LOW},
    site::{OURS, Outcome, Program, Setting, Site, THEIRS},
};

fn pair(setting: &Setting) -> Site {
    let members = [(Program::HaLb, 11), (Program::Frr, 12)];
    Site::new(setting, &members)
}

/// We are preferred: FRRouting gives way, takes over when we resign, and gives way when we are back.
pub(crate) fn follows_us(setting: &Setting, _: usize) -> Outcome {
    let mut site = pair(setting);
    let began = site.start(THEIRS, &Instance::of(LOW));
    site.speaks_from_start(THEIRS, began, site.protocol.down(LOW));
    let began = site.start(OURS, &Instance::of(HIGH));
    site.takes_over_from_start(OURS, began, site.protocol.down(HIGH));
    let said = site.resign(OURS);
    let skew = site.protocol.skew(LOW);
    site.takes_over_by_ear(THEIRS, said, skew, "from priority 0");
    let began = site.start_again(OURS);
    site.takes_over_from_start(OURS, began, site.protocol.down(HIGH));
    site.finish()
}

/// It is preferred: we follow and take over when it dies.
pub(crate) fn leads(setting: &Setting, _: usize) -> Outcome {
    let mut site = pair(setting);
    let began = site.start(THEIRS, &Instance::of(HIGH));
    site.speaks_from_start(THEIRS, began, site.protocol.down(HIGH));
    site.start(OURS, &Instance::of(LOW));
    site.follows(OURS, THEIRS);
    site.adverts_more(THEIRS, 3);
    site.kill(THEIRS);
    let last = site.last_word(THEIRS);
    let down = site.protocol.down(LOW);
    site.takes_over(OURS, last, down, "from the last advert");
    site.finish()
}
