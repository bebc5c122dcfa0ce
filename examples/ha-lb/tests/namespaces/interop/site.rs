//! The hosts of one cell, side by side with other cells, and what is done to them.

mod expect;

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

pub(crate) use expect::LATE;
use ha_lb::lab::{BRIDGE, Lab};
use rustix::process::Signal;
use serde_json::Value;

use super::{
    gauge::Gauge,
    permits,
    protocol::{HIGH, INTERFACE, Instance, LOW, Protocol},
    timeline::Timeline,
    witness::Witness,
};
use crate::{node::Node, support::wait_for};

/// The first two hosts of a cell.
pub(crate) const OURS: usize = 0;
pub(crate) const THEIRS: usize = 1;

/// Conditions that no time is promised for: logs, status, leases of a dead host.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

/// All cells of a row are built within this.
const BUILDING: Duration = Duration::from_secs(120);

/// What a host runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    HaLb,
    Keepalived,
    /// FRRouting's vrrpd.
    Frr,
}

struct Member {
    node: Node,
    number: u8,
    program: Program,
    /// Of keepalived.
    flags: Vec<&'static str>,
    running: bool,
}

/// A time that the protocol promises, and what was measured.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) theory: Duration,
    pub(crate) took: Duration,
}

/// What is left of a cell that held.
pub(crate) struct Outcome {
    pub(crate) figures: Vec<Figure>,
    /// Adverts and announcements of the first host.
    pub(crate) frames: Vec<Vec<u8>>,
    /// Namespaces go when nothing is measured any more.
    _site: Site,
}

/// Where a cell is played.
pub(crate) struct Setting {
    pub(crate) protocol: Protocol,
    /// A folder of its own.
    pub(crate) scratch: PathBuf,
    /// How many cells are not built yet: making namespaces holds the kernel's lock for addresses (RTNL) for long, and
    /// it is one for all of them, so nothing begins before all are there.
    pub(crate) unbuilt: Arc<AtomicUsize>,
    pub(crate) gauge: Arc<Gauge>,
}

/// The hosts of one cell.
pub(crate) struct Site {
    pub(crate) protocol: Protocol,
    pub(crate) timeline: Timeline,
    members: Vec<Member>,
    lab: Lab,
    _witness: Witness,
    /// Who must have spoken as Active, in order, since `judged_from`.
    speakers: Vec<usize>,
    judged_from: Instant,
    began: Instant,
    figures: Vec<Figure>,
    /// Words that keepalived may say and causes that we may count, which are errors elsewhere.
    excused: Vec<&'static str>,
    gauge: Arc<Gauge>,
    cell: String,
}

impl Site {
    /// One host of ours and one that runs keepalived.
    pub(crate) fn pair(setting: &Setting) -> Self {
        let members = [(Program::HaLb, 11), (Program::Keepalived, 12)];
        Self::new(setting, &members)
    }

    /// Hosts with these programs, and the last octets of their addresses.
    pub(crate) fn new(setting: &Setting, members: &[(Program, u8)]) -> Self {
        let protocol = setting.protocol;
        let building = permits::build();
        let lab = Lab::apart().unwrap();
        // A bridge that learns nothing is a hub: the witness hears unicast adverts too.
        ip(&["link", "set", BRIDGE, "type", "bridge", "ageing_time", "0"]);
        let members: Vec<Member> = members
            .iter()
            .map(|&(program, number)| {
                let kind = match program {
                    Program::HaLb => "ours",
                    Program::Keepalived => "keepalived",
                    Program::Frr => "frr",
                };
                let name = format!("{kind}{number}");
                let mut node = Node::new(&lab, &setting.scratch, &name, INTERFACE, &[]);
                node.quiet = true;
                Member {
                    node,
                    number,
                    program,
                    flags: Vec::new(),
                    running: false,
                }
            })
            .collect();
        for member in &members {
            prepare(protocol, member, &members);
        }
        let timeline = Timeline::default();
        let witness = lab.host("witness", INTERFACE, &[]).unwrap();
        let hosts = members.iter().map(|member| {
            let is_frr = member.program == Program::Frr;
            let virtual_mac = is_frr.then(|| protocol.virtual_mac());
            (&member.node.host, virtual_mac)
        });
        let hosts: Vec<_> = hosts.collect();
        let witness = Witness::start(witness, &hosts, protocol.probed(), timeline.clone());
        drop(building);
        setting.unbuilt.fetch_sub(1, Ordering::Relaxed);
        wait_for("all cells are built", BUILDING, || {
            (setting.unbuilt.load(Ordering::Relaxed) == 0).then_some(())
        });
        Self {
            protocol,
            timeline,
            members,
            lab,
            _witness: witness,
            speakers: Vec::new(),
            judged_from: Instant::now(),
            began: Instant::now(),
            figures: Vec::new(),
            excused: Vec::new(),
            gauge: Arc::clone(&setting.gauge),
            cell: std::thread::current().name().unwrap_or_default().to_owned(),
        }
    }

    pub(crate) fn node(&self, who: usize) -> &Node {
        &self.members[who].node
    }

    pub(crate) fn name(&self, who: usize) -> &str {
        self.node(who).host.name()
    }

    /// What keepalived may say (or we may count) in this cell although it would be an error elsewhere.
    pub(crate) fn excuse(&mut self, words: &[&'static str]) {
        self.excused.extend(words);
    }

    /// Flags of keepalived on a host.
    pub(crate) fn flags(&mut self, who: usize, flags: &[&'static str]) {
        self.members[who].flags = flags.to_vec();
    }

    /// Makes a host read its file again: of ours returns when it did.
    pub(crate) fn reload(&self, who: usize) {
        let member = &self.members[who];
        let number = || {
            member
                .node
                .ask("/reload/number")
                .and_then(|number| number.as_u64())
        };
        let is_ours = member.program == Program::HaLb;
        let before = if is_ours { number() } else { None };
        self.timeline.done(format!("{} reloads", self.name(who)));
        member.node.signal_daemon(Signal::HUP);
        if is_ours {
            wait_for("the reload ends", PATIENCE, || {
                (number() > before).then_some(())
            });
            assert_eq!(member.node.ask("/reload/applied"), Some(true.into()));
        }
    }

    /// What our status says of the instance of `who`, by JSON pointer.
    pub(crate) fn ask(&self, who: usize, pointer: &str) -> Value {
        let pointer = format!("/instances/0{pointer}");
        self.node(who).ask(&pointer).unwrap_or_default()
    }

    /// How many adverts we rejected for that cause.
    pub(crate) fn rejected(&self, who: usize, cause: &str) -> u64 {
        let counted = self.ask(who, "/counters/rejected");
        let mut counted = counted.as_array().into_iter().flatten();
        let counted = counted.find(|one| one["cause"] == cause);
        counted
            .and_then(|one| one["count"].as_u64())
            .unwrap_or_default()
    }

    /// The file of a host.
    pub(crate) fn path(&self, who: usize) -> PathBuf {
        self.node(who).path("keepalived.conf")
    }

    pub(crate) fn write(&self, who: usize, instance: &Instance) {
        let number = self.members[who].number;
        let others = self.members.iter().map(|member| member.number);
        let others: Vec<u8> = others.filter(|other| *other != number).collect();
        let text = match self.members[who].program {
            Program::Frr => self.protocol.frr_file(instance),
            _ => self.protocol.file(number, &others, instance),
        };
        fs::write(self.path(who), text).unwrap();
    }

    /// Starts a host's program; returns when it began to.
    pub(crate) fn start(&mut self, who: usize, instance: &Instance) -> Instant {
        self.write(who, instance);
        self.start_again(who)
    }

    /// The same with the file that is there.
    pub(crate) fn start_again(&mut self, who: usize) -> Instant {
        let _permit = permits::take();
        let path = self.path(who);
        let before = self.log_count(who, "Entering BACKUP STATE");
        let began = self.timeline.done(format!("{} starts", self.name(who)));
        let member = &mut self.members[who];
        member.running = true;
        match member.program {
            Program::HaLb => member.node.start(Some(&path), &[]),
            Program::Keepalived => {
                member.node.start_keepalived_with(&member.flags, &path);
                wait_for("keepalived is Backup", PATIENCE, || {
                    (self.log_count(who, "Entering BACKUP STATE") > before).then_some(())
                });
            }
            Program::Frr => member.node.start_frr(),
        }
        began
    }

    /// When the hosts were there.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    fn log_count(&self, who: usize, words: &str) -> usize {
        self.node(who).log().matches(words).count()
    }

    /// `who` is Active from the first, and all others follow it as Backup.
    pub(crate) fn elect(&mut self, who: usize) {
        self.elect_with(who, &Instance::of(HIGH), &Instance::of(LOW));
    }

    pub(crate) fn elect_with(&mut self, who: usize, preferred: &Instance, other: &Instance) {
        let others = (0..self.members.len()).filter(|host| *host != who);
        let others = others.map(|host| (host, other.clone()));
        let order: Vec<_> = std::iter::once((who, preferred.clone()))
            .chain(others)
            .collect();
        self.elect_in_order(&order);
    }

    /// The first is Active and the others, which start after it, follow.
    pub(crate) fn elect_in_order(&mut self, order: &[(usize, Instance)]) {
        let (who, preferred) = &order[0];
        let interval = preferred.interval.unwrap_or(self.protocol.interval());
        let down = self.protocol.down_at(preferred.priority, interval);
        let began = self.start(*who, preferred);
        self.takes_over_from_start(*who, began, down);
        for (other, instance) in &order[1..] {
            self.start(*other, instance);
            self.follows(*other, *who);
        }
    }

    /// `who` is Backup and has heard an advert of `active` since then.
    pub(crate) fn follows(&self, who: usize, active: usize) {
        if self.members[who].program == Program::HaLb {
            wait_for("it is Backup", PATIENCE, || {
                (self.node(who).state() == "Backup").then_some(())
            });
        }
        self.adverts_more(active, 1);
    }

    /// Waits for so many more adverts of a host.
    pub(crate) fn adverts_more(&self, who: usize, count: usize) {
        let now = Instant::now();
        let patience = self.protocol.interval() * u32::try_from(count).unwrap() * 2 + PATIENCE;
        wait_for(
            &format!("{count} adverts of {}", self.name(who)),
            patience,
            || (self.timeline.adverts(who, now).len() >= count).then_some(()),
        );
    }

    /// Ends a host's program in order; returns when it said so to the others.
    pub(crate) fn stop(&mut self, who: usize) -> Option<Instant> {
        let began = self.timeline.done(format!("{} is stopped", self.name(who)));
        let member = &mut self.members[who];
        member.running = false;
        assert_eq!(member.node.terminate(), Some(0), "exit code");
        let adverts = self.timeline.adverts(who, began).into_iter();
        let mut resignations = adverts.filter(|(_, advert)| advert.priority == 0);
        resignations.next().map(|(at, _)| at)
    }

    /// The same of one that is Active: when it sent priority 0.
    pub(crate) fn resign(&mut self, who: usize) -> Instant {
        let said = self.stop(who);
        assert!(said.is_some(), "{} sends priority 0", self.name(who));
        said.unwrap()
    }

    /// Kills every process of a host without a word. keepalived leaves its addresses behind, so its host loses them as in
    /// a power cut.
    pub(crate) fn kill(&mut self, who: usize) {
        self.timeline.done(format!("{} is killed", self.name(who)));
        let vips = self.protocol.vips();
        let member = &mut self.members[who];
        member.running = false;
        match member.program {
            Program::HaLb => member.node.kill(),
            Program::Keepalived => member.node.kill_keepalived(vips),
            Program::Frr => member.node.kill_frr(),
        }
    }

    pub(crate) fn cut(&self, who: usize) {
        self.timeline
            .done(format!("cable of {} is cut", self.name(who)));
        self.lab.cut_cable(&self.node(who).host).unwrap();
    }

    pub(crate) fn mend(&self, who: usize) -> Instant {
        let at = self
            .timeline
            .done(format!("cable of {} is mended", self.name(who)));
        self.lab.mend_cable(&self.node(who).host).unwrap();
        at
    }

    /// The hosts do not hear each other any more, but the witness hears all; or they do again.
    pub(crate) fn partition(&mut self, on: bool) -> Instant {
        for member in &self.members {
            let port = self.lab.port(&member.node.host);
            let word = if on { "on" } else { "off" };
            ip(&[
                "link",
                "set",
                &port,
                "type",
                "bridge_slave",
                "isolated",
                word,
            ]);
        }
        self.timeline.done(if on {
            "the hosts are parted"
        } else {
            "they are together again"
        })
    }

    /// From now on the judgement about who spoke begins anew: the last speaker counted is none.
    pub(crate) fn judge_from(&mut self, at: Instant, speaker: usize) {
        self.judged_from = at;
        self.speakers = vec![speaker];
    }

    fn end(&mut self) {
        for member in self.members.iter_mut().filter(|member| member.running) {
            member.running = false;
            member.node.end();
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let names: Vec<_> = (0..self.members.len())
                .map(|who| self.name(who).to_owned())
                .collect();
            let mut text = format!("=== {}\n{}", self.cell, self.timeline.text(&names));
            for who in 0..self.members.len() {
                text += &format!("--- {}\n{}\n", self.name(who), self.node(who).log());
            }
            println!("{text}");
        }
        self.end();
    }
}

/// Addresses that are usable at once and none that the kernel makes up. Unicast neighbours are known: the kernel asks
/// for one that did not answer only once a second, which would be measured instead of the programs.
fn prepare(protocol: Protocol, member: &Member, all: &[Member]) {
    let mut batch = format!("address flush dev {INTERFACE} scope link\n");
    for address in protocol.addresses(member.number) {
        let nodad = if protocol.ipv6 { "nodad" } else { "" };
        batch += &format!("address add {address} dev {INTERFACE} {nodad}\n");
    }
    let others = all.iter().filter(|other| other.number != member.number);
    for other in others.filter(|_| protocol.is_unicast()) {
        let (address, mac) = (protocol.source(other.number), other.node.host.mac());
        let mac = mac.map(|octet| format!("{octet:02x}")).join(":");
        batch +=
            &format!("neighbour replace {address} lladdr {mac} nud permanent dev {INTERFACE}\n");
    }
    if member.program == Program::Frr {
        batch += &protocol.frr_links();
    }
    let path = member.node.path("batch");
    fs::write(&path, batch).unwrap();
    run(&member.node, "ip", &["-batch", path.to_str().unwrap()]);
    if member.program == Program::Frr {
        // The addresses are on another device, whose state is what says whether they answer.
        run(
            &member.node,
            "sysctl",
            &["-qw", "net.ipv4.conf.all.arp_ignore=1"],
        );
    }
}

fn run(node: &Node, program: &str, arguments: &[&str]) {
    let output = node
        .host
        .command(program)
        .args(arguments)
        .capture()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// `ip` in the namespace of the calling thread.
pub(crate) fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}
