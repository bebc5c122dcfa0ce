//! `use_vmac` and its kind: which devices come of it, and which addresses go there.

use super::{accepted, instance_with, load_text, remark};
use crate::config::keepalived::{Instance, VmacDevice};

fn device(name: &str, parent: &str, mac: [u8; 6]) -> VmacDevice {
    VmacDevice {
        name: name.into(),
        parent: parent.into(),
        mac,
    }
}

const fn vmac(family: u8, vrid: u8) -> [u8; 6] {
    [0, 0, 0x5e, 0, family, vrid]
}

fn instances(text: &str) -> (Vec<Instance>, Vec<String>) {
    let (config, said) = load_text(text);
    (
        config.map(|config| config.instances).unwrap_or_default(),
        said,
    )
}

/// Where addresses go, in the order of the file.
fn places(instance: &Instance) -> Vec<Option<&str>> {
    let all = instance
        .addresses
        .iter()
        .chain(&instance.excluded_addresses);
    all.map(|line| line.device.as_deref()).collect()
}

#[test]
fn addresses_without_an_interface_of_their_own_go_to_the_virtual_mac() {
    let instance = accepted(
        "use_vmac\nvirtual_ipaddress_excluded {\n10.0.0.7 dev eth0\n10.0.0.8 dev eth7\n\
         10.0.0.9 dev vrrp.1\nfd00::1\n}",
    );
    let own = device("vrrp.1", "eth0", vmac(1, 1));
    assert_eq!(instance.vmac.devices, [own]);
    assert_eq!(instance.vmac.adverts, Some(vmac(1, 1)));
    let own = Some("vrrp.1");
    // One of the other family is on the interface itself, as with keepalived.
    assert_eq!(places(&instance)[1..], [own, Some("eth7"), own, None]);
}

#[test]
fn addresses_elsewhere_have_devices_of_their_own_where_that_is_asked_for() {
    let excluded =
        "virtual_ipaddress_excluded {\n10.0.0.8 dev eth7\n10.0.0.9 dev eth7\nfd00::1\n10.0.0.4\n}";
    let instance = accepted(&format!("use_vmac\nuse_vmac_addr\n{excluded}"));
    assert_eq!(
        instance.vmac.devices,
        [
            device("vrrp.1", "eth0", vmac(1, 1)),
            device("vrrp1.1", "eth7", vmac(1, 1)),
            device("vrrp6.1", "eth0", vmac(2, 1)),
        ]
    );
    let (own, other) = (Some("vrrp.1"), Some("vrrp1.1"));
    assert_eq!(places(&instance)[1..], [other, other, Some("vrrp6.1"), own]);

    let instance = accepted(&format!("use_vmac_addr\n{excluded}"));
    assert_eq!(instance.vmac.adverts, None);
    assert_eq!(
        places(&instance)[1..],
        [Some("vrrp.1"), Some("vrrp.1"), None, None]
    );
}

#[test]
fn names_are_keepalived_s_and_never_meet() {
    let instance = |name: &str, interface: &str, address: &str, more: &str| {
        format!(
            "vrrp_instance {name} {{\ninterface {interface}\nvirtual_router_id 51\nuse_vmac {more}\n\
             virtual_ipaddress {{\n{address}\n}}\n}}\n"
        )
    };
    let text = instance("A", "eth0", "10.0.0.1", "")
        + &instance("B", "eth0", "fe80::1", "")
        + &instance("C", "eth1", "fe80::2", "")
        + &instance("D", "eth1", "10.0.0.2", "")
        + &instance("E", "eth2", "10.0.0.3", "vrrp.51");
    let (read, said) = instances(&text);
    assert!(said.is_empty(), "{said:?}");
    let names = read.iter().map(|one| one.vmac.devices[0].name.as_str());
    let names: Vec<_> = names.collect();
    assert_eq!(
        names,
        ["vrrp1.51", "vrrp6.51", "vrrp2.51", "vrrp3.51", "vrrp.51"],
        "{said:?}"
    );
    let twice = instance("A", "eth0", "10.0.0.1", "x") + &instance("B", "eth1", "10.0.0.2", "x");
    let (_, said) = instances(&twice);
    assert!(
        said[0].contains("a second device of this name: found `x`"),
        "{said:?}"
    );
}

#[test]
fn a_hardware_address_of_one_s_own_may_leave_the_last_octet_to_the_vrid() {
    let instance = accepted("use_vmac v0 02:00:00:00:07");
    assert_eq!(
        instance.vmac.devices,
        [device("v0", "eth0", [2, 0, 0, 0, 7, 1])]
    );
    let instance = accepted("use_vmac 02:00:00:00:07:08");
    assert_eq!(instance.vmac.adverts, Some([2, 0, 0, 0, 7, 8]));
    for wrong in [
        "use_vmac v0 00:00:5e:00:01:05",
        "use_vmac v0 01:00:00:00:00:05",
        "use_vmac v0 02:xx:00:00:00:05",
        "use_vmac 02:00:00:00:00:00:00",
        "use_vmac 02:00:00:00:+1",
        "use_vmac a-name-too-long-for-linux",
    ] {
        assert!(remark(wrong).contains("error"), "{wrong}");
    }
}

#[test]
fn adverts_to_peers_leave_from_the_interface_itself() {
    let said = remark("use_vmac\nunicast_peer {\n10.0.0.9\n}");
    assert!(
        said.contains("adverts leave from the interface itself"),
        "{said}"
    );
    assert_eq!(accepted("use_vmac\nvmac_xmit_base").vmac.adverts, None);
    assert!(remark("vmac_xmit_base").contains("without `use_vmac`"));
    let (_, said) = instance_with("strict_mode\nuse_vmac\nvmac_xmit_base");
    assert!(
        said[0].contains("strict mode has no `vmac_xmit_base`"),
        "{said:?}"
    );
}

#[test]
fn a_device_that_is_up_on_the_master_alone_is_not_tracked() {
    let said = remark("use_vmac\ntrack_interface {\nvrrp.1\neth1\n}");
    assert!(said.contains("it is not tracked"), "{said}");
}
