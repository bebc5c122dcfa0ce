//! What a reload reads beside haproxy.cfg: certificates, files of ACLs, error files; and files that are broken.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};

use crate::support::{Daemon, config, connect, free_address, get, origin, request};

/// Whether there is a program to make certificates with; says so if not.
fn openssl() -> bool {
    let found = Command::new("openssl").arg("version").output().is_ok();
    assert!(
        found || std::env::var_os("CI").is_none(),
        "openssl is missing"
    );
    if !found {
        println!("skipped: openssl is not installed");
    }
    found
}

/// A certificate for that name and its key in one file.
fn write_certificate(path: &Path, name: &str) {
    let (key, certificate) = (path.with_extension("key"), path.with_extension("crt"));
    let curve = "ec_paramgen_curve:P-256";
    let done = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", curve, "-nodes"])
        .args(["-days", "30", "-subj", &format!("/CN={name}"), "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    let both = fs::read_to_string(certificate).unwrap() + &fs::read_to_string(key).unwrap();
    fs::write(path, both).unwrap();
}

/// The name in the certificate that a listener shows.
fn shown_by(address: SocketAddr) -> String {
    let client = Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &address.to_string(),
            "-servername",
            "x",
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&client.stdout).into_owned();
    let subject = text.lines().find(|line| line.starts_with("subject="));
    subject.unwrap_or(&text).replace(' ', "")
}

#[test]
fn a_certificate_is_read_again_although_haproxy_cfg_is_the_same_and_a_broken_one_is_refused() {
    if !openssl() {
        return;
    }
    let front = free_address();
    let server = origin("a");
    let mut daemon = Daemon::start(|folder| {
        write_certificate(&Path::new(folder).join("site.pem"), "one");
        let section = format!(
            "listen web\n    bind {front} ssl crt {folder}/site.pem\n    server a {server}\n"
        );
        config(folder, 2, &section)
    });
    assert_eq!(shown_by(front), "subject=CN=one");
    write_certificate(&daemon.path("site.pem"), "two");
    assert_eq!(daemon.reload()["applied"], true, "{}", daemon.log());
    assert_eq!(shown_by(front), "subject=CN=two");

    // Half of it is there: whoever writes it is not done.
    let whole = fs::read(daemon.path("site.pem")).unwrap();
    for broken in [&whole[..whole.len() / 2], b"", b"no certificate\n"] {
        fs::write(daemon.path("site.pem"), broken).unwrap();
        let reload = daemon.reload();
        assert_eq!(reload["applied"], false, "{reload}");
        let told = reload["outcome"].as_str().unwrap();
        let place = format!("{}:", daemon.path("haproxy.cfg").display());
        assert!(told.contains(&place) && told.contains("site.pem"), "{told}");
        assert_eq!(shown_by(front), "subject=CN=two", "what ran runs on");
    }
    fs::write(daemon.path("site.pem"), whole).unwrap();
    assert_eq!(daemon.reload()["applied"], true, "{}", daemon.log());
}

#[test]
fn files_of_acls_and_error_files_are_read_again() {
    let front = free_address();
    let server = origin("a");
    let error = |body: &str| {
        let length = body.len();
        format!("HTTP/1.0 403 No\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let mut daemon = Daemon::start(|folder| {
        fs::write(format!("{folder}/names"), "blocked\n").unwrap();
        fs::write(format!("{folder}/403.http"), error("first")).unwrap();
        let section = format!(
            "listen web\n    bind {front}\n    errorfile 403 {folder}/403.http\n    \
             http-request deny if {{ hdr(host) -f {folder}/names }}\n    server a {server}\n"
        );
        config(folder, 1, &section)
    });
    let ask = |host: &str| {
        let mut stream = connect(front);
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask("blocked").ends_with("first"), "{}", ask("blocked"));
    assert!(ask("other").starts_with("HTTP/1.1 200 "));
    let mut kept = connect(front);
    get(&mut kept);
    fs::write(daemon.path("names"), "other\n").unwrap();
    fs::write(daemon.path("403.http"), error("second")).unwrap();
    assert_eq!(daemon.reload()["applied"], true, "{}", daemon.log());
    assert!(ask("other").ends_with("second"), "{}", ask("other"));
    assert!(ask("blocked").starts_with("HTTP/1.1 200 "));
    get(&mut kept);

    fs::remove_file(daemon.path("names")).unwrap();
    let reload = daemon.reload();
    assert_eq!(reload["applied"], false, "{reload}");
    assert!(reload["outcome"].to_string().contains("names"), "{reload}");
    assert!(ask("other").ends_with("second"), "what ran runs on");
}

#[test]
fn a_file_that_is_gone_or_half_written_changes_nothing_and_status_says_where() {
    let front = free_address();
    let server = origin("a");
    let whole = |folder: &str| {
        let section = format!("listen web\n    bind {front}\n    server a {server} weight 3\n");
        config(folder, 1, &section)
    };
    let mut daemon = Daemon::start(whole);
    daemon.ask("set weight web/a 50%");
    let path = daemon.path("haproxy.cfg");
    let text = fs::read_to_string(&path).unwrap();
    let place = |line: usize| format!("{}:{line}:", path.display());
    let last = text.lines().count();
    let cut = text.strip_suffix(" weight 3\n").unwrap();
    for (broken, told) in [
        // An editor that truncates before it writes; the word that was being written.
        (
            Some(String::new()),
            "nothing is left in this file".to_owned(),
        ),
        (Some(cut.split_at(cut.len() - 8).0.to_owned()), place(last)),
        (Some(format!("{cut} weigh")), place(last)),
        (None, path.display().to_string()),
    ] {
        match &broken {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let reload = daemon.reload();
        assert_eq!(reload["applied"], false, "{broken:?}: {reload}");
        let outcome = reload["outcome"].as_str().unwrap();
        assert!(outcome.contains(&told), "{broken:?}: {outcome}");
        let shown = daemon.shown();
        let words: Vec<&str> = shown.split_whitespace().collect();
        let shown = words.join(" ");
        assert!(
            shown.contains("NOT APPLIED: refused: ") && shown.contains(&told),
            "{shown}"
        );
        assert!(request(front).unwrap().ends_with('a'));
        assert_eq!(
            daemon.stat("web", "a", "weight"),
            "1",
            "as the operator set it"
        );
    }
    fs::write(&path, &text).unwrap();
    assert_eq!(daemon.reload()["outcome"], "nothing had changed");
    assert_eq!(
        daemon.stat("web", "a", "weight"),
        "1",
        "as the operator set it"
    );
    fs::write(&path, text.replace("weight 3", "weight 9")).unwrap();
    assert_eq!(daemon.reload()["applied"], true);
    assert_eq!(
        daemon.stat("web", "a", "weight"),
        "9",
        "the file changed it"
    );
}

#[test]
fn a_pipe_in_place_of_a_file_is_refused_at_once() {
    let front = free_address();
    let server = origin("a");
    let mut daemon = Daemon::start(|folder| {
        let section = format!("listen web\n    bind {front}\n    server a {server}\n");
        config(folder, 1, &section)
    });
    let path = daemon.path("haproxy.cfg");
    fs::remove_file(&path).unwrap();
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let reload = daemon.reload();
    let outcome = reload["outcome"].as_str().unwrap();
    assert!(outcome.contains("not a regular file"), "{outcome}");
    assert!(request(front).unwrap().ends_with('a'));
}
