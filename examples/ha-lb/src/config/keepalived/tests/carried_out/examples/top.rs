//! Of the top level and of `garp_group`.

use super::{Example, FILE, GROUP, PACED, Shows::Runs, example};

pub(super) const EXAMPLES: &[Example] = &[
    example(
        FILE,
        "global_defs",
        Runs,
        "+global_defs {\n+vrrp_version 3\n+}\nDEFAULT\n}",
    ),
    example(
        FILE,
        "net_namespace",
        Runs,
        "+net_namespace blue\nDEFAULT\n}",
    ),
    example(FILE, "instance", Runs, "+instance one\nDEFAULT\n}"),
    example(FILE, "use_pid_dir", Runs, "+use_pid_dir\nDEFAULT\n}"),
    example(
        FILE,
        "static_ipaddress",
        Runs,
        "+static_ipaddress {\n+10.0.0.9/24 dev eth1\n+}\nDEFAULT\n}",
    ),
    example(
        FILE,
        "static_routes",
        Runs,
        "+static_routes {\n+10.1.0.0/16 dev eth1\n+}\nDEFAULT\n}",
    ),
    example(
        FILE,
        "static_rules",
        Runs,
        "+static_rules {\n+from 10.1.0.0/16 table 7 priority 3\n+}\nDEFAULT\n}",
    ),
    example(
        FILE,
        "vrrp_sync_group",
        Runs,
        "+vrrp_sync_group G {\n+group {\n+V\n+}\n+}\nDEFAULT\n}",
    ),
    example(
        FILE,
        "garp_group",
        Runs,
        "+garp_group {\n+garp_interval 0.001\n+interface eth0\n+}\nDEFAULT\n}",
    ),
    example(
        PACED,
        "garp_interval",
        Runs,
        "interface eth0\n+garp_interval 0.001",
    ),
    example(
        PACED,
        "gna_interval",
        Runs,
        "interface eth0\n+gna_interval 0.000001",
    ),
    example(PACED, "interface", Runs, "+interface eth0"),
    example(PACED, "interfaces", Runs, "+interfaces {\n+eth0\n+eth1\n+}"),
    example(
        FILE,
        "track_group",
        Runs,
        "+track_group G {\n+group {\n+V\n+}\n+}\n+static_routes {\n+10.1.0.0/16 dev eth1 track_group G\n+}\nDEFAULT\n}",
    ),
    example(GROUP, "group", Runs, "+group {\n+V\n+}"),
    example(
        FILE,
        "vrrp_script",
        Runs,
        "+vrrp_script S {\n+script /a\n+}\nDEFAULT\ntrack_script {\nS\n}\n}",
    ),
    example(
        FILE,
        "vrrp_instance",
        Runs,
        "+vrrp_instance W {\n+interface eth0\n+virtual_router_id 9\n+}",
    ),
    example(
        FILE,
        "virtual_server",
        Runs,
        "+virtual_server 10.0.0.1 80 {\n+}",
    ),
    example(
        FILE,
        "virtual_server_group",
        Runs,
        "+virtual_server_group G {\n+10.0.0.1 80\n+}\nvirtual_server group G {\n}",
    ),
    example(
        FILE,
        "vrrp_track_process",
        Runs,
        "+vrrp_track_process P {\n+process nginx\n+}\nDEFAULT\ntrack_process {\nP\n}\n}",
    ),
    example(
        FILE,
        "track_process",
        Runs,
        "+track_process P {\n+process nginx\n+}\nDEFAULT\ntrack_process {\nP\n}\n}",
    ),
    example(
        FILE,
        "bfd_instance",
        Runs,
        "+bfd_instance B {\n+neighbor_ip 10.0.0.2\n+}\nDEFAULT\n+track_bfd {\n+B\n+}\n}",
    ),
    example(
        FILE,
        "interface_up_down_delays",
        Runs,
        "+interface_up_down_delays {\n+eth0 0.5 1\n+}\nDEFAULT\n}",
    ),
    example(
        FILE,
        "track_file",
        Runs,
        "+track_file F {\n+file /f\n+}\nDEFAULT\ntrack_file {\nF\n}\n}",
    ),
    example(
        FILE,
        "vrrp_track_file",
        Runs,
        "+vrrp_track_file F {\n+file /f\n+}\nDEFAULT\ntrack_file {\nF\n}\n}",
    ),
];
