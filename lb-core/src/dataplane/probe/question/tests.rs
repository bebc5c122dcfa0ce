use super::*;
use proptest::prelude::*;
use simple_dns::rdata::{A, AAAA};

const NAME: &str = "web.example";

fn named(name: &str) -> Name<'_> {
    Name::new_unchecked(name)
}

fn a(name: &'static str, last: u8) -> ResourceRecord<'static> {
    let address = u32::from_be_bytes([10, 0, 0, last]);
    ResourceRecord::new(named(name), CLASS::IN, 5, RData::A(A { address }))
}

fn alias(name: &'static str, target: &'static str) -> ResourceRecord<'static> {
    let rdata = RData::CNAME(CNAME(named(target)));
    ResourceRecord::new(named(name), CLASS::IN, 5, rdata)
}

fn reply(adjust: impl FnOnce(&mut Packet<'_>)) -> Vec<u8> {
    let mut packet = Packet::new_reply(7);
    let question = Question::new(named(NAME), TYPE::A.into(), CLASS::IN.into(), false);
    packet.questions.push(question);
    adjust(&mut packet);
    packet.build_bytes_vec().unwrap()
}

fn read_for(number: u16, name: &str, kind: TYPE, packet: &[u8]) -> Option<Answer> {
    let host = &Name::new(name).unwrap();
    let asked = Asked {
        number,
        host,
        kind,
        prefer_v4: true,
    };
    read(packet, asked)
}

fn read_it(packet: &[u8]) -> Option<Answer> {
    read_for(7, NAME, TYPE::A, packet)
}

fn found(last: &[u8]) -> Option<Answer> {
    let addresses = last.iter().map(|last| [10, 0, 0, *last].into());
    Some(Answer::Addresses(addresses.collect(), 0))
}

#[test]
fn answers_are_told_apart() {
    let good = reply(|packet| packet.answers.push(a(NAME, 1)));
    assert_eq!(read_it(&good), found(&[1]));
    let of = |rcode| read_it(&reply(|packet| *packet.rcode_mut() = rcode));
    assert_eq!(of(RCODE::NoError), Some(Answer::Nothing));
    assert_eq!(of(RCODE::NameError), Some(Answer::NoSuchName));
    assert_eq!(of(RCODE::Refused), Some(Answer::Refused));
    assert_eq!(of(RCODE::ServerFailure), Some(Answer::Other));
    assert_eq!(read_it(b"nonsense"), None);
}

#[test]
fn services_are_hosts_with_ports_and_weights() {
    let at = |host: &'static str, port| {
        let rdata = RData::SRV(SRV {
            priority: 1,
            weight: 512,
            port,
            target: named(host),
        });
        ResourceRecord::new(named(NAME), CLASS::IN, 5, rdata)
    };
    let of = |records: Vec<ResourceRecord<'static>>| {
        let answer = reply(|packet| {
            packet.questions[0].qtype = TYPE::SRV.into();
            packet.answers = records;
            let v6 = RData::AAAA(AAAA { address: 1 });
            let v6 = ResourceRecord::new(named("b.example"), CLASS::IN, 5, v6);
            packet.additional_records = vec![v6, a("b.example", 1), a("c.example", 2)];
        });
        read_for(7, NAME, TYPE::SRV, &answer)
    };
    let record = |host: &str, port, address: Option<[u8; 4]>| Service {
        record: ServiceRecord {
            host: host.into(),
            port,
            weight: 512,
            address: address.map(IpAddr::from),
        },
        // Those of the other family are told of, too.
        along: match address {
            Some(ip) => vec![ip.into(), IpAddr::from(1_u128.to_be_bytes())],
            None => Vec::new(),
        },
    };
    let two = of(vec![at("A.example", 81), a(NAME, 1), at("b.example", 82)]);
    let expected = vec![
        record("a.example", 81, None),
        record("b.example", 82, Some([10, 0, 0, 1])),
    ];
    assert_eq!(two, Some(Answer::Services(expected)));
    // It is decidedly nowhere, which is not the same as not a word of it.
    assert_eq!(of(vec![at("", 0)]), Some(Answer::Services(Vec::new())));
    assert_eq!(of(vec![a(NAME, 1)]), Some(Answer::Nothing));
}

#[test]
fn a_host_is_none_that_could_forge_lines_of_logs_and_state_files() {
    let of = |host: &'static str| {
        let answer = reply(|packet| {
            packet.questions[0].qtype = TYPE::SRV.into();
            let rdata = |host| {
                RData::SRV(SRV {
                    priority: 1,
                    weight: 1,
                    port: 80,
                    target: named(host),
                })
            };
            let at = |host| ResourceRecord::new(named(NAME), CLASS::IN, 5, rdata(host));
            packet.answers = vec![at(host), at("good.example")];
        });
        match read_for(7, NAME, TYPE::SRV, &answer) {
            Some(Answer::Services(records)) => records.len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(of("_a-1.example"), 2);
    for bad in [
        "a\n1 be 1 s1.example",
        "a b.example",
        "\u{1b}[2J",
        "a;b",
        "\u{e9}",
    ] {
        assert_eq!(of(bad), 1, "{bad:?}");
    }
}

#[test]
fn an_address_told_along_is_the_same_whatever_the_order() {
    for order in [[1, 2], [2, 1]] {
        let answer = reply(|packet| {
            packet.questions[0].qtype = TYPE::SRV.into();
            let rdata = RData::SRV(SRV {
                priority: 1,
                weight: 1,
                port: 80,
                target: named("a.example"),
            });
            packet.answers = vec![ResourceRecord::new(named(NAME), CLASS::IN, 5, rdata)];
            packet.additional_records = order.map(|last| a("a.example", last)).to_vec();
        });
        let Some(Answer::Services(records)) = read_for(7, NAME, TYPE::SRV, &answer) else {
            panic!("{order:?}");
        };
        assert_eq!(records[0].record.address, Some([10, 0, 0, 1].into()));
        let both = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        assert_eq!(records[0].along, both);
    }
}

#[test]
fn an_answer_that_was_cut_is_not_taken_for_all_there_is() {
    let cut = |adjust: fn(&mut Packet<'_>)| {
        read_it(&reply(|packet| {
            packet.set_flags(PacketFlag::TRUNCATION);
            adjust(packet);
        }))
    };
    assert_eq!(cut(|_| {}), Some(Answer::Other));
    let some = cut(|packet| packet.answers.extend([a(NAME, 1), a(NAME, 2)]));
    assert_eq!(some, Some(Answer::Other));
}

#[test]
fn a_question_announces_how_long_an_answer_may_be() {
    let host = &Name::new(NAME).unwrap();
    let asked = Asked {
        number: 7,
        host,
        kind: TYPE::A,
        prefer_v4: true,
    };
    for payload in [512, 4096, 65535] {
        let bytes = question(asked, payload).unwrap();
        // The root, type 41, the size, version 0 and no flags, no options.
        let [high, low] = payload.to_be_bytes();
        let end = [0, 0, 41, high, low, 0, 0, 0, 0, 0, 0];
        assert!(bytes.ends_with(&end), "{bytes:?}");
        assert_eq!(bytes[4..12], [0, 1, 0, 0, 0, 0, 0, 1]);
        // An answer may have such a record, too.
        let answer = reply(|packet| {
            packet.answers.push(a(NAME, 1));
            let query = Packet::parse(&bytes).unwrap();
            *packet.opt_mut() = query.opt().map(|opt| opt.clone().into_owned());
        });
        assert_eq!(read_it(&answer), found(&[1]));
    }
}

#[test]
fn what_answers_another_question_is_none() {
    let good = reply(|packet| packet.answers.push(a(NAME, 1)));
    // Name servers may change the case of a name (RFC 4343), and a final dot is no part of it.
    for name in ["WEB.Example", "web.example."] {
        assert_eq!(read_for(7, name, TYPE::A, &good), found(&[1]), "{name}");
    }
    assert_eq!(read_for(8, NAME, TYPE::A, &good), None);
    assert_eq!(read_for(7, NAME, TYPE::AAAA, &good), None);
    for name in ["web.example.net", "example", "ebb.example"] {
        assert_eq!(read_for(7, name, TYPE::A, &good), None, "{name}");
    }
    let of = |adjust: fn(&mut Packet<'_>)| {
        read_it(&reply(|packet| {
            packet.answers.push(a(NAME, 1));
            adjust(packet);
        }))
    };
    assert_eq!(of(|p| p.questions[0].qclass = CLASS::CH.into()), None);
    assert_eq!(of(|p| p.questions.clear()), None);
    assert_eq!(of(|p| p.questions.push(p.questions[0].clone())), None);
    assert_eq!(of(|p| p.remove_flags(PacketFlag::RESPONSE)), None);
}

#[test]
fn records_count_for_the_name_and_what_it_is_an_alias_of() {
    let of =
        |records: Vec<ResourceRecord<'static>>| read_it(&reply(|packet| packet.answers = records));
    let aliases = || {
        vec![
            alias("cdn.example", "a.example"),
            alias(NAME, "cdn.example"),
        ]
    };
    let with = |mut records: Vec<_>, more: ResourceRecord<'static>| {
        records.push(more);
        records
    };
    assert_eq!(of(with(aliases(), a("a.EXAMPLE", 1))), found(&[1]));
    let none = Some(Answer::Nothing);
    assert_eq!(of(with(aliases(), a("other.example", 1))), none);
    assert_eq!(of(with(aliases(), alias("a.example", NAME))), none);
    // A name server that wishes to keep us busy is not followed for long.
    let chain = |length: usize| {
        let name = |at| match at {
            0 => NAME,
            _ => &*format!("a{at}.example").leak(),
        };
        let aliases = (0..length).map(|at| alias(name(at), name(at + 1)));
        of(aliases.chain([a(name(length), 1)]).collect())
    };
    assert_eq!(chain(ALIASES), found(&[1]));
    assert_eq!(chain(ALIASES + 1), none);
    assert_eq!(
        of(vec![a("other.example", 1), a(NAME, 2), a(NAME, 3)]),
        found(&[2, 3])
    );
    let v6 = RData::AAAA(AAAA { address: 1 });
    let v6 = ResourceRecord::new(named(NAME), CLASS::IN, 5, v6);
    assert_eq!(of(vec![v6]), none);
    let mut chaos = a(NAME, 1);
    chaos.class = CLASS::CH;
    assert_eq!(of(vec![chaos]), none);
}

proptest! {
    #[test]
    fn whatever_name_servers_send_is_an_answer_or_none(
        choice in 0_u8..8,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        length in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let of_service = |packet: &mut Packet<'_>| {
            let rdata = RData::SRV(SRV {
                priority: 1,
                weight: 1,
                port: 80,
                target: named("a.example"),
            });
            packet.answers = vec![
                alias(NAME, "b.example"),
                ResourceRecord::new(named("b.example"), CLASS::IN, 5, rdata),
                a("b.example", 1),
            ];
            packet.additional_records = vec![a("a.example", 1), a("a.example", 2)];
        };
        let mut bytes = reply(of_service);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if !whole {
            bytes.truncate(length.index(bytes.len()));
        }
        fuzz(&[&[choice], bytes.as_slice()].concat());
    }
}
