//! Chains of certificates: which one a fault is about.

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};

use super::{
    fault::{self, Fault, code},
    revocation::{Revoked, look_up},
    x509::Parsed,
};

/// What was shown, in the order in which each is signed by the next.
pub(super) struct Chain(Vec<Parsed>);

impl Chain {
    pub(super) fn new(leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Self {
        let mut others: Vec<Parsed> = rest.iter().filter_map(|der| Parsed::new(der)).collect();
        let mut chain: Vec<Parsed> = Parsed::new(leaf).into_iter().collect();
        while let Some(last) = chain.last().filter(|last| !last.is_root()) {
            let Some(next) = others.iter().position(|other| last.is_issued_by(other)) else {
                break;
            };
            chain.push(others.swap_remove(next));
        }
        Self(chain)
    }

    /// All of it.
    pub(super) fn certificates(&self) -> &[Parsed] {
        &self.0
    }

    /// Why one of it is taken back, or why that cannot be said; `root` is who vouches for the last of its first
    /// `length`.
    pub(super) fn revoked(
        &self,
        length: usize,
        root: &Parsed,
        lists: &[Revoked],
        algorithms: &[&dyn SignatureVerificationAlgorithm],
        now: u64,
    ) -> Option<Fault> {
        let below = self.0.iter().take(length);
        let above = self.0.iter().take(length).skip(1).chain([root]);
        let mut pairs = (0..).zip(below.zip(above));
        pairs.find_map(|(depth, (certificate, issuer))| {
            let code = look_up(lists, certificate, issuer, algorithms, now)?;
            Some(Fault { code, depth })
        })
    }

    fn at(&self, wanted: impl FnMut(&Parsed) -> bool) -> Option<u32> {
        u32::try_from(self.0.iter().position(wanted)?).ok()
    }

    /// Which certificate an error is about: the library does not say.
    pub(super) fn fault(&self, error: &webpki::Error, now: u64, lists: &[Revoked]) -> Fault {
        let number = fault::number(error);
        let top = u32::try_from(self.0.len().saturating_sub(1)).unwrap_or(0);
        let its_own_issuer = self.0.last().is_some_and(Parsed::is_root);
        let (code, depth) = match number {
            code::EXPIRED => (number, self.at(|c| *c.validity().end() < now)),
            code::NOT_YET_VALID => (number, self.at(|c| *c.validity().start() > now)),
            code::REVOKED => (number, self.at(|c| lists.iter().any(|list| list.names(c)))),
            code::NO_ISSUER if its_own_issuer && top == 0 => (code::SELF_SIGNED, Some(0)),
            code::NO_ISSUER if its_own_issuer => (code::SELF_SIGNED_IN_CHAIN, Some(top)),
            code::PURPOSE if its_own_issuer && top == 0 => (code::SELF_SIGNED, Some(0)),
            code::NO_ISSUER => (number, Some(top)),
            _ => (number, Some(0)),
        };
        // Dates of an authority that were not shown are wrong at the end of what was.
        Fault {
            code,
            depth: depth.unwrap_or(top + 1),
        }
    }

    /// What else is wrong with certificates nobody vouches for, which `first` has said.
    pub(super) fn alone(&self, first: Fault, now: u64, lists: &[Revoked]) -> Vec<Fault> {
        let mut faults = Vec::new();
        let own = Fault::of_itself;
        let listed = |leaf: &Parsed| lists.iter().any(|list| list.is_about(leaf));
        if !lists.is_empty() && !self.0.first().is_some_and(listed) {
            faults.push(own(code::NO_CRL));
        }
        if first == own(code::NO_ISSUER) {
            faults.push(own(code::LEAF_UNVERIFIED));
        }
        for (depth, certificate) in (0..).zip(&self.0) {
            let validity = certificate.validity();
            let code = match now {
                _ if now > *validity.end() => code::EXPIRED,
                _ if now < *validity.start() => code::NOT_YET_VALID,
                _ => continue,
            };
            faults.push(Fault { code, depth });
        }
        faults
    }

    /// A moment at which all of it held, in seconds since 1970.
    pub(super) fn good_time(&self) -> Option<std::time::Duration> {
        let start = self.0.iter().map(|c| *c.validity().start()).max()?;
        let end = self.0.iter().map(|c| *c.validity().end()).min()?;
        (start <= end).then(|| std::time::Duration::from_secs(end))
    }
}
