//! The lab itself: hosts reach each other, a cut cable separates them, traffic sees the gap.

use std::time::{Duration, Instant};

use crate::support::{Needs, enclosed, wait_for};
use ha_lb::lab::{Lab, Origin, Traffic};

#[test]
fn a_cut_cable_is_seen_as_a_gap() {
    enclosed(
        "lab::a_cut_cable_is_seen_as_a_gap",
        Needs::Namespaces,
        &["unshare"],
        || {
            let lab = Lab::new().unwrap();
            let server = lab
                .host("server", "eth0", &["10.77.0.1/24".parse().unwrap()])
                .unwrap();
            let client = lab
                .host("client", "eth0", &["10.77.0.2/24".parse().unwrap()])
                .unwrap();
            let origin = Origin::start(&server, "10.77.0.1:8080".parse().unwrap(), "only").unwrap();
            let traffic =
                Traffic::start(&client, origin.address(), Duration::from_millis(5)).unwrap();
            wait_for("answers", Duration::from_secs(5), || {
                (traffic.answers() > 3).then_some(())
            });

            let (cut_at, failures) = (Instant::now(), traffic.failures());
            lab.cut_cable(&server).unwrap();
            wait_for("failures", Duration::from_secs(5), || {
                (traffic.failures() > failures).then_some(())
            });
            lab.mend_cable(&server).unwrap();
            let before = traffic.answers();
            wait_for("answers again", Duration::from_secs(10), || {
                (traffic.answers() > before).then_some(())
            });

            let gap = traffic.longest_gap(cut_at).length();
            assert!(gap >= Duration::from_millis(100), "{gap:?}");
            assert_eq!(traffic.by_origin().keys().collect::<Vec<_>>(), ["only"]);
            assert!(origin.served() >= traffic.answers());
        },
    );
}
