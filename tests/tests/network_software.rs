//! Real software over a pod's network, in amounts: nginx, iperf3, large files.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use tests::network::{Peer, sh};
use tests::software::nginx_and_iperf3;
use tests::{Pod, Rkt, Running, aci, endurance, wait};

const LIMIT: Duration = Duration::from_secs(1400);
/// What iperf3 sends of datagrams: what an emulated guest can read without falling behind.
const DATAGRAM_RATE: &str = "8M";
/// Bytes of data in a TCP segment.
const SEGMENT: u64 = 1448;

/// One run of iperf3 from the other host, through forwarded ports.
fn iperf3(client: &Peer, words: &str) -> Value {
    let seconds = 4 * endurance();
    let said = client.sh(&format!("iperf3 --json -c 10.79.0.1 -p 15201 -t {seconds} {words}"));
    let report: Value = serde_json::from_str(&said).expect("JSON");
    assert!(report["error"].is_null(), "{said}");
    report["end"].clone()
}

/// TCP in one direction: all that was sent arrived, in its order, and little was sent twice.
fn tcp(client: &Peer, words: &str) {
    let before = reordered(client);
    let end = iperf3(client, words);
    let sent = end["sum_sent"]["bytes"].as_u64().expect("bytes");
    let received = end["sum_received"]["bytes"].as_u64().expect("bytes");
    let again = end["sum_sent"]["retransmits"].as_u64().expect("segments");
    let rate = end["sum_received"]["bits_per_second"].as_f64().expect("a rate") / 1e6;
    let segments = sent / SEGMENT;
    println!("TCP {words:4} {rate:.0} Mbit/s, {again} segments sent again of {segments}");
    // The difference is what was on its way at the end.
    assert!(received > 4 << 20 && sent - received < 16 << 20, "{sent} bytes sent, {received} received");
    // An emulated host stands still now and then, and what is late looks lost. Overtaken it must not be.
    assert!(again <= segments / 100, "{again} segments of {segments} were sent again");
    let reordered = reordered(client) - before;
    assert!(reordered <= 4 * endurance(), "Packets were overtaken {reordered} times");
}

/// How often a host's TCP found that its packets had overtaken each other.
fn reordered(host: &Peer) -> u64 {
    let said = host.sh("nstat -asz TcpExtTCPSACKReorder | awk '/Reorder/ {print $2}'");
    said.trim().parse().expect("a number")
}

/// UDP in one direction: nothing is missing but what the receiver had no room for, because nobody read.
fn udp(client: &Peer, words: &str, unread: impl Fn() -> u64) {
    let before = unread();
    let end = iperf3(client, &format!("-u -b {DATAGRAM_RATE} {words}"));
    let unread = unread() - before;
    let count = |name: &str| end["sum"][name].as_u64().expect("a number");
    let (lost, packets) = (count("lost_packets"), count("packets"));
    println!("UDP {words:4} {lost} of {packets} datagrams lost, {unread} unread");
    assert!(packets > 500 && lost <= unread, "{lost} of {packets} datagrams were lost, {unread} not read");
}

/// `RcvbufErrors` of `/proc/net/snmp`.
fn receive_buffer_errors(snmp: &str) -> u64 {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Udp: ")).map(str::split_whitespace);
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let value = names.zip(values).find_map(|(name, value)| (name == "RcvbufErrors").then_some(value));
    value.and_then(|value| value.parse().ok()).expect("a number")
}

/// Interfaces on a packet's way to the guest dropped none.
fn assert_nothing_dropped(namespace: &str) {
    let said = sh(&format!("ip netns exec {namespace} ip -json -stats link"));
    let links: Vec<Value> = serde_json::from_str(&said).expect("JSON");
    for link in links {
        let dropped = ["rx", "tx"].map(|way| link["stats64"][way]["dropped"].as_u64());
        assert_eq!(dropped, [Some(0); 2], "{link}");
    }
}

#[test]
fn nginx_and_large_files_through_forwarded_ports() {
    let outside = Peer::new("outside", "10.78.0.1/24", "10.78.0.2/24");
    let files = tempfile::tempdir_in(tests::host::data_dir()).expect("a directory");
    let file = files.path().join("file");
    sh(&format!("head -c {}M /dev/urandom >{}", 64 * endurance(), file.display()));
    let mut httpd = outside.command("busybox");
    httpd.args(["httpd", "-f", "-p", "8000", "-h", &files.path().display().to_string()]);
    let _httpd = Running::start(httpd, LIMIT);
    let rkt = Rkt::new().limit(LIMIT);
    let script = "set -e
        wget -q -O /var/www/html/file http://10.78.0.2:8000/file
        nginx -g 'daemon off;' &
        echo ready; wait";
    let ports = ["--port=http:18081", "--port=http:10.78.0.1:18082"];
    let pod = Pod::of(&rkt, "uuid", &ports, &nginx_and_iperf3(), &["--memory=256M", "--cpu=2"], script);
    let served = |address: &str| {
        sh(&format!("busybox wget -q -O - http://{address}/ 2>&1 || true")).contains("Welcome to nginx!")
    };
    for address in ["127.0.0.1:18081", "10.78.0.1:18081", "172.16.28.1:18081", "10.78.0.1:18082"] {
        wait::until(address, LIMIT, || served(address));
    }
    assert!(!served("127.0.0.1:18082"), "A port is forwarded of an address that was not asked for");
    let from_another_pod = rkt.run([
        "run",
        &aci::busybox().display().to_string(),
        "--exec=/bin/wget",
        "--",
        "-q",
        "-O",
        "-",
        "http://172.16.28.1:18081/",
    ]);
    assert!(from_another_pod.expect_success().stdout_text().contains("Welcome to nginx!"));
    // There and back again.
    outside.sh(&format!("busybox wget -q -O - http://10.78.0.1:18081/file | cmp - {}", file.display()));
    end(pod);
    fs::remove_file(file).expect("remove the file");
}

#[test]
fn iperf3_through_forwarded_ports() {
    let outside = Peer::new("streams", "10.79.0.1/24", "10.79.0.2/24");
    let rkt = Rkt::new().limit(LIMIT);
    // Two CPUs: two queue pairs.
    let pod = Pod::of(
        &rkt,
        "uuid",
        &["--port=iperf:15201", "--port=iperf-udp:15201"],
        &nginx_and_iperf3(),
        &["--memory=256M", "--cpu=2"],
        // Port 5201, listened at.
        "iperf3 -s >/dev/null & until grep -q ':1451 .* 0A ' /proc/net/tcp /proc/net/tcp6; do sleep 0.1; done; echo ready; wait",
    );
    let snmp = ["enter", &pod.uuid, "/bin/cat", "/proc/net/snmp"];
    tcp(&outside, "");
    tcp(&outside, "-R");
    udp(&outside, "", || receive_buffer_errors(&rkt.run(snmp).expect_success().stdout_text()));
    udp(&outside, "-R", || receive_buffer_errors(&outside.sh("cat /proc/net/snmp")));
    assert_nothing_dropped(&pod.namespace());
    end(pod);
}

/// Ends the pod, which leaves nothing.
fn end(pod: Pod) {
    let uuid = pod.uuid.clone();
    pod.running.signal(15);
    pod.running.finish();
    tests::pod::assert_nothing_left(&uuid);
}
