//! `show resolvers`.

use std::fmt::Write as _;

use lb_core::{dataplane::Balancer, stats::NameServerCounters};

/// Counters of the name servers of one section or of all.
pub(super) fn show(balancer: &Balancer, wanted: Option<&str>) -> Result<String, String> {
    let sections = &balancer.config.resolvers;
    let is_wanted = |name: &str| wanted.is_none_or(|wanted| wanted == name);
    if wanted.is_some() && !sections.iter().any(|section| is_wanted(&section.name)) {
        return Err("Can't find that resolvers section".to_owned());
    }
    let mut text = String::new();
    for section in sections.iter().filter(|section| is_wanted(&section.name)) {
        let _ = writeln!(text, "Resolvers section {}", section.name);
        for (name, _) in &section.nameservers {
            let key = (section.name.clone(), name.clone());
            if let Some(counters) = balancer.name_servers.get(&key) {
                let _ = writeln!(text, " nameserver {name}:");
                text.push_str(&columns(counters));
            }
        }
    }
    Ok(text)
}

/// A line for each counter. Aliases are followed, and counted as what they lead to.
fn columns(counters: &NameServerCounters) -> String {
    let columns = [
        ("sent", Some(&counters.sent)),
        ("snd_error", Some(&counters.send_errors)),
        ("valid", Some(&counters.valid)),
        ("update", Some(&counters.updates)),
        ("cname", None),
        ("cname_error", None),
        ("any_err", Some(&counters.empty)),
        ("nx", Some(&counters.no_such_name)),
        ("timeout", Some(&counters.timeouts)),
        ("refused", Some(&counters.refused)),
        ("other", Some(&counters.others)),
        ("invalid", Some(&counters.invalid)),
        ("too_big", Some(&counters.too_big)),
        ("truncated", Some(&counters.truncated)),
        ("outdated", Some(&counters.outdated)),
    ];
    columns
        .iter()
        .fold(String::new(), |mut text, (name, counter)| {
            let value = counter.map_or(0, |counter| counter.value());
            let _ = writeln!(text, "  {:<13}{value}", format!("{name}:"));
            text
        })
}
