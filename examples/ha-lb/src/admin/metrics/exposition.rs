//! The text format, version 0.0.4: families with their HELP and TYPE line, samples with labels.

use std::fmt::{Display, Write as _};

/// What a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Buckets, a sum and a count.
    Histogram,
}

/// A document that grows.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

/// Labels of a sample.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

impl Exposition {
    /// The next family; its head is written with its first sample.
    pub fn family<'a>(&'a mut self, name: &'a str, kind: Kind, help: &'a str) -> Family<'a> {
        Family {
            out: &mut self.text,
            name,
            kind,
            help,
            begun: false,
        }
    }

    /// A family of one sample without labels.
    pub fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// The document.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// A family that is being written.
#[derive(Debug)]
pub struct Family<'a> {
    out: &'a mut String,
    name: &'a str,
    kind: Kind,
    help: &'a str,
    begun: bool,
}

impl Family<'_> {
    /// A sample.
    pub fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        self.line("", labels, value);
    }

    /// A sample of a histogram: `suffix` is `_bucket`, `_sum` or `_count`.
    pub fn part(&mut self, suffix: &str, labels: Labels<'_>, value: impl Display) {
        self.line(suffix, labels, value);
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, value: impl Display) {
        if !std::mem::replace(&mut self.begun, true) {
            let kind = match self.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let (name, help) = (self.name, self.help);
            let _ = write!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        }
        self.out.push_str(self.name);
        self.out.push_str(suffix);
        for (number, (label, value)) in labels.iter().enumerate() {
            self.out.push(if number == 0 { '{' } else { ',' });
            self.out.push_str(label);
            self.out.push_str("=\"");
            escape(self.out, value);
            self.out.push('"');
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
    }
}

fn escape(out: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_one_head_and_values_are_escaped() {
        let mut text = Exposition::default();
        let mut family = text.family("a_total", Kind::Counter, "Things.");
        family.sample(&[("name", "x\"\\\n"), ("b", "")], 1);
        family.sample(&[], 2.5);
        text.family("none", Kind::Gauge, "Never seen.");
        assert_eq!(
            text.into_text(),
            "# HELP a_total Things.\n# TYPE a_total counter\na_total{name=\"x\\\"\\\\\\n\",b=\"\"} 1\na_total 2.5\n"
        );
    }
}
