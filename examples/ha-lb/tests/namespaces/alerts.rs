//! Notify scripts, fifos and mail beside Debian's keepalived: the same file on both hosts, and the same is told.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::OpenOptionsExt as _,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rustix::fs::OFlags;

use crate::{
    node::Node,
    peers::{Pair, with_files_and},
    support::{Needs, wait_for},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Instances A, alone, S in a group, and D, which a reload takes away; the VRIDs follow from the host's number.
fn file(number: u8, with_d: bool) -> String {
    let instance = |name: &str, offset: u8, tracks: &str, lines: &str| {
        let vrid = number * 10 + offset;
        let told = ["master", "backup", "fault", "stop"].map(|state| {
            format!(" notify_{state} \"/run/rec {state} {name} 'a  b' \\\"c d\\\"\"\n")
        });
        format!(
            "vrrp_instance {name} {{\n state BACKUP\n version 3\n interface ens37\n virtual_router_id {vrid}\n \
             priority 100\n advert_int 1\n virtual_ipaddress {{\n 192.168.10.{vrid}\n }}\n track_script {{\n flag\n \
             {tracks}}}\n{}\n notify \"/run/rec any {name}\"\n{lines}}}\n",
            told.concat()
        )
    };
    let deleted = " notify_deleted \"/run/rec deleted D\"\n";
    let instances = [
        instance("A", 1, "wflag\n", " smtp_alert\n"),
        instance("S", 2, "", ""),
        if with_d {
            instance("D", 3, "", deleted)
        } else {
            String::new()
        },
    ];
    format!(
        "global_defs {{\n script_user root\n router_id rtr\n vrrp_notify_fifo /run/fifo\n vrrp_notify_priority_changes \
         on\n notification_email {{\n a@example.com\n b@example.org\n }}\n notification_email_from \
         keepalived@here.example\n smtp_server 127.0.0.1 2525\n smtp_connect_timeout 5\n}}\n\
         vrrp_script flag {{\n script \"/usr/bin/test ! -e /run/fail\"\n interval 1\n}}\n\
         vrrp_script wflag {{\n script \"/usr/bin/test -e /run/weight\"\n interval 1\n weight 20\n}}\n\
         vrrp_sync_group G {{\n group {{\n S\n }}\n notify_master \"/run/rec gmaster\"\n notify_stop \"/run/rec gstop\"\n \
         notify \"/run/rec gany\"\n smtp_alert\n}}\n{}",
        instances.concat()
    )
}

/// What its host's scripts were called with, as often as they were, in any order.
fn called(node: &Node) -> Vec<String> {
    let told = fs::read_to_string(node.path("run/told")).unwrap_or_default();
    let mut lines: Vec<String> = told.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// A mail server on a host's loopback, which takes everything.
#[derive(Clone, Default)]
struct Sink {
    letters: Arc<Mutex<Vec<String>>>,
    /// What `/proc` says of whoever brought the last one.
    courier: Arc<Mutex<Vec<String>>>,
}

impl Sink {
    fn listen(&self, node: &Node) {
        let bind = || Ok(TcpListener::bind("127.0.0.1:2525").unwrap());
        let listener = node.host.run(bind).unwrap();
        let letters = self.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let letters = letters.clone();
                std::thread::spawn(move || letters.take(client));
            }
        });
    }

    /// RFC 5321, as much as a client without errors needs.
    fn take(&self, client: TcpStream) -> Option<()> {
        let mut answers = client.try_clone().ok()?;
        let mut say = |line: &str| answers.write_all(format!("{line}\r\n").as_bytes()).ok();
        say("220 sink")?;
        let (mut letter, mut in_letter) = (String::new(), false);
        for line in BufReader::new(client).lines() {
            let line = line.ok()?;
            match line.split([' ', ':']).next() {
                _ if in_letter && line == "." => {
                    in_letter = false;
                    self.letters
                        .lock()
                        .unwrap()
                        .push(std::mem::take(&mut letter));
                    say("250 taken")?;
                }
                _ if in_letter => {
                    // It says when, and nothing else that differs.
                    if !line.starts_with("Date: ") {
                        letter.push_str(&line);
                        letter.push('\n');
                    }
                }
                Some("DATA") => {
                    in_letter = true;
                    if let Some(rights) = courier() {
                        *self.courier.lock().unwrap() = rights;
                    }
                    say("354 go on")?;
                }
                Some("QUIT") => {
                    say("221 bye")?;
                    return Some(());
                }
                Some("MAIL" | "RCPT") => {
                    letter.push_str(&line.to_uppercase());
                    letter.push('\n');
                    say("250 fine")?;
                }
                _ => say("250 fine")?,
            }
        }
        Some(())
    }

    /// The letters of an instance or group, in their order.
    fn letters_of(&self, of: &str) -> Vec<String> {
        let letters = self.letters.lock().unwrap();
        let about = letters.iter().filter(|letter| letter.contains(of));
        about.cloned().collect()
    }
}

/// Rights of the process that carries a letter.
fn courier() -> Option<Vec<String>> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut couriers = processes.filter(|process| {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        line.ends_with(b"\0courier\0")
    });
    let status = fs::read_to_string(couriers.next()?.path().join("status")).ok()?;
    let told = ["Uid:", "CapEff:", "CapBnd:", "NoNewPrivs:"];
    let lines = status.lines();
    let lines = lines.filter(|line| told.iter().any(|word| line.starts_with(word)));
    Some(lines.map(str::to_owned).collect())
}

/// The lines of a fifo, for each instance and group.
fn lines(fifo: &mut File) -> BTreeMap<String, Vec<String>> {
    let mut text = Vec::new();
    // It is read without waiting: the end of what is there is an error.
    let _ = fifo.read_to_end(&mut text);
    let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in String::from_utf8(text).unwrap().lines() {
        let mut words = line.splitn(3, ' ');
        let subject = format!("{} {}", words.next().unwrap(), words.next().unwrap());
        let told = words.next().unwrap().to_owned();
        lines.entry(subject).or_default().push(told);
    }
    lines
}

fn both_called(pair: &Pair, how_often: usize, when: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (ours, theirs) = (called(&pair.ours), called(&pair.theirs));
        if (ours.len(), theirs.len()) == (how_often, how_often) {
            return assert_eq!(ours, theirs, "{when}");
        }
        let told = (ours.len(), theirs.len());
        assert!(
            Instant::now() < deadline,
            "{when}: {told:?} instead of {how_often}:\n{ours:#?}\n{theirs:#?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn on_both(pair: &Pair, name: &str, is_there: bool) {
    for node in [&pair.theirs, &pair.ours] {
        node.flag(name, is_there);
    }
}

#[test]
fn scripts_fifo_and_mail_say_what_keepalived_s_say() {
    let name = "alerts::scripts_fifo_and_mail_say_what_keepalived_s_say";
    let text = |number: u8, _| file(number, true);
    // keepalived's scripts want to change their user.
    with_files_and(Needs::Users, name, &[], (100, 100), text, |mut pair| {
        for node in [&pair.theirs, &pair.ours] {
            node.script(
                "run/rec",
                "printf '%s\\n' \"$(printf '<%s>' \"$@\")\" >> /run/told",
            );
        }
        let (ours, theirs) = (Sink::default(), Sink::default());
        theirs.listen(&pair.theirs);
        pair.start_theirs();
        pair.start_ours();
        // Each: two for each of three instances, twice; the group's one `notify` twice and one of its own.
        both_called(&pair, 15, "start");
        let mut fifos = [&pair.theirs, &pair.ours].map(|node| {
            let nonblock = OFlags::NONBLOCK.bits().cast_signed();
            let mut options = OpenOptions::new();
            let options = options.read(true).custom_flags(nonblock);
            options.open(node.path("run/fifo")).unwrap()
        });
        // Nobody takes our letters yet.
        wait_for("letters that wait", PATIENCE, || {
            let mail = pair.ours.ask("/mail")?;
            let waits = mail["queued"] == 4 && mail["retries"].as_u64() > Some(0);
            (waits && mail["last_error"].as_str()?.contains("refused")).then_some(())
        });
        ours.listen(&pair.ours);

        on_both(&pair, "run/weight", true);
        let priority = |node: &Node| node.ask("/instances/0/effective_priority");
        wait_for("the weight counts", PATIENCE, || {
            let theirs = pair
                .theirs
                .log()
                .contains("effective priority from 100 to 120");
            (theirs && priority(&pair.ours)? == 120).then_some(())
        });
        on_both(&pair, "run/fail", true);
        both_called(&pair, 22, "fault");
        on_both(&pair, "run/fail", false);
        both_called(&pair, 37, "recovery");

        let [theirs_told, ours_told] = fifos.each_mut().map(lines);
        assert_eq!(ours_told, theirs_told);
        let priority = "MASTER_PRIORITY 120".to_owned();
        assert!(
            ours_told["INSTANCE \"A\""].contains(&priority),
            "{ours_told:?}"
        );

        // Before the reload, at which keepalived forgets what is under way.
        for (of, count) in [("Instance A ", 5), ("Group G ", 5)] {
            let enough = |sink: &Sink| (sink.letters_of(of).len() == count).then_some(());
            wait_for("keepalived's letters", PATIENCE, || enough(&theirs));
            wait_for("our letters", PATIENCE, || enough(&ours));
            assert_eq!(ours.letters_of(of), theirs.letters_of(of));
        }
        // The server has the last one before we are told so.
        wait_for("no letter waits", PATIENCE, || {
            let mail = pair.ours.ask("/mail")?;
            (mail["queued"] == 0 && mail["sent"] == 10).then_some(())
        });
        // D goes. keepalived makes its fifo anew at a reload; ours goes on.
        let their_file = pair.our_file().with_file_name("12.conf");
        fs::write(pair.our_file(), file(11, false)).unwrap();
        fs::write(their_file, file(12, false)).unwrap();
        pair.ours.hang_up();
        pair.theirs.hang_up();
        both_called(&pair, 39, "a reload takes an instance away");

        assert_eq!(
            *ours.courier.lock().unwrap(),
            [
                "Uid:\t65534\t65534\t65534\t65534",
                "CapEff:\t0000000000000000",
                "CapBnd:\t0000000000000000",
                "NoNewPrivs:\t1",
            ]
        );
        // A script that has written its line has not ended yet.
        let last = wait_for("the end of the group's script", PATIENCE, || {
            let told = pair.ours.ask("/notify")?;
            let mut all = told.as_array()?.iter();
            let group = all.find(|one| one["kind"] == "group")?;
            (group["last"]["exit"] == 0).then(|| group["last"].clone())
        });
        assert_eq!(last["command"], "/run/rec gany GROUP G MASTER 0", "{last}");
        assert_eq!(last["passed"], true, "{last}");

        for node in [&mut pair.theirs, &mut pair.ours] {
            assert_eq!(node.terminate(), Some(0));
        }
        both_called(&pair, 45, "stop");
        let last = lines(&mut fifos[1]);
        assert_eq!(last["INSTANCE \"D\""], ["DELETED 100"]);
        assert_eq!(last["INSTANCE \"A\""], ["STOP 120"]);
        assert_eq!(last["GROUP \"G\""], ["STOP 0"]);
    });
}

/// One instance, alone on its interface, with scripts for everything.
fn alone(vrid: u8) -> String {
    let told = ["master", "backup", "fault", "stop"]
        .map(|state| format!(" notify_{state} \"/run/rec {state}\"\n"));
    format!(
        "global_defs {{\n script_user root\n}}\nvrrp_instance E {{\n version 3\n interface ens37\n virtual_router_id \
         {vrid}\n priority 100\n advert_int 1\n virtual_ipaddress {{\n 192.168.10.{vrid}\n }}\n{} notify \"/run/rec \
         any\"\n}}\n",
        told.concat()
    )
}

#[test]
fn another_vrid_ends_an_instance_and_begins_it_as_with_keepalived() {
    let name = "alerts::another_vrid_ends_an_instance_and_begins_it_as_with_keepalived";
    let text = |number: u8, _| alone(number * 10 + 1);
    with_files_and(Needs::Users, name, &[], (100, 100), text, |mut pair| {
        for node in [&pair.theirs, &pair.ours] {
            node.script(
                "run/rec",
                "printf '%s\\n' \"$(printf '<%s>' \"$@\")\" >> /run/told",
            );
        }
        pair.start_theirs();
        pair.start_ours();
        both_called(&pair, 4, "start");
        let their_file = pair.our_file().with_file_name("12.conf");
        fs::write(pair.our_file(), alone(112)).unwrap();
        fs::write(their_file, alone(122)).unwrap();
        pair.ours.hang_up();
        pair.theirs.hang_up();
        // The word of the end, then Backup and master with their scripts: no `notify_stop`, no `notify_fault`.
        both_called(&pair, 9, "a reload gives another VRID");
        let told = called(&pair.ours);
        assert_eq!(told[2], "<any><INSTANCE><E><FAULT><100>", "{told:#?}");
        for node in [&mut pair.theirs, &mut pair.ours] {
            assert_eq!(node.terminate(), Some(0));
        }
        both_called(&pair, 11, "stop");
    });
}
