//! TCP mode.

use std::io::{Read, Write};
use std::net::Shutdown;

use lb_core::config::Mode;

use crate::common::{Origin, Plane, listen, read_all};

#[test]
fn bytes_go_both_ways_and_each_direction_ends_on_its_own() {
    let origin = Origin::new(|mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        all.reverse();
        stream.write_all(&all).unwrap();
    });
    let plane = Plane::start(vec![listen("t", Mode::Tcp, &[origin.address])]);
    let mut client = plane.connect();
    client.write_all(b"abc").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&client), "cba");
    drop(client);
    plane.stop();
}
