//! The body of the fuzz target of DNS answers.

use simple_dns::{Packet, TYPE};

use super::{Answer, Asked, read};

/// The first byte chooses what was asked for, the rest is a packet, taken for an answer to the question in it: of what
/// it says nothing is of another family, more than its records, or no plain name; and whoever did not ask learns nothing.
pub(crate) fn fuzz(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else {
        return;
    };
    let Ok(packet) = Packet::parse(bytes) else {
        return;
    };
    let Some(question) = packet.questions.first() else {
        return;
    };
    let kind = match choice & 3 {
        0 => TYPE::A,
        1 => TYPE::AAAA,
        _ => TYPE::SRV,
    };
    let asked = Asked {
        number: packet.id(),
        host: &question.qname,
        kind,
        prefer_v4: choice & 4 != 0,
    };
    match read(bytes, asked) {
        Some(Answer::Addresses(found, _)) => {
            assert!(!found.is_empty() && found.len() <= packet.answers.len());
            assert!(found.iter().all(|ip| ip.is_ipv4() == (kind == TYPE::A)));
        }
        Some(Answer::Services(found)) => {
            assert!(kind == TYPE::SRV && found.len() <= packet.answers.len());
            let hosts = || found.iter().map(|service| &service.record.host);
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            assert!(hosts().all(|host| !host.is_empty() && host.chars().all(plain)));
        }
        _ => {}
    }
    let number = asked.number.wrapping_add(1);
    assert_eq!(read(bytes, Asked { number, ..asked }), None);
}
