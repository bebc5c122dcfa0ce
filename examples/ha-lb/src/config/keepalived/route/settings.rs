//! `mtu`, `rtt` and their kind, in the kernel's units.

use vip_netlink::route::{Route, Setting, What};

use crate::config::{
    diagnostic::Diagnostic,
    keepalived::{keyword::Context, lexer::Word, line::Line},
};

/// Times below are raised to it, as keepalived does.
const SHORTEST_MS: u32 = 200;
/// RTAX_FEATURE_ECN.
const ECN: u32 = 1;

impl Context<'_> {
    pub(super) fn setting(
        &mut self,
        route: &mut Route,
        word: &Word,
        line: &mut Line<'_>,
    ) -> Option<()> {
        let lockable = !matches!(
            word.text.as_str(),
            "initcwnd" | "initrwnd" | "features" | "quickack" | "fastopen_no_cookie" | "window"
        );
        let locked = lockable && line.takes("lock");
        if word.text == "congctl" {
            let name = self.value(word, line, "an algorithm")?;
            route.congestion = Some((name.text.clone(), locked));
            return Some(());
        }
        let (_, what, _) = *What::ALL.iter().find(|(name, ..)| *name == word.text)?;
        let value = match what {
            What::Features => {
                let value = self.value(word, line, "ecn")?;
                self.choice(value, "feature", &[("ecn", ECN)])?
            }
            What::QuickAck | What::FastopenNoCookie => self.value_in(word, line, 0..=1)?,
            What::Hoplimit => self.value_in(word, line, 0..=255)?,
            // Eighths and quarters of a millisecond.
            What::Rtt => self.milliseconds(word, line)? * 8,
            What::RttVar => self.milliseconds(word, line)? * 4,
            What::RtoMin => self.milliseconds(word, line)?,
            What::Mtu
            | What::Window
            | What::SsThresh
            | What::Cwnd
            | What::Advmss
            | What::Reordering
            | What::InitCwnd
            | What::InitRwnd => self.value_in(word, line, 0..=u32::MAX)?,
        };
        route.settings.retain(|known| known.what != what);
        route.settings.push(Setting {
            what,
            value,
            locked,
        });
        Some(())
    }

    /// A time with `s` or `ms`; milliseconds without.
    fn milliseconds(&mut self, option: &Word, line: &mut Line<'_>) -> Option<u32> {
        const LONGEST: u32 = u32::MAX / 8;
        let word = self.value(option, line, "a time")?;
        let (digits, unit) = match word.text.strip_suffix("ms") {
            Some(digits) => (digits, 1),
            None => match word.text.strip_suffix('s') {
                Some(digits) => (digits, 1000),
                None => (word.text.as_str(), 1),
            },
        };
        let number = digits.parse::<u32>().ok();
        let time = number.and_then(|number| number.checked_mul(unit));
        let Some(time) = time.filter(|time| *time <= LONGEST) else {
            self.refuse(
                word,
                "time",
                "a whole number of milliseconds, or with `ms` or `s`",
            );
            return None;
        };
        if time < SHORTEST_MS {
            self.diagnostics.push(
                Diagnostic::warning(word.span.clone(), "a time shorter than the kernel's least")
                    .found(&word.text)
                    .action(format!("{SHORTEST_MS} ms are taken, as by keepalived")),
            );
        }
        Some(time.max(SHORTEST_MS))
    }
}
