//! What is done instead of keywords that have no effect.

pub(super) const NO_CHECKER_MAIL: &str = "changes of a server's state are logged, not mailed";
pub(super) const NO_BFD: &str =
    "BFD is spoken by the speaker, whose priority, memory and processors are those of VRRP";
pub(super) const NO_SNMP: &str = "there is no SNMP agent";
pub(super) const ROOM: &str =
    "receive buffers have room for 16 adverts of each instance, whatever the policy";
pub(super) const BUFFERS: &str = "receive buffers have sizes of this program's own choosing";
pub(super) const SCHEDULING: &str = "how the process is scheduled is left to the service manager";
pub(super) const FROM_THE_START: &str = "the speaker is scheduled in real time from the start; `max_auto_priority 0` keeps it from that";
pub(super) const NO_IPVS: &str = "the kernel's IPVS is not used";
pub(super) const FENCE: &str = "addresses are fenced by an nftables table of this program's own";
pub(super) const RELOAD: &str =
    "a reload checks the whole file first and keeps the old one if it is refused";
pub(in crate::config::keepalived) const NAMESPACE: &str =
    "it runs in the namespace in which it was started";
pub(in crate::config::keepalived) const STOPPING: &str =
    "the speaker has 3 s to resign, the balancer its `hard-stop-after`";
pub(super) const NOT_SAVED: &str = "the files are read once, and what they said is kept in memory";
pub(super) const DUMPS: &str = "the files of SIGUSR1 and its kind are named without the instance";
pub(super) const NAMES: &str =
    "the speaker is called `keepalived` and the balancer `haproxy`, by which tools find them";
pub(super) const SERVERS_LOGGED: &str = "changes of a server's state are logged";
pub(super) const ADDRESS_LISTS: &str = "the address list of adverts is never a reason to drop them";
pub(super) const SOURCES: &str = "sources are always checked unless `check_unicast_src no`";
pub(super) const PATHS: &str = "scripts are run under the path that is written";
pub(super) const MEMBERSHIP: &str = "the kernel's group membership is used";
