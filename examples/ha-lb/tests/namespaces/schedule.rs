//! Reloads at the time that a file says.

use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ha_lb::lab::Lab;

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
        assert_eq!(node.ask("/instances/0/priority").unwrap(), 120);
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
