//! What servers that are checked say, and the lines of the backends that check them.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

/// What a server does on a connection; then it closes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Says {
    /// Receives something.
    Hear,
    Bytes(&'static [u8]),
    /// Waits until the other side ends.
    Wait,
}

use Says::{Bytes, Hear, Wait};

const GREETING: &[u8] = b"\x2c\0\0\0\x0a8.0.36\0\x08\0\0\0abcdefgh\0\xff\xf7\xff\x02\0\xff\xc7\x15\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const MYSQL_OK: &[u8] = b"\x07\0\0\x02\0\0\0\x02\0\0\0";
const MYSQL_DENIED: &[u8] = b"\x20\0\0\x02\xff\x15\x04#28000Access denied for user a";
const MYSQL_FULL: &[u8] = b"\x17\0\0\0\xff\x10\x04Too many connections";
const SPOP_OK: &[u8] = b"\0\0\0\x36\x65\0\0\0\x01\0\0\x07version\x08\x032.0\x0emax-frame-size\x03\xfc\xf0\x06\x0ccapabilities\x08\0";
const SPOP_PIECE: &[u8] = b"\0\0\0\x07\x65\0\0\0\0\0\0";
const SPOP_OLD: &[u8] = b"\0\0\0\x14\x65\0\0\0\x01\0\0\x07version\x08\x031.0";
const SPOP_BYE: &[u8] =
    b"\0\0\0\x24\x66\0\0\0\x01\0\0\x0bstatus-code\x03\x02\x07message\x08\x05later";
const LDAP_OK: &[u8] = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0";
const LDAP_LONG: &[u8] = b"\x30\x84\0\0\0\x10\x02\x01\x01\x61\x84\0\0\0\x07\x0a\x01\0\x04\0\x04\0";
const LDAP_DENIED: &[u8] = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\0\x04\0";
const PG_OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const PG_MD5: &[u8] = b"R\0\0\0\x0c\0\0\0\x05abcd";
const PG_ERROR: &[u8] = b"E\0\0\0\x2cSFATAL\0C28000\0Mno pg_hba.conf entry\0\0";
const POP: &[Says] = &[Bytes(b"+OK hi\r\n"), Wait];
const BAD_POP: &[Says] = &[Bytes(b"-ERR hi\r\n"), Wait];
const BAD_POP_ENDS: &[Says] = &[Bytes(b"-ERR hi\r\n")];
/// Lines of a backend, and its server.
pub(super) const CASES: &[(&str, &[Says])] = &[
    ("option tcp-check", &[Wait]),
    (
        "tcp-check connect\n tcp-check expect string +OK",
        BAD_POP_ENDS,
    ),
    ("option tcp-check\n tcp-check connect", &[Wait]),
    (
        "option tcp-check\n tcp-check connect\n tcp-check expect string +OK\n tcp-check connect linger",
        POP,
    ),
    (
        "option tcp-check\n tcp-check connect port 1 comment nobody",
        &[Wait],
    ),
    (
        "option tcp-check\n tcp-check connect\n tcp-check connect port 1 comment second",
        &[Wait],
    ),
    ("option tcp-check\n tcp-check expect string +OK", POP),
    ("option tcp-check\n tcp-check expect string +OK", BAD_POP),
    (
        "option tcp-check\n tcp-check expect string +OK",
        BAD_POP_ENDS,
    ),
    ("option tcp-check\n tcp-check expect string +OK", &[]),
    ("option tcp-check\n tcp-check expect string +OK", &[Wait]),
    ("option tcp-check\n tcp-check expect ! string ERR", POP),
    ("option tcp-check\n tcp-check expect ! string ERR", BAD_POP),
    ("option tcp-check\n tcp-check expect rstring ^.OK", POP),
    ("option tcp-check\n tcp-check expect rstring ^.OK", BAD_POP),
    (
        "option tcp-check\n tcp-check expect rstring ^.OK",
        BAD_POP_ENDS,
    ),
    ("option tcp-check\n tcp-check expect ! rstring ^.OK", POP),
    ("option tcp-check\n tcp-check expect binary 2b4f4B", POP),
    ("option tcp-check\n tcp-check expect binary 2b4f4b", BAD_POP),
    (
        "option tcp-check\n tcp-check expect binary 2b4f4b",
        BAD_POP_ENDS,
    ),
    ("option tcp-check\n tcp-check expect rbinary ^2B4F", POP),
    ("option tcp-check\n tcp-check expect rbinary ^2B4F", BAD_POP),
    (
        "option tcp-check\n tcp-check expect rbinary ^2B4F",
        BAD_POP_ENDS,
    ),
    (
        "option tcp-check\n tcp-check expect min-recv 20 rstring ^.OK",
        BAD_POP,
    ),
    (
        "option tcp-check\n tcp-check expect min-recv 0 rstring ^.OK",
        BAD_POP,
    ),
    (
        "option tcp-check\n tcp-check expect comment own string +OK",
        BAD_POP_ENDS,
    ),
    (
        "option tcp-check\n tcp-check expect comment own string +OK",
        BAD_POP,
    ),
    (
        "option tcp-check\n tcp-check expect comment own string +OK",
        &[],
    ),
    (
        "option tcp-check\n tcp-check connect\n tcp-check comment hello\n tcp-check expect string +OK",
        BAD_POP,
    ),
    (
        "option tcp-check\n tcp-check expect on-error nope error-status L7STS string +OK",
        BAD_POP_ENDS,
    ),
    (
        "option tcp-check\n tcp-check expect error-status L4CON string +OK",
        BAD_POP_ENDS,
    ),
    (
        "option tcp-check\n tcp-check expect tout-status L6TOUT string +OK",
        &[Wait],
    ),
    (
        "option tcp-check\n tcp-check expect ok-status L4OK on-success fine string +OK",
        POP,
    ),
    (
        "option tcp-check\n tcp-check expect ok-status L7OKC string +OK",
        POP,
    ),
    ("option tcp-check\n tcp-check send hi\\r\\n", &[Hear, Wait]),
    (
        "option tcp-check\n tcp-check connect\n tcp-check send PING\\r\\n\n tcp-check expect string +PONG\n \
         tcp-check send info\\ replication\\r\\n\n tcp-check expect string role:master\n \
         tcp-check send-binary 515549540d0a\n tcp-check expect string +OK",
        &[
            Hear,
            Bytes(b"+PONG\r\n"),
            Hear,
            Bytes(b"role:master\r\n"),
            Hear,
            Bytes(b"+OK\r\n"),
            Wait,
        ],
    ),
    (
        "option tcp-check\n tcp-check connect\n tcp-check send PING\\r\\n\n tcp-check expect string +PONG\n \
         tcp-check send info\\ replication\\r\\n\n tcp-check expect string role:master",
        &[
            Hear,
            Bytes(b"+PONG\r\n"),
            Hear,
            Bytes(b"role:slave\r\n"),
            Wait,
        ],
    ),
    (
        "option tcp-check\n tcp-check set-var(check.wanted) str(+OK)\n tcp-check connect\n \
         tcp-check expect string-lf %[var(check.wanted)]",
        POP,
    ),
    (
        "option tcp-check\n tcp-check set-var(check.wanted) str(+OK)\n tcp-check connect\n \
         tcp-check expect comment mine string-lf %[var(check.wanted)]",
        BAD_POP_ENDS,
    ),
    (
        "option tcp-check\n tcp-check connect\n tcp-check set-var-fmt(sess.hex) 2b4f%[str(4B)]\n \
         tcp-check expect binary-lf %[var(sess.hex)]",
        POP,
    ),
    (
        "option tcp-check\n tcp-check connect\n tcp-check set-var(check.a) int(7)\n \
         tcp-check set-var(check.a,ifgt) int(9)\n tcp-check unset-var(check.a)\n \
         tcp-check expect on-success a=%[var(check.a)],%[be_name],%[srv_name] string +OK",
        POP,
    ),
    (
        "option tcp-check\n tcp-check expect on-error %[res.payload(0,4)]! status-code int(299) error-status L7STS \
         string +OK",
        BAD_POP_ENDS,
    ),
    (
        "option tcp-check\n tcp-check set-var(check.port) int(1)\n tcp-check connect port var(check.port)",
        &[Wait],
    ),
    ("option redis-check", &[Hear, Bytes(b"+PONG\r\n"), Wait]),
    (
        "option redis-check",
        &[Hear, Bytes(b"-NOAUTH Authentication required.\r\n")],
    ),
    (
        "option redis-check",
        &[Hear, Bytes(b"-NOAUTH Authentication required.\r\n"), Wait],
    ),
    ("option redis-check", &[Hear]),
    ("option redis-check", &[Wait]),
    (
        "option smtpchk",
        &[
            Bytes(b"220 m ESMTP\r\n"),
            Hear,
            Bytes(b"250 m\r\n"),
            Hear,
            Bytes(b"221 bye\r\n"),
            Wait,
        ],
    ),
    (
        "option smtpchk EHLO me.example",
        &[
            Bytes(b"220 m\r\n"),
            Hear,
            Bytes(b"250-m\r\n250 HELP\r\n"),
            Hear,
            Bytes(b"221 bye\r\n"),
            Wait,
        ],
    ),
    ("option smtpchk", &[Bytes(b"554 no\r\n"), Wait]),
    (
        "option smtpchk",
        &[Bytes(b"220 m\r\n"), Hear, Bytes(b"500 what\r\n"), Wait],
    ),
    (
        "option smtpchk",
        &[
            Bytes(b"220 m\r\n"),
            Hear,
            Bytes(b"250 m\r\n"),
            Hear,
            Bytes(b"500 no\r\n"),
            Wait,
        ],
    ),
    ("option smtpchk", &[Bytes(b"220 m\r\n"), Hear]),
    ("option smtpchk", &[Bytes(b"SSH-2.0-x\r\n"), Wait]),
    ("option smtpchk", &[]),
    ("option smtpchk", &[Wait]),
    ("option mysql-check", &[Bytes(GREETING), Wait]),
    ("option mysql-check", &[Bytes(MYSQL_FULL), Wait]),
    (
        "option mysql-check",
        &[Bytes(b"HTTP/1.0 200 OK\r\n\r\n"), Wait],
    ),
    ("option mysql-check", &[]),
    (
        "option mysql-check user ha",
        &[Bytes(GREETING), Hear, Bytes(MYSQL_OK), Wait],
    ),
    (
        "option mysql-check user ha pre-41",
        &[Bytes(GREETING), Hear, Bytes(MYSQL_OK), Wait],
    ),
    (
        "option mysql-check user ha post-41",
        &[Bytes(GREETING), Hear, Bytes(MYSQL_DENIED), Wait],
    ),
    (
        "option mysql-check user ha",
        &[Hear, Bytes(MYSQL_FULL), Wait],
    ),
    ("option mysql-check user ha", &[Bytes(GREETING), Hear]),
    ("option mysql-check user ha", &[Wait]),
    ("option pgsql-check user ha", &[Hear, Bytes(PG_OK), Wait]),
    ("option pgsql-check user ha", &[Hear, Bytes(PG_MD5), Wait]),
    ("option pgsql-check user ha", &[Hear, Bytes(PG_ERROR), Wait]),
    (
        "option pgsql-check user ha",
        &[Hear, Bytes(b"HTTP/1.0 400"), Wait],
    ),
    ("option pgsql-check user ha", &[Hear, Bytes(b"R\0\0\0\x08")]),
    ("option pgsql-check user ha", &[Hear]),
    ("option pgsql-check user ha", &[Wait]),
    ("option ldap-check", &[Hear, Bytes(LDAP_OK), Wait]),
    ("option ldap-check", &[Hear, Bytes(LDAP_LONG), Wait]),
    ("option ldap-check", &[Hear, Bytes(LDAP_DENIED), Wait]),
    (
        "option ldap-check",
        &[Hear, Bytes(b"HTTP/1.0 400 x\r\n\r\n"), Wait],
    ),
    ("option ldap-check", &[Hear, Bytes(b"\x30\x0c\x02\x01\x01")]),
    ("option ldap-check", &[Hear]),
    ("option ldap-check", &[Wait]),
    (
        "option smtpchk EHLO there",
        &[
            Bytes(b"220 m\r\n"),
            Hear,
            Bytes(b"250-m\r\n250-SIZE\r\n250 HELP\r\n"),
            Hear,
            Bytes(b"221 bye\r\n"),
            Wait,
        ],
    ),
    (
        "option smtpchk EHLO there",
        &[Bytes(b"220 m\r\n"), Hear, Bytes(b"550 go away\r\n"), Wait],
    ),
    ("option spop-check", &[Hear, Bytes(SPOP_OK), Wait]),
    ("option spop-check", &[Hear, Bytes(SPOP_PIECE), Wait]),
    ("option spop-check", &[Hear, Bytes(SPOP_OLD), Wait]),
    ("option spop-check", &[Hear, Bytes(b"\0\0\0\x02ab"), Wait]),
    ("option spop-check", &[Hear, Bytes(SPOP_BYE), Wait]),
    ("option spop-check", &[Hear, Wait]),
    (
        "option ssl-hello-chk",
        &[Hear, Bytes(b"\x16\x03\0\0\x2a"), Wait],
    ),
    (
        "option ssl-hello-chk",
        &[Hear, Bytes(b"\x15\x03\0\0\x02\x02\x28"), Wait],
    ),
    ("option ssl-hello-chk", &[Hear, Bytes(b"HTTP/1.0 400")]),
    ("option ssl-hello-chk", &[Wait]),
];
const OK_BODY: &[Says] = &[
    Hear,
    Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-State: a, ready\r\n\r\nall is well"),
];
const CHUNKED: &[Says] = &[
    Hear,
    Bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nall \r\n"),
    Bytes(b"7\r\nis well\r\n0\r\n\r\n"),
    Wait,
];
const TO_THE_END: &[Says] = &[Hear, Bytes(b"HTTP/1.0 200 Fine\r\n\r\nall is well")];
const A_LINE: &[Says] = &[Hear, Bytes(b"HTTP/1.0 200 OK\r\n\r\nup\n")];
const EMPTY: &[Says] = &[Hear, Bytes(b"HTTP/1.1 204 No Content\r\n\r\n"), Wait];
const MISSING: &[Says] = &[
    Hear,
    Bytes(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"),
    Wait,
];
const BUSY: &[Says] = &[
    Hear,
    Bytes(b"HTTP/1.1 503 Too Busy\r\nContent-Length: 0\r\n\r\n"),
    Wait,
];
const HALF: &[Says] = &[
    Hear,
    Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nall is"),
];
const HALF_WAITS: &[Says] = &[
    Hear,
    Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nall is"),
    Wait,
];
/// `http-check` lines of a backend with `option httpchk`, and its server.
pub(super) const HTTP_CASES: &[(&str, &[Says])] = &[
    ("", OK_BODY),
    ("", CHUNKED),
    ("", TO_THE_END),
    ("", EMPTY),
    ("", MISSING),
    ("", BUSY),
    ("", HALF),
    ("", &[Hear, Bytes(b"SSH-2.0-x\r\n")]),
    ("", &[Hear, Bytes(b"HTTP/1.1 200")]),
    ("", &[Hear]),
    ("", &[Hear, Wait]),
    ("http-check expect status 404", MISSING),
    ("http-check expect status 200-299,404", MISSING),
    ("http-check expect ! status 404", MISSING),
    ("http-check expect ! status 404", OK_BODY),
    ("http-check expect rstatus ^2..$", OK_BODY),
    ("http-check expect rstatus ^2..$", BUSY),
    ("http-check expect ! rstatus ^5", BUSY),
    ("http-check expect comment mine status 200", BUSY),
    (
        "http-check comment mine\n http-check expect status 200",
        BUSY,
    ),
    ("http-check expect string well", OK_BODY),
    ("http-check expect string well", CHUNKED),
    ("http-check expect string well", TO_THE_END),
    ("http-check expect string well", EMPTY),
    ("http-check expect string well", MISSING),
    ("http-check expect string well", HALF),
    ("http-check expect string well", HALF_WAITS),
    ("http-check expect ! string well", OK_BODY),
    ("http-check expect ! string well", MISSING),
    ("http-check expect comment mine string well", MISSING),
    ("http-check expect rstring ^all.*well$", CHUNKED),
    ("http-check expect rstring ^well", OK_BODY),
    ("http-check expect rstring ^up$", A_LINE),
    ("http-check expect ! rstring ^all", OK_BODY),
    ("http-check expect min-recv 3 string well", HALF_WAITS),
    ("http-check expect min-recv 3 rstring well", HALF_WAITS),
    ("http-check expect hdr name x-state", OK_BODY),
    ("http-check expect hdr name x-state", MISSING),
    ("http-check expect hdr name x-state value ready", OK_BODY),
    ("http-check expect hdr name x-state value read", OK_BODY),
    ("http-check expect fhdr name x-state value ready", OK_BODY),
    (
        "http-check expect fhdr name X-State value -m end ready",
        OK_BODY,
    ),
    (
        "http-check expect hdr name -m beg x-s value -m sub ead",
        OK_BODY,
    ),
    (
        "http-check expect hdr name -m reg ^x-.*e$ value -m reg ^a$",
        OK_BODY,
    ),
    // Names in either case, values as they are.
    ("http-check expect hdr name -m reg ^X-S[A-Z]+$", OK_BODY),
    (
        "http-check expect hdr name x-state value -m reg ^READY$",
        OK_BODY,
    ),
    ("http-check expect ! hdr name -m sub tat", OK_BODY),
    ("http-check expect on-error nope status 200", BUSY),
    ("http-check expect on-success fine status 200", OK_BODY),
    ("http-check expect ok-status L4OK status 200", OK_BODY),
    ("http-check expect error-status L7RSP status 200", BUSY),
    ("http-check expect error-status L7STS string well", MISSING),
    (
        "http-check expect tout-status L4TOUT status 200",
        &[Hear, Wait],
    ),
    (
        "http-check expect status 200\n http-check expect string well",
        OK_BODY,
    ),
    (
        "http-check expect status 200\n http-check expect string nobody",
        OK_BODY,
    ),
    ("http-check disable-on-404", MISSING),
    ("http-check disable-on-404", BUSY),
    (
        "http-check disable-on-404\n http-check expect string well",
        MISSING,
    ),
    (
        "http-check send meth HEAD uri /x ver HTTP/1.1 hdr Host a",
        BUSY,
    ),
    (
        "http-check connect\n http-check send uri /a\n http-check expect status 200\n \
         http-check connect\n http-check send uri /b\n http-check expect string well",
        OK_BODY,
    ),
    (
        "http-check connect port 1\n http-check send uri /a",
        OK_BODY,
    ),
    ("http-check send-state", OK_BODY),
    (
        "http-check expect status 200\n http-check set-var(check.name) str(X-State)\n \
         http-check expect hdr name-lf -m str %[var(check.name)]",
        OK_BODY,
    ),
    (
        "http-check expect status 200\n http-check set-var(check.state) res.fhdr(x-state)\n \
         http-check expect fhdr name x-state value-lf %[var(check.state)]\n \
         http-check expect hdr name x-state value-lf -m beg %[var(check.state)]",
        OK_BODY,
    ),
    (
        "http-check set-var-fmt(check.all) all\\ is\n http-check expect string-lf %[var(check.all)]\\ well",
        OK_BODY,
    ),
    (
        "http-check expect on-error %[status],%[srv_name] status-code int(599) status 200",
        BUSY,
    ),
    (
        "http-check connect\n http-check set-var(check.a) str(/a)\n http-check send uri-lf %[var(check.a)]\n \
         http-check expect status 200\n http-check connect\n http-check send uri /b",
        BUSY,
    ),
];

pub(super) fn server(script: &'static [Says]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || play(stream, script));
        }
    });
    address
}

fn play(mut stream: TcpStream, script: &[Says]) -> std::io::Result<()> {
    let mut room = [0; 4096];
    for says in script {
        match says {
            Hear => drop(stream.read(&mut room)?),
            Bytes(bytes) => stream.write_all(bytes)?,
            Wait => while stream.read(&mut room)? > 0 {},
        }
    }
    Ok(())
}
