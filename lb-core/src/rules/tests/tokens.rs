//! Signatures of tokens, and what is read in them.

use std::{io, path::Path, sync::Arc};

use super::feed;
use crate::{
    expr::{Definitions, Expr, Value, testing::World},
    head::HeadMut,
    request::Scope,
    rules::{ProxySide, RulesBuilder},
};

/// {"alg":"ES256","typ":"JWT"}, {"sub":"alice","exp":1900000000}.
const ELLIPTIC: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6MTkwMDAwMDAwMH0.\
    ndEhSC9N3NlQDgyn_xwHViKCx0H6qXcDexygX0YU20Pyaiz3BnST272vv1WoaWsG0w5vk8i-p6bLcuYmWrGPpg";
/// The same with RS256.
const RSA: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6MTkwMDAwMDAwMH0.\
    NDM4Gn7NfURjsyrZmn8IEV7mZKsrkJbouVAZYwwoHDnAsT9psgYH5hL-C-kf4NYLA5t_GmIeBVoROAUbbjcsnkAn6Rub8WNJPYrQ\
    T_VrW6xK1U9BuNmu7-GPJ97EztDbJNe-QfpBqRlhvpViVfspYay2kBGLtfFp2jilpcoyUyNw8uFX2sreUY-lDgRvclLkiN4MzT0X\
    TCoziG1IGA5lSR6lHk2eTB-te_KN1-VffL6BL7LARHgc5gPD7eOdulKSpWQQC5jxTCLhe-V_xCU1U7iFgqDoFPk8VxacOlh6MMoR\
    X0V7RTJBIf1xrbidmSJ3HCpUdmjAxhMOAR88G5xptA";
/// The same with algorithms of longer keys and of another padding.
const OTHERS: &[(&str, &str, &str)] = &[
    (
        "ES512",
        "/p521.pem",
        "eyJhbGciOiJFUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6MTkwMDAwMDAwMH0.\
     ANjIm8w_HUEkbNDWEnIj5dqODW96KcmuLNnpLYX--iYxgGYWfDOAGybVAhjNsnGUu4x6RYNzVIGkMI82abr_FELiAWtdnHSEkCXN\
     G7-ct1YcofnIX01eVYP4xius12us7DgqsPBT0VXLKybTahKsSSbrSb6d-y4kIUoktbzkq_z99Ob7",
    ),
    (
        "PS256",
        "/pss.pem",
        "eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6MTkwMDAwMDAwMH0.\
     Bv59N2KTHlm_jTkJ2_WFX9iXhDyeoq1lC-owaAMyK8JC3qPWPLLXbK7hucIr24elX1tIxs0I8JHqJ1vyLNJS54YVqWW3P5EyMzkl\
     cx6-6VtwnZQCES4I8byQgdpUrHTmMDDnre7dLSRY4_tyO_DOPupsb2MHEv3N2HarU_9ezN7Cb2ihj2U3_6qaF84Ipz4tF5X-\
     YHzevsGjCpVxzS32YmsgsDhCUa2y49JXKxaURLJzmSud6zNmBpvnkBfWamP8x33gIWCrz_oWeMMJ5XzlDGhfikoRbIib-\
     A2HjGAK9FRT8PuLFKBtPJ9NlcAtQa7kfpZgxQuK3up8iDhEeH92Hg",
    ),
    (
        "PS384",
        "/pss.pem",
        "eyJhbGciOiJQUzM4NCIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6MTkwMDAwMDAwMH0.\
     CoF0faHGN4uzRXJZmJoSqXW7hqp3dmqZthxQdMfz66xT2tU1RH2O1rCML-\
     0GvtNP9iUniDwQU4LorRxMPjCDlK5IXpxAojHN7P6nqoyD2FRupuOXRgIGWmy2BVVZ89O29tDUchGxMeAlRVuic9QNhS3ALmvz74\
     xT0a0eHn-4hSV4Y0cELLOIgFTTkCup402FkV6p1_ta6OwmvW-8jHs-lBBckq5q9vW6YkV7aRWMgL819DHU-RYE9aUl4Ke1aczoT3\
     deLhkmxcKkcFxKXQ6CedxSdPjjOZt5iGn1Pl58LqPSEKYcSXqaKUbWRRZNXr80wFgkogyYa5k-m1XJGIMoKg",
    ),
    (
        "PS512",
        "/pss.pem",
        "eyJhbGciOiJQUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6MTkwMDAwMDAwMH0.\
     cgH__4VFFdEteeb9366nRIbnfRs4GsZMhvczyql1plMFaAqOKEVF6IIfuRdGktxJrdFqLH4MyeXi0-\
     ySwtVa7uzE7Vyi8ripHYNMSCIoZj6_iot1BaVsICNZsOVEs4_x52TGiRDCi5W8rdaaSIiB4Na1LDSY3UcXWDVwOq7p4nquFB145W\
     r9ffPwIYh0lrYudAhBHdmgIoE2G7rNCSCFgM9YK20tDKHVcI8fBzxvrlUY0CmNroqpHR3Hkk0E7Dl97XtUEO_cOpADzwJ_Rwy3hW\
     RadOozcEQ-nFeJ2P3us7BUEndrvKDoS3UUwA2idHvY_1Ypg2V7c0YqBS185Yo0FQ",
    ),
];
/// The same with HS256 and the secret `hush`.
const SHARED: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6MTkwMDAwMDAwMH0.\
    PzTPAP5btiHXLe_xJRSRwPbG5wLY6izr1SAmeiewfuA";

fn keys(path: &Path) -> io::Result<Vec<u8>> {
    match path.to_str() {
        Some("/ec.pem") => Ok(ELLIPTIC_KEY.into()),
        Some("/rsa.pem") => Ok(RSA_CERTIFICATE.into()),
        Some("/p521.pem") => Ok(P521_KEY.into()),
        Some("/pss.pem") => Ok(PSS_KEY.into()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

/// What the converter says of `token`.
fn verified(token: &str, algorithm: &str, key: &str) -> i64 {
    let mut builder = RulesBuilder::new(ProxySide::Listen, &keys);
    let line =
        format!("http-request set-var(txn.ok) var(txn.token),jwt_verify({algorithm},\"{key}\")");
    feed(&mut builder, &line).unwrap();
    let rules = builder.build().unwrap();
    let mut world = World::new();
    for (name, text) in [
        ("txn.token", token),
        ("txn.alg", "ES256"),
        ("txn.key", "/ec.pem"),
    ] {
        let value = Value::String(text.as_bytes().to_vec().into());
        let name = Arc::from(name);
        world.state.set_variable(Scope::Transaction, &name, value);
    }
    let mut head = crate::expr::testing::request("GET", "/", &["Host: h"]);
    let mut bytes = HeadMut::new(&mut head, b"");
    let now = world.connection.accepted_at;
    rules.on_request(now, &world.connection, &mut bytes, &mut world.state);
    let found = world.state.variable(Scope::Transaction, "txn.ok");
    found.unwrap().integer().unwrap()
}

/// Public keys need the library that speaks TLS.
fn known(right: i64) -> i64 {
    if cfg!(feature = "tokio") { right } else { -5 }
}

#[test]
fn tokens_are_verified_by_secrets_keys_and_certificates() {
    assert_eq!(verified(SHARED, "HS256", "hush"), 1);
    assert_eq!(verified(SHARED, "HS256", "hash"), 0);
    assert_eq!(
        verified(SHARED, "HS512", "hush"),
        -3,
        "a code of another length"
    );
    assert_eq!(verified(&SHARED[..60], "HS256", "hush"), -3, "two parts");
    assert_eq!(
        verified(&format!("{SHARED}.x"), "HS256", "hush"),
        -3,
        "four parts"
    );
    assert_eq!(verified(ELLIPTIC, "ES256", "/ec.pem"), known(1));
    assert_eq!(verified(ELLIPTIC, "txn.alg", "/ec.pem"), known(1));
    assert_eq!(verified(RSA, "RS256", "/rsa.pem"), known(1));
    assert_eq!(verified(RSA, "RS384", "/rsa.pem"), known(0));
    assert_eq!(
        verified(RSA, "RS256", "/ec.pem"),
        known(0),
        "another kind of key"
    );
    assert_eq!(verified(RSA, "RS256", "/none.pem"), -5);
    assert_eq!(
        verified(&format!("{}Q", &RSA[..RSA.len() - 1]), "RS256", "/rsa.pem"),
        known(0)
    );
    for (algorithm, key, token) in OTHERS {
        assert_eq!(verified(token, algorithm, key), known(1), "{algorithm}");
        for (other, ..) in OTHERS.iter().filter(|(other, ..)| other != algorithm) {
            assert_ne!(verified(token, other, key), 1, "{algorithm} as {other}");
        }
    }
    let (_, _, padded) = OTHERS[1];
    assert_eq!(
        verified(padded, "RS256", "/pss.pem"),
        known(0),
        "another padding"
    );
    let (_, _, long) = OTHERS[0];
    assert_eq!(
        verified(&long[..long.len() - 4], "ES512", "/p521.pem"),
        known(-3),
        "a number of another length"
    );
    for algorithm in ["none", "ES521", "PS1"] {
        let text = format!("str(x),jwt_verify({algorithm},k)");
        let error = Expr::parse(&text, &Definitions::default()).unwrap_err();
        assert!(
            error.expected.unwrap().contains("HS, RS, PS or ES"),
            "{algorithm}"
        );
    }
    let of = |text: &str| {
        let expr = Expr::parse(text, &Definitions::default()).unwrap();
        let value = expr.value(&World::new().view()).map(Value::into_owned);
        value.map(|v| String::from_utf8(v.into_text().into_owned()).unwrap())
    };
    let query = |end: &str| of(&format!("str({SHARED}),{end}"));
    assert_eq!(query("jwt_header_query($.alg)").as_deref(), Some("HS256"));
    assert_eq!(query("jwt_payload_query($.sub)").as_deref(), Some("alice"));
    assert_eq!(
        query("jwt_payload_query($.exp,int)").as_deref(),
        Some("1900000000")
    );
    assert_eq!(
        query("jwt_payload_query").as_deref(),
        Some("{\"sub\":\"alice\",\"exp\":1900000000}")
    );
    assert_eq!(of("str(no),jwt_payload_query"), None);
}

const ELLIPTIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZI3ZcU3XGDv5PmLKYiuw+yOaR9IS\n\
rKDXuVafOX22XLZv0d/SFI8qbsRYJdbT69F37Us4dfvE3vHTp8Ih7OsMeg==\n\
-----END PUBLIC KEY-----";

const RSA_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n\
MIIDBTCCAe2gAwIBAgIUdpMM53DY+sk1fbp9XuMwSCYNICUwDQYJKoZIhvcNAQEL\n\
BQAwETEPMA0GA1UEAwwGdG9rZW5zMCAXDTI2MTEyMTE2MjUwOFoYDzIxMjYxMDI4\n\
MTYyNTA4WjARMQ8wDQYDVQQDDAZ0b2tlbnMwggEiMA0GCSqGSIb3DQEBAQUAA4IB\n\
DwAwggEKAoIBAQDfMO/QTfd17DWJsKF/qKOfJIXvkUagge7iliTDSlo9aGhyjYbU\n\
Dhq94llOscoTbTg5LT2E5mC/aaW0RF4iuEf9CsjTkDNd/x9LYIsQsuipeAcudZjS\n\
BNG7lonFyewhGS3uo4+QJiMympcr+1xWRwIVolhwTPlP3j/iirUwyWeFovTueDS0\n\
P41k2UJzlxNez98S6UKN1tftgcYQTHhJZJEy2lQgMoYCMq8CSri+Aj8NYMUS/h7X\n\
Lq4rdWeKmnJVSrSjOn5ewyOL/x/iCh77X90ij72rel9ZAhVHpfWNgb7vQqwqoXeM\n\
ZHP5XG5zDolYMDR9PHzb5UqQRniaBNAXNG2PAgMBAAGjUzBRMB0GA1UdDgQWBBQF\n\
XiXe2b2ceRFrQvOH/eM9YmS0xTAfBgNVHSMEGDAWgBQFXiXe2b2ceRFrQvOH/eM9\n\
YmS0xTAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBCwUAA4IBAQDMC7u2IAOr\n\
L0CKcempACRdfls9zOvt1s3zrb7VfowqmyW/sfG1WDYNcN/pm35A4cQ1TAyjLxwv\n\
Mcyv5VtFKtdSc0LPj9F1Zwd/Ap9MWsJa4jimIpoNMx/xKOLsVhhKjeKcjKp6ktyJ\n\
ZfNidMiupJ3asyR2Wa5SyMZ5vw3j3p+MBQS68G4xpZ3ghNYrfWfqJOHeBVsIybDT\n\
ae9BCu1OMVxlrGnBrFus1HeGRMh87G5A/z1DovhWvvByM9DHv+F70E589oDaNoL3\n\
JWiZUDGDB4r9hTAqvuQNGV4OCYhNek+P0bYCSs0LZ/w77ZGQTqccyQmW8dQ1Xln9\n\
ThnYsEieqB25\n\
-----END CERTIFICATE-----";

const P521_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAABkI6peaxRAAiy2Zm87T1N7qCDKD\n\
vAvtzqEPNle9zBGaC0JNJShLaWt/1iskmbgCa6Pn6vKTUlxoLVmbJTLWUvUA7YFq\n\
OiIaOfreRV8o7HE0zsJMpac8a3x7i59t4q6oTOLvd4U4Jz83s2BQ2jjkGgIGEAuY\n\
G7xXHXgAJGvyCWLG9JY=\n\
-----END PUBLIC KEY-----";

const PSS_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAn4VdPG6qcgUvNtm5FijH\n\
rXrbjBZhBnAFIRRbV3lwnYKxxF3qNlApEuAnxd5mOKVOTnvn/+TPArP/6YXUbZlG\n\
8USHl54SaxAYMt/OibGuyfMGtP4mikXY5cuhXGEi73kTNzeOoHlWvvvrOZVvYEzq\n\
ohRxdIFFkg15rcfzT8n4XEUgS13vqJTiWakSME8DoqZnVwFkGZi0W1vXmctodvMC\n\
n8fB2M7pR+a0+4RNaw97kq83y7We3ZfGfsLunmP2ldwXHjy1lK9dLA1MmdxGyG5f\n\
i6a2N0Ks61nhNm6KO/+YyOvSE3r/37ltaRnjtTtVUwrvHn6+DIeYu80trtEi8NDq\n\
MQIDAQAB\n\
-----END PUBLIC KEY-----";
