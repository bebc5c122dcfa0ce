//! Hashed passwords as crypt(3) writes them: `$5$` and `$6$` (U. Drepper, "Unix crypt using SHA-256 and SHA-512")
//! and `$1$` (MD5, from FreeBSD).

use std::{fmt, sync::OnceLock};

use md5::Md5;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq as _;

/// The digits of crypt(3)'s own base 64.
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Rounds of SHA-crypt unless the hash says otherwise, and how many it may ask for.
const ROUNDS: u32 = 5000;
const FEWEST_ROUNDS: u32 = 1000;
const MOST_ROUNDS: u32 = 999_999_999;
/// The longest salts; what is behind them is left out.
const SHA_SALT: usize = 16;
const MD5_SALT: usize = 8;
/// The longest password of crypt(3), in bytes.
const LONGEST: usize = 512;

/// How a password becomes a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Md5,
    Sha256 { rounds: u32 },
    Sha512 { rounds: u32 },
}

/// A hash and what it was made with.
///
/// Hashes are slow to compute, some milliseconds each, and requests bring their password again and again: the one that
/// was right is known again by its plain digest.
#[derive(Clone, PartialEq, Eq)]
pub struct Hashed {
    method: Method,
    salt: Box<[u8]>,
    sum: Box<str>,
    right: OnceLock<[u8; 32]>,
}

impl fmt::Debug for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest is nobody's business, in logs least of all.
        f.debug_struct("Hashed")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

impl Hashed {
    /// Reads `$5$salt$sum`, `$6$rounds=10000$salt$sum` or `$1$salt$sum`; `None` for other methods.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, rest) = text.strip_prefix('$')?.split_once('$')?;
        let (rounds, rest) = match rest.strip_prefix("rounds=") {
            Some(rest) if id != "1" => {
                let (rounds, rest) = rest.split_once('$')?;
                // More than fits is more than the most.
                let rounds: u64 = rounds.parse().ok()?;
                let within = rounds.clamp(FEWEST_ROUNDS.into(), MOST_ROUNDS.into());
                (u32::try_from(within).ok()?, rest)
            }
            _ => (ROUNDS, rest),
        };
        let (method, longest) = match id {
            "1" => (Method::Md5, MD5_SALT),
            "5" => (Method::Sha256 { rounds }, SHA_SALT),
            "6" => (Method::Sha512 { rounds }, SHA_SALT),
            _ => return None,
        };
        let (salt, sum) = rest.split_once('$')?;
        let salt = salt.as_bytes();
        Some(Self {
            method,
            salt: salt.get(..longest).unwrap_or(salt).into(),
            sum: sum.into(),
            right: OnceLock::new(),
        })
    }

    /// Whether `password` has this hash. One of more than 512 bytes has none, as for crypt(3): SHA-crypt takes time by the square
    /// of that.
    pub fn matches(&self, password: &[u8]) -> bool {
        if password.len() > LONGEST {
            return false;
        }
        let plain: [u8; 32] = Sha256::digest(password).into();
        if let Some(right) = self.right.get() {
            // There is but one password that is right, as far as anybody knows.
            return right.ct_eq(&plain).into();
        }
        let sum = match self.method {
            Method::Md5 => md5_crypt(password, &self.salt),
            Method::Sha256 { rounds } => sha_crypt::<Sha256>(password, &self.salt, rounds),
            Method::Sha512 { rounds } => sha_crypt::<Sha512>(password, &self.salt, rounds),
        };
        let is_right = sum.as_bytes().ct_eq(self.sum.as_bytes()).into();
        if is_right {
            // Another thread may have been first, with the same.
            let _ = self.right.set(plain);
        }
        is_right
    }
}

/// The digest of several pieces.
fn digest_of<D: Digest>(pieces: &[&[u8]]) -> Vec<u8> {
    let mut digest = D::new();
    for piece in pieces {
        digest.update(piece);
    }
    digest.finalize().to_vec()
}

/// `length` bytes of `block`, again and again.
fn repeated(block: &[u8], length: usize) -> Vec<u8> {
    block.iter().copied().cycle().take(length).collect()
}

/// SHA-crypt; the comments name its steps in the paper.
fn sha_crypt<D: Digest>(password: &[u8], salt: &[u8], rounds: u32) -> String {
    // 4 to 8: digest B.
    let b = digest_of::<D>(&[password, salt, password]);
    // 1 to 3 and 9 to 12: digest A.
    let mut digest = D::new();
    digest.update(password);
    digest.update(salt);
    digest.update(repeated(&b, password.len()));
    let mut length = password.len();
    while length > 0 {
        digest.update(if length & 1 == 1 { &b } else { password });
        length >>= 1;
    }
    let mut a = digest.finalize().to_vec();
    // 13 to 16: the sequence P.
    let p = digest_of::<D>(&vec![password; password.len()]);
    let p = repeated(&p, password.len());
    // 17 to 20: the sequence S.
    let times = 16 + a.first().map_or(0, |first| usize::from(*first));
    let s = digest_of::<D>(&vec![salt; times]);
    let s = repeated(&s, salt.len());
    // 21: the rounds.
    for round in 0..rounds {
        let odd = round & 1 == 1;
        let mut digest = D::new();
        digest.update(if odd { &p } else { &a });
        if round % 3 != 0 {
            digest.update(&s);
        }
        if round % 7 != 0 {
            digest.update(&p);
        }
        digest.update(if odd { &a } else { &p });
        a = digest.finalize().to_vec();
    }
    // 22: the bytes in an order of their own.
    let third = a.len() / 3;
    let groups = (0..third).map(|k| {
        let mut group = [k, k + third, k + 2 * third];
        group.rotate_left(if third == 21 { k % 3 } else { 2 * k % 3 });
        group.map(Some)
    });
    let last = match third {
        21 => [None, None, Some(63)],
        _ => [None, Some(31), Some(30)],
    };
    encode(&a, groups.chain([last]))
}

/// MD5-crypt.
fn md5_crypt(password: &[u8], salt: &[u8]) -> String {
    let between = digest_of::<Md5>(&[password, salt, password]);
    let mut digest = Md5::new();
    digest.update(password);
    digest.update(b"$1$");
    digest.update(salt);
    digest.update(repeated(&between, password.len()));
    let mut length = password.len();
    while length > 0 {
        digest.update(if length & 1 == 1 {
            b"\0"
        } else {
            password.get(..1).unwrap_or_default()
        });
        length >>= 1;
    }
    let mut sum = digest.finalize().to_vec();
    for round in 0..1000 {
        let odd = round & 1 == 1;
        let mut digest = Md5::new();
        digest.update(if odd { password } else { &sum });
        if round % 3 != 0 {
            digest.update(salt);
        }
        if round % 7 != 0 {
            digest.update(password);
        }
        digest.update(if odd { &sum } else { password });
        sum = digest.finalize().to_vec();
    }
    let groups = (0..5).map(|k| [k, k + 6, if k == 4 { 5 } else { k + 12 }].map(Some));
    encode(&sum, groups.chain([[None, None, Some(11)]]))
}

/// Groups of up to three bytes, by their places in `sum`, the least of a group last; two, three or four digits each.
fn encode(sum: &[u8], groups: impl Iterator<Item = [Option<usize>; 3]>) -> String {
    let mut text = String::new();
    for group in groups {
        let bytes = group.iter().flatten();
        let count = bytes.clone().count();
        let mut value = bytes.fold(0_usize, |value, place| {
            value << 8 | sum.get(*place).map_or(0, |byte| usize::from(*byte))
        });
        for _ in 0..=count {
            text.extend(DIGITS.get(value & 63).map(|digit| char::from(*digit)));
            value >>= 6;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (hash, password): vectors of the paper, and what glibc and `openssl passwd` make of others.
    const RIGHT: &[(&str, &str)] = &[
        (
            "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
            "Hello world!",
        ),
        (
            "$5$rounds=5000$toolongsaltstrin$Un/5jzAHMgOGZ5.mWJpuVolil07guHPvOW8mGRcvxa5",
            "This is just a test",
        ),
        (
            "$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA",
            "Hello world!",
        ),
        (
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
            "Hello world!",
        ),
        (
            "$6$rounds=1400$anotherlongsalts$POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1",
            "a very much longer text to encrypt.  This one even stretches over morethan one line.",
        ),
        (
            "$6$abcdefgh$v7sYNA18/BerGOYQLppYLyjH4yJilp8kqe/ef3KYMK9hOIdzH1yzcmP74Ay.m51y1jP3QqxM7Jl75S4CxDhBq.",
            "",
        ),
        ("$1$abcdefgh$G//4keteveJp0qb8z2DxG/", "password"),
        (
            "$1$abcdefgh$Ct4NOouoALu4sK4mWlehw1",
            "a-very-long-password-that-is-longer-than-sixty-four-bytes-of-a-block",
        ),
        ("$1$longersa$OJGtX8WlEwXkx64HRiVY6/", "x"),
    ];

    #[test]
    fn the_vectors_hold() {
        for (hash, password) in RIGHT {
            let read = Hashed::parse(hash).unwrap();
            assert!(!read.matches(b"Hello world"), "{hash}");
            assert!(read.matches(password.as_bytes()), "{hash}");
            // Once known it still tells right from wrong.
            assert!(read.matches(password.as_bytes()), "{hash}");
            assert!(!read.matches(b"hello world"), "{hash}");
        }
    }

    #[test]
    fn what_is_too_long_for_a_password_costs_nothing_and_is_none() {
        let right = |password: &[u8]| {
            let sum = md5_crypt(password, b"abcdefgh");
            let read = Hashed::parse(&format!("$1$abcdefgh${sum}")).unwrap();
            read.matches(password)
        };
        assert!(right(&[b'p'; LONGEST]));
        assert!(!right(&[b'p'; LONGEST + 1]));
    }

    #[test]
    fn long_salts_and_few_rounds_are_bounded() {
        let long = Hashed::parse("$5$rounds=10$toolongsaltstring$x").unwrap();
        assert_eq!(&*long.salt, b"toolongsaltstrin");
        assert_eq!(long.method, Method::Sha256 { rounds: 1000 });
    }

    #[test]
    fn other_methods_are_not_read() {
        for text in [
            "",
            "abJnggxhB/yWI",
            "$2y$05$x",
            "$y$j9T$a$b",
            "$6$salt",
            "$6$rounds=x$a$b",
        ] {
            assert!(Hashed::parse(text).is_none(), "{text}");
        }
        assert!(!format!("{:?}", Hashed::parse("$6$salt$sum")).contains("sum"));
    }
}
