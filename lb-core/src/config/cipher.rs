//! Cipher suites and curves that are spoken, and the ways in which OpenSSL's lists name them.

/// A cipher suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cipher {
    /// Its number in the registry of TLS.
    pub id: u16,
    /// OpenSSL's name.
    pub name: &'static str,
    /// The registry's name.
    pub registered: &'static str,
    /// Bits of its key.
    pub bits: u16,
    /// Words of OpenSSL's cipher strings that mean it and others.
    words: &'static [&'static str],
}

const fn cipher(
    id: u16,
    name: &'static str,
    registered: &'static str,
    bits: u16,
    words: &'static [&'static str],
) -> Cipher {
    Cipher {
        id,
        name,
        registered,
        bits,
        words,
    }
}

/// What every suite of TLS 1.2 here is.
const COMMON: &[&str] = &[
    "ALL",
    "COMPLEMENTOFALL",
    "DEFAULT",
    "HIGH",
    "TLSv1.2",
    "ECDH",
    "EECDH",
    "ECDHE",
    "kEECDH",
    "kECDHE",
    "AEAD",
    "FIPS",
];

/// Suites of TLS 1.2, in the order in which they are preferred.
pub const TLS12: &[Cipher] = &[
    cipher(
        0xc02c,
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        256,
        &["aECDSA", "ECDSA", "AES", "AES256", "AESGCM", "SHA384"],
    ),
    cipher(
        0xc02b,
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        128,
        &["aECDSA", "ECDSA", "AES", "AES128", "AESGCM", "SHA256"],
    ),
    cipher(
        0xcca9,
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        256,
        &["aECDSA", "ECDSA", "CHACHA20"],
    ),
    cipher(
        0xc030,
        "ECDHE-RSA-AES256-GCM-SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        256,
        &["aRSA", "RSA", "AES", "AES256", "AESGCM", "SHA384"],
    ),
    cipher(
        0xc02f,
        "ECDHE-RSA-AES128-GCM-SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        128,
        &["aRSA", "RSA", "AES", "AES128", "AESGCM", "SHA256"],
    ),
    cipher(
        0xcca8,
        "ECDHE-RSA-CHACHA20-POLY1305",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        256,
        &["aRSA", "RSA", "CHACHA20"],
    ),
];

/// Suites of TLS 1.3.
pub const TLS13: &[Cipher] = &[
    cipher(
        0x1302,
        "TLS_AES_256_GCM_SHA384",
        "TLS13_AES_256_GCM_SHA384",
        256,
        &[],
    ),
    cipher(
        0x1301,
        "TLS_AES_128_GCM_SHA256",
        "TLS13_AES_128_GCM_SHA256",
        128,
        &[],
    ),
    cipher(
        0x1303,
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS13_CHACHA20_POLY1305_SHA256",
        256,
        &[],
    ),
];

/// Curves: number in the registry of TLS, and their names.
const CURVES: &[(u16, &[&str])] = &[
    (29, &["X25519", "x25519"]),
    (23, &["P-256", "prime256v1", "secp256r1"]),
    (24, &["P-384", "secp384r1"]),
    (4587, &["SecP256r1MLKEM768"]),
    (4588, &["X25519MLKEM768"]),
];

/// What a list of names comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// What is spoken of it, in its order.
    pub ids: Vec<u16>,
    /// Names in it that mean nothing that is spoken here.
    pub unknown: Vec<String>,
}

/// The suite of that number.
pub fn find(id: u16) -> Option<&'static Cipher> {
    TLS12.iter().chain(TLS13).find(|cipher| cipher.id == id)
}

/// Reads `ciphers`: names and words separated by `:`, ` ` or `,`, joined by `+`; `!` and `-` take away, a leading
/// `+` moves to the end (openssl-ciphers(1)).
pub fn ciphers(list: &str) -> Selection {
    let mut selection = Selection::default();
    let mut banned: Vec<u16> = Vec::new();
    for item in list.split([':', ' ', ',', ';']).filter(|i| !i.is_empty()) {
        let (sign, words) = match item.split_at_checked(1) {
            Some((sign @ ("!" | "-" | "+"), rest)) => (sign, rest),
            // The order is by strength already; levels below that of the library are not to be had.
            Some(("@", _)) => continue,
            _ => ("", item),
        };
        let meant: Vec<u16> = TLS12
            .iter()
            .filter(|cipher| words.split('+').all(|word| means(cipher, word)))
            .map(|cipher| cipher.id)
            .collect();
        let ids = &mut selection.ids;
        match sign {
            "" => {
                if meant.is_empty() {
                    selection.unknown.push(item.to_owned());
                }
                for id in meant {
                    if !ids.contains(&id) && !banned.contains(&id) {
                        ids.push(id);
                    }
                }
            }
            "+" => {
                let (moved, kept) = ids.iter().partition::<Vec<u16>, _>(|id| meant.contains(id));
                *ids = kept.into_iter().chain(moved).collect();
            }
            _ => {
                ids.retain(|id| !meant.contains(id));
                if sign == "!" {
                    banned.extend(meant);
                }
            }
        }
    }
    selection
}

fn means(cipher: &Cipher, word: &str) -> bool {
    cipher.name == word || COMMON.contains(&word) || cipher.words.contains(&word)
}

/// Reads `ciphersuites`: names of TLS 1.3 separated by `:`.
pub fn suites(list: &str) -> Selection {
    named(list, |name| {
        let found = TLS13
            .iter()
            .find(|c| c.name == name || c.registered == name);
        found.map(|c| c.id)
    })
}

/// Reads `curves`: names separated by `:`.
pub fn curves(list: &str) -> Selection {
    named(list, |name| {
        let found = CURVES.iter().find(|(_, names)| names.contains(&name));
        found.map(|(id, _)| *id)
    })
}

fn named(list: &str, find: impl Fn(&str) -> Option<u16>) -> Selection {
    let mut selection = Selection::default();
    for name in list.split(':').filter(|name| !name.is_empty()) {
        match find(name) {
            Some(id) if selection.ids.contains(&id) => {}
            Some(id) => selection.ids.push(id),
            None => selection.unknown.push(name.to_owned()),
        }
    }
    selection
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> Vec<&'static str> {
        let selection = ciphers(list);
        selection
            .ids
            .iter()
            .map(|id| find(*id).unwrap().name)
            .collect()
    }

    #[test]
    fn the_lists_that_generators_write_are_understood() {
        let intermediate = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
            ECDHE-ECDSA-AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256";
        assert_eq!(
            names(intermediate),
            [
                "ECDHE-ECDSA-AES128-GCM-SHA256",
                "ECDHE-RSA-AES128-GCM-SHA256",
                "ECDHE-ECDSA-AES256-GCM-SHA384"
            ]
        );
        assert_eq!(ciphers(intermediate).unknown, ["DHE-RSA-AES128-GCM-SHA256"]);
        // What Debian's haproxy.cfg had for years.
        let debian = "ECDH+AESGCM:DH+AESGCM:ECDH+AES256:DH+AES256:ECDH+AES128:DH+AES:RSA+AESGCM:RSA+AES:!aNULL:!MD5:!DSS";
        assert_eq!(names(debian).len(), 4);
        assert!(!names(debian).contains(&"ECDHE-RSA-CHACHA20-POLY1305"));
    }

    #[test]
    fn signs_take_away_and_move() {
        assert_eq!(names("HIGH:!aRSA:!CHACHA20").len(), 2);
        assert_eq!(names("aRSA:-AES128:aRSA").len(), 3);
        assert_eq!(names("!aRSA:HIGH").len(), 3);
        let moved = names("aRSA:+AES256:@STRENGTH");
        assert_eq!(moved.last(), Some(&"ECDHE-RSA-AES256-GCM-SHA384"));
        assert!(names("RC4-SHA:AES128-SHA").is_empty());
    }

    #[test]
    fn suites_and_curves_go_by_their_names() {
        let selection = suites("TLS_AES_128_GCM_SHA256:TLS_AES_128_CCM_SHA256");
        assert_eq!(selection.ids, [0x1301]);
        assert_eq!(selection.unknown, ["TLS_AES_128_CCM_SHA256"]);
        assert_eq!(curves("P-384:X25519:prime256v1:P-256").ids, [24, 29, 23]);
    }
}
