//! Reloads at the time that a file says.

use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ha_lb::lab::Lab;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    node::Node,
    support::{Needs, enclosed, wait_for},
};

const PATIENCE: Duration = Duration::from_secs(15);

#[test]
fn a_reload_begins_on_the_dot_and_takes_its_file_away() {
    let name = "schedule::a_reload_begins_on_the_dot_and_takes_its_file_away";
    enclosed(name, Needs::Namespaces, &["unshare", "ip"], || {
        let scratch = tempfile::tempdir().unwrap();
        let lab = Lab::new().unwrap();
        let mut node = Node::new(&lab, scratch.path(), "lb", "eth0", &["192.168.10.11/24"]);
        let path = scratch.path().join("keepalived.conf");
        let [when, mark, saved] = ["when", "mark", "saved"].map(|name| scratch.path().join(name));
        let text = |priority: u8| {
            format!(
                "global_defs {{\n reload_time_file {}\n reload_file {}\n \
                 config_save_dir {}\n}}\nvrrp_instance V {{\n state BACKUP\n version 3\n \
                 interface eth0\n virtual_router_id 51\n priority {priority}\n advert_int 0.1\n virtual_ipaddress {{\n \
                 192.168.10.10\n }}\n}}\n",
                when.display(),
                mark.display(),
                saved.display()
            )
        };
        fs::write(&path, text(100)).unwrap();
        node.start(Some(&path), &[]);
        fs::write(&path, text(120)).unwrap();
        // As the manual has it: whoever writes the files makes this one, and waits until it is gone.
        fs::write(&mark, "writing").unwrap();
        let at = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
            + 3;
        let [hours, minutes, seconds] = [at / 3600 % 24, at / 60 % 60, at % 60];
        fs::write(&when, format!("{hours:02}:{minutes:02}:{seconds:02}Z\n")).unwrap();
        wait_for(&format!("the reload\n{}", node.log()), PATIENCE, || {
            (node.ask("/reload/number")? == 1).then_some(())
        });
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!(now >= Duration::from_secs(at), "too early: {now:?}");
        println!(
            "{:?} after its time",
            now.saturating_sub(Duration::from_secs(at))
        );
        wait_for("the new priority", PATIENCE, || {
            (node.ask("/instances/0/priority")? == 120).then_some(())
        });
        assert!(!when.exists() && !mark.exists());
        let supervisor = node.ask("/supervisor/pid").unwrap();
        for (moment, priority) in [("pre", 100), ("post", 120)] {
            let path = saved.join(format!("keepalived_vrrp.{supervisor}.1.{moment}"));
            let text = wait_for(moment, PATIENCE, || fs::read_to_string(&path).ok());
            assert!(text.contains(&format!("Priority = {priority}")), "{text}");
        }
        assert_eq!(node.terminate(), Some(0), "{}", node.log());
    });
}

#[test]
fn what_is_saved_before_a_reload_is_how_it_was_at_that_moment() {
    let name = "schedule::what_is_saved_before_a_reload_is_how_it_was_at_that_moment";
    enclosed(name, Needs::Namespaces, &["unshare", "ip"], || {
        let scratch = tempfile::tempdir().unwrap();
        let lab = Lab::new().unwrap();
        let host = |name, address| Node::new(&lab, scratch.path(), name, "eth0", &[address]);
        let mut master = host("lb1", "192.168.10.11/24");
        let mut backup = host("lb2", "192.168.10.12/24");
        let saved = scratch.path().join("saved");
        let write = |name: &str, priority: u8| {
            let text = format!(
                "global_defs {{\n config_save_dir {}\n}}\nvrrp_instance V {{\n version 3\n interface eth0\n \
                 virtual_router_id 51\n priority {priority}\n advert_int 0.7\n virtual_ipaddress {{\n \
                 192.168.10.10\n }}\n}}\n",
                saved.display()
            );
            let path = scratch.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        master.start(Some(&write("master", 100)), &[]);
        backup.start(Some(&write("backup", 50)), &[]);
        wait_for("a peer of 100", PATIENCE, || {
            (backup.ask("/instances/0/peers/0/priority")? == 100).then_some(())
        });
        // No change of state, and nobody asks the backup for its own.
        write("master", 120);
        master.hang_up();
        let sent = || master.ask("/instances/0/counters/sent")?.as_u64();
        let before = wait_for("the reload of the master", PATIENCE, || {
            (master.ask("/instances/0/priority")? == 120).then(sent)?
        });
        wait_for("adverts of 120", PATIENCE, || {
            (sent()? > before + 3).then_some(())
        });
        write("backup", 60);
        backup.hang_up();
        let is_pre = |path: &std::path::PathBuf| {
            let other = format!(".{}.", master.ask("/supervisor/pid").unwrap());
            path.extension().is_some_and(|end| end == "pre")
                && !path.to_string_lossy().contains(&other)
        };
        let text = wait_for("the state before the reload", PATIENCE, || {
            let mut files = fs::read_dir(&saved).ok()?.flatten().map(|file| file.path());
            fs::read_to_string(files.find(is_pre)?).ok()
        });
        assert!(text.contains("Master priority = 120"), "{text}");
        assert!(text.contains("Priority = 50"), "{text}");
        for node in [&mut master, &mut backup] {
            assert_eq!(node.terminate(), Some(0), "{}", node.log());
        }
    });
}

/// What asks how everything is before a change over may still be asking when the daemon is told to end: the speaker
/// that resigns is not taken for one that the reload has ended.
#[test]
fn a_daemon_that_ends_gives_up_the_reload_that_is_under_way() {
    let name = "schedule::a_daemon_that_ends_gives_up_the_reload_that_is_under_way";
    enclosed(name, Needs::Namespaces, &["unshare", "ip"], || {
        let scratch = tempfile::tempdir().unwrap();
        let lab = Lab::new().unwrap();
        let mut node = Node::new(&lab, scratch.path(), "lb", "eth0", &["192.168.10.11/24"]);
        let path = scratch.path().join("keepalived.conf");
        let [mark, saved] = ["mark", "saved"].map(|name| scratch.path().join(name));
        let text = |rest: &str| {
            let (mark, saved) = (mark.display(), saved.display());
            format!("global_defs {{\n reload_file {mark}\n config_save_dir {saved}\n}}\n{rest}\n")
        };
        let instance = "vrrp_instance V {\n version 3\n interface eth0\n virtual_router_id 51\n advert_int 0.7\n \
            virtual_ipaddress {\n 192.168.10.10\n }\n}";
        let server =
            "virtual_server 127.0.0.1 8080 {\n protocol TCP\n real_server 127.0.0.1 8081 {\n }\n}";
        fs::write(&path, text(instance)).unwrap();
        node.start(Some(&path), &[]);
        wait_for("Active", PATIENCE, || {
            (node.state() == "Active").then_some(())
        });
        let speaker = node.ask("/vrrp/pid").unwrap().as_i64().unwrap();
        let speaker = Pid::from_raw(i32::try_from(speaker).unwrap()).unwrap();
        fs::write(&path, text(server)).unwrap();
        fs::write(&mark, "writing").unwrap();
        kill_process(speaker, Signal::STOP).unwrap();
        node.hang_up();
        wait_for("the files have been read", PATIENCE, || {
            (!mark.exists()).then_some(())
        });
        node.signal_daemon(Signal::TERM);
        wait_for("the end begins", PATIENCE, || {
            node.log().contains("resigning").then_some(())
        });
        kill_process(speaker, Signal::CONT).unwrap();
        assert_eq!(node.exit_code(), Some(0));
        let log = node.log();
        assert!(!log.contains("did not resign"), "{log}");
        assert!(!log.contains("applied"), "{log}");
        assert!(!node.holds("192.168.10.10"), "{log}");
    });
}
