mod default_path;
mod errors;
mod every_keyword;
mod files;
mod http_checks;
mod keywords;
mod obsolete;
mod programs;
mod proxies;
mod robustness;
mod sections;
mod tls;
mod unix_sockets;
mod wild;

use std::io;

use lb_core::config::Mode;

use super::*;
use crate::config::files::Bundle;

const PEM: &str = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n\
                   -----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n";

/// Files of a bundle, a fixed resolver and no environment.
struct World(Bundle);

impl Files for World {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.read(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        match path.to_str() {
            Some("/etc/ssl/all") => Ok([
                "/etc/ssl/all/a.pem",
                "/etc/ssl/all/a.pem.key",
                "/etc/ssl/all/b.pem",
            ]
            .map(PathBuf::from)
            .into()),
            Some("/etc/closed") => Err(io::ErrorKind::PermissionDenied.into()),
            Some("conf.d") => Ok([
                "conf.d/.hidden.cfg",
                "conf.d/10-global.cfg",
                "conf.d/20-web.cfg",
                "conf.d/README",
            ]
            .map(PathBuf::from)
            .into()),
            Some("empty.d") => Ok(vec!["empty.d/README".into()]),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn resolve(&self, host: &str) -> io::Result<Vec<std::net::IpAddr>> {
        match host {
            "web.example" => Ok(vec![
                "2001:db8::1".parse().unwrap(),
                "10.0.0.7".parse().unwrap(),
                "10.0.0.8".parse().unwrap(),
            ]),
            "localhost" => Ok(vec!["127.0.0.1".parse().unwrap()]),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "PORT").then(|| "8080".to_owned())
    }
}

fn world() -> World {
    World(
        Bundle::default()
            .with_file("/etc/haproxy/ssl/server.pem", PEM)
            .with_file(
                "/etc/ssl/crl.pem",
                "-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n",
            )
            .with_file(
                "/etc/ssl/tickets",
                format!("{}\n", "A".repeat(64)).repeat(3),
            )
            .with_file("/etc/ssl/all/a.pem", "-----BEGIN CERTIFICATE-----")
            .with_file("/etc/ssl/all/a.pem.key", "-----BEGIN EC PRIVATE KEY-----")
            .with_file("/etc/ssl/all/b.pem", PEM)
            .with_file(
                "/etc/ssl/list",
                "# all\n/etc/ssl/all/b.pem [alpn h2] b.example\n",
            )
            .with_file("/etc/errors/503.http", "HTTP/1.0 503 Gone\r\n\r\nx")
            .with_file("/etc/haproxy/hosts.lst", "10.0.0.1\n10.1.0.0/16\n")
            .with_file("/etc/haproxy/names", "# odd\n\n x-id X-ID\t\n"),
    )
}

fn load_text(text: &str) -> (Option<Config>, Diagnostics) {
    let world = World(world().0.with_file("h.cfg", text));
    let mut diagnostics = Diagnostics::new();
    let config = load(&["h.cfg".into()], &world, &mut diagnostics);
    diagnostics.sort();
    (config, diagnostics)
}

/// The accepting half of a proxy.
fn frontend(config: &Config, index: usize) -> &lb_core::config::FrontendConfig {
    config.proxies[index].frontend.as_ref().unwrap()
}

/// A configuration that is accepted without a word.
fn quiet(text: &str) -> Config {
    let (config, diagnostics) = load_text(text);
    assert!(diagnostics.is_empty(), "{diagnostics}\n{text}");
    config.unwrap()
}

/// The findings, one a line.
fn findings(text: &str) -> Vec<String> {
    let (_, diagnostics) = load_text(text);
    diagnostics.iter().map(ToString::to_string).collect()
}

/// A frontend and a backend that need nothing more; lines can be added to each.
fn pair(frontend: &str, backend: &str) -> String {
    format!(
        "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 1s\n\
         frontend f\n bind :80\n default_backend b\n {frontend}\n\
         backend b\n {backend}\n"
    )
}

#[test]
fn an_emptied_directory_is_no_configuration_without_proxies() {
    let world = World(Bundle::default());
    let mut diagnostics = Diagnostics::new();
    assert!(load(&["empty.d".into()], &world, &mut diagnostics).is_none());
    let told = diagnostics.to_string();
    assert!(
        told.contains("empty.d: error: the directory holds no file"),
        "{told}"
    );
}
