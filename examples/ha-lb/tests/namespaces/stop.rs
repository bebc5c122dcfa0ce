//! SIGTERM: priority 0, then the addresses go, then the listeners are closed, then what runs is finished.

use std::{
    fs,
    io::Write as _,
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use ha_lb::lab::{Lab, Prober, get};
use rustix::process::Signal;

use crate::{
    adverts::Adverts,
    node::Node,
    support::{Needs, enclosed, wait_for},
};

const VIP: &str = "10.77.0.10";
const PATIENCE: Duration = Duration::from_secs(15);

#[test]
fn a_daemon_resigns_lets_its_addresses_go_closes_and_finishes_in_this_order() {
    enclosed(
        "stop::a_daemon_resigns_lets_its_addresses_go_closes_and_finishes_in_this_order",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let other = lab.host("other", "eth0", &["10.77.0.12/24".parse().unwrap()]);
            let (other, probing) = (other.unwrap(), lab.host("probe", "eth0", &[]).unwrap());
            let slow = node
                .host
                .run(|| Ok(TcpListener::bind("10.77.0.11:8080").unwrap()));
            let slow = slow.unwrap();
            let (conf, cfg) = (node.path("k.conf"), node.path("h.cfg"));
            let instance = format!(
                "vrrp_instance VI_1 {{\n version 3\n state BACKUP\n interface eth0\n virtual_router_id 51\n \
                 priority 150\n advert_int 1\n virtual_ipaddress {{\n {VIP}\n }}\n}}\n"
            );
            fs::write(&conf, instance).unwrap();
            fs::write(
                &cfg,
                "defaults\n mode http\n timeout client 9s\n timeout server 9s\n timeout connect 5s\n\
                 listen web\n bind *:80\n server web 10.77.0.11:8080\n",
            )
            .unwrap();
            node.start(Some(&conf), &[&cfg]);
            wait_for("h1 is Active", PATIENCE, || {
                (node.state() == "Active" && node.holds(VIP)).then_some(())
            });
            let adverts = Adverts::of("10.77.0.11".parse().unwrap(), &other);
            let vip = "10.77.0.10:80".parse().unwrap();
            let from = "10.77.0.99".parse().unwrap();
            let probe = Prober::start(&probing, from, vip, &[&node.host]).unwrap();
            wait_for("the prober hears", PATIENCE, || {
                let steady = probe.look(|h| h.steady(Instant::now(), Duration::from_millis(100)));
                (steady == [0]).then_some(())
            });
            let own = "10.77.0.11:80".parse().unwrap();
            let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close";
            thread::scope(|scope| {
                let other = &other;
                let running = scope.spawn(move || other.run(|| Ok(get(own, request, PATIENCE))));
                let (mut server, _) = slow.accept().unwrap();
                let began = Instant::now();
                node.signal(&["supervisor"], Signal::TERM);
                let closed = wait_for("the listener is closed", PATIENCE, || {
                    let refused = other.run(|| Ok(TcpStream::connect(own).is_err()));
                    refused.unwrap().then(Instant::now)
                });
                assert!(!node.holds(VIP), "{}", node.log());
                server
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                    .unwrap();
                let answer = running.join().unwrap().unwrap().unwrap();
                assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
                assert_eq!(node.exit_code(), Some(0), "{}", node.log());
                let all = adverts.all();
                let resigned = all.iter().find(|advert| advert.priority == 0);
                let resigned = resigned.unwrap().at;
                let silent = probe.history().last_answer(0, began).unwrap();
                println!(
                    "priority 0 after {:?}, the last answer after {:?}, closed after {:?}",
                    resigned - began,
                    silent - began,
                    closed - began
                );
                // The prober asks every 5 ms: what was under way is answered.
                assert!(resigned <= silent + Duration::from_millis(20));
                assert!(silent < closed);
                assert_eq!(probe.history().heard(closed), Vec::<usize>::new());
                let last = all.last().unwrap();
                assert_eq!(last.priority, 0, "nothing is said after it");
            });
        },
    );
}
