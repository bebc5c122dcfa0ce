//! Neighbours that are watched by BFD, beside Debian's keepalived and FRRouting's bfdd.

use std::{
    fs,
    time::{Duration, Instant},
};

use ha_lb::lab::Lab;
use serde_json::Value;

use crate::{
    node::Node,
    support::{Needs, enclosed, wait_for},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Two seconds without a packet: a machine that stands still for a moment loses nobody.
const TIMES: &str = " min_rx 500\n min_tx 500\n multiplier 4\n";

fn ours(k: &str, f: &str) -> String {
    format!(
        "bfd_instance K {{\n neighbor_ip 192.168.10.12\n source_ip 192.168.10.11\n{k}}}\n\
         bfd_instance F {{\n neighbour_ip fd00:10::13\n source_ip fd00:10::11\n hoplimit 255\n{f} weight -20\n}}\n\
         bfd_instance K2 {{\n neighbor_ip 192.168.10.12\n source_ip 192.168.10.21\n{k}}}\n\
         vrrp_instance V {{\n state BACKUP\n version 3\n interface eth0\n virtual_router_id 51\n priority 100\n \
         advert_int 0.1\n virtual_ipaddress {{\n 192.168.10.10\n }}\n track_bfd {{\n K\n F weight -30\n }}\n}}\n"
    )
}

fn keepalived() -> String {
    format!(
        "global_defs {{\n vrrp_version 3\n}}\nbfd_instance OURS {{\n neighbor_ip 192.168.10.11\n source_ip 192.168.10.12\n\
         {TIMES}}}\nbfd_instance OTHER {{\n neighbor_ip 192.168.10.21\n source_ip 192.168.10.12\n{TIMES}}}\nvrrp_instance T {{\n state BACKUP\n interface eth0\n virtual_router_id 52\n priority 100\n \
         advert_int 0.1\n virtual_ipaddress {{\n 192.168.10.20\n }}\n track_bfd {{\n OURS\n }}\n}}\n"
    )
}

const FRR: &str = "bfd\n peer fd00:10::11 local-address fd00:10::13\n  receive-interval 500\n  transmit-interval 500\n  \
    detect-multiplier 4\n exit\nexit\n";

struct Site {
    lab: Lab,
    ours: Node,
    keepalived: Node,
    frr: Node,
}

impl Site {
    fn state(&self, state: &str) {
        wait_for(&format!("{state}\n{}", self.ours.log()), PATIENCE, || {
            (self.ours.state() == state).then_some(())
        });
    }

    fn priority(&self, priority: u8) {
        wait_for(
            &format!("{priority}\n{}", self.ours.log()),
            PATIENCE,
            || {
                let now = self.ours.ask("/instances/0/effective_priority")?;
                (now == priority).then_some(())
            },
        );
    }

    /// What `ha-lb status` says of a session, by its place in the file.
    fn session(&self, number: usize, field: &str) -> Value {
        let pointer = format!("/neighbours/{number}/{field}");
        self.ours.ask(&pointer).unwrap_or_default()
    }

    fn reaches(&self, number: usize, whom: &str) {
        wait_for(&format!("{whom}\n{}", self.ours.log()), PATIENCE, || {
            (self.session(number, "state") == "up").then_some(())
        });
    }

    /// How often the log says that.
    fn says(&self, text: &str) -> usize {
        self.ours.log().matches(text).count()
    }
}

#[test]
fn keepalived_and_frrouting_are_reached_lost_and_reached_again() {
    let name = "bfd::keepalived_and_frrouting_are_reached_lost_and_reached_again";
    let programs = ["unshare", "ip", "keepalived", "/usr/lib/frr/bfdd"];
    enclosed(name, Needs::Users, &programs, || {
        let scratch = tempfile::tempdir().unwrap();
        let lab = Lab::new().unwrap();
        let node = |name: &str, number: u8| {
            let addresses = [
                format!("192.168.10.{number}/24"),
                format!("192.168.10.{}/24", number + 10),
                format!("fd00:10::{number}/64"),
            ];
            let addresses = addresses.each_ref().map(String::as_str);
            Node::new(&lab, scratch.path(), name, "eth0", &addresses)
        };
        let (ours, keepalived, frr) = (node("lb", 11), node("ka", 12), node("frr", 13));
        let mut site = Site {
            lab,
            ours,
            keepalived,
            frr,
        };
        let path = scratch.path().join("keepalived.conf");
        fs::write(&path, self::ours(TIMES, TIMES)).unwrap();
        site.ours.start(Some(&path), &[]);
        // Nobody is there to be reached.
        site.state("Fault");
        assert_eq!(
            site.ours.ask("/instances/0/held_by").unwrap(),
            "neighbour K failed"
        );
        assert_eq!(site.session(0, "state"), "down");

        let theirs = site.keepalived.path("keepalived.conf");
        fs::write(&theirs, self::keepalived()).unwrap();
        site.keepalived.start_keepalived(&theirs);
        site.state("Active");
        site.priority(70);
        wait_for("keepalived reaches us", PATIENCE, || {
            site.keepalived.holds("192.168.10.20").then_some(())
        });
        fs::write(site.frr.path("bfdd.conf"), FRR).unwrap();
        site.frr.start_bfdd();
        site.priority(100);
        // The same neighbour from two addresses is two sessions.
        for (number, whom) in ["keepalived", "bfdd", "keepalived again"]
            .iter()
            .enumerate()
        {
            site.reaches(number, whom);
        }

        // Other intervals are agreed upon, and another program takes over: neither side notices.
        let lost = site.says(" is lost: ");
        fs::write(
            &path,
            self::ours(" min_rx 600\n min_tx 600\n multiplier 4\n", TIMES),
        )
        .unwrap();
        site.ours.hang_up();
        wait_for("the reload", PATIENCE, || {
            (site.ours.ask("/reload/number")? == 1).then_some(())
        });
        assert!(
            site.ours.ha_lb(&["upgrade"]).status.success(),
            "{}",
            site.ours.log()
        );
        site.state("Active");
        site.priority(100);
        assert_eq!(site.says(" is lost: "), lost, "{}", site.ours.log());
        assert!(site.keepalived.holds("192.168.10.20"));

        let killed = Instant::now();
        site.frr.kill_bfdd();
        site.priority(70);
        println!(
            "bfdd's death changed the priority after {:?}",
            killed.elapsed()
        );
        assert_eq!(site.session(1, "reached"), false);
        let reason = "nothing was heard for the detection time";
        assert_eq!(site.session(1, "reason"), reason);
        assert_eq!(
            site.says("is lost: nothing was heard for the detection time"),
            1
        );
        site.lab.cut_cable(&site.keepalived.host).unwrap();
        site.state("Fault");
        site.lab.mend_cable(&site.keepalived.host).unwrap();
        site.state("Active");

        // Who ends says so, which is no loss to keepalived.
        assert_eq!(site.ours.terminate(), Some(0), "{}", site.ours.log());
        wait_for("keepalived hears of our end", PATIENCE, || {
            let log = site.keepalived.log();
            log.contains("Administratively Down").then_some(())
        });
        assert!(site.keepalived.holds("192.168.10.20"));
        site.keepalived.end();
    });
}
