//! Authorities, certificates and lists of revoked ones, made by openssl.

use std::{fs, path::PathBuf, process::Command};

/// A folder of certificates.
#[derive(Debug)]
pub(crate) struct Pki(tempfile::TempDir);

/// Seconds of `openssl`'s dates that are long past.
const PAST: [&str; 4] = [
    "-startdate",
    "20200101000000Z",
    "-enddate",
    "20200201000000Z",
];

impl Pki {
    /// An authority `ca` and one below it, `inter`.
    pub(crate) fn new() -> Self {
        let pki = Self(tempfile::tempdir().unwrap());
        let policy = "[p]\nC=optional\nO=optional\nOU=optional\nCN=supplied\n";
        let extensions = "[leaf]\nbasicConstraints=CA:FALSE\nsubjectAltName=${ENV::SAN}\n\
            [authority]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\n";
        for authority in ["ca", "inter"] {
            let dir = pki.path(&format!("{authority}.d"));
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join("index.txt"), "").unwrap();
            fs::write(dir.join("serial"), "1000\n").unwrap();
            fs::write(dir.join("number"), "01\n").unwrap();
            let dir = dir.display();
            let text = format!(
                "[ca]\ndefault_ca=d\n[d]\ndatabase={dir}/index.txt\nserial={dir}/serial\ncrlnumber={dir}/number\n\
                 new_certs_dir={dir}\ndefault_md=sha256\ndefault_days=9\ndefault_crl_days=5\npolicy=p\n\
                 unique_subject=no\npreserve=yes\n{policy}{extensions}"
            );
            fs::write(pki.path(&format!("{authority}.cnf")), text).unwrap();
        }
        pki.itself("ca", "/C=FR/O=Example/CN=root");
        pki.issue("ca", "inter", "/CN=inter", "authority", &[]);
        pki
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What `openssl` prints, run among the files.
    fn openssl(&self, arguments: &[&str]) -> Vec<u8> {
        let made = Command::new("openssl")
            .args(arguments)
            .current_dir(self.0.path())
            .env("SAN", "DNS:unused")
            .output()
            .unwrap();
        assert!(made.status.success(), "{arguments:?}: {made:?}");
        made.stdout
    }

    fn request(&self, name: &str, subject: &str) {
        let (key, csr) = (format!("{name}.key"), format!("{name}.csr"));
        let curve = "ec_paramgen_curve:P-256";
        let kind: &[&str] = match name.contains("rsa") {
            true => &["-newkey", "rsa:2048"],
            false => &["-newkey", "ec", "-pkeyopt", curve],
        };
        let rest = ["-nodes", "-subj", subject, "-keyout", &key, "-out", &csr];
        self.openssl(&[&["req"], kind, &rest].concat());
    }

    /// A certificate that signs itself, for any use.
    pub(crate) fn itself(&self, name: &str, subject: &str) {
        self.request(name, subject);
        let (key, csr, crt) = (
            format!("{name}.key"),
            format!("{name}.csr"),
            format!("{name}.crt"),
        );
        let extensions = self.path("own.ext");
        fs::write(&extensions, "basicConstraints=critical,CA:TRUE\n").unwrap();
        self.openssl(&[
            "x509", "-req", "-in", &csr, "-signkey", &key, "-days", "9", "-extfile", "own.ext",
            "-out", &crt,
        ]);
    }

    fn issue(&self, authority: &str, name: &str, subject: &str, kind: &str, more: &[&str]) {
        self.request(name, subject);
        let config = format!("{authority}.cnf");
        let (csr, crt) = (format!("{name}.csr"), format!("{name}.crt"));
        let (ca, key) = (format!("{authority}.crt"), format!("{authority}.key"));
        let usual = [
            "ca",
            "-batch",
            "-notext",
            "-config",
            &config,
            "-extensions",
            kind,
            "-cert",
            &ca,
            "-keyfile",
            &key,
            "-in",
            &csr,
            "-out",
            &crt,
        ];
        self.openssl(&[&usual, more].concat());
    }

    /// A certificate of a client or server.
    pub(crate) fn leaf(&self, authority: &str, name: &str) {
        let subject = format!("/C=FR/O=Ex, ample/OU=a/OU=b/CN={name}");
        self.issue(authority, name, &subject, "leaf", &[]);
    }

    /// One that held in 2020.
    pub(crate) fn expired(&self, name: &str) {
        self.issue("ca", name, &format!("/CN={name}"), "leaf", &PAST);
    }

    /// One of `ca` that has no extensions: X.509 version 1. `days` may be below 0.
    pub(crate) fn first_version(&self, name: &str, serial: &str, days: &[&str]) {
        self.request(name, &format!("/C=FR/CN={name}"));
        let (csr, crt) = (format!("{name}.csr"), format!("{name}.crt"));
        let usual = [
            "x509", "-req", "-in", &csr, "-CA", "ca.crt", "-CAkey", "ca.key",
        ];
        let rest = ["-set_serial", serial, "-out", &crt];
        self.openssl(&[&usual[..], &rest, days].concat());
        self.join(&[&crt, &format!("{name}.key")], &format!("{name}.pem"));
    }

    /// The list of `ca` without extensions, as version 1 has it.
    pub(crate) fn plain_list(&self, name: &str) {
        let text = fs::read_to_string(self.path("ca.cnf")).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with("crlnumber"));
        let text: Vec<&str> = lines.collect();
        fs::write(self.path("plain.cnf"), text.join("\n")).unwrap();
        self.openssl(&[
            "ca",
            "-config",
            "plain.cnf",
            "-cert",
            "ca.crt",
            "-keyfile",
            "ca.key",
            "-gencrl",
            "-out",
            name,
        ]);
    }

    pub(crate) fn revoke(&self, name: &str) {
        let crt = format!("{name}.crt");
        self.openssl(&[
            "ca", "-config", "ca.cnf", "-cert", "ca.crt", "-keyfile", "ca.key", "-revoke", &crt,
        ]);
    }

    /// The lists of both authorities, `crl.pem` with that of `ca` alone and `crls.pem`.
    pub(crate) fn lists(&self) {
        for authority in ["ca", "inter"] {
            let (config, ca, key, out) = (
                format!("{authority}.cnf"),
                format!("{authority}.crt"),
                format!("{authority}.key"),
                format!("{authority}.crl"),
            );
            self.openssl(&[
                "ca", "-config", &config, "-cert", &ca, "-keyfile", &key, "-gencrl", "-out", &out,
            ]);
        }
        self.join(&["ca.crl"], "crl.pem");
        self.join(&["ca.crl", "inter.crl"], "crls.pem");
    }

    /// Several files as one.
    pub(crate) fn join(&self, parts: &[&str], name: &str) -> PathBuf {
        let text: String = parts
            .iter()
            .map(|part| fs::read_to_string(self.path(part)).unwrap())
            .collect();
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// A certificate of `ca` for a server of those names, with its key in `NAME.pem`.
    pub(crate) fn server(&self, name: &str, alternatives: &str) -> PathBuf {
        self.request(name, &format!("/CN={name}"));
        let (csr, crt) = (format!("{name}.csr"), format!("{name}.crt"));
        let made = Command::new("openssl")
            .args([
                "ca",
                "-batch",
                "-notext",
                "-config",
                "ca.cnf",
                "-extensions",
                "leaf",
            ])
            .args([
                "-cert", "ca.crt", "-keyfile", "ca.key", "-in", &csr, "-out", &crt,
            ])
            .current_dir(self.0.path())
            .env("SAN", alternatives)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        self.join(&[&crt, &format!("{name}.key")], &format!("{name}.pem"))
    }

    /// What `ca` says of the certificate `name`, for so many days.
    pub(crate) fn response(&self, name: &str, days: &str) -> PathBuf {
        let (crt, out) = (format!("{name}.crt"), format!("{name}.pem.ocsp"));
        self.openssl(&[
            "ocsp",
            "-issuer",
            "ca.crt",
            "-cert",
            &crt,
            "-reqout",
            "ocsp.req",
            "-no_nonce",
        ]);
        self.openssl(&[
            "ocsp",
            "-index",
            "ca.d/index.txt",
            "-rsigner",
            "ca.crt",
            "-rkey",
            "ca.key",
            "-CA",
            "ca.crt",
            "-reqin",
            "ocsp.req",
            "-respout",
            &out,
            "-ndays",
            days,
        ]);
        self.path(&out)
    }
}
