//! HTTP/2 with programs that others wrote: curl, nghttp and h2load as clients; gRPC from client to server.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use crate::support::{Daemon, config, free_address, origin, read_head};

/// Whether these can be run; a reason to skip is printed, and fails in CI.
fn are_here(programs: &[(&str, &[&str])]) -> bool {
    let missing = programs.iter().find(|(program, words)| {
        let output = Command::new(program).args(*words).output();
        !output.is_ok_and(|output| output.status.success())
    });
    if let Some((program, words)) = missing {
        assert!(std::env::var_os("CI").is_none(), "no {program} {words:?}");
        println!("skipped: no {program} {words:?}");
    }
    missing.is_none()
}

/// What a program says that must succeed.
fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {words:?}: {text}{told}");
    text
}

fn certificate(folder: &str) {
    let (key, pem) = (format!("{folder}/key.pem"), format!("{folder}/web.pem"));
    let words =
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=web.test";
    let mut words: Vec<&str> = words.split(' ').collect();
    words.extend(["-keyout", &key, "-out", &pem]);
    said("openssl", &words);
    let both = [fs::read(&pem).unwrap(), fs::read(&key).unwrap()].concat();
    fs::write(pem, both).unwrap();
}

fn curl(words: &[&str]) -> String {
    let patient = [
        "-sk",
        "--max-time",
        "10",
        "--retry",
        "50",
        "--retry-connrefused",
    ];
    let format = ["--retry-max-time", "15", "-w", " %{http_version}"];
    said("curl", &[&patient[..], &format, words].concat())
}

#[test]
fn curl_nghttp_and_h2load_are_served_with_and_without_tls() {
    let version: &[&str] = &["--version"];
    if !are_here(&[
        ("nghttp", version),
        ("h2load", version),
        ("openssl", &["version"]),
    ]) {
        return;
    }
    let (clear, tls, server) = (free_address(), free_address(), origin("o"));
    let mut daemon = Daemon::start(|folder| {
        certificate(folder);
        let sections = format!(
            "frontend web\n bind {tls} ssl crt {folder}/web.pem alpn h2,http/1.1\n bind {clear}\n \
             default_backend origins\nbackend origins\n server s {server}\n"
        );
        config(folder, 1, &sections)
    });
    let (clear, tls) = (format!("http://{clear}/"), format!("https://{tls}/"));
    assert_eq!(curl(&[&tls]), "o 2");
    assert_eq!(curl(&["--http1.1", &tls]), "o 1.1");
    assert_eq!(curl(&["--http2-prior-knowledge", &clear]), "o 2");
    // Without having been told, curl asks for an upgrade of HTTP/1.1, which is not for us to give.
    assert_eq!(curl(&["--http2", &clear]), "o 1.1");
    let verbose = said("nghttp", &["-nv", "--no-dep", "-m", "20", &clear]);
    let answers = verbose.matches(":status: 200").count();
    assert_eq!(answers, 20, "{verbose}");
    for target in [&clear, &tls] {
        let report = said("h2load", &["-n", "500", "-c", "4", "-m", "20", target]);
        assert!(
            report.contains("500 succeeded, 0 failed, 0 errored"),
            "{report}"
        );
    }
    assert_eq!(daemon.terminate(), Some(0));
}

/// A process that says on which port it listens.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(script: &Path) -> Self {
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap();
        Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn grpc_calls_pass_from_client_to_server_with_their_trailers() {
    if !are_here(&[("/usr/bin/python3", &["-c", "import grpc"])]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let server = Server::start(&script("server.py", include_str!("grpc_server.py")));
    let front = free_address();
    let mut daemon = Daemon::start(|folder| {
        let sections = format!(
            "listen grpc\n bind {front} proto h2\n server s {} proto h2\n",
            server.address
        );
        config(folder, 1, &sections)
    });
    let client = script("client.py", include_str!("grpc_client.py"));
    let client = client.display().to_string();
    let told = said("/usr/bin/python3", &[&client, &front.to_string()]);
    assert_eq!(told.trim(), "all calls answered");
    assert_eq!(daemon.terminate(), Some(0));
}

/// Answers `/` with a page of so many scripts, each of which counts itself.
fn page(scripts: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                while let Some(head) = read_head(&mut stream) {
                    let (kind, body) = match head.starts_with("GET /script") {
                        true => (
                            "text/javascript",
                            "window.seen = (window.seen || 0) + 1;".to_owned(),
                        ),
                        false => {
                            let one = |n| format!("<script src=/script/{n}></script>");
                            let all: String = (0..scripts).map(one).collect();
                            let end = "<script>document.body.textContent = 'seen ' + seen</script>";
                            ("text/html", format!("<body>{all}{end}</body>"))
                        }
                    };
                    let length = body.len();
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
                    );
                    if stream.write_all((head + &body).as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[test]
fn a_browser_loads_a_page_with_a_hundred_resources_over_one_connection() {
    if !are_here(&[("chromium", &["--version"]), ("openssl", &["version"])]) {
        return;
    }
    let (tls, server) = (free_address(), page(100));
    let mut daemon = Daemon::start(|folder| {
        certificate(folder);
        let sections = format!(
            "frontend web\n bind {tls} ssl crt {folder}/web.pem alpn h2,http/1.1\n \
             default_backend origins\nbackend origins\n server s {server}\n"
        );
        config(folder, 1, &sections)
    });
    let target = format!("https://{tls}/");
    assert!(curl(&[&target]).ends_with(" 2"));
    let before: u64 = daemon.stat("web", "FRONTEND", "stot").parse().unwrap();
    let profile = daemon.path("browser").display().to_string();
    let words = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
        --disable-background-networking --disable-component-update --ignore-certificate-errors --dump-dom";
    let mut words: Vec<&str> = words.split_ascii_whitespace().collect();
    let profile = format!("--user-data-dir={profile}");
    words.extend([&*profile, &*target]);
    let shown = said("chromium", &words);
    assert!(shown.contains("seen 100"), "{shown}");
    let requests: u64 = daemon.stat("web", "FRONTEND", "req_tot").parse().unwrap();
    assert!(requests >= 102, "{requests}");
    // It may open a second one beforehand, and asks for an icon.
    let opened = daemon
        .stat("web", "FRONTEND", "stot")
        .parse::<u64>()
        .unwrap()
        - before;
    assert!((1..=3).contains(&opened), "{opened}");
    assert_eq!(daemon.terminate(), Some(0));
}
