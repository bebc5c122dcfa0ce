//! Who goes first where the driver's thread runs in real time: adverts, before work on addresses.

use nix::libc;

/// Schedules the calling thread right behind the one that started it, if that runs in real time at more than the least
/// of its priorities: a thread of the same priority would keep an advert waiting while it works.
#[expect(unsafe_code, reason = "system calls that no safe wrapper has")]
pub(super) fn give_way() {
    let mut parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameters live for the calls, of which the first writes them and the second reads them; 0 is this
    // thread.
    unsafe {
        let known = libc::sched_getparam(0, &raw mut parameters) == 0;
        if known && parameters.sched_priority > 1 {
            parameters.sched_priority -= 1;
            // Lowering is always allowed (sched(7)).
            libc::sched_setparam(0, &raw const parameters);
        }
    }
}
