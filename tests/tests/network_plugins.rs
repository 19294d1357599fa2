//! The plugins that other tests do not use, all in one pod, whose packets are moved in user space.

use std::time::Duration;

use serde_json::json;
use tests::network::{NetD, Peer, sh};
use tests::{Rkt, Running, aci};

const LIMIT: Duration = Duration::from_secs(240);
const TERM: i32 = 15;

#[test]
fn every_other_plugin_in_one_pod() {
    // The pod's host is a namespace of its own, so that its firewall is nobody else's. Outside are a VLAN, and a network
    // behind a router.
    let host = Peer::new("plugs", "10.79.0.1/24", "10.79.0.2/24");
    sh("ip link add plugs7 type veth peer name trunk netns plugs; ip link set plugs7 up; ip -n plugs link set trunk up
        ip link add link plugs7 name plugs70 type vlan id 7; ip addr add 10.80.0.1/24 dev plugs70; ip link set plugs70 up
        ip link add plugs8 type veth peer name spare netns plugs; ip addr add 10.81.0.1/24 dev plugs8; ip link set plugs8 up
        ip addr add 10.84.0.1/24 dev plugs0; ip route add 10.83.0.0/24 via 10.79.0.2");
    host.sh(
        "sysctl -qw net.ipv4.ip_forward=1; iptables -P FORWARD DROP; ip route add 10.84.0.0/24 via 10.79.0.1",
    );
    let address = |address: &str| json!({ "type": "static", "addresses": [{ "address": address }] });
    let chain = json!({"cniVersion": "0.4.0", "name": "chain", "plugins": [
        {
            "type": "bridge", "bridge": "chain0", "isGateway": true,
            "ipam": {
                "type": "host-local", "subnet": "10.83.0.0/24", "routes": [{ "dst": "10.84.0.0/24" }],
                "dataDir": "/run/plugs",
            },
        },
        { "type": "tuning", "mac": "02:00:00:00:00:07", "mtu": 1400, "sysctl": { "net.core.somaxconn": "500" } },
        { "type": "bandwidth", "ingressRate": 8_000_000, "ingressBurst": 800_000, "egressRate": 8_000_000, "egressBurst": 800_000 },
        { "type": "firewall", "backend": "iptables" },
    ]});
    let networks = NetD::new()
        .with("10-chain.conflist", &chain)
        .with("20-ipvlan.conf", &json!({
            "cniVersion": "1.0.0", "name": "ipvlan", "type": "ipvlan", "master": "eth0", "ipam": address("10.79.0.3/24"),
        }))
        .with("30-vlan.conf", &json!({
            "cniVersion": "1.0.0", "name": "vlan", "type": "vlan", "master": "trunk", "vlanId": 7,
            "ipam": address("10.80.0.3/24"),
        }))
        .with("40-moved.conf", &json!({
            "cniVersion": "1.0.0", "name": "moved", "type": "host-device", "device": "spare", "ipam": address("10.81.0.3/24"),
        }));
    let files = tempfile::tempdir().expect("a directory");
    sh(&format!("head -c 3M /dev/zero >{}/file", files.path().display()));
    let mut httpd = std::process::Command::new("busybox");
    httpd.args(["httpd", "-f", "-p", "10.84.0.1:8000", "-h", &files.path().display().to_string()]);
    let _httpd = Running::start(httpd, LIMIT);

    let rkt = Rkt::new().limit(LIMIT).local_config(networks.path());
    let script = "for there in 10.79.0.1 10.80.0.1 10.81.0.1 10.84.0.1; do
            ping -c 1 -W 20 $there >/dev/null && echo reached $there; done
        cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu
        before=$(date +%s); wget -q -O - http://10.84.0.1:8000/file | wc -c; echo $(($(date +%s) - before))
        echo ready; exec sleep 1000";
    let image = aci::busybox().display().to_string();
    let run = [
        "--debug",
        "run",
        "--net=all",
        &image,
        "--memory=64M",
        "--cpu=2",
        "--exec=/bin/sh",
        "--",
        "-c",
        script,
    ];
    let inside = rkt.command(run);
    let without_vhost = "mount --bind /dev/null /dev/vhost-net; exec \"$@\"";
    let mut command = host.command("unshare");
    command.args(["--mount", "--propagation", "slave", "bash", "-c", without_vhost, "bash"]);
    command.arg(inside.get_program()).args(inside.get_args());
    let mut pod = Running::start(command, LIMIT);
    pod.wait_for_stdout("ready");

    let rules = host.sh("iptables -S CNI-FORWARD");
    pod.signal(TERM);
    let finished = pod.finish();
    let said = finished.stdout_text();
    let lines: Vec<_> = said.lines().collect();
    let reached =
        ["10.79.0.1", "10.80.0.1", "10.81.0.1", "10.84.0.1"].map(|there| format!("reached {there}"));
    assert_eq!(lines[..4], reached, "{}", finished.stderr_text());
    assert_eq!(lines[4..7], ["02:00:00:00:00:07", "1400", &(3 << 20).to_string()]);
    let seconds: u32 = lines[7].parse().expect("seconds");
    assert!((2..60).contains(&seconds), "24 Mbit in {seconds} s, at 8 Mbit/s");
    assert!(rules.contains("10.83.0.2/32"), "{rules}");
    let debug = finished.stderr_text();
    for interface in ["tap0", "tap1", "tap2", "tap3"] {
        assert!(debug.contains(&format!("{interface:?}: 2 queue pairs in user space")), "{debug}");
    }
    for kind in ["bridge", "ipvlan", "vlan", "host-device"] {
        assert!(debug.contains(&format!("with type {kind}")), "{debug}");
    }
    // What was lent is back, and nothing else is left.
    let left = host.sh("iptables -S CNI-FORWARD; ip -br link");
    assert!(left.contains("\nspare@") && !left.contains("10.83.0.2"), "{left}");
    assert_eq!(left.matches("veth").count() + left.matches("bwp").count(), 0, "{left}");
    drop(host);
    sh(
        "for cable in plugs7 plugs8; do ip link del $cable 2>/dev/null || true; done; ip route del 10.83.0.0/24 2>/dev/null || true; rm -rf /run/plugs",
    );
}
