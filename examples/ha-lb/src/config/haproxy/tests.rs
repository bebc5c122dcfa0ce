use super::*;
use crate::config::files::Bundle;

#[test]
fn smoke() {
    for name in ["k8s-ingress", "apiserver"] {
        let path = PathBuf::from(format!(
            "{}/tests/configs/{name}/haproxy.cfg",
            env!("CARGO_MANIFEST_DIR")
        ));
        let text = std::fs::read(&path).unwrap();
        let files = Bundle::default().with_file("haproxy.cfg", text).with_file(
            "/etc/haproxy/ssl/server.pem",
            "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----",
        );
        let mut diagnostics = Diagnostics::new();
        let config = load(&["haproxy.cfg".into()], &files, &mut diagnostics);
        println!("{diagnostics}\n{config:#?}");
    }
}
