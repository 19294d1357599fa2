//! Pods in networks, through the plugins of Debian.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tests::network::{NetD, Peer, bridge, sh};
use tests::{Pod, Rkt, Running, aci, host, wait};

const LIMIT: Duration = Duration::from_secs(240);
const TERM: i32 = 15;

/// A script that prints the last line of a page, or nothing.
fn get(address: &str) -> String {
    let request = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; tail -n 1 <&3";
    format!("timeout 20 bash -c \"exec 3<>/dev/tcp/{address}/18080; {request}\" 2>/dev/null || true")
}

#[test]
fn the_default_network_masquerades_and_forwards_ports() {
    let server = Peer::new("server", "10.77.0.1/24", "10.77.0.2/24");
    let files = tempfile::tempdir().expect("a directory");
    sh(&format!("head -c 8M /dev/urandom >{}/file", files.path().display()));
    let words = ["httpd", "-f", "-p", "8000", "-h", &files.path().display().to_string()].map(str::to_owned);
    let mut httpd = server.command("busybox");
    httpd.args(words);
    let _httpd = Running::start(httpd, LIMIT);
    let rkt = Rkt::new().limit(LIMIT);
    // The server has no route to the pod: it answers only because the host's address stands for the pod's.
    let script = "set -e
        wget -q -O - http://10.77.0.2:8000/file | sha256sum
        hostname; ip -4 -o addr show eth0 | awk '{print $4}'; cat /sys/class/net/eth0/mtu
        mkdir /www; echo page >/www/index.html
        echo ready; exec httpd -f -p 80 -h /www";
    let pod = Pod::start(&rkt, "uuid", &["--port=http:18080", "--port=echo:18007"], script);
    for address in ["127.0.0.1", "10.77.0.1", "172.16.28.1"] {
        wait::until(&format!("the page by way of {address}"), LIMIT, || sh(&get(address)) == "page\n");
    }
    assert_eq!(server.sh(&get("10.77.0.1")), "page\n");
    // Debian's busybox has no server for UDP: the rule must do.
    let rules = sh("iptables -t nat -S | grep -- '-p udp'");
    assert!(rules.contains("--dport 18007 -j DNAT --to-destination 172.16.28."), "{rules}");

    let list = rkt.run(["list", "--no-legend"]).expect_success().stdout_text();
    assert!(list.contains("\tdefault:ip4=172.16.28."), "{list}");
    let status = rkt.run(["status", &pod.uuid]).expect_success().stdout_text();
    assert!(status.contains("networks=default:ip4=172.16.28."), "{status}");

    // A port is led to one pod only, and not away from a server of the host.
    for (port, word) in [("18080", pod.uuid.as_str()), ("18099", "in use")] {
        let _server = std::net::TcpListener::bind("0.0.0.0:18099").expect("a port");
        let image = host::data_dir().join("networked.aci").display().to_string();
        let run = ["run", &format!("--port=http:{port}"), &image, "--exec", "/bin/true"];
        let finished = rkt.run(run).expect_status(254);
        let error = finished.stderr_text();
        assert!(error.contains(port) && error.contains(word) && error.lines().count() == 1, "{error}");
    }
    let uuid = pod.uuid.clone();
    let said = pod.end();
    let sum = sh(&format!("sha256sum <{}/file", files.path().display()));
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], sum.trim_end());
    assert_eq!(lines[1], format!("rkt-{uuid}"));
    assert!(lines[2].starts_with("172.16.28.") && lines[2].ends_with("/24"), "{said}");
    assert_eq!(lines[3], "1500");
    let status = rkt.run(["status", &uuid]).expect_success().stdout_text();
    assert!(status.contains("state=exited") && status.contains("networks=default:"), "{status}");
    let collected = rkt.run(["gc", "--grace-period=0s", "--debug"]).expect_success().stderr_text();
    // In reverse order, and only of the pod that ran.
    let lines: Vec<_> = collected.lines().filter(|line| line.contains("executing net-plugin")).collect();
    let plugins: Vec<_> = lines.iter().filter_map(|line| line.split(' ').next_back()).collect();
    assert_eq!(plugins, ["portmap", "ptp"], "{collected}");
}

#[test]
fn two_pods_on_a_bridge_reach_each_other_by_both_protocols() {
    // A name as long as they get, and packets larger than usual.
    let name = "a-network-whose-name-has-fifty-five-characters-in-total";
    assert_eq!(name.len(), 55);
    let mut config = bridge(name, "long0", "10.61.0.0/24");
    config["mtu"] = json!(9000);
    config["ipam"] = json!({
        "type": "host-local", "ranges": [[{"subnet": "10.61.0.0/24"}], [{"subnet": "fd61::/64"}]],
    });
    let networks = NetD::new().with("10-long.conf", &config);
    let rkt = Rkt::new().limit(LIMIT).local_config(networks.path());
    let server = Pod::start(
        &rkt,
        "server",
        &[&format!("--net={name}:IP=10.61.0.50")],
        "mkdir /www; echo page >/www/index.html; echo ready; exec httpd -f -p 80 -h /www",
    );
    let list = rkt.run(["list", "--no-legend"]).expect_success().stdout_text();
    assert!(list.contains(&format!("{name}:ip4=10.61.0.50")), "{list}");
    let info = rkt.run(["list", "--format=json"]).expect_success().stdout_text();
    let info: Value = serde_json::from_str(&info).expect("JSON");
    assert_eq!(info[0]["networks"][0]["ip"], "10.61.0.50");
    let six = sh(&format!(
        "ip netns exec rkt-{} ip -6 -o addr show eth0 scope global | awk '{{print $4}}'",
        server.uuid
    ));
    let six = six.trim().trim_end_matches("/64");
    let script = format!(
        "wget -q -O - http://10.61.0.50/; wget -q -O - 'http://[{six}]/'; ping -c 1 -s 8900 10.61.0.50 >/dev/null && echo big
         cat /sys/class/net/eth0/mtu; echo ready"
    );
    let client = Pod::start(&rkt, "client", &[&format!("--net={name}")], &script);
    let finished = client.running.finish().expect_success();
    assert_eq!(finished.stdout_text(), "page\npage\nbig\n9000\nready\n");
    server.end();
    sh("ip link del long0");
}

#[test]
fn a_pod_with_two_networks_one_by_dhcp_on_macvlan() {
    let lan = Peer::new("lan", "10.62.0.1/24", "10.62.0.2/24");
    // The lease names a router; of name servers Debian's plugin says nothing.
    let mut server = lan.command("dnsmasq");
    server.args([
        "--no-daemon",
        "--conf-file=/dev/null",
        "--port=0",
        "--interface=eth0",
        "--bind-interfaces",
        "--dhcp-range=10.62.0.100,10.62.0.150,1h",
        "--dhcp-option=option:router,10.62.0.2",
        "--dhcp-leasefile=/dev/null",
        "--user=root",
    ]);
    let _server = Running::start(server, LIMIT);
    fs::create_dir_all("/run/cni").expect("a directory");
    let mut daemon = Command::new("/usr/lib/cni/dhcp");
    daemon.arg("daemon");
    let _daemon = Running::start(daemon, LIMIT);
    wait::until("the DHCP daemon", LIMIT, || fs::metadata("/run/cni/dhcp.sock").is_ok());
    let macvlan = json!({
        "cniVersion": "0.4.0", "name": "lan", "type": "macvlan", "master": "lan0", "ipam": { "type": "dhcp" },
        "dns": { "nameservers": ["10.62.0.2"] },
    });
    let networks = NetD::new()
        .with("10-lan.conf", &macvlan)
        .with("20-inner.conf", &bridge("inner", "inner0", "10.63.0.0/24"));
    let rkt = Rkt::new().limit(LIMIT).local_config(networks.path());
    let script = "ip -4 -o addr show | awk '{print $2, $4}'; ip route | grep default; cat /etc/resolv.conf
        ping -c 1 10.62.0.2 >/dev/null && echo lan; ping -c 1 10.63.0.1 >/dev/null && echo inner; echo ready; sleep 1000";
    let pod = Pod::start(&rkt, "uuid", &["--net=inner", "--net=lan"], script);
    let said = pod.end();
    assert!(said.contains("eth0 10.62.0.1") && said.contains("eth1 10.63.0."), "{said}");
    assert!(said.contains("default via 10.62.0.2 dev eth0"), "{said}");
    assert!(
        said.contains("# Generated by rkt from network lan\n") && said.contains("nameserver 10.62.0.2\n"),
        "{said}"
    );
    assert!(said.contains("lan\ninner\nready\n"), "{said}");
    drop(lan);
    sh("ip link del inner0");
    // The daemon would refuse to start beside it.
    let _ = fs::remove_file("/run/cni/dhcp.sock");
}

#[test]
fn flannel_hosts_reach_each_others_pods() {
    // Three hosts on one switch, each with a subnet of its own, as flannel's host-gw backend routes them.
    sh("ip link add switch0 type bridge; ip link set switch0 up");
    let hosts = [("fla", 1), ("flb", 2), ("flc", 3)];
    let peers: Vec<Peer> = hosts
        .iter()
        .map(|(name, number)| {
            let peer = Peer::new(name, &format!("192.168.{number}.1/24"), &format!("10.65.0.{number}/24"));
            sh(&format!("ip addr flush dev {name}0; ip link set {name}0 master switch0"));
            for (_, other) in hosts.iter().filter(|(_, other)| other != number) {
                peer.sh(&format!("ip route add 10.66.{other}.0/24 via 10.65.0.{other}"));
            }
            peer
        })
        .collect();
    let directory = tempfile::tempdir().expect("a directory");
    let image = aci::busybox().display().to_string();
    let mut pods = Vec::new();
    for ((_, number), peer) in hosts.iter().zip(&peers) {
        let subnet = directory.path().join(format!("subnet{number}.env"));
        let text = format!(
            "FLANNEL_NETWORK=10.66.0.0/16\nFLANNEL_SUBNET=10.66.{number}.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
        );
        fs::write(&subnet, text).expect("write a subnet file");
        let config = json!({
            "name": format!("flannel{number}"), "type": "flannel", "subnetFile": subnet,
            "delegate": { "bridge": "fl0", "isDefaultGateway": true },
        });
        let networks = NetD::new().with("10-flannel.conf", &config);
        let rkt = Rkt::new().limit(LIMIT).local_config(networks.path());
        let others: String = hosts
            .iter()
            .filter(|(_, other)| other < number)
            .map(|(_, other)| format!("ping -c 1 -W 20 10.66.{other}.2 >/dev/null && echo reached {other}\n"))
            .collect();
        let script = format!("cat /sys/class/net/eth0/mtu; {others} echo ready; sleep 1000");
        let run =
            ["run", &format!("--net=flannel{number}"), &image, "--memory=64M", "--cpu=1"].map(str::to_owned);
        let inside =
            rkt.command(run.into_iter().chain(["--exec", "/bin/sh", "--", "-c", &script].map(str::to_owned)));
        let mut command = peer.command(inside.get_program().to_str().expect("a path"));
        command.args(inside.get_args());
        let mut running = Running::start(command, LIMIT);
        running.wait_for_stdout("ready");
        pods.push((running, rkt, networks));
    }
    let expected = ["1450\nready\n", "1450\nreached 1\nready\n", "1450\nreached 1\nreached 2\nready\n"];
    for ((running, _rkt, _networks), expected) in pods.into_iter().zip(expected) {
        running.signal(TERM);
        assert_eq!(running.finish().stdout_text(), expected);
    }
    drop(peers);
    sh("ip link del switch0; rm -rf /var/lib/cni/networks/flannel*");
}

#[test]
fn names_are_resolved_as_the_flags_say() {
    let mut config = bridge("named", "named0", "10.67.0.0/24");
    config["dns"] = json!({"nameservers": ["10.67.0.1"], "search": ["example.org"]});
    let networks = NetD::new().with("10-named.conf", &config);
    let rkt = Rkt::new().limit(LIMIT);
    let distribution = format!("--system-config={}", networks.path().display());
    let image = aci::busybox().display().to_string();
    let show = "cat /etc/resolv.conf; echo --; cat /etc/hosts; echo --; hostname";
    let run = |flags: &[&str]| {
        let words = [distribution.as_str(), "run", "--net=named"].into_iter().chain(flags.iter().copied());
        let app = [image.as_str(), "--memory=64M", "--cpu=1", "--exec", "/bin/sh", "--", "-c", show];
        rkt.run(words.chain(app)).expect_success().stdout_text()
    };
    let from_network = run(&["--hostname=chosen"]);
    assert!(
        from_network.starts_with(
            "# Generated by rkt from network named\n\nsearch example.org\nnameserver 10.67.0.1\n--\n"
        ),
        "{from_network}"
    );
    assert!(
        from_network.ends_with("--\nchosen\n") && from_network.contains("localhost4.localdomain4 chosen\n"),
        "{from_network}"
    );
    let from_flags = run(&["--dns=192.0.2.1", "--dns-search=a.b", "--hosts-entry=192.0.2.9=friend"]);
    assert!(
        from_flags.starts_with("# Generated by rkt run\n\nsearch a.b\nnameserver 192.0.2.1\n--\n"),
        "{from_flags}"
    );
    assert!(from_flags.contains("\n192.0.2.9 friend\n"), "{from_flags}");
    let from_host = run(&["--dns=host", "--hosts-entry=host"]);
    let files = ["/etc/resolv.conf", "/etc/hosts"].map(|file| fs::read_to_string(file).expect(file));
    assert!(from_host.starts_with(&format!("{}--\n{}--\n", files[0], files[1])), "{from_host}");
    let none = rkt.run([
        &distribution,
        "run",
        "--net=named",
        "--dns=none",
        &image,
        "--exec",
        "/bin/cat",
        "--",
        "/etc/resolv.conf",
    ]);
    assert!(none.status == 1 && none.stderr_text().contains("No such file"), "{none:?}");
    sh("ip link del named0");
}
