//! The configuration files: one haproxy.cfg for HAProxy and ha-lb, and nginx's equivalent.

use std::{fmt::Write as _, net::Ipv4Addr, path::Path};

use crate::scenario::{Kind, Proxy};

/// What the files refer to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places<'a> {
    /// Port the proxy listens on.
    pub(crate) listen: u16,
    /// Port of the origin, on every address of 127/8.
    pub(crate) origin: u16,
    /// UDP port that takes log lines.
    pub(crate) syslog: u16,
    /// Certificate and key.
    pub(crate) pem: &'a Path,
    /// A directory for whatever the program wants to write.
    pub(crate) scratch: &'a Path,
}

/// Each server has an address of its own, so that connections to it are its own too.
fn server_address(number: usize) -> Ipv4Addr {
    let [.., high, low] = (number + 1).to_be_bytes();
    Ipv4Addr::new(127, 0, high, low)
}

/// The file that HAProxy and ha-lb read.
pub(crate) fn haproxy(proxy: Proxy, places: Places<'_>) -> String {
    let Places { listen, origin, .. } = places;
    let logs = matches!(proxy.kind, Kind::ServerClose | Kind::Ingress);
    let mut text = format!("global\n    nbthread {}\n    maxconn 8000\n", proxy.workers);
    if logs {
        let _ = writeln!(text, "    log 127.0.0.1:{} local0", places.syslog);
    }
    let mode = if proxy.kind == Kind::Tcp {
        "tcp"
    } else {
        "http"
    };
    let _ = write!(
        text,
        "defaults\n    mode {mode}\n    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n"
    );
    if logs {
        text.push_str("    log global\n    option httplog\n    option http-server-close\n");
    } else if mode == "http" {
        text.push_str("    http-reuse always\n");
    }
    if proxy.kind == Kind::Ingress {
        text.push_str("    option forwardfor\n");
    }
    let tls = match proxy.kind {
        Kind::Tls => format!(" ssl crt {}", places.pem.display()),
        Kind::Http2 => " proto h2".to_owned(),
        _ => String::new(),
    };
    let _ = write!(
        text,
        "frontend versus\n    bind 127.0.0.1:{listen}{tls}\n    default_backend origins\n"
    );
    if proxy.kind == Kind::Ingress {
        text.push_str("    option httpclose\n");
    }
    text.push_str("backend origins\n    balance roundrobin\n");
    for number in 0..proxy.servers {
        let _ = writeln!(
            text,
            "    server s{number} {}:{origin}",
            server_address(number)
        );
    }
    text
}

/// nginx's equivalent, or why there is none. `stream` is the module for TCP, where it is one to be loaded.
pub(crate) fn nginx(
    proxy: Proxy,
    places: Places<'_>,
    stream: Option<&Path>,
) -> Result<String, String> {
    let Places {
        listen,
        origin,
        scratch,
        ..
    } = places;
    let scratch = scratch.display();
    let mut text = String::new();
    if proxy.kind == Kind::Tcp {
        let module =
            stream.ok_or("nginx's stream module is not installed (Debian: libnginx-mod-stream)")?;
        let _ = writeln!(text, "load_module {};", module.display());
    }
    let _ = write!(
        text,
        "worker_processes {}; daemon off; pid {scratch}/nginx.pid; error_log {scratch}/nginx.log crit;\n\
         events {{ worker_connections 16000; }}\n",
        proxy.workers
    );
    let mut servers = String::new();
    for number in 0..proxy.servers {
        let _ = writeln!(servers, "  server {}:{origin};", server_address(number));
    }
    match proxy.kind {
        Kind::ServerClose | Kind::Ingress => {
            return Err(
                "nginx has no equivalent of HAProxy's log line and closing options".to_owned(),
            );
        }
        Kind::Tcp => {
            let _ = write!(
                text,
                "stream {{ access_log off; upstream origins {{\n{servers} }}\n\
                 server {{ listen 127.0.0.1:{listen} reuseport; proxy_pass origins; }} }}\n"
            );
        }
        Kind::Http | Kind::Http2 | Kind::Tls => {
            let (ssl, pem) = match proxy.kind {
                Kind::Tls => {
                    let pem = places.pem.display();
                    (
                        " ssl",
                        format!(
                            "ssl_certificate {pem}; ssl_certificate_key {pem}; ssl_protocols TLSv1.2 TLSv1.3;"
                        ),
                    )
                }
                Kind::Http2 => (" http2", "http2_max_requests 100000000;".to_owned()),
                _ => ("", String::new()),
            };
            let kept = proxy.servers + 64;
            let _ = write!(
                text,
                "http {{ access_log off; client_body_temp_path {scratch}; proxy_temp_path {scratch};\n\
                 fastcgi_temp_path {scratch}; uwsgi_temp_path {scratch}; scgi_temp_path {scratch};\n\
                 keepalive_requests 100000000; proxy_max_temp_file_size 0;\n\
                 upstream origins {{\n{servers}  keepalive {kept}; keepalive_requests 100000000; }}\n\
                 server {{ listen 127.0.0.1:{listen}{ssl} reuseport; {pem}\n\
                 location / {{ proxy_pass http://origins; proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}\n"
            );
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_have_addresses_of_their_own() {
        assert_eq!(server_address(0), Ipv4Addr::LOCALHOST);
        assert_eq!(server_address(255), Ipv4Addr::new(127, 0, 1, 0));
        assert_eq!(server_address(1_999), Ipv4Addr::new(127, 0, 7, 208));
    }

    #[test]
    fn the_files_say_what_the_scenario_says() {
        let places = Places {
            listen: 1,
            origin: 2,
            syslog: 3,
            pem: Path::new("/p.pem"),
            scratch: Path::new("/s"),
        };
        let proxy = |kind| Proxy {
            kind,
            workers: 2,
            servers: 3,
        };
        let text = haproxy(proxy(Kind::Tls), places);
        assert!(text.contains("bind 127.0.0.1:1 ssl crt /p.pem"), "{text}");
        assert!(
            text.contains("server s2 127.0.0.3:2") && text.contains("nbthread 2"),
            "{text}"
        );
        assert!(nginx(proxy(Kind::Tcp), places, None).is_err());
        assert!(
            nginx(proxy(Kind::Http), places, None).is_ok_and(|t| t.contains("server 127.0.0.3:2;"))
        );
    }
}
