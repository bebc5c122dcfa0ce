//! HTTP mode: the way of a request that nothing disturbs.

use lb_core::config::Mode;

use crate::common::{Origin, Plane, ask, listen};

#[test]
fn requests_share_client_and_server_connections() {
    let origin = Origin::echo();
    let plane = Plane::start(vec![listen("web", Mode::Http, &[origin.address])]);
    let mut client = plane.connect();
    for n in 0..5 {
        let answer = ask(
            &mut client,
            &format!("GET /{n} HTTP/1.1\r\nHost: x\r\n\r\n"),
        );
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\ncontent-length: "),
            "{answer}"
        );
        assert!(
            answer.ends_with(&format!("GET /{n} HTTP/1.1\r\nhost: x\r\n\r\n")),
            "{answer}"
        );
    }
    drop(client);
    assert_eq!(origin.connections(), 1);
    plane.stop();
}
