//! Hashes that keys are made of, by converters and by balancing. Manual 4.2 (`hash-type`) and 7.3.1.

/// DJB2: h * 33 + byte from 5381.
pub(crate) fn djb2(bytes: &[u8]) -> u32 {
    bytes.iter().fold(5381, |hash: u32, byte| {
        hash.wrapping_mul(33).wrapping_add(u32::from(*byte))
    })
}

/// SDBM: h * 65599 + byte from 0.
pub(crate) fn sdbm<'b>(bytes: impl IntoIterator<Item = &'b u8>) -> u32 {
    bytes.into_iter().fold(0, |hash: u32, byte| {
        hash.wrapping_mul(65599).wrapping_add(u32::from(*byte))
    })
}

/// WT6: two halves that are turned by amounts which they give themselves.
pub(crate) fn wt6(bytes: &[u8]) -> u32 {
    let start = (0xa53c_965a_u32, 0x5ca6_953a_u32, 6_u32, 18_u32);
    let (first, second, ..) = bytes.iter().fold(start, |(a, b, by_a, by_b), byte| {
        let a = !(a ^ u32::from(*byte));
        let b = !b.wrapping_add(u32::from(*byte));
        let (turned_b, turned_a) = (b.rotate_left(by_a), a.rotate_left(by_b));
        let mixed = ((turned_b >> 16) ^ turned_a) & 0xffff;
        (turned_b, turned_a, mixed & 31, mixed >> 11)
    });
    first ^ second
}

/// CRC-32, polynomial 0x04C11DB7 reflected.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    reflected(0xedb8_8320, bytes)
}

/// CRC-32C, polynomial 0x1EDC6F41 reflected.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    reflected(0x82f6_3b78, bytes)
}

fn reflected(polynomial: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (polynomial & (crc & 1).wrapping_neg())
        })
    })
}

/// Every bit of the input changes about half of the output: Bob Jenkins's integer hash (public domain,
/// burtleburtle.net/bob/hash/integer.html), then a multiplication that spreads the high bits; the figures are
/// those that HAProxy gives.
pub(crate) fn avalanche(hash: u32) -> u32 {
    let hash = hash.wrapping_add(0x7ed5_5d16).wrapping_add(hash << 12);
    let hash = (hash ^ 0xc761_c23c) ^ (hash >> 19);
    let hash = hash.wrapping_add(0x1656_67b1).wrapping_add(hash << 5);
    let hash = hash.wrapping_add(0xd3a2_646c) ^ (hash << 9);
    let hash = hash.wrapping_add(0xfd70_46c5).wrapping_add(hash << 3);
    let hash = (hash ^ 0xb55a_4f09) ^ (hash >> 16);
    hash.wrapping_mul(0xc000_0001)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_haproxy() {
        let hello = b"hello";
        let raw = [sdbm(hello), djb2(hello), crc32(hello)];
        assert_eq!(raw, [684_824_882, 261_238_937, 907_060_870]);
        assert_eq!(
            raw.map(avalanche),
            [2_061_535_398, 1_119_739_105, 3_902_247_103]
        );
    }
}
