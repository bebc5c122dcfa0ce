//! A whole speaker (driver, router, host) that is stopped: its address falls silent before any Backup would take it
//! over, and stays silent until a new election when the speaker goes on.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::support::{HOST, Prober, VIP, configured, in_namespaces, sh, until};
use rustix::process::{Pid, Signal, kill_process};
use vip_netlink::link::Interface;
use vip_netlink::plan::Vip;
use vip_netlink::{HostOptions, HostRouter, LinuxHost};
use vrrp_fsm::driver::Driver;
use vrrp_fsm::{Attachment, RouterConfig, RouterId, RouterSet};
use vrrp_proto::{Family, Version, Vrid};

const INTERVAL: &str = "VIP_NETLINK_TEST_INTERVAL";
const PATIENCE: Duration = Duration::from_secs(10);
/// What a speaker says that stood still.
const STALLED: &str = "Active -> Backup: own adverts stalled for";
/// What a busy machine may take beyond the kernel's own times.
const SLACK: Duration = Duration::from_millis(100);

/// Not a test: the speaker that the others stop.
#[test]
fn speaker() {
    let Some(interval) = std::env::var_os(INTERVAL) else {
        return;
    };
    let interval = Duration::from_millis(interval.to_str().unwrap().parse().unwrap());
    let interface = Interface::lookup(HOST).unwrap();
    let addresses = vec![VIP.into()];
    let vrid = Vrid::new(51).unwrap();
    let mut config = RouterConfig::new(vrid, Family::Ipv4, Version::V3, addresses);
    config.interval = interval;
    let mut set = RouterSet::new();
    set.insert(Attachment::new(interface.number(), Family::Ipv4), config)
        .unwrap();
    let vips = vec![Vip::host(VIP.into())];
    let router = HostRouter::new(RouterId::new(0), interface, vips, interval);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let host = LinuxHost::new(vec![router], HostOptions::default()).unwrap();
        assert!(host.unfenced().is_none() && host.unheld().is_none());
        let (_control, commands) = tokio::sync::mpsc::channel(1);
        let mut driver = Driver::new(set, host).unwrap();
        driver
            .run(commands, |_, observation| println!("\nsaid {observation}"))
            .await
            .unwrap();
    });
}

struct Speaker {
    child: Child,
    said: Receiver<String>,
}

impl Speaker {
    fn start(interval: Duration) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "stopped::speaker", "--nocapture"])
            .env(INTERVAL, interval.as_millis().to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, said) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        Self { child, said }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its address answers for so long. Where the speaker itself stood still for longer than it may meanwhile, as it says, the
    /// next time counts.
    fn keeps_answering(&self, prober: &Prober, time: Duration) {
        while prober.last_answer(time) < time * 9 / 10 {
            self.says(STALLED);
            self.says("Backup -> Active");
        }
    }

    /// The first thing said that has `words` in it.
    fn says(&self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.said.recv_timeout(left).unwrap();
            println!("{line}");
            if line.contains(words) {
                return;
            }
        }
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn stop_and_go(test: &str, interval: Duration, times: u32) {
    in_namespaces(test, |peer| {
        let speaker = Speaker::start(interval);
        speaker.says("Backup -> Active");
        until(PATIENCE, "the address answers", || {
            peer.arp_answers(VIP, Duration::from_millis(20))
        });
        let prober = peer.prober(VIP);
        // The time since the last advert differs.
        for _ in 0..times {
            speaker.signal(Signal::STOP);
            // The first Backup that may take over (priority 254) does so 3.008 intervals after the last advert.
            let last = prober.last_answer(interval * 7 / 2);
            println!("{interval:?}: last answer {last:?} after SIGSTOP");
            assert!(last < interval * 29 / 10 + SLACK, "{last:?}");
            // No later than it goes on: it is not to be too soon.
            let resumed = Instant::now();
            speaker.signal(Signal::CONT);
            speaker.says(STALLED);
            until(PATIENCE, "an election", || {
                peer.arp_answers(VIP, Duration::from_millis(5))
            });
            let again = resumed.elapsed();
            println!("{interval:?}: answers {again:?} after SIGCONT");
            assert!(again > interval * 3, "{again:?}");
            speaker.says("Backup -> Active");
            assert!(configured(HOST, &format!("{VIP}/32")));
            // Some adverts later it is still there.
            speaker.keeps_answering(&prober, interval * 4);
        }
    });
}

#[test]
fn adverts_of_100_ms() {
    stop_and_go("stopped::adverts_of_100_ms", Duration::from_millis(100), 4);
}

#[test]
fn adverts_of_1_s() {
    stop_and_go("stopped::adverts_of_1_s", Duration::from_secs(1), 1);
}

#[test]
fn adverts_of_10_ms() {
    in_namespaces("stopped::adverts_of_10_ms", |peer| {
        let interval = Duration::from_millis(10);
        let speaker = Speaker::start(interval);
        speaker.says("Backup -> Active");
        until(PATIENCE, "the address answers", || {
            peer.arp_answers(VIP, Duration::from_millis(20))
        });
        let prober = peer.prober(VIP);
        let (asked, answered) = prober.answered(Duration::from_secs(2), PATIENCE, || {});
        println!("{asked} probes, {answered} answers");
        // A machine that does not run the speaker for 25 ms loses some, and rightly so.
        assert!(answered * 10 > asked * 9);
        speaker.signal(Signal::STOP);
        let last = prober.last_answer(Duration::from_millis(200));
        println!("10 ms: last answer {last:?} after SIGSTOP");
        assert!(last < interval * 29 / 10 + SLACK, "{last:?}");
    });
}

#[test]
fn an_address_goes_on_answering_when_beats_are_lost() {
    in_namespaces(
        "stopped::an_address_goes_on_answering_when_beats_are_lost",
        |peer| {
            let speaker = Speaker::start(Duration::from_millis(100));
            speaker.says("Backup -> Active");
            until(PATIENCE, "the address answers", || {
                peer.arp_answers(VIP, Duration::from_millis(20))
            });
            sh("ip link set lo down");
            speaker.says("the fence cannot be kept open by adverts");
            let prober = peer.prober(VIP);
            speaker.keeps_answering(&prober, Duration::from_secs(1));
            // Nor is that for ever.
            sh("ip link set lo up");
            speaker.says("the fence is kept open by adverts again");
            speaker.keeps_answering(&prober, Duration::from_secs(1));
            speaker.signal(Signal::STOP);
            let last = prober.last_answer(Duration::from_millis(500));
            assert!(last < Duration::from_millis(290) + SLACK, "{last:?}");
        },
    );
}

#[test]
fn an_address_goes_on_answering_when_beats_vanish() {
    in_namespaces(
        "stopped::an_address_goes_on_answering_when_beats_vanish",
        |peer| {
            let speaker = Speaker::start(Duration::from_millis(100));
            speaker.says("Backup -> Active");
            until(PATIENCE, "the address answers", || {
                peer.arp_answers(VIP, Duration::from_millis(20))
            });
            sh("nft add table netdev user");
            sh(
                "nft add chain netdev user lo { type filter hook ingress device lo priority 0 ; policy drop ; }",
            );
            speaker.says("beats on the loopback interface do not arrive any more");
            until(PATIENCE, "the address answers", || {
                peer.arp_answers(VIP, Duration::from_millis(20))
            });
            let prober = peer.prober(VIP);
            speaker.keeps_answering(&prober, Duration::from_secs(1));
        },
    );
}
