//! The balancer's file language beside Debian's haproxy: small files read with `-c` by both. The same exit code, and
//! the same line for the first error.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");
const HAPROXY: &str = "/usr/sbin/haproxy";

/// A proxy that starts.
const LISTEN: &str = "listen x\n mode tcp\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n bind 127.0.0.1:81\n";

/// Blocks, directives, quoting, variables: text, with [`LISTEN`] behind it.
const WORDS: &[&str] = &[
    "",
    "global\n.if 1\n maxconn 5\n.endif\n",
    "global\n.if 0\n foo\n.elif 1\n maxconn 5\n.elif 1\n foo\n.else\n foo\n.endif\n",
    "global\n.if 0\n .if 1\n foo\n .else\n foo\n .endif\n.else\n maxconn 5\n.endif\n",
    "global\n.if 1\n maxconn 5\n",
    "global\n.endif\n",
    "global\n.else\n",
    "global\n.elif 1\n",
    "global\n.if 1\n.else\n.else\n.endif\n",
    "global\n.if 1\n.else\n.elif 1\n.endif\n",
    "global\n.if foo(1)\n.endif\n",
    "global\n.if 0\n.elif bad(2)\n.endif\n",
    "global\n.if 0\n.if bad(2)\n.endif\n.endif\n",
    "global\n.if 1\n.elif bad(2)\n.endif\n",
    "global\n.if 1\n.else foo\n.endif\n",
    "global\n.if 1\n.endif foo\n",
    "global\n.if\n foo\n.endif\n",
    "global\n.if 1 1\n.endif\n",
    "global\n.if streq(a)\n.endif\n",
    "global\n.if 0\n \"open\n.endif\n",
    "global\n.if defined(SET) && !defined(NOPE)\n maxconn 5\n.else\n foo\n.endif\n",
    "global\n.if streq(\"$SET\",value)\n maxconn 5\n.else\n foo\n.endif\n",
    "global\n.if 'streq(\"$SET\",value)'\n maxconn 5\n.else\n foo\n.endif\n",
    "global\n.if version_atleast(2.4) && openssl_version_atleast(1.1.0)\n maxconn 5\n.else\n foo\n.endif\n",
    "global\n.if feature(OPENSSL) || feature(NOPE)\n maxconn 5\n.else\n foo\n.endif\n",
    "global\n.notice \"hello $SET\"\n.diag \"d\"\n",
    "global\n.warning \"careful\"\n",
    "global\n.warning not quoted\n",
    "global\n.alert \"stop\"\n foo\n",
    "global\n.foo\n",
    "global\n setenv A maxconn\n \"$A\" 5\n",
    "global\n setenv A\n",
    "global\n presetenv SET maxconn\n \"$SET\" 5\n",
    "global\n unsetenv SET\n \"${SET-maxconn}\" 5\n",
    "global\n resetenv HOME\n \"${SET-maxconn}\" 5\n",
    "global\n maxconn \"${NOPE-5}\"\n",
    "global\n maxconn \"${NOPE:-5}\"\n",
    "global\n \"${WORDS[*]}\"\n",
    "global\n maxconn \"${SET\"\n",
    "global\n maxconn \"$\"\n",
    "global\n maxconn \"$9\"\n",
    "global\n maxconn \"5\n",
    "global\n maxconn '5\n",
    "global\n maxconn \\x3\n",
    "global\n log-tag a\\ b # more\n description 'a # b' c\\#d\n",
    "   global\n\tmaxconn\t5\n",
    "\r\nglobal\r\n maxconn 5\r\n",
    "foo\n",
    " bind :80\nglobal\n",
];

/// Sections, names and what they inherit.
const SECTIONS: &[&str] = &[
    "global\n maxconn 5\nglobal\n nbthread 1\n",
    "global foo\n",
    "defaults\n mode http\ndefaults\n mode tcp\n",
    "defaults a\n mode http\ndefaults a\n mode tcp\n",
    "defaults a\n mode http\ndefaults b from a\n mode tcp\n timeout client 2s\nfrontend f from b\n bind 127.0.0.1:82\n",
    "defaults a\ndefaults a\nlisten y from a\n bind 127.0.0.1:82\n",
    "listen y from nowhere\n bind 127.0.0.1:82\n",
    "defaults b from nowhere\n",
    "frontend\n bind 127.0.0.1:82\n",
    "frontend a/b\n bind 127.0.0.1:82\n",
    "frontend y\n timeout client 1s\n bind 127.0.0.1:82\nfrontend y\n bind 127.0.0.1:83\n",
    "backend y\nbackend y\n",
    "frontend y\n timeout client 1s\n bind 127.0.0.1:82\nbackend y\n",
    "frontend x\n timeout client 1s\n bind 127.0.0.1:82\n",
    "defaults\n mode http\n foo\n",
    "backend b\n server s 127.0.0.1:80 foo\n",
    "frontend f\n timeout client 1s\n bind 127.0.0.1:82 foo\n",
    "frontend f\n timeout client 1s\n bind 127.0.0.1\n",
    "frontend f\n timeout client 1s\n bind 127.0.0.1:${NOPE}\n",
    "frontend f\n timeout client 1s\n bind 127.0.0.1:${PORT}\n",
    "frontend f\n timeout client 1s\n bind 127.0.0.1:\"$PORT\",127.0.0.1:83-85\n",
    "frontend f\n timeout client 1s\n bind 127.0.0.1:82\n default_backend nowhere\n",
    "frontend f\n mode http\n timeout client 1s\n bind 127.0.0.1:82\n use_backend nowhere if TRUE\n",
];

/// Lines of HTTP proxies that are right in one place and wrong in another: text in front of [`LISTEN`], behind [`HTTP`].
const PLACES: &[&str] = &[
    "backend b\n http-response redirect location /x code 301\n",
    "backend b\n http-response redirect prefix /x\n",
    "frontend f\n bind 127.0.0.1:82\n http-response redirect scheme https\n",
    "frontend f\n bind 127.0.0.1:82\n http-request capture path id 0\n declare capture request len 8\n",
    "frontend f\n bind 127.0.0.1:82\n capture response header x len 8\n http-response capture res.hdr(x) id 0\n",
    "frontend f\n bind 127.0.0.1:82\n http-request capture path len 8\n http-request capture method id 0\n",
    "frontend f\n bind 127.0.0.1:82\n declare capture request len 8\n http-request capture path id 1\n",
    "frontend f\n bind 127.0.0.1:82\n http-response capture res.hdr(x) id 0\n",
    "frontend f\n bind 127.0.0.1:82\n http-after-response capture res.hdr(x) id 0\n",
    "frontend f\n bind 127.0.0.1:82\n http-response capture res.hdr(x) len 10\n",
    "frontend f\n bind 127.0.0.1:82\n declare capture request len 8\n tcp-request content capture src id 0\n",
    "listen l\n bind 127.0.0.1:82\n http-request capture path id 0\n",
    "backend b\n http-request capture path id 7\n http-response capture res.hdr(x) id 7\n",
    "backend b\n http-request capture path len 7\n",
    "backend b\n tcp-request content capture src len 7\n",
    "backend b\n tcp-request content capture src id 7\n",
    "global\n node lb-1.example_2\n",
    "global\n node \"x y\"\n",
    "global\n node \"\"\n",
    "global\n node x/y\n",
    "backend b\n option httpchk\n http-check connect ssl\n server s 127.0.0.1:80\n",
    "backend b\n option httpchk\n http-check connect default ssl\n server s 127.0.0.1:80 check\n",
    "backend b\n option tcp-check\n tcp-check connect\n tcp-check connect ssl\n server s 127.0.0.1:80\n server t 127.0.0.1:81 verify none\n",
    "backend b\n option tcp-check\n tcp-check connect ssl\n server s 127.0.0.1:80 verify none\n",
    "backend b\n option tcp-check\n tcp-check connect ssl\n disabled\n server s 127.0.0.1:80\n",
    "backend b\n option tcp-check\n tcp-check connect ssl\n server-template t 2 127.0.0.1:80\n",
    "backend b\n option tcp-check\n tcp-check connect ssl\n dispatch 127.0.0.1:80\n",
    "global\n ssl-server-verify none\nbackend b\n option httpchk\n http-check connect ssl\n server s 127.0.0.1:80 check\n",
    "frontend f\n bind 127.0.0.1:82\n disabled\n http-request capture path id 5\n",
    "listen l\n bind 127.0.0.1:82\n disabled\n stats auth a:b\n stats http-request allow\n",
    "defaults\n mode http\n timeout server 1s\n stats auth a:b\n stats realm Q\nbackend b\n stats http-request allow\n",
    "backend b\n stats auth a:b\n stats http-request allow\n",
    "global\n tune.sndbuf.client 64k\n tune.rcvbuf.server -1\n tune.rcvbuf.client abc\n tune.sndbuf.server 3000000000\n",
    "global\n tune.sndbuf.client 64\n tune.sndbuf.client 65\n",
];

/// What [`PLACES`] stand in.
const HTTP: &str =
    "defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n";

type Read = (Option<i32>, Option<String>, String);

/// haproxy does not name the line of every mistake, and calls some alarming that are none.
fn differ(theirs: &Read, ours: &Read) -> bool {
    let at_fault = theirs.0 != Some(0) && theirs.1.is_some();
    theirs.0 != ours.0 || (at_fault && theirs.1 != ours.1)
}

/// Both read the file (with arguments behind it); exit code and line of the first error.
fn both(folder: &Path, arguments: &str) -> [Read; 2] {
    let own = folder.join("haproxy");
    let run = |program: &Path| -> Output {
        Command::new(program)
            .args(["-c"])
            .args(arguments.split_whitespace())
            .current_dir(folder)
            .env("SET", "value")
            .env("PORT", "82")
            .env("WORDS", "maxconn 5")
            .output()
            .unwrap()
    };
    [Path::new(HAPROXY), &own].map(|program| {
        let output = run(program);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // Of a server it is said without `parsing`, of a repeated name with a capital.
        let alerts = said.lines().filter(|line| line.starts_with("[ALERT]"));
        let place = alerts
            .filter_map(|line| {
                let (_, behind) = line.split_once(") : ")?.1.split_once('[')?;
                let (place, _) = behind.split_once(']')?;
                place.contains(".cfg:").then(|| place.to_owned())
            })
            .next();
        (output.status.code(), place, said)
    })
}

fn folder() -> Option<tempfile::TempDir> {
    if !Path::new(HAPROXY).exists() {
        assert!(std::env::var_os("CI").is_none(), "{HAPROXY} is missing");
        eprintln!("skipped: {HAPROXY} is missing");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(HA_LB, folder.path().join("haproxy")).unwrap();
    Some(folder)
}

#[test]
fn files_are_accepted_and_refused_at_the_same_line() {
    let Some(folder) = folder() else { return };
    let mut differences = Vec::new();
    let words = WORDS.iter().chain(SECTIONS).map(ToString::to_string);
    let places = PLACES.iter().map(|text| format!("{HTTP}{text}"));
    for text in words.chain(places) {
        fs::write(folder.path().join("t.cfg"), format!("{text}{LISTEN}")).unwrap();
        let [theirs, ours] = both(folder.path(), "-f t.cfg");
        if differ(&theirs, &ours) {
            differences.push(format!("--- {text}\n{theirs:?}\n{ours:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn several_files_folders_and_flags_are_read_the_same_way() {
    let Some(folder) = folder() else { return };
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("parts")).unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    write(
        "defaults.cfg",
        "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n",
    );
    write("f.cfg", "frontend f\n bind 127.0.0.1:82\n");
    write("warns.cfg", "frontend f\n bind 127.0.0.1:82\n");
    write("alert.cfg", "global\n.alert \"no\"\n");
    write("open.cfg", "global\n.if 1\n");
    write("bad.cfg", "backend b\n foo\n");
    write(
        "parts/10.cfg",
        "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n",
    );
    write(
        "parts/20.cfg",
        "frontend f\n bind 127.0.0.1:82\n default_backend b\n",
    );
    write("parts/30.cfg", "backend b\n");
    write("parts/.hidden.cfg", "foo\n");
    write("parts/note.txt", "foo\n");
    let mut differences = Vec::new();
    for arguments in [
        "-f defaults.cfg -f f.cfg",
        "-f defaults.cfg -- f.cfg",
        "-- defaults.cfg f.cfg",
        "-f parts",
        "-f parts -f bad.cfg",
        "-f empty",
        "-f nowhere.cfg",
        "-C parts -f 10.cfg -f 20.cfg -f 30.cfg",
        "-C nowhere -f 10.cfg",
        "-dW -f parts",
        "-dW -f warns.cfg",
        "-f warns.cfg",
        "-q -f bad.cfg",
        "-f alert.cfg -f bad.cfg",
        "-f open.cfg -f f.cfg",
        "-dr -L me -dM -V -d -db -D -f parts",
        "-W -S /tmp/never.sock -f parts",
        "-n 5 -N 5 -m 100 -f parts",
        "-f",
    ] {
        let [theirs, ours] = both(folder.path(), arguments);
        if differ(&theirs, &ours) {
            differences.push(format!("--- {arguments}\n{theirs:?}\n{ours:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
