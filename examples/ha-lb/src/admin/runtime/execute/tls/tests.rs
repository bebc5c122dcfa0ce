use super::*;

const ONE: &str = include_str!("../../../../../../../lb-core/tests/plane/data/one.test.pem");
const TWO: &str = include_str!("../../../../../../../lb-core/tests/plane/data/two.test.pem");

#[test]
fn a_name_may_mean_a_part_of_a_certificate() {
    assert_eq!(part_of("a.pem"), ("a.pem", None));
    assert_eq!(part_of("a.pem.key"), ("a.pem", Some(Part::Key)));
    assert_eq!(part_of("a.pem.ocsp"), ("a.pem", Some(Part::Response)));
}

#[test]
fn certificates_and_keys_are_told_apart() {
    let (certificates, key) = divided(&format!("some words\n{ONE}\n"));
    assert!(certificates.starts_with("-----BEGIN CERTIFICATE-----\n"));
    assert!(!certificates.contains("PRIVATE") && !certificates.contains("words"));
    assert!(key.starts_with("-----BEGIN") && key.contains("PRIVATE KEY"));
}

#[test]
fn a_payload_takes_the_place_of_what_was() {
    let set = |part, text: &str, parts| updated(TlsKind::Certificate, "a.pem", part, text, parts);
    let (chain, key) = divided(TWO);
    let before = set(None, ONE, Parts::default()).unwrap();
    // A chain alone takes the key of the one before away: it would not fit.
    let without = set(None, &chain, before.clone()).unwrap();
    assert_eq!(
        (without.pem.as_str(), without.key.as_str()),
        (chain.as_str(), "")
    );
    let whole = set(Some(Part::Key), &key, without).unwrap();
    assert_eq!(whole.key, key);
    let mixed = format!("{}{key}", divided(ONE).0);
    let told = set(None, &mixed, before.clone()).unwrap_err();
    assert!(told.ends_with("Can't load the payload"), "{told}");
    let told = set(None, "garbage", before).unwrap_err();
    assert_eq!(
        told,
        "unable to load certificate from file 'a.pem'.\nCan't load the payload"
    );
}

#[test]
fn authorities_and_lists_must_be_some() {
    for kind in [TlsKind::Authorities, TlsKind::Revoked] {
        let told = updated(kind, "ca.pem", None, "garbage", Parts::default());
        assert_eq!(told.unwrap_err(), "Invalid payload");
    }
    let parts = updated(TlsKind::Authorities, "ca.pem", None, ONE, Parts::default()).unwrap();
    assert!(parts.key.is_empty());
}
