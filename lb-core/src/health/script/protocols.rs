//! Checks that speak a server's own protocol: Redis, SMTP, MySQL, PostgreSQL, LDAP, SSLv3.

use super::{Act, BadPattern, Connect, Expect, Pattern, Report, Script};
use crate::health::CheckStatus;

/// What an answer is worth.
pub(super) enum Judged {
    Good,
    /// Refused, with the server's code if it gave one.
    Bad {
        code: Option<u16>,
        text: String,
    },
    /// More must come.
    Partial,
}

/// The packet at `offset`: good if it is whole and no error.
pub(super) fn mysql_packet(answer: &[u8], offset: usize) -> Judged {
    let Some(&[a, b, c, _, kind]) = answer.get(offset..).and_then(|rest| rest.first_chunk()) else {
        return Judged::Partial;
    };
    let start = offset + 4;
    let end = start + little_endian(a, b, c);
    let Some(packet) = answer.get(start..end) else {
        return Judged::Partial;
    };
    if kind != 0xff {
        return Judged::Good;
    }
    let code = packet.get(1..3).and_then(|code| code.first_chunk::<2>());
    Judged::Bad {
        code: code.map(|code| u16::from_le_bytes(*code)),
        text: String::from_utf8_lossy(packet.get(3..).unwrap_or_default()).into_owned(),
    }
}

/// The packet behind the greeting.
pub(super) fn mysql_login(answer: &[u8]) -> Judged {
    match answer.first_chunk() {
        Some(&[a, b, c]) => mysql_packet(answer, 4 + little_endian(a, b, c)),
        None => Judged::Partial,
    }
}

fn little_endian(a: u8, b: u8, c: u8) -> usize {
    usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16
}

/// A BindResponse with resultCode success (RFC 4511 §4.2.2).
pub(super) fn ldap_bind(answer: &[u8]) -> Judged {
    const NOT_LDAP: &str = "Not LDAPv3 protocol";
    let bad = |code, text: &str| Judged::Bad {
        code,
        text: text.to_owned(),
    };
    let Some(body) = after_length(answer) else {
        return Judged::Partial;
    };
    // messageID 1, then [APPLICATION 1].
    if body.len() < 4 {
        return Judged::Partial;
    }
    let Some(response) = body.strip_prefix(&[2, 1, 1, 0x61]) else {
        return bad(None, NOT_LDAP);
    };
    let Some(&[10, 1, code]) = length(response).and_then(|rest| rest.first_chunk()) else {
        return match length(response) {
            Some(rest) if rest.len() >= 3 => bad(None, NOT_LDAP),
            _ => Judged::Partial,
        };
    };
    match code {
        0 => Judged::Good,
        code => bad(
            Some(u16::from(code)),
            "See RFC: http://tools.ietf.org/html/rfc4511#section-4.1.9",
        ),
    }
}

/// All lines of a reply (RFC 5321 §4.2.1): good if each begins with 2.
pub(super) fn smtp_reply(answer: &[u8]) -> Judged {
    for line in answer.split_inclusive(|byte| *byte == b'\n') {
        let Some(text) = line.strip_suffix(b"\n") else {
            return Judged::Partial;
        };
        let text = text.trim_ascii_end();
        let said = |from| String::from_utf8_lossy(text.get(from..).unwrap_or_default());
        let code = std::str::from_utf8(text.get(..3).unwrap_or_default());
        let code: Option<u16> = code.ok().and_then(|code| code.parse().ok());
        match (code, text.get(3)) {
            (None, _) => {
                return Judged::Bad {
                    code: None,
                    text: said(0).into_owned(),
                };
            }
            (Some(200..=299), Some(b'-')) => {}
            (Some(200..=299), _) => return Judged::Good,
            (code, _) => {
                return Judged::Bad {
                    code,
                    text: said(4).trim_start_matches(' ').to_owned(),
                };
            }
        }
    }
    Judged::Partial
}

/// What follows a tag and its length.
fn after_length(bytes: &[u8]) -> Option<&[u8]> {
    length(bytes.get(1..)?)
}

/// What follows a length of BER.
fn length(bytes: &[u8]) -> Option<&[u8]> {
    let first = *bytes.first()?;
    let more = usize::from(first & 0x7f);
    let skip = if first & 0x80 == 0 { 1 } else { 1 + more };
    bytes.get(skip..)
}

impl Script {
    /// `option redis-check`.
    pub fn redis() -> Self {
        let mut expect = Expect::new(Pattern::Text(b"+PONG\r\n".to_vec()));
        expect.error = CheckStatus::L7Status;
        expect.on_error = Report::Line(0);
        expect.on_success = Report::Text("Redis server is ok".to_owned());
        Self::of([
            Act::Send(b"*1\r\n$4\r\nPING\r\n".to_vec()),
            Act::Expect(expect),
        ])
    }

    /// `option smtpchk`; `hello` is the whole command.
    pub fn smtp(hello: &str) -> Result<Self, BadPattern> {
        let mut greeting = Expect::new(Pattern::regex("^[0-9]{3}[ \r]")?);
        greeting.min_recv = Some(4);
        greeting.on_error = Report::Line(0);
        let reply = |pattern: &str| {
            Ok::<_, BadPattern>(Expect {
                error: CheckStatus::L7Status,
                on_error: Report::Reply,
                on_success: Report::Reply,
                ..Expect::new(Pattern::regex(pattern)?)
            })
        };
        let mut ready = reply("^2[0-9]{2}[ \r]")?;
        ready.min_recv = Some(4);
        let mut bye = reply("^2[0-9]{2}[- \r]")?;
        bye.min_recv = Some(4);
        Ok(Self::of([
            Act::Connect(in_order()),
            Act::Expect(greeting),
            Act::Expect(ready),
            Act::Send(format!("{hello}\r\n").into_bytes()),
            Act::Expect(Expect {
                error: CheckStatus::L7Status,
                ..Expect::new(Pattern::SmtpReply)
            }),
            Act::Send(b"QUIT\r\n".to_vec()),
            Act::Expect(bye),
        ]))
    }

    /// `option mysql-check`; with a user a login of the given kind.
    pub fn mysql(user: Option<(&str, MysqlLogin)>) -> Self {
        let mut greeting = Expect::new(Pattern::MysqlGreeting);
        greeting.on_success = Report::MysqlVersion;
        let Some((user, kind)) = user else {
            return Self::of([Act::Connect(in_order()), Act::Expect(greeting)]);
        };
        let mut login = match kind {
            // CLIENT_PROTOCOL_41 and CLIENT_SECURE_CONNECTION; 16 MB packets; UTF-8.
            MysqlLogin::Post41 => {
                let mut login = vec![0x00, 0x82, 0, 0, 0x00, 0x80, 0, 1, 0x21];
                login.extend_from_slice(&[0; 23]);
                login
            }
            MysqlLogin::Pre41 => vec![0x00, 0x80, 0, 0, 1],
        };
        login.extend_from_slice(user.as_bytes());
        login.extend_from_slice(&[0, 0]);
        let [a, b, c, ..] = login.len().to_le_bytes();
        let mut bytes = vec![a, b, c, 1];
        bytes.append(&mut login);
        // COM_QUIT.
        bytes.extend_from_slice(&[1, 0, 0, 0, 1]);
        Self::of([
            Act::Connect(in_order()),
            Act::Send(bytes),
            Act::Expect(greeting),
            Act::Expect(Expect {
                on_success: Report::MysqlVersion,
                ..Expect::new(Pattern::MysqlLogin)
            }),
        ])
    }

    /// `option pgsql-check user <user>`.
    pub fn pgsql(user: &str) -> Result<Self, BadPattern> {
        let mut bytes = vec![0, 3, 0, 0];
        bytes.extend_from_slice(b"user\0");
        bytes.extend_from_slice(user.as_bytes());
        bytes.extend_from_slice(&[0, 0]);
        let length = u32::try_from(bytes.len() + 4).unwrap_or(u32::MAX);
        let startup = [&length.to_be_bytes(), bytes.as_slice()].concat();
        let error = Expect {
            negated: true,
            min_recv: Some(5),
            on_error: Report::Line(6),
            ..Expect::new(Pattern::regex("^E")?)
        };
        let authentication =
            Pattern::hex_regex("^52000000[0-9A-F]{2}000000(00|02|03|04|05|06|07|09|0A)")?;
        let asks = Expect {
            min_recv: Some(9),
            error: CheckStatus::L7Status,
            on_error: Report::Text("PostgreSQL unknown error".to_owned()),
            on_success: Report::Text("PostgreSQL server is ok".to_owned()),
            ..Expect::new(authentication)
        };
        Ok(Self::of([
            Act::Connect(in_order()),
            Act::Send(startup),
            Act::Expect(error),
            Act::Expect(asks),
        ]))
    }

    /// `option ldap-check`: an anonymous bind.
    pub fn ldap() -> Result<Self, BadPattern> {
        const BIND: [u8; 14] = [0x30, 0x0c, 2, 1, 1, 0x60, 7, 2, 1, 3, 4, 0, 0x80, 0];
        let sequence = Expect {
            min_recv: Some(14),
            on_error: Report::Text("Not LDAPv3 protocol".to_owned()),
            ..Expect::new(Pattern::hex_regex("^30")?)
        };
        Ok(Self::of([
            Act::Send(BIND.to_vec()),
            Act::Expect(sequence),
            Act::Expect(Expect {
                on_success: Report::Text("Success".to_owned()),
                ..Expect::new(Pattern::LdapBind)
            }),
        ]))
    }

    /// `option ssl-hello-chk`: an SSLv3 hello, to which a handshake or an alert is an answer.
    pub fn ssl_hello() -> Result<Self, BadPattern> {
        let mut hello = vec![0x16, 3, 0, 0, 0x79, 1, 0, 0, 0x75, 3, 0, 0, 0, 0, 0];
        hello.extend_from_slice(b"HAPROXYSSLCHK\nHAPROXYSSLCHK\n");
        hello.extend_from_slice(&[0, 0, 0x4e]);
        for cipher in (1..=0x1b).chain(0x2f..=0x3a) {
            hello.extend_from_slice(&[0, cipher]);
        }
        hello.extend_from_slice(&[1, 0]);
        let answer = Expect {
            min_recv: Some(5),
            ok: CheckStatus::L6Ok,
            error: CheckStatus::L6Response,
            timeout: CheckStatus::L6Timeout,
            on_error: Report::Text(String::new()),
            ..Expect::new(Pattern::hex_regex("^1[56]")?)
        };
        Ok(Self::of([Act::Send(hello), Act::Expect(answer)]))
    }
}

/// Which login a MySQL check sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MysqlLogin {
    /// As from version 4.1 on.
    Post41,
    /// As before.
    Pre41,
}

fn in_order() -> Connect {
    Connect {
        as_server: true,
        linger: true,
        ..Connect::default()
    }
}
