//! The virtual addresses of an advertisement: bytes of a received packet, or the sender's list.

use core::{
    fmt,
    iter::FusedIterator,
    net::{IpAddr, Ipv4Addr},
    slice,
};

use crate::Family;

/// The addresses that an advertisement carries, borrowed from the packet or from the caller's
/// list.
#[derive(Clone, Copy)]
pub struct Addresses<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    Ipv4(&'a [[u8; 4]]),
    Ipv6(&'a [[u8; 16]]),
    List(&'a [IpAddr]),
}

impl<'a> Addresses<'a> {
    /// No addresses.
    pub const EMPTY: Self = Self(Source::List(&[]));

    /// Wire bytes; what is left over after the last whole address is not looked at.
    pub(crate) fn from_wire(family: Family, bytes: &'a [u8]) -> Self {
        Self(match family {
            Family::Ipv4 => Source::Ipv4(bytes.as_chunks().0),
            Family::Ipv6 => Source::Ipv6(bytes.as_chunks().0),
        })
    }

    /// How many addresses there are.
    pub const fn len(&self) -> usize {
        match self.0 {
            Source::Ipv4(chunks) => chunks.len(),
            Source::Ipv6(chunks) => chunks.len(),
            Source::List(list) => list.len(),
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The addresses in the order of the packet.
    pub fn iter(&self) -> AddressesIter<'a> {
        AddressesIter(match self.0 {
            Source::Ipv4(chunks) => Iter::Ipv4(chunks.iter()),
            Source::Ipv6(chunks) => Iter::Ipv6(chunks.iter()),
            Source::List(list) => Iter::List(list.iter()),
        })
    }

    /// Whether both name the same addresses in any order: routers of one virtual router need not
    /// agree on the order (RFC 9568 §5.2.9).
    pub fn same_set(&self, other: Addresses<'_>) -> bool {
        // Most agree on the order, too, and 255 addresses are many to compare with each other.
        *self == other
            || self.iter().all(|a| other.iter().any(|b| a == b))
                && other.iter().all(|b| self.iter().any(|a| a == b))
    }
}

impl<'a> From<&'a [IpAddr]> for Addresses<'a> {
    fn from(list: &'a [IpAddr]) -> Self {
        Self(Source::List(list))
    }
}

impl<'a> IntoIterator for Addresses<'a> {
    type Item = IpAddr;
    type IntoIter = AddressesIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Equal in content and order, wherever the addresses are kept.
impl PartialEq for Addresses<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self.0, other.0) {
            // Each advert that is received is compared so.
            (Source::List(list), Source::Ipv4(wire)) | (Source::Ipv4(wire), Source::List(list)) => {
                let same = |(one, octets): (&IpAddr, &[u8; 4])| *one == Ipv4Addr::from(*octets);
                list.len() == wire.len() && list.iter().zip(wire).all(same)
            }
            _ => self.iter().eq(other.iter()),
        }
    }
}

impl Eq for Addresses<'_> {}

impl fmt::Debug for Addresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Separated by commas.
impl fmt::Display for Addresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, address) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            address.fmt(f)?;
        }
        Ok(())
    }
}

/// Iterator over [`Addresses`].
#[derive(Debug, Clone)]
pub struct AddressesIter<'a>(Iter<'a>);

#[derive(Debug, Clone)]
enum Iter<'a> {
    Ipv4(slice::Iter<'a, [u8; 4]>),
    Ipv6(slice::Iter<'a, [u8; 16]>),
    List(slice::Iter<'a, IpAddr>),
}

impl Iterator for AddressesIter<'_> {
    type Item = IpAddr;

    fn next(&mut self) -> Option<IpAddr> {
        match &mut self.0 {
            Iter::Ipv4(chunks) => chunks.next().map(|octets| IpAddr::from(*octets)),
            Iter::Ipv6(chunks) => chunks.next().map(|octets| IpAddr::from(*octets)),
            Iter::List(list) => list.next().copied(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Iter::Ipv4(chunks) => chunks.size_hint(),
            Iter::Ipv6(chunks) => chunks.size_hint(),
            Iter::List(list) => list.size_hint(),
        }
    }
}

impl ExactSizeIterator for AddressesIter<'_> {}
impl FusedIterator for AddressesIter<'_> {}

#[cfg(test)]
mod tests {
    use std::{string::ToString, vec::Vec};

    use super::*;

    #[test]
    fn wire_bytes_and_a_list_compare_by_content() {
        let list: [IpAddr; 2] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
        let wire = Addresses::from_wire(Family::Ipv4, &[10, 0, 0, 1, 10, 0, 0, 2]);
        assert_eq!(wire, Addresses::from(&list[..]));
        assert_eq!(wire.iter().len(), 2);
        assert_eq!(wire.into_iter().collect::<Vec<_>>(), list);
        assert_eq!(wire.to_string(), "10.0.0.1,10.0.0.2");
    }

    #[test]
    fn a_set_has_no_order() {
        let a = Addresses::from_wire(Family::Ipv4, &[10, 0, 0, 1, 10, 0, 0, 2]);
        let b = Addresses::from_wire(Family::Ipv4, &[10, 0, 0, 2, 10, 0, 0, 1]);
        let c = Addresses::from_wire(Family::Ipv4, &[10, 0, 0, 2]);
        assert_ne!(a, b);
        assert!(a.same_set(b));
        assert!(!a.same_set(c));
        assert!(!c.same_set(a));
        assert!(Addresses::EMPTY.same_set(Addresses::EMPTY));
    }
}
