//! Pods' networks through the real plugins, on a host that is a network namespace of the test's own.

use std::{
    fs,
    io::ErrorKind,
    net::{IpAddr, TcpStream},
    path::PathBuf,
    process::Command,
    thread,
    time::Duration,
};

use rustix::thread::{UnshareFlags, unshare_unsafe};
use serde_json::{Value, json};

use super::*;

/// Debian's `containernetworking-plugins`.
const PLUGINS: &str = "/usr/lib/cni";

/// A pod's directory and what its networks are made from.
struct Bed {
    root: tempfile::TempDir,
    uuid: String,
}

/// Runs a test on a host of its own.
fn on_a_host(name: &'static str, test: impl FnOnce(&Bed) + Send + 'static) {
    assert!(PathBuf::from(PLUGINS).join("ptp").exists(), "Install containernetworking-plugins");
    let host = thread::spawn(move || {
        // SAFETY: the thread gets a network stack of its own and ends with the test.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
        run("ip", "link set lo up");
        let bed =
            Bed { root: tempfile::tempdir().unwrap(), uuid: format!("{:08x}-{name}", std::process::id()) };
        for directory in ["net.d", "addresses", "pods/run/pod"] {
            fs::create_dir_all(bed.root.path().join(directory)).unwrap();
        }
        test(&bed);
    });
    host.join().unwrap();
}

/// What a program prints; its words are separated by spaces.
fn run(program: &str, words: &str) -> String {
    let output = Command::new(program).args(words.split(' ')).output().unwrap();
    assert!(output.status.success(), "{program} {words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

impl Bed {
    fn directory(&self) -> PodDirectory {
        PodDirectory::at(&self.root.path().join("pods/run/pod"))
    }

    fn configure(&self, file: &str, config: &Value) {
        fs::write(self.root.path().join("net.d").join(file), config.to_string()).unwrap();
    }

    /// Addresses from this subnet, noted where the test can look.
    fn ipam(&self, subnet: &str) -> Value {
        let routes = json!([{ "dst": if subnet.contains(':') { "::/0" } else { "0.0.0.0/0" } }]);
        json!({
            "type": "host-local", "dataDir": self.root.path().join("addresses"),
            "ranges": [[{ "subnet": subnet }]], "routes": routes,
        })
    }

    fn addresses(&self) -> Vec<String> {
        let networks = fs::read_dir(self.root.path().join("addresses")).unwrap().flatten();
        let files = networks.flat_map(|network| fs::read_dir(network.path()).unwrap().flatten());
        let names = files.map(|file| file.file_name().into_string().unwrap());
        names.filter(|name| name.parse::<IpAddr>().is_ok()).collect()
    }

    fn plugins(&self) -> Plugins {
        let own = self.root.path().join("net.d");
        Plugins { directories: vec![own, PLUGINS.into()], limit: Duration::from_secs(60) }
    }

    fn prepare(&self, choice: &str, ports: Value) -> Result<Networks, NetworkError> {
        let manifest = json!({"acVersion": "0.8.11", "acKind": "PodManifest", "ports": ports, "apps": []});
        let manifest = PodManifest::from_slice(manifest.to_string().as_bytes()).unwrap();
        let choice = Choice::parse(choice).unwrap();
        let plan = Plan::new(&choice, &manifest, &[self.root.path().join("net.d")], self.plugins())?;
        Networks::of_plan(plan, &self.uuid, &self.directory(), false)
    }

    fn set_up(&self, choice: &str) -> (Networks, Vec<Port>, GuestNetwork) {
        let mut networks = self.prepare(choice, json!([])).unwrap();
        let (ports, guest) = networks.set_up(2, None).unwrap();
        (networks, ports, guest)
    }

    fn assert_nothing_left(&self) {
        let links = run("ip", "-o link");
        assert!(!links.contains("veth") && !links.contains("tap"), "{links}");
        assert_eq!(self.addresses(), Vec::<String>::new());
        assert_eq!(Namespace::find(&self.uuid), None);
        for program in ["iptables", "ip6tables"] {
            let rules = run(program, "-t nat -S");
            assert!(!rules.contains(&self.uuid), "{rules}");
        }
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn the_default_network_is_made_and_unmade() {
    on_a_host("default", |bed| {
        let mut config: Value =
            serde_json::from_str(include_str!("../../../../resources/net.d/99-default.conf")).unwrap();
        config["ipam"]["dataDir"] = json!(bed.root.path().join("addresses"));
        bed.configure("99-default.conf", &config);
        let (networks, ports, guest) = bed.set_up("default");
        let [interface] = &guest.interfaces[..] else { panic!("{guest:?}") };
        assert_eq!((interface.name.as_str(), interface.mtu), ("eth0", Some(1500)));
        assert_eq!(interface.addresses, [(ip("172.16.28.2"), 24)]);
        let gateway = ip("172.16.28.1");
        let default = interface.routes.iter().find(|route| route.destination == (ip("0.0.0.0"), 0)).unwrap();
        assert_eq!(default.gateway, Some(gateway));
        // The host answers for all of the subnet: only its own address is on the link.
        let on_link: Vec<_> = interface.routes.iter().filter(|route| route.gateway.is_none()).collect();
        assert!(matches!(on_link[..], [route] if route.destination == (gateway, 32)), "{on_link:?}");
        assert_eq!((ports[0].device.tap.name(), ports[0].device.tap.queue_pairs()), ("tap0", 2));
        assert!(run("iptables", "-t nat -S").contains(&bed.uuid));
        let info = fs::read_to_string(bed.directory().root().join("net-info.json")).unwrap();
        let info: Value = serde_json::from_str(&info).unwrap();
        assert_eq!((&info[0]["ip"], &info[0]["mask"]), (&json!("172.16.28.2"), &json!("255.255.255.0")));
        assert_eq!(info[0]["pluginPath"], "/usr/lib/cni/ptp");
        drop(ports);
        networks.tear_down();
        bed.assert_nothing_left();
        assert!(bed.directory().root().join("net-info.json").exists());
    });
}

#[test]
fn packets_go_both_ways_through_the_tap() {
    on_a_host("packets", |bed| {
        bed.configure("a.conf", &json!({"name": "a", "type": "ptp", "ipam": bed.ipam("10.9.0.0/24")}));
        let (networks, ports, _) = bed.set_up("a");
        let filters = |device: &str| {
            let words = format!("netns exec rkt-{} tc -s filter show dev {device} ingress", bed.uuid);
            run("ip", &words)
        };
        assert!(filters("eth0").contains("Redirect to device tap0"), "{}", filters("eth0"));
        assert!(filters("tap0").contains("Redirect to device eth0"), "{}", filters("tap0"));
        // The namespace has the address, too, and would refuse; what is for the guest must reach the tap instead.
        let address = "10.9.0.2:80".parse().unwrap();
        let error = TcpStream::connect_timeout(&address, Duration::from_millis(500)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        drop(ports);
        networks.tear_down();
    });
}

#[test]
fn every_version_of_the_protocol_with_a_forwarded_port() {
    on_a_host("versions", |bed| {
        let port = json!([{
            "name": "p", "hostPort": 8080, "podPort": {"name": "p", "protocol": "tcp", "port": 80},
        }]);
        for version in
            [None, Some("0.1.0"), Some("0.2.0"), Some("0.3.0"), Some("0.3.1"), Some("0.4.0"), Some("1.0.0")]
        {
            let mut config = json!({
                "name": "b", "type": "bridge", "bridge": "br9", "isGateway": true, "ipMasq": true,
                "ipam": bed.ipam("10.9.0.0/24"),
            });
            config["cniVersion"] = json!(version);
            if version.is_none() {
                config.as_object_mut().unwrap().remove("cniVersion");
            }
            bed.configure("b.conf", &config);
            let mut networks = bed.prepare("b", port.clone()).unwrap();
            let (ports, guest) = networks.set_up(1, None).unwrap();
            assert_eq!(guest.interfaces[0].addresses.len(), 1, "{version:?}");
            let address = guest.interfaces[0].addresses[0].0;
            let rules = run("iptables", "-t nat -S");
            assert!(rules.contains(&format!("--to-destination {address}:80")), "{version:?}: {rules}");
            drop(ports);
            networks.tear_down();
            bed.assert_nothing_left();
        }
    });
}

#[test]
fn two_networks_in_the_order_of_their_files_and_both_families() {
    on_a_host("two", |bed| {
        let list = json!({
            "cniVersion": "1.0.0", "name": "six", "plugins": [
                {"type": "ptp", "ipam": bed.ipam("fd00:9::/64"), "mtu": 1400},
                {"type": "tuning", "sysctl": {"net.ipv4.conf.all.log_martians": "1"}},
            ],
        });
        bed.configure("10-six.conflist", &list);
        let dns = json!({"nameservers": ["10.9.0.1"], "search": ["example.org"]});
        let mut ipam = bed.ipam("10.9.0.0/24");
        ipam["ranges"] = json!([[{"subnet": "10.9.0.0/24"}], [{"subnet": "fd00:a::/64"}]]);
        let four = json!({
            "cniVersion": "0.4.0", "Name": "four", "Type": "bridge", "bridge": "br9", "isGateway": true,
            "ipam": ipam, "dns": dns,
        });
        bed.configure("20-four.conf", &four);
        let (networks, ports, guest) = bed.set_up("four:IP=10.9.0.77,six");
        let [six, four] = &guest.interfaces[..] else { panic!("{guest:?}") };
        assert_eq!((six.name.as_str(), six.mtu, four.name.as_str()), ("eth0", Some(1400), "eth1"));
        assert_eq!(six.addresses, [(ip("fd00:9::2"), 64)]);
        assert!(six.routes.iter().any(|route| route.destination == (ip("::"), 0)), "{six:?}");
        assert!(four.addresses.contains(&(ip("10.9.0.77"), 24)), "{four:?}");
        assert!(four.addresses.iter().any(|(address, _)| address.is_ipv6()), "{four:?}");
        let resolv_conf = "# Generated by rkt from network four\n\nsearch example.org\nnameserver 10.9.0.1\n";
        assert_eq!(guest.resolv_conf.as_deref(), Some(resolv_conf));
        drop(ports);
        networks.tear_down();
        bed.assert_nothing_left();
    });
}

#[test]
fn after_a_crash_all_is_undone_by_another_process() {
    on_a_host("crash", |bed| {
        let config = json!({
            "cniVersion": "0.4.0", "name": "c", "type": "bridge", "bridge": "br9", "isGateway": true, "ipMasq": true,
            "ipam": bed.ipam("10.9.0.0/24"),
        });
        bed.configure("c.conf", &config);
        let port = json!([{
            "name": "p", "hostPort": 8080, "podPort": {"name": "p", "protocol": "udp", "port": 80},
        }]);
        let mut networks = bed.prepare("c", port).unwrap();
        // The process dies: its descriptors close, and nothing else happens.
        drop(networks.set_up(1, None).unwrap());
        drop(networks);
        assert_eq!(bed.addresses().len(), 1);
        for _ in 0..2 {
            let record = Record::load(&bed.directory()).unwrap().unwrap();
            let namespace = Namespace::find(&bed.uuid);
            leave(&record, &bed.plugins(), &bed.uuid, namespace.as_deref(), |_| true, false).unwrap();
            Namespace::remove_left(&bed.uuid).unwrap();
            bed.assert_nothing_left();
        }
    });
}

#[test]
fn a_failure_leaves_nothing_behind() {
    on_a_host("failure", |bed| {
        bed.configure(
            "1.conf",
            &json!({"name": "good", "type": "ptp", "ipMasq": true, "ipam": bed.ipam("10.9.0.0/24")}),
        );
        let taken = json!({"name": "full", "type": "ptp", "ipam": bed.ipam("10.8.0.0/24")});
        bed.configure("2.conf", &taken);
        let mut networks = bed.prepare("good,full:IP=10.8.1.1", json!([])).unwrap();
        let error = networks.set_up(1, None).unwrap_err();
        let line = format!("{error}: {}", std::error::Error::source(&error).unwrap());
        assert!(line.starts_with("Cannot join network \"full\": CNI plugin \"ptp\" failed: "), "{line}");
        assert!(line.contains("10.8.1.1"), "{line}");
        networks.tear_down();
        bed.assert_nothing_left();
        assert_eq!(fs::read_dir(bed.directory().root()).unwrap().count(), 0);
    });
}

#[test]
fn flannel_is_a_bridge_on_the_hosts_subnet() {
    on_a_host("flannel", |bed| {
        let file = bed.root.path().join("subnet.env");
        fs::write(&file, "FLANNEL_NETWORK=10.9.0.0/16\nFLANNEL_SUBNET=10.9.3.1/24\nFLANNEL_MTU=1432\n")
            .unwrap();
        let config =
            json!({"name": "f", "type": "flannel", "subnetFile": file, "delegate": {"bridge": "br9"}});
        bed.configure("f.conf", &config);
        let (networks, ports, guest) = bed.set_up("f");
        let interface = &guest.interfaces[0];
        assert_eq!((interface.addresses[0].0, interface.mtu), (ip("10.9.3.2"), Some(1432)));
        let wide = interface.routes.iter().find(|route| route.destination == (ip("10.9.0.0"), 16)).unwrap();
        assert_eq!(wide.gateway, Some(ip("10.9.3.1")));
        drop(ports);
        networks.tear_down();
        bed.assert_nothing_left();
        // Its addresses are kept where host-local keeps them.
        fs::remove_dir_all("/var/lib/cni/networks/f").unwrap();
    });
}

#[test]
fn what_is_missing_is_told_before_anything_is_made() {
    on_a_host("missing", |bed| {
        let line = |choice: &str, ports| bed.prepare(choice, ports).unwrap_err().to_string();
        let unknown = line("nope,nada", json!([]));
        assert!(unknown.starts_with("networks not found: nada, nope (looked in "), "{unknown}");
        bed.configure("a.conf", &json!({"name": "a", "type": "nothere"}));
        bed.configure("b.conf", &json!({"name": "b", "type": "ptp", "ipam": {"type": "nothere"}}));
        for choice in ["a", "b"] {
            let error = bed.prepare(choice, json!([])).unwrap_err();
            assert!(
                matches!(error, NetworkError::Join { source: plugin::PluginError::Missing { .. }, .. }),
                "{error}"
            );
        }
        let port = json!([{
            "name": "p", "hostPort": 8080, "podPort": {"name": "p", "protocol": "tcp", "port": 80},
        }]);
        assert!(line("none", port).contains("without network"));
        assert_eq!(fs::read_dir(bed.directory().root()).unwrap().count(), 0);
    });
}

#[test]
fn a_port_of_another_pod_is_not_taken_from_it() {
    on_a_host("ports", |bed| {
        bed.configure("a.conf", &json!({"name": "a", "type": "ptp", "ipam": bed.ipam("10.9.0.0/24")}));
        let port = |host_ip: &str| {
            json!([{
                "name": "p", "hostPort": 8080, "hostIP": host_ip,
                "podPort": {"name": "p", "protocol": "tcp", "port": 80},
            }])
        };
        let networks = bed.prepare("a", port("127.0.0.1")).unwrap();
        let other = bed.root.path().join("pods/run/other");
        fs::create_dir(&other).unwrap();
        let record = Record::load(&bed.directory()).unwrap().unwrap();
        let attempt = |host_ip| {
            let mut record = record.clone();
            record.attachments[0].ports = serde_json::from_value(
                json!([{"hostPort": 8080, "containerPort": 1, "protocol": "tcp", "hostIP": host_ip}]),
            )
            .unwrap();
            neighbours::reserve(&record, &PodDirectory::at(&other)).map_err(|error| error.to_string())
        };
        let taken = "Port tcp-127.0.0.1:8080 of the host is forwarded to pod pod (if that has ended: rkt gc)";
        assert_eq!(attempt("127.0.0.1").unwrap_err(), taken);
        attempt("127.0.0.2").unwrap();
        networks.tear_down();
        attempt("127.0.0.1").unwrap();
    });
}
