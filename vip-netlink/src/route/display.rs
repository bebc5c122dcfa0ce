//! Routes and rules as `ip route add` and `ip rule add` take them, for logs and `status`.

use std::fmt;

use super::{Action, Encapsulation, Hop, Kind, MAIN, OURS, Preference, Route, Rule, What};

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind != Kind::Unicast {
            write!(f, "{} ", name(&Kind::ALL, self.kind))?;
        }
        write!(f, "{}", self.destination)?;
        if let Some(source) = self.source {
            write!(f, " from {source}")?;
        }
        if self.tos != 0 {
            write!(f, " tos {:#04x}", self.tos)?;
        }
        if let [hop] = self.hops.as_slice() {
            write!(f, "{hop}")?;
        }
        if self.table != MAIN {
            write!(f, " table {}", self.table)?;
        }
        if self.protocol != OURS {
            write!(f, " proto {}", self.protocol)?;
        }
        if let Some(scope) = self.scope {
            write!(f, " scope {scope}")?;
        }
        if let Some(source) = self.preferred_source {
            write!(f, " src {source}")?;
        }
        if let Some(metric) = self.metric {
            write!(f, " metric {metric}")?;
        }
        for setting in &self.settings {
            let lock = if setting.locked { "lock " } else { "" };
            write!(
                f,
                " {} {lock}{}",
                name(&What::ALL, setting.what),
                setting.value
            )?;
        }
        if let Some((algorithm, locked)) = &self.congestion {
            let lock = if *locked { "lock " } else { "" };
            write!(f, " congctl {lock}{algorithm}")?;
        }
        if let Some(seconds) = self.expires {
            write!(f, " expires {seconds}")?;
        }
        if let Some(preference) = self.preference {
            let preference = match preference {
                Preference::Low => "low",
                Preference::Medium => "medium",
                Preference::High => "high",
            };
            write!(f, " pref {preference}")?;
        }
        if let [_, _, ..] = self.hops.as_slice() {
            for hop in &self.hops {
                write!(f, " nexthop{hop}")?;
                if hop.weight > 1 {
                    write!(f, " weight {}", hop.weight)?;
                }
            }
        }
        Ok(())
    }
}

fn name<T: Copy + PartialEq, N>(all: &[(&'static str, T, N)], wanted: T) -> &'static str {
    let known = all.iter().find(|(_, one, _)| *one == wanted);
    known.map_or("", |(name, _, _)| *name)
}

/// With a blank before it.
impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.encapsulation {
            Some(Encapsulation::Mpls(labels)) => {
                let labels: Vec<_> = labels.iter().map(u32::to_string).collect();
                write!(f, " encap mpls {}", labels.join("/"))?;
            }
            Some(Encapsulation::Ip(_)) => f.write_str(" encap ip")?,
            Some(Encapsulation::Ip6(_)) => f.write_str(" encap ip6")?,
            None => {}
        }
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        if let Some(device) = &self.device {
            write!(f, " dev {device}")?;
        }
        if let Some((source, destination)) = self.realms {
            write!(f, " realms {source}/{destination}")?;
        }
        if self.on_link {
            f.write_str(" onlink")?;
        }
        Ok(())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "priority {}", self.priority)?;
        if self.inverted {
            f.write_str(" not")?;
        }
        match self.from {
            Some(from) => write!(f, " from {from}")?,
            None => f.write_str(" from all")?,
        }
        if let Some(to) = self.to {
            write!(f, " to {to}")?;
        }
        if self.tos != 0 {
            write!(f, " tos {:#04x}", self.tos)?;
        }
        match self.mark {
            Some((mark, Some(mask))) => write!(f, " fwmark {mark:#x}/{mask:#x}")?,
            Some((mark, None)) => write!(f, " fwmark {mark:#x}")?,
            None => {}
        }
        for (word, device) in [("iif", &self.input), ("oif", &self.output)] {
            if let Some(device) = device {
                write!(f, " {word} {device}")?;
            }
        }
        if let Some((first, last)) = self.users {
            write!(f, " uidrange {first}-{last}")?;
        }
        if let Some(number) = self.ip_protocol {
            write!(f, " ipproto {number}")?;
        }
        let ports = [
            ("sport", self.source_ports),
            ("dport", self.destination_ports),
        ];
        for (word, range) in ports {
            if let Some((first, last)) = range {
                write!(f, " {word} {first}-{last}")?;
            }
        }
        if let Some(tunnel) = self.tunnel {
            write!(f, " tunnel-id {tunnel}")?;
        }
        match self.action {
            Action::Table(table) => write!(f, " lookup {table}"),
            Action::MasterDevice => f.write_str(" l3mdev"),
            Action::Goto(target) => write!(f, " goto {target}"),
            Action::Nothing => f.write_str(" nop"),
            Action::Blackhole => f.write_str(" blackhole"),
            Action::Unreachable => f.write_str(" unreachable"),
            Action::Prohibit => f.write_str(" prohibit"),
        }
    }
}

#[cfg(test)]
mod tests {
    use vrrp_proto::Family;

    use super::*;
    use crate::route::{Prefix, Setting};

    #[test]
    fn a_route_reads_as_it_is_written() {
        let prefix = |text: &str, length| Prefix {
            address: text.parse().unwrap(),
            length,
        };
        let hop = |gateway: &str, weight| Hop {
            gateway: Some(gateway.parse().unwrap()),
            device: Some("eth0".into()),
            weight,
            ..Hop::default()
        };
        let mut route = Route::new(prefix("192.0.2.0", 24), vec![hop("10.0.0.1", 0)]);
        route.table = 7;
        route.metric = Some(5);
        route.settings.push(Setting {
            what: What::Mtu,
            value: 1400,
            locked: true,
        });
        assert_eq!(
            route.to_string(),
            "192.0.2.0/24 via 10.0.0.1 dev eth0 table 7 metric 5 mtu lock 1400"
        );
        route.hops.push(hop("10.0.0.2", 3));
        route.settings.clear();
        assert_eq!(
            route.to_string(),
            "192.0.2.0/24 table 7 metric 5 nexthop via 10.0.0.1 dev eth0 nexthop via 10.0.0.2 dev eth0 weight 3"
        );
        let mut dead = Route::new(Prefix::all(Family::Ipv6), Vec::new());
        dead.kind = Kind::Blackhole;
        assert_eq!(dead.to_string(), "blackhole default");
    }

    #[test]
    fn a_rule_reads_as_it_is_written() {
        let mut rule = Rule::new(Family::Ipv4, 100, Action::Table(7));
        rule.from = Some(Prefix {
            address: "192.0.2.0".parse().unwrap(),
            length: 24,
        });
        rule.mark = Some((24, Some(12)));
        rule.destination_ports = Some((80, 90));
        assert_eq!(
            rule.to_string(),
            "priority 100 from 192.0.2.0/24 fwmark 0x18/0xc dport 80-90 lookup 7"
        );
    }
}
