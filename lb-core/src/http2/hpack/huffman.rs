//! The code of strings (RFC 7541 Appendix B), read four bits at a time by a table that the compiler makes.

use super::Malformed;

/// Bits of the code of each byte. The code is canonical: lengths say all of it.
#[rustfmt::skip]
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];
/// Bits of the code that ends a string, and must not occur in one.
const END_LENGTH: u8 = 30;
/// The symbol that stands for it.
const END: u16 = 256;

/// A node of the tree of codes with two children: nodes, or symbols from [`LEAF`] on.
const LEAF: u16 = 1 << 12;
/// Symbols are one more than inner nodes.
const NODES: usize = 256;

/// What four bits lead to.
#[derive(Debug, Clone, Copy)]
struct Step {
    node: u8,
    symbol: u8,
    emits: bool,
    fails: bool,
}

struct Table {
    steps: [[Step; 16]; NODES],
    /// Whether a string may end here: what was read of a code is less than a byte of ones.
    ends: [bool; NODES],
}

static TABLE: Table = table();

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated at compile time"
)]
const fn tree() -> [[u16; 2]; NODES] {
    let mut nodes = [[0u16; 2]; NODES];
    let (mut used, mut code, mut length) = (1, 0u32, 0);
    while length < END_LENGTH {
        length += 1;
        code <<= 1;
        let mut symbol = 0;
        while symbol <= END {
            let own = if symbol == END {
                END_LENGTH
            } else {
                LENGTHS[symbol as usize]
            };
            if own == length {
                let (mut node, mut bit) = (0, length);
                while bit > 1 {
                    bit -= 1;
                    let side = (code >> bit & 1) as usize;
                    if nodes[node][side] == 0 {
                        nodes[node][side] = used as u16;
                        used += 1;
                    }
                    node = nodes[node][side] as usize;
                }
                nodes[node][(code & 1) as usize] = LEAF + symbol;
                code += 1;
            }
            symbol += 1;
        }
    }
    nodes
}

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated at compile time"
)]
const fn table() -> Table {
    let nodes = tree();
    let nothing = Step {
        node: 0,
        symbol: 0,
        emits: false,
        fails: false,
    };
    let mut table = Table {
        steps: [[nothing; 16]; NODES],
        ends: [false; NODES],
    };
    let mut node = 0;
    while node < NODES {
        let mut bits = 0;
        while bits < 16 {
            let (mut at, mut bit, mut step) = (node as u16, 4, nothing);
            while bit > 0 {
                bit -= 1;
                at = nodes[at as usize][bits >> bit & 1];
                if at >= LEAF {
                    if at - LEAF == END {
                        step.fails = true;
                    } else {
                        step.emits = true;
                        step.symbol = (at - LEAF) as u8;
                    }
                    at = 0;
                }
            }
            step.node = at as u8;
            table.steps[node][bits] = step;
            bits += 1;
        }
        node += 1;
    }
    let (mut ones, mut at) = (0, 0);
    while ones < 8 {
        table.ends[at] = true;
        at = nodes[at][1] as usize;
        ones += 1;
    }
    table
}

/// Appends what `code` stands for.
pub(super) fn decode(code: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut node = 0u8;
    for &byte in code {
        for bits in [byte >> 4, byte & 15] {
            let row = TABLE.steps.get(usize::from(node)).ok_or(Malformed)?;
            let step = row.get(usize::from(bits)).ok_or(Malformed)?;
            if step.fails {
                return Err(Malformed);
            }
            if step.emits {
                out.push(step.symbol);
            }
            node = step.node;
        }
    }
    match TABLE.ends.get(usize::from(node)) {
        Some(true) => Ok(()),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(code: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::new();
        decode(code, &mut out).map(|()| out)
    }

    /// RFC 7541 Appendix C.4 and C.6.
    #[test]
    fn the_examples_of_the_rfc_are_read() {
        for (code, text) in [
            (
                &b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"[..],
                &b"www.example.com"[..],
            ),
            (b"\xa8\xeb\x10\x64\x9c\xbf", b"no-cache"),
            (b"\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf", b"custom-value"),
            (b"\x64\x02", b"302"),
            (
                b"\x9d\x29\xad\x17\x18\x63\xc7\x8f\x0b\x97\xc8\xe9\xae\x82\xae\x43\xd3",
                b"https://www.example.com",
            ),
            (b"", b""),
        ] {
            assert_eq!(decoded(code).unwrap(), text);
        }
    }

    #[test]
    fn padding_that_is_too_long_or_not_of_ones_and_the_end_of_strings_are_refused() {
        // '0' is 00000: three bits of padding.
        assert_eq!(decoded(b"\x07").unwrap(), b"0");
        assert!(decoded(b"\x06").is_err());
        assert!(decoded(b"\x07\xff").is_err());
        assert!(decoded(b"\xff\xff\xff\xff").is_err());
    }
}
