//! The lab itself: hosts reach each other, a cut cable separates them, traffic sees the gap, the prober sees who
//! answers.

use std::time::{Duration, Instant};

use crate::support::{Needs, enclosed, wait_for};
use ha_lb::lab::{Host, Lab, Origin, Prober, Traffic, probe::PERIOD};

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

fn ip(host: &Host, arguments: &[&str]) {
    let output = host.command("ip").args(arguments).capture().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

#[test]
fn the_prober_sees_each_host_that_answers_and_when() {
    enclosed(
        "lab::the_prober_sees_each_host_that_answers_and_when",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let lab = Lab::new().unwrap();
            let host = |name: &str, address: &str| {
                let addresses = [address.parse().unwrap()];
                lab.host(name, "eth0", &addresses).unwrap()
            };
            let (one, two) = (host("one", "10.77.0.1/24"), host("two", "10.77.0.2/24"));
            let prober = lab.host("prober", "eth0", &[]).unwrap();
            let _listener = Origin::start(&one, "0.0.0.0:80".parse().unwrap(), "one").unwrap();
            let address = "10.77.0.10:80".parse().unwrap();
            let prober = Prober::start(
                &prober,
                "10.77.0.99".parse().unwrap(),
                address,
                &[&one, &two],
            )
            .unwrap();
            let calm = PERIOD * 40;
            let answer = |hosts: &[usize]| {
                wait_for(
                    &format!("answers of {hosts:?}"),
                    Duration::from_secs(5),
                    || {
                        let steady = prober.look(|h| h.steady(Instant::now(), calm));
                        (steady == hosts).then_some(())
                    },
                );
            };
            let began = Instant::now();
            wait_for("rounds", Duration::from_secs(5), || {
                prober.look(|h| (h.longest_pause(began) > Duration::ZERO).then_some(()))
            });
            assert!(prober.look(|h| h.heard(began)).is_empty());

            ip(&one, &["address", "add", "10.77.0.10/32", "dev", "eth0"]);
            answer(&[0]);
            assert_eq!(prober.look(|h| h.refusals(began)), 0, "it listens");

            let moved = Instant::now();
            ip(&one, &["address", "del", "10.77.0.10/32", "dev", "eth0"]);
            wait_for("silence", Duration::from_secs(5), || {
                let last = prober.look(|h| h.last_answer(0, moved))?;
                (last.elapsed() > calm).then_some(())
            });
            ip(&two, &["address", "add", "10.77.0.10/32", "dev", "eth0"]);
            answer(&[1]);
            assert!(prober.look(|h| h.refusals(moved)) > 0, "nothing listens");
            let history = prober.history();
            let silence = history.longest_silence(moved, Instant::now());
            assert!(silence.length() > calm, "{silence:?}");
            assert_eq!(history.doubles(began), []);

            ip(&one, &["address", "add", "10.77.0.10/32", "dev", "eth0"]);
            answer(&[0, 1]);
            let doubles = prober.look(|h| h.doubles(began));
            assert!(
                doubles.iter().any(|both| both.length() > calm / 2),
                "{doubles:?}"
            );
            println!(
                "longest pause of the prober: {:?}",
                prober.look(|h| h.longest_pause(began))
            );
        },
    );
}
