//! Words that differ from run to run are replaced by names.

/// Bytes as printable text; long ones by their ends and a checksum.
pub(crate) fn text(bytes: &[u8]) -> String {
    const SHOWN: usize = 3000;
    if bytes.len() <= SHOWN {
        return bytes.escape_ascii().to_string();
    }
    let sum = bytes.iter().fold(0u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(*byte))
    });
    let (first, last) = (&bytes[..SHOWN / 2], &bytes[bytes.len() - 100..]);
    format!(
        "{}...{} bytes, sum {sum:x}...{}",
        first.escape_ascii(),
        bytes.len(),
        last.escape_ascii()
    )
}

/// Lengths of packets that hold no more, priority and end of line included or not: the digits of the process's number and of its
/// timers say where their text ends.
const CUT: std::ops::RangeInclusive<usize> = 1000..=1100;

/// A syslog packet without its date, process, client port and durations; without its end if it was cut.
pub(crate) fn log_line(packet: &str, names: &[(String, String)]) -> String {
    let (priority, rest) = packet.split_once('>').unwrap_or_default();
    let message = rest.split_once("]: ").map_or(rest, |(_, message)| message);
    let mut message = message.trim_end().to_owned();
    for (address, name) in names {
        message = message.replace(address, name);
    }
    let quoted = message.find('"').unwrap_or(message.len());
    let (plain, quoted) = message.split_at(quoted);
    let words: Vec<String> = plain.split(' ').map(word).collect();
    let quoted: Vec<&str> = quoted
        .split(' ')
        .map(|word| duration(word).unwrap_or(word))
        .collect();
    let line = format!("{priority}>{}{}", words.join(" "), quoted.join(" "));
    match CUT.contains(&packet.len()) {
        true => line.chars().take(800).collect(),
        false => line,
    }
}

/// `5ms` at the end of a clause.
fn duration(word: &str) -> Option<&'static str> {
    let (number, end) = word.split_once("ms")?;
    number.parse::<u32>().ok()?;
    match end {
        "." => Some("TIME."),
        "," => Some("TIME,"),
        _ => None,
    }
}

fn word(word: &str) -> String {
    if let Some(port) = word.strip_prefix("127.0.0.1:")
        && port.parse::<u16>().is_ok()
    {
        return "CLIENT".to_owned();
    }
    if word.starts_with('[') && word.ends_with(']') && word.contains(':') {
        return "[DATE]".to_owned();
    }
    if let Some(time) = duration(word) {
        return time.to_owned();
    }
    let parts: Vec<&str> = word.split('/').collect();
    let numeric = parts
        .iter()
        .all(|part| part.trim_start_matches(['+', '-']).parse::<u64>().is_ok());
    if numeric && (parts.len() == 3 || parts.len() == 5) && !parts.contains(&"") {
        // Timers are 3 or 5 numbers, connection counts 5 of which the last counts retries. Both are kept where
        // they mean "not reached", and counts as they are.
        let counts = parts.len() == 5 && is_counts(&parts);
        let parts: Vec<String> = parts
            .iter()
            .map(|part| match part {
                _ if counts => (*part).to_owned(),
                part if part.starts_with('-') => (*part).to_owned(),
                part if part.starts_with('+') => "+n".to_owned(),
                _ => "n".to_owned(),
            })
            .collect();
        return parts.join("/");
    }
    word.to_owned()
}

/// Connection counts begin with the process's, which is at least that of the frontend, the client's own included.
fn is_counts(parts: &[&str]) -> bool {
    let number = |index: usize| parts[index].parse::<i64>().unwrap_or(-1);
    (1..10).contains(&number(0)) && (0..=number(0)).contains(&number(1)) && number(1) > 0
}
