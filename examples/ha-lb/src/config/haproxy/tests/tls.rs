//! TLS of `bind` and `server` lines.

use std::path::Path;

use super::*;

#[test]
fn tls_versions_and_certificates() {
    let tls = |words: &str| {
        let config = quiet(&pair(&format!("bind :443 ssl {words}"), ""));
        frontend(&config, 0).binds[1].tls.clone().unwrap()
    };
    let directory = tls("crt /etc/ssl/all alpn h2,http/1.1");
    let paths: Vec<_> = directory
        .certificates
        .iter()
        .map(|given| given.path.to_str().unwrap())
        .collect();
    assert_eq!(paths, ["/etc/ssl/all/a.pem", "/etc/ssl/all/b.pem"]);
    // The key of a.pem stands in a.pem.key.
    assert!(String::from_utf8_lossy(&directory.certificates[0].pem).contains("EC PRIVATE KEY"));
    assert_eq!(directory.settings.alpn, ["h2", "http/1.1"]);
    let versions = |words: &str| {
        let tls = tls(&format!("crt /etc/ssl/all/b.pem {words}"));
        (tls.settings.tls12_only, tls.settings.tls13_only)
    };
    assert_eq!(versions(""), (false, false));
    assert_eq!(versions("ssl-min-ver TLSv1.3"), (false, true));
    assert_eq!(versions("no-tlsv13"), (true, false));
    assert_eq!(versions("ssl-min-ver TLSv1.2 no-sslv3"), (false, false));
    let said = findings(&pair(
        "bind :443 ssl crt /etc/ssl/all/b.pem alpn h2,spdy/3,http/1.1",
        "",
    ));
    assert_eq!(
        said,
        [
            "h.cfg:9:44: warning: protocol 'spdy/3' is not spoken; it is not offered; clients use what is"
        ]
    );
    let said = findings(&pair("bind :443 ssl", ""));
    assert!(said[0].contains("'ssl' without a certificate"), "{said:#?}");
    let said = findings(&pair("bind :443 crt /etc/ssl/all/b.pem", ""));
    assert_eq!(
        said,
        ["h.cfg:9:12: warning: 'crt' without 'ssl'; no TLS is spoken here"]
    );
}

#[test]
fn versions_that_are_too_old_are_told_of_and_never_the_only_ones() {
    let old = "global\n ssl-default-bind-options ssl-min-ver TLSv1.0\n ssl-default-server-options ssl-min-ver SSLv3\n";
    let text = pair(
        "bind :443 ssl crt /etc/ssl/all/b.pem ssl-min-ver TLSv1.1",
        "server t 10.0.0.2:443 ssl verify none ssl-min-ver TLSv1.1",
    );
    let (config, said) = load_text(&format!("{old}{text}"));
    let said: Vec<String> = said.iter().map(ToString::to_string).collect();
    let place = |finding: &String| {
        let (place, rest) = finding.split_once(": warning: ").unwrap();
        let words = rest.strip_suffix("; TLSv1.2 is the oldest version that is");
        format!("{place} {}", words.unwrap())
    };
    let said: Vec<String> = said.iter().map(place).collect();
    assert_eq!(
        said,
        [
            "h.cfg:2:39 TLSv1.0 is not spoken",
            "h.cfg:3:41 SSLv3 is not spoken",
            "h.cfg:12:51 TLSv1.1 is not spoken",
            "h.cfg:14:52 TLSv1.1 is not spoken",
        ]
    );
    let config = config.unwrap();
    let settings = &frontend(&config, 0).binds[1].tls.as_ref().unwrap().settings;
    assert!(!settings.tls12_only && !settings.tls13_only);
    for (words, place) in [("ssl-max-ver TLSv1.1", "9:51"), ("force-tlsv10", "9:39")] {
        let text = pair(&format!("bind :443 ssl crt /etc/ssl/all/b.pem {words}"), "");
        let said = findings(&text);
        let refused = format!("h.cfg:{place}: error: ");
        assert!(said[0].starts_with(&refused), "{said:#?}");
    }
}

#[test]
fn default_bind_options_and_the_certificate_directory_hold_for_every_bind() {
    let text = format!(
        "global\n crt-base /etc/ssl\n ssl-default-bind-options ssl-min-ver TLSv1.3\n{}",
        pair("bind :443 ssl crt all/b.pem", "")
    );
    let config = quiet(&text);
    let tls = frontend(&config, 0).binds[1].tls.as_ref().unwrap();
    assert_eq!(tls.certificates[0].path, Path::new("/etc/ssl/all/b.pem"));
    assert!(tls.settings.tls13_only);
}

#[test]
fn algorithms_go_by_openssls_names() {
    let text = format!(
        "global\n ssl-default-bind-ciphers ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-SHA\n \
         ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256\n ssl-default-bind-curves P-384\n \
         ssl-default-server-ciphers ECDHE-ECDSA-AES256-GCM-SHA384\n{}",
        pair(
            "bind :443 ssl crt /etc/ssl/all/b.pem curves X25519:secp384r1",
            "server t 10.0.0.2:443 ssl verify none ciphersuites TLS_CHACHA20_POLY1305_SHA256"
        )
    );
    let (config, said) = load_text(&text);
    let said: Vec<String> = said.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "h.cfg:2:27: warning: 'ciphers' that are not spoken: DHE-RSA-AES128-SHA; the others of the list are offered"
        ]
    );
    let config = config.unwrap();
    let bind = &frontend(&config, 0).binds[1]
        .tls
        .as_ref()
        .unwrap()
        .settings
        .algorithms;
    assert_eq!(bind.tls12, Some(vec![0xc02f]));
    assert_eq!(bind.tls13, Some(vec![0x1301]));
    assert_eq!(bind.curves, Some(vec![29, 24]));
    let server = config.proxies[1]
        .backend
        .as_ref()
        .unwrap()
        .servers
        .last()
        .unwrap();
    let server = &server.tls.as_ref().unwrap().algorithms;
    assert_eq!(server.tls12, Some(vec![0xc02c]));
    assert_eq!(server.tls13, Some(vec![0x1303]));
    let said = findings(&pair(
        "bind :443 ssl crt /etc/ssl/all/b.pem ciphers RC4-SHA",
        "",
    ));
    assert!(
        said[0].starts_with(
            "h.cfg:9:47: warning: nothing of these 'ciphers' is spoken: found `RC4-SHA`, expected ECDHE-"
        ),
        "{said:#?}"
    );
}

#[test]
fn lines_of_certificate_lists_have_settings_and_names_of_their_own() {
    let list = |text: &str| {
        let cfg = pair(
            "bind :443 ssl crt-list /etc/list alpn http/1.1 ssl-min-ver TLSv1.3",
            "",
        );
        let world = World(
            world()
                .0
                .with_file("h.cfg", cfg)
                .with_file("/etc/list", format!("{text}\n")),
        );
        let mut diagnostics = Diagnostics::new();
        let config = load(&["h.cfg".into()], &world, &mut diagnostics);
        let said: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
        (config, said)
    };
    let (config, said) = list(
        "# all\n/etc/ssl/all/b.pem\n/etc/ssl/all/a.pem [ssl-min-ver TLSv1.2 verify required ca-file \
         /etc/ssl/all/b.pem] *.a.test !x.a.test\n",
    );
    assert!(said.is_empty(), "{said:#?}");
    let config = config.unwrap();
    let tls = frontend(&config, 0).binds[1].tls.as_ref().unwrap();
    let [first, second] = &*tls.certificates else {
        panic!("{tls:?}")
    };
    assert!(first.settings.is_none() && first.filters.is_empty() && tls.settings.tls13_only);
    let settings = second.settings.as_ref().unwrap();
    assert!(!settings.tls13_only && settings.authorities.is_some());
    assert_eq!(settings.alpn, ["http/1.1"]);
    assert_eq!(second.filters, ["*.a.test", "!x.a.test"]);
    let line = second.list.as_ref().unwrap();
    assert_eq!((line.list.to_str().unwrap(), line.line), ("/etc/list", 3));
    for (text, expected) in [
        (
            "/etc/ssl/all/b.pem [strict-sni]",
            "/etc/list:1:21: error: not an option of a line in a certificate list",
        ),
        (
            "\n/etc/ssl/all/b.pem [alpn h2",
            "/etc/list:2:28: error: '[' lacks an argument",
        ),
        (
            "/etc/ssl/all/b.pem x [alpn h2]",
            "/etc/list:1:22: error: options stand right behind the file",
        ),
        (
            "/nowhere.pem",
            "/etc/list:1:1: error: unable to read the certificate /nowhere.pem",
        ),
        (
            "# nothing",
            "h.cfg:9:25: error: the list names no certificate",
        ),
    ] {
        let (_, said) = list(text);
        assert!(
            said.iter().any(|said| said.starts_with(expected)),
            "{said:#?}"
        );
    }
}

#[test]
fn a_name_that_no_certificate_can_have_is_refused() {
    let said = findings(&pair(
        "",
        "server t 10.0.0.9:1 ssl verify none verifyhost str(toto)",
    ));
    assert!(
        said.iter().any(|one| one.contains("not a host name")),
        "{said:#?}"
    );
}
