//! Address patterns: networks sorted by prefix length, so that a list of thousands costs a few binary searches.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use ipnet::IpNet;

use crate::rules::RuleError;

/// A set of IPv4 and IPv6 networks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Networks {
    v4: Box<[(u32, Box<[u32]>)]>,
    v6: Box<[(u32, Box<[u128]>)]>,
}

impl Networks {
    pub(crate) fn parse(patterns: &[(usize, String)]) -> Result<Self, RuleError> {
        let mut v4: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let mut v6: BTreeMap<u32, Vec<u128>> = BTreeMap::new();
        for (word, pattern) in patterns {
            let network = network(pattern).ok_or_else(|| {
                RuleError::new(*word, format!("'{pattern}' is no address or network")).expecting(
                    "an IPv4 or IPv6 address with an optional /mask; names are not resolved here",
                )
            })?;
            match network {
                IpNet::V4(n) => {
                    let mask = mask4(n.prefix_len().into());
                    v4.entry(mask).or_default().push(u32::from(n.addr()) & mask);
                }
                IpNet::V6(n) => {
                    let bits = u32::from(n.prefix_len());
                    let mask = mask6(bits);
                    v6.entry(bits)
                        .or_default()
                        .push(u128::from(n.addr()) & mask);
                }
            }
        }
        Ok(Self {
            v4: v4
                .into_iter()
                .map(|(mask, list)| (mask, sorted(list)))
                .collect(),
            v6: v6
                .into_iter()
                .map(|(bits, list)| (bits, sorted(list)))
                .collect(),
        })
    }

    /// IPv4-mapped addresses are looked up as IPv4.
    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(a) => {
                let number = u32::from(a);
                self.v4
                    .iter()
                    .any(|(mask, list)| list.binary_search(&(number & mask)).is_ok())
            }
            IpAddr::V6(a) => {
                let number = u128::from(a);
                self.v6
                    .iter()
                    .any(|(bits, list)| list.binary_search(&(number & mask6(*bits))).is_ok())
            }
        }
    }
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Box<[T]> {
    list.sort_unstable();
    list.dedup();
    list.into()
}

fn mask4(bits: u32) -> u32 {
    u32::MAX
        .checked_shl(32_u32.saturating_sub(bits))
        .unwrap_or(0)
}

fn mask6(bits: u32) -> u128 {
    u128::MAX
        .checked_shl(128_u32.saturating_sub(bits))
        .unwrap_or(0)
}

/// An address with an optional mask, in bits or dotted.
fn network(pattern: &str) -> Option<IpNet> {
    let Some((address, mask)) = pattern.split_once('/') else {
        let address: IpAddr = pattern.parse().ok()?;
        return Some(IpNet::from(address.to_canonical()));
    };
    let address: IpAddr = address.parse().ok()?;
    let bits = match mask.parse::<u8>() {
        Ok(bits) => bits,
        Err(_) => {
            let mask: Ipv4Addr = mask.parse().ok()?;
            ipnet::ip_mask_to_prefix(mask.into()).ok()?
        }
    };
    IpNet::new(address, bits).ok()
}
